//! What the garbage collector sees of instances, and how it clears them: `tp_traverse` and `tp_clear` of types of ours.

use core::ffi::{c_int, c_void};
use core::iter::successors;
use core::ptr::null;

use hpy_abi::*;
use pyo3_ffi::*;

use super::definition::Definition;
use super::parts::Parts;
use super::type_object::Type;
use super::{attributes, dealloc, referents};
use crate::handle::to_object;

/// What a visitor of CPython's needs on its way through an extension's function.
struct Visit {
    visit: visitproc,
    arg: *mut c_void,
    /// Fields in front of it are visited by the function of a base.
    start: *const c_void,
}

impl Visit {
    /// Has an extension's function visit the fields of a struct.
    ///
    /// # Safety
    /// The function is that of the struct's type.
    #[inline(always)]
    unsafe fn fields(mut self, traverse: HPyFunc_traverseproc, data: *mut c_void) -> c_int {
        // SAFETY: as this function's; `visit_field` gets what is handed in here.
        traverse.map_or(0, |traverse| unsafe { traverse(data, Some(visit_field), (&raw mut self).cast()) })
    }
}

unsafe extern "C" fn visit_field(field: *mut HPyField, visit: *mut c_void) -> c_int {
    // SAFETY: the argument is the `Visit` that was handed in, and the field one of the struct's.
    unsafe {
        let visit = &*visit.cast::<Visit>();
        let object = to_object(HPy { _i: (*field)._i });
        if object.is_null() || field.cast_const().cast() < visit.start { 0 } else { (visit.visit)(object, visit.arg) }
    }
}

/// The size of the struct whose fields the bases of a type of ours visit.
fn visited_by_bases(tp: Type) -> usize {
    let mut is_visited = false;
    for definition in successors(tp.base(), |tp| tp.base()).filter_map(Type::definition) {
        is_visited |= definition.traverse.is_some();
        if is_visited && definition.struct_size != 0 {
            return definition.struct_size.cast_unsigned() as usize;
        }
    }
    0
}

/// `tp_traverse`
pub unsafe extern "C" fn traverse(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int {
    if attributes::is_visiting_values() {
        return 0;
    }
    // SAFETY: the collector passes a live object, and nothing changes while it looks.
    unsafe {
        let tp = Type::of(object);
        if let Some(definition) = tp.definition().filter(|_| dealloc::derives_from_object_only(tp)) {
            let visiting = Visit { visit, arg, start: null() };
            let stop = visiting.fields(definition.traverse, definition.payload(object));
            return if stop != 0 || referents::are_asked_for(visit) { stop } else { visit(tp.as_object(), arg) };
        }
        traverse_parts(object, visit, arg)
    }
}

/// The same for an object that has more than one struct.
unsafe fn traverse_parts(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: the caller's object is alive.
    let parts = unsafe { Parts::of(object) };
    let mut stop = parts.for_each_struct(|tp, definition, data| {
        // An extension's function may visit the fields of a base's struct as well, but each has to be seen once.
        let start = data.wrapping_byte_add(visited_by_bases(tp));
        // SAFETY: struct and function are of the same type.
        unsafe { Visit { visit, arg, start }.fields(definition.traverse, data) }
    });
    // SAFETY: the visitor wants live objects, which slots, dictionary and type are. The base's function gets an instance of the base.
    unsafe {
        parts.for_each_slot(|slot| {
            let value = slot.read();
            if stop == 0 && !value.is_null() {
                stop = visit(value, arg);
            }
        });
        if stop == 0 && parts.has_dict() {
            stop = attributes::visit_dict(object, visit, arg);
        }
        // The object owns a reference to its type. A Python class that derives from ours leaves visiting it to us, and we to a
        // heap type.
        if stop == 0 && !parts.last_base.is_heap_type() && !referents::are_asked_for(visit) {
            stop = visit(Type::of(object).as_object(), arg);
        }
        match parts.last_base.tp_traverse() {
            Some(base_traverse) if stop == 0 => base_traverse(object, visit, arg),
            _ => stop,
        }
    }
}

/// `tp_clear`
pub unsafe extern "C" fn clear(object: *mut PyObject) -> c_int {
    // SAFETY: the collector passes a live object. The base's function gets an instance of the base.
    unsafe {
        let parts = Parts::of(object);
        dealloc::clear_fields(parts);
        dealloc::clear_slots(parts);
        if parts.has_dict() {
            attributes::drop_dict(object);
        }
        parts.last_base.tp_clear().map_or(0, |base_clear| base_clear(object))
    }
}

/// `tp_traverse` of an extension, called through a trampoline of its binary.
///
/// # Safety
/// The object has to be an instance of a type of ours.
pub unsafe fn traverse_from_trampoline(
    function: HPyFunc_traverseproc,
    object: *mut PyObject,
    visit: visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: as this function's.
    unsafe { Visit { visit, arg, start: null() }.fields(function, Definition::payload_of(object)) }
}
