"""Definitions made in unusual ways: with functions of any name, or written out (hpydef.h, hpyfunc.h)."""

import pytest
from type_snippets import assert_balanced

# Everything about the type is written out, but for what HPyFunc_DECLARE and HPyFunc_TRAMPOLINE are there for.
WRITTEN = """
    typedef struct { long value; } T;
    HPyType_HELPERS(T)

    #define TRAMPOLINE(FUNCTION) (cpy_PyCFunction)(HPyCFunction)FUNCTION##_trampoline

    HPyFunc_DECLARE(negative, HPyFunc_UNARYFUNC);
    HPyFunc_TRAMPOLINE(negative_trampoline, negative, HPyFunc_UNARYFUNC)
    static HPyDef negative_slot = {
        .kind = HPyDef_Kind_Slot,
        .slot = { .slot = HPy_nb_negative, .impl = (HPyCFunction)negative, .cpy_trampoline = TRAMPOLINE(negative) },
    };
    static HPy negative(HPyContext *ctx, HPy self) { return HPyLong_FromLong(ctx, -T_AsStruct(ctx, self)->value); }

    HPyFunc_DECLARE(add, HPyFunc_O);
    HPyFunc_TRAMPOLINE(add_trampoline, add, HPyFunc_O)
    static HPyDef add_method = {
        .kind = HPyDef_Kind_Meth,
        .meth = {
            .name = "add", .impl = (HPyCFunction)add, .cpy_trampoline = TRAMPOLINE(add), .signature = HPyFunc_O,
            .doc = "Adds.",
        },
    };
    static HPy add(HPyContext *ctx, HPy self, HPy arg)
    {
        HPy own = HPyLong_FromLong(ctx, T_AsStruct(ctx, self)->value), result = HPy_Add(ctx, own, arg);
        HPy_Close(ctx, own);
        return result;
    }

    static HPyDef value_member = {
        .kind = HPyDef_Kind_Member,
        .member = { .name = "value", .type = HPyMember_LONG, .offset = offsetof(T, value), .doc = "The value." },
    };

    HPyFunc_DECLARE(get_double, HPyFunc_GETTER);
    HPyFunc_DECLARE(set_double, HPyFunc_SETTER);
    HPyFunc_TRAMPOLINE(get_double_trampoline, get_double, HPyFunc_GETTER)
    HPyFunc_TRAMPOLINE(set_double_trampoline, set_double, HPyFunc_SETTER)
    static long factor = 2;
    static HPyDef double_attribute = {
        .kind = HPyDef_Kind_GetSet,
        .getset = {
            .name = "double", .closure = &factor,
            .getter_impl = (HPyCFunction)get_double, .getter_cpy_trampoline = (cpy_getter)get_double_trampoline,
            .setter_impl = (HPyCFunction)set_double, .setter_cpy_trampoline = (cpy_setter)set_double_trampoline,
        },
    };
    static HPy get_double(HPyContext *ctx, HPy self, void *closure)
    {
        return HPyLong_FromLong(ctx, T_AsStruct(ctx, self)->value * *(long *)closure);
    }
    static int set_double(HPyContext *ctx, HPy self, HPy value, void *closure)
    {
        long number = HPyLong_AsLong(ctx, value);
        if (number == -1 && HPyErr_Occurred(ctx))
            return -1;
        T_AsStruct(ctx, self)->value = number / *(long *)closure;
        return 0;
    }

    static HPyDef *T_defines[] = { &negative_slot, &add_method, &value_member, &double_attribute, NULL };
    static HPyType_Spec T_spec = {
        .name = "mod.T", .basicsize = sizeof(T), .builtin_shape = SHAPE(T), .flags = HPy_TPFLAGS_DEFAULT,
        .defines = T_defines,
    };
    HPyDef_SLOT(add_types, HPy_mod_exec)
    static int add_types_impl(HPyContext *ctx, HPy module)
    {
        return HPyHelpers_AddType(ctx, module, "T", &T_spec, NULL) ? 0 : -1;
    }
"""


def test_definitions_can_be_written_out(snippet):
    mod = snippet(WRITTEN)
    instance = mod.T()
    instance.value = 21
    assert (-instance, instance.add(1), instance.double) == (-21, 22, 42)
    instance.double = 10
    assert instance.value == 5
    assert (mod.T.add.__doc__, mod.T.value.__doc__) == ("Adds.", "The value.")
    with pytest.raises(TypeError):
        instance.add("text")
    with pytest.raises(TypeError):
        instance.double = "text"
    with pytest.raises(TypeError):
        instance.add()
    assert_balanced(lambda: (-instance, instance.add(1), instance.double), instance, mod.T)


def test_signatures_of_slots(snippet):
    mod = snippet("""
        FUNC_NOARGS(signatures)
        {
            return HPy_BuildValue(ctx, "iiii", HPySlot_SIG(HPy_nb_add) == HPyFunc_BINARYFUNC,
                                  HPySlot_SIG(HPy_tp_new) == HPyFunc_NEWFUNC,
                                  HPySlot_SIG(HPy_mod_exec) == HPyFunc_INQUIRY,
                                  HPySlot_SIG(HPy_tp_repr) == HPyFunc_BINARYFUNC);
        }
    """)
    assert mod.signatures() == (1, 1, 1, 0)


SHARED = """
    static HPy describe(HPyContext *ctx, HPy self);
    HPyDef_SLOT_IMPL(describe_by_repr, describe, HPy_tp_repr)
    static HPy describe(HPyContext *ctx, HPy self)
    {
        HPy type = HPy_Type(ctx, self), result = HPyUnicode_FromString(ctx, HPyType_GetName(ctx, type));
        HPy_Close(ctx, type);
        return result;
    }
    static HPyDef *defines[] = { &describe_by_repr, NULL };
    static HPyType_Spec One_spec = { .name = "mod.One", .flags = HPy_TPFLAGS_DEFAULT, .defines = defines };
    static HPyType_Spec Other_spec = { .name = "mod.Other", .flags = HPy_TPFLAGS_DEFAULT, .defines = defines };

    static int fill(HPyContext *ctx, HPy module);
    HPyDef_SLOT_IMPL(add_types, fill, HPy_mod_exec)
    static int fill(HPyContext *ctx, HPy module)
    {
        int done = HPyHelpers_AddType(ctx, module, "One", &One_spec, NULL)
            && HPyHelpers_AddType(ctx, module, "Other", &Other_spec, NULL);
        return done ? 0 : -1;
    }
"""


def test_the_function_of_a_slot_can_have_any_name(snippet):
    mod = snippet(SHARED)
    assert (repr(mod.One()), str(mod.Other())) == ("One", "Other")
