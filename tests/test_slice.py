"""Slices: spec/functions/slice.toml."""

import sys

import pytest

MAX, MIN = sys.maxsize, -sys.maxsize - 1
HUGE = 2**200


class Index:
    """Not an int, but usable as one."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Failing:
    def __index__(self):
        raise ZeroDivisionError


@pytest.fixture
def mod(snippet):
    return snippet("""
        FUNC_O(unpack)
        {
            HPy_ssize_t parts[3];
            if (HPySlice_Unpack(ctx, arg, &parts[0], &parts[1], &parts[2]) == -1)
                return HPy_NULL;
            HPyTupleBuilder result = HPyTupleBuilder_New(ctx, 3);
            for (int i = 0; i < 3; i++) {
                HPy part = HPyLong_FromSsize_t(ctx, parts[i]);
                HPyTupleBuilder_Set(ctx, result, i, part);
                HPy_Close(ctx, part);
            }
            return HPyTupleBuilder_Build(ctx, result);
        }
        FUNC_O(unpack_result)
        {
            HPy_ssize_t start, stop, step;
            return HPyLong_FromInt32_t(ctx, HPySlice_Unpack(ctx, arg, &start, &stop, &step));
        }
    """)


@pytest.mark.parametrize("parts", [(2, 20, 3), (0, 0, 1), (-5, -1, 2), (20, 2, -3), (-1, -100, -1)])
def test_integers_are_left_as_they_are(mod, parts):
    assert mod.unpack(slice(*parts)) == parts


def test_success_is_0(mod):
    assert mod.unpack_result(slice(1, 2)) == 0


@pytest.mark.parametrize(
    "parts, expected",
    [
        ((None, None, None), (0, MAX, 1)),
        ((3, None, None), (3, MAX, 1)),
        ((None, 3, 1), (0, 3, 1)),
        ((None, None, 7), (0, MAX, 7)),
        ((None, None, -1), (MAX, MIN, -1)),
        ((3, None, -2), (3, MIN, -2)),
        ((None, 3, -2), (MAX, 3, -2)),
    ],
)
def test_none_stands_for_the_ends(mod, parts, expected):
    assert mod.unpack(slice(*parts)) == expected


@pytest.mark.parametrize(
    "parts, expected",
    [
        ((MIN, MAX, MAX), (MIN, MAX, MAX)),
        ((MIN - 1, MAX + 1, MAX + 1), (MIN, MAX, MAX)),
        ((-HUGE, HUGE, HUGE), (MIN, MAX, MAX)),
        ((HUGE, -HUGE, -HUGE), (MAX, MIN, -MAX)),
        ((0, 0, MIN), (0, 0, -MAX)),
        ((0, 0, -MAX), (0, 0, -MAX)),
        ((None, None, -HUGE), (MAX, MIN, -MAX)),
    ],
)
def test_values_that_do_not_fit_are_clipped(mod, parts, expected):
    assert mod.unpack(slice(*parts)) == expected


def test_parts_are_converted_by_index(mod):
    assert mod.unpack(slice(Index(1), Index(2), Index(3))) == (1, 2, 3)
    assert mod.unpack(slice(Index(-HUGE), Index(HUGE), Index(-HUGE))) == (MIN, MAX, -MAX)
    assert mod.unpack(slice(False, True, True)) == (0, 1, 1)


@pytest.mark.parametrize("step", [0, False, Index(0)])
def test_step_0_is_a_value_error(mod, step):
    with pytest.raises(ValueError):
        mod.unpack(slice(1, 2, step))


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(
    "part, error",
    [("1", TypeError), (1.0, TypeError), ([], TypeError), (Index("1"), TypeError), (Failing(), ZeroDivisionError)],
)
def test_part_that_is_no_integer_is_an_error(mod, position, part, error):
    parts = [1, 2, 3]
    parts[position] = part
    with pytest.raises(error):
        mod.unpack(slice(*parts))


def test_unpacking_keeps_no_reference(mod):
    parts = [Index(HUGE), Index(1), Index(2)]
    value = slice(*parts)
    failing = slice(None, Failing(), parts[0])
    before = [sys.getrefcount(it) for it in (*parts, value, failing)]
    for _ in range(100):
        mod.unpack(value)
        with pytest.raises(ZeroDivisionError):
            mod.unpack(failing)
    assert [sys.getrefcount(it) for it in (*parts, value, failing)] == before


def test_adjusted_indices_agree_with_slice_indices(snippet):
    mod = snippet("""
        #include <stdio.h>

        /* The slice fitted to a length, as text. */
        FUNC_VARARGS(adjust)
        {
            HPy_ssize_t start, stop, step, length = HPyLong_AsSsize_t(ctx, args[1]);
            char text[100];
            if (HPySlice_Unpack(ctx, args[0], &start, &stop, &step) < 0)
                return HPy_NULL;
            long long count = HPySlice_AdjustIndices(ctx, length, &start, &stop, step);
            snprintf(text, sizeof(text), "%lld %lld %lld", (long long)start, (long long)stop, count);
            return HPyUnicode_FromString(ctx, text);
        }
    """)
    positions = [None, 0, 1, 3, 6, 7, 8, MAX, -1, -3, -7, -8, MIN]
    for length in (0, 1, 7, MAX):
        for start in positions:
            for stop in positions:
                for step in (None, 1, 2, 7, MAX, -1, -2, -7, -MAX):
                    it = slice(start, stop, step)
                    first, last, width = it.indices(length)
                    count = max(0, (last - first + width - (1 if width > 0 else -1)) // width)
                    assert mod.adjust(it, length) == f"{first} {last} {count}", (it, length)


@pytest.fixture
def making(snippet):
    return snippet("""
        /* Null for each argument that is Ellipsis. */
        FUNC_VARARGS(new)
        {
            HPy parts[3];
            for (size_t i = 0; i < 3; i++)
                parts[i] = HPy_Is(ctx, args[i], ctx->h_Ellipsis) ? HPy_NULL : args[i];
            return HPySlice_New(ctx, parts[0], parts[1], parts[2]);
        }
    """)


@pytest.mark.newer
@pytest.mark.parametrize("parts", [(1, 2, 3), (None, None, None), (-HUGE, HUGE, 0), ("a", [1], 2.5)])
def test_new_slice_has_any_parts(making, parts):
    result = making.new(*parts)
    assert type(result) is slice
    assert (result.start, result.stop, result.step) == parts


@pytest.mark.newer
def test_null_part_of_a_new_slice_means_none(making):
    assert making.new(..., ..., ...) == slice(None, None, None)
    assert making.new(1, ..., ...) == slice(1, None, None)
    assert making.new(..., 1, ...) == slice(None, 1, None)
    assert making.new(..., ..., 1) == slice(None, None, 1)


@pytest.mark.newer
def test_new_slice_owns_its_parts_once(making):
    part = object()
    before = sys.getrefcount(part)
    result = making.new(part, part, part)
    assert sys.getrefcount(part) == before + 3
    del result
    for _ in range(100):
        making.new(part, ..., part)
    assert sys.getrefcount(part) == before
