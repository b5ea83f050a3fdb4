//! Members, getters and setters: CPython's definitions from an extension's.

use core::ffi::{c_char, c_int, c_long, c_longlong, c_short, c_void};
use core::mem::transmute;

use hpy_abi::*;
use pyo3_ffi::*;

use super::shape;
use super::type_object::Type;
use crate::array::Array;
use crate::handle::{new_ref, to_handle, to_object};
use crate::raised::{PythonError, Result, raise};
use crate::{bridge, lock};

/// Getters and setters of the definitions, then the legacy ones.
///
/// # Safety
/// The legacy ones have to end with one without a name.
pub unsafe fn add_getsets(
    ctx: *mut HPyContext,
    getsets: &mut Array<PyGetSetDef>,
    defines: &[*mut HPyDef],
    legacy: *const PyGetSetDef,
) -> Result<()> {
    for &define in defines {
        // SAFETY: definitions stay; the kind says which.
        unsafe {
            if (*define).kind != HPyDef_Kind_GetSet {
                continue;
            }
            let getset = &(*define).u.getset;
            if getset.name.is_null() {
                PyErr_SetString(PyExc_TypeError, c"HPyType_Spec.defines: HPyGetSet.name is NULL".as_ptr());
                return Err(PythonError);
            }
            let get = bridge::of(ctx, HPyFunc_GETTER, getset.getter_impl, getset.getter_cpy_trampoline);
            let set = bridge::of(ctx, HPyFunc_SETTER, getset.setter_impl, getset.setter_cpy_trampoline);
            getsets.push(PyGetSetDef {
                name: getset.name,
                get: transmute::<HPyCFunction, Option<getter>>(get),
                set: transmute::<HPyCFunction, Option<setter>>(set),
                doc: getset.doc,
                closure: getset.closure,
            })?;
        }
    }
    let mut legacy = legacy;
    // SAFETY: there is an end.
    unsafe {
        while let Some(getset) = legacy.as_ref().filter(|getset| !getset.name.is_null()) {
            getsets.push(*getset)?;
            legacy = legacy.add(1);
        }
    }
    Ok(())
}

