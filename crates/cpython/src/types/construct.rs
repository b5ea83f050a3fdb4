//! Instances made without a tuple of arguments: `tp_vectorcall` of types with `HPy_tp_new`, or with `HPy_tp_init` alone.
//!
//! Both take an array of arguments, which is what a vectorcall brings. A type's own `tp_call` would make a tuple of it first, and a
//! trampoline or thunk take it apart again.

use core::ptr::null_mut;

use hpy_abi::*;
use pyo3_ffi::*;

use super::arguments::{dict_of, tuple_of};
use super::definition::Creation;
use super::functions::is_same;
use super::instance::new_instance;
use super::type_object::Type;
use crate::handle::{to_handle, to_object};

/// The flag of a class that nobody may make instances of.
const IS_ABSTRACT: core::ffi::c_ulong = 1 << 20;

/// What instances of a type can be made with by [`vectorcall`]; none if they can't. Somebody may change the type later.
#[inline(always)]
pub fn possible(tp: Type) -> Option<&'static Creation> {
    let creation = &tp.definition()?.creation;
    let is_possible = match creation.new {
        Some(_) => is_same(tp.tp_new(), creation.new_entry),
        None => {
            let is_plain = is_same(tp.tp_new(), Type::object().tp_new());
            // Without an initializer, `object` refuses arguments.
            let is_initialized = !is_same(tp.tp_init(), Type::object().tp_init());
            is_plain && creation.init.is_some() && is_initialized && !tp.has(IS_ABSTRACT)
        }
    };
    is_possible.then_some(creation)
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
        let tp = Type::new(class.cast());
        if names.is_null() || PyTuple_GET_SIZE(names) == 0 {
            return construct(tp, args, count, null_mut());
        }
        let dict = dict_of(names, args.offset(count));
        if dict.is_null() {
            return null_mut();
        }
        let object = construct(tp, args, count, dict);
        Py_DECREF(dict);
        object
    }
}

/// `kw` is a dict or null.
unsafe fn construct(tp: Type, args: *const *mut PyObject, count: isize, kw: *mut PyObject) -> *mut PyObject {
    let Some(creation) = possible(tp) else {
        // SAFETY: the caller's arguments.
        return unsafe { call_changed(tp, args, count, kw) };
    };
    let (ctx, array, h_kw) = (creation.ctx, args.cast::<HPy>(), to_handle(kw));
    // SAFETY: the extension's functions get what their signatures say: handles are addresses, so an array of arguments is one of handles.
    unsafe {
        let object = match creation.new {
            Some(new) => to_object(new(ctx, to_handle(tp.as_object()), array, count, h_kw)),
            None => new_instance(tp),
        };
        if object.is_null() || !Type::of(object).is_subtype(tp) {
            return object;
        }
        let init = Type::of(object).tp_init();
        let result = match (init, creation.init) {
            (None, _) => 0,
            _ if is_same(init, Type::object().tp_init()) => 0,
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

/// What `type` does for a type that somebody has changed.
#[cold]
#[inline(never)]
unsafe fn call_changed(tp: Type, args: *const *mut PyObject, count: isize, kw: *mut PyObject) -> *mut PyObject {
    // SAFETY: the caller's arguments are alive during the call. The tuple is ours.
    unsafe {
        let tuple = tuple_of(args, count);
        let Some(call) = Type::metatype().tp_call().filter(|_| !tuple.is_null()) else { return null_mut() };
        let object = call(tp.as_object(), tuple, kw);
        Py_DECREF(tuple);
        object
    }
}
