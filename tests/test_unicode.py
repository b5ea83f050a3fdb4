"""Strings, read and encoded: spec/functions/unicode.toml. Decoding is in test_unicode_decoding.py."""

import sys

import pytest


class Liar(str):
    """A subclass whose methods have nothing to do with what it holds."""

    def encode(self, *args):
        return b"wrong"

    def __str__(self):
        return "wrong"

    def __getitem__(self, index):
        return "wrong"

    __repr__ = __str__


class Pretender:
    """isinstance() takes it for a str, but it isn't."""

    __class__ = str


NOT_STRINGS = [b"abc", bytearray(b"abc"), None, ["a"], str, 5, Pretender()]
ALL_BYTES = bytes(range(256))
# ASCII, Latin-1, the basic plane and beyond, as CPython stores each of them in another way; and null characters.
TEXTS = ["", "abc", "caf\xe9", "\u0394\u20ac", "a\U0001f40d\U0010ffff", "a\0b\0"]


def kind(value):
    """Names parameters: pytest would ask the objects themselves."""
    return type(value).__name__


@pytest.fixture
def mod(snippet):
    return snippet("""
        FUNC_O(check) { return HPyLong_FromInt32_t(ctx, HPyUnicode_Check(ctx, arg)); }
        FUNC_O(from_string) { return HPyUnicode_FromString(ctx, HPyBytes_AsString(ctx, arg)); }
        FUNC_NOARGS(from_string_then_overwrite)
        {
            char buffer[] = "before";
            HPy result = HPyUnicode_FromString(ctx, buffer);
            memset(buffer, 'x', sizeof(buffer));
            return result;
        }
        FUNC_O(as_ascii) { return HPyUnicode_AsASCIIString(ctx, arg); }
        FUNC_O(as_latin1) { return HPyUnicode_AsLatin1String(ctx, arg); }
        FUNC_O(as_utf8) { return HPyUnicode_AsUTF8String(ctx, arg); }
        FUNC_O(encode_fs) { return HPyUnicode_EncodeFSDefault(ctx, arg); }

        /* The text and the byte that follows it. */
        FUNC_O(utf8_buffer)
        {
            HPy_ssize_t size = -2;
            const char *start = HPyUnicode_AsUTF8AndSize(ctx, arg, &size);
            return start == NULL ? HPy_NULL : HPyBytes_FromStringAndSize(ctx, start, size + 1);
        }
        FUNC_O(utf8_without_size)
        {
            const char *start = HPyUnicode_AsUTF8AndSize(ctx, arg, NULL);
            return start == NULL ? HPy_NULL : HPyBytes_FromString(ctx, start);
        }
        FUNC_VARARGS(read_char)
        {
            HPy_UCS4 c = HPyUnicode_ReadChar(ctx, args[0], HPyLong_AsSsize_t(ctx, args[1]));
            return c == (HPy_UCS4)-1 ? HPy_NULL : HPyLong_FromUInt32_t(ctx, c);
        }
        FUNC_VARARGS(substring)
        {
            HPy_ssize_t start = HPyLong_AsSsize_t(ctx, args[1]), end = HPyLong_AsSsize_t(ctx, args[2]);
            return HPyUnicode_Substring(ctx, args[0], start, end);
        }
    """)


@pytest.mark.parametrize("value", ["", "abc", Liar("abc")], ids=kind)
def test_strings_and_subclasses_are_recognised(mod, value):
    assert mod.check(value) == 1


@pytest.mark.parametrize("value", NOT_STRINGS, ids=kind)
def test_other_types_are_not_strings(mod, value):
    assert mod.check(value) == 0


@pytest.mark.parametrize("text", [*TEXTS[:-1], "e" * 70_000])
def test_string_is_made_from_utf8(mod, text):
    result = mod.from_string(text.encode())
    assert result == text
    assert type(result) is str


def test_string_from_utf8_ends_at_the_first_null_byte(mod):
    assert mod.from_string(b"ab\0\xff") == "ab"


def test_text_of_a_string_is_copied(mod):
    assert mod.from_string_then_overwrite() == "before"


