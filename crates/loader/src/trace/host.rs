//! What trace mode asks of CPython.

use hpy_abi::HPy;
use hpy_cpython::handle::to_object;
use pyo3_ffi::*;

use crate::interpreter::{Pending, holds_interpreter, interpreter, line_for_good, site};
use crate::owned::Owned;

/// CPython, for the trace layer.
pub static HOST: hpy_trace::Host = hpy_trace::Host { site, line: line_for_good, holds_interpreter, interpreter, call };

/// Calls a function with a name. What it raises is reported as unraisable, as there may be nobody who expects an exception.
unsafe fn call(function: HPy, name: &str) -> bool {
    // SAFETY: trace mode holds the interpreter here, and a handle to the function.
    unsafe {
        let _pending = Pending::put_aside();
        let function = to_object(function);
        let called = Owned::str(name).and_then(|name| Owned::new(PyObject_CallOneArg(function, name.as_ptr())));
        if called.is_err() {
            PyErr_WriteUnraisable(function);
        }
        called.is_ok()
    }
}
