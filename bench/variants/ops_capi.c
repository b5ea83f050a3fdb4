/* The operations against CPython's own API: what the others are measured by.

   Compiled twice: for one version of CPython, with all that its headers offer, and with Py_LIMITED_API for abi3. Where the
   two differ, there is an #ifdef. Types and interned names are in static variables: HPy's twin has them in HPyGlobals. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#if PY_VERSION_HEX < 0x030C0000
#include <structmember.h>
#endif

#ifndef Py_T_DOUBLE
#define Py_T_DOUBLE T_DOUBLE
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_READONLY READONLY
#endif

#ifdef Py_LIMITED_API
/* Functions where the whole API has macros that look into the object. */
#define PyTuple_GET_ITEM PyTuple_GetItem
#define PyTuple_GET_SIZE PyTuple_Size
#define PyList_SET_ITEM PyList_SetItem
#define allocate(TYPE) ((allocfunc)PyType_GetSlot(TYPE, Py_tp_alloc))(TYPE, 0)
#define call_one(FUNCTION, ARG) PyObject_CallFunctionObjArgs(FUNCTION, ARG, NULL)
#define call_none(FUNCTION) PyObject_CallNoArgs(FUNCTION)
#define call_method_one(OBJECT, NAME, ARG) PyObject_CallMethodObjArgs(OBJECT, NAME, ARG, NULL)
#else
#define allocate(TYPE) (TYPE)->tp_alloc(TYPE, 0)
#define call_one PyObject_CallOneArg
#define call_none PyObject_CallNoArgs
#define call_method_one PyObject_CallMethodOneArg
#endif

static PyTypeObject *Point_type;
static PyObject *name_value, *name_take;
static PyObject *keyword_names[3];

/* ---- Calls ---- */

static PyObject *noargs(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    Py_RETURN_NONE;
}

static PyObject *onearg(PyObject *module, PyObject *arg)
{
    (void)module;
    Py_INCREF(arg);
    return arg;
}

static int check_count(Py_ssize_t nargs, Py_ssize_t expected)
{
    if (nargs == expected)
        return 1;
    PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", expected, nargs);
    return 0;
}

static PyObject *threeargs(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    if (!check_count(nargs, 3))
        return NULL;
    Py_INCREF(args[2]);
    return args[2];
}

static PyObject *anykeywords(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    (void)module;
    (void)kwnames;
    if (!check_count(nargs, 1))
        return NULL;
    Py_INCREF(args[0]);
    return args[0];
}

/* Which of the parameters a keyword names: most often it is the very same object. */
static int find_keyword(PyObject *name)
{
    for (int i = 0; i < 3; i++) {
        if (name == keyword_names[i])
            return i;
    }
    for (int i = 0; i < 3; i++) {
        int order = PyUnicode_Compare(name, keyword_names[i]);
        if (order == 0)
            return i;
        if (PyErr_Occurred())
            return -1;
    }
    PyErr_Format(PyExc_TypeError, "unexpected keyword argument '%U'", name);
    return -1;
}

/* By hand: the API has no parser for METH_FASTCALL that is not private. */
static PyObject *keywords(PyObject *module, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    (void)module;
    PyObject *values[3] = { NULL, NULL, NULL };
    if (nargs > 3) {
        check_count(nargs, 3);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < nargs; i++)
        values[i] = args[i];
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        int place = find_keyword(PyTuple_GET_ITEM(kwnames, i));
        if (place < 0)
            return NULL;
        if (values[place]) {
            PyErr_SetString(PyExc_TypeError, "argument given twice");
            return NULL;
        }
        values[place] = args[nargs + i];
    }
    if (!values[0] || !values[1] || !values[2]) {
        PyErr_SetString(PyExc_TypeError, "missing argument");
        return NULL;
    }
    Py_INCREF(values[2]);
    return values[2];
}

/* What PyArg_ParseTupleAndKeywords costs, and the tuple and the dict: the counterpart of HPyArg_ParseKeywords. */
static PyObject *format_keywords(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = { "a", "b", "c", NULL };
    PyObject *a, *b, *c;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO", names, &a, &b, &c))
        return NULL;
    Py_INCREF(c);
    return c;
}

/* ---- Values ---- */

