"""Specs that make no type: each is an exception that says why, and leaves nothing behind."""

import gc
import sys

import pytest
from raising import failure
from type_snippets import BASETYPE, method, slot, spec_source, type_source

# What specs are put together from.
COMMON = """
    typedef struct { long first; long second; } Pair;
    HPyDef_MEMBER(number, "number", HPyMember_LONG, 0)
    HPyDef_MEMBER(field, "field", HPyMember_OBJECT, 0)
    HPyDef_MEMBER(offset_of_call, "__vectorcalloffset__", HPyMember_HPYSSIZET, 0, .readonly = 1)
    HPyDef_MEMBER(early, "early", HPyMember_LONG, -8)
    HPyDef_MEMBER(late, "late", HPyMember_LONG, sizeof(Pair))
    HPyDef_MEMBER(far, "far", HPyMember_BYTE, HPY_SSIZE_T_MAX)
    HPyDef_MEMBER(crossing, "crossing", HPyMember_LONG, sizeof(Pair) - sizeof(long) + 1)
    HPyDef_MEMBER(crossing_object, "crossing_object", HPyMember_OBJECT, sizeof(Pair) - 1)
    HPyDef_MEMBER(nameless_member, NULL, HPyMember_LONG, 0)
    static HPyDef odd_member = {
        .kind = HPyDef_Kind_Member, .member = { .name = "odd_member", .type = (HPyMember_FieldType)99 }
    };
    static HPyDef odd_method = {
        .kind = HPyDef_Kind_Meth, .meth = { .name = "odd_method", .signature = (HPyFunc_Signature)99 }
    };
    static HPyDef binary_method = {
        .kind = HPyDef_Kind_Meth, .meth = { .name = "binary_method", .signature = HPyFunc_BINARYFUNC }
    };
    static HPyDef nameless_method = { .kind = HPyDef_Kind_Meth, .meth = { .signature = HPyFunc_NOARGS } };
    static HPyDef nameless_attribute = { .kind = HPyDef_Kind_GetSet };
    static HPyDef odd_kind = { .kind = (HPyDef_Kind)9 };
    static HPyDef empty_slot = { .kind = HPyDef_Kind_Slot, .slot = { .slot = HPy_nb_invert } };
    #define BARE_SLOT(NUMBER) static HPyDef slot_##NUMBER = { \\
        .kind = HPyDef_Kind_Slot, \\
        .slot = { .slot = (HPySlot_Slot)NUMBER, .impl = (HPyCFunction)tp_repr_impl, \\
                  .cpy_trampoline = (cpy_PyCFunction)(HPyCFunction)tp_repr_trampoline } \\
    };
""" + "\n".join(
    [
        slot("tp_repr", 'return HPyUnicode_FromString(ctx, "x");'),
        *(slot("tp_call", "return NONE;", prefix) for prefix in ("", "second_")),
        *(slot("tp_destroy", "", prefix) for prefix in ("", "second_")),
        *(slot("tp_traverse", "return 0;", prefix) for prefix in ("", "second_")),
        *(slot("nb_add", "return NONE;", prefix) for prefix in ("", "second_")),
        *(slot("bf_getbuffer", "return -1;", prefix) for prefix in ("", "second_")),
        method("ok", "return NONE;"),
        "HPyDef_SLOT_IMPL(of_module, of_module_impl, HPy_mod_exec)",
        "static int of_module_impl(HPyContext *ctx, HPy module) { return 0; }",
        *(f"BARE_SLOT({number})" for number in (0, 12345, 81, 52, 64, 73, 2000)),
    ]
)

BASE, TUPLE, METACLASS = (f"HPyType_SpecParam_{kind}" for kind in ("Base", "BasesTuple", "Metaclass"))
LEGACY = "HPyType_BuiltinShape_Legacy"
UNKNOWN = "(HPyType_SpecParam_Kind)17"


