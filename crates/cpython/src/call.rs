//! Calling objects.

use core::ffi::{c_int, c_void};
use core::ptr::null;

use hpy_abi::runtime::Call;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_call;
use crate::handle::{to_handle, to_object};
use crate::{trampoline, types};

impl Call for CPython {
    direct_call!();

    unsafe extern "C" fn ctx_CallTupleDict(_ctx: *mut HPyContext, callable: HPy, args: HPy, kw: HPy) -> HPy {
        let (callable, args, kw) = (to_object(callable), to_object(args), to_object(kw));
        // SAFETY: the caller's handles are live objects or, the arguments, null.
        unsafe {
            let fail = |message: &core::ffi::CStr| {
                PyErr_SetString(PyExc_TypeError, message.as_ptr());
                HPy::NULL
            };
            if !args.is_null() && PyTuple_Check(args) == 0 {
                return fail(c"HPy_CallTupleDict requires args to be a tuple or null handle");
            }
            if !kw.is_null() && PyDict_Check(kw) == 0 {
                return fail(c"HPy_CallTupleDict requires kw to be a dict or null handle");
            }
            if kw.is_null() {
                to_handle(PyObject_CallObject(callable, args))
            } else if args.is_null() {
                to_handle(PyObject_VectorcallDict(callable, null(), 0, kw))
            } else {
                to_handle(PyObject_Call(callable, args, kw))
            }
        }
    }

    unsafe extern "C" fn ctx_Call(
        _ctx: *mut HPyContext,
        callable: HPy,
        args: *const HPy,
        nargs: usize,
        kwnames: HPy,
    ) -> HPy {
        // SAFETY: an array of handles is an array of objects.
        unsafe { to_handle(PyObject_Vectorcall(to_object(callable), args.cast(), nargs, to_object(kwnames))) }
    }

    unsafe extern "C" fn ctx_CallMethod(
        _ctx: *mut HPyContext,
        name: HPy,
        args: *const HPy,
        nargs: usize,
        kwnames: HPy,
    ) -> HPy {
        // SAFETY: an array of handles is an array of objects.
        unsafe { to_handle(PyObject_VectorcallMethod(to_object(name), args.cast(), nargs, to_object(kwnames))) }
    }

    unsafe extern "C" fn ctx_CallRealFunctionFromTrampoline(
        ctx: *mut HPyContext,
        sig: HPyFunc_Signature,
        func: HPyCFunction,
        args: *mut c_void,
    ) {
        // SAFETY: the trampoline's arguments are those of its signature.
        unsafe { trampoline::enter(ctx, sig, func, args) }
    }

    unsafe extern "C" fn ctx_SetCallFunction(ctx: *mut HPyContext, h: HPy, func: *mut HPyCallFunction) -> c_int {
        // SAFETY: the caller's handle is a live object, and its definition stays.
        unsafe { types::call::set(ctx, to_object(h), func) }
    }
}
