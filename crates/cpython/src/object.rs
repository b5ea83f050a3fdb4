//! What every object can do.

use core::ffi::c_int;

use hpy_abi::runtime::Object;
use hpy_abi::*;

use crate::CPython;
use crate::autogen_direct::direct_object;
use crate::handle::to_object;

#[cfg(not(windows))]
unsafe extern "C" {
    /// Part of CPython since 3.0 and exported by all builds, though not documented; 3.15 took the underscore away.
    #[cfg_attr(Py_3_15, link_name = "PyObject_Dump")]
    fn _PyObject_Dump(object: *mut pyo3_ffi::PyObject);
}

impl Object for CPython {
    direct_object!();

    unsafe extern "C" fn ctx_Dump(_ctx: *mut HPyContext, h: HPy) {
        // SAFETY: it accepts null and, as far as it can tell, dead objects too.
        #[cfg(not(windows))]
        unsafe {
            _PyObject_Dump(to_object(h));
        }
        // SAFETY: the caller's handle is a live object. Python's library there does not export the function (not tried).
        #[cfg(windows)]
        unsafe {
            pyo3_ffi::PySys_FormatStderr(c"object: %R\n".as_ptr(), to_object(h));
        }
    }
}
