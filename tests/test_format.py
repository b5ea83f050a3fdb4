"""Text with values in it: HPyUnicode_FromFormat and the units of formats (include/hpy/runtime/format.h). Formats
that are wrong, and the other functions with formats, are in test_format_errors.py."""

import re

import pytest
from formatting import FORMATTING, INTEGERS, SIGNED, SIZE, UNSIGNED
from raising import failure


@pytest.fixture
def mod(snippet):
    return snippet(FORMATTING)


@pytest.fixture
def number(mod):
    """number(unit, value, flags): formats an integer. The unit can also be c or x, and have text behind it."""

    def number(unit, value, flags=""):
        function = getattr(mod, f"{unit if unit in INTEGERS else 'd'}_")
        return function(f"%{flags}{unit}".encode(), value)

    return number


@pytest.fixture
def text(mod):
    return lambda fmt, value: mod.text(fmt.encode(), value.encode())


@pytest.fixture
def object_(mod):
    return lambda fmt, value: mod.object(fmt.encode(), value)


def failure(function, *args):
    """The class and the text of the exception that a call raises."""
    with pytest.raises(Exception) as info:
        function(*args)
    return type(info.value), str(info.value)


@pytest.mark.parametrize("unit", SIGNED)
def test_signed_integers(number, unit):
    end = 2 ** (SIGNED[unit][2] - 1)
    for value in (0, 1, 9, 10, -1, -10, 123456, end - 1, -end):
        assert number(unit, value) == str(value)