def case(name, error, text, /, *defines, params="", differs=None, misuse=None, **fields):
    """A spec of two longs, but for what is given; the text is the exception's, or one of a tuple is in it."""
    marks = [pytest.mark.differs(differs)] if differs else []
    marks += [pytest.mark.misuse(misuse)] if misuse else []
    return pytest.param(name, error, text, marks=marks, id=name), (name, defines, params, fields)


def param(kind, handle):
    return f"{{ {kind}, {handle} }}, "


NO_CHECK = "0.9.0 does not look at it"
EITHER = (TypeError, ValueError)

CASES = [
    case(
        "unknown_parameter",
        TypeError,
        "unknown HPyType_SpecParam specification for 'mod.T'",
        params=param(UNKNOWN, "ctx->h_LongType"),
        misuse="no kind of parameter",
    ),
    case(
        "two_tuples_of_bases",
        TypeError,
        "multiple specifications of HPyType_SpecParam_BasesTuple",
        params=param(TUPLE, "args[0]") * 2,
    ),
    case(
        "base_and_tuple_of_bases",
        TypeError,
        "cannot specify both HPyType_SpecParam_Base and HPytype_SpecParam_BasesTuple",
        params=param(BASE, "ctx->h_BaseObjectType") + param(TUPLE, "args[0]"),
    ),
    case(
        "two_metaclasses",
        ValueError,
        "metaclass was specified multiple times",
        params=param(METACLASS, "ctx->h_TypeType") * 2,
    ),
    case(
        "metaclass_that_is_no_type",
        TypeError,
        "Metaclass 'None' is not a subclass of 'type'.",
        params=param(METACLASS, "ctx->h_None"),
    ),
    case(
        "legacy_slots_in_a_pure_type",
        TypeError,
        "cannot specify .legacy_slots without setting .builtin_shape=HPyType_BuiltinShape_Legacy",
        legacy_slots="(void *)legacy",
    ),
    case(
        "gc_without_traverse",
        ValueError,
        "You must provide an HPy_tp_traverse slot if you specify HPy_TPFLAGS_HAVE_GC",
        flags=BASETYPE + " | HPy_TPFLAGS_HAVE_GC",
    ),
    case("shape_99", ValueError, "invalid shape: 99", builtin_shape="(HPyType_BuiltinShape)99", misuse="no shape"),
    case("shape_minus_2", ValueError, "invalid shape: -2", builtin_shape="(HPyType_BuiltinShape)-2", misuse="no shape"),
    case(
        "members_without_a_struct",
        TypeError,
        "Type claims to have basicsize==0 but defines members",
        "number",
        basicsize="0",
    ),
    case(
        "object_members_without_a_struct",
        TypeError,
        "Type claims to have basicsize==0 but defines members",
        "field",
        basicsize="0",
    ),
    case(
        "call_and_items",
        TypeError,
        "Cannot use HPy call protocol with var objects",
        "tp_call",
        itemsize="4",
    ),
    case(
        "call_and_offset_of_call",
        TypeError,
        "Cannot have HPy_tp_call and explicit member'__vectorcalloffset__'. Specify just one of them.",
        "tp_call",
        "offset_of_call",
    ),
    case(
        "call_in_a_legacy_type_without_a_struct",
        TypeError,
        "Cannot use HPy call protocol with legacy types that inherit the struct. Either set the basicsize to a"
        "non-zero value or use legacy slot 'Py_tp_call'.",
        "tp_call",
        builtin_shape=LEGACY,
        basicsize="0",
    ),
    case("unknown_signature", ValueError, "Unsupported HPyMeth signature", "odd_method"),
    case("signature_of_a_slot", ValueError, "Unsupported HPyMeth signature", "method_ok", "binary_method"),
    case(
        "legacy_type_from_pure_type",
        TypeError,
        "A legacy type should not inherit its memory layout from a pure type",
        builtin_shape=LEGACY,
        basicsize="0",
        params=param(BASE, "args[1]"),
    ),
    # What CPython itself refuses.
    case("base_that_is_no_type", TypeError, (), params=param(BASE, "ctx->h_None")),
    case("final_base", TypeError, ("bool",), params=param(BASE, "ctx->h_BoolType"), basicsize="0"),
    case("same_base_twice", TypeError, (), params=param(BASE, "args[1]") * 2, basicsize="0"),
    case(
        "order_of_bases",
        TypeError,
        (),
        params=param(BASE, "ctx->h_BaseObjectType") + param(BASE, "args[1]"),
        basicsize="0",
    ),
    case(
        "tuple_of_bases_that_is_none",
        EITHER,
        (),
        params=param(TUPLE, "ctx->h_None"),
    ),
    # What 0.9.0 lets pass.
    case("name_null", EITHER, ("name",), name="NULL", differs="0.9.0 crashes"),
    case("basicsize_negative", EITHER, ("basicsize",), basicsize="-8", differs=NO_CHECK),
    case("basicsize_most_negative", EITHER, ("basicsize",), basicsize="INT32_MIN", differs=NO_CHECK),
    case("basicsize_overflowing", EITHER, ("basicsize",), basicsize="INT32_MAX", differs=NO_CHECK),
    case(
        "basicsize_below_that_of_the_base",
        EITHER,
        ("basicsize",),
        basicsize="8",
        params=param(BASE, "args[1]"),
        differs="0.9.0: the two structs overlap and nobody notices",
    ),
    case("itemsize_negative", EITHER, ("itemsize",), itemsize="-4", differs=NO_CHECK),
    *(
        case(
            f"shape_{shape}_without_its_base",
            EITHER,
            ("shape",),
            builtin_shape=f"HPyType_BuiltinShape_{shape}",
            differs=NO_CHECK,
        )
        for shape in ("Type", "Long", "Float", "Unicode", "Tuple", "List")
    ),
    *(
        case(
            f"shape_Object_with_base_{base}",
            EITHER,
            ("shape",),
            params=param(BASE, f"ctx->h_{base}Type"),
            differs="0.9.0: the struct lies over that of the base",
        )
        for base in ("Type", "Long", "Float", "Unicode", "Tuple", "List")
    ),
    case(
        "shape_List_with_base_Tuple",
        EITHER,
        ("shape",),
        builtin_shape="HPyType_BuiltinShape_List",
        params=param(BASE, "ctx->h_TupleType"),
        differs=NO_CHECK,
    ),
    case("slot_twice", EITHER, ("nb_add",), "nb_add", "tp_repr", "second_nb_add", differs=NO_CHECK),
    case("same_slot_twice", EITHER, ("tp_repr",), "tp_repr", "tp_repr", differs=NO_CHECK),
    case("destroy_twice", EITHER, ("tp_destroy",), "tp_destroy", "second_tp_destroy", differs=NO_CHECK),
    case("traverse_twice", EITHER, ("tp_traverse",), "tp_traverse", "second_tp_traverse", differs=NO_CHECK),
    case("call_twice", EITHER, ("tp_call",), "tp_call", "second_tp_call", differs=NO_CHECK),
    case("getbuffer_twice", EITHER, ("bf_getbuffer",), "bf_getbuffer", "second_bf_getbuffer", differs=NO_CHECK),
    case("slot_of_modules", EITHER, ("HPy_mod_exec",), "of_module", differs="0.9.0: RuntimeError"),
    case("other_slot_of_modules", EITHER, ("HPy_mod_create",), "slot_2000", differs="0.9.0: RuntimeError"),
    case("slot_0", EITHER, ("slot",), "slot_0", "tp_repr", differs="0.9.0 takes it for the end"),
    case("slot_12345", EITHER, ("12345",), "slot_12345", differs="0.9.0: RuntimeError"),
    case("slot_81", EITHER, ("81",), "slot_81", differs="0.9.0 hands it to CPython"),
    case("slot_dealloc", EITHER, ("tp_dealloc", "52"), "slot_52", differs="0.9.0 hands it to CPython"),
    case("slot_methods", EITHER, ("tp_methods", "64"), "slot_64", differs="0.9.0 hands it to CPython"),
    case("slot_getset", EITHER, ("tp_getset", "73"), "slot_73", differs="0.9.0 hands it to CPython"),
    case("slot_without_function", EITHER, ("nb_invert",), "empty_slot", differs=NO_CHECK),
    case("kind_9", EITHER, ("kind",), "method_ok", "odd_kind", differs=NO_CHECK),
    *(
        case(f"member_{name}", EITHER, ("offset", name), name, differs=NO_CHECK)
        for name in ("early", "late", "far", "crossing", "crossing_object")
    ),
    case("member_type", EITHER, ("odd_member", "type"), "odd_member", differs="0.9.0: at the first access"),
    *(
        case(f"{kind}_without_name", EITHER, ("name",), f"nameless_{kind}", differs="0.9.0 crashes or leaves it out")
        for kind in ("member", "method", "attribute")
    ),
]
PARAMETERS = [parameters for parameters, _ in CASES]


