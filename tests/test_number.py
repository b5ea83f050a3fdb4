"""Numbers: spec/functions/number.toml."""

import fractions
import math
import sys

import pytest

UNARY = {"Negative": "neg", "Positive": "pos", "Absolute": "abs", "Invert": "invert"}
CONVERSIONS = {"Index": "index", "Long": "int", "Float": "float"}
BINARY = {
    "Add": "add",
    "Subtract": "sub",
    "Multiply": "mul",
    "MatrixMultiply": "matmul",
    "FloorDivide": "floordiv",
    "TrueDivide": "truediv",
    "Remainder": "mod",
    "Lshift": "lshift",
    "Rshift": "rshift",
    "And": "and",
    "Xor": "xor",
    "Or": "or",
}
POWERS = ["Power", "InPlacePower"]
# Function, special method, reflected special method. Powers are among them, with None for a modulus.
PLAIN = [(name, f"__{word}__", f"__r{word}__") for name, word in {**BINARY, "Divmod": "divmod", "Power": "pow"}.items()]
INPLACE = [(f"InPlace{name}", f"__i{word}__", f"__{word}__") for name, word in {**BINARY, "Power": "pow"}.items()]
METHODS = [(name, f"__{word}__") for name, word in UNARY.items()] + [names[:2] for names in PLAIN + INPLACE]

SNIPPET = "\n".join(
    [f"FUNC_O({name}) {{ return HPy_{name}(ctx, arg); }}" for name in [*UNARY, *CONVERSIONS]]
    + [
        f"FUNC_VARARGS({name}) {{ return HPy_{name}(ctx, args[0], args[1]); }}"
        for name in [*BINARY, *[f"InPlace{name}" for name in BINARY], "Divmod"]
    ]
    + [
        f"""FUNC_VARARGS({name}) {{
            return HPy_{name}(ctx, args[0], args[1], nargs == 3 ? args[2] : ctx->h_None);
        }}"""
        for name in POWERS
    ]
    + ["FUNC_O(Check) { return HPyLong_FromInt32_t(ctx, HPyNumber_Check(ctx, arg)); }"]
)


@pytest.fixture
def mod(snippet):
    return snippet(SNIPPET)


def both_ways(mod, name):
    """The function and, unless there is none, its in-place form."""
    return [getattr(mod, name) for name in (name, f"InPlace{name}") if hasattr(mod, name)]


def with_methods(*names, action, base=object):
    """An object whose special methods are all `action`, which gets the method's name and arguments."""

    def method(name):
        return lambda self, *args: action(name, self, *args)

    return type("Special", (base,), {name: method(name) for name in names})()


def tell(*args):
    return args


def fail(*args):
    raise LookupError("not today")


def give_up(*args):
    return NotImplemented


class Indexed:
    def __init__(self, value):
        self.value = value

    def __index__(self):
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Inted(Indexed):
    __int__ = Indexed.__index__
    __index__ = None


class Floated(Indexed):
    __float__ = Indexed.__index__
    __index__ = None


@pytest.mark.parametrize("value", [1, True, 2**100, 0.5, 1j, Indexed(1), Inted(1), Floated(1.0), fractions.Fraction(1)])
def test_check_accepts_numbers(mod, value):
    assert mod.Check(value) == 1


def test_check_asks_the_type_only_and_calls_nothing(mod):
    thing = type("Thing", (), {})()
    thing.__index__ = thing.__int__ = thing.__float__ = lambda: 1
    assert mod.Check(thing) == 0
    assert mod.Check(Indexed(LookupError())) == 1
    assert mod.Check(type("Complex", (complex,), {})()) == 1


@pytest.mark.parametrize("value", [None, "1", b"1", [1], object(), int, with_methods("__add__", action=tell)])
def test_check_rejects_other_things(mod, value):
    assert mod.Check(value) == 0


