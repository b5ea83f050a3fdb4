//! Compiling and evaluating Python code; context variables.

use core::ffi::{c_char, c_int};

use hpy_abi::runtime::{Contextvar, Eval};
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::{direct_contextvar, direct_eval};
use crate::handle::{to_handle, to_object};

impl Eval for CPython {
    direct_eval!();

    unsafe extern "C" fn ctx_Compile_s(
        _ctx: *mut HPyContext,
        utf8_source: *const c_char,
        utf8_filename: *const c_char,
        kind: HPy_SourceKind,
    ) -> HPy {
        // SAFETY: the caller's strings are NUL-terminated, and it holds the interpreter.
        unsafe {
            let start = match kind {
                HPy_SourceKind_Expr => Py_eval_input,
                HPy_SourceKind_File => Py_file_input,
                HPy_SourceKind_Single => Py_single_input,
                _ => {
                    PyErr_SetString(PyExc_SystemError, c"invalid source kind".as_ptr());
                    return HPy::NULL;
                }
            };
            to_handle(Py_CompileString(utf8_source, utf8_filename, start))
        }
    }
}

impl Contextvar for CPython {
    direct_contextvar!();

    unsafe extern "C" fn ctx_ContextVar_Get(
        _ctx: *mut HPyContext,
        context_var: HPy,
        default_value: HPy,
        result: *mut HPy,
    ) -> i32 {
        let mut value = core::ptr::null_mut();
        // SAFETY: the caller's handles are live objects or, the default, null, and `result` can be written.
        unsafe {
            let found: c_int = PyContextVar_Get(to_object(context_var), to_object(default_value), &mut value);
            *result = to_handle(value);
            found
        }
    }
}