def make_function(name, defines, params, fields):
    fields = {"basicsize": "sizeof(Pair)", "name": '"mod.T"', **fields}
    listed = ", ".join([*("&" + define for define in defines), "NULL"])
    spec = spec_source(name, defines=f"{name}_defines", **fields)
    return f"""
        static HPyDef *{name}_defines[] = {{ {listed} }};
        {spec}
        FUNC_VARARGS(make_{name})
        {{
            HPyType_SpecParam params[] = {{ {params}{{ (HPyType_SpecParam_Kind)0, HPy_NULL }} }};
            return HPyType_FromSpec(ctx, &{name}_spec, params);
        }}
    """


SOURCE = (
    COMMON
    + "static long legacy[4];\n"
    + type_source("Wide", "long many[8];")
    + "\n".join(make_function(*spec) for _, spec in CASES)
)


@pytest.fixture
def mod(snippet):
    return snippet(SOURCE)


@pytest.mark.parametrize("name, error, text", PARAMETERS)
def test_bad_spec(mod, name, error, text):
    raised, message = failure(getattr(mod, f"make_{name}"), (mod.Wide,), mod.Wide)
    assert issubclass(raised, error)
    if isinstance(text, str):
        assert message == text
    else:
        assert not text or any(part in message for part in text), message


