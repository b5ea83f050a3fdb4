//! References that are given back.

use pyo3_ffi::{Py_XDECREF, PyObject};

/// A reference to an object, or none, given back when it goes.
pub struct Reference(*mut PyObject);

impl Reference {
    /// Takes a reference over.
    pub fn new(object: *mut PyObject) -> Reference {
        Reference(object)
    }

    pub fn as_ptr(&self) -> *mut PyObject {
        self.0
    }

    /// Hands the reference on.
    pub fn into_raw(mut self) -> *mut PyObject {
        core::mem::replace(&mut self.0, core::ptr::null_mut())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and the interpreter is held.
        unsafe { Py_XDECREF(self.0) };
    }
}
