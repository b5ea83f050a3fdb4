//! Instances made without a tuple of arguments: `tp_vectorcall` of types with `HPy_tp_new`, or with `HPy_tp_init` alone.
//!
//! Both take an array of arguments, which is what a vectorcall brings. A type's own `tp_call` would make a tuple of it first, and a
//! trampoline or thunk take it apart again.

use core::ptr::null_mut;

use hpy_abi::*;
use pyo3_ffi::*;

use super::arguments::{dict_of, tuple_of};
use super::definition::{Creation, Definition};
use super::functions::is_same;
use super::instance::new_instance;
use crate::handle::{to_handle, to_object};

/// The flag of a class that nobody may make instances of.
const IS_ABSTRACT: core::ffi::c_ulong = 1 << 20;

unsafe fn creation_of(tp: *mut PyTypeObject) -> Option<&'static Creation> {
    // SAFETY: the caller's type is alive.
    unsafe { Definition::of(tp) }.map(|definition| &definition.creation)
}

/// Whether instances of a type can be made by [`vectorcall`], as long as nobody changes the type.
///
/// # Safety
/// The type is alive.
pub unsafe fn is_possible(tp: *mut PyTypeObject) -> bool {
    // SAFETY: as this function's.
    unsafe {
        creation_of(tp).is_some_and(|creation| match creation.new {
            Some(_) => is_same((*tp).tp_new, creation.new_entry),
            None => {
                let plain = is_same((*tp).tp_new, PyBaseObject_Type.tp_new);
                // Without an initializer, `object` refuses arguments.
                let is_initialized = !is_same((*tp).tp_init, PyBaseObject_Type.tp_init);
                plain && creation.init.is_some() && is_initialized && PyType_HasFeature(tp, IS_ABSTRACT) == 0
            }
        })
    }
}

/// `tp_vectorcall`: what `type.__call__` does.
pub unsafe extern "C" fn vectorcall(
    class: *mut PyObject,
    args: *const *mut PyObject,
    nargsf: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython passes a type with this function, and as many arguments as it says: the values of names follow the others.
    unsafe {
        let count = PyVectorcall_NARGS(nargsf);
        if names.is_null() || PyTuple_GET_SIZE(names) == 0 {
            return construct(class.cast(), args, count, null_mut());
        }
        let dict = dict_of(names, args.offset(count));
        if dict.is_null() {
            return null_mut();
        }
        let object = construct(class.cast(), args, count, dict);
        Py_DECREF(dict);
        object
    }
}

/// `kw` is a dict or null.
unsafe fn construct(
    tp: *mut PyTypeObject,
    args: *const *mut PyObject,
    count: isize,
    kw: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the type and the arguments are alive during the call.
    unsafe {
        let Some(creation) = creation_of(tp).filter(|_| is_possible(tp)) else {
            // Somebody has changed the type.
            let tuple = tuple_of(args, count);
            let Some(call) = PyType_Type.tp_call.filter(|_| !tuple.is_null()) else { return null_mut() };
            let object = call(tp.cast(), tuple, kw);
            Py_DECREF(tuple);
            return object;
        };
        let (ctx, array, h_kw) = (creation.ctx, args.cast::<HPy>(), to_handle(kw));
        let object = match creation.new {
            Some(new) => to_object(new(ctx, to_handle(tp.cast()), array, count, h_kw)),
            None => new_instance(tp),
        };
        if object.is_null() || PyObject_TypeCheck(object, tp) == 0 {
            return object;
        }
        let init = (*Py_TYPE(object)).tp_init;
        let result = match (init, creation.init) {
            (None, _) => 0,
            _ if is_same(init, PyBaseObject_Type.tp_init) => 0,
            (_, Some(own)) if is_same(init, creation.init_entry) => own(ctx, to_handle(object), array, count, h_kw),
            (Some(init), _) => {
                let tuple = tuple_of(args, count);
                let result = if tuple.is_null() { -1 } else { init(object, tuple, kw) };
                Py_XDECREF(tuple);
                result
            }
        };
        if result < 0 {
            Py_DECREF(object);
            return null_mut();
        }
        object
    }
}