/// A member has to be of a known type, and to lie in the struct.
pub fn check(spec: &HPyType_Spec, member: &HPyMember) -> Result<()> {
    // SAFETY: the interpreter is held, and the arguments are what the formats say.
    unsafe {
        let Some(size) = size_of_type(member.r#type) else {
            let format = c"HPyType_Spec.defines of '%s': member '%s' has the unknown type %d";
            return Err(raise!(PyExc_TypeError, format, spec.name, member.name, member.r#type.0));
        };
        let end = member.offset.wrapping_add(size);
        if member.offset < 0 || end < member.offset || end > spec.basicsize as isize {
            let format =
                c"HPyType_Spec.defines of '%s': member '%s' (offset %zd) is not in the struct, whose basicsize is %d";
            return Err(raise!(PyExc_TypeError, format, spec.name, member.name, member.offset, spec.basicsize));
        }
    }
    Ok(())
}

/// The size of a member, or the least there is of it.
fn size_of_type(ty: HPyMember_FieldType) -> Option<isize> {
    let size = match ty {
        HPyMember_SHORT | HPyMember_USHORT => size_of::<c_short>(),
        HPyMember_INT | HPyMember_UINT => size_of::<c_int>(),
        HPyMember_LONG | HPyMember_ULONG => size_of::<c_long>(),
        HPyMember_FLOAT => size_of::<f32>(),
        HPyMember_DOUBLE => size_of::<f64>(),
        HPyMember_CHAR | HPyMember_BYTE | HPyMember_UBYTE | HPyMember_BOOL | HPyMember_STRING_INPLACE => 1,
        HPyMember_LONGLONG | HPyMember_ULONGLONG => size_of::<c_longlong>(),
        HPyMember_STRING | HPyMember_OBJECT | HPyMember_OBJECT_EX | HPyMember_HPYSSIZET => size_of::<isize>(),
        HPyMember_NONE => 0,
        _ => return None,
    };
    Some(size.cast_signed())
}

/// Whether a member is made of getter and setter: where its place depends on the object, and where CPython's own members of this type
/// are wrong without the GIL (those of `OBJECT_EX` are right).
pub fn needs_functions(member: &HPyMember, spec: &HPyType_Spec) -> bool {
    let is_unsafe = cfg!(Py_GIL_DISABLED) && member.r#type == HPyMember_OBJECT && spec.basicsize != 0;
    shape::is_variable(spec.builtin_shape) || is_unsafe
}

/// A member as getter and setter.
pub fn member_of_functions(member: &HPyMember) -> PyGetSetDef {
    PyGetSetDef {
        name: member.name,
        get: Some(get_member),
        set: (member.readonly == 0).then_some(set_member as setter),
        doc: member.doc,
        closure: (&raw const *member).cast_mut().cast(),
    }
}

/// The object as CPython wants it, and the member as CPython describes it.
unsafe fn located(object: *mut PyObject, member: *mut c_void) -> (*mut c_char, PyMemberDef) {
    // SAFETY: the closure is the extension's member, and the object's type has a base of ours.
    unsafe {
        let head = payload_with(object, member).byte_offset_from(object);
        (object.cast(), member_def(&*member.cast::<HPyMember>(), head))
    }
}

/// The struct of the type that has this member: where structs start can differ between a type and its bases.
unsafe fn payload_with(object: *mut PyObject, member: *mut c_void) -> *mut c_void {
    // SAFETY: the caller's object is alive.
    let mut next = Some(unsafe { Type::of(object) });
    while let Some(tp) = next.and_then(Type::nearest_of_ours) {
        if let Some(definition) = tp.definition()
            && definition.getset_slice().iter().any(|getset| getset.closure == member)
        {
            // SAFETY: the object is an instance of its type's bases.
            return unsafe { definition.payload(object) };
        }
        next = tp.base();
    }
    // A legacy type that is none of ours: its struct is the object.
    object.cast()
}

unsafe extern "C" fn get_member(object: *mut PyObject, member: *mut c_void) -> *mut PyObject {
    // SAFETY: CPython passes an instance and our closure.
    unsafe {
        let (address, mut def) = located(object, member);
        if cfg!(Py_GIL_DISABLED) && def.type_code == HPyMember_OBJECT.0 {
            let place = address.byte_offset(def.offset).cast::<*mut PyObject>();
            let value = lock::while_locked(object, || new_ref(*place));
            return if value.is_null() { new_ref(Py_None()) } else { value };
        }
        PyMember_GetOne(address, &mut def)
    }
}

unsafe extern "C" fn set_member(object: *mut PyObject, value: *mut PyObject, member: *mut c_void) -> c_int {
    // SAFETY: CPython passes an instance and our closure. The old object is let go when the new one is in its place.
    unsafe {
        let (address, mut def) = located(object, member);
        if cfg!(Py_GIL_DISABLED) && def.type_code == HPyMember_OBJECT.0 {
            let new = HPyField { _i: to_handle(new_ref(value))._i };
            let old = lock::exchange_field(object, address.byte_offset(def.offset).cast(), new);
            Py_XDECREF(to_object(HPy { _i: old._i }));
            return 0;
        }
        PyMember_SetOne(address, &mut def, value)
    }
}

/// CPython's description of a member of a struct that starts `head` bytes behind the object. The types have the same numbers, and
/// a field's word is the object's address.
pub fn member_def(member: &HPyMember, head: isize) -> PyMemberDef {
    PyMemberDef {
        name: member.name,
        type_code: member.r#type.0,
        offset: member.offset + head,
        flags: if member.readonly == 0 { 0 } else { READONLY },
        doc: member.doc,
    }
}

/// `READONLY` or `Py_READONLY`.
pub const READONLY: c_int = 1;
