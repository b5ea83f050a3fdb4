//! Trackers: handles that are closed together.

use core::ffi::c_int;
use core::mem::size_of;

use hpy_abi::runtime::Tracker;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::array::Array;
use crate::handle::to_object;

/// Room for a tracker made with size 0.
const DEFAULT_CAPACITY: usize = 5;

/// Behind the tracker's word. Has room for one handle more at any time, so that [`Tracker::ctx_Tracker_Add`] can keep a
/// handle even when it fails to make room for the next.
type Handles = Array<HPy>;

fn address(ht: HPyTracker) -> *mut Handles {
    core::ptr::with_exposed_provenance_mut(ht._i.cast_unsigned())
}

impl Tracker for CPython {
    unsafe extern "C" fn ctx_Tracker_New(_ctx: *mut HPyContext, size: HPy_ssize_t) -> HPyTracker {
        let capacity = match usize::try_from(size) {
            Ok(0) => DEFAULT_CAPACITY,
            Ok(size) => size,
            // No memory has that size.
            Err(_) => usize::MAX,
        };
        let mut handles = Handles::new();
        if handles.reserve(capacity.saturating_add(1)).is_err() {
            return HPyTracker::NULL;
        }
        // SAFETY: the caller holds the interpreter; the block is ours.
        unsafe {
            let tracker = PyMem_Malloc(size_of::<Handles>()).cast::<Handles>();
            if tracker.is_null() {
                PyErr_NoMemory();
                return HPyTracker::NULL;
            }
            tracker.write(handles);
            HPyTracker { _i: tracker.expose_provenance().cast_signed() }
        }
    }

    unsafe extern "C" fn ctx_Tracker_Add(_ctx: *mut HPyContext, ht: HPyTracker, h: HPy) -> c_int {
        // SAFETY: the caller's tracker is open, and used by one thread.
        let handles = unsafe { &mut *address(ht) };
        if handles.push(h).and_then(|()| handles.reserve_one()).is_err() {
            return -1;
        }
        0
    }

    unsafe extern "C" fn ctx_Tracker_ForgetAll(_ctx: *mut HPyContext, ht: HPyTracker) {
        // SAFETY: the caller's tracker is open, and used by one thread.
        unsafe { (*address(ht)).clear() };
    }

    unsafe extern "C" fn ctx_Tracker_Close(_ctx: *mut HPyContext, ht: HPyTracker) {
        // SAFETY: the caller gives the tracker up, and with it the handles in it.
        unsafe {
            let handles = address(ht).read();
            PyMem_Free(address(ht).cast());
            for &h in handles.as_slice() {
                Py_XDECREF(to_object(h));
            }
        }
    }
}
