//! New instances, with nothing in their structs yet.

use core::ffi::c_void;
use core::ptr::null_mut;

use hpy_abi::HPy;
use pyo3_ffi::*;

use super::definition::Definition;
use super::type_object::Type;
use super::{call, functions};
use crate::handle::to_handle;

/// Whether instances of a type have the memory that CPython gives them. Its allocator would find out each time what they need.
#[inline(always)]
pub fn has_usual_memory(tp: Type) -> bool {
    functions::is_same(tp.tp_alloc(), Some(PyType_GenericAlloc as allocfunc))
}

/// A zeroed instance of a type that has just structs of fixed size in its instances, and where its struct is; null with an exception set.
///
/// # Safety
/// The type has this definition and the usual memory, and `data` can be written.
#[inline(always)]
pub unsafe fn new_plain(tp: Type, definition: &Definition, data: *mut *mut c_void) -> HPy {
    let size = tp.basicsize().cast_unsigned();
    // SAFETY: as this function's. The interpreter is held, as it is for a type, and the block is as large as the type says.
    unsafe {
        let object = PyObject_Malloc(size);
        if object.is_null() {
            PyErr_NoMemory();
            return HPy::NULL;
        }
        zero(object.cast(), size);
        PyObject_Init(object.cast(), tp.as_ptr());
        *data = definition.fixed_payload(object.cast());
        to_handle(object.cast())
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
pub fn new_instance(tp: Type) -> *mut PyObject {
    // SAFETY: the allocator is the type's own. Every type has one once it is ready.
    let object = tp.tp_alloc().map_or(null_mut(), |alloc| unsafe { alloc(tp.as_ptr(), 0) });
    if !object.is_null() && tp.vectorcall_offset() > 0 {
        // SAFETY: the object is new, and ours.
        unsafe { call::initialize(object) };
    }
    object
}

/// A zeroed instance of any type, and where its struct is; null with an exception set.
///
/// # Safety
/// `data` can be written.
#[inline(never)]
pub unsafe fn new_with_data(tp: Type, data: *mut *mut c_void) -> HPy {
    let object = new_instance(tp);
    if !object.is_null() {
        // SAFETY: as this function's; the object is alive.
        unsafe { *data = Definition::payload_of(object) };
    }
    to_handle(object)
}