static PyObject *add_int(PyObject *module, PyObject *arg)
{
    (void)module;
    long value = PyLong_AsLong(arg);
    if (value == -1 && PyErr_Occurred())
        return NULL;
    return PyLong_FromLong(value + 1);
}

static PyObject *add_float(PyObject *module, PyObject *arg)
{
    (void)module;
    double value = PyFloat_AsDouble(arg);
    if (value == -1.0 && PyErr_Occurred())
        return NULL;
    return PyFloat_FromDouble(value + 1.0);
}

static PyObject *copy_str(PyObject *module, PyObject *arg)
{
    (void)module;
    const char *text = PyUnicode_AsUTF8AndSize(arg, NULL);
    return text ? PyUnicode_FromString(text) : NULL;
}

/* ---- Containers ---- */

static PyObject *list_index(PyObject *module, PyObject *list)
{
    (void)module;
    long sum = 0;
    Py_ssize_t size = PyList_Size(list);
    if (size < 0)
        return NULL;
    for (Py_ssize_t i = 0; i < size; i++) {
        /* Borrowed. HPy_GetItem_i gives a handle that has to be closed. */
        PyObject *item = PyList_GetItem(list, i);
        if (!item)
            return NULL;
        long value = PyLong_AsLong(item);
        if (value == -1 && PyErr_Occurred())
            return NULL;
        sum += value;
    }
    return PyLong_FromLong(sum);
}

static PyObject *list_iterate(PyObject *module, PyObject *list)
{
    (void)module;
    long sum = 0;
    PyObject *iterator = PyObject_GetIter(list);
    if (!iterator)
        return NULL;
    PyObject *item;
    while ((item = PyIter_Next(iterator))) {
        long value = PyLong_AsLong(item);
        Py_DECREF(item);
        if (value == -1 && PyErr_Occurred())
            break;
        sum += value;
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() ? NULL : PyLong_FromLong(sum);
}

static PyObject *list_build(PyObject *module, PyObject *arg)
{
    (void)module;
    PyObject *list = PyList_New(10);
    if (!list)
        return NULL;
    for (Py_ssize_t i = 0; i < 10; i++) {
        Py_INCREF(arg);
        PyList_SET_ITEM(list, i, arg);
    }
    return list;
}

static PyObject *tuple_build(PyObject *module, PyObject *arg)
{
    (void)module;
    return PyTuple_Pack(3, arg, arg, arg);
}

static PyObject *dict_build(PyObject *module, PyObject *keys)
{
    (void)module;
    PyObject *dict = PyDict_New();
    if (!dict)
        return NULL;
    Py_ssize_t size = PyTuple_Size(keys);
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *key = PyTuple_GET_ITEM(keys, i);
        if (PyDict_SetItem(dict, key, key) < 0) {
            Py_DECREF(dict);
            return NULL;
        }
    }
    return dict;
}

static PyObject *dict_lookup(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    if (!check_count(nargs, 2))
        return NULL;
    PyObject *value = PyDict_GetItemWithError(args[0], args[1]);
    if (value)
        Py_INCREF(value);
    else if (!PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, args[1]);
    return value;
}

/* ---- Attributes of Python objects, and calls of Python functions ---- */

static PyObject *attr_get(PyObject *module, PyObject *arg)
{
    (void)module;
    return PyObject_GetAttr(arg, name_value);
}

static PyObject *attr_get_string(PyObject *module, PyObject *arg)
{
    (void)module;
    return PyObject_GetAttrString(arg, "value");
}

static PyObject *attr_set(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    if (!check_count(nargs, 2) || PyObject_SetAttr(args[0], name_value, args[1]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *call_back(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    return check_count(nargs, 2) ? call_one(args[0], args[1]) : NULL;
}

static PyObject *call_method(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    return check_count(nargs, 2) ? call_method_one(args[0], name_take, args[1]) : NULL;
}

/* ---- Exceptions ---- */

static PyObject *raise_error(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    PyErr_SetString(PyExc_ValueError, "no");
    return NULL;
}

static PyObject *clear_error(PyObject *module, PyObject *function)
{
    (void)module;
    PyObject *result = call_none(function);
    if (result)
        return result;
    if (!PyErr_ExceptionMatches(PyExc_ValueError))
        return NULL;
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* ---- Small: a struct, made without arguments ---- */

typedef struct {
    PyObject_HEAD
    double x;
    double y;
} Small;

static PyObject *Small_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    Small *self = (Small *)allocate(type);
    if (self)
        self->x = self->y = 1.0;
    return (PyObject *)self;
}

/* For types that can't be subclassed and have no references: PyObject_Free is their tp_free. */
static void plain_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot Small_slots[] = {
    { Py_tp_new, Small_new },
    { Py_tp_dealloc, plain_dealloc },
    { 0, NULL },
};
static PyType_Spec Small_spec = { "ops.Small", sizeof(Small), 0, Py_TPFLAGS_DEFAULT, Small_slots };

/* ---- Point: methods, attributes and slots ---- */

typedef struct {
    PyObject_HEAD
    double x;
    double y;
} Point;

static PyObject *Point_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    double x, y;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "dd", &x, &y))
        return NULL;
    Point *self = (Point *)allocate(type);
    if (self) {
        self->x = x;
        self->y = y;
    }
    return (PyObject *)self;
}

