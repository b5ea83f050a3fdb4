/* Lets Python tell callgrind where a stretch of instructions begins and ends. Does nothing outside of valgrind. */
#include <Python.h>
#include <valgrind/callgrind.h>

static PyObject *start(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    CALLGRIND_START_INSTRUMENTATION;
    Py_RETURN_NONE;
}

/* Writes what was counted since the last time into a file of its own, under a name. */
static PyObject *dump(PyObject *module, PyObject *name)
{
    (void)module;
    const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
    if (!text)
        return NULL;
    CALLGRIND_DUMP_STATS_AT(text);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    { "start", start, METH_NOARGS, NULL },
    { "dump", dump, METH_O, NULL },
    { NULL, NULL, 0, NULL },
};
static PyModuleDef_Slot slots[] = { { 0, NULL } };
static PyModuleDef moduledef = { PyModuleDef_HEAD_INIT, .m_name = "counter", .m_methods = functions, .m_slots = slots };

PyMODINIT_FUNC PyInit_counter(void)
{
    return PyModuleDef_Init(&moduledef);
}
