//! Arguments of a vectorcall as a tuple and a dict.

use core::ptr::null_mut;

use pyo3_ffi::*;

use crate::handle::new_ref;

/// A new tuple; null with an exception set.
///
/// # Safety
/// There are so many items, alive during the call.
pub unsafe fn tuple_of(items: *const *mut PyObject, count: isize) -> *mut PyObject {
    // SAFETY: the items are alive during the call.
    unsafe {
        let tuple = PyTuple_New(count);
        if !tuple.is_null() {
            for index in 0..count {
                PyTuple_SET_ITEM(tuple, index, new_ref(*items.offset(index)));
            }
        }
        tuple
    }
}

/// A new dict; null with an exception set.
///
/// # Safety
/// A tuple, and as many values, alive during the call.
pub unsafe fn dict_of(names: *mut PyObject, values: *const *mut PyObject) -> *mut PyObject {
    // SAFETY: names and values are alive during the call.
    unsafe {
        let dict = PyDict_New();
        if dict.is_null() {
            return null_mut();
        }
        for index in 0..PyTuple_GET_SIZE(names) {
            if PyDict_SetItem(dict, PyTuple_GET_ITEM(names, index), *values.offset(index)) < 0 {
                Py_DECREF(dict);
                return null_mut();
            }
        }
        dict
    }
}
