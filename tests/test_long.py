"""Integers: spec/functions/long.toml."""

import sys

import pytest


class Index:
    """Not an int, but usable as one."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class OnlyInt:
    def __int__(self):
        return 5


class Liar(int):
    """An int that pretends to be another one."""

    def __index__(self):
        return 99

    __int__ = __index__

    def __float__(self):
        return 99.0


INT32_MAX, UINT32_MAX = 2**31 - 1, 2**32 - 1
INT64_MAX, UINT64_MAX = 2**63 - 1, 2**64 - 1


@pytest.mark.parametrize(
    "function, value, expected",
    [
        ("Int32_t", "INT32_MAX", INT32_MAX),
        ("Int32_t", "INT32_MIN", -INT32_MAX - 1),
        ("Int32_t", "-1", -1),
        ("UInt32_t", "UINT32_MAX", UINT32_MAX),
        ("UInt32_t", "0", 0),
        ("Int64_t", "INT64_MAX", INT64_MAX),
        ("Int64_t", "INT64_MIN", -INT64_MAX - 1),
        ("Int64_t", "-1", -1),
        ("UInt64_t", "UINT64_MAX", UINT64_MAX),
        ("UInt64_t", "0", 0),
        ("Size_t", "SIZE_MAX", UINT64_MAX),
        ("Size_t", "0", 0),
        ("Ssize_t", "HPY_SSIZE_T_MIN", -INT64_MAX - 1),
        ("Ssize_t", "HPY_SSIZE_T_MAX", INT64_MAX),
        ("Ssize_t", "-1", -1),
    ],
)
def test_from_c_integer(snippet, function, value, expected):
    mod = snippet(f"FUNC_NOARGS(f) {{ return HPyLong_From{function}(ctx, {value}); }}")
    assert mod.f() == expected
    assert type(mod.f()) is int


SIGNED = ["Int32_t", "Int64_t"]
MASKS = ["UInt32_tMask", "UInt64_tMask"]
ONLY_INT = ["UInt32_t", "UInt64_t", "Size_t", "Ssize_t", "VoidPtr", "Double"]

# For tests that refuse an object.
UINT32_T = pytest.param("UInt32_t", marks=pytest.mark.differs("0.9.0: OverflowError"))
STRICT = [UINT32_T if name == "UInt32_t" else name for name in ONLY_INT]
ASKS_INT = pytest.mark.skipif(sys.version_info < (3, 10), reason="CPython 3.9 asks __int__ too")

# Function, the type of its result, the value that stands for failure, and what makes an object of the result.
READERS = [
    ("Int32_t", "int32_t", "-1", "HPyLong_FromInt32_t(ctx, value)"),
    ("UInt32_t", "uint32_t", "UINT32_MAX", "HPyLong_FromUInt32_t(ctx, value)"),
    ("UInt32_tMask", "uint32_t", "UINT32_MAX", "HPyLong_FromUInt32_t(ctx, value)"),
    ("Int64_t", "int64_t", "-1", "HPyLong_FromInt64_t(ctx, value)"),
    ("UInt64_t", "uint64_t", "UINT64_MAX", "HPyLong_FromUInt64_t(ctx, value)"),
    ("UInt64_tMask", "uint64_t", "UINT64_MAX", "HPyLong_FromUInt64_t(ctx, value)"),
    ("Size_t", "size_t", "SIZE_MAX", "HPyLong_FromSize_t(ctx, value)"),
    ("Ssize_t", "HPy_ssize_t", "-1", "HPyLong_FromSsize_t(ctx, value)"),
    ("VoidPtr", "void *", "NULL", "HPyLong_FromSize_t(ctx, (size_t)value)"),
    ("Double", "double", "-1.0", "HPyFloat_FromDouble(ctx, value)"),
]

READING = "\n".join(
    f"""
    FUNC_O({name}) {{
        {c_type} value = HPyLong_As{name}(ctx, arg);
        if (HPyErr_Occurred(ctx)) {{
            if (value != {failure})
                HPyErr_SetString(ctx, ctx->h_SystemError, "failed with another value than {failure}");
            return HPy_NULL;
        }}
        return {result};
    }}
    """
    for name, c_type, failure, result in READERS
)


@pytest.fixture
def read(snippet):
    mod = snippet(READING)
    return lambda name, value: getattr(mod, name)(value)


@pytest.mark.parametrize(
    "name, low, high",
    [
        ("Int32_t", -INT32_MAX - 1, INT32_MAX),
        ("UInt32_t", 0, UINT32_MAX),
        ("Int64_t", -INT64_MAX - 1, INT64_MAX),
        ("UInt64_t", 0, UINT64_MAX),
        ("Size_t", 0, UINT64_MAX),
        ("Ssize_t", -INT64_MAX - 1, INT64_MAX),
    ],
)
def test_range_is_that_of_the_c_type(read, name, low, high):
    for value in (low, low + 1, 0, 1, high - 1, high):
        assert read(name, value) == value
    for value in (low - 1, high + 1, -(10**30), 10**30):
        with pytest.raises(OverflowError):
            read(name, value)


@pytest.mark.parametrize("name", ["Int32_t", "Int64_t", "Ssize_t", "Double"])
def test_failure_value_is_also_a_result(read, name):
    assert read(name, -1) == -1


@pytest.mark.parametrize("name, bits", [("UInt32_tMask", 32), ("UInt64_tMask", 64)])
def test_mask_keeps_the_low_bits_of_any_value(read, name, bits):
    highest = 2**bits - 1
    assert read(name, highest) == highest
    assert read(name, 2**bits) == 0
    assert read(name, 2**bits + 42) == 42
    assert read(name, 5 * 2**200 + 3) == 3
    assert read(name, -1) == highest
    assert read(name, -(2 ** (bits - 1))) == 2 ** (bits - 1)
    assert read(name, -(2**200) - 1) == highest


def test_void_pointer_is_unsigned_or_wraps_around(read):
    assert read("VoidPtr", 0) == 0
    assert read("VoidPtr", 0x1234) == 0x1234
    assert read("VoidPtr", UINT64_MAX) == UINT64_MAX
    assert read("VoidPtr", -1) == UINT64_MAX
    assert read("VoidPtr", -INT64_MAX - 1) == INT64_MAX + 1


@pytest.mark.parametrize("value", [UINT64_MAX + 1, -INT64_MAX - 2, 10**30])
def test_void_pointer_out_of_range(read, value):
    with pytest.raises(OverflowError):
        read("VoidPtr", value)


def test_double_is_rounded_to_the_nearest_and_to_even(read):
    assert type(read("Double", 3)) is float
    assert read("Double", -12345) == -12345.0
    assert read("Double", 2**53 + 1) == 2.0**53
    assert read("Double", 2**53 + 3) == 2.0**53 + 4
    assert read("Double", -(2**53) - 3) == -(2.0**53) - 4
    assert read("Double", 2**1023) == 2.0**1023
    assert read("Double", 2**1024 - 2**970 - 1) == sys.float_info.max


@pytest.mark.parametrize("value", [2**1024 - 2**970, -(2**1024), 10**400])
def test_double_out_of_range(read, value):
    with pytest.raises(OverflowError):
        read("Double", value)


@pytest.mark.parametrize("name", SIGNED + MASKS)
def test_index_is_asked(read, name):
    assert read(name, Index(42)) == 42


@pytest.mark.parametrize("name", SIGNED)
def test_result_of_index_has_to_fit(read, name):
    assert read(name, Index(-1)) == -1
    with pytest.raises(OverflowError):
        read(name, Index(INT64_MAX + 1))


@pytest.mark.parametrize("name", MASKS)
def test_result_of_index_is_masked(read, name):
    assert read(name, Index(2**64 + 7)) == 7


@pytest.mark.parametrize("name", SIGNED + MASKS)
def test_index_that_fails(read, name):
    with pytest.raises(LookupError, match="not today"):
        read(name, Index(LookupError("not today")))
    with pytest.raises(TypeError):
        read(name, Index("7"))


@pytest.mark.parametrize("name", STRICT)
def test_index_is_not_asked_where_only_int_will_do(read, name):
    with pytest.raises(TypeError):
        read(name, Index(AssertionError("asked")))


@pytest.mark.parametrize("value", ["1", b"1", None, 1j, object(), int], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", SIGNED + MASKS + STRICT)
def test_what_is_no_int_is_refused(read, name, value):
    with pytest.raises(TypeError):
        read(name, value)


@pytest.mark.parametrize("value", [1.0, OnlyInt()], ids=["float", "object"])
@pytest.mark.parametrize("name", STRICT + [pytest.param(name, marks=ASKS_INT) for name in SIGNED + MASKS])
def test_int_is_not_asked(read, name, value):
    with pytest.raises(TypeError):
        read(name, value)


@pytest.mark.parametrize("name", [name for name, *_ in READERS])
def test_subclasses_give_their_own_value_without_being_asked(read, name):
    assert read(name, True) == 1
    assert read(name, Liar(7)) == 7


@pytest.mark.parametrize("name", SIGNED + MASKS)
def test_reading_keeps_neither_the_object_nor_what_index_returns(read, name):
    number = int("123456")
    index = Index(number)
    before = sys.getrefcount(number), sys.getrefcount(index)
    for _ in range(100):
        read(name, number)
        read(name, index)
    assert (sys.getrefcount(number), sys.getrefcount(index)) == before


@pytest.mark.parametrize("name", ONLY_INT)
def test_reading_keeps_no_reference(read, name):
    number = int("123456")
    before = sys.getrefcount(number)
    for _ in range(100):
        read(name, number)
    assert sys.getrefcount(number) == before
