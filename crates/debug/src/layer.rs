//! Debug mode over one context.

use core::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hpy_abi::HPyContext;
use hpy_layer::inner::{InnerContext, InnerHandle};

use crate::host::Host;
use crate::interpreter;
use crate::slot::{Kind, Slot};

/// Debug mode over one context. Never freed.
pub struct Layer {
    pub inner: InnerContext,
    pub host: &'static Host,
    /// How many layers lie over this one.
    pub level: usize,
    /// Whose context it lies over.
    pub interpreter: u16,
    /// With the constants, and without a frame.
    pub table: HPyContext,
    /// What binaries are initialised with.
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

/// Those that there are.
pub fn all() -> MutexGuard<'static, Vec<&'static Layer>> {
    LAYERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Layer {
    /// The same for the interpreter that runs: a binary's trampolines have one context for all of them.
    #[inline(always)]
    pub fn here(&'static self) -> &'static Layer {
        if interpreter::are_several() { self.of_interpreter(interpreter::here()) } else { self }
    }

    #[cold]
    fn of_interpreter(&'static self, interpreter: u16) -> &'static Layer {
        let is_it = |layer: &&&Layer| layer.interpreter == interpreter && layer.level == self.level;
        all().iter().find(is_it).copied().unwrap_or(self)
    }

    /// A layer of this interpreter.
    pub fn current() -> Option<&'static Layer> {
        let here = interpreter::here();
        all().iter().find(|layer| layer.interpreter == here).copied()
    }

    /// Another handle to the object of an open one, of the inner context; null for a closed one. Its own thread may close it meanwhile.
    ///
    /// # Safety
    /// The slot is that of a handle of this interpreter, which the caller holds.
    pub unsafe fn object_of(&self, slot: &Slot) -> InnerHandle {
        let _held = slot.hold();
        let state = slot.state();
        if !state.open || !matches!(state.kind, Kind::Handle | Kind::Argument | Kind::Constant) {
            return InnerHandle::NULL;
        }
        // SAFETY: as this function's; it is open as long as it is held.
        unsafe { self.inner.ctx_Dup(InnerHandle::from_word(slot.inner.load(Relaxed))) }
    }
}
