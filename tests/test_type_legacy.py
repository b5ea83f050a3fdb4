"""Legacy types: structs with PyObject_HEAD, legacy slots, and both APIs in one binary. The ABI is not universal."""

import pytest
from type_snippets import GC, assert_balanced, field, method, new, slot, spec_source, traverse, type_source

pytestmark = [
    pytest.mark.abis("cpython", "hybrid"),
    pytest.mark.differs("0.9.0 has no _HPyType_GetBuiltinShape in the CPython ABI", abis=["cpython"]),
]

PYTHON = "#include <Python.h>\n#include <structmember.h>\n#include <stdlib.h>\n"
# A type of which each part is of the C API, but for those that the name says.
LEGACY = PYTHON + """
    typedef struct { PyObject_HEAD long x; PyObject *object; } LegacyData;
    static PyObject *legacy_double(PyObject *self, PyObject *unused)
    {
        return PyLong_FromLong(((LegacyData *)self)->x * 2);
    }
    static PyObject *legacy_add(PyObject *self, PyObject *arg)
    {
        PyObject *x = PyLong_FromLong(((LegacyData *)self)->x), *result = PyNumber_Add(arg, x);
        Py_XDECREF(x);
        return result;
    }
    static PyMethodDef legacy_methods[] = {
        { "double", legacy_double, METH_NOARGS, "Twice x." },
        { "add", legacy_add, METH_O, NULL },
        { NULL, NULL, 0, NULL }
    };
    static PyMemberDef legacy_members[] = {
        { "x", T_LONG, offsetof(LegacyData, x), 0, "x itself" },
        { "x_readonly", T_LONG, offsetof(LegacyData, x), READONLY, NULL },
        { "object", T_OBJECT, offsetof(LegacyData, object), 0, NULL },
        { NULL, 0, 0, 0, NULL }
    };
    static PyObject *legacy_get(PyObject *self, void *closure)
    {
        return PyUnicode_FromFormat("%s %ld", (const char *)closure, ((LegacyData *)self)->x);
    }
    static int legacy_set(PyObject *self, PyObject *value, void *closure)
    {
        if (value == NULL) {
            PyErr_SetString(PyExc_LookupError, "delete");
            return -1;
        }
        ((LegacyData *)self)->x = PyLong_AsLong(value);
        return PyErr_Occurred() ? -1 : 0;
    }
    static PyGetSetDef legacy_getsets[] = {
        { "computed", legacy_get, legacy_set, "computed", (void *)"x is" },
        { NULL, NULL, NULL, NULL, NULL }
    };
    static PyObject *legacy_repr(PyObject *self)
    {
        return PyUnicode_FromFormat("<legacy %ld>", ((LegacyData *)self)->x);
    }
    static PyObject *legacy_negative(PyObject *self) { return PyLong_FromLong(-((LegacyData *)self)->x); }
    static Py_ssize_t legacy_length(PyObject *self) { return ((LegacyData *)self)->x; }
    static PyObject *legacy_item(PyObject *self, Py_ssize_t index) { return PyLong_FromSsize_t(index * 3); }
    static PyObject *legacy_iter(PyObject *self) { return PyObject_GetIter(Py_None); }
    static PyObject *legacy_getattro(PyObject *self, PyObject *name)
    {
        PyObject *result = PyObject_GenericGetAttr(self, name);
        if (result == NULL && PyUnicode_CompareWithASCIIString(name, "dynamic") == 0) {
            PyErr_Clear();
            return PyUnicode_FromString("made up");
        }
        return result;
    }
    static PyType_Slot legacy_slots[] = {
        { Py_tp_methods, legacy_methods },
        { Py_tp_members, legacy_members },
        { Py_tp_getset, legacy_getsets },
        { Py_tp_repr, legacy_repr },
        { Py_nb_negative, legacy_negative },
        { Py_sq_length, legacy_length },
        { Py_sq_item, legacy_item },
        { Py_tp_iter, legacy_iter },
        { Py_tp_getattro, legacy_getattro },
        { 0, NULL }
    };
""" + type_source(
    "Mixed",
    "PyObject_HEAD long x; PyObject *object;",
    method("triple", "return HPyLong_FromLong(ctx, Mixed_AsStruct(ctx, self)->x * 3);"),
    'HPyDef_MEMBER(Mixed_x, "hpy_x", HPyMember_LONG, offsetof(Mixed, x))\n',
    "HPyDef_GET(Mixed_get, \"hpy_computed\")\n"
    "static HPy Mixed_get_get(HPyContext *ctx, HPy self, void *closure)\n"
    "{\n    return HPyLong_FromLong(ctx, Mixed_AsStruct(ctx, self)->x + 1);\n}\n",
    slot("nb_positive", "return HPyLong_FromLong(ctx, Mixed_AsStruct(ctx, self)->x);"),
    slot("tp_str", 'return HPyUnicode_FromString(ctx, "both");'),
    slot("tp_destroy", "Mixed *data = object;\nPy_CLEAR(data->object);"),
    shape="Legacy",
    legacy_slots="legacy_slots",
    doc='"Mixed."',
) + """
    FUNC_O(new_mixed)
    {
        Mixed *data;
        HPy result = HPy_New(ctx, arg, &data);
        if (HPy_IsNull(result))
            return HPy_NULL;
        PyObject *object = HPy_AsPyObject(ctx, result);
        int good = (PyObject *)data == object && data == Mixed_AsStruct(ctx, result);
        good &= data->x == 0 && data->object == NULL;
        Py_DECREF(object);
        data->x = 42;
        return good ? result : HPyErr_SetString(ctx, ctx->h_AssertionError, "another struct");
    }
    FUNC_O(shape_of) { return HPyLong_FromLong(ctx, _HPyType_GetBuiltinShape(ctx, arg)); }
"""


