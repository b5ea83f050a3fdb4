"""Writes the sources of the modules that costs.py builds.

`many` has many functions and types, `minimal` has next to nothing.
"""

from pathlib import Path

FUNCTIONS, TYPES, METHODS = 200, 20, 5


def write_sources(folder):
    """Writes them all; gives the folder of the crate."""
    sources = {
        "many_capi.c": many_capi(),
        "many_hpy.c": many_hpy(),
        "minimal_capi.c": MINIMAL_CAPI,
        "minimal_hpy.c": MINIMAL_HPY,
        "minimal_nanobind.cpp": MINIMAL_NANOBIND,
        "pyo3/src/lib.rs": MINIMAL_PYO3,
    }
    folder = Path(folder)
    (folder / "pyo3/src").mkdir(parents=True, exist_ok=True)
    for name, text in sources.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for name in ("Cargo.toml", "Cargo.lock"):
        text = (Path(__file__).parent / "variants/pyo3" / name).read_text(encoding="utf-8")
        (folder / "pyo3" / name).write_text(text.replace('name = "ops"', 'name = "minimal"'), encoding="utf-8")
    return folder / "pyo3"


def many_capi():
    parts = ["#include <Python.h>", "#include <stddef.h>", CAPI_START]
    for number in range(FUNCTIONS):
        parts.append(
            f"static PyObject *f{number}(PyObject *module, PyObject *arg)\n"
            "{\n    (void)module;\n    Py_INCREF(arg);\n    return arg;\n}\n"
        )
    for number in range(TYPES):
        methods = ""
        for method in range(METHODS):
            parts.append(
                f"static PyObject *T{number}_m{method}(PyObject *self, PyObject *arg)\n"
                "{\n    (void)self;\n    Py_INCREF(arg);\n    return arg;\n}\n"
            )
            methods += f'    {{ "m{method}", T{number}_m{method}, METH_O, NULL }},\n'
        parts.append(
            f"static PyMethodDef T{number}_methods[] = {{\n{methods}    {{ NULL, NULL, 0, NULL }},\n}};\n"
            f"static PyType_Slot T{number}_slots[] = {{\n"
            "    { Py_tp_new, Data_new },\n    { Py_tp_dealloc, Data_dealloc },\n"
            f"    {{ Py_tp_methods, T{number}_methods }},\n"
            "    { Py_tp_getset, Data_getset }, { 0, NULL },\n};\n"
            f"static PyType_Spec T{number}_spec = {{\n"
            f'    "many.T{number}", sizeof(Data), 0, Py_TPFLAGS_DEFAULT, T{number}_slots\n}};\n'
        )
    specs = ", ".join(f"&T{number}_spec" for number in range(TYPES))
    functions = "\n".join(f'    {{ "f{number}", f{number}, METH_O, NULL }},' for number in range(FUNCTIONS))
    parts.append(CAPI_END.replace("@SPECS", specs).replace("@FUNCTIONS", functions))
    return "\n".join(parts)


def many_hpy():
    parts = ["#include <hpy.h>", HPY_START]
    for number in range(FUNCTIONS):
        parts.append(
            f'HPyDef_METH(f{number}, "f{number}", HPyFunc_O)\n'
            f"static HPy f{number}_impl(HPyContext *ctx, HPy self, HPy arg)\n"
            "{\n    (void)self;\n    return HPy_Dup(ctx, arg);\n}\n"
        )
    for number in range(TYPES):
        defines = []
        for method in range(METHODS):
            name = f"T{number}_m{method}"
            defines.append(f"&{name}")
            parts.append(
                f'HPyDef_METH({name}, "m{method}", HPyFunc_O)\n'
                f"static HPy {name}_impl(HPyContext *ctx, HPy self, HPy arg)\n"
                "{\n    (void)self;\n    return HPy_Dup(ctx, arg);\n}\n"
            )
        parts.append(
            f"static HPyDef *T{number}_defines[] = {{ &Data_new, &Data_value, {', '.join(defines)}, NULL }};\n"
            f"static HPyType_Spec T{number}_spec = {{\n"
            f'    .name = "many.T{number}", .basicsize = sizeof(Data), .builtin_shape = SHAPE(Data),\n'
            f"    .flags = HPy_TPFLAGS_DEFAULT, .defines = T{number}_defines,\n}};\n"
        )
    adds = "\n".join(
        f'    if (!HPyHelpers_AddType(ctx, module, "T{number}", &T{number}_spec, NULL))\n        return -1;'
        for number in range(TYPES)
    )
    functions = ", ".join(f"&f{number}" for number in range(FUNCTIONS))
    parts.append(HPY_END.replace("@ADDS", adds).replace("@FUNCTIONS", functions))
    return "\n".join(parts)


