//! How instances end: `tp_dealloc` of types of ours.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use hpy_abi::*;
use pyo3_ffi::*;

use super::attributes;
use super::functions::{is_our_dealloc, is_same, ours};
use super::parts::Parts;
use super::type_object::Type;
use crate::handle::to_object;

/// How many deallocations may be under way in a thread at once, one called by the other. The rest of a long chain waits, so
/// that the stack does not run out.
const MAX_DEPTH: usize = 40;

/// An object that waits.
struct Waiting {
    object: *mut PyObject,
    next: *mut Waiting,
}

struct UnderWay {
    depth: Cell<usize>,
    waiting: Cell<*mut Waiting>,
}

thread_local! {
    static UNDER_WAY: UnderWay = const { UnderWay { depth: Cell::new(0), waiting: Cell::new(null_mut()) } };
}

impl UnderWay {
    /// Puts an object aside. Without memory for that, it can't wait.
    fn postpone(&self, object: *mut PyObject) -> bool {
        // SAFETY: the block is ours, and large enough.
        unsafe {
            let waiting = PyMem_RawMalloc(size_of::<Waiting>()).cast::<Waiting>();
            if waiting.is_null() {
                return false;
            }
            waiting.write(Waiting { object, next: self.waiting.get() });
            self.waiting.set(waiting);
        }
        true
    }

    /// The object that was put aside last.
    fn next(&self) -> Option<*mut PyObject> {
        let waiting = self.waiting.get();
        // SAFETY: null, or a block that was written and that nobody else has.
        unsafe {
            let &Waiting { object, next } = waiting.as_ref()?;
            self.waiting.set(next);
            PyMem_RawFree(waiting.cast());
            Some(object)
        }
    }
}

/// Gives a new type the shorter deallocator, if that does for its instances.
///
/// # Safety
/// The type is new.
pub unsafe fn choose(tp: Type) {
    let Some(definition) = tp.definition() else { return };
    let has_struct_only =
        derives_from_object_only(tp) && definition.traverse.is_none() && !tp.is_collected() && tp.itemsize() == 0;
    if has_struct_only {
        // SAFETY: as this function's.
        unsafe { (*tp.as_ptr()).tp_dealloc = Some(ours().dealloc_struct) };
    }
    definition.made(has_struct_only && tp.vectorcall_offset() <= 0);
}

/// `tp_dealloc` where there is just a struct. A finalizer may be set later, and Python classes that derive from the type bring what
/// they bring.
pub unsafe extern "C" fn dealloc_struct(object: *mut PyObject) {
    // SAFETY: CPython calls this for the last reference; from there on the object is ours alone.
    unsafe {
        let tp = Type::of(object);
        let Some(definition) = tp.definition_if_plain().filter(|_| tp.tp_finalize().is_none()) else {
            return dealloc(object);
        };
        if let Some(destroy) = definition.destroy {
            destroy(definition.fixed_payload(object));
        }
        free(object, tp);
    }
}

/// Whether an instance of a type of ours has nothing but the struct of this type: most do.
#[inline(always)]
pub fn derives_from_object_only(tp: Type) -> bool {
    tp.base() == Some(Type::object()) && tp.dictoffset() | tp.weaklistoffset() == 0
}

/// Frees an object that has nothing left. It owned a reference to its type, perhaps the last one.
#[inline(always)]
unsafe fn free(object: *mut PyObject, tp: Type) {
    // SAFETY: the object is the caller's alone.
    unsafe {
        if let Some(free) = tp.tp_free() {
            free(object.cast());
        }
        Py_DECREF(tp.as_object());
    }
}

/// `tp_dealloc`
pub unsafe extern "C" fn dealloc(object: *mut PyObject) {
    UNDER_WAY.with(|thread| {
        let depth = thread.depth.get();
        // SAFETY: the object is the caller's alone. One that waits is seen by nobody, the collector included.
        unsafe {
            if Type::of(object).is_collected() {
                PyObject_GC_UnTrack(object.cast());
            }
            if depth >= MAX_DEPTH && thread.postpone(object) {
                return;
            }
            thread.depth.set(depth + 1);
            dealloc_now(object);
            if depth == 0 {
                while let Some(object) = thread.next() {
                    dealloc_now(object);
                }
            }
            thread.depth.set(depth);
        }
    })
}

