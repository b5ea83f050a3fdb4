//! Tables that all threads share.

use std::sync::{Mutex, PoisonError};

/// One that is made when it is first used, under a lock.
pub struct Kept<T>(Mutex<Option<T>>);

impl<T: Default> Kept<T> {
    pub const fn new() -> Kept<T> {
        Kept(Mutex::new(None))
    }

    /// Looks at it or changes it. What is called must not come here again.
    pub fn with<R>(&self, use_it: impl FnOnce(&mut T) -> R) -> R {
        use_it(self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
    }
}
