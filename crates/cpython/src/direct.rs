//! The families in which (nearly) every function is one call of CPython's.

use core::ffi::{c_char, c_int};

use hpy_abi::runtime::{Attribute, Dict, Float, Import, Iter, Number, Slice, Thread, Unicode};
use hpy_abi::*;

use crate::CPython;
use crate::autogen_direct::*;
use crate::handle::{to_handle, to_object};

impl Attribute for CPython {
    direct_attribute!();

    unsafe extern "C" fn ctx_HasAttr(_ctx: *mut HPyContext, obj: HPy, name: HPy) -> c_int {
        // SAFETY: the caller's handles are live objects, and it holds the interpreter.
        unsafe { present(has_attr(to_object(obj), to_object(name))) }
    }

    unsafe extern "C" fn ctx_HasAttr_s(_ctx: *mut HPyContext, obj: HPy, utf8_name: *const c_char) -> c_int {
        // SAFETY: the caller's handle is a live object, its name a C string, and it holds the interpreter.
        unsafe { present(has_attr_string(to_object(obj), utf8_name)) }
    }
}

// From 3.13 on, the older functions tell of exceptions that they drop, in words about themselves.
#[cfg(not(Py_3_13))]
use pyo3_ffi::{PyObject_HasAttr as has_attr, PyObject_HasAttrString as has_attr_string};
#[cfg(Py_3_13)]
use pyo3_ffi::{PyObject_HasAttrStringWithError as has_attr_string, PyObject_HasAttrWithError as has_attr};

/// What is found, or 0 after a failure, whose exception is dropped.
unsafe fn present(found: c_int) -> c_int {
    if found < 0 {
        // SAFETY: the caller holds the interpreter.
        unsafe { pyo3_ffi::PyErr_Clear() };
        return 0;
    }
    found
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
