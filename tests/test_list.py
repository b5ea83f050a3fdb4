"""Lists: spec/functions/list.toml."""

import sys
import sysconfig

import pytest


class Stubborn(list):
    """Its own methods refuse to work."""

    def append(self, item):
        raise ZeroDivisionError

    insert = __setitem__ = __len__ = append


class Pretender:
    """isinstance() takes it for a list, but it isn't."""

    __class__ = list


def kind(value):
    """Names parameters: pytest would ask the objects themselves."""
    return type(value).__name__


NOT_LISTS = [(1, 2), {}, "ab", None, list, iter([]), Pretender()]


@pytest.fixture
def mod(snippet):
    return snippet("""
        FUNC_O(check) { return HPyLong_FromInt32_t(ctx, HPyList_Check(ctx, arg)); }

        FUNC_VARARGS(append) { return NULL_IF(HPyList_Append(ctx, args[0], args[1]) == -1); }

        FUNC_O(append_result) { return HPyLong_FromInt32_t(ctx, HPyList_Append(ctx, arg, ctx->h_None)); }

        FUNC_O(append_to_itself) { return NULL_IF(HPyList_Append(ctx, arg, arg) == -1); }

        FUNC_O(new) { return HPyList_New(ctx, HPyLong_AsSsize_t(ctx, arg)); }
    """)


@pytest.mark.parametrize("value", [[], [1], Stubborn()], ids=kind)
def test_lists_and_subclasses_are_recognised(mod, value):
    assert mod.check(value) == 1


@pytest.mark.parametrize("value", NOT_LISTS, ids=kind)
def test_other_types_are_not_lists(mod, value):
    assert mod.check(value) == 0


def test_new_list_of_length_0_is_an_ordinary_list(mod):
    first, second = mod.new(0), mod.new(0)
    assert type(first) is list
    first.append(1)
    assert (first, second) == ([1], [])


@pytest.mark.differs("items of a new list are unset")
@pytest.mark.parametrize("length", [1, 2, 1000])
def test_items_of_a_new_list_are_none(mod, length):
    result = mod.new(length)
    assert type(result) is list
    assert result == [None] * length


@pytest.mark.differs("items of a new list are unset")
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="references of None are not counted")
def test_new_list_owns_the_none_in_it(mod):
    before = sys.getrefcount(None)
    result = mod.new(10_000)
    during = sys.getrefcount(None)
    del result
    after = sys.getrefcount(None)
    # Others use None too, but not that often.
    assert abs(during - before - 10_000) < 100
    assert abs(after - before) < 100


@pytest.mark.differs("items of a new list are unset, and HPy_SetItem_i crashes on those")
def test_items_of_a_new_list_can_be_set(run_snippet):
    source = """
        /* A list of the arguments. */
        FUNC_VARARGS(filled)
        {
            HPy list = HPyList_New(ctx, (HPy_ssize_t)nargs);
            if (HPy_IsNull(list))
                return HPy_NULL;
            for (size_t i = 0; i < nargs; i++) {
                if (HPy_SetItem_i(ctx, list, (HPy_ssize_t)i, args[i]) < 0) {
                    HPy_Close(ctx, list);
                    return HPy_NULL;
                }
            }
            return list;
        }
    """
    code = """
        import sys
        items = [object() for _ in range(1000)]
        before = sys.getrefcount(items[7])
        result = mod.filled(*items)
        assert type(result) is list and result == items
        assert sys.getrefcount(items[7]) == before + 1
        result.append(1)
        assert len(result) == 1001
        del result
        assert sys.getrefcount(items[7]) == before
        print("done")
    """
    run = run_snippet(source, code)
    assert (run.stdout, run.stderr, run.returncode) == ("done\n", "", 0)


@pytest.mark.parametrize("length", [-1, -sys.maxsize - 1])
@pytest.mark.misuse("a negative size")
def test_negative_length_is_a_system_error(mod, length):
    with pytest.raises(SystemError):
        mod.new(length)