static PyObject *Point_norm(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    Point *self = (Point *)object;
    return PyFloat_FromDouble(self->x * self->x + self->y * self->y);
}

static PyObject *Point_scale(PyObject *object, PyObject *arg)
{
    Point *self = (Point *)object;
    double factor = PyFloat_AsDouble(arg);
    if (factor == -1.0 && PyErr_Occurred())
        return NULL;
    self->x *= factor;
    self->y *= factor;
    Py_RETURN_NONE;
}

static PyObject *Point_get_height(PyObject *self, void *closure)
{
    (void)closure;
    return PyFloat_FromDouble(((Point *)self)->y);
}

static int Point_set_height(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    if (!value) {
        PyErr_SetString(PyExc_TypeError, "can't delete it");
        return -1;
    }
    double height = PyFloat_AsDouble(value);
    if (height == -1.0 && PyErr_Occurred())
        return -1;
    ((Point *)self)->y = height;
    return 0;
}

static PyObject *Point_add(PyObject *left, PyObject *right)
{
    if (!Py_IS_TYPE(left, Point_type) || !Py_IS_TYPE(right, Point_type))
        Py_RETURN_NOTIMPLEMENTED;
    Point *sum = (Point *)allocate(Point_type);
    if (sum) {
        sum->x = ((Point *)left)->x + ((Point *)right)->x;
        sum->y = ((Point *)left)->y + ((Point *)right)->y;
    }
    return (PyObject *)sum;
}

static PyObject *Point_negative(PyObject *self)
{
    Point *result = (Point *)allocate(Point_type);
    if (result) {
        result->x = -((Point *)self)->x;
        result->y = -((Point *)self)->y;
    }
    return (PyObject *)result;
}

static int Point_bool(PyObject *self)
{
    return ((Point *)self)->x != 0.0 || ((Point *)self)->y != 0.0;
}

static Py_ssize_t Point_length(PyObject *self)
{
    (void)self;
    return 2;
}

static PyObject *Point_item(PyObject *self, Py_ssize_t index)
{
    if (index != 0 && index != 1) {
        PyErr_SetString(PyExc_IndexError, "only 0 and 1");
        return NULL;
    }
    return PyFloat_FromDouble(index == 0 ? ((Point *)self)->x : ((Point *)self)->y);
}

static int Point_contains(PyObject *self, PyObject *arg)
{
    double value = PyFloat_AsDouble(arg);
    if (value == -1.0 && PyErr_Occurred())
        return -1;
    return ((Point *)self)->x == value || ((Point *)self)->y == value;
}

static Py_hash_t Point_hash(PyObject *self)
{
    return (Py_hash_t)((Point *)self)->x + 1;
}

static PyObject *Point_repr(PyObject *self)
{
    (void)self;
    return PyUnicode_FromString("Point()");
}

