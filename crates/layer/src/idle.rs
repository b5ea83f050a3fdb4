//! What threads leave behind when they end, for those that start: a stack without a lock.
//!
//! A thread ends without holding the interpreter, so a lock that it took then could be left to the child of a fork.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering::*};

/// Something that is never freed, and can be in such a stack.
pub trait Link: Sized + 'static {
    /// The next one below.
    fn link(&self) -> &AtomicPtr<Self>;
}

pub struct Idle<T>(AtomicPtr<T>);

#[allow(clippy::new_without_default, reason = "a stack is a static variable")]
impl<T: Link> Idle<T> {
    pub const fn new() -> Idle<T> {
        Idle(AtomicPtr::new(null_mut()))
    }

    pub fn push(&self, item: &'static T) {
        let item: *mut T = core::ptr::from_ref(item).cast_mut();
        self.push_all(item, item);
    }

    /// From the first to the last, which are linked.
    fn push_all(&self, first: *mut T, last: *mut T) {
        let mut below = self.0.load(Relaxed);
        loop {
            // SAFETY: the last is ours until it is in the stack.
            unsafe { (*last).link().store(below, Relaxed) };
            match self.0.compare_exchange_weak(below, first, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => below = now,
            }
        }
    }

    /// Takes one. All are taken at once, and the others put back: nobody else has any of them meanwhile.
    pub fn pop(&self) -> Option<&'static T> {
        // SAFETY: null, or ours now, and never freed. So are those below.
        unsafe {
            let taken = self.0.swap(null_mut(), Acquire).as_ref()?;
            let first = taken.link().swap(null_mut(), Relaxed);
            if !first.is_null() {
                let mut last = first;
                while let Some(next) = (*last).link().load(Relaxed).as_mut() {
                    last = next;
                }
                self.push_all(first, last);
            }
            Some(taken)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(usize, AtomicPtr<Item>);

    impl Link for Item {
        fn link(&self) -> &AtomicPtr<Item> {
            &self.1
        }
    }

    static STACK: Idle<Item> = Idle::new();

    #[test]
    fn nothing_is_lost_between_threads() {
        for number in 0..100 {
            STACK.push(Box::leak(Box::new(Item(number, AtomicPtr::new(null_mut())))));
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let (one, other) = (STACK.pop(), STACK.pop());
                        one.into_iter().chain(other).for_each(|item| STACK.push(item));
                    }
                });
            }
        });
        let mut numbers: Vec<_> = core::iter::from_fn(|| STACK.pop()).map(|item| item.0).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
}
