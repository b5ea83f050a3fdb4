//! A growing array in CPython's memory. Rust's own would bring its panics into the binaries that this crate is linked into.

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::null_mut;

use pyo3_ffi::{PyErr_NoMemory, PyMem_Free, PyMem_Realloc};

use crate::module::{PythonError, Result};

/// Elements are plain data: nothing is dropped.
pub struct Array<T: Copy> {
    items: *mut T,
    len: usize,
    capacity: usize,
}

impl<T: Copy> Array<T> {
    pub const fn new() -> Array<T> {
        Array { items: null_mut(), len: 0, capacity: 0 }
    }

    /// Makes room for `capacity` elements in all. Raises MemoryError.
    pub fn reserve(&mut self, capacity: usize) -> Result<()> {
        if capacity > self.capacity {
            // SAFETY: the old block is ours or null, and the interpreter is held.
            self.items = unsafe { reallocate(self.items.cast(), capacity, size_of::<T>()) }?.cast();
            self.capacity = capacity;
        }
        Ok(())
    }

    /// Makes room for one element more, if there is none. Raises MemoryError.
    pub fn reserve_one(&mut self) -> Result<()> {
        if self.len < self.capacity {
            return Ok(());
        }
        self.reserve(self.capacity.saturating_mul(2).max(16))
    }

    /// Raises MemoryError.
    pub fn push(&mut self, item: T) -> Result<()> {
        self.reserve_one()?;
        // SAFETY: there is room for one more.
        unsafe { self.items.add(self.len).write(item) };
        self.len += 1;
        Ok(())
    }

    pub fn clear(&mut self) {
        self.len = 0;
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

    /// The elements, which stay for good.
    pub fn leak(mut self) -> *mut T {
        core::mem::replace(&mut self.items, null_mut())
    }
}

/// Not generic, so that it is there once.
#[inline(never)]
unsafe fn reallocate(block: *mut c_void, count: usize, size: usize) -> Result<*mut c_void> {
    // SAFETY: as the caller's.
    unsafe {
        let block = count.checked_mul(size).map_or(null_mut(), |size| PyMem_Realloc(block, size));
        if block.is_null() {
            PyErr_NoMemory();
            return Err(PythonError);
        }
        Ok(block)
    }
}

impl<T: Copy> Drop for Array<T> {
    fn drop(&mut self) {
        // SAFETY: the block is ours or null, and the interpreter is held.
        unsafe { PyMem_Free(self.items.cast()) };
    }
}
