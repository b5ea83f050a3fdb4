//! The context: that of universal binaries, and the constants of any.

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicIsize, Ordering};
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

pub(crate) static UNIVERSAL: Shared = Shared::new();

/// Has the same functions as [`UNIVERSAL`], but no function of an extension is called with it: layers lie over it.
static BELOW_LAYERS: Shared = Shared::new();

impl Shared {
    const fn new() -> Shared {
        Shared(UnsafeCell::new(runtime::context::<CPython>(c"HPy Universal ABI (CPython backend)", null_mut())))
    }

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

/// Whether it is the context that universal binaries run with in no mode, whose handles are objects.
pub fn is_universal(ctx: *mut HPyContext) -> bool {
    ctx == UNIVERSAL.address()
}

/// Whether only layers may call functions of extensions that belong to this context.
pub(crate) fn is_below_layers(ctx: *mut HPyContext) -> bool {
    cfg!(feature = "universal") && ctx == BELOW_LAYERS.address()
}

unsafe fn filled(context: &Shared, fill: &Once) -> Result<*mut HPyContext> {
    if !fill.is_completed() {
        // SAFETY: the caller holds the interpreter. This can run Python code, so it is done before others may have to wait.
        let builtins = unsafe { prepare() }?;
        fill.call_once(|| {
            // SAFETY: nobody else has the address yet.
            unsafe { fill_with(context.address(), builtins) };
        });
    }
    Ok(context.address())
}

/// Fills in the context of a binary of the CPython ABI, which has no functions in it, unless that has been done.
///
/// # Safety
/// The caller holds the interpreter, and the context stays.
pub unsafe fn fill_constants_only(ctx: *mut HPyContext) -> Result<()> {
    // SAFETY: as this function's. Of two threads that get here at once, both write the same.
    unsafe {
        if !is_filled(ctx) {
            let builtins = prepare()?;
            (*ctx).name = c"HPy CPython ABI".as_ptr();
            (*ctx).abi_version = ABI_VERSION;
            fill_with(ctx, builtins);
        }
    }
    Ok(())
}

/// Whether everything is there: what is filled in last is.
unsafe fn is_filled(ctx: *mut HPyContext) -> bool {
    // SAFETY: the context is the caller's, and a handle an aligned word.
    unsafe { AtomicIsize::from_ptr(&raw mut (*ctx).h_Builtins._i).load(Ordering::Acquire) != 0 }
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
        AtomicIsize::from_ptr(&raw mut (*ctx).h_Builtins._i).store(builtins._i, Ordering::Release);
    }
}
