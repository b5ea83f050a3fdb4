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


STRUCTS = ["Object", "Legacy", "Type", "Long", "Float", "Unicode", "Tuple", "List", "Dict"]


@pytest.mark.differs("0.9.0 can create types")
def test_what_needs_types_of_ones_own_is_not_implemented_yet(snippet):
    structs = "".join(
        f"FUNC_O(as_struct_{shape}) {{ return failed(ctx, _HPy_AsStruct_{shape}(ctx, arg) == NULL); }}\n"
        for shape in STRUCTS
    )
    mod = snippet(
        """
        /* Null when it failed as it has to. */
        static HPy failed(HPyContext *ctx, bool as_expected) { return as_expected ? HPy_NULL : NONE; }

        static HPyType_Spec spec = { .name = "mod.T", .basicsize = 0, .flags = HPy_TPFLAGS_DEFAULT };
        FUNC_NOARGS(from_spec) { return HPyType_FromSpec(ctx, &spec, NULL); }
        FUNC_O(generic_new) { return HPyType_GenericNew(ctx, arg, NULL, 0, HPy_NULL); }
        FUNC_O(new_object) { void *data; return HPy_New(ctx, arg, &data); }
        FUNC_O(get_shape) { return failed(ctx, (int)_HPyType_GetBuiltinShape(ctx, arg) == -2); }

        static HPyField field;
        FUNC_O(field_store) { HPyField_Store(ctx, arg, &field, arg); return failed(ctx, HPyField_IsNull(field)); }
        FUNC_O(field_load) { return HPyField_Load(ctx, arg, field); }

        HPyDef_CALL_FUNCTION(call)
        static HPy call_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames) { return NONE; }
        FUNC_O(set_call_function) { return failed(ctx, HPy_SetCallFunction(ctx, arg, &call) == -1); }
        """
        + structs
    )
    calls = {"generic_new": Base, "new_object": Base, "get_shape": Base}
    for name in ["field_store", "field_load", "set_call_function", *(f"as_struct_{shape}" for shape in STRUCTS)]:
        calls[name] = Base()
    with pytest.raises(NotImplementedError):
        mod.from_spec()
    for name, argument in calls.items():
        with pytest.raises(NotImplementedError):
            getattr(mod, name)(argument)
