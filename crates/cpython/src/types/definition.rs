//! What CPython keeps pointers to for as long as a type lives: methods, getters and setters, and what our own functions need.
//!
//! All of it follows from the extension's spec alone, and specs are static in practice. So a definition is made once for each
//! content, shared by all types made from it, and never freed: types come and go without a leak, and whatever points into a
//! definition may outlive them.
//!
//! A type of ours is known by its `tp_dealloc`, which is ours; its `tp_methods` is the array at the end of its definition.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{offset_of, size_of, transmute};
use core::slice::from_raw_parts;

use hpy_abi::*;
use pyo3_ffi::*;

use super::{functions, shape};
use crate::array::Array;
use crate::handle::{new_ref, to_handle, to_object};
use crate::lasting::{Entry, Lasting, zeroed};
use crate::module::{PythonError, Result};
use crate::{entry, lock};

/// Lies in one block with its arrays: methods, then getters and setters, each ended by a zeroed element.
#[repr(C)]
pub struct Definition {
    next: *mut Definition,
    /// Of the whole block.
    size: usize,
    // From here on definitions are compared, byte by byte.
    pub shape: HPyType_BuiltinShape,
    /// `HPyType_Spec.basicsize`: that of the struct, 0 if it is the base's.
    pub struct_size: c_int,
    /// Where in an object the struct starts; negative if that depends on the object.
    struct_offset: isize,
    getset_count: usize,
    method_count: usize,
    pub traverse: HPyFunc_traverseproc,
    pub destroy: HPyFunc_destroyfunc,
    /// The function for instances that have none of their own, for CPython's calling convention.
    pub call: Option<vectorcallfunc>,
    pub creation: Creation,
    methods: [PyMethodDef; 0],
}

/// How instances are made, if a type has slots of its own for that.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Creation {
    /// For the functions.
    pub ctx: *mut HPyContext,
    pub new: HPyFunc_newfunc,
    pub init: HPyFunc_initproc,
    /// What CPython calls for them.
    pub new_entry: HPyCFunction,
    pub init_entry: HPyCFunction,
}

static DEFINITIONS: Lasting<Definition> = Lasting::new();

// SAFETY: the link comes first.
unsafe impl Entry for Definition {
    fn is_same(&self, other: &Definition) -> bool {
        self.content() == other.content()
    }
}

/// The parts of a definition while they are gathered.
pub struct Parts {
    pub shape: HPyType_BuiltinShape,
    pub struct_size: c_int,
    pub traverse: HPyFunc_traverseproc,
    pub destroy: HPyFunc_destroyfunc,
    pub call: Option<vectorcallfunc>,
    pub creation: Creation,
    /// Both without the element that ends them.
    pub methods: Array<PyMethodDef>,
    pub getsets: Array<PyGetSetDef>,
}

impl Definition {
    /// The definition with these parts.
    pub fn get(parts: &Parts) -> Result<&'static Definition> {
        let (methods, getsets) = (parts.methods.as_slice(), parts.getsets.as_slice());
        let size = size_of::<Definition>()
            + (methods.len() + 1) * size_of::<PyMethodDef>()
            + (getsets.len() + 1) * size_of::<PyGetSetDef>();
        // SAFETY: the block is zeroed and large enough; it is ours until it is in the list.
        unsafe {
            let made = zeroed::<Definition>(size)?;
            (*made).size = size;
            (*made).shape = parts.shape;
            (*made).struct_size = parts.struct_size;
            (*made).struct_offset = if shape::is_variable(parts.shape) { -1 } else { shape::head_size(parts.shape) };
            (*made).method_count = methods.len();
            (*made).getset_count = getsets.len();
            (*made).traverse = parts.traverse;
            (*made).destroy = parts.destroy;
            (*made).call = parts.call;
            (*made).creation = parts.creation;
            for (index, method) in methods.iter().enumerate() {
                // One by one: between fields there may be bytes that are not set, and all bytes are compared.
                let place = (*made).methods().add(index);
                (*place).ml_name = method.ml_name;
                (*place).ml_meth = method.ml_meth;
                (*place).ml_flags = method.ml_flags;
                (*place).ml_doc = method.ml_doc;
            }
            (*made).getsets().copy_from_nonoverlapping(getsets.as_ptr(), getsets.len());
            Ok(DEFINITIONS.publish(made))
        }
    }

    /// The struct in an object of a type with this definition.
    ///
    /// # Safety
    /// The object has to be an instance of such a type.
    #[inline(always)]
    pub unsafe fn payload(&self, object: *mut PyObject) -> *mut c_void {
        // SAFETY: as this function's.
        unsafe {
            if self.struct_offset < 0 {
                return shape::payload(object, self.shape);
            }
            self.fixed_payload(object)
        }
    }

    /// The same, where that does not depend on the object: in types that derive from `object`.
    ///
    /// # Safety
    /// The object has to be an instance of such a type.
    #[inline(always)]
    pub unsafe fn fixed_payload(&self, object: *mut PyObject) -> *mut c_void {
        // SAFETY: as this function's.
        unsafe { object.byte_offset(self.struct_offset).cast() }
    }

    /// The struct in an instance of a type of ours or a class derived from it: that of the nearest. In other objects, where legacy
    /// types have theirs.
    ///
    /// # Safety
    /// The object has to be alive.
    #[inline]
    pub unsafe fn payload_of(object: *mut PyObject) -> *mut c_void {
        // SAFETY: as this function's.
        unsafe {
            Definition::of_nearest(Py_TYPE(object)).map_or(object.cast(), |definition| definition.payload(object))
        }
    }

    /// The array for `Py_tp_methods`.
    pub fn methods(&self) -> *mut PyMethodDef {
        (&raw const self.methods).cast_mut().cast()
    }

    /// The array for `Py_tp_getset`.
    pub fn getsets(&self) -> *mut PyGetSetDef {
        // SAFETY: they follow the methods and their end.
        unsafe { self.methods().add(self.method_count + 1).cast() }
    }

    /// What is compared.
    fn content(&self) -> &[u8] {
        let start = offset_of!(Definition, shape);
        // SAFETY: the block has that size, and was zeroed before its fields were set.
        unsafe { from_raw_parts((&raw const *self).cast::<u8>().add(start), self.size - start) }
    }

    /// The definition of a type, if it is one of ours; none for null.
    ///
    /// # Safety
    /// The type has to be alive.
    #[inline]
    pub unsafe fn of(tp: *mut PyTypeObject) -> Option<&'static Definition> {
        // SAFETY: a type with our deallocator was made with the methods of a definition.
        unsafe {
            if tp.is_null() || !functions::is_ours((*tp).tp_dealloc) {
                return None;
            }
            Some(Definition::of_ours(tp))
        }
    }

    /// The definition of a type of ours.
    ///
    /// # Safety
    /// The type has to be one.
    #[inline(always)]
    pub unsafe fn of_ours(tp: *mut PyTypeObject) -> &'static Definition {
        // SAFETY: the type was made with the methods of a definition.
        unsafe { &*(*tp).tp_methods.byte_sub(offset_of!(Definition, methods)).cast::<Definition>() }
    }

    /// The definition of a type or of the nearest of its bases that is one of ours.
    ///
    /// # Safety
    /// The type has to be alive.
    #[inline]
    pub unsafe fn of_nearest(tp: *mut PyTypeObject) -> Option<&'static Definition> {
        // SAFETY: as this function's.
        unsafe { Definition::of(nearest(tp)) }
    }
}

