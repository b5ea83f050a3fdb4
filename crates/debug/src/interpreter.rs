//! Which interpreter runs: what is open, found or set belongs to one of them.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::*};

use crate::host::Host;

/// More than one interpreter has loaded extensions in debug mode. As long as there is but one, nobody has to ask.
static ARE_SEVERAL: AtomicBool = AtomicBool::new(false);

/// One more than the number of the first one. 0 before there is one.
static FIRST: AtomicU32 = AtomicU32::new(0);

/// Of the first one, which serves all of them.
static HOST: AtomicPtr<Host> = AtomicPtr::new(null_mut());

/// Interpreters by number. That far they are told apart; no process has had so many.
const MOST: usize = u16::MAX as usize;

/// The number for what a host says, which counts from 1 and has 0 for no interpreter: then it is the first one's.
fn number_of(told: usize) -> u16 {
    match told {
        0 => FIRST.load(Acquire).saturating_sub(1) as u16,
        told => (told - 1).min(MOST) as u16,
    }
}

/// Extensions are loaded by the current interpreter. Gives its number.
///
/// # Safety
/// The caller holds it.
pub unsafe fn note(host: &'static Host) -> u16 {
    _ = HOST.compare_exchange(null_mut(), core::ptr::from_ref(host).cast_mut(), AcqRel, Relaxed);
    // SAFETY: as this function's.
    let number = number_of(unsafe { (host.threads.interpreter)() });
    let marked = u32::from(number) + 1;
    let first = FIRST.compare_exchange(0, marked, AcqRel, Acquire).unwrap_or_else(|first| first);
    if first != 0 && first != marked {
        ARE_SEVERAL.store(true, Release);
    }
    number
}

#[inline(always)]
pub fn are_several() -> bool {
    ARE_SEVERAL.load(Relaxed)
}

/// The one that the calling thread holds, or the first one.
pub fn here() -> u16 {
    if !are_several() {
        return number_of(0);
    }
    // SAFETY: where there are several, there is a host, which stays. It asks about the thread, and needs nothing.
    number_of(unsafe { HOST.load(Acquire).as_ref().map_or(0, |host| (host.threads.interpreter)()) })
}
