//! What the headers of the CPython ABI call beside the API.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use hpy_abi::{HPyContext, HPyFunc_traverseproc, HPyModuleDef};
use hpy_cpython::{context, module, traverse_from_trampoline};
use pyo3_ffi::{PyModuleDef_Init, PyObject, visitproc};

/// What `PyInit_NAME` returns, which CPython keeps; null with an exception set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyModule_Init(ctx: *mut HPyContext, def: *mut HPyModuleDef) -> *mut PyObject {
    // SAFETY: the binary's context and definition, which stay.
    unsafe {
        match context::fill_constants_only(ctx).and_then(|()| module::definition(ctx, def)) {
            Ok(def) => PyModuleDef_Init(def),
            Err(_) => null_mut(),
        }
    }
}

/// What a create slot returned, unless it is a plain module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyModule_CheckCreated(created: *mut PyObject) -> *mut PyObject {
    // SAFETY: the slot's result, a new reference or null.
    unsafe { module::check_created_module(created) }
}

/// Calls a tp_traverse with the struct of an instance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyType_Traverse(
    traverse: HPyFunc_traverseproc,
    object: *mut PyObject,
    visit: visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector passes an instance of the type with that slot.
    unsafe { traverse_from_trampoline(traverse, object, visit, arg) }
}
