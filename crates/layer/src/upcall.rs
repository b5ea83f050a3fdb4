//! Python calls a function of an extension: the way through the layers.
//!
//! The binary's trampoline asks the outermost layer, which asks the one below for a function of its own, and so on; the runtime calls
//! what it was asked for at once, and each layer calls what the one above had asked for. What was asked for is kept per thread
//! meanwhile. As a layer may run other code before it calls on, it takes what belongs to the call first, and puts it back last.

use core::cell::Cell;
use core::ffi::c_void;
use core::ptr::null;

use hpy_abi::{HPy, HPyCFunction, HPyContext};

use crate::inner::{InnerContext, InnerHandle};

/// The position of what is not an argument by itself.
pub const KEYWORDS: u16 = 0x400;

/// How many layers can lie over each other.
pub const LEVELS: usize = 2;

/// What a layer is to call.
#[derive(Clone, Copy)]
pub struct Request {
    pub function: HPyCFunction,
    /// The layer's own.
    pub layer: *const c_void,
}

/// The requests of the layers that a call goes through.
#[derive(Clone, Copy)]
pub struct Requests {
    /// The outermost first.
    all: [Request; LEVELS],
    /// Whose turn it is.
    level: usize,
}

const NOTHING: Request = Request { function: None, layer: null() };

thread_local! {
    static REQUESTS: Cell<Requests> = const { Cell::new(Requests { all: [NOTHING; LEVELS], level: 0 }) };
}

/// Keeps what a layer is to call. The outermost layer is at level 0.
#[inline(always)]
pub fn ask(level: usize, request: Request) {
    REQUESTS.with(|requests| {
        let mut all = requests.get().all;
        all[level % LEVELS] = request;
        requests.set(Requests { all, level });
    });
}

/// What was asked for last on this thread.
#[inline(always)]
pub fn asked() -> Requests {
    REQUESTS.with(Cell::get)
}

impl Requests {
    /// That of the layer whose turn it is.
    #[inline(always)]
    pub fn own(&self) -> Request {
        self.all[self.level % LEVELS]
    }

    /// The extension's function.
    #[inline(always)]
    pub fn extensions(&self) -> HPyCFunction {
        self.all[0].function
    }

    /// For the layer above, if there is one: right before it is called.
    #[inline(always)]
    pub fn put_back(&self) {
        if self.level > 0 {
            REQUESTS.with(|requests| requests.set(Requests { level: self.level - 1, ..*self }));
        }
    }
}

/// A call of an extension's function, in a layer.
pub trait Upcall {
    /// Called with the inner context for this call, right after that was asked to.
    ///
    /// # Safety
    /// The calling thread has asked for a function of the layer.
    unsafe fn begin(inner: InnerContext) -> Self;

    /// The function is about to be called; not for those without a result.
    #[inline(always)]
    fn enters(&self) {}

    /// What is to be called.
    fn function(&self) -> HPyCFunction;

    /// With which context. Called last.
    fn context(&self) -> *mut HPyContext;

    /// The handle to pass for the inner one.
    fn argument(&mut self, inner: InnerHandle, position: u16) -> HPy;

    /// The handles to pass for an array, which is followed by the values of the names. They live as long as this.
    ///
    /// # Safety
    /// The array is as long as the arguments say.
    unsafe fn arguments(&mut self, args: *const InnerHandle, count: usize, names: InnerHandle) -> *const HPy;

    /// The function has returned nothing.
    fn finish(&mut self);

    /// It has returned a handle, which becomes an inner one.
    fn finish_handle(&mut self, result: HPy) -> InnerHandle;

    /// It has returned a number: -1 means failure.
    fn finish_number<N: Number>(&mut self, result: N, least: N, most: N) -> N;
}

/// What functions return that give no handle.
pub trait Number: Copy + PartialOrd + core::fmt::Display {
    const FAILURE: Self;
}

impl Number for core::ffi::c_int {
    const FAILURE: Self = -1;
}

impl Number for isize {
    const FAILURE: Self = -1;
}
