//! `tp_dealloc` of legacy slots, and whether it gives up the object's type.
//!
//! Each instance of a type made at run time keeps a reference to it, which the function has to give up. One that was written for a
//! static type does not, and then the type is never freed.

use core::cell::RefCell;
use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hpy_cpython::handle::to_object;
use hpy_cpython::raised::Result;
use hpy_layer::inner::InnerHandle;
use pyo3_ffi::*;

use super::pending::Pending;
use crate::owned::Owned;

/// A type is told of when it has been kept as often, and never given up: one of a few instances may be resurrected, or wait for its turn.
const PATIENCE: u32 = 10;

/// What is known of a type.
struct Watched {
    real: destructor,
    /// Tells of the type's end.
    end: usize,
    kept: u32,
    is_given_up: bool,
}

/// By the address of the type, while it is alive.
static WATCHED: Mutex<Option<HashMap<usize, Watched>>> = Mutex::new(None);

thread_local! {
    /// The objects that are being deallocated on this thread, with the type whose function is running.
    static RUNNING: RefCell<Vec<(usize, *mut PyTypeObject)>> = const { RefCell::new(Vec::new()) };
}

fn with<T>(use_it: impl FnOnce(&mut HashMap<usize, Watched>) -> T) -> T {
    use_it(WATCHED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Watches the `tp_dealloc` of a type that was made from these legacy slots, if it is among them.
///
/// # Safety
/// The handle is of a type that was just made from the slots, which end as they should.
pub unsafe fn watch(tp: InnerHandle, slots: *const c_void) {
    // References are not counted in one place there.
    if cfg!(Py_GIL_DISABLED) {
        return;
    }
    // SAFETY: as this function's.
    unsafe {
        let tp: *mut PyTypeObject = to_object(tp.handle()).cast();
        let Some(real) = (*tp).tp_dealloc else { return };
        let mut slot = slots.cast::<PyType_Slot>();
        while (*slot).slot != 0 {
            if (*slot).slot == Py_tp_dealloc && (*slot).pfunc.addr() == real as usize {
                let pending = Pending::put_aside();
                // Without memory for it, the type is not watched.
                match end_of(tp.cast()) {
                    Ok(end) => {
                        let known = Watched { real, end: end.into_raw().addr(), kept: 0, is_given_up: false };
                        with(|watched| watched.insert(tp.addr(), known));
                        (*tp).tp_dealloc = Some(dealloc);
                    }
                    Err(_) => PyErr_Clear(),
                }
                drop(pending);
                return;
            }
            slot = slot.add(1);
        }
    }
}

/// A weak reference to a type, which calls `forget`.
unsafe fn end_of(tp: *mut PyObject) -> Result<Owned> {
    static mut FORGET: PyMethodDef = PyMethodDef {
        ml_name: c"forget".as_ptr(),
        ml_meth: PyMethodDefPointer { PyCFunction: forget },
        ml_flags: METH_O,
        ml_doc: core::ptr::null(),
    };
    // SAFETY: the caller holds the interpreter, and the definition stays.
    unsafe {
        let callback = Owned::new(PyCFunction_NewEx(&raw mut FORGET, null_mut(), null_mut()))?;
        Owned::new(PyWeakref_NewRef(tp, callback.as_ptr()))
    }
}

/// A type ends. Its last instances may go after this.
unsafe extern "C" fn forget(_module: *mut PyObject, end: *mut PyObject) -> *mut PyObject {
    let found = with(|watched| {
        let of_end = |(tp, known): (&usize, &Watched)| (known.end == end.addr()).then_some(*tp);
        let tp = watched.iter().find_map(of_end)?;
        watched.remove(&tp).map(|known| (tp, known.real))
    });
    // SAFETY: the type is still there while CPython tells of its end; the reference to the weak reference was the entry's.
    unsafe {
        if let Some((tp, real)) = found {
            (*core::ptr::with_exposed_provenance_mut::<PyTypeObject>(tp)).tp_dealloc = Some(real);
            Py_DECREF(end);
        }
        hpy_cpython::handle::new_ref(Py_None())
    }
}

/// The function that `dealloc` stands for, which was called for `tp` or one of its bases, and the type that has it.
unsafe fn real_from(mut tp: *mut PyTypeObject) -> Option<(*mut PyTypeObject, destructor)> {
    // SAFETY: the type of an object, whose bases live as long as it does.
    unsafe {
        // Derived types have functions of their own, which have called that of their base.
        while !tp.is_null() && !is_ours((*tp).tp_dealloc) {
            tp = (*tp).tp_base;
        }
        while !tp.is_null() {
            let real = if is_ours((*tp).tp_dealloc) {
                with(|watched| watched.get(&tp.addr()).map(|known| known.real))
            } else {
                // The end of the type that this was inherited from has been told of.
                (*tp).tp_dealloc
            };
            if let Some(real) = real {
                return Some((tp, real));
            }
            tp = (*tp).tp_base;
        }
        None
    }
}

fn is_ours(function: Option<destructor>) -> bool {
    function.is_some_and(|function| function as usize == dealloc as *const () as usize)
}

/// None at the end of a thread.
fn running<T>(use_it: impl FnOnce(&mut Vec<(usize, *mut PyTypeObject)>) -> T) -> Option<T> {
    RUNNING.try_with(|running| use_it(&mut running.borrow_mut())).ok()
}

/// `tp_dealloc` of a type that is watched, and of those that inherit it.
unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: CPython passes an object without references, or the function of a derived type does.
    unsafe {
        let tp = Py_TYPE(object);
        let derived = running(|running| running.iter().rev().find(|each| each.0 == object.addr()).map(|each| each.1));
        let start = derived.flatten().map_or(tp, |derived| (*derived).tp_base);
        let Some((own, real)) = real_from(start) else { return };
        let this = (object.addr(), own);
        let is_outermost = running(|running| {
            running.push(this);
            running.len() == 1
        });
        Py_INCREF(tp.cast());
        let before = Py_REFCNT(tp.cast());
        real(object);
        let is_kept = Py_REFCNT(tp.cast()) >= before;
        // Greenlets do not come back in order.
        running(|running| running.iter().rposition(|each| *each == this).map(|index| running.remove(index)));
        if is_outermost == Some(true) && count(own, is_kept) {
            let pending = Pending::put_aside();
            let name = CStr::from_ptr((*own).tp_name).to_string_lossy();
            hpy_debug::type_is_kept(&name, real as usize);
            drop(pending);
        }
        Py_DECREF(tp.cast());
    }
}

/// Counts a deallocation, and says whether it is time to tell of the type.
fn count(tp: *mut PyTypeObject, is_kept: bool) -> bool {
    with(|watched| {
        let Some(found) = watched.get_mut(&tp.addr()) else { return false };
        found.is_given_up |= !is_kept;
        found.kept += 1;
        !found.is_given_up && found.kept == PATIENCE
    })
}
