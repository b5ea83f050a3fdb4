"""What the binding does beyond what ujson's own tests ask."""

import array
import collections
import enum
import json

import pytest
import ujson


class Liars:
    """Subclasses whose methods tell other than what they hold, which is what counts."""

    class List(list):
        def __getitem__(self, index):
            raise AssertionError

        __len__ = __iter__ = __getitem__

    class Tuple(tuple):
        def __getitem__(self, index):
            raise AssertionError

        __len__ = __iter__ = __getitem__

    class Dict(dict):
        def __getitem__(self, key):
            raise AssertionError

        __len__ = __iter__ = keys = items = __getitem__

    class Str(str):
        def encode(self, *args):
            raise AssertionError

        __str__ = encode

    class Int(int):
        def __repr__(self):
            raise AssertionError

        __str__ = __index__ = __int__ = __repr__


@pytest.mark.parametrize(
    "value, expected",
    [
        (Liars.List([1, [2]]), "[1,[2]]"),
        (Liars.Tuple((1, 2)), "[1,2]"),
        (Liars.Dict(a=1), '{"a":1}'),
        (Liars.Str("a\ud800"), '"a\\ud800"'),
        ({Liars.Str("a\ud800"): 1}, '{"a\\ud800":1}'),
        (Liars.Int(7), "7"),
        (Liars.Int(-(2**70)), str(-(2**70))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_subclass_is_what_it_holds(value, expected):
    assert ujson.dumps(value) == expected
    assert ujson.dumps([value, value, 1, value]) == f"[{expected},{expected},1,{expected}]"


def test_types_of_the_standard_library():
    Point = collections.namedtuple("Point", "x y")
    Colour = enum.IntEnum("Colour", "RED")
    counted = collections.OrderedDict(b=1, a=collections.Counter("aab"))
    assert ujson.dumps([Point(1, 2.5), Colour.RED, counted]) == '[[1,2.5],1,{"b":1,"a":{"a":2,"b":1}}]'


def test_neighbours_of_other_types():
    """A guess about an item's type is only a guess."""
    values = [1, True, 0, False, 1.0, "1", None, [], {}, (), 2**64 - 1, 2**70, -1, "", 1.5, True, 1, 1, True]
    for start in range(len(values)):
        turned = values[start:] + values[:start]
        expected = json.dumps(turned, separators=(",", ":"))
        assert ujson.dumps(turned) == expected
        assert ujson.dumps({str(i): value for i, value in enumerate(turned)}) == json.dumps(
            {str(i): value for i, value in enumerate(turned)}, separators=(",", ":")
        )
        assert ujson.dumps([[value] for value in turned]) == json.dumps([[value] for value in turned], separators=(",", ":"))


@pytest.mark.parametrize("depth", [1, 15, 16, 17, 200, 1000])
def test_depth(depth):
    text = "[" * depth + "]" * depth
    assert ujson.dumps(ujson.loads(text)) == text
    text = '{"a":' * depth + "1" + "}" * depth
    assert ujson.dumps(ujson.loads(text)) == text


def test_too_deep_in_default():
    """What is left open when the encoder gives up is closed."""
    endless = []
    endless.append({"a": (endless,)})
    with pytest.raises(OverflowError, match="Maximum recursion level reached"):
        ujson.dumps(endless)


def test_items_that_disappear():
    items = [object(), 2, 3]

    def empty(_):
        items.clear()

    with pytest.raises(IndexError):
        ujson.dumps({"a": [items, 1], "b": 2}, default=empty)

    members = {"a": object(), "b": 1}

    def delete(_):
        del members["b"]

    with pytest.raises(KeyError):
        ujson.dumps([members, 1], default=delete)


def test_an_exception_stays_the_first():
    class Key:
        def __str__(self):
            raise LookupError("no name")

    with pytest.raises(LookupError, match="no name"):
        ujson.dumps([{Key(): 1}, 1, object()])


def test_default_may_give_containers():
    assert ujson.dumps([{1}, 1.5], default=sorted) == "[[1],1.5]"
    assert ujson.dumps(object(), default=lambda _: {"a": (1,)}) == '{"a":[1]}'
    assert ujson.dumps({"a": {3}}, default=lambda _: "ä", ensure_ascii=False) == '{"a":"ä"}'


@pytest.mark.parametrize("name, content, expected", [("toDict", {}, "{}"), ("toDict", {"a": [{}]}, '{"a":[{}]}'), ("__json__", "[]", "[]")])
def test_default_may_give_what_tells_itself(name, content, expected):
    replacement = type("Replacement", (), {name: lambda self: content})
    assert ujson.dumps(object(), default=lambda _: replacement()) == expected
    assert ujson.dumps([object()], default=lambda _: replacement()) == f"[{expected}]"


@pytest.mark.parametrize("buffer", [b"[1, 2]", bytearray(b"[1, 2]"), memoryview(b"[1, 2]"), array.array("b", b"[1, 2]")])
def test_buffers(buffer):
    assert ujson.loads(buffer) == [1, 2]


@pytest.mark.parametrize("other", [None, 1, [91, 93], object()])
def test_no_buffers(other):
    with pytest.raises(TypeError, match="Expected string or C-contiguous bytes-like object"):
        ujson.loads(other)


@pytest.mark.parametrize("text", ["", "a", "ä", "ÿ", "Ā", "\uffff", "\U00010000", "a" * 512, "a" * 513, "ä" * 5000, "a\0b"])
def test_strings_of_every_width(text):
    quoted = json.dumps(text)
    assert ujson.loads(quoted) == text
    assert ujson.loads(json.dumps([text, {text: text}], ensure_ascii=False)) == [text, {text: text}]
    assert ujson.loads(ujson.dumps(text)) == text
    assert ujson.loads(ujson.dumps(text, ensure_ascii=False)) == text


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ujson.loads(), "obj|argument"),
        (lambda: ujson.loads("1", "2"), r"loads\(\) takes at most 1 argument\(s\) \(2 given\)"),
        (lambda: ujson.loads("1", object=1), r"'object' is an invalid keyword argument for loads\(\)"),
        (lambda: ujson.loads("1", obj="2"), r"argument for loads\(\) given by name \('obj'\) and position \(1\)"),
        (lambda: ujson.dumps(), "obj|argument"),
        (lambda: ujson.dumps(1, objekt=2), r"'objekt' is an invalid keyword argument for dumps\(\)"),
        (lambda: ujson.dumps(1, indent="2"), "int"),
        (lambda: ujson.dump(1), r"dump\(\) takes 2 positional arguments, an object and a file \(1 given\)"),
        (lambda: ujson.dump(1, None), "expected file"),
        (lambda: ujson.load(), "argument"),
        (lambda: ujson.load(None), "expected file"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_arguments_by_keyword():
    assert ujson.loads(obj="[1]") == [1]
    assert ujson.dumps(obj=["ä"], ensure_ascii=False) == '["ä"]'
    assert ujson.encode([1]) == ujson.dumps([1]) and ujson.decode("[1]") == [1]


def test_a_flag_that_fails():
    class Flag:
        def __bool__(self):
            raise LookupError

    with pytest.raises(LookupError):
        ujson.dumps([], sort_keys=Flag())


def test_names():
    assert (ujson.__name__, ujson.JSONDecodeError.__module__) == ("ujson", "ujson")
    assert ujson.__version__.count(".") == 2
