"""Modules: what a HPyModuleDef says, and how it is made a module. The texts of errors are those of HPy 0.9.0."""

import importlib.util
import sys
import types

import pytest
from conftest import load
from snippet import compile_file


def module(body, defines=(), fields=""):
    """A snippet with a definition of its own."""
    listed = "".join(f"&{define}, " for define in defines)
    return f"""
        {body}
        static HPyDef *moduledefs[] = {{ {listed}NULL }};
        static HPyModuleDef moduledef = {{ .defines = moduledefs, {fields} }};
        HPy_MODINIT(mod, moduledef)
    """


FUNCTION = """
    HPyDef_METH(f, "f", HPyFunc_NOARGS)
    static HPy f_impl(HPyContext *ctx, HPy self) { return HPyLong_FromInt32_t(ctx, 42); }
"""


def test_module_is_a_builtin_module_named_by_its_spec(snippet):
    mod = snippet(module(FUNCTION, ["f"]))
    assert type(mod) is types.ModuleType
    assert mod.__name__ == "mod"
    assert mod.f() == 42
    assert "mod" not in sys.modules


def test_module_without_any_definitions(snippet):
    mod = snippet("""
        static HPyModuleDef moduledef = { .doc = NULL };
        HPy_MODINIT(mod, moduledef)
    """)
    assert type(mod) is types.ModuleType
    assert mod.__doc__ is None


def test_docstring_of_the_module(snippet):
    assert snippet(module("", fields='.doc = "Für Tests."')).__doc__ == "Für Tests."
    assert snippet(module(FUNCTION, ["f"])).__doc__ is None


@pytest.mark.parametrize(
    "size, message",
    [
        (-1, "HPy does not permit HPyModuleDef.size < 0"),
        (8, "Module state is not supported yet in HPy, set HPyModuleDef.size = 0 if module state is not needed"),
    ],
)
def test_module_state_is_refused(snippet, size, message):
    for _ in range(2):
        with pytest.raises(SystemError) as info:
            snippet(module(FUNCTION, ["f"], f".size = {size}"))
        assert str(info.value) == message


# Notes its number in sys.steps, if that is there, and as an attribute.
STEPS = """
    static int step(HPyContext *ctx, HPy mod, int number)
    {
        HPy sys = HPyImport_ImportModule(ctx, "sys"), h = HPyLong_FromInt32_t(ctx, number);
        if (HPy_IsNull(sys) || HPy_IsNull(h))
            return -1;
        HPy steps = HPy_GetAttr_s(ctx, sys, "steps");
        if (HPy_IsNull(steps))
            return -1;
        int result = HPyList_Append(ctx, steps, h);
        if (result == 0)
            result = HPy_SetAttr_s(ctx, mod, "last_step", h);
        HPy_Close(ctx, steps);
        HPy_Close(ctx, h);
        HPy_Close(ctx, sys);
        return result;
    }
    HPyDef_SLOT(first, HPy_mod_exec)
    static int first_impl(HPyContext *ctx, HPy mod) { return step(ctx, mod, 1); }
    HPyDef_SLOT(second, HPy_mod_exec)
    static int second_impl(HPyContext *ctx, HPy mod) { return step(ctx, mod, 2); }
    HPyDef_SLOT(third, HPy_mod_exec)
    static int third_impl(HPyContext *ctx, HPy mod) { return step(ctx, mod, 3); }

    HPyDef_SLOT(failing, HPy_mod_exec)
    static int failing_impl(HPyContext *ctx, HPy mod)
    {
        HPyErr_SetString(ctx, ctx->h_KeyError, "by exec");
        return -1;
    }
    HPyDef_SLOT(failing_silently, HPy_mod_exec)
    static int failing_silently_impl(HPyContext *ctx, HPy mod) { return -1; }
    HPyDef_SLOT(contradicting_itself, HPy_mod_exec)
    static int contradicting_itself_impl(HPyContext *ctx, HPy mod)
    {
        HPyErr_SetString(ctx, ctx->h_KeyError, "by exec");
        return 0;
    }
    HPyDef_SLOT(failing_once, HPy_mod_exec)
    static int failing_once_impl(HPyContext *ctx, HPy mod)
    {
        /* The binary stays loaded, and this test may run again. */
        static int calls = 0;
        return calls++ % 2 == 0 ? failing_impl(ctx, mod) : 0;
    }
"""


@pytest.fixture
def steps(monkeypatch):
    steps = []
    monkeypatch.setattr(sys, "steps", steps, raising=False)
    return steps


