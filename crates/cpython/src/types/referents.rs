//! What `gc.get_referents` is told of an instance: what its fields hold, as with HPy 0.9 and on other interpreters.
//!
//! The collector has to see the instance's type as well, or cycles through it would never be freed. The two ask in the same way
//! and differ only in the function that is called back. CPython does not name that of `gc.get_referents`, so an object of our own
//! listens to it once.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use pyo3_ffi::*;

use crate::raised::{PythonError, Result};

/// The function that `gc.get_referents` hands over; 0 until it is known.
static CALLBACK: AtomicUsize = AtomicUsize::new(0);

/// Whether it is not the collector that asks.
#[inline]
pub fn are_asked_for(visit: visitproc) -> bool {
    visit as usize == CALLBACK.load(Ordering::Relaxed)
}

thread_local! {
    /// Set while this thread asks. The collector may come by in another one.
    static ASKS: Cell<bool> = const { Cell::new(false) };
}

fn asks(now: bool) {
    ASKS.with(|asks| asks.set(now));
}

unsafe extern "C" fn listen(_object: *mut PyObject, visit: visitproc, _arg: *mut c_void) -> c_int {
    if ASKS.with(Cell::get) {
        CALLBACK.store(visit as usize, Ordering::Relaxed);
    }
    0
}

/// Learns to tell the two apart.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn learn() -> Result<()> {
    let mut slots = [
        PyType_Slot { slot: Py_tp_traverse, pfunc: listen as traverseproc as *mut c_void },
        PyType_Slot { slot: 0, pfunc: null_mut() },
    ];
    let mut spec = PyType_Spec {
        name: c"hpy.listener".as_ptr(),
        basicsize: 0,
        itemsize: 0,
        flags: (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC) as core::ffi::c_uint,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: as this function's; all references are ours. The collector may come by in this thread as well, but
    // get_referents is the last.
    unsafe {
        let gc = PyImport_ImportModule(c"gc".as_ptr());
        let class = PyType_FromSpec(&mut spec);
        let listener = if class.is_null() { null_mut() } else { PyObject_CallObject(class, null_mut()) };
        let referents = if gc.is_null() || listener.is_null() {
            null_mut()
        } else {
            asks(true);
            let referents = PyObject_CallMethod(gc, c"get_referents".as_ptr(), c"O".as_ptr(), listener);
            asks(false);
            referents
        };
        let learnt = !referents.is_null();
        for object in [referents, listener, class, gc] {
            Py_XDECREF(object);
        }
        if learnt { Ok(()) } else { Err(PythonError) }
    }
}