@pytest.fixture
def mod(snippet):
    return snippet(LEGACY)


def test_legacy_methods(mod):
    instance = mod.Mixed()
    instance.x = 5
    assert (instance.double(), instance.add(1), instance.triple()) == (10, 6, 15)
    assert mod.Mixed.double.__doc__ == "Twice x."
    with pytest.raises(TypeError):
        mod.Mixed.double(5)


def test_legacy_members(mod):
    instance, value = mod.Mixed(), object()
    instance.x = 7
    assert (instance.x, instance.x_readonly, instance.hpy_x) == (7, 7, 7)
    instance.hpy_x = 8
    assert instance.x == 8
    with pytest.raises(AttributeError):
        instance.x_readonly = 5
    assert instance.object is None
    instance.object = value
    assert instance.object is value
    assert mod.Mixed.x.__doc__ == "x itself"


def test_legacy_getsets(mod):
    instance = mod.Mixed()
    instance.computed = 9
    assert (instance.computed, instance.hpy_computed) == ("x is 9", 10)
    with pytest.raises(LookupError, match="delete"):
        del instance.computed


def test_legacy_slots(mod):
    instance = mod.Mixed()
    instance.x = 3
    assert (repr(instance), str(instance), -instance, +instance) == ("<legacy 3>", "both", -3, 3)
    assert (len(instance), instance[1], instance[-1]) == (3, 3, 6)
    with pytest.raises(TypeError, match="NoneType"):
        iter(instance)
    assert instance.dynamic == "made up"
    with pytest.raises(AttributeError):
        instance.missing
    assert mod.Mixed.__doc__ == "Mixed."


def test_new_gives_the_object_itself(mod):
    assert mod.new_mixed(mod.Mixed).x == 42
    assert mod.shape_of(mod.Mixed) == -1


def test_destroy_of_a_legacy_type(mod):
    value = object()

    def use():
        mod.Mixed().object = value
        mod.new_mixed(mod.Mixed).object = value

    assert_balanced(use, value, mod.Mixed)


def test_subclasses_in_python(mod):
    class Open(mod.Mixed):
        def double(self):
            return "own", super().double()

    class Slots(mod.Mixed):
        __slots__ = ("attribute",)

    class Further(Open):
        __slots__ = ("slot",)

    for cls in (Open, Slots, Further):
        value = object()

        def use():
            instance = cls()
            instance.x, instance.object, instance.attribute = 5, value, value
            assert (instance.triple(), +instance, instance.computed) == (15, 5, "x is 5")

        assert_balanced(use, value, cls, mod.Mixed)
    assert Further().double() == ("own", 0)


