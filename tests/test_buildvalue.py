"""Python values from C values: HPy_BuildValue (include/hpy/runtime/buildvalue.h)."""

import math
import struct
import sys

import pytest
from raising import failure

LONG = 8 * struct.calcsize("l")
SIZE = 8 * struct.calcsize("P")

# A format, arguments in C, and what is built.
VALUES = [
    ('""', "", None),
    ('" , "', "", None),
    ('"i"', "INT_MIN", -(2**31)),
    ('"i"', "INT_MAX", 2**31 - 1),
    ('"i"', "(short)-1", -1),
    ('"i"', "'A'", 65),
    ('"I"', "UINT_MAX", 2**32 - 1),
    ('"l"', "LONG_MIN", -(2 ** (LONG - 1))),
    ('"l"', "LONG_MAX", 2 ** (LONG - 1) - 1),
    ('"k"', "ULONG_MAX", 2**LONG - 1),
    ('"L"', "LLONG_MIN", -(2**63)),
    ('"L"', "LLONG_MAX", 2**63 - 1),
    ('"K"', "ULLONG_MAX", 2**64 - 1),
    ('"n"', "HPY_SSIZE_T_MIN", -(2 ** (SIZE - 1))),
    ('"n"', "HPY_SSIZE_T_MAX", 2 ** (SIZE - 1) - 1),
    ('"iIlkLKn"', "0, 0u, 0l, 0ul, 0ll, 0ull, (HPy_ssize_t)0", (0,) * 7),
    ('"ilLn"', "-1, -1l, -1ll, (HPy_ssize_t)-1", (-1,) * 4),
    ('"f"', "0.1f", struct.unpack("f", struct.pack("f", 0.1))[0]),
    ('"d"', "0.1", 0.1),
    ('"d"', "DBL_MAX", sys.float_info.max),
    ('"(fd)"', "-INFINITY, INFINITY", (-math.inf, math.inf)),
    ('"s"', '""', ""),
    ('"s"', 'u8"größer €😀"', "größer €😀"),
    ('"s,s"', '"one", "two"', ("one", "two")),
    # Brackets
    ('"()"', "", ()),
    ('"[]"', "", []),
    ('"{}"', "", {}),
    ('"{ }"', "", {}),
    ('"(i)"', "1", (1,)),
    ('"(i,)"', "1", (1,)),
    ('"[i]"', "1", [1]),
    ('"[i,]"', "1", [1]),
    ('"[ii,i]"', "1, 2, 3", [1, 2, 3]),
    ('"(())"', "", ((),)),
    ('"()[]{}"', "", ((), [], {})),
    ('"[(),{},[]]"', "", [(), {}, []]),
    ('"{s:i}"', '"a", 1', {"a": 1}),
    ('"{s:i,s:i}"', '"a", 1, "b", 2', {"a": 1, "b": 2}),
    ('"{s:i,s:i,}"', '"a", 1, "b", 2', {"a": 1, "b": 2}),
    ('"{ s:i , s:i , }"', '"a", 1, "b", 2', {"a": 1, "b": 2}),
    ('"{s:i,s:i}"', '"a", 1, "a", 2', {"a": 2}),
    ('"{(is):[i{i:(d)}]}"', '1, "a", 2, 3, 4.5', {(1, "a"): [2, {3: (4.5,)}]}),
    ('"{():()}"', "", {(): ()}),
    ('"i(i[i{i:i}i]i)i"', "1, 2, 3, 4, 5, 6, 7, 8", (1, (2, [3, {4: 5}, 6], 7), 8)),
    # What stands behind a unit
    ('"i,"', "1", 1),
    ('"i, "', "1", 1),
    ('"ii,"', "1, 2", (1, 2)),
    ('"i,i"', "1, 2", (1, 2)),
    # Arguments in registers and on the stack
    ('"idsidsidsidsidsidsidsids"', ", ".join(['1, 2.5, "x"'] * 8), (1, 2.5, "x") * 8),
    ('"[iiiiiiiiiiiiiii]"', ", ".join(map(str, range(15))), list(range(15))),
    ('"[iiiiiiiiiiiiiiii]"', ", ".join(map(str, range(16))), list(range(16))),
    ('"[iiiiiiiiiiiiiiiii]"', ", ".join(map(str, range(17))), list(range(17))),
    ('"(' + "dl" * 50 + ')"', ", ".join(f"{i}.5, {i}l" for i in range(50)), tuple(
        it for i in range(50) for it in (i + 0.5, i))),
]  # fmt: skip

