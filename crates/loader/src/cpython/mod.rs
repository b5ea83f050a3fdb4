//! CPython, and hosts with its C API: [`Interpreter`] for them.
//!
//! * `debug_host` is what debug mode asks, with `dealloc`, which watches types of the C API for it; `trace_host` is what trace mode asks.
//! * `pending` keeps an exception while something else is done, `place` tells where Python code is, `threads` who holds the interpreter.

mod dealloc;
mod debug_host;
mod pending;
mod place;
pub mod threads;
mod trace_host;

use core::ffi::CStr;

use hpy_abi::{HPyContext, HPyModuleDef};
use hpy_cpython::handle::to_handle;
use hpy_cpython::module::{self, Gil};
use hpy_cpython::raised::PythonError;
use hpy_cpython::{context, interpreters};
use hpy_layer::inner::InnerHandle;
use hpy_layer::object::{Raised, Result};
use pyo3_ffi::*;

use crate::interpreter::Interpreter;
use crate::owned::Owned;

pub struct CPython;

fn raised(_: PythonError) -> Raised {
    Raised
}

impl Interpreter for CPython {
    const DEBUG: &'static hpy_debug::Host = &debug_host::HOST;
    const TRACE: &'static hpy_trace::Host = &trace_host::HOST;

    unsafe fn universal() -> Result<*mut HPyContext> {
        // SAFETY: as the trait's.
        unsafe { context::universal() }.map_err(raised)
    }

    unsafe fn below_layers() -> Result<*mut HPyContext> {
        // SAFETY: as the trait's.
        unsafe { context::below_layers() }.map_err(raised)
    }

    fn main_context(ctx: *mut HPyContext) -> *mut HPyContext {
        interpreters::main_of(ctx)
    }

    unsafe fn make_module(ctx: *mut HPyContext, definition: *mut HPyModuleDef, name: &CStr) -> Result<InnerHandle> {
        // SAFETY: as the trait's.
        let made = unsafe {
            let definition = module::definition(ctx, definition, Gil::NotUsed, None);
            definition.and_then(|definition| module::create(definition, spec(name)?.as_ptr()))
        };
        made.map(|module| InnerHandle::of(to_handle(module))).map_err(raised)
    }
}

/// A module's spec without a loader.
unsafe fn spec(name: &CStr) -> core::result::Result<Owned, PythonError> {
    // SAFETY: the caller holds the interpreter; the format takes a C string and an object.
    unsafe {
        // Always there, as imports need it.
        let importlib = Owned::new(PyImport_ImportModule(c"_frozen_importlib".as_ptr()))?;
        let class = Owned::new(PyObject_GetAttrString(importlib.as_ptr(), c"ModuleSpec".as_ptr()))?;
        Owned::new(PyObject_CallFunction(class.as_ptr(), c"sO".as_ptr(), name.as_ptr(), Py_None()))
    }
}
