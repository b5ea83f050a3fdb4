"""Items and slices: spec/functions/item.toml."""

import math
import sys
import types

import pytest

# String keys are given as bytes.
SNIPPET = """
    static HPy result_of(HPyContext *ctx, HPy_ssize_t result) {
        return result == -1 ? HPy_NULL : HPyLong_FromSsize_t(ctx, result);
    }

    FUNC_O(length) { return result_of(ctx, HPy_Length(ctx, arg)); }
    FUNC_VARARGS(contains) { return result_of(ctx, HPy_Contains(ctx, args[0], args[1])); }

    FUNC_VARARGS(get) { return HPy_GetItem(ctx, args[0], args[1]); }
    FUNC_VARARGS(set) { return result_of(ctx, HPy_SetItem(ctx, args[0], args[1], args[2])); }
    FUNC_VARARGS(del) { return result_of(ctx, HPy_DelItem(ctx, args[0], args[1])); }

    #define INDEX HPyLong_AsSsize_t(ctx, args[1])
    FUNC_VARARGS(get_i) { return HPy_GetItem_i(ctx, args[0], INDEX); }
    FUNC_VARARGS(set_i) { return result_of(ctx, HPy_SetItem_i(ctx, args[0], INDEX, args[2])); }
    FUNC_VARARGS(del_i) { return result_of(ctx, HPy_DelItem_i(ctx, args[0], INDEX)); }

    #define KEY HPyBytes_AsString(ctx, args[1])
    FUNC_VARARGS(get_s) { return HPy_GetItem_s(ctx, args[0], KEY); }
    FUNC_VARARGS(set_s) { return result_of(ctx, HPy_SetItem_s(ctx, args[0], KEY, args[2])); }
    FUNC_VARARGS(del_s) { return result_of(ctx, HPy_DelItem_s(ctx, args[0], KEY)); }
"""

SLICES = """
    #define RANGE HPyLong_AsSsize_t(ctx, args[1]), HPyLong_AsSsize_t(ctx, args[2])
    FUNC_VARARGS(get) { return HPy_GetSlice(ctx, args[0], RANGE); }
    FUNC_VARARGS(set) { return NULL_IF(HPy_SetSlice(ctx, args[0], RANGE, args[3]) != 0); }
    FUNC_VARARGS(del_slice) { return NULL_IF(HPy_DelSlice(ctx, args[0], RANGE) != 0); }

    FUNC_NOARGS(get_null) { return HPy_GetSlice(ctx, HPy_NULL, 0, 1); }
    FUNC_O(set_null) { return NULL_IF(HPy_SetSlice(ctx, HPy_NULL, 0, 1, arg) == -1); }
    FUNC_NOARGS(del_null) { return NULL_IF(HPy_DelSlice(ctx, HPy_NULL, 0, 1) == -1); }
"""

# The functions for each kind of key.
FUNCTIONS = {"": ("get", "set", "del"), "_i": ("get_i", "set_i", "del_i"), "_s": ("get_s", "set_s", "del_s")}

LOWEST, HIGHEST = -sys.maxsize - 1, sys.maxsize


class Recorder:
    """Writes down how its items are used. It has a length, which must not change negative indices."""

    def __init__(self):
        self.log = []

    def __len__(self):
        return 10

    def __getitem__(self, key):
        self.log.append(("get", key))
        return "an item"

    def __setitem__(self, key, value):
        self.log.append(("set", key, value))

    def __delitem__(self, key):
        self.log.append(("delete", key))


class Failing:
    def fail(self, *args):
        raise ZeroDivisionError("not today")

    __len__ = __contains__ = __getitem__ = __setitem__ = __delitem__ = __eq__ = __hash__ = fail


class FailingSteps:
    """Iterable, but fails after one item."""

    def __iter__(self):
        yield 1
        raise ZeroDivisionError("not today")


class Index:
    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Length:
    def __init__(self, value):
        self.value = value

    def __len__(self):
        return self.value


@pytest.fixture
def mod(snippet):
    return snippet(SNIPPET)


def keyed(mod, kind, key):
    """Getting, setting (to "value" unless told) and deleting with a key. Python code always gives a str for strings."""
    key = key.encode() if kind == "_s" else key
    get, put, delete = [getattr(mod, name) for name in FUNCTIONS[kind]]
    return lambda obj: get(obj, key), lambda obj, value="value": put(obj, key, value), lambda obj: delete(obj, key)


