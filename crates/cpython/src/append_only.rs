//! What is made once for each content and then stays: a list without locks that only ever grows, at its head.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use pyo3_ffi::{PyErr_NoMemory, PyMem_RawCalloc, PyMem_RawFree};

use crate::raised::{PythonError, Result};

/// An entry starts with the link to the one before.
///
/// # Safety
/// The type is `repr(C)` and its first field is a pointer to an entry of the same list.
pub unsafe trait Link: Sized {
    /// Whether one entry can stand for the other.
    fn is_same(&self, other: &Self) -> bool;
}

/// All entries there are.
pub struct AppendOnly<T>(AtomicPtr<T>);

#[allow(clippy::new_without_default, reason = "a list is a static variable")]
impl<T: Link> AppendOnly<T> {
    pub const fn new() -> AppendOnly<T> {
        AppendOnly(AtomicPtr::new(null_mut()))
    }

    /// The first entry that `wanted` accepts.
    pub fn find(&self, mut wanted: impl FnMut(&T) -> bool) -> Option<&'static T> {
        let mut next = self.0.load(Ordering::Acquire);
        // SAFETY: what is in the list stays, and each entry starts with a link.
        unsafe {
            while let Some(entry) = next.as_ref() {
                if wanted(entry) {
                    return Some(entry);
                }
                next = *(next.cast::<*mut T>());
            }
        }
        None
    }

    /// Puts a block from [`zeroed`] into the list, or frees it and gives the entry that is there already.
    ///
    /// # Safety
    /// The block is the caller's, and filled in but for the link.
    pub unsafe fn publish(&self, made: *mut T) -> &'static T {
        // SAFETY: the new block is ours until it is in the list.
        unsafe {
            loop {
                let head = self.0.load(Ordering::Acquire);
                if let Some(known) = self.find(|entry| entry.is_same(&*made)) {
                    PyMem_RawFree(made.cast());
                    return known;
                }
                made.cast::<*mut T>().write(head);
                // What another thread has put in since then may be the same: it is compared in the next round.
                if self.0.compare_exchange(head, made, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                    return &*made;
                }
            }
        }
    }
}

/// A zeroed block for an entry of `size` bytes. Raises MemoryError.
pub fn zeroed<T>(size: usize) -> Result<*mut T> {
    // SAFETY: the interpreter is held, for the exception.
    unsafe {
        let made = PyMem_RawCalloc(1, size).cast::<T>();
        if made.is_null() {
            PyErr_NoMemory();
            return Err(PythonError);
        }
        Ok(made)
    }
}