static PyObject *Point_compare(PyObject *left, PyObject *right, int op)
{
    if (!Py_IS_TYPE(right, Point_type) || (op != Py_EQ && op != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    int equal = ((Point *)left)->x == ((Point *)right)->x && ((Point *)left)->y == ((Point *)right)->y;
    return PyBool_FromLong(equal == (op == Py_EQ));
}

static PyMethodDef Point_methods[] = {
    { "norm", Point_norm, METH_NOARGS, NULL },
    { "scale", Point_scale, METH_O, NULL },
    { NULL, NULL, 0, NULL },
};
static PyMemberDef Point_members[] = {
    { "x", Py_T_DOUBLE, offsetof(Point, x), 0, NULL },
    { NULL, 0, 0, 0, NULL },
};
static PyGetSetDef Point_getset[] = {
    { "height", Point_get_height, Point_set_height, NULL, NULL },
    { NULL, NULL, NULL, NULL, NULL },
};
static PyType_Slot Point_slots[] = {
    { Py_tp_new, Point_new },
    { Py_tp_dealloc, plain_dealloc },
    { Py_tp_methods, Point_methods },
    { Py_tp_members, Point_members },
    { Py_tp_getset, Point_getset },
    { Py_nb_add, Point_add },
    { Py_nb_negative, Point_negative },
    { Py_nb_bool, Point_bool },
    { Py_sq_length, Point_length },
    { Py_sq_item, Point_item },
    { Py_sq_contains, Point_contains },
    { Py_tp_hash, Point_hash },
    { Py_tp_repr, Point_repr },
    { Py_tp_richcompare, Point_compare },
    { 0, NULL },
};
static PyType_Spec Point_spec = { "ops.Point", sizeof(Point), 0, Py_TPFLAGS_DEFAULT, Point_slots };

/* ---- Node: holds an object, so that the collector has to know it ---- */

typedef struct {
    PyObject_HEAD
    PyObject *value;
} Node;

static PyObject *Node_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)kwargs;
    if (!check_count(PyTuple_GET_SIZE(args), 1))
        return NULL;
    Node *self = (Node *)allocate(type);
    if (self) {
        self->value = PyTuple_GET_ITEM(args, 0);
        Py_INCREF(self->value);
    }
    return (PyObject *)self;
}

static int Node_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Node *)self)->value);
    return 0;
}

static int Node_clear(PyObject *self)
{
    Py_CLEAR(((Node *)self)->value);
    return 0;
}

static void Node_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(((Node *)self)->value);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *Node_get_value(PyObject *self, void *closure)
{
    (void)closure;
    PyObject *value = ((Node *)self)->value;
    Py_INCREF(value);
    return value;
}

static int Node_set_value(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    if (!value) {
        PyErr_SetString(PyExc_TypeError, "can't delete it");
        return -1;
    }
    PyObject *old = ((Node *)self)->value;
    Py_INCREF(value);
    ((Node *)self)->value = value;
    Py_XDECREF(old);
    return 0;
}

static PyGetSetDef Node_getset[] = {
    { "value", Node_get_value, Node_set_value, NULL, NULL },
    { NULL, NULL, NULL, NULL, NULL },
};
static PyType_Slot Node_slots[] = {
    { Py_tp_new, Node_new },
    { Py_tp_traverse, Node_traverse },
    { Py_tp_clear, Node_clear },
    { Py_tp_dealloc, Node_dealloc },
    { Py_tp_getset, Node_getset },
    { 0, NULL },
};
static PyType_Spec Node_spec = { "ops.Node", sizeof(Node), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, Node_slots };

/* ---- Echo: gives back what it gets, when called or as an operand: slots with next to nothing in them ---- */

static PyObject *Echo_multiply(PyObject *left, PyObject *right)
{
    (void)left;
    Py_INCREF(right);
    return right;
}

static PyObject *Echo_positive(PyObject *self)
{
    Py_INCREF(self);
    return self;
}

static PyObject *Echo_compare(PyObject *left, PyObject *right, int op)
{
    (void)left;
    if (op != Py_LT)
        Py_RETURN_NOTIMPLEMENTED;
    Py_INCREF(right);
    return right;
}

#ifdef Py_LIMITED_API
/* Vectorcall for types came to abi3 with 3.12. */
typedef struct {
    PyObject_HEAD
} Echo;

static PyObject *Echo_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    (void)kwargs;
    if (!check_count(PyTuple_GET_SIZE(args), 1))
        return NULL;
    PyObject *arg = PyTuple_GET_ITEM(args, 0);
    Py_INCREF(arg);
    return arg;
}

static PyObject *Echo_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    return allocate(type);
}

#define ECHO_FLAGS Py_TPFLAGS_DEFAULT
#else
typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
} Echo;

static PyObject *Echo_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    (void)self;
    (void)kwnames;
    if (!check_count(PyVectorcall_NARGS(nargsf), 1))
        return NULL;
    Py_INCREF(args[0]);
    return args[0];
}

