//! The address space of the copies is parted into regions of equal size, one for each class of slots (of 64, 128, 256...
//! bytes), so the slot of an address, and what is known of it, is found by arithmetic. Pages cost nothing until touched.
//! Slots smaller than a page can't be protected: they are for programs that have very many copies at a time.

use core::ptr::{copy_nonoverlapping, null, write_bytes};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicUsize, fence};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::class::{Class, Slot};
use super::found::{Found, POISON, Protection};
use super::pages::{Heir, Pages, page_bits, zeroed};

// What a slot's state has in its low bits. OPENING and CLOSING: a thread is at it.
const OPENING: u32 = 0;
const OPEN: u32 = 1;
const CLOSING: u32 = 2;
const CLOSED: u32 = 3;
const FREED: u32 = 4;
const STATE: u32 = 7;
/// Extensions can't read the slot.
const PROTECTED: u32 = 8;
/// The bits from here on count how often it was used, so that readers without a lock see when it changes.
const USE: u32 = 16;

/// Logarithm of the size of the smallest slot.
const SMALLEST: usize = 6;
/// The largest has 1 GiB.
const CLASSES: usize = 25;
/// Slots of this many pages are protected rather than poisoned.
const LARGE: usize = 16;
/// From so many bytes of slots of one page on, in use, short copies get smaller slots.
const CROWD: usize = 64 << 20;
/// The free slots of a class keep this many bytes of memory; others give theirs back to the system.
const SPARE: usize = 4 << 20;
/// Not more slots than these are protected at a time. Each can part a mapping into three, and a process that has too
/// many mappings (65530 on Linux) gets no memory any more.
const FENCES: usize = 8192;

struct Arena {
    pages: Pages,
    /// Logarithms of the sizes of a region and of a page.
    region: usize,
    page: usize,
    classes: [Class; CLASSES],
    /// What closed copies take: bytes, and bytes of whole pages.
    retained: AtomicUsize,
    held: AtomicUsize,
    /// How many slots are PROTECTED.
    fences: AtomicUsize,
    /// This is the child of a fork, there was no memory for it, and ours is still the parent's.
    borrowed: AtomicBool,
}

/// A slot, and where it is.
#[derive(Clone, Copy)]
struct At {
    slot: &'static Slot,
    class: usize,
    number: usize,
}

static ARENA: OnceLock<Option<Arena>> = OnceLock::new();

fn made() -> Option<&'static Arena> {
    ARENA.get()?.as_ref()
}

