//! What few slots need: copies of strings, contents of builders and trackers, stack traces.

use core::sync::atomic::Ordering::*;

use crate::slot::Slot;

/// Belongs to a slot until that is used again. Only the slot's thread changes it.
#[derive(Default)]
pub struct Extra {
    /// Copies of the object's contents that the extension has pointers to, and their size with the ends.
    pub copies: Vec<(*const u8, usize)>,
    /// Of a tracker: the handles in it, as the extension knows them.
    pub items: Vec<isize>,
    /// Of a builder.
    pub size: isize,
    pub filled: Vec<bool>,
    /// If stack traces are on.
    pub opened: Trace,
    pub closed: Trace,
}

/// How it came to an opening or closing.
#[derive(Default, Clone)]
pub struct Trace {
    pub stack: Vec<usize>,
    pub python: Option<String>,
}

impl Slot {
    /// None if there is nothing.
    ///
    /// # Safety
    /// The slot has to be of the calling thread, or the caller reads only, for a report.
    pub unsafe fn extra(&self) -> Option<&Extra> {
        // SAFETY: as this function's; null or a box.
        unsafe { self.extra.load(Acquire).as_ref() }
    }

    /// # Safety
    /// The slot has to be of the calling thread, which has no other reference to it.
    #[allow(clippy::mut_from_ref, reason = "one thread changes it")]
    pub unsafe fn extra_mut(&self) -> &mut Extra {
        let mut pointer = self.extra.load(Acquire);
        if pointer.is_null() {
            pointer = Box::into_raw(Box::default());
            self.extra.store(pointer, Release);
        }
        // SAFETY: as this function's.
        unsafe { &mut *pointer }
    }

    /// Frees what the slot had beside itself.
    ///
    /// # Safety
    /// As [`Slot::extra_mut`].
    pub unsafe fn drop_extra(&self) -> Option<Box<Extra>> {
        let pointer = self.extra.swap(core::ptr::null_mut(), AcqRel);
        // SAFETY: a box that was leaked by `extra_mut`.
        (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
    }
}
