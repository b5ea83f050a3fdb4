//! The HPy runtime over CPython.
//!
//! A handle is the address of an object ([`handle`]): nothing is converted on the way in or out, and an array of arguments
//! is handed on as it came. So most functions are exactly one call of CPython's; those are generated from the spec
//! (`autogen_direct.rs`). What needs a thought of its own has a file named after its family.
//!
//! * [`table`] has the contexts, and [`context`] fills in their constants.
//! * [`interpreters`] has what each of several interpreters in a process has of its own.
//! * [`module`] makes CPython's module definition from an extension's.
//! * `bridge` chooses what CPython calls for an extension's function in the universal or hybrid ABI: a `thunk`, which is a few
//!   instructions, or the binary's own trampoline, which calls `trampoline`.
//!
//! The runtime contains this crate, and so does the static library of the CPython ABI (`hpy-helpers`), which must not be able to
//! panic. What that needs of here is without `Vec`, `format!` and the like; [`context::universal`] is the runtime's alone.
#![allow(non_snake_case, non_upper_case_globals, reason = "the API keeps its C names")]

mod autogen_constants;
mod autogen_direct;
mod autogen_trampolines;

pub mod append_only;
mod array;
mod bridge;
mod builder;
mod bytes;
mod call;
mod capsule;
pub mod context;
mod direct;
mod error;
mod eval;
pub mod global;
pub mod handle;
pub mod interpreters;
mod item;
pub mod keywords;
mod legacy;
mod list;
pub mod lock;
mod long;
mod method;
pub mod module;
mod object;
pub mod raised;
mod shift;
#[cfg(feature = "universal")]
pub mod shortcuts;
pub mod table;
#[cfg(thunks)]
mod thunk;
pub mod tracker;
pub mod trampoline;
mod tuple;
mod types;
mod undeclared;

/// The runtime: its functions are those of the interpreter the library is loaded into.
pub struct CPython;