impl Arena {
    /// With as much address space as the system allows.
    fn new() -> Option<Arena> {
        let arena = [30, 26, 22].into_iter().skip(usize::from(usize::BITS < 64)).find_map(Arena::of_size)?;
        // SAFETY: functions of this library, which isn't unloaded.
        (unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) } == 0).then_some(arena)
    }

    fn of_size(region: usize) -> Option<Arena> {
        let page = page_bits();
        let count = (2 << region) >> SMALLEST;
        // SAFETY: memory for as many slots, mapped for good; of all zeroes each of their fields can be made.
        let mut slots =
            unsafe { core::slice::from_raw_parts(zeroed(count * size_of::<Slot>())? as *const Slot, count) };
        let classes = core::array::from_fn(|class| {
            let (own, rest) = slots.split_at((1 << region) >> (SMALLEST + class));
            slots = rest;
            Class::new(own)
        });
        let pages = Pages::map(CLASSES << region)?;
        let [retained, held, fences] = [const { AtomicUsize::new(0) }; 3];
        Some(Arena { pages, region, page, classes, retained, held, fences, borrowed: AtomicBool::new(false) })
    }

    /// Where the slot starts in the mappings, and its size.
    fn range(&self, at: At) -> (usize, usize) {
        ((at.class << self.region) + (at.number << (SMALLEST + at.class)), 1 << (SMALLEST + at.class))
    }

    fn at(&self, address: usize) -> Option<At> {
        let place = address.wrapping_sub(self.pages.view);
        if place >= self.pages.size {
            return None;
        }
        let class = place >> self.region;
        let number = (place & ((1 << self.region) - 1)) >> (SMALLEST + class);
        Some(At { slot: self.classes[class].slots.get(number)?, class, number })
    }

    /// Where the copy starts in the mappings, its bytes with the NUL, and those of memory that it takes.
    fn extent(&self, at: At) -> (usize, usize, usize) {
        let (start, slot_size) = self.range(at);
        let (offset, size) = (at.slot.offset.load(Relaxed) as usize, at.slot.len.load(Relaxed) + 1);
        (start + offset, size, (offset + size).next_multiple_of(1 << self.page).min(slot_size))
    }

    fn protect(&self, at: At) -> bool {
        let (start, size) = self.range(at);
        let few = self.fences.fetch_add(1, Relaxed) < FENCES;
        let protected = few && size >> self.page > 0 && self.pages.set_readable(start, size, false);
        if !protected {
            self.fences.fetch_sub(1, Relaxed);
        }
        protected
    }

    fn copy(&self, bytes: &[u8], tag: u64) -> Option<*const u8> {
        if self.borrowed.load(Relaxed) {
            return None;
        }
        let fitting = ((bytes.len() >> SMALLEST) + 1).next_power_of_two().trailing_zeros() as usize;
        let of_page = self.page - SMALLEST;
        let take_of = |class: usize, most| Some((class, self.classes[class].take(most)?));
        let take = || {
            let alone = if fitting < of_page { take_of(of_page, CROWD >> self.page) } else { None };
            alone.or_else(|| (fitting..CLASSES).find_map(|class| take_of(class, usize::MAX)))
        };
        while let Some((class, number)) = take() {
            let at = At { slot: &self.classes[class].slots[number], class, number };
            let (start, size) = self.range(at);
            let state = at.slot.state.load(Relaxed);
            if state & PROTECTED != 0 {
                if !self.pages.set_readable(start, size, true) {
                    // The system allows no more mappings. This slot is lost, another one may be readable.
                    continue;
                }
                self.fences.fetch_sub(1, Relaxed);
            }
            // Not all at the start of a page: they would share few lines of the caches.
            let lines = ((size - bytes.len() - 1) / 64).min(63);
            let offset = ((number & 63) * lines / 64) * 64;
            let next_use = (state & !(USE - 1)).wrapping_add(USE);
            at.slot.state.store(next_use | OPENING, Relaxed);
            fence(Release);
            at.slot.offset.store(offset as u32, Relaxed);
            at.slot.len.store(bytes.len(), Relaxed);
            at.slot.tag.store(tag, Relaxed);
            let to = (self.pages.writable + start + offset) as *mut u8;
            // SAFETY: the slot is ours, writable there, and has room for the bytes and a NUL.
            unsafe {
                copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
                *to.add(bytes.len()) = 0;
            }
            at.slot.state.store(next_use | OPEN, Release);
            return Some((self.pages.view + start + offset) as *const u8);
        }
        None
    }

    fn close(&self, at: At, rule: impl FnOnce() -> Protection) {
        let state = at.slot.state.load(Acquire);
        let closing = state & !STATE | CLOSING;
        if state & STATE != OPEN || at.slot.state.compare_exchange(state, closing, AcqRel, Relaxed).is_err() {
            return;
        }
        let (start, size, held) = self.extent(at);
        self.retained.fetch_add(size, Relaxed);
        self.held.fetch_add(held, Relaxed);
        let borrowed = self.borrowed.load(Relaxed);
        let full = borrowed || self.range(at).1 >> self.page >= LARGE || rule() == Protection::Full;
        let protected = full && self.protect(at);
        if !protected && !borrowed {
            // SAFETY: the copy's own bytes; the NUL stays.
            unsafe { write_bytes((self.pages.writable + start) as *mut u8, POISON, size - 1) };
        }
        let protected = if protected { PROTECTED } else { 0 };
        at.slot.state.store(closing & !STATE | CLOSED | protected, Release);
    }

    fn free(&self, at: At) {
        loop {
            let state = at.slot.state.load(Acquire);
            match state & STATE {
                OPEN | CLOSED => {}
                CLOSING => {
                    std::thread::yield_now();
                    continue;
                }
                _ => return,
            }
            if at.slot.state.compare_exchange(state, state & !STATE | FREED, AcqRel, Relaxed).is_err() {
                continue;
            }
            if state & STATE == CLOSED {
                let (_, size, held) = self.extent(at);
                self.retained.fetch_sub(size, Relaxed);
                self.held.fetch_sub(held, Relaxed);
            }
            let (class, (start, size)) = (&self.classes[at.class], self.range(at));
            let discard = (class.queued.load(Relaxed) + 1) * size > SPARE
                && size >> self.page > 0
                && !self.borrowed.load(Relaxed);
            return class.give_back(at.number, discard && self.pages.discard(start, size));
        }
    }

    fn find(&self, at: At) -> Found {
        // Again if another thread uses the slot for another copy meanwhile.
        for _ in 0..8 {
            let state = at.slot.state.load(Acquire);
            let (offset, len) = (at.slot.offset.load(Relaxed) as usize, at.slot.len.load(Relaxed));
            let (start, tag) = (self.pages.view + self.range(at).0 + offset, at.slot.tag.load(Relaxed));
            fence(Acquire);
            if at.slot.state.load(Relaxed) == state {
                match state & STATE {
                    OPENING => return Found::Not,
                    OPEN => return Found::Open { start, len, tag },
                    _ => return Found::Closed { start, len, tag },
                }
            }
        }
        Found::Not
    }

    /// The slots of a class that were used, and how many. Under the locks.
    fn used(&self, class: usize) -> (impl Iterator<Item = At>, usize) {
        // SAFETY: the caller holds the lock.
        let count = unsafe { (*self.classes[class].free.get()).fresh } as usize;
        let slots = self.classes[class].slots[..count].iter().enumerate();
        (slots.map(move |(number, slot)| At { slot, class, number }), count)
    }

    /// Memory for the child of a fork, with what is open.
    fn heir(&self) -> Option<Heir> {
        let heir = Heir::new(self.pages.size)?;
        for at in (0..CLASSES).flat_map(|class| self.used(class).0) {
            if at.slot.state.load(Acquire) & STATE == OPEN {
                let (start, size, _) = self.extent(at);
                // SAFETY: the copy's place in mappings of equal size.
                unsafe {
                    let from = (self.pages.writable + start) as *const u8;
                    copy_nonoverlapping(from, (heir.writable + start) as *mut u8, size);
                }
            }
        }
        Some(heir)
    }

    /// In the child: its memory in place of the parent's, where all but the open copies can't be read.
    fn inherit(&self, heir: Option<&Heir>) {
        if !heir.is_some_and(|heir| self.pages.adopt(heir)) {
            return self.borrowed.store(true, Relaxed);
        }
        let (mut all_retained, mut all_held, mut fences) = (0, 0, 0);
        for class in 0..CLASSES {
            let (start, count) = (class << self.region, self.used(class).1);
            let size = count << (SMALLEST + class);
            let mut open = self.used(class).0.filter(|at| at.slot.state.load(Relaxed) & STATE == OPEN);
            let protected = count > 0
                && class >= self.page - SMALLEST
                && fences + count <= FENCES
                && self.pages.set_readable(start, size, false)
                && (open.all(|at| self.pages.set_readable(self.range(at).0, self.range(at).1, true))
                    || !self.pages.set_readable(start, size, true));
            for at in self.used(class).0 {
                let state = at.slot.state.load(Relaxed);
                let mut new = state & !PROTECTED;
                if matches!(state & STATE, CLOSING | CLOSED) {
                    let (_, size, held) = self.extent(at);
                    (all_retained, all_held) = (all_retained + size, all_held + held);
                    // A thread that was at it is not in this process.
                    new = new & !STATE | CLOSED;
                }
                if protected && state & STATE != OPEN {
                    fences += 1;
                    new |= PROTECTED;
                }
                at.slot.state.store(new, Relaxed);
            }
        }
        self.retained.store(all_retained, Relaxed);
        self.held.store(all_held, Relaxed);
        self.fences.store(fences, Relaxed);
    }
}

