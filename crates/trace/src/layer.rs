//! Trace mode over one context.

use core::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hpy_abi::HPyContext;
use hpy_layer::inner::InnerContext;

use crate::host::Host;

/// Trace mode over one context. Never freed.
pub struct Layer {
    pub inner: InnerContext,
    pub host: &'static Host,
    /// There is another layer below.
    pub over_layer: bool,
    /// Whose context it lies over, as the host calls it.
    pub interpreter: usize,
    pub table: HPyContext,
    pub outer: *mut HPyContext,
}

// SAFETY: written before it is published; contexts are shared by all threads anyway.
unsafe impl Sync for Layer {}
// SAFETY: written before it is published; contexts are shared by all threads anyway.
unsafe impl Send for Layer {}

impl Layer {
    /// A copy of the table, for a new context.
    pub fn table(&self) -> HPyContext {
        // SAFETY: a context is plain words.
        unsafe { core::ptr::read(&raw const self.table) }
    }
}

static LAYERS: Mutex<Vec<&'static Layer>> = Mutex::new(Vec::new());

/// There are layers of more than one interpreter.
pub static ARE_SEVERAL: AtomicBool = AtomicBool::new(false);

/// Those that there are.
pub fn all() -> MutexGuard<'static, Vec<&'static Layer>> {
    LAYERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Layer {
    /// The same for the interpreter that runs: a binary's trampolines have one context for all of them.
    #[inline(always)]
    pub fn here(&'static self) -> &'static Layer {
        if ARE_SEVERAL.load(Relaxed) { self.of_current_interpreter() } else { self }
    }

    #[cold]
    fn of_current_interpreter(&'static self) -> &'static Layer {
        // SAFETY: asks about the thread, and needs nothing.
        let interpreter = unsafe { (self.host.threads.interpreter)() };
        let is_it = |layer: &&&Layer| layer.interpreter == interpreter && layer.over_layer == self.over_layer;
        all().iter().find(is_it).copied().unwrap_or(self)
    }
}
