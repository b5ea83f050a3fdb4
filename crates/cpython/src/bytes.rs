//! Bytes.

use core::ffi::{c_char, c_int};

use hpy_abi::runtime::Bytes;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_bytes;
use crate::handle::{to_handle, to_object};

impl Bytes for CPython {
    direct_bytes!();

    unsafe extern "C" fn ctx_Bytes_GET_SIZE(_ctx: *mut HPyContext, h: HPy) -> HPy_ssize_t {
        // SAFETY: the caller vouches for a bytes object.
        unsafe { Py_SIZE(to_object(h)) }
    }

    unsafe extern "C" fn ctx_Bytes_AS_STRING(_ctx: *mut HPyContext, h: HPy) -> *const c_char {
        // SAFETY: the caller vouches for a bytes object.
        unsafe { PyBytes_AS_STRING(to_object(h)) }
    }

    unsafe extern "C" fn ctx_Bytes_FromStringAndSize(
        _ctx: *mut HPyContext,
        bytes: *const c_char,
        len: HPy_ssize_t,
    ) -> HPy {
        // SAFETY: the caller's pointer is null or has `len` bytes behind it.
        unsafe {
            if bytes.is_null() {
                // CPython would hand out uninitialised memory to be filled in later; a handle's bytes can't be written.
                PyErr_SetString(PyExc_ValueError, c"NULL char * passed to HPyBytes_FromStringAndSize".as_ptr());
                return HPy::NULL;
            }
            to_handle(PyBytes_FromStringAndSize(bytes, len))
        }
    }
}
