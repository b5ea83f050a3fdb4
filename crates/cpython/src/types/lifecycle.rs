//! How instances end, and what the garbage collector sees of them.
//!
//! Every type of ours has the functions of this file. Above it there may be others of ours and Python classes, in any order, and
//! then a type of CPython's or of another library. CPython's function for Python classes goes by the object's type and would come
//! back to ours, so the part of such classes (slots, dictionary, weak references) is done here as well; the last base's own
//! function is called for the rest.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicUsize, Ordering};

use hpy_abi::*;
use pyo3_ffi::*;

use super::definition::{Definition, nearest};
use super::functions::{is_ours, is_same, ours};
use super::referents;
use crate::handle::to_object;
use crate::raised::{PythonError, Result};

fn address(function: Option<destructor>) -> usize {
    function.map_or(0, |function| function as usize)
}

/// The deallocator of Python classes: CPython does not name it, so a class is asked. 0 until [`learn`] has been called.
static OF_PYTHON_CLASSES: AtomicUsize = AtomicUsize::new(0);

/// What visits instances of Python classes.
#[cfg(all(Py_3_11, not(Py_3_12)))]
static OF_PYTHON_CLASSES_TRAVERSE: AtomicUsize = AtomicUsize::new(0);

/// Learns how to tell Python classes.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn learn() -> Result<()> {
    if OF_PYTHON_CLASSES.load(Ordering::Acquire) == 0 {
        // SAFETY: as this function's.
        unsafe {
            let class = PyObject_CallFunction((&raw mut PyType_Type).cast(), c"s(){}".as_ptr(), c"hpy".as_ptr());
            if class.is_null() {
                return Err(PythonError);
            }
            let class_type = class.cast::<PyTypeObject>();
            #[cfg(all(Py_3_11, not(Py_3_12)))]
            OF_PYTHON_CLASSES_TRAVERSE
                .store((*class_type).tp_traverse.map_or(0, |function| function as usize), Ordering::Relaxed);
            let of_python_classes = address((*class_type).tp_dealloc);
            Py_DECREF(class);
            referents::learn()?;
            // Last, as it says that all is known.
            OF_PYTHON_CLASSES.store(of_python_classes, Ordering::Release);
        }
    }
    Ok(())
}

unsafe fn is_python_class(tp: *mut PyTypeObject) -> bool {
    // SAFETY: the type is alive.
    unsafe { address((*tp).tp_dealloc) == OF_PYTHON_CLASSES.load(Ordering::Relaxed) }
}

/// The types whose part is done here, from the nearest of ours upwards: a Python class below it has done its part when our
/// functions are called. Gives the base behind them.
unsafe fn for_each_type(object: *mut PyObject, mut f: impl FnMut(*mut PyTypeObject)) -> *mut PyTypeObject {
    // SAFETY: the caller's type is alive, and keeps its bases; the chain ends at `object`, which is neither of ours nor a Python class.
    unsafe {
        let mut tp = nearest(Py_TYPE(object));
        while is_ours((*tp).tp_dealloc) || is_python_class(tp) {
            f(tp);
            tp = (*tp).tp_base;
        }
        tp
    }
}

unsafe fn last_base(object: *mut PyObject) -> *mut PyTypeObject {
    // SAFETY: the caller's object is alive.
    unsafe { for_each_type(object, |_| ()) }
}

/// Calls `f` for each type of ours, with its definition and the object's struct, until it says something else than 0.
unsafe fn for_each_struct(object: *mut PyObject, mut f: impl FnMut(&Definition, *mut c_void) -> c_int) -> c_int {
    let mut stop = 0;
    // SAFETY: the struct is where the definition's shape says.
    unsafe {
        for_each_type(object, |tp| {
            if stop == 0
                && let Some(definition) = Definition::of(tp)
            {
                stop = f(definition, definition.payload(object));
            }
        });
    }
    stop
}

/// Calls `f` for what each Python class has in `__slots__`.
unsafe fn for_each_slot(object: *mut PyObject, mut f: impl FnMut(*mut *mut PyObject)) {
    // SAFETY: a Python class's members are its slots, as many as the size of the type says.
    unsafe {
        for_each_type(object, |tp| {
            if is_python_class(tp) {
                for index in 0..Py_SIZE(tp.cast()) {
                    let member = &*(*tp).tp_members.offset(index);
                    if member.type_code == HPyMember_OBJECT_EX.0 && member.flags == 0 {
                        f(object.byte_offset(member.offset).cast());
                    }
                }
            }
        });
    }
}

unsafe fn is_heap_type(tp: *mut PyTypeObject) -> bool {
    // SAFETY: the type is alive.
    unsafe { PyType_HasFeature(tp, Py_TPFLAGS_HEAPTYPE) != 0 }
}

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

