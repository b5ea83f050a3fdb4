"""Objects: spec/functions/object.toml."""

import math
import operator
import sys

import pytest

COMPARISONS = {"LT": "lt", "LE": "le", "EQ": "eq", "NE": "ne", "GT": "gt", "GE": "ge"}
TEXT = ["Repr", "Str", "ASCII"]

SNIPPET = "\n".join(
    [f"FUNC_O({name}) {{ return HPy_{name}(ctx, arg); }}" for name in [*TEXT, "Bytes"]]
    + [
        f"""
        FUNC_VARARGS({name}) {{ return HPy_RichCompare(ctx, args[0], args[1], HPy_{name}); }}
        FUNC_VARARGS({name}_bool) {{
            int result = HPy_RichCompareBool(ctx, args[0], args[1], HPy_{name});
            return result == -1 ? HPy_NULL : HPyLong_FromInt32_t(ctx, result);
        }}
        """
        for name in COMPARISONS
    ]
    + [
        """
        FUNC_O(IsTrue) {
            int result = HPy_IsTrue(ctx, arg);
            return result == -1 ? HPy_NULL : HPyLong_FromInt32_t(ctx, result);
        }

        FUNC_O(Hash) {
            HPy_hash_t result = HPy_Hash(ctx, arg);
            return result == -1 ? HPy_NULL : HPyLong_FromSsize_t(ctx, result);
        }

        FUNC_O(Dump) {
            _HPy_Dump(ctx, arg);
            return NONE;
        }

        FUNC_O(Dump_pending) {
            HPyErr_SetString(ctx, ctx->h_LookupError, "pending");
            _HPy_Dump(ctx, arg);
            return HPy_NULL;
        }
        """
    ]
)


@pytest.fixture
def mod(snippet):
    return snippet(SNIPPET)


def with_methods(base=object, **results):
    """An object whose special methods give these results, or raise them."""

    def method(result):
        def give(self, *args):
            if isinstance(result, Exception):
                raise result
            return result

        return give

    return type("Special", (base,), {f"__{name}__": method(result) for name, result in results.items()})()


FAILURE = LookupError("not today")


class Text(str):
    pass


@pytest.mark.parametrize("value, expected", [
    (True, 1), (None, 0), (0.0, 0), (math.nan, 1), ("", 0), ([0], 1), (object(), 1), (with_methods(bool=False), 0),
    (with_methods(len=0), 0), (with_methods(len=7), 1), (with_methods(bool=True, len=0), 1),
])  # fmt: skip
def test_truth(mod, value, expected):
    assert mod.IsTrue(value) == expected


@pytest.mark.parametrize("value, error", [
    (with_methods(bool=FAILURE), LookupError), (with_methods(bool=FAILURE, len=1), LookupError),
    (with_methods(len=FAILURE), LookupError), (with_methods(bool=1), TypeError), (with_methods(len="1"), TypeError),
    (with_methods(len=-1), ValueError),
])  # fmt: skip
def test_truth_that_fails(mod, value, error):
    with pytest.raises(error):
        mod.IsTrue(value)


SPECIAL = with_methods(repr="r\xe9pr", str="str\u20ac")


@pytest.mark.parametrize("name, value, expected", [
    ("Repr", "it's", '"it\'s"'), ("Repr", [1, "\xe9"], "[1, '\xe9']"), ("Repr", SPECIAL, "r\xe9pr"),
    ("Str", 2**70, "1180591620717411303424"), ("Str", [1, "\xe9"], "[1, '\xe9']"), ("Str", SPECIAL, "str\u20ac"),
    ("Str", with_methods(repr="only repr"), "only repr"),
    ("Str", with_methods(Text, str="overridden"), "overridden"),
    ("ASCII", "a\xe9\u20ac\U0001f40d\n", r"'a\xe9\u20ac\U0001f40d\n'"), ("ASCII", SPECIAL, r"r\xe9pr"),
])  # fmt: skip
def test_text(mod, name, value, expected):
    result = getattr(mod, name)(value)
    assert result == expected
    assert type(result) is str


def test_str_of_a_plain_str_is_the_same_object(mod):
    text = "".join(["a", "fresh", "str"])
    before = sys.getrefcount(text)
    assert mod.Str(text) is text
    assert sys.getrefcount(text) == before


