//! Builders: the list or tuple itself, which nobody else sees until it is built.
//!
//! A builder that could not be allocated is null. That is reported by Build, so that callers check only once.

use hpy_abi::runtime::Builder;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::handle::{to_handle, to_object};

/// The address of the new object; null without an exception if there was no memory.
unsafe fn new(object: *mut PyObject) -> isize {
    if object.is_null() {
        // SAFETY: the caller holds the interpreter.
        unsafe { PyErr_Clear() };
    }
    to_handle(object)._i
}

/// Whether an item can be set there. A wrong index is the caller's fault, but must not write outside.
unsafe fn holds(object: *mut PyObject, index: HPy_ssize_t) -> bool {
    // SAFETY: the object is null or a list or tuple under construction.
    unsafe { !object.is_null() && (0..Py_SIZE(object)).contains(&index) }
}

unsafe fn build(word: isize) -> HPy {
    if word == 0 {
        // SAFETY: the caller holds the interpreter.
        unsafe { PyErr_NoMemory() };
    }
    HPy { _i: word }
}

unsafe fn cancel(word: isize) {
    // SAFETY: the caller gives the builder up.
    unsafe { Py_XDECREF(to_object(HPy { _i: word })) };
}

impl Builder for CPython {
    unsafe extern "C" fn ctx_ListBuilder_New(_ctx: *mut HPyContext, size: HPy_ssize_t) -> HPyListBuilder {
        // SAFETY: the caller holds the interpreter.
        unsafe { HPyListBuilder { _lst: new(PyList_New(size)) } }
    }

    unsafe extern "C" fn ctx_ListBuilder_Set(
        _ctx: *mut HPyContext,
        builder: HPyListBuilder,
        index: HPy_ssize_t,
        h_item: HPy,
    ) {
        let list = to_object(HPy { _i: builder._lst });
        // SAFETY: the builder is open, so the list is ours alone, and the index was checked. An item that was set before
        // is let go after its place has been taken.
        unsafe {
            if holds(list, index) {
                let old = PyList_GET_ITEM(list, index);
                Py_XINCREF(to_object(h_item));
                PyList_SET_ITEM(list, index, to_object(h_item));
                Py_XDECREF(old);
            }
        }
    }

    unsafe extern "C" fn ctx_ListBuilder_Build(_ctx: *mut HPyContext, builder: HPyListBuilder) -> HPy {
        // SAFETY: the caller holds the interpreter.
        unsafe { build(builder._lst) }
    }

    unsafe extern "C" fn ctx_ListBuilder_Cancel(_ctx: *mut HPyContext, builder: HPyListBuilder) {
        // SAFETY: the caller gives the builder up.
        unsafe { cancel(builder._lst) }
    }

    unsafe extern "C" fn ctx_TupleBuilder_New(_ctx: *mut HPyContext, size: HPy_ssize_t) -> HPyTupleBuilder {
        // SAFETY: the caller holds the interpreter.
        unsafe { HPyTupleBuilder { _tup: new(PyTuple_New(size)) } }
    }

    unsafe extern "C" fn ctx_TupleBuilder_Set(
        _ctx: *mut HPyContext,
        builder: HPyTupleBuilder,
        index: HPy_ssize_t,
        h_item: HPy,
    ) {
        let tuple = to_object(HPy { _i: builder._tup });
        // SAFETY: as for lists. The empty tuple is shared, but has no index.
        unsafe {
            if holds(tuple, index) {
                let old = PyTuple_GET_ITEM(tuple, index);
                Py_XINCREF(to_object(h_item));
                PyTuple_SET_ITEM(tuple, index, to_object(h_item));
                Py_XDECREF(old);
            }
        }
    }

    unsafe extern "C" fn ctx_TupleBuilder_Build(_ctx: *mut HPyContext, builder: HPyTupleBuilder) -> HPy {
        // SAFETY: the caller holds the interpreter.
        unsafe { build(builder._tup) }
    }

    unsafe extern "C" fn ctx_TupleBuilder_Cancel(_ctx: *mut HPyContext, builder: HPyTupleBuilder) {
        // SAFETY: the caller gives the builder up.
        unsafe { cancel(builder._tup) }
    }
}
