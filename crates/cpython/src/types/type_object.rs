//! A type of Python's, to be read.

use core::ffi::{c_char, c_ulong};
use core::ptr::NonNull;

use pyo3_ffi::*;

/// A type that lives for as long as the value is used. Whoever makes one says why that is so; from there on reading is safe.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Type(NonNull<PyTypeObject>);

/// Readers of fields that are never given back to the system before the type is.
macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $field:ident, $kind:ty;)*) => {
        $(
            $(#[$doc])*
            #[inline(always)]
            pub fn $name(self) -> $kind {
                // SAFETY: the type is alive, as whoever made this value has promised.
                unsafe { (*self.as_ptr()).$field }
            }
        )*
    };
}

impl Type {
    /// # Safety
    /// The type lives for as long as the value is used, and the interpreter is held.
    #[inline(always)]
    pub unsafe fn new(tp: *mut PyTypeObject) -> Type {
        // SAFETY: a live type is not null.
        unsafe { Type(NonNull::new_unchecked(tp)) }
    }

    /// The type of an object, which keeps it.
    ///
    /// # Safety
    /// The object lives for as long as the value is used, and the interpreter is held.
    #[inline(always)]
    pub unsafe fn of(object: *mut PyObject) -> Type {
        // SAFETY: as this function's.
        unsafe { Type::new(Py_TYPE(object)) }
    }

    /// The object itself, if it is a type.
    ///
    /// # Safety
    /// As [`Type::of`].
    #[inline(always)]
    pub unsafe fn from_object(object: *mut PyObject) -> Option<Type> {
        // SAFETY: as this function's.
        unsafe { if PyType_Check(object) != 0 { Some(Type::new(object.cast())) } else { None } }
    }

    /// `object`
    #[inline(always)]
    pub fn object() -> Type {
        // SAFETY: a static type.
        unsafe { Type::new(&raw mut PyBaseObject_Type) }
    }

    /// `type`
    #[inline(always)]
    pub fn metatype() -> Type {
        // SAFETY: a static type.
        unsafe { Type::new(&raw mut PyType_Type) }
    }

    #[inline(always)]
    pub fn as_ptr(self) -> *mut PyTypeObject {
        self.0.as_ptr()
    }

    #[inline(always)]
    pub fn as_object(self) -> *mut PyObject {
        self.0.as_ptr().cast()
    }

    /// The type's own type.
    pub fn metaclass(self) -> Type {
        // SAFETY: a live object, which keeps its type.
        unsafe { Type::of(self.as_object()) }
    }

    /// The base whose struct the type's begins with; none for `object`.
    #[inline(always)]
    pub fn base(self) -> Option<Type> {
        // SAFETY: the type is alive, and keeps its base.
        unsafe { NonNull::new((*self.as_ptr()).tp_base).map(Type) }
    }

    #[inline(always)]
    pub fn is_subtype(self, of: Type) -> bool {
        // SAFETY: both are alive. No code of others runs.
        self == of || unsafe { PyType_IsSubtype(self.as_ptr(), of.as_ptr()) != 0 }
    }

    #[inline(always)]
    pub fn has(self, flag: c_ulong) -> bool {
        // SAFETY: the type is alive.
        unsafe { PyType_HasFeature(self.as_ptr(), flag) != 0 }
    }

    #[inline(always)]
    pub fn is_heap_type(self) -> bool {
        self.has(Py_TPFLAGS_HEAPTYPE)
    }

    /// Whether the collector looks at its instances.
    #[inline(always)]
    pub fn is_collected(self) -> bool {
        self.has(Py_TPFLAGS_HAVE_GC)
    }

    fields! {
        /// With the module in front of it, in a type that is not a heap type.
        name: tp_name, *const c_char;
        basicsize: tp_basicsize, Py_ssize_t;
        itemsize: tp_itemsize, Py_ssize_t;
        dictoffset: tp_dictoffset, Py_ssize_t;
        weaklistoffset: tp_weaklistoffset, Py_ssize_t;
        /// 0 or less if instances have no function of their own.
        vectorcall_offset: tp_vectorcall_offset, Py_ssize_t;
        methods: tp_methods, *mut PyMethodDef;
        members: tp_members, *mut PyMemberDef;
        tp_alloc: tp_alloc, Option<allocfunc>;
        tp_new: tp_new, Option<newfunc>;
        tp_init: tp_init, Option<initproc>;
        tp_call: tp_call, Option<ternaryfunc>;
        tp_finalize: tp_finalize, Option<destructor>;
        tp_dealloc: tp_dealloc, Option<destructor>;
        tp_free: tp_free, Option<freefunc>;
        tp_traverse: tp_traverse, Option<traverseproc>;
        tp_clear: tp_clear, Option<inquiry>;
    }
}