/// The type or the nearest of its bases that is one of ours; null if none is.
///
/// # Safety
/// The type has to be alive.
#[inline]
pub unsafe fn nearest(mut tp: *mut PyTypeObject) -> *mut PyTypeObject {
    // SAFETY: a type keeps its bases alive.
    unsafe {
        while !tp.is_null() && !functions::is_ours((*tp).tp_dealloc) {
            tp = (*tp).tp_base;
        }
        tp
    }
}

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
            let get = entry::of(ctx, HPyFunc_GETTER, getset.getter_impl, getset.getter_cpy_trampoline);
            let set = entry::of(ctx, HPyFunc_SETTER, getset.setter_impl, getset.setter_cpy_trampoline);
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
    // SAFETY: as the caller's; a type keeps its bases alive, and a definition has as many getters and setters as it says.
    unsafe {
        let mut tp = nearest(Py_TYPE(object));
        while let Some(definition) = Definition::of(tp) {
            let getsets = from_raw_parts(definition.getsets(), definition.getset_count);
            if getsets.iter().any(|getset| getset.closure == member) {
                return definition.payload(object);
            }
            tp = nearest((*tp).tp_base);
        }
        // A legacy type that is none of ours: its struct is the object.
        object.cast()
    }
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
    // SAFETY: as above. The old object is let go when the new one is in its place.
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

/// Up to CPython 3.10 a type points to the name in its spec for good.
#[cfg(not(Py_3_11))]
pub unsafe fn lasting_name(name: &CStr) -> Result<*const c_char> {
    // SAFETY: as this function's.
    unsafe { lasting_copy(name) }
}

/// A copy of a name, the same one for each that is equal.
///
/// # Safety
/// The caller holds the interpreter.
#[cfg(any(not(Py_3_11), Py_GIL_DISABLED))]
pub unsafe fn lasting_copy(name: &CStr) -> Result<*const c_char> {
    #[repr(C)]
    struct Name {
        next: *mut Name,
        text: [c_char; 0],
    }

    impl Name {
        fn text(&self) -> *mut c_char {
            (&raw const self.text).cast_mut().cast()
        }
    }

    // SAFETY: the link comes first.
    unsafe impl Entry for Name {
        fn is_same(&self, other: &Name) -> bool {
            // SAFETY: the text that follows ends with NUL.
            unsafe { CStr::from_ptr(self.text()) == CStr::from_ptr(other.text()) }
        }
    }

    static NAMES: Lasting<Name> = Lasting::new();
    let length = name.to_bytes_with_nul().len();
    // SAFETY: the block has room for the text.
    unsafe {
        let made = zeroed::<Name>(size_of::<Name>() + length)?;
        (*made).text().copy_from_nonoverlapping(name.as_ptr(), length);
        Ok(NAMES.publish(made).text())
    }
}

/// From CPython 3.11 on a type has a copy of its name.
#[cfg(Py_3_11)]
pub unsafe fn lasting_name(name: &CStr) -> Result<*const c_char> {
    Ok(name.as_ptr())
}
