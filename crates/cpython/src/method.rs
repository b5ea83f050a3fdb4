//! Methods of modules and types: CPython's definitions from an extension's.

use core::mem::transmute;

use hpy_abi::*;
use pyo3_ffi::*;

use crate::bridge;
use crate::raised::{PythonError, Result};

/// Hands over the methods of the definitions, then the legacy ones.
///
/// # Safety
/// The definitions stay; legacy methods have to end with one without a name.
pub(crate) unsafe fn add_methods(
    ctx: *mut HPyContext,
    defines: &[*mut HPyDef],
    mut legacy: *const PyMethodDef,
    mut add: impl FnMut(PyMethodDef) -> Result<()>,
) -> Result<()> {
    for &define in defines {
        // SAFETY: the kind says which.
        let meth = unsafe {
            if (*define).kind != HPyDef_Kind_Meth {
                continue;
            }
            &(*define).u.meth
        };
        let flags = match meth.signature {
            HPyFunc_VARARGS => METH_FASTCALL,
            HPyFunc_KEYWORDS => METH_FASTCALL | METH_KEYWORDS,
            HPyFunc_NOARGS => METH_NOARGS,
            HPyFunc_O => METH_O,
            _ => {
                // SAFETY: the caller holds the interpreter.
                unsafe { PyErr_SetString(PyExc_ValueError, c"Unsupported HPyMeth signature".as_ptr()) };
                return Err(PythonError);
            }
        };
        if meth.name.is_null() || meth.r#impl.is_none() || meth.cpy_trampoline.is_none() {
            // SAFETY: the caller holds the interpreter.
            unsafe {
                let text = c"HPyMeth: name, impl and cpy_trampoline have to be set; HPyDef_METH does that";
                PyErr_SetString(PyExc_TypeError, text.as_ptr());
            }
            return Err(PythonError);
        }
        let entry = bridge::of(ctx, meth.signature, meth.r#impl, meth.cpy_trampoline);
        // SAFETY: the flags say what CPython calls it as.
        let ml_meth = unsafe { transmute::<HPyCFunction, PyMethodDefPointer>(entry) };
        add(PyMethodDef { ml_name: meth.name, ml_meth, ml_flags: flags, ml_doc: meth.doc })?;
    }
    // SAFETY: as this function's.
    unsafe {
        while let Some(method) = legacy.as_ref().filter(|method| !method.ml_name.is_null()) {
            add(*method)?;
            legacy = legacy.add(1);
        }
    }
    Ok(())
}