BUILDING = """
    #include <float.h>
    #include <limits.h>
    #include <math.h>
""" + "\n".join(
    f"FUNC_NOARGS(value_{i}) {{ return HPy_BuildValue(ctx, {fmt}{', ' * bool(args)}{args}); }}"
    for i, (fmt, args, _) in enumerate(VALUES)
)


@pytest.mark.parametrize("index", range(len(VALUES)), ids=lambda index: VALUES[index][0].strip('"')[:20])
def test_value(snippet, index):
    value = getattr(snippet(BUILDING), f"value_{index}")()
    assert value == VALUES[index][2]
    assert type(value) is type(VALUES[index][2])


def test_not_a_number(snippet):
    mod = snippet("""
        #include <math.h>
        FUNC_NOARGS(f) { return HPy_BuildValue(ctx, "f", NAN); }
    """)
    assert math.isnan(mod.f())


DYNAMIC = """
    static const char *format_of(HPyContext *ctx, HPy h)
    {
        return HPy_Is(ctx, h, ctx->h_None) ? NULL : HPyBytes_AsString(ctx, h);
    }
    /* For formats with no other unit than i. */
    FUNC_O(ints) { return HPy_BuildValue(ctx, format_of(ctx, arg), 1, 2, 3, 4, 5, 6, 7, 8); }

    /* For formats with no other units than O and S: objects(format, pending, six objects); Ellipsis is null. */
    static HPy or_null(HPyContext *ctx, HPy h) { return HPy_Is(ctx, h, ctx->h_Ellipsis) ? HPy_NULL : h; }
    #define OBJECT(I) or_null(ctx, args[2 + I])
    FUNC_VARARGS(objects)
    {
        const char *fmt = format_of(ctx, args[0]);
        if (HPy_IsTrue(ctx, args[1]))
            HPyErr_SetString(ctx, ctx->h_LookupError, "before");
        return HPy_BuildValue(ctx, fmt, OBJECT(0), OBJECT(1), OBJECT(2), OBJECT(3), OBJECT(4), OBJECT(5));
    }

    FUNC_O(text) { return HPy_BuildValue(ctx, "s", format_of(ctx, arg)); }
    FUNC_O(text_in_list) { return HPy_BuildValue(ctx, "[is]", 1, format_of(ctx, arg)); }
    FUNC_O(text_with_pending)
    {
        HPyErr_SetString(ctx, ctx->h_LookupError, "before");
        return HPy_BuildValue(ctx, "s", format_of(ctx, arg));
    }
"""


@pytest.fixture
def mod(snippet):
    return snippet(DYNAMIC)


@pytest.fixture
def build(mod):
    """build(format, objects...), for formats with O and S."""

    def build(fmt, *objects, pending=False):
        return mod.objects(fmt.encode(), pending, *objects, *[None] * (6 - len(objects)))

    return build


IN_FORMAT = " in the format string passed to HPy_BuildValue"
TEXT_OF_0_9 = pytest.mark.differs("0.9.0: says that '[' is unmatched")
IGNORED = pytest.mark.differs("0.9.0: ignores the rest of the format")