# tp_new, tp_init, tp_dealloc of the C API; nothing of HPy is in the way.
OWN_DEALLOC = PYTHON + """
    static long deallocated, initialized;
    FUNC_NOARGS(counts) { return HPy_BuildValue(ctx, "ll", initialized, deallocated); }
    typedef struct { PyObject_HEAD PyObject *object; } OwnData;
    static PyObject *own_new(PyTypeObject *type, PyObject *args, PyObject *kw)
    {
        PyObject *object = NULL, *self;
        if (!PyArg_ParseTuple(args, "|O", &object))
            return NULL;
        self = type->tp_alloc(type, 0);
        if (self != NULL) {
            Py_XINCREF(object);
            ((OwnData *)self)->object = object;
        }
        return self;
    }
    static int own_init(PyObject *self, PyObject *args, PyObject *kw)
    {
        initialized++;
        return 0;
    }
    static void own_dealloc(PyObject *self)
    {
        PyTypeObject *type = Py_TYPE(self);
        deallocated++;
        Py_XDECREF(((OwnData *)self)->object);
        type->tp_free(self);
        Py_DECREF(type);
    }
    static PyObject *own_call(PyObject *self, PyObject *args, PyObject *kw)
    {
        return PyTuple_Pack(2, args, kw ? kw : Py_None);
    }
    static PyType_Slot own_slots[] = {
        { Py_tp_new, own_new },
        { Py_tp_init, own_init },
        { Py_tp_dealloc, own_dealloc },
        { Py_tp_call, own_call },
        { 0, NULL }
    };
""" + type_source(
    "Own",
    "PyObject_HEAD PyObject *object;",
    method("load", "return HPy_FromPyObject(ctx, Own_AsStruct(ctx, self)->object);"),
    shape="Legacy",
    legacy_slots="own_slots",
) + type_source("Derived", "", method("derived", "return HPyLong_FromLong(ctx, 5);"), shape="Legacy", bases=["Own"])


def test_legacy_new_init_dealloc_and_call(snippet):
    mod, value = snippet(OWN_DEALLOC), object()
    before = mod.counts()
    instance = mod.Own(value)
    assert instance.load() is value
    assert instance(1, a=2) == ((1,), {"a": 2})
    del instance
    assert mod.counts() == (before[0] + 1, before[1] + 1)
    assert_balanced(lambda: mod.Own(value), value, mod.Own)


def test_a_legacy_type_derived_from_a_legacy_type(snippet):
    mod, value = snippet(OWN_DEALLOC), object()
    instance = mod.Derived(value)
    assert (instance.load(), instance.derived()) == (value, 5)
    sub = type("Sub", (mod.Derived,), {"__slots__": ("slot",)})
    assert sub(value).load() is value
    del instance
    assert_balanced(lambda: mod.Derived(value), value)


HELPED = (
    PYTHON
    + """
    typedef struct { PyObject_HEAD long value; } Helped;
    HPyType_LEGACY_HELPERS(Helped)
    """
    + spec_source(
        "Helped",
        slot("nb_int", "return HPyLong_FromLong(ctx, Helped_AsStruct(ctx, self)->value);"),
        'HPyDef_MEMBER(Helped_value, "value", HPyMember_LONG, offsetof(Helped, value))\n',
        shape="SHAPE(Helped)",
        basicsize="sizeof(Helped)",
    )
    + """
    FUNC_NOARGS(make) { return HPyType_FromSpec(ctx, &Helped_spec, NULL); }
    FUNC_NOARGS(shape) { return HPyLong_FromLong(ctx, SHAPE(Helped)); }
    FUNC_O(is_the_object)
    {
        PyObject *object = HPy_AsPyObject(ctx, arg);
        Py_DECREF(object);
        return HPyBool_FromBool(ctx, (PyObject *)Helped_AsStruct(ctx, arg) == object);
    }
    """
)


def test_helpers_of_a_legacy_type(snippet):
    mod = snippet(HELPED)
    assert mod.shape() == -1
    instance = mod.make()()
    instance.value = 5
    assert int(instance) == 5
    assert mod.is_the_object(instance) is True
    # The struct of any object is the object, also when the C API made it.
    assert mod.is_the_object([]) is True


# Fields of HPy and pointers of CPython in one struct.
COLLECTED = PYTHON + type_source(
    "Collected",
    "PyObject_HEAD HPyField field; long number;",
    new("Collected"),
    traverse("Collected", "field"),
    slot("tp_destroy", "Collected *data = object;\nif (!HPyField_IsNull(data->field))\n    abort();"),
    slot("tp_call", "return HPy_BuildValue(ctx, \"On\", self, (HPy_ssize_t)nargs);"),
    field("Collected", "field"),
    'HPyDef_MEMBER(Collected_number, "number", HPyMember_LONG, offsetof(Collected, number))\n',
    shape="Legacy",
    flags=GC,
)


def test_fields_of_a_legacy_type(snippet):
    cls, value = snippet(COLLECTED).Collected, object()

    def use():
        instance = cls()
        instance.field = value
        instance.number = 5
        assert (instance.field, instance.number, instance(1, 2)) == (value, 5, (instance, 2))
        cycle = cls()
        cycle.field = (cycle, value)

    assert_balanced(use, value, cls)


@pytest.mark.differs("0.9.0: instances of Python subclasses have no function and can't be called")
def test_subclasses_of_a_collected_legacy_type(snippet):
    class Sub(snippet(COLLECTED).Collected):
        pass

    value = object()

    def use():
        instance = Sub()
        instance.field = instance.attribute = (instance, value)
        assert instance(1) == (instance, 1)

    assert_balanced(use, value, Sub)


