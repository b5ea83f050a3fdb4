//! Items by index: of lists and tuples directly, of others by an int as key.

use core::ffi::{c_char, c_int};
use core::ptr::null_mut;

use hpy_abi::runtime::Item;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_item;
use crate::handle::{new_ref, to_handle, to_object};

/// The item of a list or tuple, borrowed; null if it has none there, or is of another type.
///
/// Without the GIL another thread may take an item away before it is the caller's.
#[inline(always)]
unsafe fn item_at(object: *mut PyObject, index: HPy_ssize_t) -> *mut PyObject {
    // SAFETY: the object is alive, and the type says what it is.
    unsafe {
        let tp = Py_TYPE(object);
        let is_list = tp == &raw mut PyList_Type;
        if cfg!(Py_GIL_DISABLED)
            || !(is_list || tp == &raw mut PyTuple_Type)
            || index.cast_unsigned() >= Py_SIZE(object).cast_unsigned()
        {
            return null_mut();
        }
        if is_list { PyList_GET_ITEM(object, index) } else { PyTuple_GET_ITEM(object, index) }
    }
}

#[cold]
unsafe extern "C" fn get_by_key(object: HPy, index: HPy_ssize_t) -> HPy {
    // SAFETY: the caller's handle is a live object, and it holds the interpreter.
    unsafe { with_key(index, HPy::NULL, |key| to_handle(PyObject_GetItem(to_object(object), key))) }
}

#[cold]
unsafe extern "C" fn set_by_key(object: HPy, index: HPy_ssize_t, value: HPy) -> c_int {
    // SAFETY: the caller's handles are live objects, and it holds the interpreter.
    unsafe { with_key(index, -1, |key| PyObject_SetItem(to_object(object), key, to_object(value))) }
}

/// Calls `f` with the index as an object, unless making that failed.
unsafe fn with_key<T>(index: HPy_ssize_t, failure: T, f: impl FnOnce(*mut PyObject) -> T) -> T {
    // SAFETY: the caller holds the interpreter; the key's reference is ours.
    unsafe {
        let key = PyLong_FromSsize_t(index);
        if key.is_null() {
            return failure;
        }
        let result = f(key);
        Py_DECREF(key);
        result
    }
}

impl Item for CPython {
    direct_item!();

    unsafe extern "C" fn ctx_GetItem_i(_ctx: *mut HPyContext, obj: HPy, idx: HPy_ssize_t) -> HPy {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        unsafe {
            let item = item_at(to_object(obj), idx);
            if item.is_null() { get_by_key(obj, idx) } else { to_handle(new_ref(item)) }
        }
    }

    unsafe extern "C" fn ctx_SetItem_i(_ctx: *mut HPyContext, obj: HPy, idx: HPy_ssize_t, value: HPy) -> c_int {
        let (object, value_object) = (to_object(obj), to_object(value));
        // SAFETY: the caller's handles are live objects, and it holds the interpreter. The old item is let go last, as that can run
        // code that looks at the list.
        unsafe {
            if PyList_CheckExact(object) == 0 || value.is_null() || item_at(object, idx).is_null() {
                return set_by_key(obj, idx, value);
            }
            let old = PyList_GET_ITEM(object, idx);
            PyList_SET_ITEM(object, idx, new_ref(value_object));
            Py_DECREF(old);
            0
        }
    }

    unsafe extern "C" fn ctx_DelItem_i(_ctx: *mut HPyContext, obj: HPy, idx: HPy_ssize_t) -> c_int {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        unsafe { with_key(idx, -1, |key| PyObject_DelItem(to_object(obj), key)) }
    }
}
