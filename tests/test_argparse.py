"""Positional arguments as C values: HPyArg_Parse and the units of formats (include/hpy/runtime/argparse.h)."""

import math
import struct
import sys

import pytest
from argument_slots import NULL, OPTIONAL, PARSING, UNITS, UNTOUCHED, encoded
from raising import failure


class Index:
    """Not an int, but usable as one."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Float:
    """Not a float, but usable as one, and neither true nor false."""

    def __init__(self, value):
        self.value = value

    def __float__(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def __bool__(self):
        raise LookupError("who knows")


@pytest.fixture(params=[False, True], ids=["plain", "tracked"])
def parse(snippet, request):
    """parse(format, *arguments): the variables, as a tuple. With a tracker or without, the results are the same."""
    mod = snippet(PARSING)
    return lambda fmt, *args: mod.positional(encoded(fmt), args, request.param)


LONG = 8 * struct.calcsize("l")
RANGES = {
    "b": (0, 2**8 - 1),
    "h": (-(2**15), 2**15 - 1),
    "i": (-(2**31), 2**31 - 1),
    "l": (-(2 ** (LONG - 1)), 2 ** (LONG - 1) - 1),
    "L": (-(2**63), 2**63 - 1),
    "n": (-sys.maxsize - 1, sys.maxsize),
}
BITS = {"B": 8, "H": 16, "I": 32, "k": LONG, "K": 64}
INTEGERS = [*RANGES, *BITS]
BY_INDEX = [unit for unit in INTEGERS if unit != "n"]


@pytest.mark.parametrize("unit", RANGES)
def test_range_is_that_of_the_c_type(parse, unit):
    low, high = RANGES[unit]
    for value in (low, low + 1, 0, 1, high - 1, high):
        assert parse(unit, value) == (value,)
    for value in (low - 1, high + 1, -(10**30), 10**30):
        with pytest.raises(OverflowError):
            parse(unit, value)


@pytest.mark.parametrize(
    "unit, what",
    [("b", "unsigned byte integer"), ("h", "signed short integer"), ("i", "signed integer")],
)
def test_overflow_says_on_which_side(parse, unit, what):
    low, high = RANGES[unit]
    assert failure(parse, unit, low - 1) == (OverflowError, f"function {what} is less than minimum")
    assert failure(parse, unit, high + 1) == (OverflowError, f"function {what} is greater than maximum")
    assert failure(parse, unit + ":name", low - 1) == (OverflowError, f"name() {what} is less than minimum")
    assert failure(parse, unit + ";message", high + 1) == (OverflowError, "message")


def test_minus_1_is_a_value(parse):
    assert parse("hilLn", -1, -1, -1, -1, -1) == (-1, -1, -1, -1, -1)
    assert parse("kKfd", -1, -1, -1, -1.0) == (2**LONG - 1, 2**64 - 1, -1.0, -1.0)


@pytest.mark.parametrize("unit", BITS)
def test_only_the_lowest_bits_count(parse, unit):
    end = 2 ** BITS[unit]
    for value in (0, 1, end // 2, end - 1, end, end + 42, 5 * 2**200 + 3, -1, -end // 2, -end + 1, -(2**200) - 1):
        assert parse(unit, value) == (value % end,)


@pytest.mark.parametrize("unit", INTEGERS)
def test_subclasses_of_int_are_ints(parse, unit):
    class Liar(int):
        def __index__(self):
            return 99

        __int__ = __index__

    assert parse(unit, True) == (1,)
    assert parse(unit, Liar(8)) == (8,)


@pytest.mark.parametrize("unit", BY_INDEX)
def test_index_is_asked(parse, unit):
    assert parse(unit, Index(42)) == (42,)
    assert failure(parse, unit + ";other", Index(LookupError("not today"))) == (LookupError, "not today")


@pytest.mark.differs("0.9.0: does not ask __index__ for a size")
def test_index_is_asked_for_a_size(parse):
    assert parse("n", Index(42)) == (42,)
    assert failure(parse, "n", Index(LookupError("not today"))) == (LookupError, "not today")
    assert failure(parse, "n", Index(2**70))[0] is OverflowError


@pytest.mark.parametrize("unit", INTEGERS)
def test_integers_take_no_other_object(parse, unit):
    # CPython 3.9 still asks __int__ where it asks __index__.
    floats = [1.0] if unit == "n" or sys.version_info >= (3, 10) else []
    for value in ("1", b"1", None, object(), *floats):
        with pytest.raises(TypeError):
            parse(unit, value)


def test_double_is_the_same_float(parse):
    for value in (0.1, -2.5, sys.float_info.max, 5e-324, math.inf, -math.inf):
        assert parse("d", value) == (value,)
    assert math.copysign(1, parse("d", -0.0)[0]) == -1
    assert math.isnan(parse("d", math.nan)[0])


def test_float_is_rounded_to_single_precision(parse):
    for value in (0.1, -2.5, 1e-45, 3e38, math.inf, 16777217.0):
        assert parse("f", value) == struct.unpack("f", struct.pack("f", value))
    assert parse("f", 1e-60) == (0.0,)
    assert math.isnan(parse("f", math.nan)[0])


@pytest.mark.parametrize("unit", "fd")
def test_floats_are_made_of_what_converts(parse, unit):
    assert parse(unit, 3) == (3.0,)
    assert parse(unit, True) == (1.0,)
    assert parse(unit, Float(0.5)) == (0.5,)
    assert parse(unit, Index(4)) == (4.0,)
    assert failure(parse, unit, Float(LookupError("not today"))) == (LookupError, "not today")
    with pytest.raises(OverflowError):
        parse(unit, 10**400)
    for value in ("1", b"1", None, 1j, Float("1")):
        with pytest.raises(TypeError):
            parse(unit, value)


def test_truth_of_any_object(parse):
    for value in (1, -1, "0", [0], object(), 0.5, math.nan):
        assert parse("p", value) == (1,)
    for value in (0, "", [], {}, None, False, 0.0):
        assert parse("p", value) == (0,)
    assert failure(parse, "p", Float(1.0)) == (LookupError, "who knows")


def test_text_is_utf8(parse):
    class Text(str):
        def __str__(self):
            return "another"

    for value in ("", "plain", "größer €😀", "x" * 100000):
        assert parse("s", value) == (value,)
    assert parse("s", Text("text")) == ("text",)


def test_text_is_made_of_str_only(parse):
    for value in (b"text", bytearray(b"text"), None, 1, object()):
        assert failure(parse, "s", value) == (TypeError, "function a str is required")


@pytest.mark.differs("0.9.0: SystemError for text that is no UTF-8")
def test_text_that_c_cannot_have(parse):
    for value in ("\0", "a\0b", "end\0"):
        assert failure(parse, "s", value) == (ValueError, "function embedded null character")
    assert failure(parse, "s:name", "\ud800")[0] is UnicodeEncodeError


def test_object_is_the_argument_itself(parse):
    value = object()
    assert parse("OO", value, None) == (value, None)


@pytest.mark.parametrize("unit", OPTIONAL)
def test_missing_optional_argument_leaves_the_variable_alone(parse, unit):
    assert parse("|" + unit) == (UNTOUCHED[unit],)
    assert parse("|" + unit, NULL) == (UNTOUCHED[unit],)
    assert parse("l|O" + unit, 1, "given") == (1, "given", UNTOUCHED[unit])


@pytest.mark.parametrize("unit", UNITS)
def test_missing_argument(parse, unit):
    expected = (TypeError, "function required positional argument missing")
    assert failure(parse, unit) == expected
    assert failure(parse, unit, NULL) == expected
    assert failure(parse, "O" + unit + "|O", 1) == expected


def test_optional_arguments_that_are_given(parse):
    assert parse("|lO", 1, 2) == (1, 2)
    assert parse("l|lO", 1, 2) == (1, 2, NULL)
    assert parse("l||ll|", 1, 2) == (1, 2, 7)
    assert parse("l|ll", 1, NULL, 3) == (1, 7, 3)
    with pytest.raises(TypeError):
        parse("|l", "1")


def test_too_many_arguments(parse):
    expected = (TypeError, "function mismatched args (too many arguments for fmt)")
    assert failure(parse, "", 1) == expected
    assert failure(parse, "OO", 1, 2, 3) == expected
    assert failure(parse, "O|O", 1, 2, NULL) == expected


def test_no_arguments(parse):
    for fmt in ("", ":name", ";message", "|", "|:name"):
        assert parse(fmt) == ()


def test_arguments_come_in_the_order_of_the_units(parse):
    assert parse("bBhHiIlkLKnfdpsO", *range(1, 12), 0.5, 0.25, "true", "text", None) == (
        *range(1, 12), 0.5, 0.25, 1, "text", None
    )  # fmt: skip
    assert parse("sOdlpKfnsOdlpKfnsOdlpKfn", *("text", None, 0.5, -1, "", 2**64 - 1, 0.25, -2) * 3) == (
        *("text", None, 0.5, -1, 0, 2**64 - 1, 0.25, -2) * 3,
    )
    for n in range(15, 20):
        assert parse("l" * n, *range(n)) == tuple(range(n))
        assert parse("|" + "l" * n, *range(n - 10)) == (*range(n - 10), *[7] * 10)


@pytest.mark.parametrize(
    "end, expected",
    [
        ("", "function required positional argument missing"),
        (":", "() required positional argument missing"),
        (":name", "name() required positional argument missing"),
        (":größe", "größe() required positional argument missing"),
        (":a;b:c", "a;b:c() required positional argument missing"),
        (":%s%n", "%s%n() required positional argument missing"),
        (":" + "n" * 200, "n" * 200 + "() required positional argument missing"),
        (":" + "n" * 300, "n" * 200 + "() required positional argument missing"),
        (":" + "é" * 150, "é" * 100 + "() required positional argument missing"),
        (";", ""),
        (";a message", "a message"),
        (";a:b;c", "a:b;c"),
        (";%s%n", "%s%n"),
        (";" + "m" * 511, "m" * 511),
        (";" + "m" * 600, "m" * 511),
    ],
)
def test_format_says_what_messages_say(parse, end, expected):
    assert failure(parse, "ll" + end, 1) == (TypeError, expected)


@pytest.mark.differs("0.9.0: cuts a character in two")
def test_long_names_and_messages_are_cut_between_characters(parse):
    rest = "() required positional argument missing"
    assert failure(parse, "l:n" + "é" * 150) == (TypeError, "n" + "é" * 99 + rest)
    assert failure(parse, "l;" + "€" * 300) == (TypeError, "€" * 170)
    assert failure(parse, "l;m" + "😀" * 300) == (TypeError, "m" + "😀" * 127)


def shown(byte):
    return chr(byte) if byte < 128 else f"\\x{byte:02x}"


# What only CPython has begins with these, or has the last four behind it.
OF_CPYTHON = b"zyuwecCDSUY(#*!&"


@pytest.mark.differs("0.9.0: does not name the unit")
@pytest.mark.misuse("format strings that are wrong")
def test_units_that_do_not_exist(parse):
    for byte in set(range(1, 256)) - set(b"".join(map(str.encode, UNITS))) - set(b"|:;" + OF_CPYTHON):
        unit = bytes([byte])
        text = f"function unknown arg format code '{shown(byte)}' in '{shown(byte)}'"
        assert failure(parse, unit, 1) == (SystemError, text), byte
        assert failure(parse, b"|" + unit)[0] is SystemError, byte
        # Functions with a name have the message of 0.9.
        assert failure(parse, b"Op" + unit + b"O:", 1, 2, 3, 4) == (SystemError, "() unknown arg format code")


@pytest.mark.differs("0.9.0: does not know them, and writes what comes before them")
@pytest.mark.misuse("format strings that are wrong")
@pytest.mark.parametrize(
    "unit, instead",
    [
        ("s#", "HPyUnicode_AsUTF8AndSize"),
        ("s*", "HPyBytes_AsString"),
        ("z", "unless it is None"),
        ("z#", "HPyUnicode_AsUTF8AndSize"),
        ("y", "HPyBytes_AsString"),
        ("y*", "HPyBytes_AsString"),
        ("w*", "HPyBytes_AsString"),
        ("u", "HPyUnicode_AsUTF8AndSize"),
        ("es", "HPyUnicode_AsUTF8AndSize"),
        ("et#", "HPyUnicode_AsUTF8AndSize"),
        ("S", "HPyBytes_Check"),
        ("U", "HPyUnicode_Check"),
        ("Y", "check the type"),
        ("c", "HPyBytes_AsString"),
        ("C", "HPyUnicode_ReadChar"),
        ("D", "real and imag"),
        ("O!", "HPy_TypeCheck"),
        ("O&", "converter"),
        ("(OO)", "HPy_GetItem_i"),
    ],
)
def test_units_that_only_cpython_has(parse, unit, instead):
    told = unit.rstrip("#") if unit.startswith("e") else unit[:1] if unit.startswith("(") else unit
    for fmt in (unit, unit + ":name", unit + ";message", "|" + unit, "l" + unit, unit + "l"):
        for count in range(4):
            kind, text = failure(parse, fmt, *[1] * count)
            assert kind is SystemError and f"'{told}'" in text and instead in text, (fmt, text)
            assert text.startswith("name() " if ":name" in fmt else "function ")


@pytest.mark.misuse("format strings that are wrong")
@pytest.mark.differs("0.9.0: finds it when it gets there")
def test_a_format_is_looked_through_before_arguments_are(parse):
    for fmt in ("Z:name", "lZ:name", "l|Z:name"):
        for args in ((), ("x",), (1,)):
            assert failure(parse, fmt, *args) == (SystemError, "name() unknown arg format code")


@pytest.mark.differs("0.9.0: crashes")
@pytest.mark.misuse("no format")
def test_no_format(parse):
    assert failure(parse, None, 1)[0] is SystemError


@pytest.mark.parametrize(
    "fmt",
    ["O", "OO", "|O", "pO", "sO", "Ol", pytest.param("OZ", marks=pytest.mark.misuse("no unit")), "fO", "O;message"],
)
def test_parsing_keeps_no_reference(parse, fmt):
    objects = [object(), object(), "".join(["a new ", "str"])]
    calls = [objects, objects[:1], objects[:2], objects[2:], objects[::-1]]
    before = [sys.getrefcount(it) for it in objects]
    for args in calls * 20:
        try:
            parse(fmt, *args)
        except (TypeError, SystemError):
            pass
    args = None
    assert [sys.getrefcount(it) for it in objects] == before
