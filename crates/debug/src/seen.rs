//! What needs no second look when a struct is asked for.

use core::cell::UnsafeCell;

/// A place in C with a type that is fine there.
pub type Pair = (usize, usize);

const PAIRS: usize = 256;

/// Pairs that need no second look, of one thread.
pub struct Seen(UnsafeCell<Box<[Pair; PAIRS]>>);

impl Default for Seen {
    fn default() -> Seen {
        Seen(UnsafeCell::new(Box::new([(0, 0); PAIRS])))
    }
}

impl Seen {
    fn at(pair: Pair) -> usize {
        (pair.0 ^ pair.1 >> 4) % PAIRS
    }

    /// # Safety
    /// The caller is the thread whose they are.
    #[inline(always)]
    pub unsafe fn has(&self, pair: Pair) -> bool {
        // SAFETY: as this function's, so nobody changes them meanwhile.
        unsafe { (&*self.0.get())[Seen::at(pair)] == pair }
    }

    /// # Safety
    /// As [`Seen::has`].
    pub unsafe fn add(&self, pair: Pair) {
        // SAFETY: as this function's, so nobody looks at them meanwhile.
        unsafe { (&mut *self.0.get())[Seen::at(pair)] = pair };
    }
}
