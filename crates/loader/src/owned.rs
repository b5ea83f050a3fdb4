//! A reference to an object that is given back when it goes.

use core::ptr::NonNull;

use hpy_cpython::handle::new_ref;
use hpy_cpython::raised::{PythonError, Result};
use pyo3_ffi::*;

/// Only lives while the interpreter is held: whoever makes one holds it.
pub struct Owned(NonNull<PyObject>);

impl Owned {
    /// Takes over a new reference; null is an error that CPython has set an exception for.
    ///
    /// # Safety
    /// The reference has to be the caller's.
    pub unsafe fn new(object: *mut PyObject) -> Result<Owned> {
        NonNull::new(object).map(Owned).ok_or(PythonError)
    }

    /// Makes a reference of its own to a live object.
    ///
    /// # Safety
    /// The object has to be alive.
    pub unsafe fn from_borrowed(object: *mut PyObject) -> Result<Owned> {
        // SAFETY: as this function's.
        unsafe { Owned::new(new_ref(object)) }
    }

    /// A str.
    ///
    /// # Safety
    /// The caller holds the interpreter.
    pub unsafe fn str(text: &str) -> Result<Owned> {
        // SAFETY: pointer and length are the string's.
        unsafe { Owned::new(PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len().cast_signed())) }
    }

    pub fn as_ptr(&self) -> *mut PyObject {
        self.0.as_ptr()
    }

    /// Hands the reference on.
    pub fn into_raw(self) -> *mut PyObject {
        let object = self.0.as_ptr();
        core::mem::forget(self);
        object
    }

    /// The text of a str. Raises TypeError for anything else.
    pub fn as_str(&self) -> Result<&str> {
        let mut size = 0;
        // SAFETY: the object is alive, and the text lives as long as it does; CPython's UTF-8 is valid.
        unsafe {
            let text = PyUnicode_AsUTF8AndSize(self.as_ptr(), &mut size);
            if text.is_null() {
                return Err(PythonError);
            }
            let bytes = core::slice::from_raw_parts(text.cast(), size.cast_unsigned());
            Ok(core::str::from_utf8_unchecked(bytes))
        }
    }

    /// The text of a str, with escapes for lone surrogates. None for anything else.
    pub fn to_text(&self) -> Option<String> {
        // SAFETY: the object is alive; the bytes are copied while it is.
        unsafe {
            let bytes = PyUnicode_AsEncodedString(self.as_ptr(), c"utf-8".as_ptr(), c"backslashreplace".as_ptr());
            let bytes = Owned::new(bytes).ok()?;
            let length = PyBytes_Size(bytes.as_ptr()).cast_unsigned();
            let bytes = core::slice::from_raw_parts(PyBytes_AsString(bytes.as_ptr()).cast(), length);
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { Py_DECREF(self.as_ptr()) };
    }
}
