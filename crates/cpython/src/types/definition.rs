//! What CPython keeps pointers to for as long as a type lives: methods, getters and setters, and what our own functions need.
//!
//! All of it follows from the extension's spec alone, and specs are static in practice. So a definition is made once for each
//! content, shared by all types made from it, and never freed: types come and go without a leak, and whatever points into a
//! definition may outlive them.
//!
//! The `tp_methods` of a type of ours is the array at the end of its definition, which stands in the [`registry`].

use core::ffi::{c_int, c_void};
use core::mem::{offset_of, size_of};
use core::slice::from_raw_parts;

use hpy_abi::*;
use pyo3_ffi::*;

use super::type_object::Type;
use super::{registry, shape};
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
    /// Whether types made from it have our functions. Otherwise they are legacy types, which do all by themselves, and none of ours.
    is_ours: bool,
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
    pub is_ours: bool,
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
            (*made).is_ours = parts.is_ours;
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
            let definition = DEFINITIONS.publish(made);
            if definition.is_ours {
                registry::add(definition.methods().addr())?;
            }
            Ok(definition)
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
        // SAFETY: as this function's; the object is an instance of its type and of that one's bases.
        unsafe {
            let definition = Type::of(object).nearest_definition();
            definition.map_or(object.cast(), |definition| definition.payload(object))
        }
    }

    /// The definition that these are the methods of, which stays.
    ///
    /// # Safety
    /// They are those of one.
    #[inline(always)]
    unsafe fn with(methods: *mut PyMethodDef) -> &'static Definition {
        // SAFETY: as this function's. Not even a compiler that forgets where the address comes from has to ask whether it is null.
        unsafe {
            let definition = methods.byte_sub(offset_of!(Definition, methods)).cast::<Definition>();
            core::hint::assert_unchecked(!definition.is_null());
            &*definition
        }
    }

    /// Notes a type that has been made from this, before it has instances.
    pub fn made(&self, is_plain: bool) {
        registry::note(self.methods().addr(), is_plain);
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
}

/// What a type of ours has beside what CPython knows of it.
impl Type {
    /// The definition of a type of ours; none of any other.
    #[inline(always)]
    pub fn definition(self) -> Option<&'static Definition> {
        let methods = self.methods();
        // SAFETY: what is registered is part of a definition.
        if registry::has(methods.addr()) { Some(unsafe { Definition::with(methods) }) } else { None }
    }

    /// The same for a type whose instances are a struct of fixed size and nothing more, if that can be told without a call. For functions
    /// that have a longer way for the others.
    #[inline(always)]
    pub fn definition_if_plain(self) -> Option<&'static Definition> {
        let methods = self.methods();
        // SAFETY: what is registered is part of a definition.
        if registry::has_plain(methods.addr()) { Some(unsafe { Definition::with(methods) }) } else { None }
    }

    #[inline]
    pub fn is_ours(self) -> bool {
        self.definition().is_some()
    }

    /// The type or the nearest of its bases that is one of ours.
    #[inline]
    pub fn nearest_of_ours(self) -> Option<Type> {
        let mut tp = self;
        while !tp.is_ours() {
            tp = tp.base()?;
        }
        Some(tp)
    }

    /// The definition of that one.
    #[inline]
    pub fn nearest_definition(self) -> Option<&'static Definition> {
        let mut tp = self;
        loop {
            if let Some(definition) = tp.definition() {
                return Some(definition);
            }
            tp = tp.base()?;
        }
    }
}