/// While a fork lasts: what the child shall get, so that it doesn't share the memory with its parent.
static HEIR: Mutex<Option<Option<Heir>>> = Mutex::new(None);

extern "C" fn before_fork() {
    if let Some(arena) = made() {
        arena.classes.iter().for_each(Class::lock);
        *HEIR.lock().unwrap_or_else(PoisonError::into_inner) = Some(arena.heir());
    }
}

fn after_fork(then: impl FnOnce(&Arena, Option<&Heir>)) {
    let heir = HEIR.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let (Some(arena), Some(heir)) = (made(), heir) {
        then(arena, heir.as_ref());
        arena.classes.iter().for_each(Class::unlock);
    }
}

extern "C" fn in_parent() {
    after_fork(|_, _| {});
}

extern "C" fn in_child() {
    after_fork(Arena::inherit);
}

fn with<T>(address: usize, action: impl FnOnce(&Arena, At) -> T) -> Option<T> {
    let arena = made()?;
    Some(action(arena, arena.at(address)?))
}

pub fn copy(bytes: &[u8], tag: u64) -> *const u8 {
    ARENA.get_or_init(Arena::new).as_ref().and_then(|arena| arena.copy(bytes, tag)).unwrap_or(null())
}

pub fn close(address: usize, rule: impl FnOnce() -> Protection) {
    with(address, |arena, at| arena.close(at, rule));
}

pub fn free(address: usize) {
    with(address, Arena::free);
}

pub fn find(address: usize) -> Found {
    with(address, Arena::find).unwrap_or(Found::Not)
}

pub fn retained() -> (usize, usize) {
    made().map_or((0, 0), |arena| (arena.retained.load(Relaxed), arena.held.load(Relaxed)))
}

/// Bytes of slots that were ever used.
#[cfg(test)]
pub fn touched() -> usize {
    let fresh = |(class, it): (usize, &Class)| it.with(|free| free.fresh as usize) << (SMALLEST + class);
    made().map_or(0, |arena| arena.classes.iter().enumerate().map(fresh).sum())
}