def test_str_of_a_subclass_is_plain(mod):
    assert mod.Str(Text("text")) == "text"
    assert type(mod.Str(Text("text"))) is str


@pytest.mark.parametrize("name", TEXT)
def test_text_that_fails(mod, name):
    with pytest.raises(LookupError, match="not today"):
        getattr(mod, name)(with_methods(repr=FAILURE))
    with pytest.raises(TypeError):
        getattr(mod, name)(with_methods(repr=b"bytes"))


def test_str_that_fails(mod):
    with pytest.raises(LookupError, match="not today"):
        mod.Str(with_methods(str=FAILURE, repr="r"))
    with pytest.raises(TypeError):
        mod.Str(with_methods(str=None, repr="r"))


def test_repr_of_a_list_that_holds_itself(mod):
    values = [1]
    values.append(values)
    assert mod.Repr(values) == "[1, [...]]"


@pytest.mark.parametrize("value, expected", [
    (bytearray(b"ab"), b"ab"), (memoryview(b"abcd")[::2], b"ac"), ([0, 255], b"\0\xff"), ((65, True), b"A\1"),
    (range(3), b"\0\1\2"), ({65: None}, b"A"), ([with_methods(index=66)], b"B"),
    (with_methods(bytes=b"xyz"), b"xyz"), (with_methods(bytearray, bytes=b"xyz"), b"xyz"),
    (with_methods(bytearray, iter=FAILURE), b""), (with_methods(int, bytes=b"xyz"), b"xyz"),
    (with_methods(str, bytes=b"xyz"), b"xyz"), (type("Sub", (bytes,), {})(b"sub"), b"sub"),
])  # fmt: skip
def test_bytes(mod, value, expected):
    result = mod.Bytes(value)
    assert result == expected
    assert type(result) is bytes


def test_bytes_of_a_generator(mod):
    assert mod.Bytes(number * 2 for number in range(4)) == b"\0\2\4\6"


def test_bytes_of_plain_bytes_is_the_same_object(mod):
    data = b"".join([b"fresh", b"bytes"])
    before = sys.getrefcount(data)
    assert mod.Bytes(data) is data
    assert sys.getrefcount(data) == before


@pytest.mark.parametrize("value, error", [
    (3, TypeError), (with_methods(index=3), TypeError), ("text", TypeError), (None, TypeError), (["a"], TypeError),
    ([1.0], TypeError), ([256], ValueError), ([-1], ValueError), ({2**100}, (ValueError, OverflowError)),
    (with_methods(bytes="text"), TypeError), (with_methods(bytes=FAILURE), LookupError),
    (with_methods(iter=FAILURE), LookupError), ([with_methods(index=FAILURE)], LookupError),
])  # fmt: skip
def test_bytes_that_fail(mod, value, error):
    with pytest.raises(error):
        mod.Bytes(value)


def test_bytes_of_a_list_that_its_item_empties(mod):
    class Emptying:
        def __index__(self):
            values.clear()
            return 65

    values = [Emptying(), 66, 67]
    assert mod.Bytes(values) == b"A"


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("left, right", [(1, 2), (2, 1), (2**70, 2.0**70), ("a", "b"), ([1, 2], [1]), ((), ())])
def test_comparison_of_values(mod, name, left, right):
    expected = getattr(operator, COMPARISONS[name])(left, right)
    assert getattr(mod, name)(left, right) is expected
    assert getattr(mod, f"{name}_bool")(left, right) == int(expected)


REFLECTED = {"LT": "GT", "LE": "GE", "EQ": "EQ", "NE": "NE", "GT": "LT", "GE": "LE"}


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparison_can_give_any_object(mod, name):
    answer = ["an answer"]
    left = with_methods(**{COMPARISONS[name]: answer})
    assert getattr(mod, name)(left, object()) is answer
    assert getattr(mod, name)(with_methods(**{COMPARISONS[name]: None}), 1) is None
    assert getattr(mod, f"{name}_bool")(left, object()) == 1
    assert getattr(mod, f"{name}_bool")(with_methods(**{COMPARISONS[name]: []}), 1) == 0


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparison_asks_the_right_side_when_the_left_does_not_know(mod, name):
    compare = getattr(mod, name)
    right = with_methods(**{COMPARISONS[REFLECTED[name]]: "right"})
    assert compare(object(), right) == "right"
    assert compare(with_methods(**{COMPARISONS[name]: NotImplemented}), right) == "right"
    left = with_methods(**{COMPARISONS[name]: "left"})
    assert compare(left, right) == "left"
    assert compare(left, with_methods(type(left), **{COMPARISONS[REFLECTED[name]]: "subclass"})) == "subclass"


