//! What universal binaries are told about objects, so that they can do the smallest things themselves (`include/hpy/shortcuts.h`).
//!
//! Where things lie is known from the structs of this version of CPython. Whether it is so is tried out on real objects before any
//! binary is told: on a CPython that was built in another way, binaries are told nothing and call the table.

use core::ffi::CStr;
use core::mem::{offset_of, size_of};
use core::ptr::{null_mut, with_exposed_provenance};
use std::sync::OnceLock;

use hpy_abi::{HPyContext, HPyShortcuts, HPyType_BuiltinShape_Object};
use pyo3_ffi::*;

use crate::types::shape;
use crate::{keywords, tracker};

struct Described(Option<HPyShortcuts>);

// SAFETY: of the two pointers only the values are used, and the context is static.
unsafe impl Sync for Described {}
// SAFETY: of the two pointers only the values are used, and the context is static.
unsafe impl Send for Described {}

/// What binaries are told that run with this context, whose handles are objects; none if they are to call the table.
///
/// # Safety
/// The caller holds the interpreter, and no exception is set.
pub unsafe fn of(context: *mut HPyContext) -> Option<&'static HPyShortcuts> {
    static KNOWN: OnceLock<Described> = OnceLock::new();
    if !HAS_COUNTS {
        return None;
    }
    if KNOWN.get().is_none() {
        let described = describe(context);
        // SAFETY: as this function's.
        match unsafe { holds(&described) } {
            Some(holds) => _ = KNOWN.set(Described(holds.then_some(described))),
            // Nothing could be tried out. The next module may have more luck.
            // SAFETY: as this function's.
            None => unsafe { PyErr_Clear() },
        }
    }
    KNOWN.get()?.0.as_ref()
}

/// Whether objects can start with a count of references that is all there is to say, and that only the GIL's holder changes.
const HAS_COUNTS: bool = cfg!(all(
    target_pointer_width = "64",
    target_endian = "little",
    not(Py_GIL_DISABLED),
    not(py_sys_config = "Py_REF_DEBUG"),
    not(py_sys_config = "Py_TRACE_REFS")
));

/// Whether there are immortal objects, which can be told by half of the count.
const HALF_COUNTS: bool = cfg!(Py_3_12);

fn describe(context: *mut HPyContext) -> HPyShortcuts {
    let address = |object: *mut PyTypeObject| object.expose_provenance().cast_signed();
    let context_if = |condition| if condition { context } else { null_mut() };
    HPyShortcuts {
        size: size_of::<HPyShortcuts>() as u32,
        has_tagged_ints: cfg!(Py_3_12).into(),
        objects: context,
        word_counts: context_if(!HALF_COUNTS),
        half_counts: context_if(HALF_COUNTS),
        list_type: address(&raw mut PyList_Type),
        tuple_type: address(&raw mut PyTuple_Type),
        float_type: address(&raw mut PyFloat_Type),
        int_type: address(&raw mut PyLong_Type),
        tuple_items: offset_of!(PyTupleObject, ob_item).cast_signed(),
        type_flags: offset_of!(PyTypeObject, tp_flags).cast_signed(),
        match_names: Some(keywords::match_names),
        track: Some(tracker::track),
        parse_objects: Some(keywords::parse_objects),
    }
}

/// What a binary would read there.
///
/// # Safety
/// There is such a place in the object.
unsafe fn at<T>(object: *mut PyObject, place: isize) -> T {
    // SAFETY: as this function's.
    unsafe { object.byte_offset(place).cast::<T>().read_unaligned() }
}

/// An object that is let go.
struct Owned(*mut PyObject);

