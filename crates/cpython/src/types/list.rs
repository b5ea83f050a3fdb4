//! A growing array in CPython's memory, for what is built while a type is made. Without Rust's own, nothing here can panic.

use core::mem::size_of;
use core::ptr::null_mut;

use pyo3_ffi::{PyErr_NoMemory, PyMem_Free, PyMem_Realloc};

use crate::module::{PythonError, Result};

/// Elements are plain data: nothing is dropped.
pub struct List<T: Copy> {
    items: *mut T,
    len: usize,
    capacity: usize,
}

impl<T: Copy> List<T> {
    pub const fn new() -> List<T> {
        List { items: null_mut(), len: 0, capacity: 0 }
    }

    /// Raises MemoryError.
    pub fn push(&mut self, item: T) -> Result<()> {
        if self.len == self.capacity {
            let capacity = (self.capacity * 2).max(16);
            // SAFETY: the old block is ours or null, and the interpreter is held where types are made.
            let items = unsafe { PyMem_Realloc(self.items.cast(), capacity.wrapping_mul(size_of::<T>())) }.cast::<T>();
            if items.is_null() {
                // SAFETY: as above.
                unsafe { PyErr_NoMemory() };
                return Err(PythonError);
            }
            self.items = items;
            self.capacity = capacity;
        }
        // SAFETY: there is room for one more.
        unsafe { self.items.add(self.len).write(item) };
        self.len += 1;
        Ok(())
    }

    pub fn as_slice(&self) -> &[T] {
        if self.items.is_null() {
            return &[];
        }
        // SAFETY: that many items have been written.
        unsafe { core::slice::from_raw_parts(self.items, self.len) }
    }

    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.items
    }
}

impl<T: Copy> Drop for List<T> {
    fn drop(&mut self) {
        // SAFETY: the block is ours or null, and the interpreter is held.
        unsafe { PyMem_Free(self.items.cast()) };
    }
}
