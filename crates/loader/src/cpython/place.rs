//! Where Python code is.

use core::ffi::CStr;

use hpy_trace::{Line, Site};
use pyo3_ffi::*;

use super::pending::Pending;
use crate::owned::Owned;

/// Where Python code is. Keeps a pending exception.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn line() -> Option<Line> {
    // SAFETY: as this function's. The frame is borrowed from the interpreter, and stays while we are called.
    unsafe {
        let _pending = Pending::put_aside();
        let frame = PyEval_GetFrame();
        if frame.is_null() {
            return None;
        }
        let line = PyFrame_GetLineNumber(frame);
        let code = Owned::new(PyFrame_GetCode(frame).cast()).ok()?;
        let text = |attribute: &CStr| {
            let value = Owned::new(PyObject_GetAttrString(code.as_ptr(), attribute.as_ptr()));
            value.ok().and_then(|value| value.to_text())
        };
        let line = u32::try_from(line).unwrap_or_default();
        Some(Line { file: text(c"co_filename")?, line, function: text(c"co_name")? })
    }
}

/// The address of the code that is running, and where in it.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn site() -> Site {
    // SAFETY: the frame is borrowed from the interpreter, which is held, and stays while we are called; it has its code.
    unsafe {
        let frame = PyEval_GetFrame();
        if frame.is_null() {
            return (0, 0);
        }
        let code = PyFrame_GetCode(frame);
        let address = code.addr();
        Py_DECREF(code.cast());
        #[cfg(Py_3_11)]
        let place = PyFrame_GetLasti(frame);
        #[cfg(not(Py_3_11))]
        let place = PyFrame_GetLineNumber(frame);
        (address, place.cast_unsigned() as usize)
    }
}

/// Keeps the code that is running for good, so that its address is never that of other code.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn keep_code() {
    // SAFETY: the frame is borrowed from the interpreter, which is held, and stays while we are called.
    unsafe {
        let frame = PyEval_GetFrame();
        if !frame.is_null() {
            // A reference that is not given back.
            PyFrame_GetCode(frame);
        }
    }
}
