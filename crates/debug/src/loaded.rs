//! The modules that have been loaded in debug mode.

use std::sync::{Mutex, PoisonError};

use hpy_abi::HPyModuleDef;
use hpy_layer::names;

use crate::fields;

/// The names of modules that have been loaded.
static LOADED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Tells debug mode about a module that was made with one of its contexts, and whether its binary uses Python.h, too.
///
/// # Safety
/// The definition is complete and stays.
pub unsafe fn loaded(name: &str, definition: *mut HPyModuleDef, is_hybrid: bool) {
    // SAFETY: as this function's.
    unsafe {
        names::register_definitions(name, (*definition).defines, is_hybrid);
        fields::list_globals((*definition).globals);
    }
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if !loaded.iter().any(|known| known == name) {
        loaded.push(name.to_owned());
    }
}

/// Their names.
pub fn names() -> Vec<String> {
    LOADED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