static PyObject *Echo_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    Echo *self = (Echo *)allocate(type);
    if (self)
        self->call = Echo_vectorcall;
    return (PyObject *)self;
}

#define Echo_call PyVectorcall_Call
#define ECHO_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL)
static PyMemberDef Echo_members[] = {
    { "__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Echo, call), Py_READONLY, NULL },
    { NULL, 0, 0, 0, NULL },
};
#endif

static PyType_Slot Echo_slots[] = {
    { Py_tp_new, Echo_new },
    { Py_tp_dealloc, plain_dealloc },
    { Py_tp_call, Echo_call },
    { Py_nb_multiply, Echo_multiply },
    { Py_nb_positive, Echo_positive },
    { Py_tp_richcompare, Echo_compare },
#ifndef Py_LIMITED_API
    { Py_tp_members, Echo_members },
#endif
    { 0, NULL },
};
static PyType_Spec Echo_spec = { "ops.Echo", sizeof(Echo), 0, ECHO_FLAGS, Echo_slots };

/* ---- The module ---- */

/* Through void(*)(void), the function type that casts to any other without a warning. */
#define FUNCTION(NAME) ((PyCFunction)(void (*)(void))(NAME))

static PyMethodDef functions[] = {
    { "noargs", noargs, METH_NOARGS, NULL },
    { "onearg", onearg, METH_O, NULL },
    { "threeargs", FUNCTION(threeargs), METH_FASTCALL, NULL },
    { "anykeywords", FUNCTION(anykeywords), METH_FASTCALL | METH_KEYWORDS, NULL },
    { "keywords", FUNCTION(keywords), METH_FASTCALL | METH_KEYWORDS, NULL },
    { "format_keywords", FUNCTION(format_keywords), METH_VARARGS | METH_KEYWORDS, NULL },
    { "add_int", add_int, METH_O, NULL },
    { "add_float", add_float, METH_O, NULL },
    { "copy_str", copy_str, METH_O, NULL },
    { "list_index", list_index, METH_O, NULL },
    { "list_iterate", list_iterate, METH_O, NULL },
    { "list_build", list_build, METH_O, NULL },
    { "tuple_build", tuple_build, METH_O, NULL },
    { "dict_build", dict_build, METH_O, NULL },
    { "dict_lookup", FUNCTION(dict_lookup), METH_FASTCALL, NULL },
    { "attr_get", attr_get, METH_O, NULL },
    { "attr_get_string", attr_get_string, METH_O, NULL },
    { "attr_set", FUNCTION(attr_set), METH_FASTCALL, NULL },
    { "call_back", FUNCTION(call_back), METH_FASTCALL, NULL },
    { "call_method", FUNCTION(call_method), METH_FASTCALL, NULL },
    { "raise_error", raise_error, METH_NOARGS, NULL },
    { "clear_error", clear_error, METH_O, NULL },
    { NULL, NULL, 0, NULL },
};

static int add_type(PyObject *module, const char *name, PyType_Spec *spec, PyTypeObject **keep)
{
    PyObject *type = PyType_FromSpec(spec);
    if (!type)
        return -1;
    int failed = PyObject_SetAttrString(module, name, type);
    if (keep && !failed)
        *keep = (PyTypeObject *)type;
    else
        Py_DECREF(type);
    return failed;
}

static int module_exec(PyObject *module)
{
    static const char *const names[3] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++) {
        keyword_names[i] = PyUnicode_InternFromString(names[i]);
        if (!keyword_names[i])
            return -1;
    }
    name_value = PyUnicode_InternFromString("value");
    name_take = PyUnicode_InternFromString("take");
    if (!name_value || !name_take)
        return -1;
    if (add_type(module, "Small", &Small_spec, NULL) < 0 || add_type(module, "Point", &Point_spec, &Point_type) < 0)
        return -1;
    if (add_type(module, "Node", &Node_spec, NULL) < 0 || add_type(module, "Echo", &Echo_spec, NULL) < 0)
        return -1;
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    { Py_mod_exec, module_exec },
    { 0, NULL },
};
static PyModuleDef moduledef = { PyModuleDef_HEAD_INIT, .m_name = "ops", .m_methods = functions, .m_slots = module_slots };

PyMODINIT_FUNC PyInit_ops(void)
{
    return PyModuleDef_Init(&moduledef);
}
