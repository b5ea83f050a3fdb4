//! A growing array in CPython's memory. Rust's own would bring its panics into the binaries that this crate is linked into.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::mem::{replace, size_of};
use core::ptr::null_mut;

use pyo3_ffi::{PyErr_NoMemory, PyMem_Free, PyMem_Realloc};

use crate::raised::{PythonError, Result};

/// Elements are plain data: nothing is dropped.
pub struct Array<T: Copy> {
    block: Block,
    len: usize,
    elements: PhantomData<T>,
}

/// The memory, and what does not depend on the elements but for their size, so that it is there once.
struct Block {
    address: *mut c_void,
    /// In elements.
    capacity: usize,
}

impl Block {
    /// Makes room for `capacity` elements in all. Raises MemoryError.
    #[inline(never)]
    fn reserve(&mut self, capacity: usize, size: usize) -> Result<()> {
        if capacity <= self.capacity {
            return Ok(());
        }
        // SAFETY: the old block is ours or null, and the interpreter is held.
        unsafe {
            let address = capacity.checked_mul(size).map_or(null_mut(), |size| PyMem_Realloc(self.address, size));
            if address.is_null() {
                PyErr_NoMemory();
                return Err(PythonError);
            }
            self.address = address;
        }
        self.capacity = capacity;
        Ok(())
    }

    /// Makes room for one element behind `len`, if there is none. Raises MemoryError.
    #[inline(never)]
    fn reserve_one(&mut self, len: usize, size: usize) -> Result<()> {
        if len < self.capacity {
            return Ok(());
        }
        self.reserve(self.capacity.saturating_mul(2).max(16), size)
    }
}

impl<T: Copy> Array<T> {
    pub const fn new() -> Array<T> {
        Array { block: Block { address: null_mut(), capacity: 0 }, len: 0, elements: PhantomData }
    }

    /// Makes room for `capacity` elements in all. Raises MemoryError.
    pub fn reserve(&mut self, capacity: usize) -> Result<()> {
        self.block.reserve(capacity, size_of::<T>())
    }

    /// Makes room for one element more, if there is none. Raises MemoryError.
    pub fn reserve_one(&mut self) -> Result<()> {
        self.block.reserve_one(self.len, size_of::<T>())
    }

    /// Raises MemoryError.
    pub fn push(&mut self, item: T) -> Result<()> {
        self.reserve_one()?;
        // SAFETY: there is room for one more.
        unsafe { self.as_mut_ptr().add(self.len).write(item) };
        self.len += 1;
        Ok(())
    }

    /// As long as nothing was put in or made room for.
    pub fn has_no_memory(&self) -> bool {
        self.block.address.is_null()
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }

    pub fn as_slice(&self) -> &[T] {
        if self.has_no_memory() {
            return &[];
        }
        // SAFETY: that many items have been written.
        unsafe { core::slice::from_raw_parts(self.block.address.cast(), self.len) }
    }

    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.block.address.cast()
    }

    /// The elements, which stay for good.
    pub fn leak(mut self) -> *mut T {
        replace(&mut self.block.address, null_mut()).cast()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the block is ours or null, and the interpreter is held.
        unsafe { PyMem_Free(self.address) };
    }
}