@pytest.mark.parametrize("unit", UNSIGNED)
def test_unsigned_integers(number, unit):
    end = 2 ** UNSIGNED[unit][2]
    for value in (0, 1, 9, 10, 123456, end // 2, end - 1):
        assert number(unit, value) == str(value)


def test_hexadecimal_is_unsigned(number):
    for value in (0, 9, 10, 0x1234, 0x7ABCDEF0, 2**31 - 1):
        assert number("x", value) == f"{value:x}"
    assert number("x", -1) == "ffffffff"
    assert number("x", -(2**31)) == "80000000"


@pytest.mark.parametrize(
    "flags, positive, negative",
    [
        ("", "123", "-123"),
        ("0", "123", "-123"),
        ("1", "123", "-123"),
        ("3", "123", "-123"),
        ("4", " 123", "-123"),
        ("5", "  123", " -123"),
        ("05", "00123", "-0123"),
        ("04", "0123", "-123"),
        ("03", "123", "-123"),
        ("00", "123", "-123"),
        ("0006", "000123", "-00123"),
        (".0", "123", "-123"),
        (".", "123", "-123"),
        (".3", "123", "-123"),
        (".5", "00123", "-00123"),
        ("0.5", "00123", "-00123"),
        ("5.5", "00123", "-00123"),
        ("05.5", "00123", "-00123"),
        ("6.5", " 00123", "-00123"),
        ("7.5", "  00123", " -00123"),
        ("07.5", "0000123", "-000123"),
        ("5.7", "0000123", "-0000123"),
        ("10.4", "      0123", "     -0123"),
        ("010.4", "0000000123", "-000000123"),
        ("4.", " 123", "-123"),
        ("300", " " * 297 + "123", " " * 296 + "-123"),
        ("0300", "0" * 297 + "123", "-" + "0" * 296 + "123"),
        (".300", "0" * 297 + "123", "-" + "0" * 297 + "123"),
    ],
)
def test_width_and_precision_of_numbers(number, flags, positive, negative):
    for unit in SIGNED:
        assert (number(unit, 123, flags), number(unit, -123, flags)) == (positive, negative)
    for unit in UNSIGNED:
        assert number(unit, 123, flags) == positive
    assert number("x", 0x123, flags) == positive


def test_zero_has_a_digit_whatever_the_precision(number):
    assert number("d", 0, ".0") == "0"
    assert number("u", 0, "3.0") == "  0"
    assert number("x", 0, "03.2") == "000"


def test_long_padding(number):
    assert number("d", -1, "100000") == " " * 99998 + "-1"
    assert number("lld", -1, ".100000") == "-" + "0" * 99999 + "1"


def test_character(number):
    for code_point in (1, 10, 37, 65, 127):
        assert number("c", code_point) == chr(code_point)


@pytest.mark.differs("0.9.0: writes the lowest byte only")
def test_character_that_is_not_ascii(number):
    for code_point in (0x80, 0xE9, 0x7FF, 0x800, 0x20AC, 0xFFFF, 0x10000, 0x1F600, 0x10FFFF):
        assert number("c", code_point) == chr(code_point)
        assert number("c%%", code_point) == chr(code_point) + "%"


@pytest.mark.differs("0.9.0: ends the text, or is not UTF-8")
def test_characters_that_utf8_strings_of_c_do_not_have(number):
    assert number("c.%%", 0) == "\0.%"
    for code_point in (0xD800, 0xDBFF, 0xDC00, 0xDFFF):
        assert number("c.%%", code_point) == chr(code_point) + ".%"


def test_no_such_character(number):
    for value in (-1, 0x110000, 2**31 - 1, -(2**31)):
        assert failure(number, "c", value) == (OverflowError, "character argument not in range(0x110000)")


def test_pointer_starts_with_0x(mod):
    for value in (0xBEEF, 1, 2**SIZE - 1):
        assert re.fullmatch(f"<0x0*{value:x}>", mod.pointer(b"<%p>", value))


@pytest.mark.differs("0.9.0: what printf writes, 0x(nil) or the like")
def test_null_pointer_is_0x0(mod):
    assert mod.pointer(b"<%p>", 0) == "<0x0>"


class Abc:
    def __repr__(self):
        return "abc"


@pytest.mark.parametrize(
    "flags, expected",
    [("", "abc"), ("2", "abc"), ("3", "abc"), ("5", "  abc"), (".5", "abc"), (".3", "abc"), (".2", "ab"), (".0", ""),
     (".", "abc"), ("5.2", "   ab"), ("5.0", "     "), ("2.2", "ab"), ("1.2", "ab"), ("4.9", " abc")],
)  # fmt: skip
def test_width_and_precision_of_text(mod, flags, expected):
    assert mod.text(f"<%{flags}s>".encode(), b"abc") == f"<{expected}>"
    for unit in "US":
        assert mod.object(f"<%{flags}{unit}>".encode(), "abc") == f"<{expected}>"
    for unit in "SRA":
        assert mod.object(f"<%{flags}{unit}>".encode(), Abc()) == f"<{expected}>"
    assert mod.object_or_text(f"<%{flags}V>".encode(), "abc", b"no") == f"<{expected}>"
    assert mod.object_or_text(f"<%{flags}V>".encode(), ..., b"abc") == f"<{expected}>"


def test_text_is_utf8(text, mod):
    assert text("%s", "größer €😀") == "größer €😀"
    assert text("%s", "") == ""
    assert text("<%1s>", "€") == "<€>"
    assert mod.object_or_text(b"%V|", ..., "größer".encode()) == "größer|"


@pytest.mark.differs("0.9.0: the width counts bytes")
def test_width_of_text_counts_characters(text):
    assert text("<%5s>", "€é") == "<   €é>"
    assert text("<%3s>", "😀") == "<  😀>"


def test_precision_of_text_counts_bytes(text):
    assert text("<%.3s>", "€é") == "<€>"
    assert text("<%.5s>", "€é") == "<€é>"
    assert text("<%.4s>", "a€é") == "<a€>"


@pytest.mark.differs("0.9.0: cuts a character in two, UnicodeDecodeError")
def test_precision_of_text_leaves_out_what_does_not_fit(text, mod):
    assert text("<%.4s>", "€é") == "<€>"
    assert text("<%.2s>", "€é") == "<>"
    assert text("<%3.3s>", "😀") == "<   >"
    assert mod.object_or_text(b"<%.6V>", ..., "a😀é".encode()) == "<a😀>"


@pytest.mark.parametrize("unit", "US")
def test_width_of_objects_counts_characters(object_, unit):
    assert object_(f"<%{unit}>", "€urΘ😀") == "<€urΘ😀>"
    assert object_(f"<%5{unit}>", "€urΘ😀") == "<€urΘ😀>"
    assert object_(f"<%7{unit}>", "€urΘ😀") == "<  €urΘ😀>"
    assert object_(f"%1000{unit}", "€" * 900) == " " * 100 + "€" * 900


@pytest.mark.parametrize("unit", "US")
def test_precision_of_objects_counts_characters(object_, unit):
    assert object_(f"<%.9{unit}>", "€urΘ😀") == "<€urΘ😀>"
    assert object_(f"<%.5{unit}>", "€urΘ😀") == "<€urΘ😀>"
    assert object_(f"<%.0{unit}>", "€urΘ😀") == "<>"


@pytest.mark.differs("0.9.0: cuts the last character in two, UnicodeDecodeError")
@pytest.mark.parametrize("unit", "US")
def test_precision_of_objects_keeps_characters_whole(object_, unit):
    assert object_(f"<%.1{unit}>", "€urΘ😀") == "<€>"
    assert object_(f"<%.3{unit}>", "€urΘ😀") == "<€ur>"
    assert object_(f"<%.4{unit}>", "€urΘ😀") == "<€urΘ>"
    assert object_(f"<%7.2{unit}>", "€urΘ😀") == "<     €u>"
    assert object_(f"%1000.3{unit}", "€" * 900) == " " * 997 + "€€€"
    assert object_(f"%.500{unit}", "€" * 900) == "€" * 500


def test_objects_are_asked_for_their_text(object_):
    class Thing:
        def __str__(self):
            return "größer"

        def __repr__(self):
            return "<größer €😀>"

    assert object_("%S", Thing()) == "größer"
    assert object_("%R", Thing()) == "<größer €😀>"
    assert object_("%A", Thing()) == "<gr\\xf6\\xdfer \\u20ac\\U0001f600>"
    assert object_("%.3A|", Thing()) == "<gr|"
    assert object_("%S, ", 12) == "12, "
    assert object_("%R", "it's") == '"it\'s"'
    assert object_("%A", "é") == "'\\xe9'"


@pytest.mark.parametrize("unit", "SRA")
def test_objects_that_fail_to_give_their_text(object_, unit):
    class Failing:
        def __repr__(self):
            raise LookupError("not today")

    class Wrong:
        def __repr__(self):
            return 5

    assert failure(object_, f"a%{unit}b", Failing()) == (LookupError, "not today")
    assert failure(object_, f"%5{unit}", Wrong())[0] is TypeError


def test_subclass_of_str_gives_its_own_characters(mod):
    class Text(str):
        def __str__(self):
            return "another"

    assert mod.object(b"%U", Text("text")) == "text"
    assert mod.object_or_text(b"%V", Text("text"), b"no") == "text"
    assert mod.object(b"%S", Text("text")) == "another"