/// Gives a new type the shorter deallocator, if that does for its instances.
///
/// # Safety
/// The type is one of ours, and new.
pub unsafe fn choose_dealloc(tp: *mut PyTypeObject) {
    // SAFETY: as this function's.
    unsafe {
        if let Some(definition) = Definition::of(tp)
            && derives_from_object_only(tp)
            && definition.traverse.is_none()
            && PyType_HasFeature(tp, Py_TPFLAGS_HAVE_GC) == 0
            && (*tp).tp_itemsize == 0
        {
            (*tp).tp_dealloc = Some(ours().dealloc_struct);
        }
    }
}

/// `tp_dealloc` where there is just a struct. A finalizer may be set later, and Python classes that derive from the type bring what
/// they bring.
pub unsafe extern "C" fn dealloc_struct(object: *mut PyObject) {
    // SAFETY: CPython calls this for the last reference; from there on the object is ours alone.
    unsafe {
        let tp = Py_TYPE(object);
        if (*tp).tp_finalize.is_some() || !is_ours((*tp).tp_dealloc) {
            return dealloc(object);
        }
        let definition = Definition::of_ours(tp);
        if let Some(destroy) = definition.destroy {
            destroy(definition.fixed_payload(object));
        }
        free(object, tp);
    }
}

/// Whether an instance of a type of ours has nothing but the struct of this type: most do.
#[inline(always)]
unsafe fn derives_from_object_only(tp: *mut PyTypeObject) -> bool {
    // SAFETY: the caller's type is alive.
    unsafe { (*tp).tp_base == &raw mut PyBaseObject_Type && (*tp).tp_dictoffset | (*tp).tp_weaklistoffset == 0 }
}

/// Frees an object that has nothing left. It owned a reference to its type, perhaps the last one.
#[inline(always)]
unsafe fn free(object: *mut PyObject, tp: *mut PyTypeObject) {
    // SAFETY: the object is the caller's alone.
    unsafe {
        if let Some(free) = (*tp).tp_free {
            free(object.cast());
        }
        Py_DECREF(tp.cast());
    }
}

/// `tp_dealloc`
pub unsafe extern "C" fn dealloc(object: *mut PyObject) {
    UNDER_WAY.with(|thread| {
        let depth = thread.depth.get();
        // SAFETY: the object is the caller's alone. One that waits is seen by nobody, the collector included.
        unsafe {
            if PyType_IS_GC(Py_TYPE(object)) != 0 {
                PyObject_GC_UnTrack(object.cast());
            }
            if depth >= MAX_DEPTH {
                let waiting = PyMem_RawMalloc(size_of::<Waiting>()).cast::<Waiting>();
                if !waiting.is_null() {
                    waiting.write(Waiting { object, next: thread.waiting.get() });
                    thread.waiting.set(waiting);
                    return;
                }
            }
            thread.depth.set(depth + 1);
            dealloc_now(object);
            if depth == 0 {
                while let Some(&Waiting { object, next }) = thread.waiting.get().as_ref() {
                    PyMem_RawFree(thread.waiting.replace(next).cast());
                    dealloc_now(object);
                }
            }
            thread.depth.set(depth);
        }
    })
}

/// The object is not tracked by the collector.
unsafe fn dealloc_now(object: *mut PyObject) {
    // SAFETY: the object is the caller's alone. One that waits is seen by nobody, the collector included.
    unsafe {
        let tp = Py_TYPE(object);
        // A Python class that derives from ours has called the finalizer already.
        if is_ours((*tp).tp_dealloc) && (*tp).tp_finalize.is_some() {
            let collected = PyType_IS_GC(tp) != 0;
            // It may keep the object, which then has to be tracked.
            if collected {
                PyObject_GC_Track(object.cast());
            }
            if PyObject_CallFinalizerFromDealloc(object) < 0 {
                return;
            }
            if collected {
                PyObject_GC_UnTrack(object.cast());
            }
        }
        if let Some(definition) = Definition::of(tp)
            && derives_from_object_only(tp)
        {
            let data = definition.payload(object);
            if let Some(traverse) = definition.traverse {
                traverse(data, Some(clear_field), null_mut());
            }
            if let Some(destroy) = definition.destroy {
                destroy(data);
            }
            return free(object, tp);
        }
        let ours = nearest(tp);
        let base = last_base(object);
        if (*ours).tp_weaklistoffset != 0 && (*base).tp_weaklistoffset == 0 {
            PyObject_ClearWeakRefs(object);
        }
        clear_fields(object);
        for_each_struct(object, |definition, data| {
            if let Some(destroy) = definition.destroy {
                destroy(data);
            }
            0
        });
        clear_slots(object);
        if (*ours).tp_dictoffset != 0 && (*base).tp_dictoffset == 0 {
            drop_dict(object);
        }
        finish(object, tp, base);
    }
}

