"""Strings, decoded: spec/functions/unicode.toml."""

import array
import codecs
import ctypes
import os
import pathlib
import sys

import pytest

ALL_BYTES = bytes(range(256))
# ASCII, Latin-1, the basic plane and beyond, as CPython stores each of them in another way; and null characters.
TEXTS = ["", "abc", "caf\xe9", "\u0394\u20ac", "a\U0001f40d\U0010ffff", "a\0b\0"]


@pytest.fixture
def decoding(snippet):
    return snippet("""
        #include <string.h>

        FUNC_O(encode_fs) { return HPyUnicode_EncodeFSDefault(ctx, arg); }

        FUNC_O(fs) { return HPyUnicode_DecodeFSDefault(ctx, HPyBytes_AsString(ctx, arg)); }

        FUNC_VARARGS(fs_sized)
        {
            HPy_ssize_t size = HPyLong_AsSsize_t(ctx, args[1]);
            return HPyUnicode_DecodeFSDefaultAndSize(ctx, HPyBytes_AsString(ctx, args[0]), size);
        }

        /* The name of a codec or of an error handler: null for None. */
        static const char *name(HPyContext *ctx, HPy h)
        {
            return HPyUnicode_Check(ctx, h) ? HPyUnicode_AsUTF8AndSize(ctx, h, NULL) : NULL;
        }
        FUNC_VARARGS(ascii)
        {
            HPy_ssize_t size = HPyLong_AsSsize_t(ctx, args[1]);
            return HPyUnicode_DecodeASCII(ctx, HPyBytes_AsString(ctx, args[0]), size, name(ctx, args[2]));
        }
        FUNC_VARARGS(latin1)
        {
            HPy_ssize_t size = HPyLong_AsSsize_t(ctx, args[1]);
            return HPyUnicode_DecodeLatin1(ctx, HPyBytes_AsString(ctx, args[0]), size, name(ctx, args[2]));
        }
        FUNC_VARARGS(object)
        {
            return HPyUnicode_FromEncodedObject(ctx, args[0], name(ctx, args[1]), name(ctx, args[2]));
        }
        FUNC_NOARGS(null_object) { return HPyUnicode_FromEncodedObject(ctx, HPy_NULL, "utf-8", "strict"); }

        FUNC_VARARGS(wide)
        {
            wchar_t buffer[16] = { 0 };
            HPy_ssize_t size = HPyLong_AsSsize_t(ctx, args[1]);
            memcpy(buffer, HPyBytes_AsString(ctx, args[0]), (size_t)HPyBytes_Size(ctx, args[0]));
            return HPyUnicode_FromWideChar(ctx, buffer, size);
        }
        FUNC_O(null_wide) { return HPyUnicode_FromWideChar(ctx, NULL, HPyLong_AsSsize_t(ctx, arg)); }
    """)


WCHAR_SIZE = ctypes.sizeof(ctypes.c_wchar)


def wide(text):
    encoding = {2: "utf-16", 4: "utf-32"}[WCHAR_SIZE]
    return text.encode(f"{encoding}-{sys.byteorder[0]}e", "surrogatepass")


@pytest.mark.parametrize("text", TEXTS)
def test_wide_characters_become_a_string(decoding, text):
    units = len(wide(text)) // WCHAR_SIZE
    assert decoding.wide(wide(text), units) == text
    assert decoding.wide(wide(text + "more"), units) == text
    assert decoding.wide(wide(text), -1) == text.split("\0")[0]


def test_wide_surrogates_are_kept_if_they_are_alone(decoding):
    assert decoding.wide(wide("a\ud800b\udc00"), 4) == "a\ud800b\udc00"
    pair = decoding.wide(wide("\ud83d\udc0d"), 2)
    assert pair == ("\U0001f40d" if WCHAR_SIZE == 2 else "\ud83d\udc0d")


