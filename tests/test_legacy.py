"""Handles and PyObject pointers: spec/functions/legacy.toml. See also test_type_legacy.py. The ABI is not universal."""

import gc
import sys
import weakref

import pytest

pytestmark = pytest.mark.abis("cpython", "hybrid")

LEGACY = """
    #include <Python.h>

    FUNC_O(there_and_back)
    {
        PyObject *object = HPy_AsPyObject(ctx, arg);
        HPy result = HPy_FromPyObject(ctx, object);
        Py_DECREF(object);
        return result;
    }
    FUNC_O(address)
    {
        PyObject *object = HPy_AsPyObject(ctx, arg);
        Py_DECREF(object);
        return HPyLong_FromSize_t(ctx, (size_t)object);
    }

    /* Calls the second argument while 50 more pointers and 50 more handles of the first one exist. */
    FUNC_VARARGS(hold_many)
    {
        PyObject *pointers[50];
        HPy handles[50];
        for (int i = 0; i < 50; i++) {
            pointers[i] = HPy_AsPyObject(ctx, args[0]);
            handles[i] = HPy_FromPyObject(ctx, pointers[i]);
        }
        HPy result = HPy_CallTupleDict(ctx, args[1], HPy_NULL, HPy_NULL);
        for (int i = 0; i < 50; i++) {
            Py_DECREF(pointers[i]);
            HPy_Close(ctx, handles[i]);
        }
        return result;
    }

    /* What the function makes lives on in a pointer, then in a handle only; each is closed before the other is used. */
    FUNC_O(one_after_the_other)
    {
        HPy made = HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL);
        PyObject *object = HPy_AsPyObject(ctx, made);
        HPy_Close(ctx, made);
        PyObject_SetAttrString(object, "by_pointer", Py_True);
        HPy result = HPy_FromPyObject(ctx, object);
        Py_DECREF(object);
        HPy_SetAttr_s(ctx, result, "by_handle", ctx->h_True);
        return result;
    }

    FUNC_NOARGS(null)
    {
        int good = HPy_AsPyObject(ctx, HPy_NULL) == NULL && HPy_IsNull(HPy_FromPyObject(ctx, NULL));
        return HPyBool_FromBool(ctx, good && !HPyErr_Occurred(ctx) && PyErr_Occurred() == NULL);
    }
    FUNC_O(negative)
    {
        PyObject *object = HPy_AsPyObject(ctx, arg), *negative = PyNumber_Negative(object);
        HPy result = HPy_FromPyObject(ctx, negative);
        Py_DECREF(object);
        Py_XDECREF(negative);
        return result;
    }
    FUNC_O(with_exception)
    {
        HPyErr_SetObject(ctx, ctx->h_KeyError, arg);
        PyObject *object = HPy_AsPyObject(ctx, arg);
        HPy handle = HPy_FromPyObject(ctx, object);
        int good = HPy_Is(ctx, handle, arg) && HPy_AsPyObject(ctx, HPy_NULL) == NULL;
        good &= HPy_IsNull(HPy_FromPyObject(ctx, NULL)) && PyErr_ExceptionMatches(PyExc_KeyError);
        HPy_Close(ctx, handle);
        Py_DECREF(object);
        return good ? HPy_NULL : NONE;
    }
    /* Both APIs see the one pending exception. */
    FUNC_NOARGS(raise_by_the_other)
    {
        PyErr_SetString(PyExc_KeyError, "of the C API");
        int seen = HPyErr_ExceptionMatches(ctx, ctx->h_KeyError);
        HPyErr_Clear(ctx);
        return seen && PyErr_Occurred() == NULL ? HPyErr_SetString(ctx, ctx->h_LookupError, "of HPy") : HPy_NULL;
    }
"""


class Thing:
    pass


@pytest.fixture
def mod(snippet):
    return snippet(LEGACY)


@pytest.mark.parametrize("value", [None, 5, "text", Thing, Thing(), []])
def test_an_object_goes_there_and_back(mod, value):
    assert mod.there_and_back(value) is value
    assert mod.address(value) == id(value)


def test_each_direction_gives_a_reference_of_its_own(mod):
    thing = Thing()
    before = sys.getrefcount(thing)
    base = mod.hold_many(Thing(), lambda: sys.getrefcount(thing))
    assert mod.hold_many(thing, lambda: sys.getrefcount(thing)) >= base + 100
    assert sys.getrefcount(thing) == before
    for _ in range(100):
        mod.there_and_back(thing)
        mod.address(thing)
    assert sys.getrefcount(thing) == before


def test_pointer_and_handle_are_independent(mod):
    made = mod.one_after_the_other(Thing)
    assert vars(made) == {"by_pointer": True, "by_handle": True}
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None


def test_null_is_null_without_an_exception(mod):
    assert mod.null() is True


def test_the_result_of_a_failed_call_can_be_passed_on(mod):
    assert mod.negative(5) == -5
    with pytest.raises(TypeError, match="bad operand"):
        mod.negative("text")


def test_a_pending_exception_stays(mod):
    key = Thing()
    before = sys.getrefcount(key)
    with pytest.raises(KeyError) as info:
        mod.with_exception(key)
    assert info.value.args == (key,)
    del info
    gc.collect()
    assert sys.getrefcount(key) == before


def test_both_apis_have_the_same_pending_exception(mod):
    with pytest.raises(LookupError, match="^of HPy$") as info:
        mod.raise_by_the_other()
    assert type(info.value) is LookupError
