"""Tuples: spec/functions/tuple.toml."""

import collections
import gc
import sys
import weakref

import pytest


class Pretender:
    """isinstance() takes it for a tuple, but it isn't."""

    __class__ = tuple


class Thing:
    """Can be referred to weakly."""


def kind(value):
    """Names parameters: pytest would ask the objects themselves."""
    return type(value).__name__


@pytest.fixture
def mod(snippet):
    return snippet("""
        FUNC_O(check) { return HPyLong_FromInt32_t(ctx, HPyTuple_Check(ctx, arg)); }

        FUNC_VARARGS(from_array) { return HPyTuple_FromArray(ctx, args, (HPy_ssize_t)nargs); }

        FUNC_O(from_null) { return HPyTuple_FromArray(ctx, NULL, HPyLong_AsSsize_t(ctx, arg)); }

        /* As many of the other arguments as the first one says. */
        FUNC_VARARGS(from_part) { return HPyTuple_FromArray(ctx, args + 1, HPyLong_AsSsize_t(ctx, args[0])); }

        FUNC_O(close_afterwards)
        {
            HPy items[] = { HPyList_New(ctx, 0), HPy_Dup(ctx, arg), HPyList_New(ctx, 0) };
            HPy result = HPyTuple_FromArray(ctx, items, 3);
            for (int i = 0; i < 3; i++)
                HPy_Close(ctx, items[i]);
            return result;
        }
    """)


@pytest.mark.parametrize("value", [(), (1, 2), collections.namedtuple("Point", "x y")(1, 2), sys.version_info])
def test_tuples_and_subclasses_are_recognised(mod, value):
    assert mod.check(value) == 1


@pytest.mark.parametrize("value", [[], "ab", None, tuple, iter(()), Pretender()], ids=kind)
def test_other_types_are_not_tuples(mod, value):
    assert mod.check(value) == 0


@pytest.mark.parametrize("size", [1, 2, 20, 21, 5000])
def test_array_becomes_a_tuple_in_order(mod, size):
    items = [object() for _ in range(size)]
    result = mod.from_array(*items)
    assert type(result) is tuple
    assert list(result) == items


def test_only_the_given_number_of_items_is_taken(mod):
    assert mod.from_part(2, "a", "b", "c") == ("a", "b")
    assert mod.from_part(0, "a", "b", "c") == ()


def test_array_may_be_null_if_it_is_empty(mod):
    assert mod.from_null(0) == ()


@pytest.mark.parametrize("size", [-1, -sys.maxsize - 1])
@pytest.mark.misuse("a wrong size")
def test_negative_size_is_a_system_error(mod, size):
    with pytest.raises(SystemError):
        mod.from_part(size, "a")
    with pytest.raises(SystemError):
        mod.from_null(size)


@pytest.mark.parametrize("size", [sys.maxsize, sys.maxsize // 16])
@pytest.mark.misuse("a wrong size")
def test_size_beyond_all_memory_is_a_memory_error(mod, size):
    with pytest.raises(MemoryError):
        mod.from_part(size, "a")


def test_handles_may_be_closed_right_afterwards(mod):
    thing = Thing()
    result = mod.close_afterwards(thing)
    assert result == ([], thing, [])
    gone = weakref.ref(thing)
    del thing
    assert gone() is result[1]
    del result
    assert gone() is None


def test_items_are_borrowed_and_owned_by_the_tuple_once(mod):
    item, alone = object(), object()
    before = sys.getrefcount(item)
    result = mod.from_array(item, item, item)
    assert sys.getrefcount(item) == before + 3
    assert sys.getrefcount(result) == sys.getrefcount(alone)
    del result
    for _ in range(100):
        mod.from_array(item)
        mod.close_afterwards(item)
    assert sys.getrefcount(item) == before


def test_cycle_through_the_tuple_is_collected(mod):
    thing = Thing()
    thing.itself = mod.from_array(thing)
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    assert gone() is None


@pytest.mark.differs("its headers need alloca, which -std=c11 leaves out")
def test_pack_takes_handles_as_arguments(snippet):
    mod = snippet("""
        FUNC_NOARGS(none) { return HPyTuple_Pack(ctx, 0); }
        FUNC_O(one) { return HPyTuple_Pack(ctx, 1, arg); }
        FUNC_VARARGS(three) { return HPyTuple_Pack(ctx, 3, args[2], args[0], args[1]); }
    """)
    assert mod.none() == ()
    item = object()
    before = sys.getrefcount(item)
    assert mod.one(item) == (item,)
    assert mod.three(item, "b", "c") == ("c", item, "b")
    assert sys.getrefcount(item) == before
