//! Globals: the object's address in the extension's variable, with a reference of its own.

use hpy_abi::runtime::Global;
use hpy_abi::*;
use pyo3_ffi::{Py_XDECREF, Py_XINCREF};

use crate::handle::{to_handle, to_object};
use crate::{CPython, lock};

impl Global for CPython {
    unsafe extern "C" fn ctx_Global_Store(_ctx: *mut HPyContext, global: *mut HPyGlobal, h: HPy) {
        // SAFETY: the variable is the extension's for good, and an aligned word. Its old object is let go last, as that can
        // run code that stores again.
        unsafe {
            Py_XINCREF(to_object(h));
            let old = lock::exchange_global(global, h._i);
            Py_XDECREF(to_object(HPy { _i: old }));
        }
    }

    unsafe extern "C" fn ctx_Global_Load(_ctx: *mut HPyContext, global: HPyGlobal) -> HPy {
        let object = to_object(HPy { _i: global._i });
        // SAFETY: the variable's reference keeps the object alive.
        unsafe { Py_XINCREF(object) };
        to_handle(object)
    }
}
