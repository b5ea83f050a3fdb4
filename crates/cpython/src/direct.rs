//! The families in which (nearly) every function is one call of CPython's.

use core::ffi::{c_char, c_int};

use hpy_abi::runtime::{Attribute, Dict, Float, Import, Iter, Number, Slice, Thread, Unicode};
use hpy_abi::*;

use crate::CPython;
use crate::autogen_direct::*;
use crate::handle::to_handle;

impl Attribute for CPython {
    direct_attribute!();
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
