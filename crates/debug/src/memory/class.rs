//! The slots of a class, and which of them are free.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

const NONE: u32 = u32::MAX;

#[repr(C)]
pub struct Slot {
    pub state: AtomicU32,
    /// Where in the slot the copy starts.
    pub offset: AtomicU32,
    pub len: AtomicUsize,
    pub tag: AtomicU64,
    /// The next free slot of its class, under the class's lock.
    pub next: AtomicU32,
}

/// The free slots of a class: a queue of those with memory, and a stack of those without.
pub struct Free {
    pub head: u32,
    pub tail: u32,
    pub bare: u32,
    /// Slots from this number on were never used.
    pub fresh: u32,
    /// How many slots are in use.
    pub taken: usize,
}

/// The lock is held for a few instructions, and over a fork, which is why it is no `Mutex`.
pub struct Class {
    pub locked: AtomicBool,
    pub free: UnsafeCell<Free>,
    /// How many slots are in the queue.
    pub queued: AtomicUsize,
    pub slots: &'static [Slot],
}

// SAFETY: `free` is used under the lock only.
unsafe impl Sync for Class {}

impl Class {
    pub fn new(slots: &'static [Slot]) -> Class {
        let free = UnsafeCell::new(Free { head: NONE, tail: NONE, bare: NONE, fresh: 0, taken: 0 });
        Class { locked: AtomicBool::new(false), free, queued: AtomicUsize::new(0), slots }
    }

    pub fn lock(&self) {
        let mut tries = 0u32;
        while self.locked.swap(true, Acquire) {
            tries = tries.wrapping_add(1);
            if tries.is_multiple_of(64) { std::thread::yield_now() } else { core::hint::spin_loop() }
        }
    }

    pub fn unlock(&self) {
        self.locked.store(false, Release);
    }

    pub fn with<T>(&self, action: impl FnOnce(&mut Free) -> T) -> T {
        self.lock();
        // SAFETY: under the lock; no action locks again.
        let result = action(unsafe { &mut *self.free.get() });
        self.unlock();
        result
    }

    fn next(&self, number: u32) -> &AtomicU32 {
        &self.slots[number as usize].next
    }

    /// Takes a free slot, if fewer than `most` are in use.
    pub fn take(&self, most: usize) -> Option<usize> {
        let number = self.with(|free| {
            if free.taken >= most {
                return NONE;
            }
            free.taken += 1;
            if free.head != NONE {
                self.queued.fetch_sub(1, Relaxed);
                let next = self.next(free.head).load(Relaxed);
                core::mem::replace(&mut free.head, next)
            } else if free.bare != NONE {
                let next = self.next(free.bare).load(Relaxed);
                core::mem::replace(&mut free.bare, next)
            } else if (free.fresh as usize) < self.slots.len() {
                free.fresh += 1;
                free.fresh - 1
            } else {
                free.taken -= 1;
                NONE
            }
        });
        (number != NONE).then_some(number as usize)
    }

    pub fn give_back(&self, number: usize, bare: bool) {
        let number = number as u32;
        self.with(|free| {
            free.taken -= 1;
            if bare {
                self.next(number).store(core::mem::replace(&mut free.bare, number), Relaxed);
                return;
            }
            self.queued.fetch_add(1, Relaxed);
            self.next(number).store(NONE, Relaxed);
            let last = core::mem::replace(&mut free.tail, number);
            if free.head == NONE { free.head = number } else { self.next(last).store(number, Relaxed) }
        });
    }
}
