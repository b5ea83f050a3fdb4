/* src/piconumpy.c with the C API of CPython, function by function: what the port is measured by. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "../src/doubles.h"
#include <math.h>

typedef struct {
    PyObject_HEAD
    Doubles items;
} Array;

static PyTypeObject *array_type;

/* A new array whose items have no values yet. */
static Array *make(PyTypeObject *type, Py_ssize_t size)
{
    Array *array = (Array *)type->tp_alloc(type, 0);
    if (array == NULL)
        return NULL;
    if (!doubles_allocate(&array->items, size)) {
        Py_DECREF(array);
        PyErr_NoMemory();
        return NULL;
    }
    return array;
}

static int is_array(PyObject *object)
{
    return PyObject_TypeCheck(object, array_type);
}

static int to_double(PyObject *object, double *value)
{
    *value = PyFloat_AsDouble(object);
    return *value == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* ---- Making arrays ---- */

static PyObject *Array_new(PyTypeObject *cls, PyObject *args, PyObject *kw)
{
    if (PyTuple_GET_SIZE(args) != 1 || (kw && PyDict_GET_SIZE(kw) > 0)) {
        PyErr_SetString(PyExc_TypeError, "array() takes a sequence and nothing else");
        return NULL;
    }
    PyObject *sequence = PyTuple_GET_ITEM(args, 0);
    Py_ssize_t size = PyObject_Length(sequence);
    if (size < 0)
        return NULL;
    Array *array = make(cls, size);
    if (array == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *item = PySequence_GetItem(sequence, i);
        int failed = item == NULL || to_double(item, &array->items.data[i]) < 0;
        Py_XDECREF(item);
        if (failed) {
            Py_DECREF(array);
            return NULL;
        }
    }
    return (PyObject *)array;
}

static void Array_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(((Array *)self)->items.data);
    type->tp_free(self);
    Py_DECREF(type);
}

static Array *make_of_size(PyObject *arg)
{
    Py_ssize_t size = PyLong_AsSsize_t(arg);
    if (size < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "the size of an array can not be negative");
        return NULL;
    }
    return make(array_type, size);
}

static PyObject *empty(PyObject *self, PyObject *arg)
{
    (void)self;
    return (PyObject *)make_of_size(arg);
}

static PyObject *zeros(PyObject *self, PyObject *arg)
{
    (void)self;
    Array *array = make_of_size(arg);
    if (array != NULL)
        doubles_set_zero(&array->items);
    return (PyObject *)array;
}

/* ---- Arithmetic ---- */

/* 1 if it can be used, 0 if others may know better, -1 after an exception. */
static int get_operand(PyObject *object, Operand *operand)
{
    *operand = (Operand){ NULL, 0, 0.0 };
    if (is_array(object)) {
        operand->data = ((Array *)object)->items.data;
        operand->size = ((Array *)object)->items.size;
        return 1;
    }
    if (!PyNumber_Check(object))
        return 0;
    return to_double(object, &operand->number) < 0 ? -1 : 1;
}

static PyObject *calculate(PyObject *left_object, PyObject *right_object, char what)
{
    Operand left, right;
    int usable = get_operand(left_object, &left);
    if (usable > 0)
        usable = get_operand(right_object, &right);
    if (usable < 0)
        return NULL;
    if (usable == 0)
        Py_RETURN_NOTIMPLEMENTED;
    if (left.data && !operand_fits(&right, left.size)) {
        PyErr_Format(PyExc_ValueError, "arrays of different sizes: %zd and %zd", left.size, right.size);
        return NULL;
    }
    Py_ssize_t size = left.data ? left.size : right.size;
    Array *result = make(array_type, size);
    if (result == NULL)
        return NULL;
    doubles_calculate(&result->items, &left, &right, what);
    return (PyObject *)result;
}

static PyObject *Array_add(PyObject *left, PyObject *right)
{
    return calculate(left, right, '+');
}

static PyObject *Array_subtract(PyObject *left, PyObject *right)
{
    return calculate(left, right, '-');
}

static PyObject *Array_multiply(PyObject *left, PyObject *right)
{
    return calculate(left, right, '*');
}

