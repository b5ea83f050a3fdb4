//! The context of debug mode, and what there is to do once before and after.

use core::ptr::null_mut;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use hpy_abi::HPyContext;
use hpy_cpython::raised::{PythonError, Result};
use hpy_debug::inspect;
use pyo3_ffi::*;

use super::host::HOST;
use crate::binding::{Static, method};
use crate::interpreter::interpreter;
use crate::owned::Owned;

/// The settings of debug mode.
const SETTINGS: &str = "HPY_DEBUG";

/// The context of debug mode, for binaries or for so many layers over it.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn context(level: usize) -> Result<*mut HPyContext> {
    static CONFIGURED: AtomicBool = AtomicBool::new(false);
    // SAFETY: as this function's.
    unsafe {
        // The environment is the process's.
        if !CONFIGURED.load(Ordering::Acquire) {
            let settings = std::env::var_os(SETTINGS).unwrap_or_default();
            if let Err(message) = inspect::configure(&settings.to_string_lossy()) {
                let message = Owned::str(&message)?;
                PyErr_SetObject(PyExc_ValueError, message.as_ptr());
                return Err(PythonError);
            }
            CONFIGURED.store(true, Ordering::Release);
        }
        let here = interpreter();
        if begins(here)
            && let Err(error) = tell_at_exit()
        {
            ends(here);
            return Err(error);
        }
        let ctx = hpy_debug::context(hpy_cpython::context::below_layers()?, &HOST, level);
        if ctx.is_null() { Err(PythonError) } else { Ok(ctx) }
    }
}

/// The interpreters in which debug mode has begun. Each tells at its end what was found in it.
static BEGUN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Whether debug mode begins in an interpreter.
fn begins(interpreter: usize) -> bool {
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = !begun.contains(&interpreter);
    if is_new {
        begun.push(interpreter);
    }
    is_new
}

fn ends(interpreter: usize) {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| *known != interpreter);
}

static FINISH: Static<PyMethodDef> = Static::new(method(
    c"_finish",
    PyMethodDefPointer { PyCFunction: finish },
    METH_NOARGS,
    c"Tells what debug mode has found, at the end of an interpreter.",
));

unsafe fn tell_at_exit() -> Result<()> {
    // SAFETY: the caller holds the interpreter; the definition is static.
    unsafe {
        let function = Owned::new(PyCFunction_NewEx(FINISH.get(), null_mut(), null_mut()))?;
        let module = Owned::new(PyImport_ImportModule(c"atexit".as_ptr()))?;
        let register = Owned::new(PyObject_GetAttrString(module.as_ptr(), c"register".as_ptr()))?;
        Owned::new(PyObject_CallFunctionObjArgs(register.as_ptr(), function.as_ptr(), null_mut::<PyObject>()))?;
    }
    Ok(())
}

unsafe extern "C" fn finish(_module: *mut PyObject, _ignored: *mut PyObject) -> *mut PyObject {
    // SAFETY: Python calls this, and holds the interpreter.
    unsafe {
        ends(interpreter());
        if let Some(text) = hpy_debug::finish() {
            // A closed stderr is nobody's fault.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
        Py_INCREF(Py_None());
        Py_None()
    }
}