CAPI_START = """
typedef struct {
    PyObject_HEAD
    double value;
} Data;

#ifdef Py_LIMITED_API
#define allocate(TYPE) ((allocfunc)PyType_GetSlot(TYPE, Py_tp_alloc))(TYPE, 0)
#else
#define allocate(TYPE) (TYPE)->tp_alloc(TYPE, 0)
#endif

static PyObject *Data_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    return allocate(type);
}

static void Data_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *Data_get_value(PyObject *self, void *closure)
{
    (void)closure;
    return PyFloat_FromDouble(((Data *)self)->value);
}

static PyGetSetDef Data_getset[] = {
    { "value", Data_get_value, NULL, NULL, NULL },
    { NULL, NULL, NULL, NULL, NULL },
};
"""

CAPI_END = """
static PyType_Spec *specs[] = { @SPECS };

static PyObject *make_type(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyType_FromSpec(specs[0]);
}

static PyMethodDef functions[] = {
@FUNCTIONS
    { "make_type", make_type, METH_NOARGS, NULL },
    { NULL, NULL, 0, NULL },
};

static int module_exec(PyObject *module)
{
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        PyObject *type = PyType_FromSpec(specs[i]);
        if (!type)
            return -1;
        int failed = PyObject_SetAttrString(module, specs[i]->name + sizeof("many.") - 1, type);
        Py_DECREF(type);
        if (failed)
            return -1;
    }
    return 0;
}

static PyModuleDef_Slot slots[] = { { Py_mod_exec, module_exec }, { 0, NULL } };
static PyModuleDef moduledef = { PyModuleDef_HEAD_INIT, .m_name = "many", .m_methods = functions, .m_slots = slots };

PyMODINIT_FUNC PyInit_many(void)
{
    return PyModuleDef_Init(&moduledef);
}
"""

HPY_START = """
typedef struct {
    double value;
} Data;
HPyType_HELPERS(Data)

HPyDef_SLOT(Data_new, HPy_tp_new)
static HPy Data_new_impl(HPyContext *ctx, HPy type, const HPy *args, HPy_ssize_t nargs, HPy kwargs)
{
    Data *data;
    (void)args;
    (void)nargs;
    (void)kwargs;
    return HPy_New(ctx, type, &data);
}

HPyDef_GET(Data_value, "value")
static HPy Data_value_get(HPyContext *ctx, HPy self, void *closure)
{
    (void)closure;
    return HPyFloat_FromDouble(ctx, Data_AsStruct(ctx, self)->value);
}
"""

HPY_END = """
HPyDef_METH(make_type, "make_type", HPyFunc_NOARGS)
static HPy make_type_impl(HPyContext *ctx, HPy self)
{
    (void)self;
    return HPyType_FromSpec(ctx, &T0_spec, NULL);
}

HPyDef_SLOT(module_exec, HPy_mod_exec)
static int module_exec_impl(HPyContext *ctx, HPy module)
{
@ADDS
    return 0;
}

static HPyDef *defines[] = { @FUNCTIONS, &make_type, &module_exec, NULL };
static HPyModuleDef moduledef = { .defines = defines };

HPy_MODINIT(many, moduledef)
"""

MINIMAL_CAPI = """#include <Python.h>

static PyObject *nothing(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = { { "nothing", nothing, METH_NOARGS, NULL }, { NULL, NULL, 0, NULL } };
static PyModuleDef_Slot slots[] = { { 0, NULL } };
static PyModuleDef moduledef = { PyModuleDef_HEAD_INIT, .m_name = "minimal", .m_methods = functions, .m_slots = slots };

PyMODINIT_FUNC PyInit_minimal(void)
{
    return PyModuleDef_Init(&moduledef);
}
"""

MINIMAL_HPY = """#include <hpy.h>

HPyDef_METH(nothing, "nothing", HPyFunc_NOARGS)
static HPy nothing_impl(HPyContext *ctx, HPy self)
{
    (void)self;
    return HPy_Dup(ctx, ctx->h_None);
}

static HPyDef *defines[] = { &nothing, NULL };
static HPyModuleDef moduledef = { .defines = defines };

HPy_MODINIT(minimal, moduledef)
"""

MINIMAL_NANOBIND = """#include <nanobind/nanobind.h>

NB_MODULE(minimal, m)
{
    m.def("nothing", [] {});
}
"""

MINIMAL_PYO3 = """use pyo3::prelude::*;

#[pymodule]
mod minimal {
    use pyo3::prelude::*;

    #[pyfunction]
    fn nothing() {}
}
"""