@pytest.mark.parametrize("value, expected", [
    ("a\xe9\u20ac\U0001f40d", 4), ("\u20ac".encode(), 3), ([], 0), ({1: 1, 2: 2}, 2),
    (range(sys.maxsize), sys.maxsize), (Length(Index(3)), 3),
    (type("List", (list,), {"__len__": lambda self: 99})(), 99),
])  # fmt: skip
def test_length(mod, value, expected):
    assert mod.length(value) == expected


@pytest.mark.parametrize("value, error", [
    (5, TypeError), (iter([]), TypeError), (Length, TypeError), (Length("3"), TypeError), (Length(-1), ValueError),
    (Length(sys.maxsize + 1), OverflowError), (Failing(), ZeroDivisionError),
])  # fmt: skip
def test_length_that_fails(mod, value, error):
    with pytest.raises(error):
        mod.length(value)


@pytest.mark.parametrize("container, present, absent", [
    ([1, 2.0], 2, 3), ([math.nan], math.nan, float("nan")), ("haystack", "ays", "asy"), (b"abc", 98, b"d"),
    ({"key": "value"}, "key", "value"), (range(10), 9, 10),
    (type("Steps", (), {"__iter__": lambda self: iter([1, 2])})(), 1, 3),
    (type("Strange", (), {"__contains__": lambda self, key: [key] if key == "x" else ""})(), "x", "y"),
    (type("Old", (), {"__getitem__": lambda self, index: [7, 8][index]})(), 8, 9),
])  # fmt: skip
def test_contains(mod, container, present, absent):
    assert mod.contains(container, present) == 1
    assert mod.contains(container, absent) == 0


def test_contains_consumes_an_iterator_up_to_the_item(mod):
    numbers = iter(range(10))
    assert mod.contains(numbers, 3) == 1
    assert next(numbers) == 4


@pytest.mark.parametrize("container, key, error", [
    (5, 5, TypeError), ("text", 5, TypeError), ({}, [], TypeError), (b"abc", 256, ValueError),
    (type("Refusing", (list,), {"__contains__": None})(), 1, TypeError), (Failing(), 1, ZeroDivisionError),
    ([Failing()], 1, ZeroDivisionError), (FailingSteps(), 2, ZeroDivisionError),
])  # fmt: skip
def test_contains_that_fails(mod, container, key, error):
    with pytest.raises(error):
        mod.contains(container, key)


def test_contains_in_a_list_that_a_comparison_empties(mod):
    class Emptying:
        def __eq__(self, other):
            values.clear()
            return False

    values = [Emptying(), 1, 2]
    assert mod.contains(values, 2) == 0
    assert values == []


def test_get_item_by_any_object(mod):
    numbers = [10, 20, 30]
    assert mod.get(numbers, Index(-2)) == 20
    assert mod.get(numbers, slice(None, None, -1)) == [30, 20, 10]
    assert mod.get({(1, 2): "tuple"}, (1, 2)) == "tuple"
    assert mod.get("a\U0001f40d", 1) == "\U0001f40d"


def test_get_item_of_a_class(mod):
    class Generic:
        def __class_getitem__(cls, key):
            return cls, key

    assert mod.get(Generic, "key") == (Generic, "key")
    assert mod.get_i(Generic, -1) == (Generic, -1)
    assert mod.get_s(Generic, b"key") == (Generic, "key")
    assert mod.get(list, int) == types.GenericAlias(list, int)


@pytest.mark.parametrize("kind, key", [("", "key"), ("_i", 5), ("_s", "key"), ("_s", "\u043a\u043b\u044e\u0447")])
def test_items_of_a_dict(mod, kind, key):
    get, put, delete = keyed(mod, kind, key)
    mapping = {}
    assert put(mapping) == 0
    assert mapping == {key: "value"}
    assert [type(key) for key in mapping] == [type(key)]
    assert get(mapping) == "value"
    assert delete(mapping) == 0
    assert mapping == {}
    for use in (get, delete):
        with pytest.raises(KeyError):
            use(mapping)