/// The part of the last base, which frees the object.
unsafe fn finish(object: *mut PyObject, tp: *mut PyTypeObject, base: *mut PyTypeObject) {
    // SAFETY: the object is ours alone and its structs are done. An object owns a reference to its heap type, which is given
    // up last, as it may be the type's last one; a heap type's deallocator does that itself.
    unsafe {
        let base_dealloc = (*base).tp_dealloc;
        if is_same(base_dealloc, PyBaseObject_Type.tp_dealloc) {
            return free(object, tp);
        }
        if PyType_IS_GC(base) != 0 {
            PyObject_GC_Track(object.cast());
        }
        if let Some(dealloc) = base_dealloc {
            dealloc(object);
        }
        if !is_heap_type(base) {
            Py_DECREF(tp.cast());
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
unsafe fn clear_fields(object: *mut PyObject) {
    // SAFETY: the caller's object.
    unsafe {
        for_each_struct(object, |definition, data| match definition.traverse {
            Some(traverse) => traverse(data, Some(clear_field), null_mut()),
            None => 0,
        });
    }
}

unsafe fn clear_slots(object: *mut PyObject) {
    // SAFETY: as for fields.
    unsafe {
        for_each_slot(object, |slot| {
            let old = slot.read();
            slot.write(null_mut());
            Py_XDECREF(old);
        });
    }
}

#[cfg(not(Py_3_13))]
unsafe extern "C" {
    /// Where an object has its dictionary, which is made if its content lies elsewhere. Exported by all versions.
    fn _PyObject_GetDictPtr(object: *mut PyObject) -> *mut *mut PyObject;
}

#[cfg(Py_3_13)]
unsafe extern "C" {
    fn PyObject_ClearManagedDict(object: *mut PyObject);
    fn PyObject_VisitManagedDict(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int;
}

#[cfg(all(Py_3_12, not(Py_3_13)))]
unsafe extern "C" {
    #[link_name = "_PyObject_VisitManagedDict"]
    fn PyObject_VisitManagedDict(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int;
}

/// Whether CPython has put the dictionary where only it knows, in front of the object.
#[cfg(Py_3_11)]
unsafe fn has_managed_dict(object: *mut PyObject) -> bool {
    // SAFETY: the object is alive.
    unsafe { PyType_HasFeature(Py_TYPE(object), 1 << 4) != 0 }
}

#[cfg(not(Py_3_11))]
unsafe fn has_managed_dict(_object: *mut PyObject) -> bool {
    false
}

/// Where the dictionary is if CPython does not manage it.
unsafe fn plain_dict(object: *mut PyObject) -> *mut *mut PyObject {
    // SAFETY: the caller's object has room for a dictionary. Offsets count from the end where a size varies.
    unsafe {
        let offset = (*Py_TYPE(object)).tp_dictoffset;
        if offset > 0 {
            return object.byte_offset(offset).cast();
        }
        #[cfg(not(Py_3_13))]
        return _PyObject_GetDictPtr(object);
        #[cfg(Py_3_13)]
        return null_mut();
    }
}

/// Takes the dictionary of attributes away from an object that has one.
unsafe fn drop_dict(object: *mut PyObject) {
    // SAFETY: the caller's object has room for a dictionary.
    unsafe {
        #[cfg(Py_3_13)]
        if has_managed_dict(object) {
            return PyObject_ClearManagedDict(object);
        }
        #[cfg(not(Py_3_13))]
        let place = _PyObject_GetDictPtr(object);
        #[cfg(Py_3_13)]
        let place = plain_dict(object);
        if !place.is_null() {
            let dict = place.read();
            place.write(null_mut());
            Py_XDECREF(dict);
        }
    }
}

/// Visits the attributes of an object that has a dictionary.
unsafe fn visit_dict(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: the caller's object has room for a dictionary.
    unsafe {
        if has_managed_dict(object) {
            return visit_managed_dict(object, visit, arg);
        }
        let place = plain_dict(object);
        if place.is_null() || (*place).is_null() { 0 } else { visit(*place, arg) }
    }
}

#[cfg(Py_3_12)]
unsafe fn visit_managed_dict(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: the caller's object has such a dictionary.
    unsafe { PyObject_VisitManagedDict(object, visit, arg) }
}

/// CPython 3.11 has no function for that, but that of Python classes visits attributes without a dictionary, and then calls ours
/// once more. The dictionary, once there is one, it leaves to us.
#[cfg(all(Py_3_11, not(Py_3_12)))]
unsafe fn visit_managed_dict(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: the caller's object has such a dictionary: two pointers of which one at most is set.
    unsafe {
        let words = object.cast::<*mut PyObject>();
        let (values, dict) = (*words.offset(-4), *words.offset(-3));
        if !dict.is_null() {
            return visit(dict, arg);
        }
        // A Python class below ours has visited them.
        if values.is_null() || is_python_class(Py_TYPE(object)) {
            return 0;
        }
        let function = OF_PYTHON_CLASSES_TRAVERSE.load(Ordering::Relaxed);
        let function = core::mem::transmute::<usize, Option<traverseproc>>(function);
        VISITS_VALUES.set(true);
        let stop = function.map_or(0, |function| function(object, visit, arg));
        VISITS_VALUES.set(false);
        stop
    }
}

#[cfg(not(Py_3_11))]
unsafe fn visit_managed_dict(_object: *mut PyObject, _visit: visitproc, _arg: *mut c_void) -> c_int {
    0
}

#[cfg(all(Py_3_11, not(Py_3_12)))]
thread_local! {
    /// Set while our function would be called for an object that it is visiting.
    static VISITS_VALUES: Cell<bool> = const { Cell::new(false) };
}

/// What a visitor of CPython's needs on its way through an extension's function.
struct Visit {
    visit: visitproc,
    arg: *mut c_void,
    /// Fields in front of it are visited by the function of a base.
    start: *const c_void,
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
unsafe fn visited_by_bases(tp: *mut PyTypeObject) -> usize {
    let mut visited = false;
    // SAFETY: a type keeps its bases alive.
    unsafe {
        let mut base = nearest((*tp).tp_base);
        while let Some(definition) = Definition::of(base) {
            visited |= definition.traverse.is_some();
            if visited && definition.struct_size != 0 {
                return definition.struct_size as usize;
            }
            base = nearest((*base).tp_base);
        }
    }
    0
}

/// `tp_traverse`
pub unsafe extern "C" fn traverse(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int {
    #[cfg(all(Py_3_11, not(Py_3_12)))]
    if VISITS_VALUES.get() {
        return 0;
    }
    // SAFETY: the collector passes a live object, and nothing changes while it looks.
    unsafe {
        let tp = Py_TYPE(object);
        if let Some(definition) = Definition::of(tp)
            && derives_from_object_only(tp)
        {
            let mut visiting = Visit { visit, arg, start: null() };
            let stop = match definition.traverse {
                Some(traverse) => traverse(definition.payload(object), Some(visit_field), (&raw mut visiting).cast()),
                None => 0,
            };
            return if stop != 0 || referents::are_asked_for(visit) { stop } else { visit(tp.cast(), arg) };
        }
        let base = last_base(object);
        let ours = nearest(Py_TYPE(object));
        let mut stop = 0;
        for_each_type(object, |tp| {
            if stop == 0
                && let Some(definition) = Definition::of(tp)
                && let Some(traverse) = definition.traverse
            {
                // An extension's function may visit the fields of a base's struct as well, but each has to be seen once.
                let data = definition.payload(object);
                let mut visiting = Visit { visit, arg, start: data.byte_add(visited_by_bases(tp)) };
                stop = traverse(data, Some(visit_field), (&raw mut visiting).cast());
            }
        });
        for_each_slot(object, |slot| {
            let value = slot.read();
            if stop == 0 && !value.is_null() {
                stop = visit(value, arg);
            }
        });
        if stop == 0 && (*ours).tp_dictoffset != 0 && (*base).tp_dictoffset == 0 {
            stop = visit_dict(object, visit, arg);
        }
        // The object owns a reference to its type. A Python class that derives from ours leaves visiting it to us, and we to a
        // heap type.
        if stop == 0 && !is_heap_type(base) && !referents::are_asked_for(visit) {
            stop = visit(Py_TYPE(object).cast(), arg);
        }
        match (*base).tp_traverse {
            Some(base_traverse) if stop == 0 => base_traverse(object, visit, arg),
            _ => stop,
        }
    }
}

/// `tp_clear`
pub unsafe extern "C" fn clear(object: *mut PyObject) -> c_int {
    // SAFETY: the collector passes a live object.
    unsafe {
        let base = last_base(object);
        let ours = nearest(Py_TYPE(object));
        clear_fields(object);
        clear_slots(object);
        if (*ours).tp_dictoffset != 0 && (*base).tp_dictoffset == 0 {
            drop_dict(object);
        }
        (*base).tp_clear.map_or(0, |base_clear| base_clear(object))
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
    let mut visiting = Visit { visit, arg, start: null() };
    // SAFETY: as this function's.
    unsafe {
        match function {
            Some(function) => function(Definition::payload_of(object), Some(visit_field), (&raw mut visiting).cast()),
            None => 0,
        }
    }
}
