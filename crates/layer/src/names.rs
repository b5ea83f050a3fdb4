//! The extension's functions by name, for reports.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering::*};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use hpy_abi::*;

use crate::lock::Held;
use crate::place;

/// A function of an extension that Python calls. Never freed.
pub struct Function {
    /// Behind [`by_id`].
    pub id: u32,
    pub address: usize,
    /// `mod.f`, `mod.Point.norm`, `mod.Point: HPy_nb_add`.
    pub name: String,
    /// Its binary uses Python.h beside HPy, by which exceptions come and go that no layer sees.
    pub is_hybrid: AtomicBool,
    /// Calls that left handles open, one after the other, and how many they left.
    pub leaking_calls: AtomicU32,
    pub leaked: AtomicU32,
}

#[derive(Default)]
struct Functions {
    by_address: Option<HashMap<usize, &'static Function>>,
    all: Vec<&'static Function>,
}

static KNOWN: RwLock<Functions> = RwLock::new(Functions { by_address: None, all: Vec::new() });

/// Each address has one place here; what was called last is in it.
static RECENT: [AtomicPtr<Function>; 1024] = [const { AtomicPtr::new(null_mut()) }; 1024];

fn recent(address: usize) -> &'static AtomicPtr<Function> {
    &RECENT[(address >> 4) % RECENT.len()]
}

/// The function at an address; one without a name if it has not been given one.
#[inline(always)]
pub fn function(address: usize) -> &'static Function {
    // SAFETY: null or leaked.
    match unsafe { recent(address).load(Acquire).as_ref() } {
        Some(function) if function.address == address => function,
        _ => look_up(address),
    }
}

#[cold]
fn look_up(address: usize) -> &'static Function {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(function) = known.by_address.as_ref().and_then(|map| map.get(&address).copied()) {
        // As long as nobody can give it another name.
        recent(address).store(core::ptr::from_ref(function).cast_mut(), Release);
        return function;
    }
    drop(known);
    register(address, String::new())
}

/// Gives a function its name. The last one counts: a library may be loaded where another one was.
pub fn register(address: usize, name: String) -> &'static Function {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(function) = known.by_address.as_ref().and_then(|map| map.get(&address))
        && (function.name == name || name.is_empty())
    {
        return function;
    }
    if !name.is_empty() {
        place::register(address, &name);
    }
    let id = known.all.len() as u32;
    let function: &'static Function = Box::leak(Box::new(Function {
        id,
        address,
        name,
        is_hybrid: AtomicBool::new(false),
        leaking_calls: AtomicU32::new(0),
        leaked: AtomicU32::new(0),
    }));
    known.by_address.get_or_insert_default().insert(address, function);
    known.all.push(function);
    recent(address).store(core::ptr::from_ref(function).cast_mut(), Release);
    function
}

/// Gives a function a name, if it has none.
pub fn name_once(address: usize, name: impl FnOnce() -> String) {
    if function(address).name.is_empty() {
        register(address, name());
    }
}

/// The lock of this module, for a fork.
pub(crate) fn locks() -> Vec<Held> {
    vec![Box::new(KNOWN.write().unwrap_or_else(PoisonError::into_inner))]
}

pub fn by_id(id: u32) -> Option<&'static Function> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).all.get(id as usize).copied()
}

/// Of a C string; empty for null.
///
/// # Safety
/// The pointer is null or ends with NUL.
pub unsafe fn text(pointer: *const core::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as this function's.
    unsafe { core::ffi::CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// Registers the functions of definitions, `prefix` being the module's or the type's name. `is_hybrid`: their binary uses Python.h, too.
///
/// # Safety
/// The list is null or ends with null, and its definitions are complete.
pub unsafe fn register_definitions(prefix: &str, defines: *mut *mut HPyDef, is_hybrid: bool) {
    let add = |function: HPyCFunction, name: String| {
        if let Some(function) = function {
            register(function as usize, name).is_hybrid.store(is_hybrid, Relaxed);
        }
    };
    let mut next = defines;
    // SAFETY: as this function's; the kind says which part of the union is in use.
    unsafe {
        while !next.is_null() && !(*next).is_null() {
            let define = &**next;
            match define.kind {
                HPyDef_Kind_Meth => add(define.u.meth.r#impl, format!("{prefix}.{}", text(define.u.meth.name))),
                HPyDef_Kind_Slot => {
                    let name = slot_name_of(define.u.slot.slot).unwrap_or(c"slot").to_string_lossy();
                    add(define.u.slot.r#impl, format!("{prefix}: {name}"));
                }
                HPyDef_Kind_GetSet => {
                    let name = text(define.u.getset.name);
                    add(define.u.getset.getter_impl, format!("{prefix}.{name}: getter"));
                    add(define.u.getset.setter_impl, format!("{prefix}.{name}: setter"));
                }
                _ => {}
            }
            next = next.add(1);
        }
    }
}
