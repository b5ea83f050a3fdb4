//! Trackers: handles that are closed together.

use core::ffi::c_int;
use core::mem::{MaybeUninit, size_of};

use hpy_abi::runtime::Tracker;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::array::Array;
use crate::handle::to_object;
use crate::module::Result;

/// Room in the tracker itself, for the five handles that a tracker of size 0 is made for and one more.
const FEW: usize = 6;

/// Behind the tracker's word. Has room for one handle more at any time, so that [`Tracker::ctx_Tracker_Add`] can keep a
/// handle even when it fails to make room for the next.
struct Handles {
    /// Empty as long as `few` are enough.
    many: Array<HPy>,
    few: [MaybeUninit<HPy>; FEW],
    /// How many of `few` are used.
    count: usize,
}

impl Handles {
    fn add(&mut self, h: HPy) -> Result<()> {
        if let Some(place) = self.few.get_mut(self.count) {
            place.write(h);
            self.count += 1;
            // The room for one more.
            return if self.count == FEW { self.many.reserve_one() } else { Ok(()) };
        }
        self.many.push(h)?;
        self.many.reserve_one()
    }

    fn few(&self) -> impl Iterator<Item = HPy> {
        // SAFETY: that many have been written.
        self.few.iter().take(self.count).map(|h| unsafe { h.assume_init() })
    }
}

fn address(ht: HPyTracker) -> *mut Handles {
    core::ptr::with_exposed_provenance_mut(ht._i.cast_unsigned())
}

impl Tracker for CPython {
    unsafe extern "C" fn ctx_Tracker_New(_ctx: *mut HPyContext, size: HPy_ssize_t) -> HPyTracker {
        // No memory has the size of a negative number.
        let capacity = usize::try_from(size).unwrap_or(usize::MAX);
        let mut many = Array::new();
        if capacity >= FEW && many.reserve(capacity.saturating_add(1)).is_err() {
            return HPyTracker::NULL;
        }
        // SAFETY: the caller holds the interpreter; the block is ours, and its fields are set one by one.
        unsafe {
            let tracker = PyMem_Malloc(size_of::<Handles>()).cast::<Handles>();
            if tracker.is_null() {
                PyErr_NoMemory();
                return HPyTracker::NULL;
            }
            (&raw mut (*tracker).many).write(many);
            (&raw mut (*tracker).count).write(0);
            HPyTracker { _i: tracker.expose_provenance().cast_signed() }
        }
    }

    unsafe extern "C" fn ctx_Tracker_Add(_ctx: *mut HPyContext, ht: HPyTracker, h: HPy) -> c_int {
        // SAFETY: the caller's tracker is open, and used by one thread.
        let handles = unsafe { &mut *address(ht) };
        if handles.add(h).is_err() { -1 } else { 0 }
    }

    unsafe extern "C" fn ctx_Tracker_ForgetAll(_ctx: *mut HPyContext, ht: HPyTracker) {
        // SAFETY: the caller's tracker is open, and used by one thread.
        unsafe {
            (*address(ht)).many.clear();
            (*address(ht)).count = 0;
        }
    }

    unsafe extern "C" fn ctx_Tracker_Close(_ctx: *mut HPyContext, ht: HPyTracker) {
        // SAFETY: the caller gives the tracker up, and with it the handles in it.
        unsafe {
            let handles = address(ht);
            for h in (*handles).few() {
                Py_XDECREF(to_object(h));
            }
            let many = (&raw const (*handles).many).read();
            PyMem_Free(handles.cast());
            for &h in many.as_slice() {
                Py_XDECREF(to_object(h));
            }
        }
    }
}