@pytest.mark.parametrize("name, error, text", PARAMETERS)
def test_a_bad_spec_leaves_nothing(mod, name, error, text):
    make, bases = getattr(mod, f"make_{name}"), (mod.Wide,)
    watched = mod.Wide, bases, type, int, error
    for repeat in range(3):
        if repeat == 1:
            gc.collect()
            before = [sys.getrefcount(value) for value in watched], len(mod.Wide.__subclasses__())
        for _ in range(20):
            with pytest.raises(error):
                make(bases, mod.Wide)
        gc.collect()
    after = [sys.getrefcount(value) for value in watched], len(mod.Wide.__subclasses__())
    assert after == before


METACLASSES = spec_source("T") + """
    FUNC_VARARGS(make)
    {
        HPyType_SpecParam params[] = {
            { HPyType_SpecParam_Metaclass, args[0] },
            { nargs > 1 ? HPyType_SpecParam_Base : (HPyType_SpecParam_Kind)0, nargs > 1 ? args[1] : HPy_NULL },
            { (HPyType_SpecParam_Kind)0, HPy_NULL },
        };
        return HPyType_FromSpec(ctx, &T_spec, params);
    }
"""


def test_a_metaclass_may_not_have_its_own_new(snippet):
    class Meta(type):
        def __new__(cls, *args):
            raise AssertionError("not called")

    text = "Metaclasses with custom tp_new are not supported."
    assert failure(snippet(METACLASSES).make, Meta) == (TypeError, text)


@pytest.mark.differs("0.9.0 ignores the metaclass of the bases before Python 3.12")
def test_metaclass_and_that_of_the_base_have_to_get_along(snippet):
    class First(type):
        pass

    class Second(type):
        pass

    with pytest.raises(TypeError, match="metaclass"):
        snippet(METACLASSES).make(First, Second("Base", (), {}))