@pytest.mark.parametrize("name", ["LT", "LE", "GT", "GE"])
def test_order_has_to_be_supported(mod, name):
    thing = object()
    for compare in (getattr(mod, name), getattr(mod, f"{name}_bool")):
        for right in (thing, object(), 1):
            with pytest.raises(TypeError):
                compare(thing, right)


def test_identity_decides_where_equality_is_not_supported(mod):
    thing = object()
    assert mod.EQ(thing, thing) is True
    assert mod.NE(thing, thing) is False
    assert mod.EQ(thing, object()) is False
    assert mod.NE(thing, object()) is True
    assert mod.EQ_bool(thing, object()) == 0
    assert mod.NE_bool(thing, object()) == 1


def test_truth_of_a_comparison_takes_identity_for_equality(mod):
    for value in (math.nan, with_methods(eq=FAILURE, ne=FAILURE)):
        assert mod.EQ_bool(value, value) == 1
        assert mod.NE_bool(value, value) == 0
    assert mod.EQ(math.nan, math.nan) is False
    assert mod.NE(math.nan, math.nan) is True
    for name in ("LE", "GE"):
        assert getattr(mod, f"{name}_bool")(math.nan, math.nan) == 0


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparison_that_fails(mod, name):
    failing = with_methods(**{COMPARISONS[name]: FAILURE})
    for compare in (getattr(mod, name), getattr(mod, f"{name}_bool")):
        with pytest.raises(LookupError, match="not today"):
            compare(failing, 1)
    without_truth = with_methods(**{COMPARISONS[name]: with_methods(bool=FAILURE)})
    getattr(mod, name)(without_truth, 1)
    with pytest.raises(LookupError, match="not today"):
        getattr(mod, f"{name}_bool")(without_truth, 1)


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparison_borrows_and_gives_a_new_result(mod, name):
    right, answer = object(), object()
    left = with_methods(**{COMPARISONS[name]: answer})
    before = [sys.getrefcount(thing) for thing in (left, right, answer)]
    for _ in range(50):
        getattr(mod, name)(left, right)
        getattr(mod, f"{name}_bool")(left, right)
    assert [sys.getrefcount(thing) for thing in (left, right, answer)] == before


def test_hash(mod):
    for value in (0, 2**61, "text", (1, "a"), None, object(), 0.5):
        assert mod.Hash(value) == hash(value)
    assert mod.Hash(with_methods(hash=12345)) == 12345


def test_hash_is_never_minus_one(mod):
    assert mod.Hash(-1) == -2
    assert mod.Hash(with_methods(hash=-1)) == -2


@pytest.mark.parametrize("value", [[], {}, bytearray(), ([],), with_methods(hash="1"), with_methods(eq=True)])
def test_hash_of_what_has_none(mod, value):
    with pytest.raises(TypeError):
        mod.Hash(value)


def test_hash_that_fails(mod):
    with pytest.raises(LookupError, match="not today"):
        mod.Hash(with_methods(hash=FAILURE))


def test_dump_writes_the_repr_to_stderr(mod, capfd):
    mod.Dump(with_methods(repr="a thing to see"))
    captured = capfd.readouterr()
    assert "a thing to see" in captured.err
    assert captured.out == ""


def test_dump_keeps_the_pending_exception(mod, capfd):
    for value in (with_methods(repr="fine"), with_methods(repr=FAILURE)):
        with pytest.raises(LookupError, match="^pending$"):
            mod.Dump_pending(value)


def test_dump_reports_no_error(mod, capfd):
    assert mod.Dump(with_methods(repr=FAILURE)) is None
