"""Formats that are wrong, HPyErr_Format, and HPyUnicode_FromFormatV (include/hpy/runtime/format.h)."""

import sys

import pytest
from formatting import FORMATTING
from raising import failure

INVALID = (SystemError, "invalid format string")


@pytest.fixture
def mod(snippet):
    return snippet(FORMATTING)


@pytest.mark.parametrize("before", [b"", b"text ", b"%%"])
@pytest.mark.misuse("format strings that are wrong")
def test_no_other_unit_exists(mod, before):
    for byte in set(range(1, 256)) - set(b"%cdiuxpsUVSRA.0123456789"):
        # The byte alone, with text or a unit behind it, and with all that can stand before it.
        for fmt in (b"%%%c", b"%%%c d", b"%%%c%%d", b"%%5%c", b"%%05%c", b"%%.3%c", b"%%07.3%c"):
            assert failure(mod.d_, before + fmt % byte, 5) == INVALID


@pytest.mark.parametrize(
    "fmt",
    ["%", "%d%", "%5", "%05", "%.", "%.5", "%5.", "%5.5", "%0", "%00", "%l", "%ll", "%z", "%5l", "%.5ll", "%0z",
     "%0%", "%00%", "%2%", "%02%", "%.%", "%.0%", "%.2%", "%2.2%", "%l%",
     "%lx", "%llx", "%zx", "%lc", "%ls", "%zs", "%llp", "%zU", "%lS", "%llld", "%zzd", "%lzd", "%zld",
     "%-5d", "%+d", "% d", "%#x", "%*d", "%.*d", "%.-5d", "%5.5.5d", "%'d", "%hd", "%hhd", "%jd", "%td", "%Ld",
     "%X", "%o", "%e", "%f", "%g", "%n", "%D", "%m", "%I64d"],
)  # fmt: skip
@pytest.mark.misuse("format strings that are wrong")
def test_format_that_is_wrong(mod, fmt):
    assert failure(mod.d_, fmt.encode(), 5) == INVALID
    assert failure(mod.d_, b"before " + fmt.encode(), 5) == INVALID


def test_percent_sign(mod):
    assert mod.d_(b"%%", 5) == "%"
    assert mod.d_(b"%%d", 5) == "%d"
    assert mod.d_(b"100%%, %d%%%%", 5) == "100%, 5%%"


def test_text_without_units(mod):
    assert mod.d_(b"", 5) == ""
    assert mod.d_(b"only text\n\x01\x7f", 5) == "only text\n\x01\x7f"
    assert mod.d_(b"x" * 100_000, 5) == "x" * 100_000


def test_many_units(mod):
    for n in range(12, 21):
        assert mod.many(b"%d " * n) == "".join(f"{i} " for i in range(1, n + 1))
        assert mod.many((b"%500d" + b"-" * 500) * n) == "".join(f"{i:500}" + "-" * 500 for i in range(1, n + 1))


@pytest.mark.parametrize("unit", "csUVSRAp")
@pytest.mark.misuse("format strings that are wrong")
def test_only_numbers_are_padded_with_zeros(mod, unit):
    expected = (SystemError, f"formatting unit '%{unit}' does not support 0-padding")
    for flags in ("0", "00", "05", "05.3", "0.3", "0."):
        assert failure(mod.objects, f"%{flags}{unit}".encode(), "a", "b") == expected


@pytest.mark.parametrize("unit", "cp")
@pytest.mark.misuse("format strings that are wrong")
def test_neither_characters_nor_pointers_have_a_width(mod, unit):
    expected = (SystemError, f"formatting unit '%{unit}' does not support width nor precision")
    for flags in ("1", "5", ".1", ".0", "5.3"):
        assert failure(mod.d_, f"%{flags}{unit}".encode(), 65) == expected


def test_numbers_in_formats_have_to_fit(mod):
    for number in (sys.maxsize + 1, sys.maxsize + 9, sys.maxsize * 10, 10**100):
        for end in ("d", "s", "y", ""):
            assert failure(mod.d_, f"%{number}{end}".encode(), 5) == (ValueError, "width too big")
            assert failure(mod.d_, f"%.{number}{end}".encode(), 5) == (ValueError, "precision too big")
            assert failure(mod.d_, f"%5.{number}{end}".encode(), 5) == (ValueError, "precision too big")


def test_more_than_there_is_memory(mod):
    expected = (MemoryError, "cannot allocate memory for string format")
    assert failure(mod.d_, f"%{sys.maxsize}d".encode(), 5) == expected
    assert failure(mod.d_, f"%.{sys.maxsize}d".encode(), 5) == expected
    assert failure(mod.d_, f"%0{sys.maxsize - 1000}d".encode(), 5) == expected
    assert failure(mod.text, f"%{sys.maxsize}s".encode(), b"text") == expected
    assert failure(mod.object, f"%{sys.maxsize}S".encode(), "text") == expected


def test_the_greatest_precision_of_text(mod):
    assert mod.text(f"%.{sys.maxsize}s".encode(), b"text") == "text"
    assert mod.object(f"%.{sys.maxsize}S".encode(), "größer") == "größer"


@pytest.mark.parametrize("before", [b"", b"text", b"%d"])
def test_format_is_ascii(mod, before):
    for byte in range(128, 256):
        expected = (
            ValueError,
            f"expected an ASCII-encoded format string, got a non-ASCII byte: 0x{byte:02x}",
        )
        assert failure(mod.d_, before + bytes([byte]) + b"%d", 5) == expected