static PyObject *Array_divide(PyObject *left, PyObject *right)
{
    return calculate(left, right, '/');
}

/* ---- Functions of each item ---- */

static PyObject *map(PyObject *arg, double (*function)(double))
{
    if (!is_array(arg)) {
        double value;
        return to_double(arg, &value) < 0 ? NULL : PyFloat_FromDouble(function(value));
    }
    Array *from = (Array *)arg, *to = make(array_type, from->items.size);
    if (to != NULL)
        doubles_map(to->items.data, from->items.data, from->items.size, function);
    return (PyObject *)to;
}

static PyObject *Array_negative(PyObject *self)
{
    return map(self, negated);
}

static PyObject *py_cos(PyObject *self, PyObject *arg)
{
    (void)self;
    return map(arg, cos);
}

static PyObject *py_sin(PyObject *self, PyObject *arg)
{
    (void)self;
    return map(arg, sin);
}

static PyObject *py_exp(PyObject *self, PyObject *arg)
{
    (void)self;
    return map(arg, exp);
}

/* ---- Items ---- */

static PyObject *item(const Array *array, Py_ssize_t index)
{
    if (!doubles_has_index(&array->items, index)) {
        PyErr_SetString(PyExc_IndexError, "array index out of range");
        return NULL;
    }
    return PyFloat_FromDouble(array->items.data[index]);
}

/* Counts from the end if it is negative. 0, or -1 after an exception. */
static int get_index(const Array *array, PyObject *key, Py_ssize_t *index)
{
    *index = PyNumber_AsSsize_t(key, PyExc_OverflowError);
    if (*index == -1 && PyErr_Occurred())
        return -1;
    if (*index < 0)
        *index += array->items.size;
    return 0;
}

static Py_ssize_t Array_length(PyObject *self)
{
    return ((Array *)self)->items.size;
}

static PyObject *Array_item(PyObject *self, Py_ssize_t index)
{
    return item((Array *)self, index);
}

static PyObject *Array_subscript(PyObject *self, PyObject *key)
{
    Array *array = (Array *)self;
    Py_ssize_t start, stop, step, index;
    if (!PySlice_Check(key))
        return get_index(array, key, &index) < 0 ? NULL : item(array, index);
    if (PySlice_Unpack(key, &start, &stop, &step) < 0)
        return NULL;
    Py_ssize_t size = PySlice_AdjustIndices(array->items.size, &start, &stop, step);
    Array *part = make(array_type, size);
    if (part != NULL)
        doubles_get_slice(&array->items, start, step, size, part->items.data);
    return (PyObject *)part;
}

