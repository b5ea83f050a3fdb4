"""Bytes: spec/functions/bytes.toml."""

import sys

import pytest


class Liar(bytes):
    """A subclass whose methods have nothing to do with what it holds."""

    def __len__(self):
        return 1000

    def __getitem__(self, index):
        raise ZeroDivisionError

    def __bytes__(self):
        return b"something else"


class Pretender:
    """isinstance() takes it for bytes, but it isn't."""

    __class__ = bytes


def kind(value):
    """Names parameters: pytest would ask the objects themselves."""
    return type(value).__name__


NOT_BYTES = [bytearray(b"abc"), memoryview(b"abc"), "abc", None, [97], bytes, Pretender()]


@pytest.fixture
def reading(snippet):
    return snippet("""
        FUNC_O(check) { return HPyLong_FromInt32_t(ctx, HPyBytes_Check(ctx, arg)); }

        FUNC_O(size)
        {
            HPy_ssize_t size = HPyBytes_Size(ctx, arg);
            return size == -1 ? HPy_NULL : HPyLong_FromSsize_t(ctx, size);
        }
        FUNC_O(unchecked_size) { return HPyLong_FromSsize_t(ctx, HPyBytes_GET_SIZE(ctx, arg)); }

        /* The contents and the byte that follows them. */
        FUNC_O(contents)
        {
            const char *start = HPyBytes_AsString(ctx, arg);
            if (start == NULL)
                return HPy_NULL;
            return HPyBytes_FromStringAndSize(ctx, start, HPyBytes_Size(ctx, arg) + 1);
        }
        FUNC_O(unchecked_contents)
        {
            return HPyBytes_FromStringAndSize(ctx, HPyBytes_AS_STRING(ctx, arg), HPyBytes_GET_SIZE(ctx, arg) + 1);
        }
    """)


@pytest.mark.parametrize("value", [b"", b"abc", Liar(b"abc")], ids=kind)
def test_bytes_and_subclasses_are_recognised(reading, value):
    assert reading.check(value) == 1


@pytest.mark.parametrize("value", NOT_BYTES, ids=kind)
def test_other_types_are_not_bytes(reading, value):
    assert reading.check(value) == 0


@pytest.mark.parametrize("function", ["size", "unchecked_size"])
@pytest.mark.parametrize(
    "value, expected",
    [(b"", 0), (b"\xff", 1), (b"a\0b\0", 4), (bytes(100_000), 100_000), (Liar(b"abc"), 3)],
    ids=kind,
)
def test_size_counts_the_bytes_that_are_there(reading, function, value, expected):
    assert getattr(reading, function)(value) == expected


@pytest.mark.parametrize("function", ["contents", "unchecked_contents"])
@pytest.mark.parametrize(
    "value, expected",
    [
        (b"", b"\0"),
        (b"abc", b"abc\0"),
        (b"\0a\0", b"\0a\0\0"),
        (bytes(range(256)), bytes(range(256)) + b"\0"),
        (Liar(b"abc"), b"abc\0"),
    ],
    ids=kind,
)
def test_buffer_has_the_contents_and_a_null_byte(reading, function, value, expected):
    assert getattr(reading, function)(value) == expected


@pytest.mark.parametrize("function", ["size", "contents"])
@pytest.mark.parametrize("value", NOT_BYTES, ids=kind)
def test_reading_something_else_is_a_type_error(reading, function, value):
    with pytest.raises(TypeError):
        getattr(reading, function)(value)


def test_reading_keeps_no_reference(reading):
    value = Liar(b"abc")
    before = sys.getrefcount(value)
    for _ in range(100):
        reading.check(value)
        reading.size(value)
        reading.unchecked_size(value)
        reading.contents(value)
        reading.unchecked_contents(value)
    assert sys.getrefcount(value) == before


@pytest.fixture
def making(snippet):
    return snippet("""
        #include <string.h>

        FUNC_O(from_string) { return HPyBytes_FromString(ctx, HPyBytes_AsString(ctx, arg)); }

        FUNC_VARARGS(from_size)
        {
            HPy_ssize_t size = HPyLong_AsSsize_t(ctx, args[1]);
            return HPyBytes_FromStringAndSize(ctx, HPyBytes_AsString(ctx, args[0]), size);
        }
        FUNC_O(from_null) { return HPyBytes_FromStringAndSize(ctx, NULL, HPyLong_AsSsize_t(ctx, arg)); }

        FUNC_NOARGS(from_string_then_overwrite)
        {
            char buffer[] = "before";
            HPy result = HPyBytes_FromString(ctx, buffer);
            memset(buffer, 'x', sizeof(buffer));
            return result;
        }
        FUNC_NOARGS(from_size_then_overwrite)
        {
            char buffer[] = "before";
            HPy result = HPyBytes_FromStringAndSize(ctx, buffer, 6);
            memset(buffer, 'x', sizeof(buffer));
            return result;
        }
    """)


@pytest.mark.parametrize(
    "contents, expected",
    [
        (b"", b""),
        (b"abc", b"abc"),
        (b"\xff\x80", b"\xff\x80"),
        (b"ab\0cd", b"ab"),
        (b"\0ab", b""),
        (b"z" * 70_000, b"z" * 70_000),
    ],
)
def test_c_string_ends_at_its_first_null_byte(making, contents, expected):
    result = making.from_string(contents)
    assert result == expected
    assert type(result) is bytes


@pytest.mark.parametrize(
    "contents, size, expected",
    [(b"", 0, b""), (b"abc", 0, b""), (b"abc", 1, b"a"), (b"abc", 3, b"abc"), (b"a\0b\0", 4, b"a\0b\0")],
)
def test_sized_string_may_hold_null_bytes(making, contents, size, expected):
    result = making.from_size(contents, size)
    assert result == expected
    assert type(result) is bytes


@pytest.mark.parametrize("size", [-1, -1000, -sys.maxsize - 1])
@pytest.mark.misuse("sizes and pointers that are wrong")
def test_negative_size_is_a_system_error(making, size):
    with pytest.raises(SystemError):
        making.from_size(b"abc", size)


def test_size_beyond_all_memory_is_a_memory_error(making):
    with pytest.raises(MemoryError):
        making.from_size(b"abc", sys.maxsize // 2)


def test_size_near_the_largest_possible_is_an_overflow_error(making):
    with pytest.raises(OverflowError):
        making.from_size(b"abc", sys.maxsize)


@pytest.mark.parametrize("size", [0, 1, 3, -1, sys.maxsize, -sys.maxsize - 1])
@pytest.mark.misuse("sizes and pointers that are wrong")
def test_null_pointer_is_a_value_error_for_every_size(making, size):
    with pytest.raises(ValueError):
        making.from_null(size)


@pytest.mark.parametrize("function", ["from_string_then_overwrite", "from_size_then_overwrite"])
def test_contents_are_copied(making, function):
    assert getattr(making, function)() == b"before"


def test_new_bytes_belong_to_the_caller_alone(making):
    counts = [sys.getrefcount(making.from_string(b"some text")), sys.getrefcount(making.from_size(b"some text", 6))]
    assert counts == [sys.getrefcount(object())] * 2
