//! The context of universal binaries.

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use std::sync::Once;

use hpy_abi::HPyContext;
use hpy_abi::runtime;

use crate::handle::{new_ref, to_handle};
use crate::module::{PythonError, Result};
use crate::{CPython, autogen_constants};

struct Shared(UnsafeCell<HPyContext>);

// SAFETY: written once, under `Once`, before anybody gets its address; only read after that.
unsafe impl Sync for Shared {}

static UNIVERSAL: Shared =
    Shared(UnsafeCell::new(runtime::context::<CPython>(c"HPy Universal ABI (CPython backend)", null_mut())));

/// The context that universal binaries run with.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn universal() -> Result<*mut HPyContext> {
    static FILL: Once = Once::new();
    if !FILL.is_completed() {
        // SAFETY: the caller holds the interpreter. Asking for a module can run Python code, so that is done before others
        // may have to wait; the dictionary of builtins is kept for good.
        let builtins = unsafe {
            let builtins = pyo3_ffi::PyImport_AddModule(c"builtins".as_ptr());
            if builtins.is_null() {
                return Err(PythonError);
            }
            to_handle(new_ref(pyo3_ffi::PyModule_GetDict(builtins)))
        };
        FILL.call_once(|| {
            // SAFETY: nobody else has the address yet.
            unsafe {
                let ctx = &mut *UNIVERSAL.0.get();
                autogen_constants::fill(ctx);
                ctx.h_Builtins = builtins;
            }
        });
    }
    Ok(UNIVERSAL.0.get())
}
