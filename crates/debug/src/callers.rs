//! Which line of the author's made a call of the API that a helper has made: HPy_BuildValue and its like are linked into the extension.
//!
//! Walking the stack for each call would take too long. What an address is, a line of the author's or of a helper's, is found out once.

use core::cell::UnsafeCell;

use hpy_layer::place;

/// So many addresses of each thread are known at once.
const KNOWN: usize = 256;

/// How far out the author's line may be.
const STACK: usize = 12;

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Whose {
    #[default]
    Authors,
    Helpers,
}

/// What one thread knows.
pub struct Callers(UnsafeCell<Box<[(usize, Whose)]>>);

impl Default for Callers {
    fn default() -> Callers {
        Callers(UnsafeCell::new(vec![(0, Whose::Authors); KNOWN].into_boxed_slice()))
    }
}

impl Callers {
    /// The return address in the author's code for a call of the API from `ip`.
    ///
    /// # Safety
    /// The calling thread's own.
    #[inline(always)]
    pub unsafe fn authors(&self, ip: usize) -> usize {
        // SAFETY: as this function's.
        let known = unsafe { &mut (&mut *self.0.get())[(ip >> 1) % KNOWN] };
        if *known == (ip, Whose::Authors) {
            return ip;
        }
        let found = place::authors(ip, &place::capture(STACK));
        *known = (ip, if found == ip { Whose::Authors } else { Whose::Helpers });
        found
    }
}
