//! Items: of lists and tuples by index directly, of others by an int as key; those of dicts are set directly.

use core::ffi::{c_char, c_int};

use hpy_abi::runtime::Item;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_item;
use crate::handle::{new_ref, to_handle, to_object};

/// Whether an object is a list or tuple (`tp`), and none derived from it, with an item at this index.
#[inline(always)]
unsafe fn is_item_of(tp: *mut PyTypeObject, object: *mut PyObject, index: HPy_ssize_t) -> bool {
    // SAFETY: the object is alive, and what is asked for its size is one of these.
    unsafe { Py_TYPE(object) == tp && index.cast_unsigned() < Py_SIZE(object).cast_unsigned() }
}

/// The item of a list, as a new reference. Without the GIL, another thread may have taken it away, which is an IndexError.
#[inline(always)]
unsafe fn list_item(list: *mut PyObject, index: HPy_ssize_t) -> *mut PyObject {
    // SAFETY: the caller has looked that it is one and long enough.
    unsafe {
        #[cfg(Py_GIL_DISABLED)]
        return PyList_GetItemRef(list, index);
        #[cfg(not(Py_GIL_DISABLED))]
        return new_ref(PyList_GET_ITEM(list, index));
    }
}

/// Puts a new reference into a list. The old item is let go last, as that can run code that looks at the list.
#[inline(always)]
unsafe fn set_list_item(list: *mut PyObject, index: HPy_ssize_t, value: *mut PyObject) -> c_int {
    // SAFETY: the caller has looked that it is one and long enough.
    unsafe {
        #[cfg(Py_GIL_DISABLED)]
        return PyList_SetItem(list, index, value);
        #[cfg(not(Py_GIL_DISABLED))]
        {
            let old = PyList_GET_ITEM(list, index);
            PyList_SET_ITEM(list, index, value);
            Py_DECREF(old);
            0
        }
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
            let object = to_object(obj);
            if is_item_of(&raw mut PyList_Type, object, idx) {
                return to_handle(list_item(object, idx));
            }
            if is_item_of(&raw mut PyTuple_Type, object, idx) {
                return to_handle(new_ref(PyTuple_GET_ITEM(object, idx)));
            }
            get_by_key(obj, idx)
        }
    }

    unsafe extern "C" fn ctx_SetItem(_ctx: *mut HPyContext, obj: HPy, key: HPy, value: HPy) -> c_int {
        let (object, key, value) = (to_object(obj), to_object(key), to_object(value));
        // SAFETY: the caller's handles are live objects, and it holds the interpreter.
        unsafe {
            // What `PyObject_SetItem` would come to. For null, that one raises.
            if !object.is_null() && PyDict_CheckExact(object) != 0 && !key.is_null() && !value.is_null() {
                return PyDict_SetItem(object, key, value);
            }
            PyObject_SetItem(object, key, value)
        }
    }

    unsafe extern "C" fn ctx_SetItem_i(_ctx: *mut HPyContext, obj: HPy, idx: HPy_ssize_t, value: HPy) -> c_int {
        let (object, value_object) = (to_object(obj), to_object(value));
        // SAFETY: the caller's handles are live objects, and it holds the interpreter.
        unsafe {
            if value.is_null() || !is_item_of(&raw mut PyList_Type, object, idx) {
                return set_by_key(obj, idx, value);
            }
            set_list_item(object, idx, new_ref(value_object))
        }
    }

    unsafe extern "C" fn ctx_DelItem_i(_ctx: *mut HPyContext, obj: HPy, idx: HPy_ssize_t) -> c_int {
        // SAFETY: the caller's handle is a live object, and it holds the interpreter.
        unsafe { with_key(idx, -1, |key| PyObject_DelItem(to_object(obj), key)) }
    }
}