@pytest.mark.parametrize(
    "fmt, expected",
    [
        ("(", "unmatched '('"),
        ("[", "unmatched '['"),
        ("{", "unmatched '{'"),
        ("(i", "unmatched '('"),
        ("[i", "unmatched '['"),
        ("{i:i", "unmatched '{'"),
        ("i(", "unmatched '('"),
        ("i[i", "unmatched '['"),
        ("((i)", "unmatched '('"),
        ("(i[i)", "unmatched '('"),
        ("()]", "unmatched '('"),
        ("(i]", "unmatched '('"),
        ("(i}", "unmatched '('"),
        ("[i)", "unmatched '['"),
        ("[i}", "unmatched '['"),
        ("[i,,]", "unmatched '['"),
        ("[i ]", "unmatched '['"),
        ("[,i]", "bad format char ','"),
        pytest.param("(,)", "unmatched '('", marks=TEXT_OF_0_9),
        pytest.param("(i,,)", "unmatched '('", marks=TEXT_OF_0_9),
        pytest.param("(i )", "unmatched '('", marks=TEXT_OF_0_9),
        pytest.param("(i][)", "unmatched '('", marks=TEXT_OF_0_9),
        pytest.param("i)(", "unmatched ')'", marks=IGNORED),
        pytest.param("i]i[", "unmatched ']'", marks=IGNORED),
        pytest.param("i, }i{", "unmatched '}'", marks=IGNORED),
        pytest.param(")(", "unmatched ')'", marks=IGNORED),
        ("{i}", "missing ':'"),
        ("{ii}", "missing ':'"),
        ("{i,i}", "missing ':'"),
        ("{i :i}", "missing ':'"),
        ("{i:}", "bad format char '}'"),
        ("{i: i}", "bad format char ' '"),
        ("{:i}", "bad format char ':'"),
        ("{i:ii:i}", "missing ','"),
        ("{i:i:i}", "missing ','"),
        ("{i:i i:i}", "missing ','"),
        ("{i:i)", "missing ','"),
        ("{i:i]", "missing ','"),
        ("{,}", "unexpected ','"),
        ("{i:i,,}", "unexpected ','"),
        ("{,i:i}", "unexpected ','"),
        ("{)", "bad format char ')'"),
        ("i i", "bad format char ' '"),
        (" i", "bad format char ' '"),
        (",i", "bad format char ','"),
        ("i,,i", "bad format char ','"),
        ("i:i", "bad format char ':'"),
        (":", "bad format char ':'"),
        ("[i:i]", "bad format char ':'"),
        ("Z", "bad format char 'Z'"),
        ("iZi", "bad format char 'Z'"),
        ("(i%)", "bad format char '%'"),
        ("{i:Z}", "bad format char 'Z'"),
        ("{Z:i}", "bad format char 'Z'"),
        ("#", "bad format char '#'"),
        ("\n", "bad format char '\n'"),
    ],
)
@pytest.mark.misuse("format strings that are wrong")
def test_format_that_is_wrong(mod, fmt, expected):
    assert failure(mod.ints, fmt.encode()) == (SystemError, expected + IN_FORMAT)


@pytest.mark.parametrize("fmt", ["i)", ")", "]", "}", "ii]", "ii)(", "ii)i("])
@pytest.mark.misuse("format strings that are wrong")
def test_bracket_that_closes_nothing(mod, fmt):
    assert failure(mod.ints, fmt.encode()) == (SystemError, "internal error in HPy_BuildValue")


@pytest.mark.misuse("format strings that are wrong")
def test_no_other_byte_is_a_unit(mod):
    others = set(range(1, 128)) - set(b"iIlkLKnfdsOSN()[]{}, ")
    for byte in others:
        expected = (SystemError, f"bad format char '{chr(byte)}'{IN_FORMAT}")
        assert failure(mod.ints, bytes([byte])) == expected
        assert failure(mod.ints, b"i[" + bytes([byte]) + b"]") == expected


@pytest.mark.differs("0.9.0: UnicodeDecodeError about its own message")
@pytest.mark.misuse("format strings that are wrong")
def test_format_that_is_not_ascii(mod):
    for byte in range(128, 256):
        expected = (SystemError, f"bad format char '\\x{byte:x}'{IN_FORMAT}")
        assert failure(mod.ints, bytes([byte])) == expected
        assert failure(mod.ints, b"(i" + bytes([byte]) + b")") == expected


@pytest.mark.misuse("format strings that are wrong")
def test_unit_that_would_steal_is_refused(build):
    expected = (
        "HPy_BuildValue does not support the 'N' formatting unit. Instead, use the 'O' formatting unit and manually "
        "close the handle in the caller if necessary. HPy API functions never 'steal' handles and always make a "
        "duplicate handle if needed, the 'ownership' of the original handle is never 'transferred'. "
    )
    for fmt in ("N", "ON", "[N]", "{N:O}", "{O:N}"):
        assert failure(build, fmt, 1, 2) == (SystemError, expected)


@pytest.mark.differs("0.9.0: crashes")
@pytest.mark.misuse("format strings that are wrong")
def test_no_format(mod):
    assert failure(mod.ints, None)[0] is SystemError


