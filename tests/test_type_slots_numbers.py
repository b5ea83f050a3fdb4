"""Slots of numbers: nb_* of spec/slots.toml."""

import operator
import sys

import pytest
from type_snippets import BINARY, CONVERSIONS, INPLACE, UNARY, assert_balanced, slot, type_source

PYTHON = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "matrix_multiply": operator.matmul,
    "true_divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "divmod": divmod,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "negative": operator.neg,
    "positive": operator.pos,
    "absolute": abs,
    "invert": operator.invert,
    "int": int,
    "float": float,
    "index": operator.index,
}
PYTHON_INPLACE = {
    "add": operator.iadd,
    "subtract": operator.isub,
    "multiply": operator.imul,
    "matrix_multiply": operator.imatmul,
    "true_divide": operator.itruediv,
    "floor_divide": operator.ifloordiv,
    "remainder": operator.imod,
    "lshift": operator.ilshift,
    "rshift": operator.irshift,
    "and": operator.iand,
    "or": operator.ior,
    "xor": operator.ixor,
}
DUNDER = {"true_divide": "truediv", "floor_divide": "floordiv", "remainder": "mod", "subtract": "sub"}
DUNDER.update({"multiply": "mul", "matrix_multiply": "matmul"})


def binary(name, prefix):
    """A binary slot whose result says what it was called with. It declines None and fails for an Ellipsis."""
    return slot(
        f"nb_{name}",
        f"""
        if (HPy_Is(ctx, self, ctx->h_None) || HPy_Is(ctx, other, ctx->h_None))
            return HPy_Dup(ctx, ctx->h_NotImplemented);
        if (HPy_Is(ctx, self, ctx->h_Ellipsis) || HPy_Is(ctx, other, ctx->h_Ellipsis))
            return HPyErr_SetString(ctx, ctx->h_LookupError, "{name}");
        return HPy_BuildValue(ctx, "sOO", "{name}", self, other);
        """,
        prefix,
    )


def power(name, prefix):
    return slot(
        name,
        f"""
        if (HPy_IsNull(third))
            return HPyErr_SetString(ctx, ctx->h_AssertionError, "null");
        if (HPy_Is(ctx, other, ctx->h_None))
            return HPy_Dup(ctx, ctx->h_NotImplemented);
        if (HPy_Is(ctx, other, ctx->h_Ellipsis))
            return HPyErr_SetString(ctx, ctx->h_LookupError, "{name}");
        return HPy_BuildValue(ctx, "sOOO", "{name}", self, other, third);
        """,
        prefix,
    )


# Returns what the field holds, or raises if there is nothing.
ONE = 'return HPy_BuildValue(ctx, "sO", "{name}", self);'
CONVERTED = """
    Number *data = Number_AsStruct(ctx, self);
    if (data->mode == 1)
        return HPyErr_SetString(ctx, ctx->h_LookupError, "{name}");
    return data->mode == 2 ? HPyUnicode_FromString(ctx, "wrong") : {value};
"""
VALUES = {
    "int": "HPyLong_FromLong(ctx, 11)",
    "float": "HPyFloat_FromDouble(ctx, 2.5)",
    "index": "HPyLong_FromLong(ctx, 12)",
}

NUMBERS = "".join(
    [
        type_source(
            "Number",
            "int mode;",
            'HPyDef_MEMBER(mode, "mode", HPyMember_INT, offsetof(Number, mode))\n',
            *(binary(name, "Number_") for name in BINARY),
            power("nb_power", "Number_"),
            *(slot(f"nb_{name}", ONE.replace("{name}", name), "Number_") for name in UNARY),
            *(
                slot(f"nb_{name}", CONVERTED.format(name=name, value=VALUES[name]), "Number_")
                for name in CONVERSIONS
            ),
            slot(
                "nb_bool",
                """
                int mode = Number_AsStruct(ctx, self)->mode;
                if (mode == -1)
                    HPyErr_SetString(ctx, ctx->h_LookupError, "bool");
                return mode;
                """,
                "Number_",
            ),
        ),
        type_source(
            "Mutable",
            "int unused;",
            *(binary(name, "Mutable_") for name in BINARY),
            *(binary(f"inplace_{name}", "Mutable_") for name in INPLACE),
            power("nb_power", "Mutable_"),
            power("nb_inplace_power", "Mutable_"),
        ),
        type_source("OnlyIndex", "", slot("nb_index", "return HPyLong_FromLong(ctx, 2);", "OnlyIndex_")),
        type_source("Accumulator", "", slot("nb_inplace_add", "return HPy_Dup(ctx, self);", "Accumulator_")),
    ]
)


@pytest.fixture
def mod(snippet):
    return snippet(NUMBERS)


def dunder(name):
    return DUNDER.get(name, name)


@pytest.mark.parametrize("name", BINARY)
def test_operands_come_in_the_order_of_the_expression(mod, name):
    function, number = PYTHON[name], mod.Number()
    assert function(number, 5) == (name, number, 5)
    assert function(5, number) == (name, 5, number)
    assert function(number, number) == (name, number, number)
    other = mod.Mutable()
    assert function(number, other) == (name, number, other)


@pytest.mark.parametrize("name", BINARY)
def test_operators_decline_and_fail(mod, name):
    function, number = PYTHON[name], mod.Number()
    for operands in ((number, None), (None, number)):
        with pytest.raises(TypeError, match="unsupported operand"):
            function(*operands)
    for operands in ((number, ...), (..., number)):
        with pytest.raises(LookupError, match=name):
            function(*operands)


