//! What an instance of a type of ours, or of a class derived from one, consists of.
//!
//! Above the nearest type of ours there may be others of ours and Python classes, in any order, and then a type of CPython's or of another
//! library. CPython's functions for Python classes go by the object's type and would come back to ours, so the part of such classes
//! (slots, dictionary, weak references) is ours to do as well; the last base's own function is called for the rest.

use core::ffi::{c_int, c_void};
use core::iter::successors;

use pyo3_ffi::*;

use super::definition::Definition;
use super::functions::is_our_dealloc;
use super::type_object::Type;

/// An object's parts.
#[derive(Clone, Copy)]
pub struct Parts {
    object: *mut PyObject,
    /// The nearest type of ours: a Python class below it has done its part when our functions are called.
    pub nearest: Type,
    /// The first base that is neither ours nor a Python class, nor has our deallocator. All chains of bases have one: `object`.
    pub last_base: Type,
}

/// Types of the C API that have taken our deallocator over have no part of their own, and no other end than ours.
fn is_done_here(tp: &Type) -> bool {
    tp.is_ours() || tp.is_python_class() || is_our_dealloc(tp.tp_dealloc())
}

impl Parts {
    /// # Safety
    /// The object is alive, or about to be freed by the caller. It has a type of ours.
    pub unsafe fn of(object: *mut PyObject) -> Parts {
        // SAFETY: as this function's.
        let tp = unsafe { Type::of(object) };
        let nearest = tp.nearest_of_ours().unwrap_or(tp);
        let last_base = successors(Some(nearest), |tp| tp.base()).find(|tp| !is_done_here(tp));
        Parts { object, nearest, last_base: last_base.unwrap_or(Type::object()) }
    }

    /// The types whose part is done here, from the nearest upwards.
    fn types(self) -> impl Iterator<Item = Type> {
        successors(Some(self.nearest), |tp| tp.base()).take_while(is_done_here)
    }

    /// Calls `f` for each type of ours, with its definition and the object's struct, until it says something else than 0.
    pub fn for_each_struct(self, mut f: impl FnMut(Type, &Definition, *mut c_void) -> c_int) -> c_int {
        for tp in self.types() {
            if let Some(definition) = tp.definition() {
                // SAFETY: the object is an instance of the bases of its type.
                let stop = f(tp, definition, unsafe { definition.payload(self.object) });
                if stop != 0 {
                    return stop;
                }
            }
        }
        0
    }

    /// Calls `f` for what each Python class has in `__slots__`.
    pub fn for_each_slot(self, mut f: impl FnMut(*mut *mut PyObject)) {
        for tp in self.types().filter(|tp| tp.is_python_class()) {
            // SAFETY: the object is an instance of the bases of its type.
            unsafe { tp.for_each_slot(self.object, &mut f) };
        }
    }

    /// Whether the object's dictionary is ours to see to.
    pub fn has_dict(self) -> bool {
        self.nearest.dictoffset() != 0 && self.last_base.dictoffset() == 0
    }

    /// Whether the weak references to the object are ours to see to.
    pub fn has_weak_references(self) -> bool {
        self.nearest.weaklistoffset() != 0 && self.last_base.weaklistoffset() == 0
    }
}