@pytest.mark.differs("0.9.0: crashes")
def test_no_format(mod):
    assert failure(mod.d_, None, 5)[0] is SystemError
    assert failure(mod.raise_format, ValueError, None, 5, None)[0] is SystemError


@pytest.mark.misuse("format strings that are wrong")
def test_null_arguments(mod):
    assert failure(mod.text, b"a%5.2sb", None) == (
        SystemError,
        "null c string passed as value for formatting unit '%s'",
    )
    assert failure(mod.object, b"a%Ub", ...) == (SystemError, "HPy_NULL passed as value for formatting unit '%U'")
    for unit in b"SRA":
        assert failure(mod.object, b"a%%%cb" % unit, ...) == (
            SystemError,
            "HPy_NULL passed as value for formatting unit '%S' or '%R' or '%A'",
        )


@pytest.mark.differs("0.9.0: crashes")
@pytest.mark.misuse("format strings that are wrong")
def test_null_object_and_null_text(mod):
    expected = (SystemError, "null c string passed as value for formatting unit '%V'")
    assert failure(mod.object_or_text, b"a%Vb", ..., None) == expected


def test_object_that_is_no_str(mod):
    for value in (b"text", 5, None):
        with pytest.raises(TypeError):
            mod.object(b"%U", value)
        with pytest.raises(TypeError):
            mod.object_or_text(b"%V", value, b"text")


@pytest.mark.misuse("format strings that are wrong")
def test_text_that_is_not_utf8(mod):
    for text in (b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\x80"):
        assert failure(mod.text, b"a%sb", text)[0] is UnicodeDecodeError
        assert failure(mod.object_or_text, b"a%Vb", ..., text)[0] is UnicodeDecodeError


def test_str_that_is_not_utf8(mod):
    for unit in b"US":
        assert failure(mod.object, b"a%%%cb" % unit, "\ud800")[0] is UnicodeEncodeError
    assert mod.object(b"%R", "\ud800") == "'\\ud800'"
    assert mod.object(b"%A", "\ud800") == "'\\ud800'"


@pytest.mark.differs("0.9.0: the text ends there")
def test_str_with_null_characters(mod):
    for unit in b"US":
        assert mod.object(b"<%%%c>" % unit, "a\0b\0") == "<a\0b\0>"
        assert mod.object(b"<%%6.3%c>" % unit, "a\0b\0") == "<   a\0b>"
    assert mod.object_or_text(b"<%V>", "\0", None) == "<\0>"


FORMATS = [b"%S", b"%U", b"%S and %R", b"%5.3S%A", b"%R", b"%S%y", b"%U%", b"%S%05S", b"%U\xff", b"%S%S%."]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.misuse("format strings that are wrong")
def test_formatting_keeps_no_reference(mod, fmt):
    class Thing:
        def __repr__(self):
            return text

    text = "".join(["a new ", "str"])
    objects = [text, Thing()] if b"U" in fmt else [Thing(), text]
    before = [sys.getrefcount(it) for it in objects]
    for _ in range(100):
        for second in (objects[1], ...):
            for function, *first in ((mod.objects,), (mod.raise_format, ValueError)):
                try:
                    function(*first, fmt, objects[0], second)
                except (SystemError, ValueError):
                    pass
    second = None
    assert [sys.getrefcount(it) for it in objects] == before


@pytest.mark.parametrize("fmt", [b"%V", b"%5.2V|", b"%V%y"])
@pytest.mark.misuse("format strings that are wrong")
def test_formatting_keeps_no_reference_to_a_str(mod, fmt):
    text = "".join(["a new ", "str"])
    before = sys.getrefcount(text)
    for _ in range(100):
        try:
            mod.object_or_text(fmt, text, None)
        except SystemError:
            pass
    assert sys.getrefcount(text) == before


def test_list_of_arguments_can_be_used_again(mod):
    fmt = b"%d %ld %s %R %lld %zu %u %x %c %V %S"
    expected = "1 -2 three [4] -5 6 7 8 \t ten (11,)"
    assert mod.from_list(fmt, [4], (11,)) == (expected, expected)


def test_error_has_the_text(mod):
    class Custom(Exception):
        pass

    assert failure(mod.raise_format, ValueError, b"a %R of %%", "thing", None) == (ValueError, "a 'thing' of %")
    assert failure(mod.raise_format, Custom, b"%5S", "größer", None) == (Custom, "größer")
    with pytest.raises(KeyError) as info:
        mod.raise_format(KeyError, b"%.2S", "größer", None)
    assert info.value.args == ("gr",)
    with pytest.raises(OSError) as info:
        mod.raise_format(OSError, b"", 5, None)
    assert info.value.args == ("",)


@pytest.mark.differs("0.9.0: raises the exception without a text")
@pytest.mark.misuse("format strings that are wrong")
def test_error_whose_text_cannot_be_made(mod):
    class Failing:
        def __repr__(self):
            raise LookupError("not today")

    assert failure(mod.raise_format, ValueError, b"%R", Failing(), None) == (LookupError, "not today")
    assert failure(mod.raise_format, ValueError, b"%y", 5, None) == INVALID
    assert failure(mod.raise_format, ValueError, b"%S", ..., None)[0] is SystemError
    assert failure(mod.raise_format, ZeroDivisionError, b"\xff", 5, None)[0] is ValueError


@pytest.mark.parametrize("cls", [5, int, "ValueError", None])
def test_error_of_what_is_no_exception_class(mod, cls):
    assert failure(mod.raise_format, cls, b"%S", 5, None)[0] is SystemError
