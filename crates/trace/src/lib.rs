//! Trace mode: a layer over another context that counts and times what an extension does with the API.
//!
//! It knows no interpreter. What it needs of one beside the API is a few functions, [`Host`], that come from whoever loads extensions.
//! A `layer` is trace mode over one context.
//!
//! * [`context`] gives the context that a binary is initialised with. Python's calls arrive there: `upcall` notes which function is
//!   called from which line of Python.
//! * The functions of the API are generated from the spec (`autogen_functions.rs`); what each does before and after is in `call`.
//! * All of it ends up in a tree of calls (`node`), one for each thread (`thread`), so that no thread waits for another.
//! * `hooks` are Python functions that are told of each call; `timeline` keeps single calls with their times.
//! * `recording` merges the trees, and is what everything else is read from; `flame` draws it.
//! * [`module`] is the Python side, and [`selection`] which modules it has asked for.
//!
//! Nothing here may panic in a way that reaches C: the profile aborts on a panic, and no code relies on one.
#![allow(non_snake_case, non_upper_case_globals, reason = "the API keeps its C names")]

mod autogen_functions;
mod call;
mod clock;
mod event;
mod flame;
mod hooks;
mod host;
mod layer;
mod node;
mod python;
mod recording;
pub mod selection;
mod thread;
mod timeline;
mod upcall;

use core::ffi::CStr;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::*;

use hpy_abi::*;
use hpy_layer::inner::InnerContext;
use hpy_layer::{fork, names, place};

pub use host::{Host, Line, Site};
pub use python::module;

use layer::{ARE_SEVERAL, Layer};

hpy_layer::record_calls!();

/// The functions that count.
pub(crate) struct Trace;

const NAME: &CStr = c"HPy Trace Mode ABI";

/// The context of trace mode over `inner`, which is a runtime's or, with `over_layer`, another layer's.
///
/// # Safety
/// `inner` is complete and stays; the caller holds the interpreter.
pub unsafe fn context(inner: *mut HPyContext, over_layer: bool, host: &'static Host) -> *mut HPyContext {
    let inner = InnerContext(inner);
    let mut layers = layer::all();
    if let Some(layer) = layers.iter().find(|layer| layer.inner == inner) {
        return layer.outer;
    }
    place::interpreter_has((host.threads.address)());
    clock::start();
    fork::register(&AT_FORK);
    let mut table = record::recording(runtime::context::<Trace>(NAME, null_mut()));
    for index in hpy_layer::constants() {
        let offset = offset_of_member(index);
        // SAFETY: the member at this index is a handle, in both.
        unsafe {
            let constant = inner.constant_at(index);
            *(&raw mut table).byte_add(offset).cast::<HPy>() = constant.handle();
        }
    }
    // SAFETY: as this function's.
    let interpreter = unsafe { (host.threads.interpreter)() };
    if layers.iter().any(|layer| layer.interpreter != interpreter) {
        ARE_SEVERAL.store(true, Release);
    }
    let layer = Layer { inner, host, over_layer, interpreter, table, outer: null_mut() };
    let layer: *mut Layer = Box::leak(Box::new(layer));
    // SAFETY: the layer is ours until it is in the list.
    unsafe {
        (*layer).outer = thread::detached(&*layer);
        layers.push(&*layer);
        (*layer).outer
    }
}

static AT_FORK: fork::Handlers = fork::Handlers { take: thread::locks, child: || {} };

/// Tells trace mode the names of what is in a module that was made with one of its contexts.
///
/// # Safety
/// The definition is complete and stays.
pub unsafe fn loaded(name: &str, definition: *mut HPyModuleDef) {
    // SAFETY: as this function's.
    unsafe { names::register_definitions(name, (*definition).defines, false) };
}
