"""Functions that are a few calls of others (include/hpy/inline_helpers.h). Slices are in test_slice.py too."""

import itertools
import os
import struct
import sys

import pytest
from raising import failure

# Size of a C type in bits, and whether it is signed.
LONG = 8 * struct.calcsize("l")
TYPES = {
    "Long": (LONG, True),
    "UnsignedLong": (LONG, False),
    "LongLong": (64, True),
    "UnsignedLongLong": (64, False),
}
MASKS = {"UnsignedLongMask": LONG, "UnsignedLongLongMask": 64}
C_TYPES = {"Long": "long", "LongLong": "long long", "UnsignedLong": "unsigned long"}
C_TYPES.update(UnsignedLongLong="unsigned long long")

NUMBERS = "\n".join(
    f"""
    FUNC_O(as_{name})
    {{
        {C_TYPES[base]} value = HPyLong_As{name}(ctx, arg);
        if (HPyErr_Occurred(ctx)) {{
            if (value != ({C_TYPES[base]})-1)
                HPyErr_SetString(ctx, ctx->h_SystemError, "failed with another value than -1");
            return HPy_NULL;
        }}
        return HPyLong_From{base}(ctx, value);
    }}
    """
    for name, base in ((name, name.replace("Mask", "")) for name in (*TYPES, *MASKS))
) + """
    #include <limits.h>
    FUNC_NOARGS(limits)
    {
        HPy items[] = { HPyLong_FromLong(ctx, LONG_MIN), HPyLong_FromLong(ctx, LONG_MAX),
            HPyLong_FromUnsignedLong(ctx, ULONG_MAX), HPyLong_FromLongLong(ctx, LLONG_MIN),
            HPyLong_FromLongLong(ctx, LLONG_MAX), HPyLong_FromUnsignedLongLong(ctx, ULLONG_MAX) };
        HPy result = HPyTuple_FromArray(ctx, items, 6);
        for (int i = 0; i < 6; i++)
            HPy_Close(ctx, items[i]);
        return result;
    }
    FUNC_O(bool_from) { return HPyBool_FromLong(ctx, HPyLong_AsLong(ctx, arg)); }
"""


class Index:
    """Not an int, but usable as one."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


@pytest.fixture
def numbers(snippet):
    return snippet(NUMBERS)


def test_integers_of_c_keep_their_value(numbers):
    end = 2 ** (LONG - 1)
    assert numbers.limits() == (-end, end - 1, 2 * end - 1, -(2**63), 2**63 - 1, 2**64 - 1)


@pytest.mark.parametrize("name", TYPES)
def test_range_is_that_of_the_c_type(numbers, name):
    bits, signed = TYPES[name]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    read = getattr(numbers, f"as_{name}")
    for value in (low, low + 1, 0, 1, high - 1, high, *([-1] if signed else [])):
        assert read(value) == value
    for value in (low - 1, high + 1, -(10**30), 10**30):
        with pytest.raises(OverflowError):
            read(value)


@pytest.mark.parametrize("name", MASKS)
def test_masks_keep_the_lowest_bits(numbers, name):
    end = 2 ** MASKS[name]
    for value in (0, 1, end - 1, end, end + 42, 5 * 2**200 + 3, -1, -(2**200) - 1):
        assert getattr(numbers, f"as_{name}")(value) == value % end


@pytest.mark.parametrize("name", [*TYPES, *MASKS])
def test_index_is_asked_except_for_the_unsigned_ones(numbers, name):
    read = getattr(numbers, f"as_{name}")
    if name in ("UnsignedLong", "UnsignedLongLong"):
        with pytest.raises(TypeError):
            read(Index(42))
    else:
        assert read(Index(42)) == 42
        with pytest.raises(TypeError):
            read(Index("42"))
    # CPython 3.9 still asks __int__ where it asks __index__.
    for value in ("1", None, *([1.0] if sys.version_info >= (3, 10) else [])):
        with pytest.raises(TypeError):
            read(value)


def test_bool_of_a_long(numbers):
    assert numbers.bool_from(0) is False
    for value in (1, -1, 256, 2 ** (LONG - 2), -(2 ** (LONG - 1))):
        assert numbers.bool_from(value) is True


OBJECTS = """
    #include <errno.h>
    FUNC_VARARGS(delete) { return NULL_IF(HPy_DelAttr(ctx, args[0], args[1]) != 0); }
    FUNC_VARARGS(delete_s) { return NULL_IF(HPy_DelAttr_s(ctx, args[0], HPyBytes_AsString(ctx, args[1])) != 0); }

    FUNC_VARARGS(from_errno)
    {
        errno = (int)HPyLong_AsLong(ctx, args[1]);
        return HPyErr_SetFromErrno(ctx, args[0]);
    }
    FUNC_VARARGS(from_errno_with_name)
    {
        HPy name = nargs > 2 ? args[2] : HPy_NULL;
        errno = (int)HPyLong_AsLong(ctx, args[1]);
        return HPyErr_SetFromErrnoWithFilenameObject(ctx, args[0], name);
    }

    FUNC_VARARGS(call)
    {
        return HPy_CallMethodTupleDict(ctx, args[0], args[1], args[2], nargs > 3 ? args[3] : HPy_NULL);
    }
    FUNC_VARARGS(call_s)
    {
        const char *name = HPyUnicode_AsUTF8AndSize(ctx, args[0], NULL);
        return HPy_CallMethodTupleDict_s(ctx, name, args[1], args[2], nargs > 3 ? args[3] : HPy_NULL);
    }