@pytest.mark.parametrize("length", [sys.maxsize, sys.maxsize // 16])
@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="without the GIL, CPython 3.13 itself destroys its heap when PyList_New has no memory",
)
def test_length_beyond_all_memory_is_a_memory_error(mod, length):
    with pytest.raises(MemoryError):
        mod.new(length)


def test_append_adds_at_the_end(mod):
    values = []
    for number in range(100):
        assert mod.append(values, number) is None
    assert values == list(range(100))


def test_append_returns_0(mod):
    assert mod.append_result([]) == 0


def test_append_does_not_call_the_method_of_a_subclass(mod):
    values = Stubborn()
    mod.append(values, "x")
    assert list.__getitem__(values, slice(None)) == ["x"]


def test_list_can_be_appended_to_itself(mod):
    values = [1]
    mod.append_to_itself(values)
    assert values[1] is values


def test_appended_item_is_owned_by_the_list_once(mod):
    item, values = object(), []
    before = sys.getrefcount(item), sys.getrefcount(values)
    for _ in range(100):
        mod.append(values, item)
    assert sys.getrefcount(item) == before[0] + 100
    del values[:]
    assert (sys.getrefcount(item), sys.getrefcount(values)) == before


@pytest.mark.parametrize("target", NOT_LISTS, ids=kind)
def test_appending_to_something_else_is_a_system_error(mod, target):
    item = object()
    before = sys.getrefcount(item)
    with pytest.raises(SystemError):
        mod.append(target, item)
    assert sys.getrefcount(item) == before


@pytest.fixture
def inserting(snippet):
    return snippet("""
        FUNC_VARARGS(insert)
        {
            HPy_ssize_t index = HPyLong_AsSsize_t(ctx, args[1]);
            return NULL_IF(HPyList_Insert(ctx, args[0], index, args[2]) == -1);
        }
        FUNC_O(insert_result) { return HPyLong_FromInt32_t(ctx, HPyList_Insert(ctx, arg, 0, ctx->h_None)); }
    """)


@pytest.mark.newer
@pytest.mark.parametrize(
    "index, expected",
    [
        (0, "xabc"),
        (1, "axbc"),
        (3, "abcx"),
        (4, "abcx"),
        (sys.maxsize, "abcx"),
        (-1, "abxc"),
        (-3, "xabc"),
        (-4, "xabc"),
        (-sys.maxsize - 1, "xabc"),
    ],
)
def test_insert_takes_every_index(inserting, index, expected):
    values = list("abc")
    inserting.insert(values, index, "x")
    assert values == list(expected)


@pytest.mark.newer
def test_insert_into_an_empty_list(inserting):
    for index in (0, 5, -5):
        values = []
        assert inserting.insert(values, index, "x") is None
        assert values == ["x"]


@pytest.mark.newer
def test_insert_returns_0(inserting):
    assert inserting.insert_result([]) == 0


@pytest.mark.newer
def test_insert_does_not_call_the_method_of_a_subclass(inserting):
    values = Stubborn("ab")
    inserting.insert(values, 1, "x")
    assert list.__getitem__(values, slice(None)) == ["a", "x", "b"]


@pytest.mark.newer
def test_inserted_item_is_owned_by_the_list_once(inserting):
    item, values = object(), []
    before = sys.getrefcount(item)
    for _ in range(100):
        inserting.insert(values, 0, item)
    assert sys.getrefcount(item) == before + 100
    del values[:]
    assert sys.getrefcount(item) == before


@pytest.mark.newer
@pytest.mark.parametrize("target", NOT_LISTS, ids=kind)
def test_inserting_into_something_else_is_a_system_error(inserting, target):
    item = object()
    before = sys.getrefcount(item)
    with pytest.raises(SystemError):
        inserting.insert(target, 0, item)
    assert sys.getrefcount(item) == before
