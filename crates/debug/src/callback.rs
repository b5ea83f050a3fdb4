//! Python functions that are called for a misuse in place of what the policy says, as in 0.9.

use std::sync::{Mutex, PoisonError};

use hpy_layer::inner::{InnerContext, InnerHandle};

use crate::autogen_misuses::Misuse;
use crate::layer::Layer;
use crate::{interpreter, report};

/// What runs in place of the policy, as in 0.9.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callback {
    InvalidHandle,
    InvalidBuilder,
}

/// One that is set: a handle of the inner context of an interpreter's layers.
struct Callable {
    interpreter: u16,
    which: Callback,
    handle: isize,
}

static CALLBACKS: Mutex<Vec<Callable>> = Mutex::new(Vec::new());

impl Callable {
    fn is(&self, which: Callback) -> bool {
        self.which == which && self.interpreter == interpreter::here()
    }
}

/// Sets or, with null, removes a callback of this interpreter.
///
/// # Safety
/// The handle is of the context `inner`, and becomes ours; the caller holds the interpreter.
pub unsafe fn set(inner: InnerContext, which: Callback, callable: InnerHandle) {
    let mut callbacks = CALLBACKS.lock().unwrap_or_else(PoisonError::into_inner);
    let old = callbacks.iter().position(|each| each.is(which)).map(|index| callbacks.swap_remove(index));
    if !callable.is_null() {
        callbacks.push(Callable { interpreter: interpreter::here(), which, handle: callable.word() });
    }
    // Closing it may run code that comes here.
    drop(callbacks);
    if let Some(old) = old {
        // SAFETY: it was ours.
        unsafe { inner.ctx_Close(InnerHandle::from_word(old.handle)) };
    }
}

/// Removes this interpreter's callbacks, as it ends.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn forget_all() {
    let Some(layer) = Layer::current() else { return };
    for which in [Callback::InvalidHandle, Callback::InvalidBuilder] {
        // SAFETY: as this function's.
        unsafe { set(layer.inner, which, InnerHandle::NULL) };
    }
}

/// This interpreter's callback for a misuse, as a handle of the inner context, which is the caller's.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn for_misuse(inner: InnerContext, misuse: Misuse) -> Option<InnerHandle> {
    let which = match misuse {
        Misuse::BuilderUsedUp => Callback::InvalidBuilder,
        Misuse::UseAfterClose
        | Misuse::ClosedTwice
        | Misuse::ArgumentClosed
        | Misuse::ConstantClosed
        | Misuse::BorrowedReturned
        | Misuse::ArgumentKept => Callback::InvalidHandle,
        _ => return None,
    };
    let callbacks = CALLBACKS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = callbacks.iter().find(|each| each.is(which))?;
    // SAFETY: as this function's; it is kept as long as the lock is held.
    Some(unsafe { inner.ctx_Dup(InnerHandle::from_word(found.handle)) })
}

/// Calls a callback, and closes it.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn call(inner: InnerContext, callback: InnerHandle) {
    // SAFETY: as this function's.
    unsafe {
        let result = inner.ctx_CallTupleDict(callback, InnerHandle::NULL, InnerHandle::NULL);
        if result.is_null() {
            report::print("HPy debug mode: the callback for invalid handles failed");
            inner.ctx_Err_WriteUnraisable(callback);
        } else {
            inner.ctx_Close(result);
        }
        inner.ctx_Close(callback);
    }
}
