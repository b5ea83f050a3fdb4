//! Locks for fields and globals, where there is no GIL. Where there is one, it is the lock, and all of this comes to nothing.

use core::sync::atomic::{AtomicIsize, Ordering};

use hpy_abi::{HPy, HPyField, HPyGlobal};
use pyo3_ffi::*;

use crate::handle::{new_ref, to_object};

/// Calls `f` while no other thread has the lock of this object. It is given up while `f` waits for something, as all locks of
/// objects are.
///
/// # Safety
/// The object is alive, and the calling thread attached to the interpreter.
#[inline(always)]
pub unsafe fn while_locked<T>(object: *mut PyObject, f: impl FnOnce() -> T) -> T {
    #[cfg(not(Py_GIL_DISABLED))]
    {
        let _ = object;
        f()
    }
    #[cfg(Py_GIL_DISABLED)]
    // SAFETY: as this function's; the section lies in this frame, and is ended in it.
    unsafe {
        let mut section: PyCriticalSection = core::mem::zeroed();
        PyCriticalSection_Begin(&mut section, object);
        let result = f();
        PyCriticalSection_End(&mut section);
        result
    }
}

/// What is in a field of an object, as a new reference; null if nothing is. Nobody stores to it meanwhile.
///
/// # Safety
/// As [`while_locked`]; the field is one of the object's.
pub unsafe fn load_field(owner: *mut PyObject, field: *const HPyField) -> *mut PyObject {
    // SAFETY: as this function's; a field's word is the address of its object.
    unsafe { while_locked(owner, || new_ref(to_object(HPy { _i: (*field)._i }))) }
}

/// Puts a value into a field of an object and gives the old one.
///
/// # Safety
/// As [`load_field`].
#[inline(always)]
pub unsafe fn exchange_field(owner: *mut PyObject, field: *mut HPyField, value: HPyField) -> HPyField {
    // SAFETY: as this function's.
    unsafe {
        // CPython may read a member without the lock: what it finds has to be complete.
        #[cfg(Py_GIL_DISABLED)]
        let exchange = || HPyField { _i: AtomicIsize::from_ptr(&raw mut (*field)._i).swap(value._i, Ordering::AcqRel) };
        #[cfg(not(Py_GIL_DISABLED))]
        let exchange = || field.replace(value);
        while_locked(owner, exchange)
    }
}

/// The same for globals. `f` may not run the code of others.
#[cfg(Py_GIL_DISABLED)]
unsafe fn while_global_locked<T>(global: *const HPyGlobal, f: impl FnOnce() -> T) -> T {
    /// One of these is a global's, by its address.
    static MUTEXES: [PyMutex; 16] = [const { PyMutex::new() }; 16];
    let place = global.addr() / size_of::<HPyGlobal>() % MUTEXES.len();
    let mutex = MUTEXES.get(place).map_or(core::ptr::null_mut(), |mutex| (&raw const *mutex).cast_mut());
    // SAFETY: the mutex is static, and the remainder one of its indices; the caller is attached to the interpreter.
    unsafe {
        PyMutex_Lock(mutex);
        let result = f();
        PyMutex_Unlock(mutex);
        result
    }
}

#[cfg(not(Py_GIL_DISABLED))]
#[inline(always)]
unsafe fn while_global_locked<T>(_global: *const HPyGlobal, f: impl FnOnce() -> T) -> T {
    f()
}

/// The same for what interpreters keep of all globals.
///
/// # Safety
/// The calling thread is attached to the interpreter.
pub unsafe fn while_globals_locked<T>(f: impl FnOnce() -> T) -> T {
    static OF_ALL: HPyGlobal = HPyGlobal { _i: 0 };
    // SAFETY: as this function's.
    unsafe { while_global_locked(&raw const OF_ALL, f) }
}

/// What is in a global, as a new reference; null if nothing is.
///
/// # Safety
/// The global is an extension's variable; the calling thread is attached to the interpreter.
pub unsafe fn load_global(global: *const HPyGlobal) -> *mut PyObject {
    // SAFETY: as this function's; a global's word is the address of its object.
    unsafe { while_global_locked(global, || new_ref(to_object(HPy { _i: (*global)._i }))) }
}

/// Puts a value into a global and gives the old one.
///
/// # Safety
/// As [`load_global`].
#[inline(always)]
pub unsafe fn exchange_global(global: *mut HPyGlobal, value: isize) -> isize {
    // SAFETY: as this function's.
    unsafe {
        while_global_locked(global, || AtomicIsize::from_ptr(&raw mut (*global)._i).swap(value, Ordering::AcqRel))
    }
}
