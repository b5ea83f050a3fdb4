//! What CPython keeps pointers to for as long as a type lives: methods, getters and setters, and what our own functions need.
//!
//! All of it follows from the extension's spec alone, and specs are static in practice. So a definition is made once for each
//! content, shared by all types made from it, and never freed: types come and go without a leak, and whatever points into a
//! definition may outlive them.
//!
//! A type of ours is known by its `tp_dealloc`, which is ours; its `tp_methods` is the array at the end of its definition.

use core::ffi::{c_int, c_void};
use core::mem::{offset_of, size_of};
use core::slice::from_raw_parts;

use hpy_abi::*;
use pyo3_ffi::*;

use super::{functions, shape};
use crate::append_only::{AppendOnly, Link, zeroed};
use crate::array::Array;
use crate::raised::Result;

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

static DEFINITIONS: AppendOnly<Definition> = AppendOnly::new();

// SAFETY: the link comes first.
unsafe impl Link for Definition {
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

    /// The getters and setters, without the element that ends them.
    pub fn getset_slice(&self) -> &[PyGetSetDef] {
        // SAFETY: there are as many as the definition says.
        unsafe { from_raw_parts(self.getsets(), self.getset_count) }
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