def test_an_object_in_the_struct_of_a_legacy_base(snippet):
    mod = snippet("""
        typedef struct { PyObject_HEAD long before; HPyField value; long behind; } Base;
        HPyDef_MEMBER(Base_before, "before", HPyMember_LONG, offsetof(Base, before))
        HPyDef_MEMBER(Base_value, "value", HPyMember_OBJECT, offsetof(Base, value))
        HPyDef_MEMBER(Base_behind, "behind", HPyMember_LONG, offsetof(Base, behind))
        static HPyDef *base_defines[] = { &Base_before, &Base_value, &Base_behind, NULL };
        static HPyType_Spec base_spec = {
            .name = "mod.Base", .basicsize = sizeof(Base), .builtin_shape = HPyType_BuiltinShape_Legacy,
            .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_BASETYPE, .defines = base_defines,
        };
        /* Has no struct of its own, so the base's is where the base has it. */
        static HPyType_Spec derived_spec = { .name = "mod.Derived", .builtin_shape = HPyType_BuiltinShape_Object };

        HPyDef_SLOT(init, HPy_mod_exec)
        static int init_impl(HPyContext *ctx, HPy module)
        {
            HPy base = HPyType_FromSpec(ctx, &base_spec, NULL);
            if (HPy_IsNull(base))
                return -1;
            HPyType_SpecParam params[] = { { HPyType_SpecParam_Base, base }, { 0, HPy_NULL } };
            int added = HPyHelpers_AddType(ctx, module, "Derived", &derived_spec, params);
            HPy_Close(ctx, base);
            return added ? 0 : -1;
        }
    """)
    instance = mod.Derived()
    instance.before, instance.behind = 3, 4
    assert instance.value is None
    instance.value = "hi"
    assert (instance.before, instance.value, instance.behind) == (3, "hi", 4)
    instance.value = None


# A type of the C API alone that derives from one of HPy's and takes its deallocator over, as code generators let types do.
TAKES_OVER = PYTHON + type_source(
    "Base",
    "long x; HPyField field;",
    new("Base"),
    traverse("Base", "field"),
    field("Base", "field"),
    slot("tp_destroy", "destroyed++;"),
    slot("tp_finalize", "finalized++;"),
    flags=GC,
).replace("typedef struct", "static long destroyed = 0, finalized = 0;\ntypedef struct", 1) + """
    static PyObject *derived_name(PyObject *self, PyObject *unused) { return PyUnicode_FromString("derived"); }
    static PyMethodDef derived_methods[] = { { "name", derived_name, METH_NOARGS, NULL }, { NULL, NULL, 0, NULL } };

    FUNC_O(derive)
    {
        PyObject *base = HPy_AsPyObject(ctx, arg);
        PyType_Slot slots[] = {
            { Py_tp_dealloc, (void *)((PyTypeObject *)base)->tp_dealloc },
            { Py_tp_methods, derived_methods },
            { 0, NULL }
        };
        PyType_Spec spec = {
            .name = "mod.Derived", .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, .slots = slots
        };
        PyObject *bases = PyTuple_Pack(1, base);
        PyObject *derived = bases == NULL ? NULL : PyType_FromSpecWithBases(&spec, bases);
        Py_XDECREF(bases);
        Py_DECREF(base);
        HPy result = derived == NULL ? HPy_NULL : HPy_FromPyObject(ctx, derived);
        Py_XDECREF(derived);
        return result;
    }
    FUNC_O(derive_further)
    {
        static HPyType_Spec spec = {
            .name = "mod.Third", .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_BASETYPE, .builtin_shape = HPyType_BuiltinShape_Object
        };
        HPyType_SpecParam params[] = { { HPyType_SpecParam_Base, arg }, { 0, HPy_NULL } };
        return HPyType_FromSpec(ctx, &spec, params);
    }
    FUNC_NOARGS(count) { return HPyLong_FromLong(ctx, destroyed); }
    FUNC_NOARGS(finalized_count) { return HPyLong_FromLong(ctx, finalized); }
"""


def test_a_deallocator_that_a_c_type_takes_over_makes_it_none_of_ours(snippet):
    mod = snippet(TAKES_OVER)
    derived, value = mod.derive(mod.Base), object()

    class Further(derived):
        pass

    for cls in derived, Further, mod.derive_further(derived), mod.derive_further(Further):
        before = mod.count(), mod.finalized_count()

        def use():
            instance = cls()
            assert (instance.name(), instance.field) == ("derived", None)
            instance.field = (value, instance)

        assert_balanced(use, value, cls)
        assert mod.count() - before[0] == mod.finalized_count() - before[1] > 0
