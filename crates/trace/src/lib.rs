//! Trace mode: a layer over another context that counts and times what an extension does with the API.
//!
//! It knows no interpreter. What it needs of one beside the API is a few functions, [`Host`], that come from whoever loads extensions.
//!
//! * [`context`] gives the context that a binary is initialised with. Python's calls arrive there: `enter` notes which function is
//!   called from which line of Python.
//! * The functions of the API are generated from the spec (`autogen_functions.rs`); what each does before and after is in `call`.
//! * All of it ends up in a tree of calls (`node`), one for each thread (`thread`), so that no thread waits for another.
//! * [`hooks`] are Python functions that are told of each call; [`timeline`] keeps single calls with their times.
//! * [`recording`] merges the trees, and is what everything else is read from; [`flame`] draws it.
//!
//! Nothing here may panic in a way that reaches C: the profile aborts on a panic, and no code relies on one.
#![allow(non_snake_case, non_upper_case_globals, reason = "the API keeps its C names")]

mod autogen_functions;
mod call;
mod clock;
mod enter;
pub mod flame;
pub mod hooks;
mod node;
pub mod recording;
mod thread;
pub mod timeline;

use core::ffi::CStr;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Mutex, PoisonError};

use hpy_abi::*;
use hpy_layer::{fork, names};

pub use clock::frequency;

hpy_layer::record_calls!();

/// A place in Python code, as quickly as the interpreter can tell: the code, and where in it, which may be told in several ways for one
/// line. Zeros for none.
pub type Site = (usize, usize);

/// A line of Python in words.
#[derive(Clone, PartialEq, Eq, Hash, Debug, serde::Serialize)]
pub struct Line {
    pub file: String,
    pub line: u32,
    pub function: String,
}

/// What trace mode asks of the interpreter beside the API.
pub struct Host {
    /// Where Python code is.
    pub site: unsafe fn() -> Site,
    /// The line that this is. Keeps a pending exception.
    pub line: unsafe fn() -> Option<Line>,
    /// Makes that no other code gets the number of the code that is running.
    pub keep_code: unsafe fn(),
    /// Whether the calling thread holds the interpreter, and an exception is pending.
    pub has_exception: unsafe fn() -> bool,
    /// Whether the calling thread holds the interpreter.
    pub holds_interpreter: unsafe fn() -> bool,
    /// A number for the current interpreter.
    pub interpreter: unsafe fn() -> usize,
    /// Calls a Python function with a str. Keeps a pending exception. False if the function raised something, which has been reported.
    pub call: unsafe fn(function: HPy, name: &str) -> bool,
}

/// The functions that count.
pub(crate) struct Trace;

/// Trace mode over one context. Never freed.
pub(crate) struct Layer {
    pub inner: *mut HPyContext,
    pub host: &'static Host,
    /// There is another layer below.
    pub over_layer: bool,
    /// Whose context it lies over, as the host calls it.
    interpreter: usize,
    table: HPyContext,
    outer: *mut HPyContext,
}

// SAFETY: written before it is published; contexts are shared by all threads anyway.
unsafe impl Sync for Layer {}
// SAFETY: as above.
unsafe impl Send for Layer {}

const NAME: &CStr = c"HPy Trace Mode ABI";

impl Layer {
    /// A copy of the table, for a new context.
    fn table(&self) -> HPyContext {
        // SAFETY: a context is plain words.
        unsafe { core::ptr::read(&raw const self.table) }
    }
}

static LAYERS: Mutex<Vec<&'static Layer>> = Mutex::new(Vec::new());

/// There are layers of more than one interpreter.
static ARE_SEVERAL: AtomicBool = AtomicBool::new(false);

impl Layer {
    /// The same for the interpreter that runs: a binary's trampolines have one context for all of them.
    #[inline(always)]
    fn here(&'static self) -> &'static Layer {
        if ARE_SEVERAL.load(Relaxed) { self.of_current_interpreter() } else { self }
    }

    #[cold]
    fn of_current_interpreter(&'static self) -> &'static Layer {
        // SAFETY: asks about the thread, and needs nothing.
        let interpreter = unsafe { (self.host.interpreter)() };
        let is_it = |layer: &&&Layer| layer.interpreter == interpreter && layer.over_layer == self.over_layer;
        LAYERS.lock().unwrap_or_else(PoisonError::into_inner).iter().find(is_it).copied().unwrap_or(self)
    }
}

/// The context of trace mode over `inner`, which is a runtime's or, with `over_layer`, another layer's.
///
/// # Safety
/// `inner` is complete and stays; the caller holds the interpreter.
pub unsafe fn context(inner: *mut HPyContext, over_layer: bool, host: &'static Host) -> *mut HPyContext {
    let mut layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(layer) = layers.iter().find(|layer| layer.inner == inner) {
        return layer.outer;
    }
    clock::start();
    fork::register(&AT_FORK);
    let mut table = record::recording(runtime::context::<Trace>(NAME, null_mut()));
    for index in hpy_layer::constants() {
        let offset = offset_of_member(index);
        // SAFETY: the member at this index is a handle, in both.
        unsafe {
            let constant = *inner.byte_add(offset).cast::<HPy>();
            *(&raw mut table).byte_add(offset).cast::<HPy>() = constant;
        }
    }
    // SAFETY: as this function's.
    let interpreter = unsafe { (host.interpreter)() };
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