@pytest.mark.parametrize("kind", ["", "_i"])
def test_items_of_a_list(mod, kind):
    numbers = [10, 20, 30]
    for index in (0, 2, -3):
        assert keyed(mod, kind, index)[0](numbers) == numbers[index]
    assert keyed(mod, kind, -1)[1](numbers, 99) == 0
    assert numbers == [10, 20, 99]
    assert keyed(mod, kind, -2)[2](numbers) == 0
    assert numbers == [10, 99]
    for index in (2, -3, LOWEST, HIGHEST):
        for use in keyed(mod, kind, index):
            with pytest.raises(IndexError):
                use(numbers)
    assert numbers == [10, 99]


@pytest.mark.parametrize("kind, key", [("", None), ("_i", -1), ("_i", LOWEST), ("_i", HIGHEST), ("_s", "")])
def test_special_methods_get_the_key_as_it_is(mod, kind, key):
    get, put, delete = keyed(mod, kind, key)
    recorder = Recorder()
    assert get(recorder) == "an item"
    assert put(recorder) == 0
    assert delete(recorder) == 0
    assert recorder.log == [("get", key), ("set", key, "value"), ("delete", key)]


@pytest.mark.parametrize("kind, key", [("", 1), ("_i", 1), ("_s", "key")])
@pytest.mark.parametrize("base", [dict, list])
def test_overridden_methods_of_subclasses_are_used(mod, base, kind, key):
    get, put, delete = keyed(mod, kind, key)
    child = type("Child", (Recorder, base), {"log": [], "__init__": lambda self: None})()
    get(child), put(child), delete(child)
    assert [event[0] for event in child.log] == ["get", "set", "delete"]
    assert base.__len__(child) == 0


def test_missing_item_of_a_dict_subclass(mod):
    class Default(dict):
        def __missing__(self, key):
            return [key]

    assert [mod.get(Default(), "key"), mod.get_i(Default(), 5), mod.get_s(Default(), b"key")] == [["key"], [5], ["key"]]


@pytest.mark.parametrize("kind, key", [("", 0), ("_i", 0), ("_s", "key")])
def test_item_uses_that_fail(mod, kind, key):
    get, put, delete = keyed(mod, kind, key)
    for use in (get, put, delete):
        for value in (5, None, object()):
            with pytest.raises(TypeError):
                use(value)
        with pytest.raises(ZeroDivisionError):
            use(Failing())
    for use in (put, delete):
        with pytest.raises(TypeError):
            use((1, 2))


def test_keys_that_do_not_fit(mod):
    for use in (mod.get, mod.del_s, mod.get_s):
        with pytest.raises(TypeError):
            use([1], b"0")
    for key, error in (([], TypeError), (Failing(), ZeroDivisionError)):
        for use in keyed(mod, "", key):
            with pytest.raises(error):
                use({})


@pytest.mark.parametrize("key", [b"\xff", b"\xc3", b"a\xed\xa0\x80"])
@pytest.mark.misuse("no UTF-8, or null")
def test_key_that_is_no_utf8(mod, key):
    recorder = Recorder()
    for use in (mod.get_s, mod.del_s, lambda obj, key: mod.set_s(obj, key, 1)):
        with pytest.raises(UnicodeDecodeError):
            use(recorder, key)
    assert recorder.log == []


@pytest.mark.parametrize("kind, key", [("", 1), ("_i", 1), ("_s", "key")])
def test_container_takes_a_reference_of_its_own(mod, kind, key):
    get, put, delete = keyed(mod, kind, key)
    value, mapping = object(), {}
    before = sys.getrefcount(value), sys.getrefcount(mapping)
    for _ in range(50):
        put(mapping, value)
        get(mapping)
    assert (sys.getrefcount(value), sys.getrefcount(mapping)) == (before[0] + 1, before[1])
    kept = [get(mapping) for _ in range(50)]
    assert sys.getrefcount(value) == before[0] + 51
    del kept
    delete(mapping)
    assert (sys.getrefcount(value), sys.getrefcount(mapping)) == before


def test_key_is_read_during_the_call_only(snippet):
    mod = snippet("""
        FUNC_O(reuse_memory)
        {
            char key[] = "first";
            HPy got = HPy_GetItem_s(ctx, arg, key);
            int failed = HPy_IsNull(got) || HPy_SetItem_s(ctx, arg, key, got) != 0 || HPy_DelItem_s(ctx, arg, key) != 0;
            strcpy(key, "other");
            HPy_Close(ctx, got);
            return NULL_IF(failed);
        }
    """)
    recorder = Recorder()
    assert mod.reuse_memory(recorder) is None
    assert recorder.log == [("get", "first"), ("set", "first", "an item"), ("delete", "first")]