@pytest.mark.parametrize("name, value, expected", [
    ("Negative", 5, -5), ("Negative", -(2**63), 2**63),
    ("Positive", 5, 5), ("Positive", True, 1),
    ("Absolute", -(2**63), 2**63), ("Absolute", 3 + 4j, 5.0),
    ("Invert", 0, -1), ("Invert", -6, 5), ("Invert", 2**64, -(2**64) - 1),
    ("Index", 2**100, 2**100), ("Index", Indexed(-3), -3),
    ("Long", 2.9, 2), ("Long", True, 1), ("Long", " -42\n", -42), ("Long", b"42", 42), ("Long", Inted(-3), -3),
    ("Long", Indexed(-3), -3),
    ("Long", with_methods("__int__", "__index__", action=lambda name, self: len(name)), 7),
    ("Float", " -1e3\n", -1000.0), ("Float", b"-inf", -math.inf), ("Float", Floated(0.25), 0.25),
    ("Float", Indexed(-3), -3.0),
    ("Float", with_methods("__float__", "__index__", action=lambda name, self: float(len(name))), 9.0),
])  # fmt: skip
def test_one_operand(mod, name, value, expected):
    result = getattr(mod, name)(value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize("name, left, right, expected", [
    ("Add", 2**63, 1, 2**63 + 1), ("Add", [1], [2], [1, 2]),
    ("Subtract", 2, 5, -3), ("Subtract", {1, 2}, {2}, {1}),
    ("Multiply", 2**40, 2**40, 2**80), ("Multiply", (1, 2), 2, (1, 2, 1, 2)), ("Multiply", 2, "ab", "abab"),
    ("Multiply", "ab", Indexed(2), "abab"), ("Multiply", [1], -3, []),
    ("FloorDivide", -7, 2, -4), ("FloorDivide", 7, -2, -4), ("FloorDivide", 7.0, 2, 3.0),
    ("TrueDivide", 6, 3, 2.0),
    ("Remainder", -7, 3, 2), ("Remainder", 7, -3, -2), ("Remainder", "%s=%d", ("a", 1), "a=1"),
    ("Remainder", b"%d", 7, b"7"),
    ("Divmod", -7, 2, (-4, 1)),
    ("Power", 7, 3, 343), ("Power", 2, -2, 0.25),
    ("Lshift", 1, 100, 2**100),
    ("Rshift", 2**100, 99, 2), ("Rshift", -1, 1000, -1),
    ("And", 0b1100, 0b1010, 0b1000), ("And", {1, 2}, {2, 3}, {2}),
    ("Xor", 0b1100, 0b1010, 0b0110), ("Xor", True, True, False), ("Xor", {1, 2}, {2, 3}, {1, 3}),
    ("Or", 0b1100, 0b1010, 0b1110), ("Or", {1: 1}, {2: 2}, {1: 1, 2: 2}),
])  # fmt: skip
def test_two_operands(mod, name, left, right, expected):
    for function in both_ways(mod, name):
        copy = left.copy() if hasattr(left, "copy") else left
        result = function(copy, right)
        assert result == expected
        assert type(result) is type(expected)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="types have no unions there")
def test_or_of_types_is_a_union(mod):
    for function in both_ways(mod, "Or"):
        assert function(int, str) == int | str
        assert function(int, None) == int | None


@pytest.mark.parametrize("name, method", [(name, f"__{word}__") for name, word in UNARY.items()])
def test_unary_special_method(mod, name, method):
    special = with_methods(method, action=tell)
    assert getattr(mod, name)(special) == (method, special)


@pytest.mark.parametrize("name, method, reflected", PLAIN)
def test_left_operand_is_asked_before_the_right_one(mod, name, method, reflected):
    function = getattr(mod, name)
    left = with_methods(method, action=tell)
    right = with_methods(method, reflected, action=tell)
    assert function(left, right) == (method, left, right)
    assert function(object(), right)[0] == reflected
    undecided = with_methods(method, action=give_up)
    assert function(undecided, right) == (reflected, right, undecided)


@pytest.mark.parametrize("name, method, reflected", PLAIN)
def test_right_operand_of_a_subclass_is_asked_first(mod, name, method, reflected):
    left = with_methods(method, reflected, action=tell)
    right = with_methods(reflected, action=tell, base=type(left))
    assert getattr(mod, name)(left, right) == (reflected, right, left)


@pytest.mark.parametrize("name, method, plain", INPLACE)
def test_in_place_method_is_asked_before_the_plain_one(mod, name, method, plain):
    function = getattr(mod, name)
    both = with_methods(method, plain, action=tell)
    assert function(both, 5) == (method, both, 5)
    only_plain = with_methods(plain, action=tell)
    assert function(only_plain, 5) == (plain, only_plain, 5)
    if name == "InPlacePower" and sys.version_info < (3, 10):
        return  # A bug of Python: it gives up when __ipow__ does.
    right = with_methods(plain.replace("__", "__r", 1), action=tell)
    assert function(with_methods(method, action=give_up), right)[1] is right


@pytest.mark.parametrize("name, method, plain", INPLACE)
def test_in_place_can_give_the_left_operand_itself(mod, name, method, plain):
    left = with_methods(method, action=lambda name, self, other: self)
    assert getattr(mod, name)(left, 5) is left


@pytest.mark.parametrize("name, left, right, expected", [
    ("InPlaceAdd", [1], (2, 3), [1, 2, 3]), ("InPlaceAdd", bytearray(b"a"), b"b", bytearray(b"ab")),
    ("InPlaceSubtract", {1, 2}, {2}, {1}),
    ("InPlaceMultiply", [1], 3, [1, 1, 1]),
    ("InPlaceAnd", {1, 2}, {2, 3}, {2}),
    ("InPlaceXor", {1, 2}, {2, 3}, {1, 3}),
    ("InPlaceOr", {1, 2}, {2, 3}, {1, 2, 3}), ("InPlaceOr", {"a": 1}, {"a": 2}, {"a": 2}),
])  # fmt: skip
def test_in_place_changes_a_mutable_object(mod, name, left, right, expected):
    left = left.copy()
    assert getattr(mod, name)(left, right) is left
    assert left == expected


def test_in_place_leaves_an_immutable_object(mod):
    left = (1, 2)
    assert mod.InPlaceAdd(left, (3,)) == (1, 2, 3)
    assert left == (1, 2)
    frozen = frozenset([1])
    assert mod.InPlaceOr(frozen, {2}) == {1, 2}
    assert frozen == {1}


