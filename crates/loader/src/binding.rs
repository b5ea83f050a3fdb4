//! Small tools for modules that are written in C's way.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_int};
use core::ptr::null_mut;
use std::path::PathBuf;

use hpy_cpython::raised::{PythonError, Result};
use pyo3_ffi::*;

use crate::owned::Owned;

/// A function or method of one argument, an object or a tuple, that returns `Result`. CPython wants null for an error.
macro_rules! entry {
    ($name:literal, $function:path, $flags:expr, $doc:expr) => {{
        unsafe extern "C" fn entry(this: *mut PyObject, argument: *mut PyObject) -> *mut PyObject {
            // SAFETY: CPython passes the module or instance, and what the flags say.
            unsafe { $function(this, argument) }.map_or(null_mut(), Owned::into_raw)
        }
        method($name, PyMethodDefPointer { PyCFunction: entry }, $flags, $doc)
    }};
}
pub(crate) use entry;

/// Wraps a function that returns `Result` for CPython, which wants null for an error.
macro_rules! python_function {
    ($name:ident => $function:path) => {
        unsafe extern "C" fn $name(module: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
            // SAFETY: CPython passes the module, a tuple, and a dict or null.
            unsafe { $function(module, args, kwargs) }.map_or(null_mut(), Owned::into_raw)
        }
    };
}
pub(crate) use python_function;

/// Lists of parameter names as CPython wants them.
macro_rules! keywords {
    ($($name:literal),*) => { [$($name.as_ptr().cast_mut(),)* core::ptr::null_mut::<core::ffi::c_char>()] };
}
pub(crate) use keywords;

/// A function or method of a module, as CPython wants it.
pub const fn method(
    name: &'static CStr,
    function: PyMethodDefPointer,
    flags: c_int,
    doc: &'static CStr,
) -> PyMethodDef {
    PyMethodDef { ml_name: name.as_ptr(), ml_meth: function, ml_flags: flags, ml_doc: doc.as_ptr() }
}

/// Positional and keyword arguments.
pub const KEYWORDS: c_int = METH_VARARGS | METH_KEYWORDS;

/// CPython writes to none of this but the definition's head, and to that under its own lock.
pub struct Static<T>(UnsafeCell<T>);

impl<T> Static<T> {
    pub const fn new(value: T) -> Static<T> {
        Static(UnsafeCell::new(value))
    }

    pub const fn get(&self) -> *mut T {
        self.0.get()
    }
}

// SAFETY: CPython writes to nothing in it but a definition's head, and to that under its own lock.
unsafe impl<T> Sync for Static<T> {}

/// The path as the system sees it. Accepts what `os.fspath` does.
pub unsafe fn file_path(path: *mut PyObject) -> Result<PathBuf> {
    let mut bytes = null_mut::<PyObject>();
    // SAFETY: the converter makes a bytes object without NUL inside, or raises.
    unsafe {
        if PyUnicode_FSConverter(path, (&raw mut bytes).cast()) == 0 {
            return Err(PythonError);
        }
        let bytes = Owned::new(bytes)?;
        let text = CStr::from_ptr(PyBytes_AS_STRING(bytes.as_ptr())).to_bytes();
        #[cfg(unix)]
        let path = PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(text));
        // On Windows these bytes are UTF-8, with lone surrogates that no file name of ours has.
        #[cfg(not(unix))]
        let path = PathBuf::from(String::from_utf8_lossy(text).into_owned());
        Ok(path)
    }
}

pub unsafe fn set_attribute(object: *mut PyObject, name: &CStr, value: &Owned) -> Result<()> {
    // SAFETY: the objects are alive.
    match unsafe { PyObject_SetAttrString(object, name.as_ptr(), value.as_ptr()) } {
        0 => Ok(()),
        _ => Err(PythonError),
    }
}

pub unsafe fn none() -> Result<Owned> {
    // SAFETY: None is alive; the caller holds the interpreter.
    unsafe { Owned::from_borrowed(Py_None()) }
}

/// Sets an exception.
pub unsafe fn error(class: *mut PyObject, text: &str) -> PythonError {
    // SAFETY: the caller holds the interpreter. Without memory for the text there is a MemoryError instead.
    unsafe {
        if let Ok(text) = Owned::str(text) {
            PyErr_SetObject(class, text.as_ptr());
        }
    }
    PythonError
}

pub unsafe fn append(list: &Owned, item: Owned) -> Result<()> {
    // SAFETY: both are alive.
    if unsafe { PyList_Append(list.as_ptr(), item.as_ptr()) } < 0 { Err(PythonError) } else { Ok(()) }
}
