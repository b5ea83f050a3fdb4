//! Which definitions there are, by the addresses of their methods.
//!
//! A type of ours is recognised by the methods that it points to, which are part of its definition and are looked up here. Definitions
//! stay for good, so an address never comes to belong to something else, and a class that derives from a type of ours has methods of its
//! own or none. Types themselves can't be the key: they end, and nobody is told of that after their last instance has gone.
//!
//! All copies of this crate in a process use one registry ([`super::agreement`]).

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use pyo3_ffi::{PyErr_NoMemory, PyMem_RawMalloc};

use crate::raised::{PythonError, Result};

/// Definitions are at least so far apart.
const DISTANCE: usize = 128;

/// A power of two.
const PLACES: usize = 1024;

/// Added to an address where the types that have the methods all have plain instances.
const PLAIN: usize = 1;

/// Added to an address where some of them have others. That stays.
const OTHER: usize = 2;

/// A place has one address, which is looked at first, and a list of the others. Lists only ever grow, at their heads, so whoever looks
/// needs no lock.
#[repr(C)]
pub struct Registry {
    first: [AtomicUsize; PLACES],
    others: [AtomicPtr<Entry>; PLACES],
}

#[repr(C)]
struct Entry {
    next: *mut Entry,
    address: usize,
}

/// The one of this copy.
pub static OWN: Registry =
    Registry { first: [const { AtomicUsize::new(0) }; PLACES], others: [const { AtomicPtr::new(null_mut()) }; PLACES] };

/// The one that has been agreed on.
pub static REGISTRY: AtomicPtr<Registry> = AtomicPtr::new((&raw const OWN).cast_mut());

#[inline(always)]
fn agreed() -> &'static Registry {
    // SAFETY: our own or another copy's, and no copy is ever unloaded.
    unsafe { &*REGISTRY.load(Ordering::Acquire) }
}

impl Registry {
    #[inline(always)]
    fn first(&self, address: usize) -> &AtomicUsize {
        // SAFETY: the remainder is an index of the array.
        unsafe { self.first.get_unchecked(address / DISTANCE % PLACES) }
    }

    #[inline(always)]
    fn others(&self, address: usize) -> &AtomicPtr<Entry> {
        // SAFETY: the remainder is an index of the array.
        unsafe { self.others.get_unchecked(address / DISTANCE % PLACES) }
    }

    #[inline(never)]
    fn is_among_others(&self, address: usize) -> bool {
        let mut next = self.others(address).load(Ordering::Acquire);
        // SAFETY: entries are complete when they get into a list, and stay.
        while let Some(entry) = unsafe { next.as_ref() } {
            if entry.address == address {
                return true;
            }
            next = entry.next;
        }
        false
    }
}

/// Whether a definition has methods at this address. None has them at 0.
#[inline(always)]
pub fn has(address: usize) -> bool {
    let registry = agreed();
    let first = registry.first(address).load(Ordering::Acquire);
    address != 0 && (first & !(PLAIN | OTHER) == address || registry.is_among_others(address))
}

/// Whether one has them whose types all have plain instances. It may be missed.
#[inline(always)]
pub fn has_plain(address: usize) -> bool {
    let place = agreed().first(address);
    place.load(Ordering::Acquire) == address.wrapping_add(PLAIN)
}

/// From now on one has. Two threads may add the same one at once, which does no harm. Raises MemoryError.
pub fn add(address: usize) -> Result<()> {
    if has(address) {
        return Ok(());
    }
    let registry = agreed();
    if registry.first(address).compare_exchange(0, address, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        return Ok(());
    }
    let others = registry.others(address);
    // SAFETY: the new entry is ours until it is in the list. The interpreter is held, for the exception.
    unsafe {
        let entry = PyMem_RawMalloc(size_of::<Entry>()).cast::<Entry>();
        if entry.is_null() {
            PyErr_NoMemory();
            return Err(PythonError);
        }
        let mut head = others.load(Ordering::Acquire);
        loop {
            entry.write(Entry { next: head, address });
            match others.compare_exchange(head, entry, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => head = now,
            }
        }
    }
}

/// Notes another type that has these methods, and whether its instances are plain. Where something else comes first, nobody asks.
pub fn note(address: usize, is_plain: bool) {
    let first = agreed().first(address);
    let change = |before, after| _ = first.compare_exchange(before, after, Ordering::AcqRel, Ordering::Acquire);
    if is_plain {
        change(address, address + PLAIN);
    } else {
        change(address, address + OTHER);
        change(address + PLAIN, address + OTHER);
    }
}
