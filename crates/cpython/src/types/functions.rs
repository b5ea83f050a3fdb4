//! The functions that types of ours have.
//!
//! This crate can be in a process more than once: in the runtime, and in each extension of the CPython ABI. A type that one copy
//! made may be the base of another's. So the copies agree on one set of functions, that of the copy which came first, and on the
//! layout of what they find through a type, which is that of [`super::definition`]. [`super::agreement`] does that.

use core::sync::atomic::{AtomicPtr, Ordering};

use pyo3_ffi::*;

use super::registry::{self, Registry};

#[repr(C)]
pub struct Functions {
    pub dealloc: destructor,
    /// Of types that derive from `object` alone and have neither fields, items nor anything of Python's in their instances.
    pub dealloc_struct: destructor,
    pub traverse: traverseproc,
    pub clear: inquiry,
    /// Of types with `HPy_tp_call`.
    pub call: ternaryfunc,
    /// By which types are recognised.
    pub registry: &'static Registry,
}

/// What has been agreed on.
pub static OURS: AtomicPtr<Functions> = AtomicPtr::new((&raw const NOBODYS).cast_mut());

/// Before that there is no type of ours, and no type has these functions.
static NOBODYS: Functions = Functions {
    dealloc: nobodys::dealloc,
    dealloc_struct: nobodys::dealloc,
    traverse: nobodys::traverse,
    clear: nobodys::clear,
    call: nobodys::call,
    registry: &registry::OWN,
};

/// From now on types can be made with these functions, unless others have been agreed on.
pub fn start_with(own: &'static Functions) {
    let nobodys = (&raw const NOBODYS).cast_mut();
    _ = OURS.compare_exchange(nobodys, core::ptr::from_ref(own).cast_mut(), Ordering::AcqRel, Ordering::Acquire);
}

mod nobodys {
    use core::ffi::{c_int, c_void};

    use pyo3_ffi::{PyObject, visitproc};

    pub unsafe extern "C" fn dealloc(_object: *mut PyObject) {}

    pub unsafe extern "C" fn traverse(_object: *mut PyObject, _visit: visitproc, _arg: *mut c_void) -> c_int {
        0
    }

    pub unsafe extern "C" fn clear(_object: *mut PyObject) -> c_int {
        0
    }

    pub unsafe extern "C" fn call(
        _object: *mut PyObject,
        _args: *mut PyObject,
        _kwargs: *mut PyObject,
    ) -> *mut PyObject {
        core::ptr::null_mut()
    }
}

/// The functions that types of ours have.
#[inline]
pub fn ours() -> &'static Functions {
    // SAFETY: nobody's, our own or another copy's, and no copy is ever unloaded.
    unsafe { &*OURS.load(Ordering::Acquire) }
}

/// Whether a type's deallocator is ours. That does not make the type ours: others may have taken it over.
pub fn is_our_dealloc(function: Option<destructor>) -> bool {
    is_same(function, Some(ours().dealloc)) || is_same(function, Some(ours().dealloc_struct))
}

/// Functions are the same if their addresses are.
#[inline]
pub fn is_same<A: Copy, B: Copy>(one: Option<A>, other: Option<B>) -> bool {
    const { assert!(size_of::<Option<A>>() == size_of::<usize>() && size_of::<Option<B>>() == size_of::<usize>()) };
    // SAFETY: both are pointers to functions, or null.
    unsafe {
        core::mem::transmute_copy::<Option<A>, usize>(&one) == core::mem::transmute_copy::<Option<B>, usize>(&other)
    }
}
