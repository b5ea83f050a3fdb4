//! Names of types, for as long as somebody may point to them.

use core::ffi::{CStr, c_char};

use pyo3_ffi::*;

use super::type_object::Type;
#[cfg(any(not(Py_3_11), Py_GIL_DISABLED))]
use crate::append_only::{AppendOnly, Link, zeroed};
use crate::raised::Result;

/// Up to CPython 3.10 a type points to the name in its spec for good.
///
/// # Safety
/// The caller holds the interpreter.
#[cfg(not(Py_3_11))]
pub unsafe fn kept(name: &CStr) -> Result<*const c_char> {
    // SAFETY: as this function's.
    unsafe { copy(name) }
}

/// A copy of a name, the same one for each that is equal.
///
/// # Safety
/// The caller holds the interpreter.
#[cfg(any(not(Py_3_11), Py_GIL_DISABLED))]
pub unsafe fn copy(name: &CStr) -> Result<*const c_char> {
    #[repr(C)]
    struct Name {
        next: *mut Name,
        text: [c_char; 0],
    }

    impl Name {
        fn text(&self) -> *mut c_char {
            (&raw const self.text).cast_mut().cast()
        }
    }

    // SAFETY: the link comes first.
    unsafe impl Link for Name {
        fn is_same(&self, other: &Name) -> bool {
            // SAFETY: the text that follows ends with NUL.
            unsafe { CStr::from_ptr(self.text()) == CStr::from_ptr(other.text()) }
        }
    }

    static NAMES: AppendOnly<Name> = AppendOnly::new();
    let length = name.to_bytes_with_nul().len();
    // SAFETY: the block has room for the text.
    unsafe {
        let made = zeroed::<Name>(size_of::<Name>() + length)?;
        (*made).text().copy_from_nonoverlapping(name.as_ptr(), length);
        Ok(NAMES.publish(made).text())
    }
}

/// From CPython 3.11 on a type has a copy of its name.
#[cfg(Py_3_11)]
pub unsafe fn kept(name: &CStr) -> Result<*const c_char> {
    Ok(name.as_ptr())
}

/// The name of a heap type, which keeps it until it is given another one; null with an exception set.
#[cfg(not(Py_GIL_DISABLED))]
fn of_heap_type(tp: Type) -> *const c_char {
    // SAFETY: the caller's type is a heap type.
    unsafe { PyUnicode_AsUTF8((*tp.as_ptr().cast::<PyHeapTypeObject>()).ht_name) }
}

/// The name of a heap type; null with an exception set. Another thread may give the type another one at any moment, so it is a copy,
/// which stays.
#[cfg(Py_GIL_DISABLED)]
fn of_heap_type(tp: Type) -> *const c_char {
    // SAFETY: the name is ours while it is copied.
    unsafe {
        let name = PyType_GetName(tp.as_ptr());
        let text = if name.is_null() { core::ptr::null() } else { PyUnicode_AsUTF8(name) };
        let copy = match text.is_null() {
            true => core::ptr::null(),
            false => copy(CStr::from_ptr(text)).unwrap_or(core::ptr::null()),
        };
        Py_XDECREF(name);
        copy
    }
}

/// The name of a type without its module, as `HPyType_GetName` gives it; null with an exception set.
pub fn of(tp: Type) -> *const c_char {
    if tp.is_heap_type() {
        return of_heap_type(tp);
    }
    // SAFETY: the name of a static type is a string that stays.
    let name = unsafe { CStr::from_ptr(tp.name()) };
    let short = name.to_bytes().rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    short.as_ptr().cast()
}
