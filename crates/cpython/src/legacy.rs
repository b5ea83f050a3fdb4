//! The way to the old C API and back, for hybrid binaries.

use hpy_abi::runtime::Legacy;
use hpy_abi::*;

use crate::CPython;
use crate::handle::{new_ref, to_handle, to_object};

impl Legacy for CPython {
    unsafe extern "C" fn ctx_FromPyObject(_ctx: *mut HPyContext, obj: *mut cpy_PyObject) -> HPy {
        // SAFETY: the object is null or alive: the caller has a reference to it.
        unsafe { to_handle(new_ref(obj.cast())) }
    }

    unsafe extern "C" fn ctx_AsPyObject(_ctx: *mut HPyContext, h: HPy) -> *mut cpy_PyObject {
        // SAFETY: the caller's handle is null or a live object.
        unsafe { new_ref(to_object(h)).cast() }
    }
}
