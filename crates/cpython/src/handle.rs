//! Handles: the address of an object.

use core::ffi::c_int;

use hpy_abi::runtime::Handle;
use hpy_abi::*;
use pyo3_ffi::PyObject;

use crate::CPython;

/// The object behind a handle; null for null.
#[inline(always)]
pub fn to_object(h: HPy) -> *mut PyObject {
    core::ptr::with_exposed_provenance_mut(h._i.cast_unsigned())
}

/// The handle of an object, which takes over the caller's reference; null for null.
#[inline(always)]
pub fn to_handle(object: *mut PyObject) -> HPy {
    HPy { _i: object.expose_provenance().cast_signed() }
}

/// Another reference to an object; null for null. (CPython's own function is newer than 3.9.)
///
/// # Safety
/// The object has to be null or alive.
#[inline(always)]
pub unsafe fn new_ref(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: as this function's.
    unsafe { pyo3_ffi::Py_XINCREF(object) };
    object
}

impl Handle for CPython {
    unsafe extern "C" fn ctx_Dup(_ctx: *mut HPyContext, h: HPy) -> HPy {
        // SAFETY: the caller's handle is null or a live object, and it holds the interpreter.
        unsafe { to_handle(new_ref(to_object(h))) }
    }

    unsafe extern "C" fn ctx_Close(_ctx: *mut HPyContext, h: HPy) {
        // SAFETY: the caller gives up the reference that the handle stands for, if it is not null.
        unsafe { pyo3_ffi::Py_XDECREF(to_object(h)) };
    }

    unsafe extern "C" fn ctx_Is(_ctx: *mut HPyContext, obj: HPy, other: HPy) -> c_int {
        (obj == other).into()
    }
}