@pytest.mark.parametrize("name", BINARY)
def test_operators_are_methods_too(mod, name):
    number = mod.Number()
    assert getattr(number, f"__{dunder(name)}__")(5) == (name, number, 5)
    assert getattr(number, f"__r{dunder(name)}__")(5) == (name, 5, number)
    assert getattr(mod.Number, f"__{dunder(name)}__")(number, None) is NotImplemented
    with pytest.raises(TypeError):
        getattr(mod.Number, f"__{dunder(name)}__")(object(), 5)


@pytest.mark.parametrize("name", BINARY)
def test_a_python_subclass_overrides_an_operator(mod, name):
    method = f"__{dunder(name)}__"

    class Sub(mod.Number):
        def override(self, other):
            return "override", getattr(super(), method)(other)

    setattr(Sub, method, Sub.override)
    sub = Sub()
    assert PYTHON[name](sub, 5) == ("override", (name, sub, 5))
    assert PYTHON[name](5, sub) == (name, 5, sub)


@pytest.mark.parametrize("name", INPLACE)
def test_inplace_operators(mod, name):
    function, mutable = PYTHON_INPLACE[name], mod.Mutable()
    assert function(mutable, 5) == (f"inplace_{name}", mutable, 5)
    with pytest.raises(LookupError, match=f"inplace_{name}"):
        function(mutable, ...)
    # The slot and then the operator itself decline.
    with pytest.raises(TypeError, match="unsupported operand"):
        function(mutable, None)


@pytest.mark.parametrize("name", INPLACE)
def test_inplace_operators_fall_back(mod, name):
    number = mod.Number()
    assert PYTHON_INPLACE[name](number, 5) == (name, number, 5)
    assert PYTHON_INPLACE[name](5, number) == (name, 5, number)
    with pytest.raises(LookupError, match=f"^{name}$"):
        PYTHON_INPLACE[name](number, ...)


def test_the_result_of_an_inplace_operator_is_bound(mod):
    value = first = mod.Accumulator()
    before = sys.getrefcount(value)
    for _ in range(20):
        value += 1
    assert sys.getrefcount(value) == before
    assert value is first
    with pytest.raises(TypeError):
        value -= 1


def test_power(mod):
    number = mod.Number()
    assert number**2 == ("nb_power", number, 2, None)
    assert 2**number == ("nb_power", 2, number, None)
    assert pow(number, 2, 3) == ("nb_power", number, 2, 3)
    assert pow(2, number, 3) == ("nb_power", 2, number, 3)
    assert pow(2, 3, number) == ("nb_power", 2, 3, number)
    assert number.__pow__(2) == ("nb_power", number, 2, None)
    assert number.__pow__(2, 3) == ("nb_power", number, 2, 3)
    assert number.__rpow__(2) == ("nb_power", 2, number, None)
    with pytest.raises(TypeError, match="unsupported operand"):
        number**None
    with pytest.raises(LookupError, match="power"):
        number ** ...


def test_inplace_power(mod):
    value = mutable = mod.Mutable()
    value **= 2
    assert value == ("nb_inplace_power", mutable, 2, None)
    value = mutable
    with pytest.raises(LookupError, match="nb_inplace_power"):
        value **= ...
    with pytest.raises(TypeError, match="unsupported operand"):
        value **= None
    assert value is mutable


def test_inplace_power_falls_back(mod):
    value = number = mod.Number()
    value **= 2
    assert value == ("nb_power", number, 2, None)


@pytest.mark.parametrize("name", UNARY)
def test_unary_operators(mod, name):
    number = mod.Number()
    assert PYTHON[name](number) == (name, number)
    with pytest.raises(TypeError):
        PYTHON[name](mod.Accumulator())


@pytest.mark.parametrize("name, expected", [("int", 11), ("float", 2.5), ("index", 12)])
def test_conversions(mod, name, expected):
    number = mod.Number()
    assert PYTHON[name](number) == expected
    assert getattr(number, f"__{name}__")() == expected
    number.mode = 1
    with pytest.raises(LookupError, match=name):
        PYTHON[name](number)
    number.mode = 2
    with pytest.raises(TypeError, match="str"):
        PYTHON[name](number)


def test_an_index_is_taken_wherever_an_integer_is_needed(mod):
    index = mod.OnlyIndex()
    assert "abc"[index] == "c"
    assert "abc"[index:] == "c"
    assert [0] * index == [0, 0]
    assert int(index) == 2
    assert float(index) == 2.0
    assert hex(index) == "0x2"
    assert range(index) == range(2)


def test_truth_value(mod):
    number = mod.Number()
    assert bool(number) is False
    number.mode = 1
    assert bool(number) is True
    assert number.__bool__() is True
    assert not (not number)
    number.mode = -1
    with pytest.raises(LookupError, match="bool"):
        bool(number)
    assert bool(mod.Accumulator()) is True


def test_references_stay_in_balance(mod):
    number, other = mod.Mutable(), object()

    def use():
        for name in BINARY:
            PYTHON[name](number, other)
            PYTHON[name](other, number)
            with pytest.raises(LookupError):
                PYTHON[name](number, ...)
        for name in INPLACE:
            PYTHON_INPLACE[name](number, other)
        pow(number, other, other)

    assert_balanced(use, number, other, mod.Mutable)
