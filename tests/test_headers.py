"""The C headers: without a warning in C11 to C23 and C++11 to C++20, with gcc and clang; and what does not compile, does not for the reason
that the message says."""

import shutil
import subprocess
import sys
import sysconfig

import pytest
from hpy.devel import HPyDevel
from loading import load
from snippet import REFERENCE, CompileError, compile_file

ABIS = ["universal", "hybrid"] + ["cpython"] * (sys.implementation.name == "cpython")
# The oldest and the newest standard, and what most use. `2x` is C23 for compilers of before and after it came out.
COMPILERS = [
    *(("gcc", f"-std=c{year}", ".c") for year in ("11", "17", "2x")),
    *(("clang", f"-std=c{year}", ".c") for year in ("11", "17", "2x")),
    *(("g++", f"-std=c++{year}", ".cpp") for year in ("11", "14", "17", "20")),
    *(("clang++", f"-std=c++{year}", ".cpp") for year in ("11", "14", "17", "20")),
    # For Windows, where symbols have other attributes.
    ("x86_64-w64-mingw32-gcc", "-std=c11", ".c"),
    ("x86_64-w64-mingw32-g++", "-std=c++17", ".cpp"),
]

# Uses every macro of the headers at least once. Struct literals of the snippet's own name all fields, so that what could
# warn are the headers.
EVERYTHING = r"""
#include <hpy.h>

typedef struct { int x; HPyField other; } Point;
HPyType_HELPERS(Point)
typedef struct { int x; } Items;
HPyType_HELPERS(Items, HPyType_BuiltinShape_List)
typedef struct { int x; } Old;
HPyType_LEGACY_HELPERS(Old)

HPyDef_METH(noargs, "noargs", HPyFunc_NOARGS, .doc = "documented")
static HPy noargs_impl(HPyContext *ctx, HPy self)
{
    (void)self;
    long sum = HPyLong_AsLong(ctx, ctx->h_True) + (long)HPyLong_AsPid(ctx, ctx->h_True);
    unsigned long mask = HPyLong_AsUnsignedLongMask(ctx, ctx->h_True) + HPyLong_AsUnsignedLong(ctx, ctx->h_True);
    long long wide = HPyLong_AsLongLong(ctx, ctx->h_True);
    unsigned long long wider = HPyLong_AsUnsignedLongLong(ctx, ctx->h_True)
        + HPyLong_AsUnsignedLongLongMask(ctx, ctx->h_True);
    HPy_Close(ctx, HPyLong_FromPid(ctx, (int)sum));
    HPy_Close(ctx, HPyLong_FromUnsignedLong(ctx, mask));
    HPy_Close(ctx, HPyLong_FromLongLong(ctx, wide));
    HPy_Close(ctx, HPyLong_FromUnsignedLongLong(ctx, wider));
    HPy_Close(ctx, HPyBool_FromLong(ctx, sum));
    HPy_ssize_t start = 0, stop = 10;
    HPySlice_AdjustIndices(ctx, 5, &start, &stop, 1);
    HPy_BEGIN_LEAVE_PYTHON(ctx)
    sum++;
    HPy_END_LEAVE_PYTHON(ctx)
    if (HPy_DelAttr_s(ctx, ctx->h_None, "x") < 0 || HPy_DelAttr(ctx, ctx->h_None, ctx->h_None) < 0)
        HPyErr_Clear(ctx);
    HPy_Close(ctx, HPyErr_SetFromErrno(ctx, ctx->h_OSError));
    HPy_Close(ctx, HPyErr_SetFromErrnoWithFilenameObject(ctx, ctx->h_OSError, ctx->h_None));
    HPy_Close(ctx, HPyErr_Format(ctx, ctx->h_ValueError, "%d", 1));
    HPy_Close(ctx, HPyUnicode_FromFormat(ctx, "%s %R", "a", ctx->h_None));
    HPy_Close(ctx, HPy_BuildValue(ctx, "(is)", 1, "a"));
    HPy_Close(ctx, HPy_CallMethodTupleDict_s(ctx, "x", ctx->h_None, HPy_NULL, HPy_NULL));
    HPy_Close(ctx, HPy_CallMethodTupleDict(ctx, ctx->h_None, ctx->h_None, HPy_NULL, HPy_NULL));
    HPy_Close(ctx, HPy_FromVoidP(HPy_AsVoidP(HPy_NULL)));
    return HPyTuple_Pack(ctx, 2, ctx->h_None, ctx->h_True);
}

HPyDef_METH(o, "o", HPyFunc_O)
static HPy o_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    Point_AsStruct(ctx, arg)->x = Items_AsStruct(ctx, arg)->x + Old_AsStruct(ctx, arg)->x;
    Point *point;
    HPy h = HPy_New(ctx, arg, &point);
    if (HPyField_IsNull(point->other))
        point->other = HPyField_NULL;
    return h;
}

static HPy renamed(HPyContext *ctx, HPy self, const HPy *args, size_t nargs);
HPyDef_METH_IMPL(varargs, "varargs", renamed, HPyFunc_VARARGS, .doc = "named otherwise")
static HPy renamed(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
{
    (void)self;
    int x;
    HPyTracker tracker;
    return HPyArg_Parse(ctx, &tracker, args, nargs, "i", &x) ? HPy_NULL : HPy_NULL;
}

HPyDef_METH(keywords, "keywords", HPyFunc_KEYWORDS)
static HPy keywords_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    (void)self;
    static const char *names[] = { "x", NULL };
    int x;
    HPy tuple, dict;
    if (!HPyArg_ParseKeywords(ctx, NULL, args, nargs, kwnames, "i", names, &x)
        || !HPyArg_ParseKeywordsDict(ctx, NULL, args, (HPy_ssize_t)nargs, HPy_NULL, "i", names, &x)
        || !HPyHelpers_PackArgsAndKeywords(ctx, args, nargs, kwnames, &tuple, &dict))
        return HPy_NULL;
    HPy_Close(ctx, dict);
    return tuple;
}

HPyDef_MEMBER(member, "member", HPyMember_INT, offsetof(Point, x), .readonly = 1)
HPyDef_GET(only_get, "only_get", .doc = "read", .closure = NULL)
static HPy only_get_get(HPyContext *ctx, HPy self, void *closure) { (void)closure; return HPy_Dup(ctx, self); }
HPyDef_SET(only_set, "only_set")
static int only_set_set(HPyContext *ctx, HPy self, HPy value, void *closure)
{
    (void)ctx, (void)self, (void)value, (void)closure;
    return 0;
}
HPyDef_GETSET(both, "both")
static HPy both_get(HPyContext *ctx, HPy self, void *closure) { (void)closure; return HPy_Dup(ctx, self); }
static int both_set(HPyContext *ctx, HPy self, HPy value, void *closure)
{
    (void)ctx, (void)self, (void)value, (void)closure;
    return 0;
}

HPyDef_SLOT(compare, HPy_tp_richcompare)
static HPy compare_impl(HPyContext *ctx, HPy self, HPy other, HPy_RichCmpOp op)
{
    HPy_RETURN_RICHCOMPARE(ctx, Point_AsStruct(ctx, self)->x, Point_AsStruct(ctx, other)->x, op);
}
HPyDef_SLOT(traverse, HPy_tp_traverse)
static int traverse_impl(void *self, HPyFunc_visitproc visit, void *arg)
{
    HPy_VISIT(&((Point *)self)->other);
    return 0;
}
HPyDef_SLOT(destroy, HPy_tp_destroy)
static void destroy_impl(void *self) { (void)self; }
static HPy another(HPyContext *ctx, HPy self);
HPyDef_SLOT_IMPL(repr, another, HPy_tp_repr)
static HPy another(HPyContext *ctx, HPy self) { return HPy_Dup(ctx, self); }
@SLOTS@

HPyDef_CALL_FUNCTION(call_function)
static HPy call_function_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    (void)args, (void)nargs, (void)kwnames;
    if (HPy_SetCallFunction(ctx, self, &call_function) < 0)
        return HPy_NULL;
    return HPy_Dup(ctx, self);
}

HPyCapsule_DESTRUCTOR(last_step)
static void last_step_impl(const char *name, void *pointer, void *context) { (void)name, (void)pointer, (void)context; }

static HPyGlobal global;
HPyDef_SLOT(execute, HPy_mod_exec)
static int execute_impl(HPyContext *ctx, HPy mod)
{
    HPyGlobal_Store(ctx, &global, mod);
    HPy_Close(ctx, HPyCapsule_New(ctx, &global, "name", &last_step));
    if (HPyCapsule_GetPointer(ctx, mod, "name") == NULL || HPyCapsule_GetName(ctx, mod) == NULL
        || HPyCapsule_GetContext(ctx, mod) == NULL || HPyCapsule_SetPointer(ctx, mod, NULL) < 0
        || HPyCapsule_SetName(ctx, mod, "x") < 0 || HPyCapsule_SetContext(ctx, mod, NULL) < 0
        || HPyCapsule_SetDestructor(ctx, mod, &last_step) < 0)
        HPyErr_Clear(ctx);
    static HPyStructSequence_Field fields[] = { { "a", "doc" }, { HPyStructSequence_UnnamedField, NULL }, { NULL, NULL } };
    static HPyStructSequence_Desc desc = { "mod.Pair", "doc", fields };
    HPy pair = HPyStructSequence_NewType(ctx, &desc);
    HPy items[] = { mod, mod };
    HPy_Close(ctx, HPyStructSequence_New(ctx, pair, 2, items));
    static HPyDef *point_defines[] = { &member, &only_get, &only_set, &both, &compare, &traverse, &destroy, &repr, NULL };
    static HPyType_Spec spec = {
        "mod.Point", (int)sizeof(Point), 0, HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_BASETYPE | HPy_TPFLAGS_HAVE_GC,
        SHAPE(Point), NULL, point_defines, "doc"
    };
    HPyType_SpecParam params[] = { { HPyType_SpecParam_Base, ctx->h_BaseObjectType }, { (HPyType_SpecParam_Kind)0, HPy_NULL } };
    return HPyHelpers_AddType(ctx, mod, "Point", &spec, params) ? 0 : -1;
}

static HPyDef *defines[] = { &noargs, &o, &varargs, &keywords, &execute, NULL };
static HPyGlobal *globals[] = { &global, NULL };
static HPyModuleDef moduledef = { "doc", 0, NULL, defines, globals };
HPy_MODINIT(everything, moduledef)
"""


