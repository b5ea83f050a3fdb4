"""Instances from C: HPy_New and HPyType_GenericNew."""

import gc
import sys

import pytest
from raising import failure
from type_snippets import GC, assert_balanced, method, slot, traverse, type_source

NEW = (
    type_source(
        "T",
        "unsigned char bytes[200]; HPyField field;",
        traverse("T", "field"),
        method(
            "zero",
            "static const T zero;\n"
            "return HPyBool_FromBool(ctx, !memcmp(T_AsStruct(ctx, self), &zero, sizeof(zero)));",
        ),
        method("fill", "memset(T_AsStruct(ctx, self)->bytes, 0xAA, 200);\nreturn NONE;"),
        flags=GC,
    )
    + type_source("Simple", "unsigned char bytes[200];")
    + type_source(
        "Refusing",
        "long value;",
        slot("tp_new", 'return HPyErr_SetString(ctx, ctx->h_TypeError, "no");'),
        slot("tp_init", 'HPyErr_SetString(ctx, ctx->h_TypeError, "no");\nreturn -1;'),
    )
    + type_source(
        "Generic", "long value;", slot("tp_new", "return HPyType_GenericNew(ctx, type, args, nargs, kw);", "Generic_")
    )
    + """
    /* An instance with all of what its struct is asked to be: zero, and where T_AsStruct says. */
    FUNC_O(new_t)
    {
        static const T zero;
        T *data = NULL;
        HPy result = HPy_New(ctx, arg, &data);
        if (HPy_IsNull(result))
            return HPy_NULL;
        if (data != T_AsStruct(ctx, result) || memcmp(data, &zero, sizeof(zero))) {
            HPy_Close(ctx, result);
            return HPyErr_SetString(ctx, ctx->h_AssertionError, "not zero");
        }
        memset(data->bytes, 0xAA, 200);
        return result;
    }
    FUNC_O(new_refusing) { Refusing *data; return HPy_New(ctx, arg, &data); }
    FUNC_O(new_simple)
    {
        static const Simple zero;
        Simple *data;
        HPy result = HPy_New(ctx, arg, &data);
        if (memcmp(data, &zero, sizeof(zero)))
            HPyErr_SetString(ctx, ctx->h_AssertionError, "not zero");
        memset(data, 0xAA, sizeof(zero));
        return HPyErr_Occurred(ctx) ? HPy_NULL : result;
    }
    FUNC_O(new_of) { T *data; return HPy_New(ctx, arg, &data); }
    FUNC_O(new_leaves_data_alone)
    {
        T untouched, *data = &untouched;
        HPy result = HPy_New(ctx, arg, &data);
        HPyErr_Clear(ctx);
        return HPyBool_FromBool(ctx, HPy_IsNull(result) && data == &untouched);
    }
    FUNC_O(generic) { return HPyType_GenericNew(ctx, arg, NULL, 0, HPy_NULL); }
    FUNC_VARARGS(generic_with_arguments) { return HPyType_GenericNew(ctx, args[0], args, 1234567, args[0]); }
    """
)


@pytest.fixture
def mod(snippet):
    return snippet(NEW)


def test_new_gives_a_zeroed_struct(mod):
    for _ in range(50):
        # Memory that is used again is as clean as new.
        assert [type(mod.new_t(mod.T)) for _ in range(20)] == [mod.T] * 20
        assert [type(mod.new_simple(mod.Simple)) for _ in range(20)] == [mod.Simple] * 20


def test_python_and_generic_new_give_a_zeroed_struct(mod):
    for make in (mod.T, lambda: mod.generic(mod.T)):
        for _ in range(100):
            instance = make()
            assert instance.zero()
            instance.fill()


def test_new_and_generic_new_call_neither_new_nor_init(mod):
    assert type(mod.new_refusing(mod.Refusing)) is mod.Refusing
    assert type(mod.generic(mod.Refusing)) is mod.Refusing


def test_generic_new_serves_as_slot(mod):
    assert type(mod.Generic(1, 2, a=3)) is mod.Generic


@pytest.mark.misuse("an array of what are no handles")
def test_generic_new_ignores_arguments(mod):
    assert type(mod.generic_with_arguments(mod.T)) is mod.T


def test_generic_new_of_types_from_elsewhere(mod):
    class Python:
        pass

    assert type(mod.generic(Python)) is Python
    assert mod.generic(list) == []


def test_only_types_have_instances(mod):
    for value in (5, None, mod.T()):
        assert failure(mod.new_of, value) == (TypeError, "HPy_New arg 1 must be a type")
        assert failure(mod.generic, value) == (TypeError, "HPy_Type_GenericNew arg 1 must be a type")


@pytest.mark.differs("0.9.0 stores garbage")
def test_a_failure_leaves_the_address_alone(mod):
    assert mod.new_leaves_data_alone(5) is True


def test_the_collector_knows_the_instance(mod):
    assert gc.is_tracked(mod.new_t(mod.T))
    assert gc.is_tracked(mod.generic(mod.T))
    assert not gc.is_tracked(mod.new_simple(mod.Simple))


def test_a_collection_in_the_middle(mod):
    threshold = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        instances = [mod.new_t(mod.T) for _ in range(500)]
    finally:
        gc.set_threshold(*threshold)
    assert len(instances) == 500


def test_an_instance_has_one_reference(mod):
    other = object()
    for make in (mod.new_t, mod.generic):
        instance = make(mod.T)
        assert sys.getrefcount(instance) == sys.getrefcount(other)


def test_balance(mod):
    def use():
        mod.new_t(mod.T)
        mod.new_simple(mod.Simple)
        mod.generic(mod.T)
        with pytest.raises(TypeError):
            mod.new_of(mod)

    assert_balanced(use, mod, mod.T, mod.Simple)


@pytest.mark.differs("0.9.0 takes the head of an instance of a Python subclass for its struct")
def test_instances_of_subclasses(mod):
    class Open(mod.T):
        pass

    class Slots(mod.T):
        __slots__ = "a", "b", "__weakref__"

    class Further(Open, mod.T):
        __slots__ = ("c",)

        def __init__(self):
            raise AssertionError("not called")

    for cls in (Open, Slots, Further):
        for make in (mod.new_t, mod.generic):
            instance = make(cls)
            assert type(instance) is cls
            for name in ("a", "b", "c"):
                assert not hasattr(instance, name)
            instance.fill()
            instance.a = "a"
            assert instance.a == "a"
        assert_balanced(lambda: mod.new_t(cls), cls, mod.T)
