//! What the headers of the CPython ABI call beside the API.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

use hpy_abi::runtime::Global;
use hpy_abi::{HPy, HPyContext, HPyField, HPyFunc_traverseproc, HPyGlobal, HPyModuleDef, HPyTracker};
use hpy_cpython::handle::{to_handle, to_object};
use hpy_cpython::module::{Gil, Start};
use hpy_cpython::raised::Result;
use hpy_cpython::trampoline::traverse_from_trampoline;
use hpy_cpython::{CPython, context, global, interpreters, lock, module};
use pyo3_ffi::{PyModule_GetDef, PyModuleDef, PyModuleDef_Init, PyObject, visitproc};

use crate::modes;

/// What `PyInit_NAME` returns, which CPython keeps; null with an exception set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyModule_Init(
    ctx: *mut HPyContext,
    def: *mut HPyModuleDef,
    gil_not_used: c_int,
    name: *const c_char,
) -> *mut PyObject {
    let gil = if gil_not_used == 0 { Gil::Used } else { Gil::NotUsed };
    // SAFETY: the binary's context and definition, which stay.
    unsafe {
        let prepared = ready(ctx).and_then(|()| modes::warn_of_none(name));
        // Where that was for the main interpreter, the one that imports is yet to come.
        let start = module::STARTS_IN_MAIN.then_some(&START);
        match prepared.and_then(|()| module::definition(ctx, def, gil, start)) {
            Ok(def) => PyModuleDef_Init(def),
            Err(_) => null_mut(),
        }
    }
}

static START: Start = Start { create: start_create, exec: start_exec };

unsafe extern "C" fn start_create(spec: *mut PyObject, def: *mut PyModuleDef) -> *mut PyObject {
    // SAFETY: CPython passes the definition that it got from us; the slot's function is called as CPython would.
    unsafe {
        match (ready(module::context_of(def)), module::create_slot(def)) {
            (Ok(()), Some(create)) => create(spec, def),
            _ => null_mut(),
        }
    }
}

unsafe extern "C" fn start_exec(module: *mut PyObject) -> c_int {
    // SAFETY: CPython passes a module that it made from our definition.
    unsafe { ready(module::context_of(PyModule_GetDef(module))).map_or(-1, |()| 0) }
}

/// Readies the binary's context for the current interpreter.
unsafe fn ready(ctx: *mut HPyContext) -> Result<()> {
    // SAFETY: the caller's context stays, and it holds the interpreter.
    unsafe { interpreters::refuse_own_gil().and_then(|()| context::fill_constants_only(ctx)) }
}

/// What a create slot returned, unless it is a plain module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyModule_CheckCreated(created: *mut PyObject) -> *mut PyObject {
    // SAFETY: the slot's result, a new reference or null.
    unsafe { module::check_created_module(created) }
}

/// What `HPyArg_ParseKeywords` tries first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyArg_ParseObjects(
    ht: *mut HPyTracker,
    args: *const HPy,
    nargs: usize,
    kwnames: HPy,
    keywords: *const *const c_char,
    outputs: *const *mut HPy,
    count: usize,
    required: usize,
) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { hpy_cpython::keywords::parse_objects(ht, args, nargs, kwnames, keywords, outputs, count, required) }
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

/// `HPyField_Load` where there is no GIL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPy_field_load(source_object: HPy, source_field: *const HPyField) -> HPy {
    // SAFETY: the caller's object and a field of it.
    unsafe { to_handle(lock::load_field(to_object(source_object), source_field)) }
}

/// `HPyGlobal_Load` where there is no GIL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPy_global_load(variable: *const HPyGlobal) -> HPy {
    // SAFETY: the caller's global.
    unsafe { global::load_shared(variable) }
}

/// `HPyGlobal_Load` where there are several interpreters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyGlobal_LoadHere(global: HPyGlobal) -> HPy {
    // SAFETY: the value of the caller's global.
    unsafe { CPython::ctx_Global_Load(null_mut(), global) }
}

/// The current interpreter's context, in place of the binary's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyContext_Here(ctx: *mut HPyContext) -> *mut HPyContext {
    // SAFETY: the caller, a trampoline, holds an interpreter.
    unsafe { interpreters::here(ctx) }
}
