"""Floats: spec/functions/float.toml."""

import decimal
import fractions
import math
import sys

import pytest

SNIPPET = """
    #include <float.h>
    #include <math.h>

    FUNC_NOARGS(from_number) { return HPyFloat_FromDouble(ctx, -0.15625); }
    FUNC_NOARGS(from_largest) { return HPyFloat_FromDouble(ctx, DBL_MAX); }
    FUNC_NOARGS(from_smallest) { return HPyFloat_FromDouble(ctx, 4.9406564584124654e-324); }
    FUNC_NOARGS(from_minus_zero) { return HPyFloat_FromDouble(ctx, -0.0); }
    FUNC_NOARGS(from_minus_infinity) { return HPyFloat_FromDouble(ctx, -(double)INFINITY); }
    FUNC_NOARGS(from_nan) { return HPyFloat_FromDouble(ctx, (double)NAN); }

    /* Whatever comes with an exception must be -1. */
    FUNC_O(convert) {
        double value = HPyFloat_AsDouble(ctx, arg);
        if (HPyErr_Occurred(ctx)) {
            if (value != -1.0)
                HPyErr_SetString(ctx, ctx->h_SystemError, "failed with another value than -1");
            return HPy_NULL;
        }
        return HPyFloat_FromDouble(ctx, value);
    }

    FUNC_O(is_infinite) { return HPyBool_FromBool(ctx, isinf(HPyFloat_AsDouble(ctx, arg))); }
    FUNC_O(is_nan) { return HPyBool_FromBool(ctx, isnan(HPyFloat_AsDouble(ctx, arg))); }
    FUNC_O(is_negative) { return HPyBool_FromBool(ctx, signbit(HPyFloat_AsDouble(ctx, arg)) != 0); }
"""


class WithFloat:
    """Not a float, but usable as one."""

    def __init__(self, value):
        self.value = value

    def __float__(self):
        return self.value


class WithIndex:
    def __index__(self):
        return 7


class WithBoth(WithFloat, WithIndex):
    pass


class Failing:
    def __float__(self):
        raise LookupError("no value today")


class FailingIndex:
    def __index__(self):
        raise LookupError("no value today")


class Pretender(float):
    def __float__(self):
        return 99.0


@pytest.mark.parametrize(
    "function, expected",
    [
        ("from_number", -0.15625),
        ("from_largest", sys.float_info.max),
        ("from_smallest", 5e-324),
        ("from_minus_infinity", -math.inf),
    ],
)
def test_from_double(snippet, function, expected):
    result = getattr(snippet(SNIPPET), function)()
    assert result == expected
    assert type(result) is float


def test_from_double_keeps_the_sign_of_zero(snippet):
    result = snippet(SNIPPET).from_minus_zero()
    assert result == 0
    assert math.copysign(1, result) == -1


def test_from_double_keeps_nan(snippet):
    assert math.isnan(snippet(SNIPPET).from_nan())


@pytest.mark.parametrize(
    "value, expected",
    [
        (0.1, 0.1),
        (-1.0, -1.0),
        (sys.float_info.max, sys.float_info.max),
        (5e-324, 5e-324),
        (-1, -1.0),
        (True, 1.0),
        (2**53 + 1, 2.0**53),
        (-(2**1023), -(2.0**1023)),
        (fractions.Fraction(1, 8), 0.125),
        (decimal.Decimal("-2.5"), -2.5),
        (WithFloat(1.5), 1.5),
        (WithFloat(-1.0), -1.0),
        (WithIndex(), 7.0),
        (WithBoth(2.5), 2.5),
    ],
)
def test_as_double(snippet, value, expected):
    assert snippet(SNIPPET).convert(value) == expected


def test_as_double_takes_infinity_nan_and_minus_zero(snippet):
    mod = snippet(SNIPPET)
    assert mod.is_infinite(math.inf)
    assert not mod.is_negative(math.inf)
    assert mod.is_infinite(-math.inf)
    assert mod.is_negative(-math.inf)
    assert mod.is_nan(math.nan)
    assert mod.is_negative(-0.0)
    assert not mod.is_negative(0.0)


def test_as_double_takes_the_value_of_a_subclass_without_asking_it(snippet):
    assert snippet(SNIPPET).convert(Pretender(1.25)) == 1.25


@pytest.mark.parametrize("value", ["1.5", b"1.5", bytearray(b"1"), None, 1j, [], object(), float])
def test_as_double_refuses_what_is_not_a_real_number(snippet, value):
    with pytest.raises(TypeError):
        snippet(SNIPPET).convert(value)


@pytest.mark.parametrize("value", [2**1024, -(2**1024), 10**400])
def test_as_double_refuses_too_large_ints(snippet, value):
    with pytest.raises(OverflowError):
        snippet(SNIPPET).convert(value)


@pytest.mark.parametrize("value", [Failing(), FailingIndex()])
def test_as_double_passes_on_what_the_conversion_raises(snippet, value):
    with pytest.raises(LookupError, match="no value today"):
        snippet(SNIPPET).convert(value)


@pytest.mark.parametrize("value", [WithFloat("1.5"), WithFloat(1), WithFloat(None)])
def test_as_double_refuses_a_conversion_to_something_else(snippet, value):
    with pytest.raises(TypeError):
        snippet(SNIPPET).convert(value)


def test_as_double_keeps_nothing_of_its_argument_or_of_what_it_asks_for(snippet):
    mod = snippet(SNIPPET)
    number = float("1234.5")
    wrapped = WithFloat(number)
    before = sys.getrefcount(number), sys.getrefcount(wrapped)
    for _ in range(100):
        mod.convert(number)
        mod.convert(wrapped)
    assert (sys.getrefcount(number), sys.getrefcount(wrapped)) == before
