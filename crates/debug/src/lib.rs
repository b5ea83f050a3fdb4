//! Debug mode: a layer over another context that checks how an extension uses the API.
//!
//! It knows no interpreter. What it needs of one beside the API is a few functions, [`Host`], that come from whoever loads extensions.
//!
//! * [`context`] gives the context that a binary is initialised with. Python's calls arrive there, through the trampolines of the
//!   binary: `enter` gives each call a context and handles of its own, and looks at what is left when it returns.
//! * The functions of those contexts are in `functions`, one file for each family that needs thought; the rest is generated from the
//!   spec's columns (`autogen_functions.rs`). `call` checks who calls and what is passed, `callers` finds the author's
//!   line where a helper calls, `buffers` looks at what is exported.
//! * A handle is an index and a generation (`slot`), so anything else is recognised. `extra` is what few of them need.
//! * `thread` has what belongs to a thread: its calls, their contexts, its slots.
//! * `sites` learns which struct is whose.
//! * `fields` and `structs` follow HPyFields, HPyGlobals and the structs they lie in; `memory` has copies of strings that can be locked.
//! * A misuse becomes a report (`trouble`, [`report`]), with places in the source, and what happens then is up to [`policy`].
//! * What is kept belongs to an `interpreter`.
//! * [`inspect`] is for the Python side.
//!
//! Nothing here may panic in a way that reaches C: the profile aborts on a panic, and no code relies on one.
#![allow(non_snake_case, non_upper_case_globals, reason = "the API keeps its C names")]

mod autogen_functions;
mod autogen_misuses;

mod buffers;
mod call;
mod callers;
mod enter;
mod extra;
mod fault;
mod fields;
mod functions;
mod hash;
pub mod inspect;
mod interpreter;
mod memory;
pub mod policy;
pub mod report;
mod sites;
mod slot;
mod structs;
mod summary;
mod thread;
mod trouble;

use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use hpy_abi::*;
use hpy_layer::{fork, names};

hpy_layer::record_calls!();

pub use autogen_misuses::Misuse;
pub use structs::type_is_kept;
pub use summary::{ROOM, Value};

use slot::{Kind, Mark, NOBODY, Place};

/// What debug mode asks of the interpreter beside the API.
pub struct Host {
    /// Appends type and repr of an object. Keeps a pending exception, and never fails.
    pub describe: unsafe fn(object: HPy, text: &mut String),
    /// The innermost line of Python that is running: `app.py:12 in main`. Keeps a pending exception.
    pub python_place: unsafe fn() -> Option<String>,
    /// Raises the exception for a misuse; one that is pending becomes its context.
    pub raise: unsafe fn(identifier: &str, text: &str),
    /// Whether threads run at the same time, because there is no GIL.
    pub is_parallel: bool,
    /// Whether the calling thread holds the interpreter.
    pub holds_interpreter: unsafe fn() -> bool,
    /// A number for the current interpreter.
    pub interpreter: unsafe fn() -> usize,
    /// The pending exception, as `ValueError: wrong`.
    pub pending: unsafe fn() -> Option<String>,
    /// Tells the user. Keeps a pending exception.
    pub warn: unsafe fn(text: &str),
    /// The same number for each handle to an object.
    pub identity: unsafe fn(object: HPy) -> usize,
    /// Which of these objects, given by their identities, have buffers that other objects of Python hold, such as memoryviews. Runs no code
    /// of others, and keeps a pending exception.
    pub holds_buffers: unsafe fn(objects: &[usize]) -> Vec<bool>,
    /// Whether there is an object at this address. Looks carefully: it may be any number.
    pub is_object: unsafe fn(address: isize) -> bool,
    /// Watches whether the instances of a type that was made from legacy slots give it up, and calls `type_is_kept` if not.
    pub watch_dealloc: unsafe fn(tp: HPy, legacy_slots: *const c_void),
    /// Quickly: what tells the object's type from others, and what tells whether the place was given to another type since.
    pub type_of: unsafe fn(object: HPy) -> (usize, usize),
    /// The second of these, of a type itself. What is no type has some number, too.
    pub type_mark: unsafe fn(tp: HPy) -> usize,
    /// The name of an object's type, without its module, and whether `value_of` can say more.
    pub type_name: unsafe fn(object: HPy) -> (String, bool),
    /// Quickly: the value of an object of a simple type. Runs no code of others.
    pub value_of: unsafe fn(object: HPy, value: &mut Value),
}

