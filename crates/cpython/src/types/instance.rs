//! New instances, with nothing in their structs yet.

use core::ptr::null_mut;

use pyo3_ffi::*;

use super::{call, functions};

/// Whether instances of a type are a struct and nothing more, which CPython's own allocator would find out each time.
#[inline(always)]
pub unsafe fn is_plain(tp: *mut PyTypeObject) -> bool {
    // SAFETY: the caller's type is alive.
    unsafe {
        functions::has_struct_only(tp)
            && (*tp).tp_vectorcall_offset <= 0
            && functions::is_same((*tp).tp_alloc, Some(PyType_GenericAlloc as allocfunc))
    }
}

/// A zeroed instance of a plain type; null with an exception set.
#[inline(always)]
pub unsafe fn new_plain(tp: *mut PyTypeObject) -> *mut PyObject {
    // SAFETY: the caller's type is alive, and the block as large as it says.
    unsafe {
        let size = (*tp).tp_basicsize.cast_unsigned();
        let object = PyObject_Malloc(size);
        if object.is_null() {
            return PyErr_NoMemory();
        }
        zero(object.cast(), size);
        PyObject_Init(object.cast(), tp);
        object.cast()
    }
}

/// Zeroes the struct of a new object. Most are small, and then a call would take longer than what it does.
#[inline(always)]
unsafe fn zero(object: *mut u8, size: usize) {
    type Chunk = [u64; 2];
    const CHUNK: usize = size_of::<Chunk>();
    const HEAD: usize = size_of::<PyObject>();
    // SAFETY: the caller's block has that size. The chunks overlap, so that three are enough, and none begins before the block or ends
    // behind it.
    unsafe {
        if (HEAD + CHUNK..=HEAD + 3 * CHUNK).contains(&size) {
            let last = size.wrapping_sub(CHUNK);
            for at in [HEAD, HEAD.wrapping_add(last) / 2, last] {
                object.add(at).cast::<Chunk>().write_unaligned([0; 2]);
            }
        } else {
            object.write_bytes(0, size);
        }
    }
}

/// A zeroed instance of any type; null with an exception set.
pub unsafe fn new_instance(tp: *mut PyTypeObject) -> *mut PyObject {
    // SAFETY: the caller's type is alive. Every type has an allocator once it is ready.
    unsafe {
        let object = (*tp).tp_alloc.map_or(null_mut(), |alloc| alloc(tp, 0));
        if !object.is_null() && (*tp).tp_vectorcall_offset > 0 {
            call::initialize(object);
        }
        object
    }
}
