//! Variadic arguments, as the C shims hand them over (`hpy/runtime/varargs.h`).

use core::ffi::{c_longlong, c_ulonglong, c_void};

use hpy_abi::HPy;

/// One argument; the format says which member is in use. Signed integers of all sizes are `i`, unsigned ones `u`.
#[repr(C)]
#[derive(Clone, Copy)]
pub union VaArg {
    pub i: c_longlong,
    pub u: c_ulonglong,
    pub d: f64,
    pub p: *const c_void,
    pub h: HPy,
}

/// Arguments that have not been used yet.
pub struct Args {
    next: *const VaArg,
    left: usize,
}

/// The format asks for more arguments than it did before.
pub struct NoMore;

impl Args {
    /// # Safety
    /// `first` is the start of `count` arguments, each with the member set that the format calls for, and they are
    /// used in the format's order.
    pub unsafe fn new(first: *const VaArg, count: usize) -> Args {
        Args { next: first, left: count }
    }

    fn take(&mut self) -> Result<VaArg, NoMore> {
        self.left = self.left.checked_sub(1).ok_or(NoMore)?;
        // SAFETY: there was one more argument, so its place can be read, and the place after it be pointed to.
        let (arg, after) = unsafe { (*self.next, self.next.add(1)) };
        self.next = after;
        Ok(arg)
    }

    pub fn signed(&mut self) -> Result<c_longlong, NoMore> {
        // SAFETY: the maker of `Args` vouched for the member; all of its bits are a number.
        self.take().map(|arg| unsafe { arg.i })
    }

    pub fn unsigned(&mut self) -> Result<c_ulonglong, NoMore> {
        // SAFETY: the maker of `Args` vouched for the member; all of its bits are a number.
        self.take().map(|arg| unsafe { arg.u })
    }

    pub fn double(&mut self) -> Result<f64, NoMore> {
        // SAFETY: the maker of `Args` vouched for the member; all of its bits are a number.
        self.take().map(|arg| unsafe { arg.d })
    }

    pub fn pointer(&mut self) -> Result<*const c_void, NoMore> {
        // SAFETY: the maker of `Args` vouched for the member.
        self.take().map(|arg| unsafe { arg.p })
    }

    pub fn handle(&mut self) -> Result<HPy, NoMore> {
        // SAFETY: the maker of `Args` vouched for the member.
        self.take().map(|arg| unsafe { arg.h })
    }
}