@pytest.mark.differs("0.9.0: crashes")
@pytest.mark.misuse("format strings that are wrong")
def test_no_text(mod):
    expected = (SystemError, "NULL string passed to HPy_BuildValue")
    assert failure(mod.text, None) == expected
    assert failure(mod.text_in_list, None) == expected
    assert failure(mod.text_with_pending, None) == (LookupError, "before")


@pytest.mark.misuse("format strings that are wrong")
def test_text_that_is_not_utf8(mod):
    for text in (b"\xff", b"a\xc3", b"\xed\xa0\x80"):
        assert failure(mod.text, text)[0] is UnicodeDecodeError
        assert failure(mod.text_in_list, text)[0] is UnicodeDecodeError


NESTED = [(b"(", b")"), (b"[", b"]"), (b"{i:", b"}")]


@pytest.mark.parametrize("opening, closing", NESTED)
def test_nesting(mod, opening, closing):
    value = mod.ints(opening * 7 + b"i" + closing * 7)
    for i in range(7):
        assert len(value) == 1
        value = value[i + 1] if opening == b"{i:" else value[0]
    assert value == (8 if opening == b"{i:" else 1)
    deepest = mod.ints(b"[" * 200 + b"]" * 200)
    assert str(deepest) == "[" * 200 + "]" * 200


@pytest.mark.differs("0.9.0: builds it, or overflows the stack")
@pytest.mark.parametrize("opening, closing", [(b"(", b")"), (b"[", b"]"), (b"{():", b"}"), (b"{():[(", b")]}")])
@pytest.mark.misuse("format strings that are wrong")
def test_nesting_that_is_too_deep(mod, opening, closing):
    expected = (SystemError, "too many nested brackets" + IN_FORMAT)
    for depth in (201, 1000, 100_000):
        assert failure(mod.ints, opening * depth + closing * depth) == expected


@pytest.mark.parametrize("unit", "OS")
def test_object_is_the_same_object(build, unit):
    value = object()
    assert build(unit, value) is value
    for fmt in (f"({unit})", f"[{unit}]", f"{unit}O"):
        assert build(fmt, value)[0] is value
    made = build(f"{{{unit}:{unit}}}", value, value)
    assert list(made) == [value]
    assert made[value] is value


@pytest.mark.parametrize("fmt", ["O", "S", "OO", "(OO)", "[O]", "{O:O}", "((O))"])
@pytest.mark.misuse("format strings that are wrong")
def test_null_object(build, fmt):
    expected = (SystemError, "HPy_NULL object passed to HPy_BuildValue")
    count = fmt.count("O") + fmt.count("S")
    for position in range(count):
        objects = [1] * count
        objects[position] = ...
        assert failure(build, fmt, *objects) == expected
        assert failure(build, fmt, *objects, pending=True) == (LookupError, "before")


class Unfriendly:
    """A key that can be hashed but not compared."""

    def __hash__(self):
        return hash("key")

    def __eq__(self, other):
        raise LookupError("not today")


def test_keys_that_dicts_refuse(mod, build):
    with pytest.raises(TypeError):
        build("{O:O}", [], 1)
    with pytest.raises(TypeError):
        mod.ints(b"i{i:i,[i]:i}")
    assert failure(build, "{O:O,O:O}", "key", 1, Unfriendly(), 2) == (LookupError, "not today")


@pytest.mark.parametrize(
    "fmt",
    ["O", "S", "OO", "(OO)", "[OO]", "{O:O,O:O}", "([OO]{O:O})", "{O:(O)}",
     "OOZ", "(OOZ)", "[OO", "{OO}", "{O:O", "{O:Z}", "{O:OO}", "{O:O)", "{O:O,[O]:O}", "(OO,,)", "[OO,,]", "ON",
     "{O:[OZ]}", "OO)("],
)  # fmt: skip
@pytest.mark.misuse("format strings that are wrong")
def test_building_keeps_no_reference(build, fmt):
    objects = [object() for _ in range(6)]
    calls = [objects, [objects[0], ...], [*objects[:3], ...]]
    before = [sys.getrefcount(it) for it in objects]
    for args in calls * 50:
        try:
            build(fmt, *args)
        except (SystemError, TypeError):
            pass
    args = None
    assert [sys.getrefcount(it) for it in objects] == before
