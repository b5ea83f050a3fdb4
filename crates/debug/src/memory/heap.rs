//! For systems without the above: all closed copies are poisoned.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::found::{Found, POISON, Protection};

struct Copy {
    bytes: Vec<u8>,
    tag: u64,
    closed: bool,
}

static COPIES: Mutex<BTreeMap<usize, Copy>> = Mutex::new(BTreeMap::new());

fn copies() -> MutexGuard<'static, BTreeMap<usize, Copy>> {
    COPIES.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn copy(bytes: &[u8], tag: u64) -> *const u8 {
    let mut own = Vec::new();
    if own.try_reserve_exact(bytes.len() + 1).is_err() {
        return core::ptr::null();
    }
    own.extend_from_slice(bytes);
    own.push(0);
    let start = own.as_ptr();
    copies().insert(start as usize, Copy { bytes: own, tag, closed: false });
    start
}

pub fn close(address: usize, _rule: impl FnOnce() -> Protection) {
    if let Some(copy) = copies().get_mut(&address) {
        copy.closed = true;
        let len = copy.bytes.len() - 1;
        copy.bytes[..len].fill(POISON);
    }
}

pub fn free(address: usize) {
    copies().remove(&address);
}

pub fn find(address: usize) -> Found {
    match copies().range(..=address).next_back() {
        Some((&start, copy)) if address - start < copy.bytes.len() => {
            let (len, tag) = (copy.bytes.len() - 1, copy.tag);
            if copy.closed { Found::Closed { start, len, tag } } else { Found::Open { start, len, tag } }
        }
        _ => Found::Not,
    }
}

pub fn retained() -> (usize, usize) {
    let bytes = copies().values().filter(|copy| copy.closed).map(|copy| copy.bytes.len()).sum();
    (bytes, bytes)
}
