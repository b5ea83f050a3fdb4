//! What trace mode asks of CPython.

use hpy_cpython::handle::to_object;
use hpy_layer::inner::InnerHandle;
use pyo3_ffi::*;

use super::pending::Pending;
use super::place::{keep_code, line, site};
use super::threads::{THREADS, holds_interpreter};
use crate::owned::Owned;

/// CPython, for the trace layer.
pub static HOST: hpy_trace::Host = hpy_trace::Host { site, line, keep_code, has_exception, threads: THREADS, call };

unsafe fn has_exception() -> bool {
    // SAFETY: any thread may ask the first; one that holds the interpreter may ask the second.
    unsafe { holds_interpreter() && !PyErr_Occurred().is_null() }
}

/// Calls a function with a name. What it raises is reported as unraisable, as there may be nobody who expects an exception.
unsafe fn call(function: InnerHandle, name: &str) -> bool {
    // SAFETY: trace mode holds the interpreter here, and a handle to the function.
    unsafe {
        let _pending = Pending::put_aside();
        let function = to_object(function.handle());
        let called = Owned::str(name).and_then(|name| Owned::new(PyObject_CallOneArg(function, name.as_ptr())));
        if called.is_err() {
            PyErr_WriteUnraisable(function);
        }
        called.is_ok()
    }
}
