//! Exceptions and warnings.

use core::ffi::{c_char, c_int};

use hpy_abi::runtime::Error;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_error;
use crate::handle::to_object;

impl Error for CPython {
    direct_error!();

    unsafe extern "C" fn ctx_Err_SetFromErrnoWithFilenameObjects(
        _ctx: *mut HPyContext,
        h_type: HPy,
        filename1: HPy,
        filename2: HPy,
    ) {
        // SAFETY: the caller's handles are live objects or, the names, null. The result is always null.
        unsafe {
            PyErr_SetFromErrnoWithFilenameObjects(to_object(h_type), to_object(filename1), to_object(filename2));
        }
    }

    unsafe extern "C" fn ctx_Err_Occurred(_ctx: *mut HPyContext) -> c_int {
        // SAFETY: the caller holds the interpreter.
        unsafe { (!PyErr_Occurred().is_null()).into() }
    }

    unsafe extern "C" fn ctx_Err_NoMemory(_ctx: *mut HPyContext) {
        // SAFETY: the caller holds the interpreter. The result is always null.
        unsafe { PyErr_NoMemory() };
    }
}