@pytest.mark.skipif(WCHAR_SIZE == 2, reason="every value is a UTF-16 unit")
@pytest.mark.parametrize("value", [0x110000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_wide_value_that_is_no_code_point_is_a_value_error(decoding, value):
    with pytest.raises(ValueError):
        decoding.wide(wide("a") + value.to_bytes(4, sys.byteorder), 2)


@pytest.mark.misuse("sizes and pointers that are wrong")
def test_wide_null_pointer_needs_size_0(decoding):
    assert decoding.null_wide(0) == ""
    for size in (1, -1, -2, sys.maxsize):
        with pytest.raises(SystemError):
            decoding.null_wide(size)


@pytest.mark.parametrize("size", [-2, -1000, -sys.maxsize - 1])
@pytest.mark.misuse("sizes and pointers that are wrong")
def test_wide_size_below_minus_1_is_a_system_error(decoding, size):
    with pytest.raises(SystemError):
        decoding.wide(wide("abc"), size)


@pytest.mark.parametrize("text", TEXTS[:-1])
def test_file_names_are_decoded_and_encoded_like_os_does(decoding, text):
    name = os.fsencode(text)
    assert decoding.fs(name) == decoding.fs_sized(name + b"more", len(name)) == text
    assert decoding.encode_fs(text) == name


def test_file_name_ends_at_a_null_byte_unless_it_has_a_size(decoding):
    assert decoding.fs(b"ab\0c") == "ab"
    assert decoding.fs_sized(b"ab\0c", 4) == "ab\0c"
    assert decoding.encode_fs("ab\0c") == b"ab\0c"


@pytest.mark.skipif(sys.getfilesystemencodeerrors() != "surrogateescape", reason="has another error handler")
def test_undecodable_file_name_survives_a_round_trip(decoding):
    name = b"caf\xe9\xff"
    for text in (decoding.fs(name), decoding.fs_sized(name, 5)):
        assert text == "caf\udce9\udcff"
        assert decoding.encode_fs(text) == name
    with pytest.raises(UnicodeEncodeError):
        decoding.encode_fs("\ud800")


def test_encoding_a_file_name_needs_a_string(decoding):
    for path in (b"abc", pathlib.Path("abc")):
        with pytest.raises(TypeError):
            decoding.encode_fs(path)


@pytest.mark.misuse("sizes and pointers that are wrong")
def test_negative_size_is_a_system_error(decoding):
    for size in (-1, -1000, -sys.maxsize - 1):
        for call in (decoding.ascii, decoding.latin1):
            with pytest.raises(SystemError):
                call(b"abc", size, None)
        with pytest.raises(SystemError):
            decoding.fs_sized(b"abc", size)


@pytest.mark.parametrize(
    "errors, expected",
    [
        ("replace", "caf\ufffd\0\ufffd"),
        ("ignore", "caf\0"),
        ("surrogateescape", "caf\udce9\0\udc80"),
        ("backslashreplace", "caf\\xe9\0\\x80"),
    ],
)
def test_ascii_error_handler_gets_other_bytes(decoding, errors, expected):
    assert decoding.ascii(b"caf\xe9\0\x80", 6, errors) == expected


@pytest.mark.parametrize("errors", [None, "strict"])
def test_ascii_is_strict_by_default(decoding, errors):
    assert decoding.ascii(ALL_BYTES, 128, errors) == ALL_BYTES[:128].decode("ascii")
    with pytest.raises(UnicodeDecodeError) as info:
        decoding.ascii(ALL_BYTES, 129, errors)
    assert (info.value.object, info.value.start) == (ALL_BYTES[:129], 128)


def test_ascii_error_handler_is_looked_up_when_needed(decoding):
    assert decoding.ascii(b"abc\xff", 3, "no-such-handler") == "abc"
    with pytest.raises(LookupError):
        decoding.ascii(b"abc\xff", 4, "no-such-handler")


def test_ascii_error_handler_may_decode_itself_or_fail(decoding):
    def decode_again(error):
        part = error.object[error.start : error.end]
        return decoding.ascii(part, len(part), "backslashreplace"), error.end

    def fail(error):
        raise ZeroDivisionError

    codecs.register_error("hpy-test-decode-again", decode_again)
    codecs.register_error("hpy-test-fail", fail)
    assert decoding.ascii(b"a\xffb\xfe", 4, "hpy-test-decode-again") == "a\\xffb\\xfe"
    with pytest.raises(ZeroDivisionError):
        decoding.ascii(b"a\xff", 2, "hpy-test-fail")


@pytest.mark.parametrize("errors", [None, "strict", "no-such-handler"])
def test_latin1_decodes_every_byte_and_ignores_the_error_handler(decoding, errors):
    assert decoding.latin1(ALL_BYTES, 256, errors) == "".join(map(chr, range(256)))
    assert decoding.latin1(b"abc", 1, errors) == "a"
    assert decoding.latin1(b"abc", 0, errors) == ""


class Bytes(bytes):
    def decode(self, *args):
        return "wrong"


@pytest.mark.parametrize("convert", [bytes, bytearray, memoryview, Bytes, lambda data: array.array("B", data)])
def test_objects_with_a_buffer_are_decoded(decoding, convert):
    for text in TEXTS:
        assert decoding.object(convert(text.encode()), None, None) == text
        assert decoding.object(convert(text.encode("utf-16")), "utf-16", "strict") == text
    assert decoding.object(convert(b"caf\xe9"), "ascii", "replace") == "caf\ufffd"
    assert decoding.object(convert(b"caf\xe9"), None, "ignore") == "caf"


@pytest.mark.parametrize("encoding", [None, "utf-8", "ascii", "utf-7"])
@pytest.mark.parametrize("errors", [None, "strict"])
def test_object_that_the_encoding_does_not_fit_is_a_decode_error(decoding, encoding, errors):
    with pytest.raises(UnicodeDecodeError):
        decoding.object(b"caf\xe9", encoding, errors)


@pytest.mark.parametrize("encoding", [None, "utf-8"])
def test_object_that_is_already_a_string_is_a_type_error(decoding, encoding):
    for value in ("abc", "", type("Str", (str,), {})("abc")):
        with pytest.raises(TypeError):
            decoding.object(value, encoding, None)


def test_object_without_a_contiguous_buffer_is_a_type_error(decoding):
    for value in (None, 5, [97], bytes, memoryview(b"abcdef")[::2]):
        with pytest.raises(TypeError):
            decoding.object(value, None, None)


@pytest.mark.misuse("sizes and pointers that are wrong")
def test_null_object_is_a_system_error(decoding):
    with pytest.raises(SystemError):
        decoding.null_object()


def test_unknown_names_are_lookup_errors_if_they_matter(decoding):
    with pytest.raises(LookupError):
        decoding.object(b"abc", "no-such-encoding", None)
    with pytest.raises(LookupError):
        decoding.object(b"caf\xe9", "utf-8", "no-such-handler")
    # This one exists, but does not make text.
    with pytest.raises(LookupError):
        decoding.object(b"abc", "hex", None)
    for empty in (b"", bytearray(), memoryview(b"")):
        assert decoding.object(empty, "no-such-encoding", "no-such-handler") == ""


def test_object_passes_on_what_the_codec_raises(decoding):
    class Odd(Exception):
        def __init__(self, one, two):
            pass

    def fail(data, errors="strict"):
        raise Odd(1, 2)

    def find(name):
        return codecs.CodecInfo(str.encode, fail, name=name) if name == codec else None

    # A codec can't be unregistered before 3.10.
    codec = f"hpy_test_fail_{id(find)}"
    codecs.register(find)
    with pytest.raises(Odd):
        decoding.object(b"abc", codec, None)


def test_buffer_of_the_object_is_given_back(decoding):
    data = bytearray(b"caf\xe9")
    before = sys.getrefcount(data)
    with pytest.raises(UnicodeDecodeError):
        decoding.object(data, None, None)
    decoding.object(data, "latin-1", None)
    with pytest.raises(LookupError):
        decoding.object(data, "no-such-encoding", None)
    # This would be a BufferError if somebody still used it.
    data.clear()
    decoding.object(data, None, None)
    data.append(1)
    assert sys.getrefcount(data) == before
