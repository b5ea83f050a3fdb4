//! What the loader needs of an interpreter, beside the API.

use core::ffi::CStr;

use hpy_abi::{HPyContext, HPyModuleDef};
use hpy_layer::inner::InnerHandle;
use hpy_layer::object::Result;

/// An interpreter that binaries are loaded into.
///
/// # Safety of its functions
/// The caller holds the interpreter.
#[allow(clippy::missing_safety_doc, reason = "said once for all functions, above")]
pub trait Interpreter {
    /// What debug mode asks of it.
    const DEBUG: &'static hpy_debug::Host;
    /// What trace mode asks of it.
    const TRACE: &'static hpy_trace::Host;

    /// The context that universal binaries run with in no mode.
    unsafe fn universal() -> Result<*mut HPyContext>;

    /// The context that layers lie over. What is made with it calls extensions through their trampolines.
    unsafe fn below_layers() -> Result<*mut HPyContext>;

    /// The main interpreter's context of the same kind as this one, which may be another interpreter's.
    fn main_context(ctx: *mut HPyContext) -> *mut HPyContext;

    /// Makes a module that is in no file, with a context below layers. The definition is static. The handle is the caller's.
    unsafe fn make_module(ctx: *mut HPyContext, definition: *mut HPyModuleDef, name: &CStr) -> Result<InnerHandle>;
}
