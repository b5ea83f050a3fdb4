//! Types of extensions' own, and fields of their instances.
//!
//! * [`create`] makes a type from a spec; [`bases`] knows about bases, [`metaclass`] about the types of types.
//! * [`instance`] makes instances, [`construct`] quickly from the arguments of a call. [`dealloc`] is how they end, [`collector`] what the
//!   garbage collector sees of them: both go through their [`parts`], of which [`python_class`] and [`attributes`] are two.
//!   [`referents`] tells the collector from people who ask.
//! * [`type_object`] reads types. [`definition`] is what a type of ours points to for as long as it lives, and [`registry`] how it is
//!   recognised by that; [`member`] makes its members and getters, [`name`] keeps names.
//! * [`special`] is for methods that Python calls by itself, such as `__iter__`.
//! * [`shape`] says where in an object the extension's struct lies.
//! * [`functions`] are what all types of ours have in common, [`agreement`] makes several copies of this crate agree on them.
//! * [`call`] is the call protocol, with [`arguments`].

pub mod agreement;
mod arguments;
mod attributes;
mod bases;
pub mod call;
pub mod collector;
mod construct;
mod create;
mod dealloc;
mod definition;
pub mod functions;
mod instance;
mod legacy;
mod member;
mod metaclass;
mod name;
mod parts;
mod python_class;
mod reference;
mod referents;
mod registry;
pub(crate) mod shape;
mod special;
mod type_object;

use core::ffi::{c_char, c_int, c_void};

use hpy_abi::*;
use pyo3_ffi::*;

use crate::autogen_direct::direct_type;
use crate::handle::{new_ref, to_handle, to_object};
use crate::{CPython, lock};
use instance::{has_usual_memory, new_instance, new_plain, new_with_data};
use type_object::Type;

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

/// The type that a handle stands for. TypeError with this message for anything else.
unsafe fn type_of_handle(h: HPy, message: &core::ffi::CStr) -> Option<Type> {
    // SAFETY: the caller's handle is a live object, and the interpreter held.
    unsafe {
        let tp = Type::from_object(to_object(h));
        if tp.is_none() {
            PyErr_SetString(PyExc_TypeError, message.as_ptr());
        }
        tp
    }
}

impl runtime::Type for CPython {
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
        // SAFETY: the caller's handle is a live object.
        let tp = unsafe { type_of_handle(r#type, c"HPy_Type_GenericNew arg 1 must be a type") };
        tp.map_or(HPy::NULL, |tp| to_handle(new_instance(tp)))
    }

    unsafe extern "C" fn ctx_New(_ctx: *mut HPyContext, h_type: HPy, data: *mut *mut c_void) -> HPy {
        // SAFETY: the caller's handle is a live object.
        let Some(tp) = (unsafe { type_of_handle(h_type, c"HPy_New arg 1 must be a type") }) else {
            return HPy::NULL;
        };
        // SAFETY: the caller's pointer can be written.
        unsafe {
            match tp.definition_if_plain() {
                Some(definition) if has_usual_memory(tp) => new_plain(tp, definition, data),
                _ => new_with_data(tp, data),
            }
        }
    }

    unsafe extern "C" fn ctx_Type_GetBuiltinShape(_ctx: *mut HPyContext, h_type: HPy) -> HPyType_BuiltinShape {
        // SAFETY: the caller's handle is a live object.
        match unsafe { type_of_handle(h_type, c"arg must be a type") } {
            Some(tp) => tp.nearest_definition().map_or(HPyType_BuiltinShape_Legacy, |definition| definition.shape),
            None => HPyType_BuiltinShape(-2),
        }
    }

    unsafe extern "C" fn ctx_TypeCheck(_ctx: *mut HPyContext, obj: HPy, r#type: HPy) -> c_int {
        // SAFETY: the caller vouches for an object and a type.
        unsafe {
            let (own, tp) = (Py_TYPE(to_object(obj)), to_object(r#type).cast());
            if own == tp { 1 } else { PyType_IsSubtype(own, tp) }
        }
    }

    unsafe extern "C" fn ctx_Type_GetName(_ctx: *mut HPyContext, r#type: HPy) -> *const c_char {
        // SAFETY: the caller vouches for a type.
        name::of(unsafe { Type::new(to_object(r#type).cast()) })
    }

    unsafe extern "C" fn ctx_Type_IsSubtype(_ctx: *mut HPyContext, sub: HPy, r#type: HPy) -> c_int {
        // SAFETY: the caller vouches for types.
        unsafe { PyType_IsSubtype(to_object(sub).cast(), to_object(r#type).cast()) }
    }
}

impl runtime::Field for CPython {
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
