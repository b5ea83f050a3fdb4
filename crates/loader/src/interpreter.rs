//! What layers ask of CPython: who holds it, where Python code is, and that a pending exception is kept.

use core::ffi::CStr;
use core::ptr::null_mut;

use hpy_cpython::handle::new_ref;
use hpy_layer::threads::Threads;
use hpy_trace::{Line, Site};
use pyo3_ffi::compat::PyThreadState_GetUnchecked;
use pyo3_ffi::*;

use crate::owned::Owned;

pub const THREADS: Threads = Threads { holds_interpreter, interpreter, address };

/// Of data: that of a function may be in this library, which jumps there.
fn address() -> usize {
    // SAFETY: gives a static string, at any time.
    unsafe { Py_GetVersion() }.addr()
}

/// The pending exception, if there is one, put aside until this is dropped.
pub struct Pending {
    class: *mut PyObject,
    value: *mut PyObject,
    traceback: *mut PyObject,
}

#[allow(deprecated, reason = "what replaces these functions is newer than 3.9")]
impl Pending {
    /// # Safety
    /// The caller holds the interpreter, now and when this is dropped.
    pub unsafe fn put_aside() -> Pending {
        let mut pending = Pending { class: null_mut(), value: null_mut(), traceback: null_mut() };
        // SAFETY: as this function's.
        unsafe { PyErr_Fetch(&mut pending.class, &mut pending.value, &mut pending.traceback) };
        pending
    }

    /// Class and value, which may be null or not yet an instance.
    pub fn parts(&self) -> Option<(*mut PyObject, *mut PyObject)> {
        (!self.class.is_null()).then_some((self.class, self.value))
    }

    /// Whether it is a misuse's with this report.
    ///
    /// # Safety
    /// The caller holds the interpreter.
    pub unsafe fn tells(&self, text: &str) -> bool {
        if self.value.is_null() {
            return false;
        }
        // SAFETY: the exception is alive. Any object may stand here, and most have no such attribute.
        unsafe {
            let report = Owned::new(PyObject_GetAttrString(self.value, c"report".as_ptr()));
            let is_same = report.is_ok_and(|report| {
                PyUnicode_Check(report.as_ptr()) != 0 && report.as_str().is_ok_and(|report| report == text)
            });
            PyErr_Clear();
            is_same
        }
    }

    /// Takes the exception itself, and leaves none.
    ///
    /// # Safety
    /// The caller holds the interpreter.
    pub unsafe fn into_exception(mut self) -> Option<Owned> {
        if self.class.is_null() {
            return None;
        }
        // SAFETY: the references are ours. Normalizing gives one exception, maybe another than it was; it has no traceback yet.
        unsafe {
            PyErr_NormalizeException(&mut self.class, &mut self.value, &mut self.traceback);
            if !self.traceback.is_null() {
                PyException_SetTraceback(self.value, self.traceback);
            }
            let exception = Owned::new(new_ref(self.value)).ok();
            for part in [&mut self.class, &mut self.value, &mut self.traceback] {
                Py_XDECREF(core::mem::replace(part, null_mut()));
            }
            exception
        }
    }
}

impl Drop for Pending {
    #[allow(deprecated, reason = "what replaces this function is newer than 3.9")]
    fn drop(&mut self) {
        // SAFETY: the references are ours and handed back; whoever made this holds the interpreter.
        unsafe { PyErr_Restore(self.class, self.value, self.traceback) };
    }
}

/// The text of a str, with escapes for lone surrogates. None for anything else.
pub unsafe fn rust_text(text: &Owned) -> Option<String> {
    // SAFETY: the object is alive; the bytes are copied while it is.
    unsafe {
        let bytes = PyUnicode_AsEncodedString(text.as_ptr(), c"utf-8".as_ptr(), c"backslashreplace".as_ptr());
        let bytes = Owned::new(bytes).ok()?;
        let length = PyBytes_Size(bytes.as_ptr()).cast_unsigned();
        let bytes = core::slice::from_raw_parts(PyBytes_AsString(bytes.as_ptr()).cast(), length);
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// Whether this thread holds the interpreter.
pub unsafe fn holds_interpreter() -> bool {
    // SAFETY: these functions look at thread states, and can be called on any thread.
    unsafe {
        let current = PyThreadState_GetUnchecked();
        if current.is_null() {
            return false;
        }
        let own = PyGILState_GetThisThreadState();
        if own == current || current_is_of_this_thread() {
            return true;
        }
        // Before 3.12 the current state is that of whatever thread holds the GIL. A thread without a state of its own doesn't.
        // One with several, in subinterpreters, may hold it with another than this: CPython can't tell, and says yes.
        !own.is_null() && PyGILState_Check() != 0
    }
}

/// Since 3.12, each thread has its own current state, if it holds an interpreter.
fn current_is_of_this_thread() -> bool {
    // SAFETY: a static string that starts with the version.
    let version = unsafe { CStr::from_ptr(Py_GetVersion()) };
    let mut numbers = version.to_bytes().split(|byte| !byte.is_ascii_digit());
    let mut number = || numbers.next().and_then(|digits| str::from_utf8(digits).ok()?.parse::<u32>().ok());
    (number(), number()) >= (Some(3), Some(12))
}

/// The number of the interpreter that this thread holds, from 1; 0 if it holds none. No number is used again.
pub unsafe fn interpreter() -> usize {
    // SAFETY: the state is null, or that of a running interpreter.
    unsafe {
        let current = PyThreadState_GetUnchecked();
        if current.is_null() {
            return 0;
        }
        let id = PyInterpreterState_GetID(PyThreadState_GetInterpreter(current));
        usize::try_from(id).map_or(0, |id| id + 1)
    }
}

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
            value.ok().and_then(|value| rust_text(&value))
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
    // SAFETY: as in `line`; the frame has its code.
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
    // SAFETY: as in `line`.
    unsafe {
        let frame = PyEval_GetFrame();
        if !frame.is_null() {
            // A reference that is not given back.
            PyFrame_GetCode(frame);
        }
    }
}
