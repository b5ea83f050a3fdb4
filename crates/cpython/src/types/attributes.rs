//! The dictionary of an instance, where Python classes or `__dictoffset__` give it one.

#[cfg(all(Py_3_11, not(Py_3_12)))]
use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use pyo3_ffi::*;

#[cfg(all(Py_3_11, not(Py_3_12)))]
use super::python_class;
use super::type_object::Type;
#[cfg(not(Py_3_13))]
use crate::undeclared::_PyObject_GetDictPtr;
#[cfg(Py_3_13)]
use crate::undeclared::PyObject_ClearManagedDict;
#[cfg(Py_3_12)]
use crate::undeclared::PyObject_VisitManagedDict;

/// Whether CPython has put the dictionary where only it knows, in front of the object.
#[cfg(Py_3_11)]
unsafe fn has_managed_dict(object: *mut PyObject) -> bool {
    // SAFETY: the object is alive.
    unsafe { Type::of(object).has(1 << 4) }
}

#[cfg(not(Py_3_11))]
unsafe fn has_managed_dict(_object: *mut PyObject) -> bool {
    false
}

/// Where the dictionary is if CPython does not manage it.
unsafe fn plain_dict(object: *mut PyObject) -> *mut *mut PyObject {
    // SAFETY: the caller's object has room for a dictionary. Offsets count from the end where a size varies.
    unsafe {
        let offset = Type::of(object).dictoffset();
        if offset > 0 {
            return object.byte_offset(offset).cast();
        }
        #[cfg(not(Py_3_13))]
        return _PyObject_GetDictPtr(object);
        #[cfg(Py_3_13)]
        return null_mut();
    }
}

/// Takes the dictionary of attributes away from an object that has one.
pub unsafe fn drop_dict(object: *mut PyObject) {
    // SAFETY: the caller's object has room for a dictionary.
    unsafe {
        #[cfg(Py_3_13)]
        if has_managed_dict(object) {
            return PyObject_ClearManagedDict(object);
        }
        #[cfg(not(Py_3_13))]
        let place = _PyObject_GetDictPtr(object);
        #[cfg(Py_3_13)]
        let place = plain_dict(object);
        if !place.is_null() {
            let dict = place.read();
            place.write(null_mut());
            Py_XDECREF(dict);
        }
    }
}

/// Visits the attributes of an object that has a dictionary.
pub unsafe fn visit_dict(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: the caller's object has room for a dictionary.
    unsafe {
        if has_managed_dict(object) {
            return visit_managed_dict(object, visit, arg);
        }
        let place = plain_dict(object);
        if place.is_null() || (*place).is_null() { 0 } else { visit(*place, arg) }
    }
}

#[cfg(Py_3_12)]
unsafe fn visit_managed_dict(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: the caller's object has such a dictionary.
    unsafe { PyObject_VisitManagedDict(object, visit, arg) }
}

/// CPython 3.11 has no function for that, but that of Python classes visits attributes without a dictionary, and then calls ours
/// once more. The dictionary, once there is one, it leaves to us.
#[cfg(all(Py_3_11, not(Py_3_12)))]
unsafe fn visit_managed_dict(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: the caller's object has such a dictionary: two pointers of which one at most is set.
    unsafe {
        let words = object.cast::<*mut PyObject>();
        let (values, dict) = (*words.offset(-4), *words.offset(-3));
        if !dict.is_null() {
            return visit(dict, arg);
        }
        // A Python class below ours has visited them.
        if values.is_null() || Type::of(object).is_python_class() {
            return 0;
        }
        VISITS_VALUES.set(true);
        let stop = python_class::traverse().map_or(0, |function| function(object, visit, arg));
        VISITS_VALUES.set(false);
        stop
    }
}

#[cfg(not(Py_3_11))]
unsafe fn visit_managed_dict(_object: *mut PyObject, _visit: visitproc, _arg: *mut c_void) -> c_int {
    0
}

#[cfg(all(Py_3_11, not(Py_3_12)))]
thread_local! {
    static VISITS_VALUES: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is visiting the attributes of an object, for which our own function is called once more.
#[inline(always)]
pub fn is_visiting_values() -> bool {
    #[cfg(all(Py_3_11, not(Py_3_12)))]
    return VISITS_VALUES.get();
    #[cfg(not(all(Py_3_11, not(Py_3_12))))]
    false
}
