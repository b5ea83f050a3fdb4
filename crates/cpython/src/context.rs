//! The context: that of universal binaries, and the constants of any.

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use std::sync::Once;

use hpy_abi::runtime;
use hpy_abi::{ABI_VERSION, HPy, HPyContext};

use crate::handle::{new_ref, to_handle};
use crate::module::{PythonError, Result};
use crate::types::functions;
use crate::{CPython, autogen_constants};

#[repr(transparent)]
pub(crate) struct Shared(UnsafeCell<HPyContext>);

// SAFETY: written once, under `Once`, before anybody gets its address; only read after that.
unsafe impl Sync for Shared {}

pub(crate) static UNIVERSAL: Shared =
    Shared(UnsafeCell::new(runtime::context::<CPython>(c"HPy Universal ABI (CPython backend)", null_mut())));

impl Shared {
    #[inline(always)]
    pub(crate) fn address(&self) -> *mut HPyContext {
        self.0.get()
    }
}

/// The context that universal binaries run with.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn universal() -> Result<*mut HPyContext> {
    static FILL: Once = Once::new();
    if !FILL.is_completed() {
        // SAFETY: the caller holds the interpreter. This can run Python code, so it is done before others may have to wait.
        let builtins = unsafe { prepare() }?;
        FILL.call_once(|| {
            // SAFETY: nobody else has the address yet.
            unsafe { fill_with(UNIVERSAL.address(), builtins) };
        });
    }
    Ok(UNIVERSAL.address())
}

/// Fills in the context of a binary of the CPython ABI, which has no functions in it, unless that has been done.
///
/// # Safety
/// The caller holds the interpreter, and the context stays.
pub unsafe fn fill_constants_only(ctx: *mut HPyContext) -> Result<()> {
    // SAFETY: as this function's. Of two threads that get here at once, both write the same.
    unsafe {
        if (*ctx).h_Builtins.is_null() {
            let builtins = prepare()?;
            (*ctx).name = c"HPy CPython ABI".as_ptr();
            (*ctx).abi_version = ABI_VERSION;
            fill_with(ctx, builtins);
        }
    }
    Ok(())
}

/// Gets ready for making types, and gives the dictionary of builtins, which is kept for good.
unsafe fn prepare() -> Result<HPy> {
    // SAFETY: the caller holds the interpreter.
    unsafe {
        functions::agree()?;
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
        (*ctx).h_Builtins = builtins;
    }
}