"""


@pytest.fixture
def objects(snippet):
    return snippet(OBJECTS)


class Thing:
    pass


@pytest.mark.misuse("no UTF-8, or a negative size")
def test_deleting_an_attribute(objects):
    thing = Thing()
    thing.größe = thing.other = 1
    objects.delete(thing, "größe")
    objects.delete_s(thing, b"other")
    assert vars(thing) == {}
    with pytest.raises(AttributeError):
        objects.delete(thing, "größe")
    with pytest.raises(AttributeError):
        objects.delete_s(thing, b"other")
    with pytest.raises(TypeError):
        objects.delete(thing, 1)
    with pytest.raises(UnicodeDecodeError):
        objects.delete_s(thing, b"\xff")


def test_delattr_is_asked(objects):
    class Proxy:
        def __delattr__(self, name):
            raise LookupError(name)

    assert failure(objects.delete, Proxy(), "one") == (LookupError, "one")
    assert failure(objects.delete_s, Proxy(), b"two") == (LookupError, "two")


def test_exception_from_errno(objects):
    with pytest.raises(FileNotFoundError) as info:
        objects.from_errno(OSError, 2)
    assert info.value.args == (2, os.strerror(2))
    assert info.value.filename is None
    with pytest.raises(PermissionError) as info:
        objects.from_errno_with_name(OSError, 13, "größe")
    assert (info.value.errno, info.value.filename, info.value.filename2) == (13, "größe", None)
    with pytest.raises(ZeroDivisionError) as info:
        objects.from_errno_with_name(ZeroDivisionError, 22)
    assert info.value.args == (22, os.strerror(22))


@pytest.mark.parametrize("name", ["call", "call_s"])
def test_calling_a_method(objects, name):
    call = getattr(objects, name)

    class Receiver:
        def method(self, *args, **kwargs):
            return self, args, kwargs

    receiver = Receiver()
    receiver.größe = lambda *args: args
    assert call("method", receiver, ()) == (receiver, (), {})
    assert call("method", receiver, (1, 2), {"a": 3}) == (receiver, (1, 2), {"a": 3})
    assert call("größe", receiver, (1,)) == (1,)
    assert call("upper", "text", (), {}) == "TEXT"
    with pytest.raises(AttributeError):
        call("missing", receiver, ())
    with pytest.raises(ZeroDivisionError):
        call("__floordiv__", 1, (0,))
    for args in (([1],), ((), [])):
        with pytest.raises(TypeError):
            call("method", receiver, *args)


@pytest.mark.parametrize("name", ["call", "call_s"])
def test_calling_a_method_keeps_no_reference(objects, name):
    call = getattr(objects, name)
    thing, argument = Thing(), (object(),)
    thing.method = lambda *args: None
    kept = [thing, thing.method, argument, argument[0]]
    before = [sys.getrefcount(it) for it in kept]
    for _ in range(100):
        call("method", thing, argument)
        try:
            call("missing", thing, argument)
        except AttributeError:
            pass
    assert [sys.getrefcount(it) for it in kept] == before


# As many as fit on the stack, and more.
PACKS = """
    FUNC_NOARGS(pack0) { return HPyTuple_Pack(ctx, 0); }
    FUNC_VARARGS(pack1) { return HPyTuple_Pack(ctx, 1, args[0]); }
    FUNC_VARARGS(pack3) { return HPyTuple_Pack(ctx, 3, args[0], args[1], args[2]); }
    #define FIVE(I) args[I], args[I + 1], args[I + 2], args[I + 3], args[I + 4]
    /* pack_some(how many, 40 objects) */
    FUNC_VARARGS(pack_some)
    {
        HPy_ssize_t n = HPyLong_AsSsize_t(ctx, *args++);
        return HPyTuple_Pack(ctx, n, FIVE(0), FIVE(5), FIVE(10), FIVE(15), FIVE(20), FIVE(25), FIVE(30), FIVE(35));
    }
    FUNC_NOARGS(pack_negative) { return HPyTuple_Pack(ctx, -1, self); }
"""


@pytest.mark.differs("0.9.0: its headers need alloca, which -std=c11 leaves out")
def test_packing_a_tuple(snippet):
    mod = snippet(PACKS)
    things = [Thing() for _ in range(40)]
    before = [sys.getrefcount(it) for it in things]
    assert mod.pack0() == ()
    assert mod.pack1(things[0]) == (things[0],)
    assert mod.pack3(*things[:3]) == tuple(things[:3])
    for n in (15, 16, 17, 40):
        assert mod.pack_some(n, *things) == tuple(things[:n])
    for _ in range(100):
        mod.pack3(*things[:3])
        mod.pack_some(40, *things)
    assert [sys.getrefcount(it) for it in things] == before


@pytest.mark.differs("0.9.0: its headers need alloca, which -std=c11 leaves out")
@pytest.mark.misuse("no UTF-8, or a negative size")
def test_packing_a_negative_number(snippet):
    with pytest.raises(SystemError):
        snippet(PACKS).pack_negative()


@pytest.fixture
def adjust(snippet):
    mod = snippet("""
        FUNC_VARARGS(adjust)
        {
            HPy_ssize_t v[4], count;
            for (int i = 0; i < 4; i++)
                v[i] = HPyLong_AsSsize_t(ctx, args[i]);
            count = HPySlice_AdjustIndices(ctx, v[0], &v[1], &v[2], v[3]);
            return HPy_BuildValue(ctx, "nnn", count, v[1], v[2]);
        }
    """)
    return mod.adjust


def adjusted(length, start, stop, step):
    start, stop, step = slice(start, stop, step).indices(length)
    return len(range(start, stop, step)), start, stop


def test_slices_are_adjusted_as_python_does(adjust):
    ends = range(-7, 8)
    for length, start, stop, step in itertools.product((0, 1, 2, 5), ends, ends, (-6, -2, -1, 1, 2, 3, 6)):
        assert adjust(length, start, stop, step) == adjusted(length, start, stop, step)
