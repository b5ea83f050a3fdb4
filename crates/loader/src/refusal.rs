//! How the loader says no: an exception with the text that HPy has always had, and a help behind it.

use core::ffi::CStr;
use core::ptr::null_mut;

use hpy_cpython::raised::{PythonError, Result};
use pyo3_ffi::*;

use crate::owned::Owned;

pub const LOAD_ERROR: &CStr = c"LoadError";

const LOAD_ERROR_DOC: &CStr = c"An HPy binary can't be loaded.\n\n\
An ImportError, so that code with a fallback for a missing extension works; and a RuntimeError, which it has always been.";

/// Makes the type of load errors.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn load_error_type() -> Result<Owned> {
    // SAFETY: the bases live as long as the interpreter.
    unsafe {
        let bases = Owned::new(PyTuple_Pack(2, PyExc_ImportError, PyExc_RuntimeError))?;
        let name = c"hpy.universal.LoadError";
        Owned::new(PyErr_NewExceptionWithDoc(name.as_ptr(), LOAD_ERROR_DOC.as_ptr(), bases.as_ptr(), null_mut()))
    }
}

/// Why a binary can't be loaded.
pub struct Refusal {
    pub text: String,
    /// What the reader can do about it.
    pub help: String,
}

impl Refusal {
    /// Sets it as an exception.
    ///
    /// # Safety
    /// `module` is `hpy.universal`, name and path are live objects.
    pub unsafe fn raise(self, module: *mut PyObject, name: *mut PyObject, path: *mut PyObject) -> PythonError {
        // SAFETY: as this function's; the references are counted by `Owned`.
        let raise = || unsafe {
            let error_type = Owned::new(PyObject_GetAttrString(module, LOAD_ERROR.as_ptr()))?;
            let text = Owned::str(&self.text)?;
            let args = Owned::new(PyTuple_Pack(1, text.as_ptr()))?;
            let kwargs = Owned::new(PyDict_New())?;
            for (key, value) in [(c"name", name), (c"path", path)] {
                if PyDict_SetItemString(kwargs.as_ptr(), key.as_ptr(), value) < 0 {
                    return Err(PythonError);
                }
            }
            let error = Owned::new(PyObject_Call(error_type.as_ptr(), args.as_ptr(), kwargs.as_ptr()))?;
            add_help(&error, &self.help)?;
            PyErr_SetObject(error_type.as_ptr(), error.as_ptr());
            Err(PythonError)
        };
        match raise() {
            Ok(never) => never,
            Err(error) => error,
        }
    }
}

/// Puts a help behind an exception's text: as a note, or, where there are none (3.9, 3.10), as its cause.
unsafe fn add_help(error: &Owned, help: &str) -> Result<()> {
    // SAFETY: the exception is alive.
    unsafe {
        let help = Owned::str(help)?;
        if PyObject_HasAttrString(error.as_ptr(), c"add_note".as_ptr()) != 0 {
            let method = Owned::new(PyObject_GetAttrString(error.as_ptr(), c"add_note".as_ptr()))?;
            Owned::new(PyObject_CallOneArg(method.as_ptr(), help.as_ptr()))?;
        } else {
            let cause = Owned::new(PyObject_CallOneArg(PyExc_ImportError, help.as_ptr()))?;
            PyException_SetCause(error.as_ptr(), cause.into_raw());
        }
    }
    Ok(())
}

/// Puts a help behind the exception that is set.
///
/// # Safety
/// An exception has to be set.
pub unsafe fn help_with_current(help: &str) -> PythonError {
    // SAFETY: fetching and restoring hands the references out and back.
    unsafe {
        let (mut error_type, mut value, mut traceback) = (null_mut(), null_mut(), null_mut());
        PyErr_Fetch(&mut error_type, &mut value, &mut traceback);
        PyErr_NormalizeException(&mut error_type, &mut value, &mut traceback);
        let added = Owned::from_borrowed(value).and_then(|error| add_help(&error, help));
        if added.is_err() {
            // The first exception matters more than a missing note.
            PyErr_Clear();
        }
        PyErr_Restore(error_type, value, traceback);
    }
    PythonError
}
