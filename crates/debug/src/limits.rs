//! How much is kept.

use core::sync::atomic::AtomicUsize;

/// How many frames are kept of each opening and closing; 0 for none.
pub static TRACES: AtomicUsize = AtomicUsize::new(0);

/// How many bytes there may be in copies of strings whose handles are closed.
pub static RAW_DATA_LIMIT: AtomicUsize = AtomicUsize::new(10 * 1024 * 1024);
