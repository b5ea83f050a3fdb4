//! The copies of this crate in a process agree on the functions that all types have ([`functions`]), and on where types are looked up.

use core::ffi::CStr;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use pyo3_ffi::*;

use super::functions::{self, Functions, OURS};
use super::registry::{self, REGISTRY};
use super::{call, collector, dealloc, python_class};
use crate::interpreters;
use crate::raised::{PythonError, Result};

/// The name under which an interpreter keeps the functions. To be counted up when they, or the layout of definitions or of the registry,
/// change.
const NAME: &CStr = c"hpy.types.6";

static OWN: Functions = Functions {
    dealloc: dealloc::dealloc,
    dealloc_struct: dealloc::dealloc_struct,
    traverse: collector::traverse,
    clear: collector::clear,
    call: call::tp_call,
    registry: &registry::OWN,
};

/// From the first time on types may have been made.
static AGREED: AtomicBool = AtomicBool::new(false);

/// Agrees with the other copies. Has to be called before the first type is made. The functions are code, which is the same for all
/// interpreters of a process: the main one keeps what was agreed.
///
/// # Safety
/// The caller holds an interpreter.
pub unsafe fn agree() -> Result<()> {
    if AGREED.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: as this function's.
    unsafe {
        python_class::learn()?;
        // Another copy may take ours from here on, and another thread of this one may have agreed meanwhile.
        functions::start_with(&OWN);
        let first = interpreters::in_main(|| agree_here())?;
        REGISTRY.store((&raw const *(*first).registry).cast_mut(), Ordering::Release);
        OURS.store(first, Ordering::Release);
    }
    AGREED.store(true, Ordering::Release);
    Ok(())
}

/// The functions of the copy that came first in the current interpreter.
unsafe fn agree_here() -> Result<*mut Functions> {
    // SAFETY: the caller holds the interpreter. The dictionary is borrowed, and keeps the capsule for good.
    unsafe {
        let dict = interpreters::state_dict()?;
        let capsule = PyCapsule_New((&raw const OWN).cast_mut().cast(), NAME.as_ptr(), None);
        let key = PyUnicode_FromString(NAME.as_ptr());
        let kept = if capsule.is_null() || key.is_null() { null_mut() } else { PyDict_SetDefault(dict, key, capsule) };
        let first = if kept.is_null() { null_mut() } else { PyCapsule_GetPointer(kept, NAME.as_ptr()) };
        Py_XDECREF(key);
        Py_XDECREF(capsule);
        if first.is_null() { Err(PythonError) } else { Ok(first.cast()) }
    }
}
