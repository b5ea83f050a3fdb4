/* The functions of calls_hpy.c, written against CPython's own API. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *noargs(PyObject *self, PyObject *ignored)
{
    (void)self;
    (void)ignored;
    Py_RETURN_NONE;
}

static PyObject *onearg(PyObject *self, PyObject *arg)
{
    (void)self;
    Py_INCREF(arg);
    return arg;
}

static PyObject *varargs(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    (void)self;
    (void)args;
    return PyLong_FromSsize_t(nargs);
}

static PyObject *add(PyObject *self, PyObject *arg)
{
    (void)self;
    return PyNumber_Add(arg, arg);
}

static PyObject *total(PyObject *self, PyObject *list)
{
    (void)self;
    long sum = 0;
    Py_ssize_t n = PyObject_Length(list);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = PySequence_GetItem(list, i);
        if (item == NULL)
            return NULL;
        sum += PyLong_AsLong(item);
        Py_DECREF(item);
    }
    return PyErr_Occurred() ? NULL : PyLong_FromLong(sum);
}

static PyMethodDef methods[] = {
    { "noargs", noargs, METH_NOARGS, NULL },
    { "onearg", onearg, METH_O, NULL },
    { "varargs", (PyCFunction)(void (*)(void))varargs, METH_FASTCALL, NULL },
    { "add", add, METH_O, NULL },
    { "total", total, METH_O, NULL },
    { NULL, NULL, 0, NULL },
};

static PyModuleDef moduledef = { PyModuleDef_HEAD_INIT, .m_name = "calls_capi", .m_methods = methods };

PyMODINIT_FUNC PyInit_calls_capi(void)
{
    return PyModuleDef_Init(&moduledef);
}