static int Array_ass_subscript(PyObject *self, PyObject *key, PyObject *value)
{
    Array *array = (Array *)self;
    Py_ssize_t start, stop, step, index;
    if (value == NULL) {
        PyErr_SetString(PyExc_TypeError, "items of an array can not be deleted");
        return -1;
    }
    if (!PySlice_Check(key)) {
        double number;
        if (get_index(array, key, &index) < 0 || to_double(value, &number) < 0)
            return -1;
        if (!doubles_has_index(&array->items, index)) {
            PyErr_SetString(PyExc_IndexError, "array index out of range");
            return -1;
        }
        array->items.data[index] = number;
        return 0;
    }
    Operand operand;
    if (PySlice_Unpack(key, &start, &stop, &step) < 0)
        return -1;
    Py_ssize_t size = PySlice_AdjustIndices(array->items.size, &start, &stop, step);
    int usable = get_operand(value, &operand);
    if (usable == 0)
        PyErr_SetString(PyExc_TypeError, "a slice is assigned an array or a number");
    if (usable <= 0)
        return -1;
    if (!operand_fits(&operand, size)) {
        PyErr_Format(PyExc_ValueError, "%zd items can not be assigned to a slice of %zd", operand.size, size);
        return -1;
    }
    if (!doubles_set_slice(&array->items, start, step, size, &operand)) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* ---- The whole ---- */

static PyObject *Array_mean(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    Array *array = (Array *)self;
    if (array->items.size == 0) {
        PyErr_SetString(PyExc_ValueError, "an empty array has no mean");
        return NULL;
    }
    return PyFloat_FromDouble(doubles_mean(&array->items));
}

static PyObject *Array_tolist(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    Array *array = (Array *)self;
    PyObject *list = PyList_New(array->items.size);
    for (Py_ssize_t i = 0; list != NULL && i < array->items.size; i++) {
        PyObject *number = PyFloat_FromDouble(array->items.data[i]);
        if (number == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, number);
    }
    return list;
}

static PyObject *Array_repr(PyObject *self)
{
    PyObject *list = Array_tolist(self, NULL);
    if (list == NULL)
        return NULL;
    PyObject *result = PyUnicode_FromFormat("array(%R)", list);
    Py_DECREF(list);
    return result;
}

static Py_ssize_t strides[] = { sizeof(double) };

static int Array_getbuffer(PyObject *self, Py_buffer *buffer, int flags)
{
    (void)flags;
    Array *array = (Array *)self;
    Py_INCREF(self);
    *buffer = (Py_buffer){
        .buf = array->items.data,
        .obj = self,
        .len = array->items.size * (Py_ssize_t)sizeof(double),
        .itemsize = sizeof(double),
        .ndim = 1,
        .format = (char *)"d",
        .shape = &array->items.size,
        .strides = strides,
    };
    return 0;
}

static PyMethodDef array_methods[] = {
    { "mean", Array_mean, METH_NOARGS, "mean($self, /)\n--\n\nReturn the arithmetic mean of all items." },
    { "tolist", Array_tolist, METH_NOARGS, "tolist($self, /)\n--\n\nReturn a list of the items." },
    { NULL, NULL, 0, NULL },
};

static PyType_Slot array_slots[] = {
    { Py_tp_doc, (void *)"array(sequence, /)\n--\n\nA one-dimensional array of doubles." },
    { Py_tp_new, (void *)Array_new },
    { Py_tp_dealloc, (void *)Array_dealloc },
    { Py_tp_methods, array_methods },
    { Py_tp_repr, (void *)Array_repr },
    { Py_nb_add, (void *)Array_add },
    { Py_nb_subtract, (void *)Array_subtract },
    { Py_nb_multiply, (void *)Array_multiply },
    { Py_nb_true_divide, (void *)Array_divide },
    { Py_nb_negative, (void *)Array_negative },
    { Py_sq_length, (void *)Array_length },
    { Py_sq_item, (void *)Array_item },
    { Py_mp_subscript, (void *)Array_subscript },
    { Py_mp_ass_subscript, (void *)Array_ass_subscript },
    { Py_bf_getbuffer, (void *)Array_getbuffer },
    { 0, NULL },
};

static PyType_Spec array_spec = {
    .name = "piconumpy_capi.array",
    .basicsize = sizeof(Array),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = array_slots,
};

static int exec(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&array_spec);
    if (type == NULL)
        return -1;
    /* One reference for the variable, one for the module. */
    array_type = (PyTypeObject *)type;
    return PyObject_SetAttrString(module, "array", type);
}

static PyMethodDef methods[] = {
    { "empty", empty, METH_O, "empty(size, /)\n--\n\nReturn an array whose items have any values." },
    { "zeros", zeros, METH_O, "zeros(size, /)\n--\n\nReturn an array of zeros." },
    { "cos", py_cos, METH_O, "cos(x, /)\n--\n\nReturn the cosine of a number, or of each item of an array." },
    { "sin", py_sin, METH_O, "sin(x, /)\n--\n\nReturn the sine of a number, or of each item of an array." },
    { "exp", py_exp, METH_O, "exp(x, /)\n--\n\nReturn e to the power of a number, or of each item of an array." },
    { NULL, NULL, 0, NULL },
};

static PyModuleDef_Slot slots[] = {
    { Py_mod_exec, (void *)exec },
    { 0, NULL },
};

static PyModuleDef moduledef = {
    PyModuleDef_HEAD_INIT,
    .m_name = "piconumpy_capi",
    .m_doc = "One-dimensional arrays of doubles.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_piconumpy_capi(void)
{
    return PyModuleDef_Init(&moduledef);
}