@pytest.mark.parametrize("kind, key", [("_i", HIGHEST), ("_s", "a key")])
def test_key_that_is_made_is_not_kept(mod, kind, key):
    recorder, fresh = Recorder(), [object()]
    for use in keyed(mod, kind, key):
        use(recorder)
    keys = [event[1] for event in recorder.log]
    recorder.log.clear()
    assert [sys.getrefcount(keys[place]) for place in range(3)] == [sys.getrefcount(fresh[0])] * 3


@pytest.mark.parametrize("kind", ["", "_i"])
def test_replaced_item_can_empty_the_list(mod, kind):
    class Last:
        def __del__(self):
            values.clear()

    _, put, delete = keyed(mod, kind, 0)
    for use in (put, delete):
        values = [Last(), 1, 2]
        assert use(values) == 0
        assert values == []


@pytest.mark.newer
@pytest.mark.parametrize("start, end", [(1, 3), (0, 0), (3, 1), (-2, HIGHEST), (LOWEST, -3), (LOWEST, HIGHEST), (5, 9)])
def test_slices_of_sequences(snippet, start, end):
    mod = snippet(SLICES)
    for sequence in ([0, 1, 2, 3], "a\xe9\u20ac\U0001f40d", (0, 1, 2, 3), b"abcd"):
        assert mod.get(sequence, start, end) == sequence[start:end]
    for new in ([], [7], [7, 8, 9, 10, 11]):
        values, expected = [0, 1, 2, 3], [0, 1, 2, 3]
        expected[start:end] = new
        assert mod.set(values, start, end, iter(new)) is None
        assert values == expected
    data, expected = bytearray(b"abcd"), bytearray(b"abcd")
    del expected[start:end]
    assert mod.del_slice(data, start, end) is None
    assert data == expected


@pytest.mark.newer
def test_slices_reach_special_methods_as_slice_objects(snippet):
    mod = snippet(SLICES)
    recorder = Recorder()
    assert mod.get(recorder, -2, 3) == "an item"
    mod.set(recorder, LOWEST, HIGHEST, "value")
    mod.del_slice(recorder, 0, -1)
    expected = [("get", slice(-2, 3)), ("set", slice(LOWEST, HIGHEST), "value"), ("delete", slice(0, -1))]
    assert recorder.log == expected


@pytest.mark.newer
@pytest.mark.parametrize("value, error", [(5, TypeError), (object(), TypeError), (Failing(), ZeroDivisionError)])
def test_slices_that_fail(snippet, value, error):
    mod = snippet(SLICES)
    for use in (mod.get, mod.del_slice, lambda *args: mod.set(*args, [])):
        with pytest.raises(error):
            use(value, 0, 1)


@pytest.mark.newer
def test_slices_that_cannot_be_changed(snippet):
    mod = snippet(SLICES)
    for value in ("text", (1, 2), b"bytes", range(3)):
        for use in (mod.del_slice, lambda *args: mod.set(*args, [])):
            with pytest.raises(TypeError):
                use(value, 0, 1)
    with pytest.raises(TypeError):
        mod.set([1], 0, 1, 5)
    with pytest.raises(ValueError):
        mod.set(memoryview(bytearray(4)), 0, 2, b"abc")


@pytest.mark.newer
@pytest.mark.misuse("no UTF-8, or null")
def test_slices_of_null(snippet):
    mod = snippet(SLICES)
    for use in (mod.get_null, mod.del_null, lambda: mod.set_null([])):
        with pytest.raises(SystemError):
            use()


@pytest.mark.newer
def test_slices_keep_no_reference(snippet):
    mod = snippet(SLICES)
    item = object()
    values, new = [item], [item]
    before = [sys.getrefcount(thing) for thing in (item, values, new)]
    for _ in range(50):
        mod.get(values, 0, 1)
        mod.set(values, 0, 1, new)
        mod.del_slice(values, 0, 1)
        mod.set(values, 0, 0, new)
    assert [sys.getrefcount(thing) for thing in (item, values, new)] == before
