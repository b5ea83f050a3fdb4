//! CPython without the GIL: what binaries are given there that have declared that they need none, and what is done for the others.

use core::ffi::c_int;
use core::mem::size_of;
use core::ptr::null_mut;

use hpy_abi::*;
use hpy_cpython::handle::{to_handle, to_object};
use hpy_cpython::module;
use hpy_cpython::raised::Result;
use hpy_cpython::table::is_universal;
use hpy_cpython::{global, lock};
use hpy_debug::inspect;
use pyo3_ffi::*;

use crate::binding::Static;
use crate::cpython::threads::holds_interpreter;
use crate::owned::Owned;

/// Called before a binary's first function. Hands over what it needs without the GIL if it has declared that it is right without;
/// otherwise turns the GIL on, as importing a C extension does, with the same warning.
///
/// # Safety
/// The function is the binary's, `name` the module's full name; the caller holds the interpreter.
pub unsafe fn prepare(set_threading: Option<SetThreading>, name: *mut PyObject) -> Result<()> {
    // SAFETY: as this function's.
    unsafe {
        if set_threading.is_none() {
            turn_gil_on(name)?;
        }
        hand_over(set_threading);
    }
    Ok(())
}

/// Hands over what a binary needs that has declared that it is right without the GIL.
///
/// # Safety
/// The function is the binary's.
pub unsafe fn hand_over(set_threading: Option<SetThreading>) {
    if let Some(set_threading) = set_threading {
        // SAFETY: as this function's; the struct is static.
        unsafe { set_threading(&THREADING) };
    }
}

/// Only CPython's import system can turn the GIL on, so it gets something to import: `hpy._gil` does that.
unsafe fn turn_gil_on(name: *mut PyObject) -> Result<()> {
    // SAFETY: the name is alive; references are counted by `Owned`.
    unsafe {
        let module = Owned::new(PyImport_ImportModule(c"hpy._gil".as_ptr()))?;
        let function = Owned::new(PyObject_GetAttrString(module.as_ptr(), c"turn_on".as_ptr()))?;
        Owned::new(PyObject_CallOneArg(function.as_ptr(), name))?;
    }
    Ok(())
}

/// A module that does not say that it needs no GIL. Nothing else is in it.
static WITHOUT_DECLARATION: Static<PyModuleDef> = Static::new(module::empty(c"_loaded_by_hpy".as_ptr()));

/// What `hpy._gil` imports.
#[allow(non_snake_case)]
#[unsafe(no_mangle)]
pub extern "C" fn PyInit__loaded_by_hpy() -> *mut PyObject {
    // SAFETY: the definition is static, and CPython holds the interpreter here.
    unsafe { PyModuleDef_Init(WITHOUT_DECLARATION.get()) }
}

static THREADING: HPyThreading =
    HPyThreading { size: size_of::<HPyThreading>() as u32, field_load, global_load, release };

/// What the binary has to do with the value that it is given.
const NOTHING: c_int = 0;
const LOAD_AND_RELEASE: c_int = 1;
const LOAD: c_int = -1;

// In a mode, the mode's function does the loading, called from the extension's own line. The value has got a reference of its own before
// that, as the function may run code that stores. What the mode has something to say about, such as a thread that has left Python, is left
// to it as it is.

unsafe extern "C" fn field_load(
    ctx: *mut HPyContext,
    source_object: HPy,
    source_field: *const HPyField,
    h: *mut HPy,
    value: *mut HPyField,
) -> c_int {
    // SAFETY: the caller's field is in the struct of its object, unless debug mode has something to say; the results are variables.
    unsafe {
        if is_universal(ctx) {
            *h = to_handle(lock::load_field(to_object(source_object), source_field));
            return NOTHING;
        }
        let held = holds_interpreter();
        let owner = if held { to_object(inspect::innermost(ctx, source_object).handle()) } else { null_mut() };
        if owner.is_null() || inspect::is_handle((*source_field)._i) {
            *value = *source_field;
            return LOAD;
        }
        *value = HPyField { _i: to_handle(lock::load_field(owner, source_field))._i };
        if *value == HPyField::NULL {
            return NOTHING;
        }
        inspect::loads_from(source_field);
        LOAD_AND_RELEASE
    }
}

unsafe extern "C" fn global_load(
    ctx: *mut HPyContext,
    variable: *const HPyGlobal,
    h: *mut HPy,
    value: *mut HPyGlobal,
) -> c_int {
    // SAFETY: the caller's global is a variable of the binary, unless debug mode has something to say; the results are variables.
    unsafe {
        if is_universal(ctx) {
            *h = global::load_shared(variable);
            return NOTHING;
        }
        // A value that is looked up is the same whatever others store.
        if !holds_interpreter() || inspect::is_handle((*variable)._i) || global::is_looked_up(variable) {
            *value = *variable;
            return LOAD;
        }
        *value = HPyGlobal { _i: to_handle(lock::load_global(variable))._i };
        LOAD_AND_RELEASE
    }
}

unsafe extern "C" fn release(value: isize) {
    inspect::has_loaded();
    // SAFETY: the reference of a value that was given above, or null.
    unsafe { Py_XDECREF(to_object(HPy { _i: value })) };
}
