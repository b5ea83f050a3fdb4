//! What can be done without the table, where a handle is the address of an object.

use core::ffi::c_char;

use hpy_abi::{HPy, HPyShortcuts, HPyTracker, MatchNames, Track};

use crate::context::Raised;

/// Two functions of the runtime; in the CPython ABI, the same ones, linked.
#[derive(Clone, Copy)]
pub struct Shortcuts {
    match_names: MatchNames,
    track: Track,
}

impl Shortcuts {
    /// None if there are none for this context, or the runtime is too old for these.
    ///
    /// # Safety
    /// Null, or what the runtime has told about the context that is used.
    #[cfg(not(feature = "cpython"))]
    #[inline(always)]
    pub unsafe fn new(told: *const HPyShortcuts) -> Option<Shortcuts> {
        // SAFETY: as this function's.
        let told = unsafe { told.as_ref() }?;
        Some(Shortcuts { match_names: told.match_names?, track: told.track? })
    }

    /// # Safety
    /// There is nothing to vouch for.
    #[cfg(feature = "cpython")]
    #[inline(always)]
    pub unsafe fn new(_told: *const HPyShortcuts) -> Option<Shortcuts> {
        Some(Shortcuts { match_names: hpy_cpython::keywords::match_names, track: hpy_cpython::tracker::track })
    }

    /// Finds the values of keyword arguments for so many parameters; false if it can't.
    ///
    /// # Safety
    /// As [`MatchNames`] says.
    #[inline(always)]
    pub unsafe fn match_names(
        self,
        kwnames: HPy,
        given: *const HPy,
        names: *const *const c_char,
        count: usize,
        values: *mut HPy,
    ) -> bool {
        // SAFETY: as this function's.
        unsafe { (self.match_names)(kwnames, given, names, count, values) != 0 }
    }

    /// A tracker with another reference to each of these objects.
    ///
    /// # Safety
    /// There are as many handles, all of live objects.
    #[inline(always)]
    pub unsafe fn track(self, objects: *const HPy, count: usize) -> Result<HPyTracker, Raised> {
        // SAFETY: as this function's.
        let tracker = unsafe { (self.track)(objects, count) };
        if tracker.is_null() { Err(Raised) } else { Ok(tracker) }
    }
}