/// The functions that check.
pub(crate) struct Debug;

/// Debug mode over one context. Never freed.
pub(crate) struct Layer {
    pub inner: *mut HPyContext,
    pub host: &'static Host,
    /// How many layers lie over this one.
    pub level: usize,
    /// Whose context it lies over.
    pub interpreter: u16,
    /// With the constants, and without a frame.
    table: HPyContext,
    /// What binaries are initialised with.
    outer: *mut HPyContext,
}

// SAFETY: written before it is published; contexts are shared by all threads anyway.
unsafe impl Sync for Layer {}
// SAFETY: as above.
unsafe impl Send for Layer {}

const NAME: &CStr = c"HPy Debug Mode ABI";

impl Layer {
    /// A copy of the table, for a new context.
    pub fn table(&self) -> HPyContext {
        // SAFETY: a context is plain words.
        unsafe { core::ptr::read(&raw const self.table) }
    }
}

static LAYERS: Mutex<Vec<&'static Layer>> = Mutex::new(Vec::new());

pub(crate) fn layers() -> MutexGuard<'static, Vec<&'static Layer>> {
    LAYERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Layer {
    /// The same for the interpreter that runs: a binary's trampolines have one context for all of them.
    #[inline(always)]
    pub fn here(&'static self) -> &'static Layer {
        if interpreter::are_several() { self.of_interpreter(interpreter::here()) } else { self }
    }

    #[cold]
    fn of_interpreter(&'static self, interpreter: u16) -> &'static Layer {
        let is_it = |layer: &&&Layer| layer.interpreter == interpreter && layer.level == self.level;
        layers().iter().find(is_it).copied().unwrap_or(self)
    }
}

/// The context of debug mode over `inner`, for binaries (level 0) or for another layer (level 1). Null with MemoryError set if there is
/// no memory for it.
///
/// # Safety
/// `inner` is complete and stays; the caller holds the interpreter.
pub unsafe fn context(inner: *mut HPyContext, host: &'static Host, level: usize) -> *mut HPyContext {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        memory::install(inspect::fault);
        fork::register(&AT_FORK);
    });
    slot::PARALLEL.store(host.is_parallel, core::sync::atomic::Ordering::Relaxed);
    // SAFETY: as this function's.
    let interpreter = interpreter::note(unsafe { (host.interpreter)() });
    let mut layers = layers();
    if let Some(layer) = layers.iter().find(|layer| layer.inner == inner && layer.level == level) {
        return layer.outer;
    }
    let table = runtime::context::<Debug>(NAME, null_mut());
    // The outermost layer tells those below where calls come from.
    let table = if level == 0 { record::recording(table) } else { table };
    let layer = Box::leak(Box::new(Layer { inner, host, level, interpreter, table, outer: null_mut() }));
    // SAFETY: as this function's.
    if !unsafe { open_constants(layer) } {
        drop(layers);
        // SAFETY: as above.
        unsafe { ((*inner).ctx_Err_NoMemory)(inner) };
        return null_mut();
    }
    // The context keeps a pointer to the layer, which is not moved any more.
    let layer: *mut Layer = layer;
    // SAFETY: the layer is ours until it is in the list.
    unsafe {
        (*layer).outer = thread::detached(&*layer);
        layers.push(&*layer);
        (*layer).outer
    }
}

static AT_FORK: fork::Handlers = fork::Handlers {
    take: || [policy::locks(), inspect::locks(), summary::locks()].into_iter().flatten().collect(),
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
            let inner = (*layer.inner.byte_add(offset).cast::<HPy>())._i;
            let Some((number, slot)) = slot::allocate() else { return false };
            slot.order.store(1, core::sync::atomic::Ordering::Relaxed);
            let token =
                slot.open(number, Kind::Constant, Place::default(), inner, Mark { by: NOBODY, ip: 0 }, u32::MAX);
            let place = (&raw mut layer.table).byte_add(offset).cast::<HPy>();
            *place = HPy { _i: token.encode() };
        }
    }
    true
}

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
