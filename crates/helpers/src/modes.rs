//! Modes, which the CPython ABI does not have: who asks for one is told.

use core::ffi::{CStr, c_char};

use hpy_cpython::raised::{PythonError, Result};
use pyo3_ffi::{PyErr_WarnFormat, PyExc_RuntimeWarning};

unsafe extern "C" {
    fn getenv(name: *const c_char) -> *const c_char;
}

/// Warns if the environment variable `HPY` asks for a mode for all modules, or for this one. Raises if that is what warnings do.
///
/// # Safety
/// The name is a C string; the caller holds the interpreter.
pub unsafe fn warn_of_none(name: *const c_char) -> Result<()> {
    // SAFETY: as this function's; nobody changes the environment while the interpreter is held.
    unsafe {
        let value = getenv(c"HPY".as_ptr());
        if value.is_null() || !asks(CStr::from_ptr(value).to_bytes(), CStr::from_ptr(name).to_bytes()) {
            return Ok(());
        }
        let format =
            c"HPY=%s has no effect on %s, which was built for the CPython ABI: build it with --hpy-abi=universal";
        match PyErr_WarnFormat(PyExc_RuntimeWarning, 1, format.as_ptr(), value, name) {
            0 => Ok(()),
            _ => Err(PythonError),
        }
    }
}

/// Whether a value of `HPY` asks for a mode for this module: `debug`, or `other:trace,mod:debug`.
fn asks(value: &[u8], name: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|item| {
        let mut parts = item.splitn(2, |byte| *byte == b':').map(<[u8]>::trim_ascii);
        match (parts.next(), parts.next()) {
            (Some(module), Some(mode)) => module == name && is_mode(mode),
            (Some(mode), None) => is_mode(mode),
            _ => false,
        }
    })
}

fn is_mode(text: &[u8]) -> bool {
    !text.is_empty() && !text.eq_ignore_ascii_case(b"universal")
}

#[cfg(test)]
mod tests {
    use super::asks;

    #[test]
    fn values() {
        for value in ["debug", " Trace ", "mod:debug", "other:universal, mod : trace", "debug+trace"] {
            assert!(asks(value.as_bytes(), b"mod"), "{value}");
        }
        for value in ["", "universal", "other:debug", "mod:universal", "other:debug,mod:UNIVERSAL", " "] {
            assert!(!asks(value.as_bytes(), b"mod"), "{value}");
        }
    }
}
