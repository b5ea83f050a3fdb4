//! What the modes that lie over a runtime have in common, debug mode and trace mode.
//!
//! A layer gives binaries contexts of its own. Each of these points to a frame of the layer, and lies over an inner context, which is
//! the runtime's or that of another layer. Two layers may lie over each other, trace mode over debug mode.
//!
//! * [`inner`] is the context below, whose handles have a type of their own.
//! * [`upcall`] is the way in: the binary's trampoline asks the layer's context, the layer asks the inner one, and so on down to the
//!   runtime, which calls back up the same way.
//! * [`record_calls!`] makes the stubs that note where each call of the API comes from. Only the outermost layer sees that; it tells the one
//!   below by writing to the first word of its frame.
//! * [`names`] knows the functions of extensions by their names, and [`place`] the lines of their sources.
//! * [`module`] is what layers' modules for Python are made of, and [`object`] what these work with.
//! * [`MEMBERS`] are the members of the context.
//! * [`mod@fork`] sees to locks when the process forks, [`idle`] keeps what ended threads leave, [`stack`] asks how much stack is left, [`threads`] is what both ask of the interpreter.
#![allow(non_snake_case, non_upper_case_globals, reason = "the API keeps its C names")]
#![allow(
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    reason = "the functions of the context are what they are"
)]

mod autogen_inner;
mod autogen_members;
mod autogen_upcalls;

pub mod fork;
pub mod idle;
pub mod inner;
pub mod lock;
pub mod module;
pub mod names;
pub mod object;
pub mod owner;
pub mod place;
mod record;
pub mod stack;
pub mod threads;
pub mod upcall;

pub use autogen_members::{Described, MEMBERS, member};
pub use autogen_upcalls::upcall_of;

/// The indices of members that are handles.
pub fn constants() -> impl Iterator<Item = usize> {
    MEMBERS.iter().enumerate().filter(|(_, member)| !member.is_function).map(|(index, _)| index)
}
