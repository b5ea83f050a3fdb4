//! The functions that every type of ours has, by which it is recognised.
//!
//! This crate can be in a process more than once: in the runtime, and in each extension of the CPython ABI. A type that one copy
//! made may be the base of another's. So the copies agree on one set of functions, that of the copy which came first, and on the
//! layout of what they find through them, which is that of [`super::definition`].

use core::ffi::CStr;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use pyo3_ffi::*;

use super::{call, lifecycle};
use crate::interpreters;
use crate::module::{PythonError, Result};

#[repr(C)]
pub struct Functions {
    pub dealloc: destructor,
    /// Of types that derive from `object` alone and have neither fields, items nor anything of Python's in their instances.
    pub dealloc_struct: destructor,
    pub traverse: traverseproc,
    pub clear: inquiry,
    /// Of types with `HPy_tp_call`.
    pub call: ternaryfunc,
}

/// The name under which an interpreter keeps the functions. To be counted up when they, or the layout of definitions, change.
const NAME: &CStr = c"hpy.types.4";

static OWN: Functions = Functions {
    dealloc: lifecycle::dealloc,
    dealloc_struct: lifecycle::dealloc_struct,
    traverse: lifecycle::traverse,
    clear: lifecycle::clear,
    call: call::tp_call,
};

static OURS: AtomicPtr<Functions> = AtomicPtr::new((&raw const OWN).cast_mut());

/// From the first time on types may have been made.
static AGREED: AtomicBool = AtomicBool::new(false);

/// The functions that types of ours have.
#[inline]
pub fn ours() -> &'static Functions {
    // SAFETY: our own or another copy's, and no copy is ever unloaded.
    unsafe { &*OURS.load(Ordering::Acquire) }
}

/// Functions are the same if their addresses are.
#[inline]
pub fn is_same<A: Copy, B: Copy>(one: Option<A>, other: Option<B>) -> bool {
    const { assert!(size_of::<Option<A>>() == size_of::<usize>() && size_of::<Option<B>>() == size_of::<usize>()) };
    // SAFETY: both are pointers to functions, or null.
    unsafe {
        core::mem::transmute_copy::<Option<A>, usize>(&one) == core::mem::transmute_copy::<Option<B>, usize>(&other)
    }
}

/// Whether a type's deallocator is ours, and so the type.
#[inline]
pub fn is_ours(function: Option<destructor>) -> bool {
    is_same(function, Some(ours().dealloc_struct)) || is_same(function, Some(ours().dealloc))
}

/// Whether instances of a type are of a fixed size and have nothing but a struct.
///
/// # Safety
/// The type is alive.
#[inline]
pub unsafe fn has_struct_only(tp: *mut PyTypeObject) -> bool {
    // SAFETY: as this function's.
    unsafe { is_same((*tp).tp_dealloc, Some(ours().dealloc_struct)) }
}

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
        let first = interpreters::in_main(|| agree_here())?;
        lifecycle::learn()?;
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
        let capsule = PyCapsule_New(OURS.load(Ordering::Acquire).cast(), NAME.as_ptr(), None);
        let key = PyUnicode_FromString(NAME.as_ptr());
        let kept = if capsule.is_null() || key.is_null() { null_mut() } else { PyDict_SetDefault(dict, key, capsule) };
        let first = if kept.is_null() { null_mut() } else { PyCapsule_GetPointer(kept, NAME.as_ptr()) };
        Py_XDECREF(key);
        Py_XDECREF(capsule);
        if first.is_null() { Err(PythonError) } else { Ok(first.cast()) }
    }
}
