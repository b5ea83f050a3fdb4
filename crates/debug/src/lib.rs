//! Debug mode: a layer over another context that checks how an extension uses the API.
//!
//! It knows no interpreter. What it needs of one beside the API is a few functions, [`Host`], that come from whoever loads extensions.
//!
//! * [`context`] gives the context that a binary is initialised with. Python's calls arrive there, through the trampolines of the
//!   binary: `upcall` gives each call a context and handles of its own, and looks at what is left when it returns.
//! * The functions of those contexts are in `functions`, one file for each family that needs thought; the rest is generated from the
//!   spec's columns (`autogen_functions.rs`). `call` is a call of one, `permission` says whether it may be made, `arguments`
//!   whether what is passed is right; `callers` finds the author's line where a helper calls, `buffers` looks at what is exported.
//! * A handle is an index and a generation (`slot`), so anything else is recognised. `attachment` is what few of them need.
//! * `thread` has what belongs to a thread: its calls, their contexts, its slots.
//! * `known_types` knows the types that extensions make, `type_slots` calls their functions that have no context, `as_struct` learns which
//!   struct is whose.
//! * `fields` follows HPyFields and HPyGlobals, `open_buffers` what was exported; `memory` has copies of strings that can be locked.
//! * `closed_objects` remembers what closed handles stood for, `leak` finds what is left open.
//! * A misuse becomes a report (`incident`, `report`), with places in the source, and what happens then is up to `policy` or a
//!   `callback`; what can't be raised at once is `deferred`.
//! * What is kept belongs to an `interpreter`.
//! * [`module`] is the Python side, which asks [`inspect`]; `start` is what there is to do before the first context.
//!
//! Nothing here may panic in a way that reaches C: the profile aborts on a panic, and no code relies on one.
#![allow(non_snake_case, non_upper_case_globals, reason = "the API keeps its C names")]

mod autogen_functions;
mod autogen_misuses;

mod action;
mod arguments;
mod as_struct;
mod attachment;
mod buffers;
mod call;
mod callback;
mod callers;
mod closed_objects;
mod deferred;
#[cfg(unix)]
mod fault;
#[cfg(unix)]
mod fault_report;
mod fields;
mod functions;
mod hash;
mod host;
mod incident;
pub mod inspect;
mod interpreter;
mod kept;
mod known_types;
mod layer;
mod leak;
mod limits;
mod loaded;
mod memory;
mod open_buffers;
mod permission;
mod policy;
mod python;
mod report;
mod seen;
mod slot;
mod start;
mod thread;
mod type_slots;
mod types;
mod upcall;

use core::ffi::CStr;
use core::ptr::null_mut;
use std::sync::Once;

use hpy_abi::*;
use hpy_layer::inner::InnerContext;
use hpy_layer::object::{Python, Raised, Result};
use hpy_layer::{fork, place};

hpy_layer::record_calls!();

pub use autogen_misuses::Misuse;
pub use host::{Host, ROOM, Value};
pub use loaded::loaded;
pub use python::module;
pub use type_slots::type_is_kept;

use action::Action;
use callback::Callback;

use layer::Layer;
use slot::{Kind, Mark, NOBODY, Origin};

/// The functions that check.
pub(crate) struct Debug;

const NAME: &CStr = c"HPy Debug Mode ABI";

/// The context of debug mode over `inner`, for binaries (level 0) or for another layer (level 1). Raises MemoryError, and ValueError for
/// settings in the environment that make no sense.
///
/// # Safety
/// `inner` is complete and stays; the caller holds the interpreter.
pub unsafe fn context(inner: *mut HPyContext, host: &'static Host, level: usize) -> Result<*mut HPyContext> {
    static ONCE: Once = Once::new();
    let inner = InnerContext(inner);
    ONCE.call_once(|| {
        // Elsewhere faults are not handled.
        #[cfg(unix)]
        fault::install(fault_report::fault);
        fork::register(&AT_FORK);
    });
    place::interpreter_has((host.threads.address)());
    slot::PARALLEL.store(host.is_parallel, core::sync::atomic::Ordering::Relaxed);
    // SAFETY: as this function's.
    let interpreter = unsafe { interpreter::note(host) };
    // SAFETY: as this function's.
    start::begin(unsafe { Python::new(inner.0) })?;
    let mut layers = layer::all();
    if let Some(layer) = layers.iter().find(|layer| layer.inner == inner && layer.level == level) {
        return Ok(layer.outer);
    }
    let table = runtime::context::<Debug>(NAME, null_mut());
    // The outermost layer tells those below where calls come from.
    let table = if level == 0 { record::recording(table) } else { table };
    let layer = Box::leak(Box::new(Layer { inner, host, level, interpreter, table, outer: null_mut() }));
    // SAFETY: as this function's.
    if !unsafe { open_constants(layer) } {
        drop(layers);
        // SAFETY: the caller holds the interpreter, and the inner context is complete.
        unsafe { inner.ctx_Err_NoMemory() };
        return Err(Raised);
    }
    // The context keeps a pointer to the layer, which is not moved any more.
    let layer: *mut Layer = layer;
    // SAFETY: the layer is ours until it is in the list.
    unsafe {
        (*layer).outer = thread::detached(&*layer);
        layers.push(&*layer);
        Ok((*layer).outer)
    }
}

static AT_FORK: fork::Handlers = fork::Handlers {
    take: || [policy::locks(), deferred::locks(), closed_objects::locks()].into_iter().flatten().collect(),
    child: || {
        thread::others_are_gone();
        slot::others_are_gone();
    },
};

/// Gives the constants handles of their own.
unsafe fn open_constants(layer: &mut Layer) -> bool {
    for index in hpy_layer::constants() {
        let offset = offset_of_member(index);
        // SAFETY: the member at this index is a handle, in both.
        unsafe {
            let inner = layer.inner.constant_at(index).word();
            let Some((number, slot)) = slot::allocate() else { return false };
            slot.order.store(1, core::sync::atomic::Ordering::Relaxed);
            let token =
                slot.open(number, Kind::Constant, Origin::default(), inner, Mark { by: NOBODY, ip: 0 }, u32::MAX);
            let place = (&raw mut layer.table).byte_add(offset).cast::<HPy>();
            *place = HPy { _i: token.encode() };
        }
    }
    true
}
