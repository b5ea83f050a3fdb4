//! The tables of functions: the contexts of the main interpreter, by which others are made.

use core::cell::UnsafeCell;
use core::ptr::null_mut;

use hpy_abi::{HPyContext, runtime};

use crate::{CPython, interpreters};

#[repr(transparent)]
pub(crate) struct Table(UnsafeCell<HPyContext>);

// SAFETY: written once, under `Once`, before anybody gets its address; only read after that.
unsafe impl Sync for Table {}

pub(crate) static UNIVERSAL: Table = Table::new();

/// Has the same functions as [`UNIVERSAL`], but no function of an extension is called with it: layers lie over it.
pub(crate) static BELOW_LAYERS: Table = Table::new();

impl Table {
    const fn new() -> Table {
        Table(UnsafeCell::new(runtime::context::<CPython>(c"HPy Universal ABI (CPython backend)", null_mut())))
    }

    #[inline(always)]
    pub(crate) fn address(&self) -> *mut HPyContext {
        self.0.get()
    }
}

/// The main interpreter's context of that kind, by which binaries know that handles are objects. Filled in or not.
pub fn main_universal() -> *mut HPyContext {
    UNIVERSAL.address()
}

/// Whether it is a context that universal binaries run with in no mode, whose handles are objects.
pub fn is_universal(ctx: *mut HPyContext) -> bool {
    interpreters::main_of(ctx) == UNIVERSAL.address()
}

/// Whether only layers may call functions of extensions that belong to this context.
pub(crate) fn is_below_layers(ctx: *mut HPyContext) -> bool {
    cfg!(feature = "universal") && interpreters::main_of(ctx) == BELOW_LAYERS.address()
}
