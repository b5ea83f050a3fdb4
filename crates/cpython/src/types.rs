//! Types of extensions' own, and fields of their instances. Creating them is not there yet: these functions raise
//! NotImplementedError. What can be asked of types in general works.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;

use hpy_abi::runtime::{Field, Type};
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_type;
use crate::handle::to_object;

/// Says that a function is not part of this version, and gives its value for failure.
pub unsafe fn not_yet<T>(function: &CStr, failure: T) -> T {
    // SAFETY: the caller holds the interpreter; the format takes one C string.
    unsafe {
        PyErr_Format(
            PyExc_NotImplementedError,
            c"%s: this version of the HPy runtime can't create types yet".as_ptr(),
            function.as_ptr(),
        );
    }
    failure
}

macro_rules! no_structs_yet {
    ($($function:ident),*) => {
        $(
            unsafe extern "C" fn $function(_ctx: *mut HPyContext, _h: HPy) -> *mut c_void {
                // SAFETY: the caller holds the interpreter; `concat!` ends the name with a NUL.
                unsafe {
                    let name = CStr::from_bytes_with_nul_unchecked(concat!(stringify!($function), "\0").as_bytes());
                    not_yet(name, null_mut())
                }
            }
        )*
    };
}

impl Type for CPython {
    direct_type!();

    no_structs_yet!(
        ctx_AsStruct_Object,
        ctx_AsStruct_Legacy,
        ctx_AsStruct_Type,
        ctx_AsStruct_Long,
        ctx_AsStruct_Float,
        ctx_AsStruct_Unicode,
        ctx_AsStruct_Tuple,
        ctx_AsStruct_List,
        ctx_AsStruct_Dict
    );

    unsafe extern "C" fn ctx_Type_FromSpec(
        _ctx: *mut HPyContext,
        _spec: *mut HPyType_Spec,
        _params: *mut HPyType_SpecParam,
    ) -> HPy {
        // SAFETY: the caller holds the interpreter.
        unsafe { not_yet(c"HPyType_FromSpec", HPy::NULL) }
    }

    unsafe extern "C" fn ctx_Type_GenericNew(
        _ctx: *mut HPyContext,
        _type: HPy,
        _args: *const HPy,
        _nargs: HPy_ssize_t,
        _kw: HPy,
    ) -> HPy {
        // SAFETY: the caller holds the interpreter.
        unsafe { not_yet(c"HPyType_GenericNew", HPy::NULL) }
    }

    unsafe extern "C" fn ctx_New(_ctx: *mut HPyContext, _h_type: HPy, data: *mut *mut c_void) -> HPy {
        // SAFETY: the caller holds the interpreter, and its pointer can be written.
        unsafe {
            *data = null_mut();
            not_yet(c"HPy_New", HPy::NULL)
        }
    }

    unsafe extern "C" fn ctx_Type_GetBuiltinShape(_ctx: *mut HPyContext, _h_type: HPy) -> HPyType_BuiltinShape {
        // SAFETY: the caller holds the interpreter.
        unsafe { not_yet(c"_HPyType_GetBuiltinShape", HPyType_BuiltinShape(-2)) }
    }

    unsafe extern "C" fn ctx_TypeCheck(_ctx: *mut HPyContext, obj: HPy, r#type: HPy) -> c_int {
        // SAFETY: the caller vouches for a type.
        unsafe { PyObject_TypeCheck(to_object(obj), to_object(r#type).cast()) }
    }

    unsafe extern "C" fn ctx_Type_GetName(_ctx: *mut HPyContext, r#type: HPy) -> *const c_char {
        let object = to_object(r#type).cast::<PyTypeObject>();
        // SAFETY: the caller vouches for a type. A heap type's name is a str of its own; a static type's stands behind the
        // last dot of a string that stays.
        unsafe {
            if PyType_HasFeature(object, Py_TPFLAGS_HEAPTYPE) != 0 {
                return PyUnicode_AsUTF8((*object.cast::<PyHeapTypeObject>()).ht_name);
            }
            let name = CStr::from_ptr((*object).tp_name);
            let short = name.to_bytes().rsplit(|&byte| byte == b'.').next().unwrap_or_default();
            short.as_ptr().cast()
        }
    }

    unsafe extern "C" fn ctx_Type_IsSubtype(_ctx: *mut HPyContext, sub: HPy, r#type: HPy) -> c_int {
        // SAFETY: the caller vouches for types.
        unsafe { PyType_IsSubtype(to_object(sub).cast(), to_object(r#type).cast()) }
    }
}

impl Field for CPython {
    unsafe extern "C" fn ctx_Field_Store(
        _ctx: *mut HPyContext,
        _target_object: HPy,
        _target_field: *mut HPyField,
        _h: HPy,
    ) {
        // SAFETY: the caller holds the interpreter.
        unsafe { not_yet(c"HPyField_Store", ()) }
    }

    unsafe extern "C" fn ctx_Field_Load(_ctx: *mut HPyContext, _source_object: HPy, _source_field: HPyField) -> HPy {
        // SAFETY: the caller holds the interpreter.
        unsafe { not_yet(c"HPyField_Load", HPy::NULL) }
    }
}
