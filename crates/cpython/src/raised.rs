//! Exceptions: what a function returns that has set one.

/// An exception is set.
#[derive(Debug)]
pub struct PythonError;

/// Of what may raise.
pub type Result<T> = core::result::Result<T, PythonError>;

/// Sets an exception with a formatted message.
macro_rules! raise {
    ($type:expr, $format:expr $(, $argument:expr)*) => {{
        PyErr_Format($type, core::ffi::CStr::as_ptr($format) $(, $argument)*);
        PythonError
    }};
}
pub(crate) use raise;
