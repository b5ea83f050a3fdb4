//! Lists.

use core::ffi::c_int;

use hpy_abi::runtime::List;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_list;
use crate::handle::{new_ref, to_handle};

impl List for CPython {
    direct_list!();

    unsafe extern "C" fn ctx_List_New(_ctx: *mut HPyContext, len: HPy_ssize_t) -> HPy {
        // SAFETY: nobody else sees the list before it is full.
        unsafe {
            let list = PyList_New(len);
            if !list.is_null() {
                for index in 0..len {
                    PyList_SET_ITEM(list, index, new_ref(Py_None()));
                }
            }
            to_handle(list)
        }
    }
}
