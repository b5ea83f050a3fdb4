//! Modules that are traced whatever the environment says.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// All of them, or those with these names.
pub enum Selection {
    All,
    Named(Vec<String>),
}

static SELECTION: Mutex<Option<Selection>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Selection>> {
    SELECTION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on these are traced when they are imported; none for what the environment says.
pub fn set(selection: Option<Selection>) {
    *lock() = selection;
}

/// Whether a module is among them, by its full name or by the last part of that.
pub fn contains(full_name: &str, short_name: &str) -> bool {
    match &*lock() {
        None => false,
        Some(Selection::All) => true,
        Some(Selection::Named(names)) => names.iter().any(|name| name == full_name || name == short_name),
    }
}
