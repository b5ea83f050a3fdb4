//! Integers and booleans.

use core::ffi::{CStr, c_long, c_ulong, c_void};

use hpy_abi::runtime::{Bool, Long};
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_long;
use crate::handle::{to_handle, to_object};

/// Sets OverflowError and gives the value that stands for failure.
unsafe fn overflow<T>(message: &CStr, failure: T) -> T {
    // SAFETY: the caller holds the interpreter.
    unsafe { PyErr_SetString(PyExc_OverflowError, message.as_ptr()) };
    failure
}

impl Long for CPython {
    direct_long!();

    unsafe extern "C" fn ctx_Long_FromInt32_t(_ctx: *mut HPyContext, value: i32) -> HPy {
        // SAFETY: the caller holds the interpreter.
        unsafe { to_handle(PyLong_FromLong(c_long::from(value))) }
    }

    unsafe extern "C" fn ctx_Long_FromUInt32_t(_ctx: *mut HPyContext, value: u32) -> HPy {
        // SAFETY: the caller holds the interpreter.
        unsafe { to_handle(PyLong_FromUnsignedLong(c_ulong::from(value))) }
    }

    unsafe extern "C" fn ctx_Long_FromInt64_t(_ctx: *mut HPyContext, v: i64) -> HPy {
        // SAFETY: the caller holds the interpreter.
        unsafe { to_handle(PyLong_FromLongLong(v)) }
    }

    unsafe extern "C" fn ctx_Long_FromUInt64_t(_ctx: *mut HPyContext, v: u64) -> HPy {
        // SAFETY: the caller holds the interpreter.
        unsafe { to_handle(PyLong_FromUnsignedLongLong(v)) }
    }

    unsafe extern "C" fn ctx_Long_AsInt32_t(_ctx: *mut HPyContext, h: HPy) -> i32 {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        let value = unsafe { PyLong_AsLong(to_object(h)) };
        // An error is -1, which fits, so the exception that is set stays.
        i32::try_from(value).unwrap_or_else(|_| {
            // SAFETY: the caller holds the interpreter, for the exception.
            unsafe { overflow(c"Python int too large to convert to C int32_t", -1) }
        })
    }

    unsafe extern "C" fn ctx_Long_AsUInt32_t(_ctx: *mut HPyContext, h: HPy) -> u32 {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        let value = unsafe { PyLong_AsUnsignedLong(to_object(h)) };
        u32::try_from(value).unwrap_or_else(|_| {
            // SAFETY: the caller's handle is a live object, and it holds the interpreter.
            unsafe {
                let not_an_int = value == c_ulong::MAX && PyLong_Check(to_object(h)) == 0;
                if not_an_int { u32::MAX } else { overflow(c"Python int too large to convert to C uint32_t", u32::MAX) }
            }
        })
    }

    unsafe extern "C" fn ctx_Long_AsUInt32_tMask(_ctx: *mut HPyContext, h: HPy) -> u32 {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        unsafe { PyLong_AsUnsignedLongMask(to_object(h)) as u32 }
    }

    unsafe extern "C" fn ctx_Long_AsInt64_t(_ctx: *mut HPyContext, h: HPy) -> i64 {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        unsafe { PyLong_AsLongLong(to_object(h)) }
    }

    unsafe extern "C" fn ctx_Long_AsUInt64_t(_ctx: *mut HPyContext, h: HPy) -> u64 {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        unsafe { PyLong_AsUnsignedLongLong(to_object(h)) }
    }

    unsafe extern "C" fn ctx_Long_AsUInt64_tMask(_ctx: *mut HPyContext, h: HPy) -> u64 {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        unsafe { PyLong_AsUnsignedLongLongMask(to_object(h)) }
    }
}

impl Bool for CPython {
    unsafe extern "C" fn ctx_Bool_FromBool(_ctx: *mut HPyContext, v: bool) -> HPy {
        // SAFETY: the caller holds the interpreter.
        unsafe { to_handle(PyBool_FromLong(c_long::from(v))) }
    }
}
