//! Trackers: handles that are closed together.

use core::ffi::c_int;
use core::mem::{MaybeUninit, replace, size_of};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use hpy_abi::runtime::Tracker;
use hpy_abi::*;
use pyo3_ffi::*;

// For blocks. From 3.12 on an interpreter can have memory of its own, and the next tracker may be another interpreter's.
#[cfg(not(Py_3_12))]
use pyo3_ffi::{PyMem_Free as free_block, PyMem_Malloc as allocate_block};
#[cfg(Py_3_12)]
use pyo3_ffi::{PyMem_RawFree as free_block, PyMem_RawMalloc as allocate_block};

use crate::CPython;
use crate::array::Array;
use crate::handle::to_object;
use crate::raised::Result;

/// Room in the tracker itself: for what most functions take, and one more.
const FEW: usize = 16;

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

/// The block of a tracker that was closed, for the next one: most functions have one at a time. The GIL is its lock, so there is none
/// without it. Interpreters with a GIL of their own don't load us: no module of ours says that it could be used there.
static SPARE: AtomicPtr<Handles> = AtomicPtr::new(null_mut());
const HAS_SPARE: bool = cfg!(not(Py_GIL_DISABLED));

/// A block for a tracker, without a count, and with nothing in `many`; null if there is no memory.
#[inline(always)]
unsafe fn allocate() -> *mut Handles {
    let spare = if HAS_SPARE { SPARE.load(Ordering::Relaxed) } else { null_mut() };
    if !spare.is_null() {
        SPARE.store(null_mut(), Ordering::Relaxed);
        return spare;
    }
    // SAFETY: the caller holds the interpreter; the block is ours.
    unsafe {
        let block: *mut Handles = allocate_block(size_of::<Handles>()).cast();
        if !block.is_null() {
            (&raw mut (*block).many).write(Array::new());
        }
        block
    }
}

/// Frees a block, or keeps it for the next tracker. There is nothing in `many`.
#[inline(always)]
unsafe fn free(block: *mut Handles) {
    if HAS_SPARE && SPARE.load(Ordering::Relaxed).is_null() {
        SPARE.store(block, Ordering::Relaxed);
    } else {
        // SAFETY: the caller gives the block up.
        unsafe { free_block(block.cast()) };
    }
}

/// An empty one that has room for so many; null with an exception if there is no memory.
#[inline(always)]
unsafe fn new(capacity: usize) -> *mut Handles {
    // SAFETY: the caller holds the interpreter; the block is ours.
    unsafe {
        let tracker = allocate();
        if tracker.is_null() {
            PyErr_NoMemory();
            return null_mut();
        }
        (*tracker).count = 0;
        if capacity >= FEW && (*tracker).many.reserve(capacity.saturating_add(1)).is_err() {
            free(tracker);
            return null_mut();
        }
        tracker
    }
}

fn to_tracker(handles: *mut Handles) -> HPyTracker {
    HPyTracker { _i: handles.expose_provenance().cast_signed() }
}

/// A tracker with a new reference to each of these objects, whose handles are the same as those given; null with an exception if there is
/// no memory.
///
/// # Safety
/// There are `count` handles, all of live objects; the caller holds the interpreter.
pub unsafe extern "C" fn track(objects: *const HPy, count: usize) -> HPyTracker {
    // SAFETY: as this function's.
    unsafe {
        let tracker = new(count);
        if tracker.is_null() {
            return HPyTracker::NULL;
        }
        for index in 0..count {
            let object = *objects.add(index);
            Py_INCREF(to_object(object));
            // There is room.
            _ = (*tracker).add(object);
        }
        to_tracker(tracker)
    }
}

/// A tracker before anybody else knows it, which can be given up again.
#[derive(Clone, Copy)]
pub struct Filling(*mut Handles);

impl Filling {
    /// It takes no more than so many.
    pub const MOST: usize = FEW - 1;

    /// None if there is no memory; no exception is set then.
    ///
    /// # Safety
    /// The caller holds the interpreter, and finishes it or gives it up.
    #[inline(always)]
    pub unsafe fn new() -> Option<Filling> {
        // SAFETY: as this function's.
        let block = unsafe { allocate() };
        if block.is_null() { None } else { Some(Filling(block)) }
    }

    /// Keeps another reference to an object, whose handle stays the same, or null.
    ///
    /// # Safety
    /// The object is alive if there is one; `index` is below [`MOST`](Self::MOST).
    #[inline(always)]
    pub unsafe fn keep(self, index: usize, h: HPy) {
        // SAFETY: as this function's; the block is ours.
        unsafe {
            Py_XINCREF(to_object(h));
            (&raw mut (*self.0).few).cast::<HPy>().add(index).write(h);
        }
    }

    /// # Safety
    /// Something was kept in so many places from 0 on.
    #[inline(always)]
    pub unsafe fn finish(self, count: usize) -> HPyTracker {
        // SAFETY: the block is ours.
        unsafe { (&raw mut (*self.0).count).write(count) };
        to_tracker(self.0)
    }

    /// # Safety
    /// Something was kept in so many places from 0 on. The caller holds the interpreter.
    #[cold]
    #[inline(never)]
    pub unsafe fn give_up(self, count: usize) {
        // SAFETY: nobody else knows the tracker.
        unsafe { close(self.finish(count)) }
    }
}

unsafe fn close(ht: HPyTracker) {
    // SAFETY: the caller gives the tracker up, and with it the handles in it.
    unsafe {
        let handles = address(ht);
        for h in (*handles).few() {
            Py_XDECREF(to_object(h));
        }
        if !(*handles).many.has_no_memory() {
            for &h in replace(&mut (*handles).many, Array::new()).as_slice() {
                Py_XDECREF(to_object(h));
            }
        }
        free(handles);
    }
}

impl Tracker for CPython {
    unsafe extern "C" fn ctx_Tracker_New(_ctx: *mut HPyContext, size: HPy_ssize_t) -> HPyTracker {
        // No memory has the size of a negative number.
        // SAFETY: the caller holds the interpreter.
        to_tracker(unsafe { new(usize::try_from(size).unwrap_or(usize::MAX)) })
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
        // SAFETY: the caller's tracker is open.
        unsafe { close(ht) }
    }
}