/// Calls the finalizer. False if that keeps the object.
unsafe fn finalize(object: *mut PyObject, tp: Type) -> bool {
    // SAFETY: the caller's object is alive again while its finalizer runs, and then has to be tracked, as it may stay.
    unsafe {
        if tp.is_collected() {
            PyObject_GC_Track(object.cast());
        }
        if PyObject_CallFinalizerFromDealloc(object) < 0 {
            return false;
        }
        if tp.is_collected() {
            PyObject_GC_UnTrack(object.cast());
        }
    }
    true
}

/// The object is not tracked by the collector.
unsafe fn dealloc_now(object: *mut PyObject) {
    // SAFETY: the object is the caller's alone. Functions of the extension get the struct of their own type.
    unsafe {
        let tp = Type::of(object);
        let definition = tp.definition();
        // A class with another deallocator, such as a Python class, has called the finalizer already.
        if tp.tp_finalize().is_some() && is_our_dealloc(tp.tp_dealloc()) && !finalize(object, tp) {
            return;
        }
        if let Some(definition) = definition.filter(|_| derives_from_object_only(tp)) {
            let data = definition.payload(object);
            if let Some(traverse) = definition.traverse {
                traverse(data, Some(clear_field), null_mut());
            }
            if let Some(destroy) = definition.destroy {
                destroy(data);
            }
            return free(object, tp);
        }
        let parts = Parts::of(object);
        if parts.has_weak_references() {
            PyObject_ClearWeakRefs(object);
        }
        clear_fields(parts);
        parts.for_each_struct(|_, definition, data| {
            if let Some(destroy) = definition.destroy {
                destroy(data);
            }
            0
        });
        clear_slots(parts);
        if parts.has_dict() {
            attributes::drop_dict(object);
        }
        finish(object, tp, parts.last_base);
    }
}

/// The part of the last base, which frees the object.
unsafe fn finish(object: *mut PyObject, tp: Type, base: Type) {
    if is_same(base.tp_dealloc(), Type::object().tp_dealloc()) {
        // SAFETY: the object is ours alone and its structs are done.
        return unsafe { free(object, tp) };
    }
    // An object owns a reference to its heap type, which is given up last, as it may be the type's last one; a heap type's deallocator
    // does that itself.
    let gives_type_up = base.is_heap_type();
    // SAFETY: the object is ours alone until its base's function has it.
    unsafe {
        if base.is_collected() {
            PyObject_GC_Track(object.cast());
        }
        if let Some(dealloc) = base.tp_dealloc() {
            dealloc(object);
        }
        if !gives_type_up {
            Py_DECREF(tp.as_object());
        }
    }
}

/// Called for a field of a struct, by its `HPy_tp_traverse`.
unsafe extern "C" fn clear_field(field: *mut HPyField, _arg: *mut c_void) -> c_int {
    // SAFETY: a tp_traverse visits fields of its struct. The object is let go last, as that may run code that looks.
    unsafe {
        let old = to_object(HPy { _i: (*field)._i });
        *field = HPyField::NULL;
        Py_XDECREF(old);
    }
    0
}

/// Empties all fields of the types of ours.
pub fn clear_fields(parts: Parts) {
    parts.for_each_struct(|_, definition, data| match definition.traverse {
        // SAFETY: the function is the extension's, and gets the struct of its own type.
        Some(traverse) => unsafe { traverse(data, Some(clear_field), null_mut()) },
        None => 0,
    });
}

/// Empties the slots of Python classes.
pub fn clear_slots(parts: Parts) {
    parts.for_each_slot(|slot| {
        // SAFETY: a slot has null or a reference, which is let go when it is no longer there.
        unsafe { Py_XDECREF(slot.replace(null_mut())) };
    });
}
