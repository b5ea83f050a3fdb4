//! What few slots need: copies of strings, contents of builders and trackers, stack traces.

use core::sync::atomic::Ordering::*;

use crate::slot::Slot;

/// Belongs to a slot until that is used again. Only the slot's thread changes it, and others look at it for reports.
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

impl Extra {
    /// In bytes.
    pub fn size_of_copies(&self) -> usize {
        self.copies.iter().map(|(_, size)| size).sum()
    }
}

/// How it came to an opening or closing.
#[derive(Default, Clone)]
pub struct Trace {
    pub stack: Vec<usize>,
    pub python: Option<String>,
}

impl Slot {
    /// Looks at what there is, if there is something, while the slot is held.
    pub fn look_at_extra<T>(&self, look: impl FnOnce(Option<&Extra>) -> T) -> T {
        let _held = self.hold();
        // SAFETY: null or a box, which nobody changes or frees now.
        look(unsafe { self.extra.load(Acquire).as_ref() })
    }

    /// Changes what there is while the slot is held. To be called by the slot's thread; not by what is called.
    pub fn change_extra<T>(&self, change: impl FnOnce(&mut Extra) -> T) -> T {
        let _held = self.hold();
        let mut pointer = self.extra.load(Acquire);
        if pointer.is_null() {
            pointer = Box::into_raw(Box::default());
            self.extra.store(pointer, Release);
        }
        // SAFETY: a box, which nobody else looks at now.
        change(unsafe { &mut *pointer })
    }

    /// Takes away what the slot had beside itself.
    pub fn take_extra(&self) -> Option<Box<Extra>> {
        let _held = self.hold();
        let pointer = self.extra.swap(core::ptr::null_mut(), AcqRel);
        // SAFETY: a box that was leaked by `change_extra`.
        (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
    }
}
