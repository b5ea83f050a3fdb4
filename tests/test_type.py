"""Types: spec/functions/type.toml."""

import abc
import collections
import datetime
import sys

import pytest

TYPES = """
    FUNC_O(type_of) { return HPy_Type(ctx, arg); }
    FUNC_NOARGS(type_of_null) { return HPy_Type(ctx, HPy_NULL); }
    FUNC_VARARGS(type_check) { return HPyLong_FromInt32_t(ctx, HPy_TypeCheck(ctx, args[0], args[1])); }
    FUNC_VARARGS(is_subtype) { return HPyLong_FromInt32_t(ctx, HPyType_IsSubtype(ctx, args[0], args[1])); }
    FUNC_O(get_name)
    {
        const char *name = HPyType_GetName(ctx, arg);
        return name ? HPyUnicode_FromString(ctx, name) : HPy_NULL;
    }
"""


@pytest.fixture
def mod(snippet):
    return snippet(TYPES)


class Meta(type):
    """Lies wherever it can."""

    def __instancecheck__(cls, instance):
        return True

    def __subclasscheck__(cls, other):
        return True

    @property
    def __name__(cls):
        return "Alias"


class Base(metaclass=Meta):
    pass


class Derived(Base):
    class Inner:
        pass


class Liar:
    """Claims to be another."""

    @property
    def __class__(self):
        return int


class Virtual(abc.ABC):
    pass


Virtual.register(Liar)


class Extra:
    pass


class OwnOrder(type):
    def mro(cls):
        return [cls, Extra, object]


class Reordered(Liar, metaclass=OwnOrder):
    pass


class Number(int):
    pass


@pytest.mark.parametrize(
    "value, expected",
    [
        (1, int),
        (True, bool),
        (None, type(None)),
        (int, type),
        (type, type),
        (Number(1), Number),
        (Base(), Base),
        (Base, Meta),
    ],
)
def test_type_is_that_of_the_object(mod, value, expected):
    assert mod.type_of(value) is expected


def test_type_does_not_believe_dunder_class(mod):
    assert Liar().__class__ is int
    assert mod.type_of(Liar()) is Liar


@pytest.mark.misuse("null")
def test_type_of_null_is_a_system_error(mod):
    with pytest.raises(SystemError):
        mod.type_of_null()


def test_type_gives_a_reference_away(mod):
    class Local:
        pass

    value = Local()
    before = sys.getrefcount(Local), sys.getrefcount(value)
    for _ in range(50):
        assert mod.type_of(value) is Local
    after = sys.getrefcount(Local), sys.getrefcount(value)
    assert after == before


@pytest.mark.parametrize(
    "value, cls, expected",
    [
        (1, int, 1),
        (True, int, 1),
        (1, bool, 0),
        (1, object, 1),
        (1, float, 0),
        (int, type, 1),
        (Base, type, 1),
        (Derived(), Base, 1),
        (Base(), Derived, 0),
        (Number(1), int, 1),
    ],
)
def test_type_check(mod, value, cls, expected):
    assert mod.type_check(value, cls) == expected


def test_type_check_asks_neither_instancecheck_nor_class(mod):
    assert isinstance(1, Base)
    assert mod.type_check(1, Base) == 0
    assert isinstance(Liar(), int)
    assert mod.type_check(Liar(), int) == 0
    assert isinstance(Liar(), Virtual)
    assert mod.type_check(Liar(), Virtual) == 0


def test_type_check_goes_by_the_method_resolution_order(mod):
    assert mod.type_check(Reordered(), Extra) == 1
    assert mod.type_check(Reordered(), Liar) == 0


@pytest.mark.parametrize(
    "sub, cls, expected",
    [
        (int, int, 1),
        (bool, int, 1),
        (int, bool, 0),
        (int, object, 1),
        (object, int, 0),
        (Meta, type, 1),
        (Derived, Base, 1),
        (Base, Derived, 0),
        (Derived.Inner, Derived, 0),
        (collections.OrderedDict, dict, 1),
    ],
)
def test_is_subtype(mod, sub, cls, expected):
    assert mod.is_subtype(sub, cls) == expected


def test_only_real_inheritance_makes_a_subtype(mod):
    assert issubclass(int, Base)
    assert mod.is_subtype(int, Base) == 0
    assert issubclass(Liar, Virtual)
    assert mod.is_subtype(Liar, Virtual) == 0
    assert mod.is_subtype(Reordered, Extra) == 1
    assert mod.is_subtype(Reordered, Liar) == 0


@pytest.mark.parametrize(
    "cls, name",
    [
        (int, "int"),
        (type(None), "NoneType"),
        (datetime.datetime, "datetime"),
        (collections.OrderedDict, "OrderedDict"),
        (collections.deque, "deque"),
        (Number, "Number"),
        (Derived.Inner, "Inner"),
        (type("Größe", (), {}), "Größe"),
        (type("with.dots", (), {}), "with.dots"),
        (type("", (), {}), ""),
    ],
)
def test_name_of_a_type(mod, cls, name):
    assert mod.get_name(cls) == name


def test_name_of_a_type_is_not_up_to_its_metaclass(mod):
    assert Base.__name__ == "Alias"
    assert mod.get_name(Base) == "Base"


def test_name_of_a_type_follows_assignments(mod):
    class Before:
        pass

    assert mod.get_name(Before) == "Before"
    Before.__name__ = "Nachher"
    assert mod.get_name(Before) == "Nachher"
