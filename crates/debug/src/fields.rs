//! HPyFields and HPyGlobals: which there are, and whose.
//!
//! What is stored in them is the inner context's: the runtime reads fields as well. So they are known by where they lie.

use core::cell::Cell;
use core::sync::atomic::{AtomicIsize, Ordering::*};

use hpy_abi::*;

use crate::hash::{Map, Set};
use crate::kept::Kept;

/// Objects whose fields have been stored to, by the address of the struct.
#[derive(Default)]
struct Fields {
    owners: Map<usize, Vec<usize>>,
    owner_of: Map<usize, usize>,
    globals: Set<usize>,
}

thread_local! {
    /// Where the field lies that is being loaded, if that is known, else 0.
    pub static LOADED_FROM: Cell<usize> = const { Cell::new(0) };
}

static KNOWN: Kept<Fields> = Kept::new();

/// What lies at the address of a field or global.
fn content(address: usize) -> isize {
    // SAFETY: fields are forgotten before their struct is freed, and globals stay.
    unsafe { AtomicIsize::from_ptr(core::ptr::with_exposed_provenance_mut(address)) }.load(Relaxed)
}

/// # Safety
/// The list is null or ends with null, and what it lists stays.
pub unsafe fn list_globals(list: *mut *mut HPyGlobal) {
    // SAFETY: as this function's.
    let globals = unsafe { null_ended(list) };
    KNOWN.with(|known| known.globals.extend(globals.map(|global| global.expose_provenance())));
}

pub fn is_listed(global: *const HPyGlobal) -> bool {
    KNOWN.with(|known| known.globals.contains(&global.addr()))
}

/// Whether some field or global holds this value.
pub fn is_content(value: isize) -> bool {
    KNOWN.with(|known| known.globals.iter().chain(known.owner_of.keys()).any(|address| content(*address) == value))
}

/// A field of an object has been stored to.
pub fn stored(owner: usize, field: *mut HPyField) {
    let field = field.expose_provenance();
    KNOWN.with(|known| {
        if known.owner_of.insert(field, owner) == Some(owner) {
            return;
        }
        known.owners.entry(owner).or_default().push(field);
    });
}

/// Whose field lies there, if it has been stored to.
pub fn owner_of(field: usize) -> Option<usize> {
    KNOWN.with(|known| known.owner_of.get(&field).copied())
}

/// Whether one of an object's fields holds this value.
pub fn holds(owner: usize, value: isize) -> bool {
    KNOWN.with(|known| {
        known.owners.get(&owner).is_some_and(|fields| fields.iter().any(|field| content(*field) == value))
    })
}

/// The object with a field of this content, other than `owner`.
pub fn other_holder(owner: usize, value: isize) -> Option<usize> {
    KNOWN.with(|known| {
        let found = known.owner_of.iter().find(|(field, holder)| **holder != owner && content(**field) == value);
        found.map(|(_, holder)| *holder)
    })
}

/// The fields of an object that are not empty.
pub fn full(owner: usize) -> Vec<usize> {
    KNOWN.with(|known| {
        let fields = known.owners.get(&owner).into_iter().flatten();
        fields.copied().filter(|field| content(*field) != 0).collect()
    })
}

/// The object's struct is about to go.
pub fn forget(owner: usize) {
    KNOWN.with(|known| {
        for field in known.owners.remove(&owner).unwrap_or_default() {
            if known.owner_of.get(&field) == Some(&owner) {
                known.owner_of.remove(&field);
            }
        }
    });
}
