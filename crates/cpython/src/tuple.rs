//! Tuples.

use core::ffi::c_int;

use hpy_abi::runtime::Tuple;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_tuple;
use crate::handle::{new_ref, to_handle, to_object};

impl Tuple for CPython {
    direct_tuple!();

    unsafe extern "C" fn ctx_Tuple_FromArray(_ctx: *mut HPyContext, items: *const HPy, n: HPy_ssize_t) -> HPy {
        // SAFETY: the caller's array has `n` live handles, and nobody else sees the tuple before it is full.
        unsafe {
            let tuple = PyTuple_New(n);
            if !tuple.is_null() {
                for index in 0..n {
                    PyTuple_SET_ITEM(tuple, index, new_ref(to_object(*items.offset(index))));
                }
            }
            to_handle(tuple)
        }
    }
}