def flags(abi="universal"):
    devel = HPyDevel()
    pythons = [] if abi == "universal" else ["-isystem", sysconfig.get_path("include")]
    ours = [f"-I{folder}" for folder in devel.get_extra_include_dirs()]
    return ["-DHPY", f"-DHPY_ABI_{abi.upper()}", *ours, *pythons]


def every_slot():
    """A definition of each slot that the snippet does not have yet, from the generated list of slots."""
    import re
    from pathlib import Path

    generated = Path(HPyDevel().get_extra_include_dirs()[0], "hpy", "generated")
    slots = re.findall(r"#define _HPySlot_SIG__(HPy_\w+) HPyFunc_(\w+)", (generated / "autogen_slots.h").read_text())
    signatures = (generated / "autogen_signatures.h").read_text()
    lines = []
    for slot, signature in slots:
        declaration = re.search(rf"#define _HPyFunc_DECLARE_HPyFunc_{signature}\(SYM\) static (.*)", signatures).group(1)
        result, params = re.fullmatch(r"(.*) SYM\((.*)\)", declaration).groups()
        named = [
            param if re.search(r"\w[ *]+\w+$", param) and not param.endswith("char *") else f"{param} p{position}"
            for position, param in enumerate(map(str.strip, params.split(",")))
        ]
        names = [re.search(r"(\w+)$", param).group(1) for param in named]
        unused = " ".join(f"(void){name};" for name in names)
        value = {"HPy": "return HPy_NULL;", "void": ""}.get(result, "return 0;")
        lines.append(f"HPyDef_SLOT(each_{slot}, {slot})")
        lines.append(f"static {result} each_{slot}_impl({', '.join(named)}) {{ {unused} {value} }}")
    return "\n".join(lines)


