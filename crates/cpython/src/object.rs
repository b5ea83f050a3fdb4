//! What every object can do.

use core::ffi::c_int;

use hpy_abi::runtime::Object;
use hpy_abi::*;

use crate::CPython;
use crate::autogen_direct::direct_object;
use crate::handle::to_object;
use crate::undeclared::_PyObject_Dump;

impl Object for CPython {
    direct_object!();

    unsafe extern "C" fn ctx_Dump(_ctx: *mut HPyContext, h: HPy) {
        // SAFETY: it accepts null and, as far as it can tell, dead objects too.
        unsafe { _PyObject_Dump(to_object(h)) };
    }
}