@pytest.mark.parametrize("order", [["first", "second", "third"], ["third", "first", "second"]])
def test_exec_slots_run_in_the_order_of_the_list(snippet, steps, order):
    mod = snippet(module(STEPS + FUNCTION, [order[0], "f", *order[1:]]))
    numbers = {"first": 1, "second": 2, "third": 3}
    assert steps == [numbers[name] for name in order]
    assert mod.last_step == steps[-1]


def test_failing_exec_slot_ends_the_loading(snippet, steps):
    with pytest.raises(KeyError, match="by exec"):
        snippet(module(STEPS, ["first", "failing", "second"]))
    assert steps == [1]


@pytest.mark.parametrize("slot", ["failing_silently", "contradicting_itself"])
@pytest.mark.misuse("results that do not agree with exceptions")
def test_result_and_exception_of_an_exec_slot_have_to_agree(snippet, steps, slot):
    with pytest.raises(SystemError):
        snippet(module(STEPS, [slot, "first"]))
    assert steps == []


def test_module_can_be_loaded_again_after_a_failure(snippet, steps):
    source = module(STEPS, ["first", "failing_once", "second"])
    with pytest.raises(KeyError, match="by exec"):
        snippet(source)
    assert snippet(source).last_step == 2
    assert steps == [1, 1, 2]


def test_loading_twice_gives_two_modules(snippet, steps):
    source = module(STEPS + FUNCTION, ["first", "f"])
    one, other = snippet(source), snippet(source)
    assert steps == [1, 1]
    assert one is not other
    one.last_step = "changed"
    assert other.last_step == 1
    assert one.f is not other.f
    assert one.f.__self__ is one and other.f.__self__ is other
    assert one.f() == other.f() == 42


@pytest.mark.abis("cpython")
def test_functions_work_before_the_module_is_executed(snippet):
    fresh = importlib.util.module_from_spec(
        snippet("""
        FUNC_NOARGS(none) { return HPy_Dup(ctx, ctx->h_None); }
        FUNC_NOARGS(builtins) { return HPy_Dup(ctx, ctx->h_Builtins); }
        """).__spec__
    )
    assert fresh.none() is None
    assert fresh.builtins()["len"] is len


CREATE = """
    HPyDef_SLOT(create, HPy_mod_create)
    static HPy create_impl(HPyContext *ctx, HPy spec) { %s }
"""


def test_create_slot_gets_the_spec_and_gives_the_module(snippet):
    spec = snippet(module(CREATE % "return HPy_Dup(ctx, spec);", ["create"]))
    assert spec.name == "mod"
    assert spec.origin.endswith(".so") or spec.origin.endswith(".pyd")
    number = snippet(module(CREATE % "return HPyLong_FromInt32_t(ctx, 42);", ["create"]))
    assert number == 42


@pytest.mark.misuse("results that do not agree with exceptions")
def test_create_slot_can_fail(snippet):
    with pytest.raises(KeyError, match="by create"):
        snippet(module(CREATE % 'return HPyErr_SetString(ctx, ctx->h_KeyError, "by create");', ["create"]))
    with pytest.raises(SystemError):
        snippet(module(CREATE % "return HPy_NULL;", ["create"]))
    with pytest.raises(SystemError):
        snippet(module(CREATE % 'HPyErr_SetString(ctx, ctx->h_KeyError, "x"); return NONE;', ["create"]))


RETURNS_SYS = CREATE % 'return HPyImport_ImportModule(ctx, "sys");'


def test_create_slot_may_not_give_a_builtin_module(snippet):
    with pytest.raises(SystemError) as info:
        snippet(module(RETURNS_SYS, ["create"]))
    assert str(info.value) == (
        "HPy_mod_create slot returned a builtin module object. This is currently not supported."
    )


@pytest.mark.differs("leaks a reference to the module")
def test_refused_module_is_released(snippet):
    def load():
        with pytest.raises(SystemError):
            snippet(module(RETURNS_SYS, ["create"]))

    load()
    before = sys.getrefcount(sys)
    for _ in range(10):
        load()
    assert sys.getrefcount(sys) < before + 10


