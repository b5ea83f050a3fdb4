//! Items, by key, index and string.

use core::ffi::{c_char, c_int};

use hpy_abi::runtime::Item;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_item;
use crate::handle::{to_handle, to_object};

/// Calls `f` with a key that was made for it, unless making it failed.
unsafe fn with_key<T>(key: *mut PyObject, failure: T, f: impl FnOnce(*mut PyObject) -> T) -> T {
    if key.is_null() {
        return failure;
    }
    let result = f(key);
    // SAFETY: the key's reference is ours.
    unsafe { Py_DECREF(key) };
    result
}

impl Item for CPython {
    direct_item!();

    unsafe extern "C" fn ctx_GetItem_i(_ctx: *mut HPyContext, obj: HPy, idx: HPy_ssize_t) -> HPy {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        unsafe { with_key(PyLong_FromSsize_t(idx), HPy::NULL, |key| to_handle(PyObject_GetItem(to_object(obj), key))) }
    }

    unsafe extern "C" fn ctx_GetItem_s(_ctx: *mut HPyContext, obj: HPy, utf8_key: *const c_char) -> HPy {
        // SAFETY: as above; the string is NUL-terminated.
        unsafe {
            with_key(PyUnicode_FromString(utf8_key), HPy::NULL, |key| to_handle(PyObject_GetItem(to_object(obj), key)))
        }
    }

    unsafe extern "C" fn ctx_SetItem_i(_ctx: *mut HPyContext, obj: HPy, idx: HPy_ssize_t, value: HPy) -> c_int {
        // SAFETY: the caller's handles are live objects, and it holds the interpreter.
        unsafe { with_key(PyLong_FromSsize_t(idx), -1, |key| PyObject_SetItem(to_object(obj), key, to_object(value))) }
    }

    unsafe extern "C" fn ctx_SetItem_s(_ctx: *mut HPyContext, obj: HPy, utf8_key: *const c_char, value: HPy) -> c_int {
        // SAFETY: as above; the string is NUL-terminated.
        unsafe {
            with_key(PyUnicode_FromString(utf8_key), -1, |key| PyObject_SetItem(to_object(obj), key, to_object(value)))
        }
    }

    unsafe extern "C" fn ctx_DelItem_i(_ctx: *mut HPyContext, obj: HPy, idx: HPy_ssize_t) -> c_int {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        unsafe { with_key(PyLong_FromSsize_t(idx), -1, |key| PyObject_DelItem(to_object(obj), key)) }
    }

    unsafe extern "C" fn ctx_DelItem_s(_ctx: *mut HPyContext, obj: HPy, utf8_key: *const c_char) -> c_int {
        // SAFETY: as above; the string is NUL-terminated.
        unsafe { with_key(PyUnicode_FromString(utf8_key), -1, |key| PyObject_DelItem(to_object(obj), key)) }
    }
}
