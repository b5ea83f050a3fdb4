"""Dictionaries: spec/functions/dict.toml."""

import collections
import sys
import sysconfig
import types

import pytest

# What sys.getrefcount() says about an object that nobody else has.
ALONE = sys.getrefcount(object())


class Liar(dict):
    """Every method but `__iter__` tells something else than dict's."""

    def keys(self):
        return ["wrong"]

    def copy(self):
        return "wrong"

    def __getitem__(self, key):
        return "wrong"

    def __len__(self):
        return 1000

    items = values = copy


class Pretender:
    """isinstance() takes it for a dict, but it isn't."""

    __class__ = dict


def kind(value):
    """Names parameters: pytest would ask the objects themselves."""
    return type(value).__name__


NOT_DICTS = [[], "ab", None, dict, types.MappingProxyType({}), {}.keys(), collections.UserDict(), Pretender()]


@pytest.fixture
def mod(snippet):
    return snippet("""
        FUNC_O(check) { return HPyLong_FromInt32_t(ctx, HPyDict_Check(ctx, arg)); }
        FUNC_NOARGS(new) { return HPyDict_New(ctx); }
        FUNC_O(keys) { return HPyDict_Keys(ctx, arg); }
        FUNC_NOARGS(keys_of_null) { return HPyDict_Keys(ctx, HPy_NULL); }
        FUNC_O(copy) { return HPyDict_Copy(ctx, arg); }
        FUNC_NOARGS(copy_of_null) { return HPyDict_Copy(ctx, HPy_NULL); }
    """)


@pytest.mark.parametrize("value", [{}, {1: 2}, Liar(), collections.OrderedDict()], ids=kind)
def test_dictionaries_and_subclasses_are_recognised(mod, value):
    assert mod.check(value) == 1


@pytest.mark.parametrize("value", NOT_DICTS, ids=kind)
def test_other_types_are_not_dictionaries(mod, value):
    assert mod.check(value) == 0


def test_new_dictionary_is_empty_and_separate(mod):
    first, second = mod.new(), mod.new()
    assert type(first) is dict
    first["a"] = 1
    assert (first, second) == ({"a": 1}, {})
    count = sys.getrefcount(mod.new())
    assert count == ALONE


def test_keys_come_in_the_order_of_insertion(mod):
    values = {"b": 1, "a": 2, 3: 3}
    del values["b"]
    values["b"] = 4
    assert mod.keys(values) == ["a", 3, "b"]
    assert mod.keys({}) == []
    assert type(mod.keys({})) is list


def test_keys_are_a_snapshot(mod):
    values = {"a": 1}
    keys = mod.keys(values)
    values["b"] = 2
    assert keys == ["a"]
    keys.append("c")
    assert values == {"a": 1, "b": 2}


def test_keys_of_a_subclass_are_those_it_holds(mod):
    assert mod.keys(Liar(a=1, b=2)) == ["a", "b"]


def test_keys_and_copy_of_attributes(mod):
    class Holder:
        def __init__(self, value):
            self.first = value
            self.second = self

    holders = [Holder(number) for number in range(5)]
    assert mod.keys(holders[3].__dict__) == ["first", "second"]
    assert mod.copy(holders[3].__dict__) == {"first": 3, "second": holders[3]}


def test_keys_are_owned_by_the_list_once(mod):
    key = object()
    values = {key: 1}
    before = sys.getrefcount(key), sys.getrefcount(values)
    keys = mod.keys(values)
    assert sys.getrefcount(key) == before[0] + 1
    del keys
    for _ in range(100):
        mod.keys(values)
    assert (sys.getrefcount(key), sys.getrefcount(values)) == before


@pytest.mark.parametrize("function", ["keys", "copy"])
@pytest.mark.parametrize("value", NOT_DICTS, ids=kind)
def test_something_else_is_a_system_error(mod, function, value):
    with pytest.raises(SystemError):
        getattr(mod, function)(value)


@pytest.mark.parametrize("function", ["keys_of_null", "copy_of_null"])
@pytest.mark.misuse("null")
def test_null_handle_is_a_system_error(mod, function):
    if function == "keys_of_null" and sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("without the GIL, CPython's PyDict_Keys itself crashes")
    with pytest.raises(SystemError):
        getattr(mod, function)()


@pytest.mark.parametrize("size", [0, 1, 5, 6, 1000])
def test_copy_has_the_same_items_in_the_same_order(mod, size):
    values = {object(): object() for _ in range(size)}
    copied = mod.copy(values)
    assert copied is not values
    assert list(copied.items()) == list(values.items())


def test_copy_is_independent_but_shallow(mod):
    inner = []
    values = {"a": inner}
    copied = mod.copy(values)
    copied["b"] = 1
    values["c"] = 2
    inner.append(3)
    assert (values, copied) == ({"a": [3], "c": 2}, {"a": [3], "b": 1})


def test_copy_leaves_out_what_was_deleted(mod):
    values = dict.fromkeys(range(100))
    for number in range(0, 100, 2):
        del values[number]
    assert list(mod.copy(values)) == list(range(1, 100, 2))


def test_copy_owns_keys_and_values_once(mod):
    key, value, alone = object(), object(), object()
    values = {key: value}
    before = [sys.getrefcount(it) for it in (key, value, values)]
    copied = mod.copy(values)
    assert [sys.getrefcount(it) for it in (key, value, values)] == [before[0] + 1, before[1] + 1, before[2]]
    assert sys.getrefcount(copied) == sys.getrefcount(alone)
    del copied
    assert [sys.getrefcount(it) for it in (key, value, values)] == before


def test_copy_of_a_subclass_is_an_exact_dictionary(mod):
    copied = mod.copy(Liar(a=1, b=2))
    assert type(copied) is dict
    assert copied == {"a": 1, "b": 2}
    ordered = collections.OrderedDict([("a", 1), ("b", 2)])
    ordered.move_to_end("a")
    copied = mod.copy(ordered)
    assert type(copied) is dict
    assert list(copied.items()) == [("b", 2), ("a", 1)]


class Translated(dict):
    """Overrides `__iter__`, so that its own methods decide what it consists of."""

    def __iter__(self):
        raise AssertionError("not asked for")

    def keys(self):
        return ["x", "y"]

    def __getitem__(self, key):
        return key * 2


def test_copy_asks_the_methods_of_a_subclass_that_overrides_iter(mod):
    assert mod.copy(Translated(a=1)) == {"x": "xx", "y": "yy"}


@pytest.mark.parametrize("method", ["keys", "__getitem__"])
def test_copy_passes_on_what_an_overridden_method_raises(mod, method):
    def fail(*args):
        raise ZeroDivisionError

    failing = type("Failing", (Translated,), {method: fail})(a=1)
    before = sys.getrefcount(failing)
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            mod.copy(failing)
    assert sys.getrefcount(failing) == before


def test_copy_survives_a_dictionary_that_empties_itself(mod):
    class Emptied(Translated):
        def keys(self):
            return list(dict.keys(self))

        def __getitem__(self, key):
            self.clear()
            return object()

    values = Emptied((object(), object()) for _ in range(10))
    keys = list(dict.keys(values))
    copied = mod.copy(values)
    assert dict.__len__(values) == 0
    assert list(copied) == keys
