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

    #[inline(always)]
    pub fn has(&self, pair: Pair) -> bool {
        // SAFETY: the pairs are the thread's own.
        unsafe { (&*self.0.get())[Seen::at(pair)] == pair }
    }

    pub fn add(&self, pair: Pair) {
        // SAFETY: the pairs are the thread's own.
        unsafe { (&mut *self.0.get())[Seen::at(pair)] = pair };
    }
}
