//! Trackers: handles that are closed together.

use core::ffi::c_int;
use std::alloc::{Layout, alloc, dealloc};

use hpy_abi::runtime::Tracker;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::handle::to_object;

/// Room for a tracker made with size 0.
const DEFAULT_CAPACITY: usize = 5;

/// Behind the tracker's word. Has room for one handle more at any time, so that [`Tracker::ctx_Tracker_Add`] can keep a
/// handle even when it fails to make room for the next.
type Handles = Vec<HPy>;

unsafe fn handles<'a>(ht: HPyTracker) -> &'a mut Handles {
    // SAFETY: the word is the address of a box that the caller has not closed, and a tracker is used by one thread.
    unsafe { &mut *core::ptr::with_exposed_provenance_mut(ht._i.cast_unsigned()) }
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
        // SAFETY: the layout is that of the box which Close makes of it; the caller holds the interpreter.
        unsafe {
            let tracker = alloc(Layout::new::<Handles>()).cast::<Handles>();
            if tracker.is_null() || handles.try_reserve_exact(capacity.saturating_add(1)).is_err() {
                if !tracker.is_null() {
                    dealloc(tracker.cast(), Layout::new::<Handles>());
                }
                PyErr_NoMemory();
                return HPyTracker::NULL;
            }
            tracker.write(handles);
            HPyTracker { _i: tracker.expose_provenance().cast_signed() }
        }
    }

    unsafe extern "C" fn ctx_Tracker_Add(_ctx: *mut HPyContext, ht: HPyTracker, h: HPy) -> c_int {
        // SAFETY: the caller's tracker is open.
        let handles = unsafe { handles(ht) };
        handles.push(h);
        if handles.try_reserve(1).is_err() {
            // SAFETY: the caller holds the interpreter.
            unsafe { PyErr_NoMemory() };
            return -1;
        }
        0
    }

    unsafe extern "C" fn ctx_Tracker_ForgetAll(_ctx: *mut HPyContext, ht: HPyTracker) {
        // SAFETY: the caller's tracker is open.
        unsafe { handles(ht) }.clear();
    }

    unsafe extern "C" fn ctx_Tracker_Close(_ctx: *mut HPyContext, ht: HPyTracker) {
        // SAFETY: the caller gives the tracker up, and with it the handles in it.
        unsafe {
            let handles = Box::from_raw(handles(ht));
            for h in *handles {
                Py_XDECREF(to_object(h));
            }
        }
    }
}
