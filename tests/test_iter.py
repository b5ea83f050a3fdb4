"""Iterators: spec/functions/iter.toml."""

import sys

import pytest

pytestmark = pytest.mark.newer


class Sequence:
    """Iterable because it supports `obj[0]`, `obj[1]` and so on."""

    def __init__(self, *items):
        self.items = items

    def __getitem__(self, index):
        return self.items[index]


class Iterable:
    """Its `__iter__` does what it is told."""

    def __init__(self, function):
        self.function = function

    def __iter__(self):
        return self.function()


class Iterator(Iterable):
    """Its `__next__` does what it is told."""

    def __iter__(self):
        return self

    def __next__(self):
        return self.function()


def fail(error=ZeroDivisionError):
    raise error


@pytest.fixture
def mod(snippet):
    return snippet("""
        FUNC_O(iter) { return HPy_GetIter(ctx, arg); }
        FUNC_O(check) { return HPyLong_FromInt32_t(ctx, HPyIter_Check(ctx, arg)); }

        /* The next item, or Ellipsis if there is none. */
        FUNC_O(next)
        {
            HPy item = HPyIter_Next(ctx, arg);
            if (HPy_IsNull(item) && !HPyErr_Occurred(ctx))
                return HPy_Dup(ctx, ctx->h_Ellipsis);
            return item;
        }

        FUNC_O(listed)
        {
            HPy item, iterator = HPy_GetIter(ctx, arg), result = HPyList_New(ctx, 0);
            while (!HPy_IsNull(iterator) && !HPy_IsNull(item = HPyIter_Next(ctx, iterator))) {
                HPyList_Append(ctx, result, item);
                HPy_Close(ctx, item);
            }
            HPy_Close(ctx, iterator);
            if (!HPyErr_Occurred(ctx))
                return result;
            HPy_Close(ctx, result);
            return HPy_NULL;
        }
    """)


@pytest.mark.parametrize(
    "obj, expected",
    [
        ([], []),
        ([1, None, 2], [1, None, 2]),
        ((1, 2), [1, 2]),
        ({"a": 1, "b": 2}, ["a", "b"]),
        ("ab", ["a", "b"]),
        (b"ab", [97, 98]),
        (range(1000), list(range(1000))),
        (Sequence("x", "y"), ["x", "y"]),
        (Iterable(lambda: iter("xy")), ["x", "y"]),
    ],
)
def test_everything_iterable_can_be_looped_over(mod, obj, expected):
    assert mod.listed(obj) == expected
    assert mod.listed(obj) == expected


@pytest.mark.parametrize("base", [list, dict, str, tuple])
def test_iter_of_a_subclass_is_called(mod, base):
    other = type("Other", (base,), {"__iter__": lambda self: iter("xy")})
    assert mod.listed(other()) == ["x", "y"]


def test_iterator_is_its_own_iterator(mod):
    iterator = iter([1, 2])
    before = sys.getrefcount(iterator)
    assert mod.iter(iterator) is iterator
    for _ in range(100):
        mod.iter(iterator)
    assert sys.getrefcount(iterator) == before
    assert mod.listed(iterator) == [1, 2]
    assert mod.listed(iterator) == []


@pytest.mark.parametrize("obj", [None, 5, object(), list, type("Off", (list,), {"__iter__": None})()])
def test_object_that_is_not_iterable_is_a_type_error(mod, obj):
    with pytest.raises(TypeError):
        mod.iter(obj)


@pytest.mark.parametrize("result", [None, 5, [1], range(3)])
def test_iter_that_returns_no_iterator_is_a_type_error(mod, result):
    with pytest.raises(TypeError):
        mod.iter(Iterable(lambda: result))


@pytest.mark.parametrize("error", [ZeroDivisionError, StopIteration, KeyboardInterrupt])
def test_what_iter_raises_is_passed_on(mod, error):
    obj = Iterable(lambda: fail(error))
    before = sys.getrefcount(obj)
    with pytest.raises(error):
        mod.iter(obj)
    assert sys.getrefcount(obj) == before


@pytest.mark.parametrize("obj", [iter([]), iter({}), (x for x in ()), zip(), Iterator(fail), iter(int, 1)])
def test_iterators_are_recognised(mod, obj):
    assert mod.check(obj) == 1


@pytest.mark.parametrize("obj", [[], {}, "ab", range(3), None, 5, Sequence(1), Iterable(fail), Iterator, object()])
def test_objects_that_are_only_iterable_are_no_iterators(mod, obj):
    assert mod.check(obj) == 0


def test_next_on_an_instance_makes_no_iterator(mod):
    obj = Iterable(fail)
    obj.__next__ = lambda: 1
    assert mod.check(obj) == 0


def test_next_takes_one_item_at_a_time(mod):
    iterator = iter("ab")
    assert [mod.next(iterator) for _ in range(4)] == ["a", "b", ..., ...]


@pytest.mark.parametrize("end", [StopIteration, StopIteration(5), type("OwnStop", (StopIteration,), {})])
def test_stop_iteration_is_the_end_and_no_exception(mod, end):
    assert mod.next(Iterator(lambda: fail(end))) is ...


def test_returned_value_of_a_generator_is_dropped(mod):
    def generate():
        yield 1
        return object()

    assert mod.listed(generate()) == [1]


def test_iterator_may_go_on_after_its_end(mod):
    results = iter([1, StopIteration, 2, ZeroDivisionError, 3])

    def step():
        result = next(results)
        return fail(result) if isinstance(result, type) else result

    iterator = Iterator(step)
    assert [mod.next(iterator) for _ in range(3)] == [1, ..., 2]
    with pytest.raises(ZeroDivisionError):
        mod.next(iterator)
    assert mod.next(iterator) == 3


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, StopAsyncIteration])
def test_what_the_iterator_raises_is_passed_on(mod, error):
    with pytest.raises(error):
        mod.next(Iterator(lambda: fail(error)))


def test_items_before_a_failure_are_let_go(mod):
    item = object()

    def generate():
        for _ in range(100):
            yield item
        raise ZeroDivisionError

    before = sys.getrefcount(item)
    with pytest.raises(ZeroDivisionError):
        mod.listed(generate())
    assert sys.getrefcount(item) == before


def test_items_belong_to_the_caller_once(mod):
    items = [object() for _ in range(100)]
    before = [sys.getrefcount(item) for item in items]
    for _ in range(10):
        assert mod.listed(items) == items
    assert [sys.getrefcount(item) for item in items] == before


def test_list_may_change_while_it_is_looped_over(mod):
    values = [1, 2, 3]
    iterator = mod.iter(values)
    assert mod.next(iterator) == 1
    values.append(4)
    assert mod.listed(iterator) == [2, 3, 4]
    iterator = mod.iter(values)
    mod.next(iterator)
    values.clear()
    assert mod.next(iterator) is ...


def test_dictionary_must_not_change_while_it_is_looped_over(mod):
    values = {1: 1}
    iterator = mod.iter(values)
    values[2] = 2
    with pytest.raises(RuntimeError):
        mod.next(iterator)


def test_iterator_may_use_itself(mod):
    def generate():
        with pytest.raises(ValueError):
            mod.next(generator)
        yield from mod.listed(range(3))

    generator = generate()
    assert mod.listed(generator) == [0, 1, 2]