STANDS_ALONE = (
    "This is not allowed because custom HPy_mod_create slot cannot return a builtin module object and cannot make any "
    "use of any other data defined in the HPyModuleDef. Either do not define HPy_mod_create slot and let the runtime "
    "create a builtin module object from the provided HPyModuleDef, or do not define anything else but the "
    "HPy_mod_create slot."
)
CREATE_AND_MORE = CREATE % "return NONE;" + FUNCTION + STEPS + """
    static HPyGlobal variable;
    static HPyGlobal *variables[] = { &variable, NULL };
    static void *no_methods[8];
    HPyDef_SLOT(create_again, HPy_mod_create)
    static HPy create_again_impl(HPyContext *ctx, HPy spec) { return NONE; }

    /* Not all of this is used in all modules. */
    FUNC_NOARGS(use)
    {
        (void)no_methods;
        return HPyGlobal_Load(ctx, *variables[0]);
    }
"""


@pytest.mark.parametrize("others", [["f", "create"], ["create", "f"], ["first", "create"], ["create", "first"]])
def test_create_slot_stands_alone_in_the_list(snippet, others):
    with pytest.raises(SystemError) as info:
        snippet(module(CREATE_AND_MORE, others))
    assert str(info.value) == (
        f"HPyModuleDef defines a HPy_mod_create slot and some other slots or methods. {STANDS_ALONE}"
    )


@pytest.mark.parametrize(
    "fields", ['.doc = "text"', '.doc = ""', ".globals = variables", ".legacy_methods = (void *)no_methods"]
)
def test_create_slot_goes_with_no_other_field(snippet, fields):
    with pytest.raises(SystemError) as info:
        snippet(module(CREATE_AND_MORE, ["create"], fields))
    assert str(info.value) == (
        "HPyModuleDef defines a HPy_mod_create slot and some of the other fields are not set to their default value. "
        f"{STANDS_ALONE}"
    )


def test_there_is_one_create_slot(snippet):
    with pytest.raises(SystemError) as info:
        snippet(module(CREATE_AND_MORE, ["create", "create_again"]))
    assert str(info.value) == "Multiple definitions of the HPy_mod_create slot in HPyModuleDef.defines."


@pytest.mark.parametrize("slot, number", [("HPy_nb_add", 7), ("HPy_sq_concat", 40)])
def test_slots_of_types_are_refused(snippet, slot, number):
    body = f"""
        HPyDef_SLOT(slot, {slot})
        static HPy slot_impl(HPyContext *ctx, HPy a, HPy b) {{ return NONE; }}
    """
    with pytest.raises(SystemError) as info:
        snippet(module(body, ["slot"]))
    assert str(info.value) == f"Unsupported slot in HPyModuleDef.defines (value: {number})."


@pytest.mark.parametrize("signature, params", [("UNARYFUNC", ""), ("BINARYFUNC", ", HPy other")])
def test_signatures_of_slots_are_refused_for_methods(snippet, signature, params):
    body = f"""
        HPyDef_METH(f, "f", HPyFunc_{signature})
        static HPy f_impl(HPyContext *ctx, HPy self{params}) {{ return NONE; }}
    """
    with pytest.raises(ValueError) as info:
        snippet(module(body, ["f"]))
    assert str(info.value) == "Unsupported HPyMeth signature"


def test_embeddable_means_nothing_to_a_module_of_its_own(snippet):
    mod = snippet("HPY_MOD_EMBEDDABLE(mod)\n" + module(FUNCTION, ["f"]))
    assert mod.f() == 42


def embedded(name, number):
    """A file that can share its binary with others like it: what both define is called after the module."""
    return f"""
        #include <hpy.h>
        HPY_MOD_EMBEDDABLE({name})
        HPyDef_METH({name}_f, "f", HPyFunc_O)
        static HPy {name}_f_impl(HPyContext *ctx, HPy self, HPy arg)
        {{
            HPy number = HPyLong_FromInt32_t(ctx, {number}), result = HPy_Add(ctx, arg, number);
            HPy_Close(ctx, number);
            return result;
        }}
        static HPyDef *defines[] = {{ &{name}_f, NULL }};
        static HPyModuleDef moduledef = {{ .defines = defines }};
        HPy_MODINIT({name}, moduledef)
    """


def test_several_modules_can_share_a_binary(tmp_path):
    second = tmp_path / "second.c"
    second.write_text(embedded("second", 2))
    path = compile_file(embedded("first", 1), "first", extra_flags=("-DHPY_EMBEDDED_MODULES", str(second)))
    first, second = load("first", path), load("second", path)
    assert (first.__name__, second.__name__) == ("first", "second")
    assert (first.f(10), second.f(10)) == (11, 12)
    for mod in (first, second):
        with pytest.raises(TypeError):
            mod.f("text")
