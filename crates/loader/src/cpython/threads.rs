//! Who holds CPython.

use core::ffi::CStr;

use hpy_layer::threads::Threads;
use pyo3_ffi::compat::PyThreadState_GetUnchecked;
use pyo3_ffi::*;

pub const THREADS: Threads = Threads { holds_interpreter, interpreter, address };

/// Of data: that of a function may be in this library, which jumps there.
fn address() -> usize {
    // SAFETY: gives a static string, at any time.
    unsafe { Py_GetVersion() }.addr()
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
