//! Types of extensions' own, and fields of their instances.
//!
//! * [`create`] makes a type from a spec; [`bases`] knows about bases, [`metaclass`] about the types of types.
//! * [`instance`] makes instances, [`construct`] quickly from the arguments of a call, [`lifecycle`] is how they end, and what the garbage
//!   collector sees of them; [`referents`] tells the collector from people who ask.
//! * [`definition`] is what a type points to for as long as it lives, and how a type of ours is recognised; [`member`] makes its members and
//!   getters, [`name`] keeps names.
//! * [`special`] is for methods that Python calls by itself, such as `__iter__`.
//! * [`shape`] says where in an object the extension's struct lies.
//! * [`functions`] are what all types of ours have in common, [`agreement`] makes several copies of this crate agree on them.
//! * [`call`] is the call protocol, with [`arguments`].

pub mod agreement;
mod arguments;
mod bases;
pub mod call;
mod construct;
mod create;
mod definition;
pub mod functions;
mod instance;
pub mod lifecycle;
mod member;
mod metaclass;
mod name;
mod reference;
mod referents;
pub(crate) mod shape;
mod special;

use core::ffi::{CStr, c_char, c_int, c_void};

use hpy_abi::runtime::{Field, Type};
use hpy_abi::*;
use pyo3_ffi::*;

use crate::autogen_direct::direct_type;
use crate::handle::{new_ref, to_handle, to_object};
use crate::{CPython, lock};
use definition::Definition;
use instance::{is_plain, new_instance, new_plain};

macro_rules! as_struct {
    ($($function:ident => $shape:ident),*) => {
        $(
            unsafe extern "C" fn $function(_ctx: *mut HPyContext, h: HPy) -> *mut c_void {
                // SAFETY: the caller vouches for an instance of a type with this shape.
                unsafe { shape::payload(to_object(h), $shape) }
            }
        )*
    };
}

impl Type for CPython {
    direct_type!();

    with_shapes!(as_struct);

    unsafe extern "C" fn ctx_Type_FromSpec(
        ctx: *mut HPyContext,
        spec: *mut HPyType_Spec,
        params: *mut HPyType_SpecParam,
    ) -> HPy {
        // SAFETY: the caller's spec and parameters are as the header says, and the definitions stay.
        unsafe { create::from_spec(ctx, &*spec, params).map_or(HPy::NULL, to_handle) }
    }

    unsafe extern "C" fn ctx_Type_GenericNew(
        _ctx: *mut HPyContext,
        r#type: HPy,
        _args: *const HPy,
        _nargs: HPy_ssize_t,
        _kw: HPy,
    ) -> HPy {
        let tp = to_object(r#type);
        // SAFETY: the caller's handle is a live object.
        unsafe {
            if PyType_Check(tp) == 0 {
                PyErr_SetString(PyExc_TypeError, c"HPy_Type_GenericNew arg 1 must be a type".as_ptr());
                return HPy::NULL;
            }
            to_handle(new_instance(tp.cast()))
        }
    }

    unsafe extern "C" fn ctx_New(_ctx: *mut HPyContext, h_type: HPy, data: *mut *mut c_void) -> HPy {
        let tp = to_object(h_type);
        // SAFETY: the caller's handle is a live object, and its pointer can be written.
        unsafe {
            if PyType_Check(tp) == 0 {
                PyErr_SetString(PyExc_TypeError, c"HPy_New arg 1 must be a type".as_ptr());
                return HPy::NULL;
            }
            let tp = tp.cast::<PyTypeObject>();
            if is_plain(tp) {
                let object = new_plain(tp);
                if !object.is_null() {
                    *data = Definition::of_ours(tp).fixed_payload(object);
                }
                return to_handle(object);
            }
            let object = new_instance(tp);
            if !object.is_null() {
                *data = Definition::payload_of(object);
            }
            to_handle(object)
        }
    }

    unsafe extern "C" fn ctx_Type_GetBuiltinShape(_ctx: *mut HPyContext, h_type: HPy) -> HPyType_BuiltinShape {
        let tp = to_object(h_type);
        // SAFETY: the caller's handle is a live object.
        unsafe {
            if PyType_Check(tp) == 0 {
                PyErr_SetString(PyExc_TypeError, c"arg must be a type".as_ptr());
                return HPyType_BuiltinShape(-2);
            }
            Definition::of_nearest(tp.cast()).map_or(HPyType_BuiltinShape_Legacy, |definition| definition.shape)
        }
    }

    unsafe extern "C" fn ctx_TypeCheck(_ctx: *mut HPyContext, obj: HPy, r#type: HPy) -> c_int {
        let tp = to_object(r#type).cast();
        // SAFETY: the caller vouches for a type.
        unsafe {
            let own = Py_TYPE(to_object(obj));
            if own == tp { 1 } else { PyType_IsSubtype(own, tp) }
        }
    }

    unsafe extern "C" fn ctx_Type_GetName(_ctx: *mut HPyContext, r#type: HPy) -> *const c_char {
        let object = to_object(r#type).cast::<PyTypeObject>();
        // SAFETY: the caller vouches for a type. A heap type's name is a str of its own; a static type's stands behind the
        // last dot of a string that stays.
        unsafe {
            if PyType_HasFeature(object, Py_TPFLAGS_HEAPTYPE) != 0 {
                return name::of_heap_type(object);
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
        target_object: HPy,
        target_field: *mut HPyField,
        h: HPy,
    ) {
        // SAFETY: the caller's field is in the struct of a live object. The old object is let go last, as that can run code
        // that looks at the field.
        unsafe {
            let new = HPyField { _i: to_handle(new_ref(to_object(h)))._i };
            let old = lock::exchange_field(to_object(target_object), target_field, new);
            Py_XDECREF(to_object(HPy { _i: old._i }));
        }
    }

    unsafe extern "C" fn ctx_Field_Load(_ctx: *mut HPyContext, _source_object: HPy, source_field: HPyField) -> HPy {
        // SAFETY: the field keeps its object alive.
        unsafe { to_handle(new_ref(to_object(HPy { _i: source_field._i }))) }
    }
}
