//! The HPy ABI 0: what a binary and a runtime agree on.
//!
//! * [`HPyContext`] is the table that every function of an extension gets as its first argument. Its members' places are
//!   fixed for ever; `autogen_context.rs` asserts them at compile time.
//! * [`runtime`] has a trait for each family of functions. An interpreter's runtime, and every layer over another runtime,
//!   implements them all and gets its table from [`runtime::context`].
//! * [`calls`] is the other side: one function per member, for code that has a context and calls through it.
//! * The rest are the handles, enums and structs that cross the border.
//!
//! Everything but this file is generated from `spec/`, and the names are C's.
//!
//! # Safety
//!
//! The functions are unsafe because they are C's: the context has to be live and of the calling thread, which holds the
//! interpreter; handles have to be open and of that context; pointers have to be what the C declaration says.
#![no_std]
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(clippy::missing_safety_doc, reason = "said once for all functions, above")]
#![allow(clippy::too_many_arguments, reason = "the ABI is what it is")]

mod autogen_context;
mod autogen_trampolines;
mod autogen_types;
mod handshake;
mod null_ended;
mod version;

#[path = "autogen_calls.rs"]
pub mod calls;
#[path = "autogen_runtime.rs"]
pub mod runtime;

pub use autogen_context::{HPyContext, MEMBER_COUNT, offset_of_member};
pub use autogen_types::*;
pub use handshake::*;
pub use null_ended::null_ended;
pub use version::{ABI_VERSION, ABI_VERSION_MINOR};