@pytest.mark.skipif(REFERENCE, reason="about our own headers")
@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.parametrize("compiler, standard, suffix", COMPILERS)
def test_headers_compile_without_a_warning(tmp_path, compiler, standard, suffix, abi):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source = tmp_path / f"everything{suffix}"
    if abi != "universal":
        # Python's own headers ask more of C23 than some compilers have.
        source.write_text("#include <Python.h>\n")
        if subprocess.run([compiler, standard, "-fsyntax-only", *flags(abi), str(source)], capture_output=True).returncode:
            pytest.skip("Python.h does not compile with this")
    source.write_text(EVERYTHING.replace("@SLOTS@", every_slot()))
    command = [compiler, standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-fPIC", "-c", *flags(abi)]
    run = subprocess.run(
        [*command, "-o", str(tmp_path / "everything.o"), str(source)], capture_output=True, encoding="utf-8"
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""


# Definitions with nothing behind the last argument that has to be there, with a comma, and with commas in what is there.
ENDINGS = r"""
#include <hpy.h>

static HPy get_text(HPyContext *ctx, HPy self, void *closure)
{
    (void)self;
    return HPyLong_FromLong(ctx, closure ? ((int *)closure)[2] : -1);
}
static int set_nothing(HPyContext *ctx, HPy self, HPy value, void *closure)
{
    (void)ctx, (void)self, (void)value, (void)closure;
    return 0;
}
static HPy function(HPyContext *ctx, HPy self) { return HPy_Dup(ctx, self); }

#define SEVERAL .doc = "several", .closure = (int[]){ 1, 2, 3, 4, 5, 6, 7, 8 }
HPyDef_METH_IMPL(f, "f", function, HPyFunc_NOARGS)
HPyDef_METH_IMPL(f_comma, "f_comma", function, HPyFunc_NOARGS, )
HPyDef_METH_IMPL(f_doc, "f_doc", function, HPyFunc_NOARGS, .doc = "one, two", )
HPyDef_GET_IMPL(get, "get", get_text)
HPyDef_GET_IMPL(get_comma, "get_comma", get_text, )
HPyDef_GET_IMPL(get_several, "get_several", get_text, SEVERAL)
HPyDef_SET_IMPL(set, "set", set_nothing)
HPyDef_GETSET_IMPL(both, "both", get_text, set_nothing)
HPyDef_GETSET_IMPL(both_comma, "both_comma", get_text, set_nothing, )
HPyDef_GETSET_IMPL(both_several, "both_several", get_text, set_nothing, SEVERAL, )

static HPyDef *defines_of_type[] = {
    &f, &f_comma, &f_doc, &get, &get_comma, &get_several, &set, &both, &both_comma, &both_several, NULL,
};
static HPyType_Spec spec = { .name = "endings.T", .defines = defines_of_type };
HPyDef_SLOT(execute, HPy_mod_exec)
static int execute_impl(HPyContext *ctx, HPy mod) { return HPyHelpers_AddType(ctx, mod, "T", &spec, NULL) - 1; }
static HPyDef *defines[] = { &execute, NULL };
static HPyModuleDef moduledef = { .defines = defines };
HPy_MODINIT(endings, moduledef)
"""


@pytest.mark.parametrize("abi", ABIS)
def test_definitions_may_end_in_nothing_or_a_comma(abi):
    instance = load("endings", compile_file(ENDINGS, "endings", abi), "cpython" if abi == "cpython" else "universal").T()
    assert instance.f() is instance.f_comma() is instance.f_doc() is instance
    assert instance.f_doc.__doc__ == "one, two"
    assert (instance.get, instance.get_comma, instance.both, instance.both_comma) == (-1, -1, -1, -1)
    assert (instance.get_several, instance.both_several, type(instance).get_several.__doc__) == (3, 3, "several")


@pytest.mark.skipif(REFERENCE, reason="about our own headers")
@pytest.mark.parametrize("abi", ABIS)
def test_every_macro_can_be_linked_into_a_binary(abi):
    # The symbols of Python are in the process that loads the binary.
    strict = ("-Wl,--no-undefined",) if abi == "universal" else ("-Wl,-z,now",)
    binary = compile_file(EVERYTHING.replace("@SLOTS@", every_slot()), "everything", abi, extra_flags=strict)
    assert load("everything", binary, "cpython" if abi == "cpython" else "universal").noargs.__doc__ == "documented"


@pytest.mark.parametrize(
    "source, message",
    [
        ("#include <hpy.h>\n#include <Python.h>", "It is forbidden to #include <Python.h> when targeting the HPy Universal ABI"),
        (
            "#include <hpy.h>\nvoid *f(HPyContext *ctx, HPy h) { return HPy_AsPyObject(ctx, h); }",
            "Cannot use legacy functions when targeting the HPy Universal ABI",
        ),
        (
            "#include <hpy.h>\nHPy f(HPyContext *ctx) { return HPy_FromPyObject(ctx, NULL); }",
            "Cannot use legacy functions when targeting the HPy Universal ABI",
        ),
        ("#include <hpy.h>\nHPyDef_METH(f, \"f\", HPyFunc_MISSPELT)", "HPyFunc_MISSPELT"),
        ("#include <hpy.h>\nHPyDef_SLOT(f, HPy_tp_misspelt)", "HPy_tp_misspelt"),
    ],
)
def test_misuse_is_an_error_of_the_compiler(source, message):
    with pytest.raises(CompileError) as error:
        compile_file(source, "wrong")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "defines, message",
    [
        ([], "HPy ABI"),
        (["-DHPY_ABI_UNIVERSAL", "-DHPY_ABI_HYBRID"], "Conflicting macros"),
    ],
)
def test_a_build_has_to_define_one_abi(tmp_path, defines, message):
    source = tmp_path / "abi.c"
    source.write_text("#include <hpy.h>\n")
    includes = [flag for flag in flags() if flag.startswith("-I")]
    run = subprocess.run(["cc", "-c", *includes, *defines, "-o", "/dev/null", str(source)], capture_output=True, encoding="utf-8")
    assert run.returncode != 0
    assert message in run.stderr
