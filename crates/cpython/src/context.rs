//! The context of universal binaries.

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use std::sync::Once;

use hpy_abi::HPyContext;
use hpy_abi::runtime;

use crate::handle::{new_ref, to_handle};
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
pub unsafe fn universal() -> *mut HPyContext {
    static FILL: Once = Once::new();
    FILL.call_once(|| {
        // SAFETY: nobody else has the address yet. The dictionary of builtins is kept for good.
        unsafe {
            let ctx = &mut *UNIVERSAL.0.get();
            autogen_constants::fill(ctx);
            let builtins = pyo3_ffi::PyImport_AddModule(c"builtins".as_ptr());
            if !builtins.is_null() {
                ctx.h_Builtins = to_handle(new_ref(pyo3_ffi::PyModule_GetDict(builtins)));
            }
        }
    });
    UNIVERSAL.0.get()
}
