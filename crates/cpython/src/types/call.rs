//! The call protocol: `HPy_tp_call` is a vectorcall function that each instance has in a hidden field behind its struct.
//!
//! The field is null in an instance that was not made with `HPy_New`. CPython then calls `tp_call`, which fills it in.

use core::ffi::c_int;

use hpy_abi::*;
use pyo3_ffi::*;

use super::definition::{Definition, nearest};
use super::functions::is_same;
use crate::entry::{self, Shift};
use crate::lock;

/// The hidden field of an instance.
unsafe fn field(object: *mut PyObject) -> *mut Option<vectorcallfunc> {
    // SAFETY: the caller's object is of a type with the protocol, whose offset says where the field is.
    unsafe { object.byte_offset((*Py_TYPE(object)).tp_vectorcall_offset).cast() }
}

/// Whether the type has the field: made by us for `HPy_tp_call`, or a member `__vectorcalloffset__` of an extension's struct.
/// Functions of Python have one as well, but theirs is nobody else's to set. A Python class that overrides the call does not
/// take the field away.
unsafe fn has_protocol(object: *mut PyObject) -> bool {
    // SAFETY: the object is alive.
    unsafe {
        let tp = Py_TYPE(object);
        if (*tp).tp_vectorcall_offset <= 0 {
            return false;
        }
        let ours = nearest(tp);
        let call = if ours.is_null() { None } else { (*ours).tp_call };
        let explicit = is_same(call, Some(PyVectorcall_Call as ternaryfunc));
        explicit || of_type(tp).is_some()
    }
}

/// The function for all instances of a type, its own or that of the nearest base with one.
pub unsafe fn of_type(mut tp: *mut PyTypeObject) -> Option<vectorcallfunc> {
    // SAFETY: a type keeps its bases alive.
    unsafe {
        while !tp.is_null() {
            if let Some(call) = Definition::of(tp).and_then(|definition| definition.call) {
                return Some(call);
            }
            tp = (*tp).tp_base;
        }
    }
    None
}

/// Gives an instance the function that its type has for all.
///
/// # Safety
/// The object is alive, and new.
pub unsafe fn initialize(object: *mut PyObject) {
    // SAFETY: as this function's.
    unsafe {
        if has_protocol(object) {
            let call = of_type(Py_TYPE(object));
            field(object).write_unaligned(call.or(field(object).read_unaligned()));
        }
    }
}

/// `tp_call` of types with the protocol.
pub unsafe extern "C" fn tp_call(object: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython passes an instance of a type that has this function.
    unsafe {
        // Under a lock, as another thread may be about to set a function.
        lock::while_locked(object, || {
            if field(object).read_unaligned().is_none() {
                field(object).write_unaligned(of_type(Py_TYPE(object)));
            }
        });
        PyVectorcall_Call(object, args, kwargs)
    }
}

/// `HPy_SetCallFunction`
///
/// # Safety
/// The object is alive, and the definition stays.
pub unsafe fn set(ctx: *mut HPyContext, object: *mut PyObject, function: *const HPyCallFunction) -> c_int {
    // SAFETY: as this function's; a trampoline for vectorcalls has CPython's convention.
    unsafe {
        if !has_protocol(object) {
            PyErr_Format(
                PyExc_TypeError,
                c"type '%.50s does not implement the HPy call protocol".as_ptr(),
                (*Py_TYPE(object)).tp_name,
            );
            return -1;
        }
        let HPyCallFunction { cpy_trampoline, r#impl } = *function;
        let r#impl = core::mem::transmute::<HPyFunc_keywords, HPyCFunction>(r#impl);
        let entry = entry::with_shift(ctx, Shift::Vectorcall, r#impl, cpy_trampoline);
        let call = core::mem::transmute::<HPyCFunction, Option<vectorcallfunc>>(entry);
        lock::while_locked(object, || field(object).write_unaligned(call));
        0
    }
}
