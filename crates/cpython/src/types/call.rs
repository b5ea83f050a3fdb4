//! The call protocol: `HPy_tp_call` is a vectorcall function that each instance has in a hidden field behind its struct.
//!
//! The field is null in an instance that was not made with `HPy_New`. CPython then calls `tp_call`, which fills it in.
//!
//! Before 3.12, CPython calls what is in the field even after somebody has set `__call__` on the type. There [`guarded`] is in it, which
//! looks, and the function is in a second field behind it.

use core::ffi::c_int;
use core::ptr::null_mut;

use hpy_abi::*;
use pyo3_ffi::*;

use super::arguments::{dict_of, tuple_of};
use super::functions::{is_same, ours};
use super::type_object::Type;
use crate::array::Array;
use crate::bridge;
use crate::lock;
use crate::shift::Shift;

/// Whether CPython has to be kept from calls that have been overridden.
pub const GUARDS: bool = cfg!(not(Py_3_12));

/// How large the hidden field is.
pub const FIELD_SIZE: isize = size_of::<Option<vectorcallfunc>>().cast_signed() * if GUARDS { 2 } else { 1 };

/// The hidden field of an instance, where CPython looks.
unsafe fn field(object: *mut PyObject) -> *mut Option<vectorcallfunc> {
    // SAFETY: the caller's object is of a type with the protocol, whose offset says where the field is.
    unsafe { object.byte_offset(Type::of(object).vectorcall_offset()).cast() }
}

/// Puts the function of an instance into its field. `is_hidden`: the field is ours, and no member of the extension's struct.
unsafe fn put(object: *mut PyObject, function: Option<vectorcallfunc>, is_hidden: bool) {
    // SAFETY: the caller's object is of a type with the protocol, whose offset says where the field is.
    unsafe {
        if GUARDS && is_hidden && function.is_some() {
            field(object).add(1).write_unaligned(function);
            field(object).write_unaligned(Some(guarded));
        } else {
            field(object).write_unaligned(function);
        }
    }
}

/// What is in the field before 3.12: calls the function of the instance, unless its type is to be called in another way by now.
unsafe extern "C" fn guarded(
    object: *mut PyObject,
    args: *const *mut PyObject,
    nargsf: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython passes an instance with this function, and as many arguments as it says. Where this function is, `put` has put the
    // instance's own one behind it.
    unsafe {
        if is_same(Type::of(object).tp_call(), Some(ours().call)) {
            let function = field(object).add(1).cast::<vectorcallfunc>().read_unaligned();
            return function(object, args, nargsf, names);
        }
        call_overridden(object, args, nargsf, names)
    }
}

/// Calls what somebody has put in the place of our `tp_call`.
#[cold]
#[inline(never)]
unsafe fn call_overridden(
    object: *mut PyObject,
    args: *const *mut PyObject,
    nargsf: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython's arguments of a vectorcall.
    unsafe {
        let count = PyVectorcall_NARGS(nargsf);
        let tp = Type::of(object);
        let Some(call) = tp.tp_call() else {
            PyErr_Format(PyExc_TypeError, c"'%.200s' object is not callable".as_ptr(), tp.name());
            return null_mut();
        };
        let tuple = tuple_of(args, count);
        let dict = if names.is_null() { null_mut() } else { dict_of(names, args.offset(count)) };
        let is_complete = !tuple.is_null() && (names.is_null() || !dict.is_null());
        let result = if is_complete { call(object, tuple, dict) } else { null_mut() };
        Py_XDECREF(tuple);
        Py_XDECREF(dict);
        result
    }
}

/// Whether the type has the field: made by us for `HPy_tp_call`, or a member `__vectorcalloffset__` of an extension's struct.
/// Functions of Python have one as well, but theirs is nobody else's to set. A Python class that overrides the call does not
/// take the field away.
fn has_protocol(tp: Type) -> bool {
    if tp.vectorcall_offset() <= 0 {
        return false;
    }
    let call = tp.nearest_of_ours().and_then(Type::tp_call);
    let is_explicit = is_same(call, Some(PyVectorcall_Call as ternaryfunc));
    is_explicit || of_type(tp).is_some()
}

/// The function for all instances of a type, its own or that of the nearest base with one.
pub fn of_type(mut tp: Type) -> Option<vectorcallfunc> {
    loop {
        if let Some(call) = tp.definition().and_then(|definition| definition.call) {
            return Some(call);
        }
        tp = tp.base()?;
    }
}

/// Gives an instance the function that its type has for all.
///
/// # Safety
/// The object is alive, and new.
pub unsafe fn initialize(object: *mut PyObject) {
    // SAFETY: as this function's.
    unsafe {
        let tp = Type::of(object);
        if has_protocol(tp)
            && let Some(call) = of_type(tp)
        {
            put(object, Some(call), true);
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
                put(object, of_type(Type::of(object)), true);
            }
        });
        if GUARDS { call_with_tuple(object, args, kwargs) } else { PyVectorcall_Call(object, args, kwargs) }
    }
}

/// Calls the function of an instance, whoever has overridden the type's: that one may want to call it.
unsafe fn call_with_tuple(object: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython passes an instance of a type that has `tp_call`, a tuple, and a dict or null. The array is as long as the arguments
    // are many.
    unsafe {
        let Some(function) = field(object).add(1).read_unaligned() else {
            return PyVectorcall_Call(object, args, kwargs);
        };
        let positional = PyTuple_GET_SIZE(args);
        let first = (&raw const (*args.cast::<PyTupleObject>()).ob_item).cast::<*mut PyObject>();
        if kwargs.is_null() || PyDict_Size(kwargs) == 0 {
            return function(object, first, positional.cast_unsigned(), null_mut());
        }
        let mut all = Array::new();
        for index in 0..positional {
            if all.push(*first.offset(index)).is_err() {
                return null_mut();
            }
        }
        // The values are borrowed from this list.
        let values = PyDict_Values(kwargs);
        let keys = if values.is_null() { null_mut() } else { PyDict_Keys(kwargs) };
        let names = if keys.is_null() { null_mut() } else { PyList_AsTuple(keys) };
        let mut result = null_mut();
        let mut index = 0;
        while !names.is_null() && index < PyList_GET_SIZE(values) {
            if all.push(PyList_GET_ITEM(values, index)).is_err() {
                break;
            }
            index += 1;
        }
        if !names.is_null() && index == PyTuple_GET_SIZE(names) {
            result = function(object, all.as_slice().as_ptr(), positional.cast_unsigned(), names);
        }
        for each in [values, keys, names] {
            Py_XDECREF(each);
        }
        result
    }
}

/// `HPy_SetCallFunction`
///
/// # Safety
/// The object is alive, and the definition stays.
pub unsafe fn set(ctx: *mut HPyContext, object: *mut PyObject, function: *const HPyCallFunction) -> c_int {
    // SAFETY: as this function's; a trampoline for vectorcalls has CPython's convention.
    unsafe {
        let tp = Type::of(object);
        if !has_protocol(tp) {
            let format = c"type '%.50s does not implement the HPy call protocol";
            PyErr_Format(PyExc_TypeError, format.as_ptr(), tp.name());
            return -1;
        }
        let HPyCallFunction { cpy_trampoline, r#impl } = *function;
        let r#impl = core::mem::transmute::<HPyFunc_keywords, HPyCFunction>(r#impl);
        let entry = bridge::with_shift(ctx, Shift::Vectorcall, r#impl, cpy_trampoline);
        let call = core::mem::transmute::<HPyCFunction, Option<vectorcallfunc>>(entry);
        lock::while_locked(object, || put(object, call, of_type(tp).is_some()));
        0
    }
}
