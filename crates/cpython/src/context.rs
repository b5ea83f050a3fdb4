//! Contexts get ready: their constants are filled in, in the main interpreter's and in those of others ([`interpreters`]).

use core::sync::atomic::{AtomicIsize, Ordering};
use std::sync::Once;

use hpy_abi::{ABI_VERSION, HPy, HPyContext};

use crate::autogen_constants;
use crate::handle::{new_ref, to_handle};
use crate::interpreters;
use crate::raised::{PythonError, Result};
use crate::table::{BELOW_LAYERS, Table, UNIVERSAL, is_below_layers};
use crate::types::agreement;

/// The context that universal binaries run with, in the current interpreter.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn universal() -> Result<*mut HPyContext> {
    static FILL: Once = Once::new();
    // SAFETY: as this function's.
    unsafe { filled(&UNIVERSAL, &FILL) }
}

/// The context that layers such as debug mode lie over. What is made with it calls extensions through the trampolines of their
/// binaries, and these through the layer.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn below_layers() -> Result<*mut HPyContext> {
    static FILL: Once = Once::new();
    // SAFETY: as this function's.
    unsafe { filled(&BELOW_LAYERS, &FILL) }
}

unsafe fn filled(context: &Table, fill: &Once) -> Result<*mut HPyContext> {
    // SAFETY: the caller holds the interpreter. This can run Python code, so it is done before others may have to wait. Nobody else has
    // the address of what is filled in.
    unsafe {
        if !interpreters::is_main() {
            let is_copied = is_below_layers(context.address());
            return interpreters::context(context.address(), is_copied, |twin| {
                fill_with(twin, prepare()?);
                Ok(())
            });
        }
        if !fill.is_completed() {
            let builtins = prepare()?;
            fill.call_once(|| fill_with(context.address(), builtins));
        }
    }
    Ok(context.address())
}

/// Fills in the context of a binary of the CPython ABI, which has no functions in it, for the current interpreter, unless that has been
/// done.
///
/// # Safety
/// The caller holds the interpreter, and the context stays.
pub unsafe fn fill_constants_only(ctx: *mut HPyContext) -> Result<()> {
    let fill = |ctx: *mut HPyContext| {
        // SAFETY: as this function's. Of two threads that get here at once, both write the same.
        unsafe {
            let builtins = prepare()?;
            (*ctx).name = c"HPy CPython ABI".as_ptr();
            (*ctx).abi_version = ABI_VERSION;
            fill_with(ctx, builtins);
        }
        Ok(())
    };
    // SAFETY: as this function's.
    unsafe {
        if !interpreters::is_main() {
            return interpreters::context(ctx, false, fill).map(|_| ());
        }
        if is_filled(ctx) { Ok(()) } else { fill(ctx) }
    }
}

/// Whether everything is there: what is filled in last is.
unsafe fn is_filled(ctx: *mut HPyContext) -> bool {
    // SAFETY: the context is the caller's, and a handle an aligned word.
    unsafe { AtomicIsize::from_ptr(&raw mut (*ctx).h_Builtins._i).load(Ordering::Acquire) != 0 }
}

/// Gets ready for making types, and gives the dictionary of builtins, which the interpreter keeps for as long as it lives.
unsafe fn prepare() -> Result<HPy> {
    // SAFETY: the caller holds the interpreter.
    unsafe {
        agreement::agree()?;
        let builtins = pyo3_ffi::PyImport_AddModule(c"builtins".as_ptr());
        if builtins.is_null() {
            return Err(PythonError);
        }
        Ok(to_handle(new_ref(pyo3_ffi::PyModule_GetDict(builtins))))
    }
}

unsafe fn fill_with(ctx: *mut HPyContext, builtins: HPy) {
    // SAFETY: the caller's context can be written, and it holds the interpreter.
    unsafe {
        autogen_constants::fill(ctx);
        AtomicIsize::from_ptr(&raw mut (*ctx).h_Builtins._i).store(builtins._i, Ordering::Release);
    }
}