@pytest.mark.parametrize(
    "wrong", [b"\xff", b"caf\xe9", b"\x80", b"\xc3", b"\xc0\x81", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82"]
)
@pytest.mark.misuse("no UTF-8")
def test_string_from_invalid_utf8_is_a_decode_error(mod, wrong):
    with pytest.raises(UnicodeDecodeError) as info:
        mod.from_string(wrong)
    assert info.value.object == wrong


def test_new_string_belongs_to_the_caller_alone(mod):
    counts = [sys.getrefcount(mod.from_string(b"some text")), sys.getrefcount(mod.as_utf8("some text"))]
    assert counts == [sys.getrefcount(object())] * 2


ENCODERS = [("as_ascii", 0x80), ("as_latin1", 0x100), ("as_utf8", 0xD800), ("encode_fs", None)]


@pytest.mark.parametrize("function", [function for function, _ in ENCODERS])
@pytest.mark.parametrize("text", ["", "abc", "a\0b", Liar("abc")], ids=ascii)
def test_encoders_agree_on_ascii(mod, function, text):
    result = getattr(mod, function)(text)
    assert result == str.encode(text)
    assert type(result) is bytes


@pytest.mark.parametrize("function, limit", ENCODERS[:3])
def test_encoders_are_strict_about_characters_from_their_limit_on(mod, function, limit):
    getattr(mod, function)("abc" + chr(limit - 1))
    with pytest.raises(UnicodeEncodeError) as info:
        getattr(mod, function)("abc" + chr(limit))
    assert (info.value.start, info.value.end) == (3, 4)


@pytest.mark.parametrize("function", [*(function for function, _ in ENCODERS), "utf8_buffer", "utf8_without_size"])
@pytest.mark.parametrize("value", NOT_STRINGS, ids=kind)
def test_encoding_something_else_is_a_type_error(mod, function, value):
    with pytest.raises(TypeError):
        getattr(mod, function)(value)


def test_latin1_and_utf8_of_other_characters(mod):
    assert mod.as_latin1(ALL_BYTES.decode("latin-1")) == ALL_BYTES
    for text in TEXTS:
        assert mod.as_utf8(text) == text.encode()


@pytest.mark.parametrize("text", [*TEXTS, Liar("caf\xe9")], ids=ascii)
def test_utf8_buffer_has_the_text_and_a_null_byte(mod, text):
    expected = str.encode(text)
    assert mod.utf8_buffer(text) == expected + b"\0"
    assert mod.utf8_buffer(text) == expected + b"\0"
    assert mod.utf8_without_size(text) == expected.split(b"\0")[0]


@pytest.mark.parametrize("function", ["utf8_buffer", "utf8_without_size"])
def test_utf8_buffer_cannot_have_lone_surrogates(mod, function):
    with pytest.raises(UnicodeEncodeError):
        getattr(mod, function)("abc\udc80")


def test_reading_keeps_no_reference(mod):
    value = Liar("caf\xe9")
    before = sys.getrefcount(value)
    for _ in range(100):
        for function in (mod.check, mod.as_latin1, mod.as_utf8, mod.encode_fs, mod.utf8_buffer):
            function(value)
        mod.read_char(value, 0)
        mod.substring(value, 0, 4)
        with pytest.raises(UnicodeEncodeError):
            mod.as_ascii(value)
    assert sys.getrefcount(value) == before


@pytest.mark.parametrize("text", [*TEXTS, "\ud800", Liar("abc")], ids=ascii)
def test_read_char_gives_code_points(mod, text):
    assert [mod.read_char(text, index) for index in range(len(text))] == [ord(c) for c in text]


@pytest.mark.parametrize("text", ["", "abc", "\u20ac\u20ac\u20ac", "\U0001f40d\U0001f40d"])
def test_read_char_does_not_count_from_the_end(mod, text):
    for index in (-1, -len(text), len(text), sys.maxsize, -sys.maxsize - 1):
        if not 0 <= index < len(text):
            with pytest.raises(IndexError):
                mod.read_char(text, index)


@pytest.mark.parametrize("value", NOT_STRINGS, ids=kind)
def test_read_char_of_something_else_is_a_type_error(mod, value):
    with pytest.raises(TypeError):
        mod.read_char(value, 0)


@pytest.mark.parametrize("text", ["hello", "h\xe9llo", "h\u20acllo", "h\U0001f40dllo"])
def test_substring_is_a_slice_without_negative_indices(mod, text):
    indices = [0, 1, 2, 4, 5, 6, 1000, sys.maxsize]
    for start in indices:
        for end in indices:
            assert mod.substring(text, start, end) == text[start:end]


@pytest.mark.parametrize("start, end", [(-1, 3), (0, -1), (-1, -1), (-sys.maxsize - 1, 3), (3, -2)])
def test_substring_rejects_negative_indices(mod, start, end):
    with pytest.raises(IndexError):
        mod.substring("hello", start, end)


@pytest.mark.parametrize("start, end", [(0, 5), (0, 100), (1, 3), (3, 3)])
def test_substring_of_a_subclass_is_an_exact_string(mod, start, end):
    result = mod.substring(Liar("hello"), start, end)
    assert type(result) is str
    assert result == "hello"[start:end]
