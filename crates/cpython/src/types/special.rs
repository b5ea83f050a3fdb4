//! Special methods that an extension gives as methods: `HPyDef_METH(…, "__iter__", …)`.
//!
//! CPython calls the functions of a type's slots and looks for such methods only when a class statement makes the class, or when one is
//! set. So they are set once more.

use core::ffi::CStr;

use hpy_abi::*;
use pyo3_ffi::*;

use super::type_object::Type;
use crate::handle::new_ref;
use crate::raised::{PythonError, Result, raise};

/// Special methods that don't work as methods, and the slots to use.
const SLOTS_ONLY: [(&CStr, &CStr); 3] = [
    (c"__new__", c"HPy_tp_new"),
    (c"__buffer__", c"HPy_bf_getbuffer"),
    (c"__release_buffer__", c"HPy_bf_releasebuffer"),
];

/// Refuses a method that nobody would call.
///
/// # Safety
/// The definition is an extension's; the caller holds the interpreter.
pub unsafe fn check(method: &HPyMeth, spec: &HPyType_Spec) -> Result<()> {
    // SAFETY: a name is null or a C string.
    unsafe {
        if method.name.is_null() {
            return Ok(());
        }
        let name = CStr::from_ptr(method.name);
        for (special, slot) in SLOTS_ONLY {
            if name == special {
                let format = c"HPyType_Spec.defines of '%s': '%s' can't be a method; use the slot %s";
                return Err(raise!(PyExc_TypeError, format, spec.name, method.name, slot.as_ptr()));
            }
        }
    }
    Ok(())
}

/// Whether a name is one of those that Python reserves for itself.
fn is_special(name: &CStr) -> bool {
    let name = name.to_bytes();
    name.starts_with(b"__") && name.ends_with(b"__")
}

/// Fills the slots of a type for the special methods among its definitions.
///
/// # Safety
/// The type is new and made with these definitions; the caller holds the interpreter.
pub unsafe fn fill_slots(tp: Type, defines: &[*mut HPyDef]) -> Result<()> {
    for &define in defines {
        // SAFETY: as this function's; the kind says which. The dictionary keeps the method.
        unsafe {
            if (*define).kind != HPyDef_Kind_Meth || !is_special(CStr::from_ptr((*define).u.meth.name)) {
                continue;
            }
            let name = (*define).u.meth.name;
            let method = PyDict_GetItemString((*tp.as_ptr()).tp_dict, name);
            // Where there is a slot as well, that is what stands in the dictionary.
            if method.is_null() || Py_TYPE(method) != &raw mut PyMethodDescr_Type {
                continue;
            }
            let method = new_ref(method);
            let result = PyObject_SetAttrString(tp.as_object(), name, method);
            Py_DECREF(method);
            if result < 0 {
                return Err(PythonError);
            }
        }
    }
    Ok(())
}
