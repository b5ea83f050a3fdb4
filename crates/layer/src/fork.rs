//! What a fork leaves: the child has one thread, and would wait for ever for a lock that another one had.
//!
//! Most locks are taken by threads that hold the interpreter, of which there is one, the one that forks. Those that are taken without it
//! are listed here and by the layers. All of them are taken before a fork, and let go after it on both sides.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::lock::Held;

/// What has to be done for a layer.
pub struct Handlers {
    /// Takes the locks, those first that are held while others are taken.
    pub take: fn() -> Vec<Held>,
    /// Runs in the child, when the locks have been let go: the other threads are gone.
    pub child: fn(),
}

static HANDLERS: Mutex<Vec<&'static Handlers>> = Mutex::new(Vec::new());

fn handlers() -> MutexGuard<'static, Vec<&'static Handlers>> {
    HANDLERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers what a layer needs, once. What is registered later is taken first.
pub fn register(new: &'static Handlers) {
    let mut all = handlers();
    if all.is_empty() {
        system::watch();
    }
    if !all.iter().any(|known| core::ptr::eq(*known, new)) {
        all.push(new);
    }
}

#[cfg(unix)]
mod system {
    use std::cell::RefCell;

    use super::{Handlers, handlers};
    use crate::lock::Held;
    use crate::{names, place};

    thread_local! {
        /// What the thread has that is forking.
        static TAKEN: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
    }

    pub fn watch() {
        // SAFETY: the functions take no arguments, and stay. If there is no memory for it, forks are as dangerous as without it.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(in_child)) };
    }

    fn all() -> Vec<&'static Handlers> {
        handlers().iter().rev().copied().collect()
    }

    extern "C" fn before() {
        let of_layers = all().into_iter().map(|handlers| (handlers.take)());
        // While they have theirs, layers ask for names and places.
        let mut taken: Vec<Held> = of_layers.chain([names::locks(), place::locks()]).flatten().collect();
        taken.push(Box::new(handlers()));
        // Reports are written by threads that do not hold the interpreter, too.
        taken.push(Box::new(std::io::stderr().lock()));
        let _ = TAKEN.try_with(|held| held.replace(taken));
    }

    extern "C" fn after() {
        let _ = TAKEN.try_with(|held| {
            // The last first.
            while let Some(last) = held.borrow_mut().pop() {
                drop(last);
            }
        });
    }

    extern "C" fn in_child() {
        after();
        for handlers in all() {
            (handlers.child)();
        }
    }
}

/// Nothing forks here.
#[cfg(not(unix))]
mod system {
    pub fn watch() {}
}
