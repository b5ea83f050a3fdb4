//! Reports that wait for a chance to be raised.

use core::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Mutex, PoisonError};

use hpy_layer::lock::Held;

use crate::interpreter;
use crate::report::Report;

/// There are some.
pub static ARE_THERE: AtomicBool = AtomicBool::new(false);

static DEFERRED: Mutex<Vec<Report>> = Mutex::new(Vec::new());

/// The lock of this module that is taken without the interpreter, for a fork.
pub fn locks() -> Vec<Held> {
    vec![Box::new(DEFERRED.lock().unwrap_or_else(PoisonError::into_inner))]
}

/// Keeps one until then.
pub fn push(report: Report) {
    DEFERRED.lock().unwrap_or_else(PoisonError::into_inner).push(report);
    ARE_THERE.store(true, Release);
}

/// Takes those of this interpreter.
pub fn take() -> Vec<Report> {
    let here = interpreter::here();
    let mut all = DEFERRED.lock().unwrap_or_else(PoisonError::into_inner);
    let (own, others) = core::mem::take(&mut *all).into_iter().partition(|report| report.interpreter == here);
    *all = others;
    ARE_THERE.store(!all.is_empty(), Release);
    own
}
