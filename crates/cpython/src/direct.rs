//! The families in which (nearly) every function is one call of CPython's.

use core::ffi::{c_char, c_int};

use hpy_abi::runtime::{Attribute, Dict, Float, Import, Iter, Number, Slice, Thread, Unicode};
use hpy_abi::*;

use crate::CPython;
use crate::autogen_direct::*;
use crate::handle::{to_handle, to_object};
use has::{has_attr, has_attr_string};

impl Attribute for CPython {
    direct_attribute!();

    unsafe extern "C" fn ctx_HasAttr(_ctx: *mut HPyContext, obj: HPy, name: HPy) -> c_int {
        // SAFETY: the caller's handles are live objects, and it holds the interpreter.
        unsafe { has_attr(to_object(obj), to_object(name)) }
    }

    unsafe extern "C" fn ctx_HasAttr_s(_ctx: *mut HPyContext, obj: HPy, utf8_name: *const c_char) -> c_int {
        // SAFETY: the caller's handle is a live object, its name a C string, and it holds the interpreter.
        unsafe { has_attr_string(to_object(obj), utf8_name) }
    }
}

#[cfg(not(Py_3_13))]
mod has {
    pub use pyo3_ffi::{PyObject_HasAttr as has_attr, PyObject_HasAttrString as has_attr_string};
}

/// From 3.13 on, the older functions tell of exceptions that they drop, in words about themselves.
#[cfg(Py_3_13)]
mod has {
    use core::ffi::{c_char, c_int};
    use pyo3_ffi::{PyErr_Clear, PyObject, PyObject_HasAttrStringWithError, PyObject_HasAttrWithError};

    pub unsafe fn has_attr(object: *mut PyObject, name: *mut PyObject) -> c_int {
        // SAFETY: the caller's objects are alive, and it holds the interpreter.
        unsafe { present(PyObject_HasAttrWithError(object, name)) }
    }

    pub unsafe fn has_attr_string(object: *mut PyObject, name: *const c_char) -> c_int {
        // SAFETY: the caller's objects are alive, and it holds the interpreter; the name is a C string.
        unsafe { present(PyObject_HasAttrStringWithError(object, name)) }
    }

    /// What is found, or 0 after a failure, whose exception is dropped.
    unsafe fn present(found: c_int) -> c_int {
        if found >= 0 {
            return found;
        }
        // SAFETY: the caller holds the interpreter.
        unsafe { PyErr_Clear() };
        0
    }
}

impl Dict for CPython {
    direct_dict!();
}

impl Float for CPython {
    direct_float!();
}

impl Import for CPython {
    direct_import!();
}

impl Iter for CPython {
    direct_iter!();
}

impl Number for CPython {
    direct_number!();
}

impl Slice for CPython {
    direct_slice!();
}

impl Thread for CPython {
    direct_thread!();
}

impl Unicode for CPython {
    direct_unicode!();

    unsafe extern "C" fn ctx_Unicode_DecodeFSDefaultAndSize(
        _ctx: *mut HPyContext,
        v: *const c_char,
        size: HPy_ssize_t,
    ) -> HPy {
        // SAFETY: the caller's pointer has `size` bytes behind it, and it holds the interpreter.
        unsafe {
            if size < 0 {
                // From 3.14 on, CPython would blame the memory.
                let message = c"Negative size passed to HPyUnicode_DecodeFSDefaultAndSize";
                pyo3_ffi::PyErr_SetString(pyo3_ffi::PyExc_SystemError, message.as_ptr());
                return HPy::NULL;
            }
            to_handle(pyo3_ffi::PyUnicode_DecodeFSDefaultAndSize(v, size))
        }
    }
}
