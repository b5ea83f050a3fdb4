//! Globals: the object's address in the extension's variable, with a reference of its own.
//!
//! That is the main interpreter's object. Once another interpreter uses a global, its variable holds an index instead, for good, and each
//! interpreter has its object under this index. An index is told from an address by its lowest bit.

use core::sync::atomic::{AtomicUsize, Ordering};

use hpy_abi::runtime::Global;
use hpy_abi::*;
use pyo3_ffi::{Py_XDECREF, Py_XINCREF};

use crate::CPython;
use crate::array::Array;
use crate::handle::{new_ref, to_handle, to_object};
use crate::interpreters::{self, Interpreter};
use crate::lock;
use crate::raised::Result;

/// The index in a variable, if there is one.
fn index_in(word: isize) -> Option<usize> {
    (word & 1 != 0).then_some(word.cast_unsigned() >> 1)
}

/// An index that no global has had.
fn new_index() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// Whether the value of a variable is to be looked up, or is another interpreter's.
///
/// # Safety
/// The caller holds an interpreter.
#[inline(always)]
unsafe fn is_elsewhere(word: isize) -> bool {
    // SAFETY: as this function's.
    interpreters::are_several() && (index_in(word).is_some() || unsafe { !interpreters::is_main() })
}

/// The current interpreter's object for the value of a variable, as a new reference, or null.
#[cold]
unsafe fn look_up(word: isize) -> HPy {
    // SAFETY: the caller holds an interpreter.
    unsafe {
        let (Some(index), Ok(interpreter)) = (index_in(word), Interpreter::current()) else { return HPy::NULL };
        lock::while_globals_locked(|| {
            let found = interpreter.globals().as_slice().get(index).copied().unwrap_or(HPy::NULL);
            to_handle(new_ref(to_object(found)))
        })
    }
}

/// Puts a value into a place of an interpreter, and gives the old one.
///
/// # Safety
/// The caller has the lock of globals.
unsafe fn exchange_at(globals: &mut Array<HPy>, index: usize, value: HPy) -> Result<HPy> {
    while globals.as_slice().len() <= index {
        globals.push(HPy::NULL)?;
    }
    // SAFETY: there is such a place.
    Ok(unsafe { globals.as_mut_ptr().add(index).replace(value) })
}

/// Stores where several interpreters have values. Gives the old one.
///
/// # Safety
/// The global is an extension's variable; the caller holds an interpreter, and hands over a reference.
unsafe fn exchange_here(global: *mut HPyGlobal, value: HPy) -> Result<HPy> {
    // SAFETY: as this function's.
    unsafe {
        let (main, current) = (Interpreter::main()?, Interpreter::current()?);
        lock::while_globals_locked(|| {
            let word = (*global)._i;
            let index = match index_in(word) {
                Some(index) => index,
                None => {
                    // What is in the variable is the main interpreter's.
                    let index = new_index();
                    exchange_at(main.globals(), index, HPy { _i: word })?;
                    (*global)._i = (index << 1 | 1).cast_signed();
                    index
                }
            };
            exchange_at(current.globals(), index, value)
        })
    }
}

/// Stores where several interpreters may have values.
///
/// # Safety
/// As [`exchange_here`], but for the reference.
#[cold]
#[inline(never)]
unsafe fn store_here(global: *mut HPyGlobal, h: HPy) {
    // SAFETY: as this function's. The old object is let go last.
    unsafe {
        Py_XINCREF(to_object(h));
        let old = if is_elsewhere((*global)._i) {
            // Without memory there is an exception, and the global stays as it was.
            exchange_here(global, h).unwrap_or(h)
        } else {
            HPy { _i: lock::exchange_global(global, h._i) }
        };
        Py_XDECREF(to_object(old));
    }
}

/// Loads where several interpreters may have values.
///
/// # Safety
/// The value is a global's; the caller holds an interpreter.
#[cold]
#[inline(never)]
unsafe fn load_here(global: HPyGlobal) -> HPy {
    // SAFETY: as this function's. The variable's reference keeps an object that is in it alive.
    unsafe {
        if is_elsewhere(global._i) {
            return look_up(global._i);
        }
        to_handle(new_ref(to_object(HPy { _i: global._i })))
    }
}

/// A new handle to what is in a global where there is no GIL; null if nothing is.
///
/// # Safety
/// The global is an extension's variable; the calling thread is attached to the interpreter.
pub unsafe fn load_shared(global: *const HPyGlobal) -> HPy {
    // SAFETY: as this function's. What was there is either an index, which stays, or may be another one by now.
    unsafe {
        let word = (*global)._i;
        if is_elsewhere(word) { look_up(word) } else { to_handle(lock::load_global(global)) }
    }
}

/// Whether the variable has something else in it than the object's address.
///
/// # Safety
/// As [`load_shared`].
pub unsafe fn is_looked_up(global: *const HPyGlobal) -> bool {
    // SAFETY: as this function's.
    unsafe { is_elsewhere((*global)._i) }
}

impl Global for CPython {
    unsafe extern "C" fn ctx_Global_Store(_ctx: *mut HPyContext, global: *mut HPyGlobal, h: HPy) {
        // SAFETY: the variable is the extension's for good, and an aligned word. Its old object is let go last, as that can
        // run code that stores again.
        unsafe {
            if interpreters::are_several() {
                return store_here(global, h);
            }
            Py_XINCREF(to_object(h));
            Py_XDECREF(to_object(HPy { _i: lock::exchange_global(global, h._i) }));
        }
    }

    unsafe extern "C" fn ctx_Global_Load(_ctx: *mut HPyContext, global: HPyGlobal) -> HPy {
        // SAFETY: the variable's reference keeps the object alive.
        unsafe {
            if interpreters::are_several() {
                return load_here(global);
            }
            to_handle(new_ref(to_object(HPy { _i: global._i })))
        }
    }
}