def test_in_place_with_itself(mod):
    values = [1, 2]
    assert mod.InPlaceAdd(values, values) is values
    assert values == [1, 2, 1, 2]


@pytest.mark.parametrize("name", POWERS)
def test_power_with_a_modulus(mod, name):
    power = getattr(mod, name)
    assert power(4, 5, 7) == 2
    assert power(3, -1, 7) == 5
    assert power(2, 10, -1000) == -976
    with pytest.raises(ValueError):
        power(2, -1, 4)
    with pytest.raises(ValueError):
        power(2, 3, 0)
    with pytest.raises(TypeError):
        power(2.0, 3, 5)


@pytest.mark.parametrize("name", POWERS)
def test_power_passes_the_modulus_to_the_special_method(mod, name):
    special = with_methods("__pow__", action=tell)
    assert getattr(mod, name)(special, 2, 3) == ("__pow__", special, 2, 3)


def test_in_place_special_method_never_sees_the_modulus(mod):
    special = with_methods("__ipow__", action=tell)
    assert mod.InPlacePower(special, 2, 3) == ("__ipow__", special, 2)


@pytest.mark.parametrize("name, left, right, error", [
    ("FloorDivide", 1, 0, ZeroDivisionError),
    ("TrueDivide", 1, 0, ZeroDivisionError), ("TrueDivide", 10**400, 1, OverflowError),
    ("Remainder", 1, 0, ZeroDivisionError), ("Remainder", "%d", "x", TypeError),
    ("Divmod", 1, 0, ZeroDivisionError),
    ("Power", 0, -1, ZeroDivisionError), ("Power", 10.0, 400, OverflowError),
    ("Lshift", 1, -1, ValueError), ("Lshift", 1, 2**70, (OverflowError, MemoryError)),
    ("Rshift", 1, -1, ValueError),
    ("Multiply", [1], 2**62, (OverflowError, MemoryError)),
    ("Multiply", [1], 2**70, (OverflowError, MemoryError)),
    ("Add", "a", b"a", TypeError),
])  # fmt: skip
def test_values_without_a_result(mod, name, left, right, error):
    for function in both_ways(mod, name):
        with pytest.raises(error):
            function(left, right)


@pytest.mark.parametrize("name, value, error", [
    ("Invert", 1.5, TypeError),
    ("Index", 1.0, TypeError), ("Index", "1", TypeError), ("Index", Inted(1), TypeError),
    ("Index", Indexed(1.0), TypeError), ("Index", Indexed(LookupError()), LookupError),
    ("Long", "x", ValueError), ("Long", b"0x10", ValueError), ("Long", math.nan, ValueError),
    ("Long", math.inf, OverflowError), ("Long", None, TypeError), ("Long", Inted(1.0), TypeError),
    ("Long", Inted(LookupError()), LookupError),
    ("Float", "x", ValueError), ("Float", b"", ValueError), ("Float", 10**400, OverflowError),
    ("Float", 1j, TypeError), ("Float", Floated(1), TypeError), ("Float", Floated(LookupError()), LookupError),
])  # fmt: skip
def test_conversions_that_fail(mod, name, value, error):
    with pytest.raises(error):
        getattr(mod, name)(value)


@pytest.mark.parametrize("name", [*UNARY, *CONVERSIONS])
def test_one_unsupported_operand(mod, name):
    with pytest.raises(TypeError):
        getattr(mod, name)(object())


@pytest.mark.parametrize("name, method, other", PLAIN + INPLACE)
def test_two_unsupported_operands(mod, name, method, other):
    function = getattr(mod, name)
    with pytest.raises(TypeError):
        function(object(), object())
    with pytest.raises(TypeError):
        function(with_methods(method, other, action=give_up), 1)


@pytest.mark.parametrize("name, method", METHODS)
def test_what_the_methods_raise_is_passed_on(mod, name, method):
    failing = with_methods(method, action=fail)
    operands = [failing] if name in UNARY else [failing, 1]
    with pytest.raises(LookupError, match="not today"):
        getattr(mod, name)(*operands)


def test_conversions_of_subclasses_give_plain_numbers(mod):
    class Int(int):
        pass

    class Float(float):
        pass

    assert type(mod.Long(Int(7))) is int
    assert type(mod.Float(Float(0.5))) is float
    for value in (Int(7), True):
        assert mod.Index(value) == value
        assert type(mod.Index(value)) is (int if sys.version_info >= (3, 10) else type(value))


@pytest.mark.parametrize("name, method", METHODS)
def test_results_are_new_and_operands_borrowed(mod, name, method):
    result, right = object(), object()
    left = with_methods(method, action=lambda *args: result)
    operands = [left] if name in UNARY else [left, right]
    counts = [[sys.getrefcount(thing) for thing in (left, right, result)]]
    kept = []
    for keep in (kept.append, id):
        for _ in range(50):
            keep(getattr(mod, name)(*operands))
        counts.append([sys.getrefcount(thing) for thing in (left, right, result)])
    before = counts[0]
    assert counts[1:] == [[before[0], before[1], before[2] + 50]] * 2