impl Owned {
    fn new(object: *mut PyObject) -> Option<Owned> {
        if object.is_null() { None } else { Some(Owned(object)) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { Py_DECREF(self.0) };
    }
}

/// Tries it out. None, with an exception set, if an object can't be made.
unsafe fn holds(described: &HPyShortcuts) -> Option<bool> {
    // SAFETY: the caller holds the interpreter; the objects are ours and large enough for what is read.
    unsafe {
        // A binary built for debug builds of CPython can be told by its compiler; this one may be loaded by one.
        if !PySys_GetObject(c"gettotalrefcount".as_ptr()).is_null() {
            return Some(false);
        }
        let float = Owned::new(PyFloat_FromDouble(1234.5))?;
        let other = Owned::new(PyFloat_FromDouble(-0.25))?;
        // By CPython's functions, which know where things lie.
        let list = Owned::new(PyList_New(0))?;
        if PyList_Append(list.0, other.0) < 0 || PyList_Append(list.0, float.0) < 0 {
            return None;
        }
        let tuple = Owned::new(PyTuple_Pack(2, other.0, float.0))?;
        let word = |object: &Owned| object.0.expose_provenance().cast_signed();
        let items = with_exposed_provenance::<[isize; 2]>(at::<usize>(list.0, HPyShortcuts::LIST_ITEMS));
        let expected = [word(&other), word(&float)];
        let objects = [(&float, described.float_type), (&list, described.list_type), (&tuple, described.tuple_type)];
        Some(
            objects.iter().all(|(object, tp)| at::<isize>(object.0, HPyShortcuts::TYPE) == *tp)
                && [&list, &tuple].iter().all(|object| at::<isize>(object.0, HPyShortcuts::LENGTH) == 2)
                && items.read() == expected
                && at::<[isize; 2]>(tuple.0, described.tuple_items) == expected
                && at::<f64>(float.0, HPyShortcuts::FLOAT_VALUE) == 1234.5
                && at::<f64>(other.0, HPyShortcuts::FLOAT_VALUE) == -0.25
                && has_flags(described)
                && ints_hold(described)?
                && texts_hold()?
                && shape::head_size(HPyType_BuiltinShape_Object) == HPyShortcuts::PAYLOAD
                && counts_hold(float.0, 3),
        )
    }
}

unsafe fn has_flags(described: &HPyShortcuts) -> bool {
    // SAFETY: static types.
    unsafe {
        let types = [
            &raw mut PyList_Type,
            &raw mut PyTuple_Type,
            &raw mut PyBytes_Type,
            &raw mut PyUnicode_Type,
            &raw mut PyDict_Type,
            &raw mut PyFloat_Type,
        ];
        types.iter().all(|&tp| at::<u32>(tp.cast(), described.type_flags) == PyType_GetFlags(tp) as u32)
    }
}

/// Whether ints can be read as described, and those with more digits be told from them.
unsafe fn ints_hold(described: &HPyShortcuts) -> Option<bool> {
    const LARGEST_DIGIT: i64 = (1 << 30) - 1;
    let few = [0, 1, -1, 5, 256, -1000, 1 << 29, LARGEST_DIGIT, -LARGEST_DIGIT];
    let more = [LARGEST_DIGIT + 1, -LARGEST_DIGIT - 1, 1 << 32, -(1 << 40), i64::MAX, i64::MIN];
    for value in few.into_iter().chain(more) {
        // SAFETY: the caller holds the interpreter, and an int has a head.
        unsafe {
            let int = Owned::new(PyLong_FromLongLong(value))?;
            let head = at::<isize>(int.0, HPyShortcuts::INT_HEAD);
            let sign = match described.has_tagged_ints {
                0 if (-1..=1).contains(&head) => Some(head),
                1 if (0..16).contains(&head) => Some(1 - (head & 3)),
                _ => None,
            };
            let read = sign.map(|sign| match sign {
                0 => 0,
                sign => sign as i64 * i64::from(at::<u32>(int.0, HPyShortcuts::INT_DIGIT)),
            });
            if at::<isize>(int.0, HPyShortcuts::TYPE) != described.int_type
                || read != few.contains(&value).then_some(value)
            {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// Whether ASCII is told from other text, and found.
unsafe fn texts_hold() -> Option<bool> {
    // SAFETY: the caller holds the interpreter; the strs are alive.
    unsafe {
        for text in [c"", c"n", c"name"] {
            let object = Owned::new(PyUnicode_FromString(text.as_ptr()))?;
            let found = keywords::ascii(object.0);
            if found.is_null()
                || found != PyUnicode_AsUTF8AndSize(object.0, null_mut())
                || CStr::from_ptr(found) != text
            {
                return Some(false);
            }
        }
        for other in [c"\u{e9}", c"n\u{e4}me", c"\u{540d}", c"\u{1f40d}"] {
            let object = Owned::new(PyUnicode_FromString(other.as_ptr()))?;
            if !keywords::ascii(object.0).is_null() {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// Whether CPython's functions count references as a binary would, from so many on, and those of immortal objects too.
unsafe fn counts_hold(object: *mut PyObject, references: i64) -> bool {
    // SAFETY: the caller's object and None are alive, and what is taken is given back.
    unsafe {
        let count = |object| match HALF_COUNTS {
            true => at::<i32>(object, 0).into(),
            false => at::<isize>(object, 0) as i64,
        };
        count(object) == references
            && [object, Py_None()].into_iter().all(|object| {
                let before = count(object);
                Py_IncRef(object);
                let taken = count(object);
                Py_DecRef(object);
                let expected = if before < 0 { before } else { before + 1 };
                before != 0 && taken == expected && count(object) == before
            })
    }
}
