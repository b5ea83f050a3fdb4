//! `DebugHandle`: a handle of an extension's as Python sees it.

use core::ffi::{CStr, c_int, c_void};
use core::ptr::{null, null_mut};

use hpy_cpython::handle::{new_ref, to_object};
use hpy_cpython::raised::{PythonError, Result};
use hpy_debug::inspect;
use hpy_layer::inner::InnerHandle;
use pyo3_ffi::*;

use super::host;
use crate::binding::{Static, entry, error, method, none};
use crate::owned::Owned;

/// The object of a handle that is ours; None if it is null.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn owned(handle: InnerHandle) -> Result<Owned> {
    let object = to_object(handle.handle());
    // SAFETY: the object is null, or the reference ours.
    unsafe { if object.is_null() { none() } else { Owned::new(object) } }
}

/// An instance of `DebugHandle`.
#[repr(C)]
struct DebugHandle {
    head: PyObject,
    index: u32,
}

/// A new instance for the slot with this index.
///
/// # Safety
/// The type was made from [`SPEC`]; the caller holds the interpreter.
pub unsafe fn new(class: *mut PyObject, index: u32) -> Result<Owned> {
    // SAFETY: as this function's, so the instance is a `DebugHandle`.
    unsafe {
        let handle = Owned::new(PyType_GenericAlloc(class.cast(), 0))?;
        (*handle.as_ptr().cast::<DebugHandle>()).index = index;
        Ok(handle)
    }
}

/// # Safety
/// An instance of the type.
pub unsafe fn index_of(this: *mut PyObject) -> u32 {
    // SAFETY: CPython only passes instances.
    unsafe { (*this.cast::<DebugHandle>()).index }
}

macro_rules! getter {
    ($name:literal, $function:path, $doc:literal) => {{
        unsafe extern "C" fn get(this: *mut PyObject, _closure: *mut c_void) -> *mut PyObject {
            // SAFETY: CPython passes an instance.
            unsafe { $function(index_of(this)) }.map_or(null_mut(), Owned::into_raw)
        }
        PyGetSetDef { name: $name.as_ptr(), get: Some(get), set: None, doc: $doc.as_ptr(), closure: null_mut() }
    }};
}

unsafe fn get_obj(index: u32) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter; the handle is ours.
    unsafe { owned(inspect::object(index)) }
}

unsafe fn get_id(index: u32) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyLong_FromSize_t(inspect::handle(index).id)) }
}

unsafe fn get_is_closed(index: u32) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyBool_FromLong(inspect::handle(index).is_closed.into())) }
}

unsafe fn get_raw_data_size(index: u32) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyLong_FromSsize_t(inspect::handle(index).raw_data_size)) }
}

unsafe fn force_close(this: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an instance.
    unsafe {
        let index = index_of(this);
        if !inspect::force_close(index) {
            return Err(error(PyExc_ValueError, "the handle is closed already"));
        }
        if PyErr_Occurred().is_null() { none() } else { Err(PythonError) }
    }
}

/// Never fails: a list of leaks shows all of them, also those of objects whose `repr()` raises.
unsafe fn text_of_handle(this: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an instance. The object may be closed while its repr() runs, so we take a reference.
    unsafe {
        let index = index_of(this);
        let what = match inspect::object(index) {
            InnerHandle::NULL => "CLOSED".into(),
            object => format!("for {}", host::repr_or_address(owned(object)?.as_ptr())),
        };
        let handle = inspect::handle(index);
        Owned::str(&format!("<DebugHandle {:#x} {what}>\n{}", handle.id, handle.story))
    }
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython passes an instance.
    unsafe { text_of_handle(this) }.map_or(null_mut(), Owned::into_raw)
}

/// A slot has one id at a time, and an id one slot, so comparing slots compares ids.
unsafe extern "C" fn compare(this: *mut PyObject, other: *mut PyObject, operator: c_int) -> *mut PyObject {
    // SAFETY: CPython passes an instance and any object; two of the same type are both instances.
    unsafe {
        let is_question_of_equality = operator == Py_EQ || operator == Py_NE;
        if PyObject_TypeCheck(other, Py_TYPE(this)) == 0 || !is_question_of_equality {
            return new_ref(Py_NotImplemented());
        }
        let same = index_of(this) == index_of(other);
        PyBool_FromLong((same == (operator == Py_EQ)).into())
    }
}

unsafe extern "C" fn hash(this: *mut PyObject) -> Py_hash_t {
    // SAFETY: CPython passes an instance.
    Py_hash_t::try_from(unsafe { index_of(this) }).unwrap_or_default()
}

unsafe extern "C" fn refuse_new(
    _class: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { error(PyExc_TypeError, "the lists of open and closed handles have the only instances of DebugHandle") };
    null_mut()
}

static GETTERS: Static<[PyGetSetDef; 5]> = Static::new([
    getter!(c"obj", get_obj, c"The object that the handle stands for; None if the handle is closed."),
    getter!(c"id", get_id, c"A number that no other handle has: the handle as the extension sees it."),
    getter!(c"is_closed", get_is_closed, c"Whether the handle has been closed."),
    getter!(
        c"raw_data_size",
        get_raw_data_size,
        c"The size in bytes of the C string or buffer that belongs to the handle; -1 if there is none."
    ),
    PyGetSetDef { name: null(), get: None, set: None, doc: null(), closure: null_mut() },
]);

static METHODS: Static<[PyMethodDef; 2]> = Static::new([
    entry!(
        c"_force_close",
        force_close,
        METH_NOARGS,
        c"_force_close()\n--\n\nClose the handle, as the extension should have done. For tests that leak on purpose."
    ),
    PyMethodDef::zeroed(),
]);

const DOC: &CStr = c"A handle that an extension has opened in debug mode.\n\n\
Instances are equal if they stand for the same handle. The repr() tells where that was opened.";

static SLOTS: Static<[PyType_Slot; 8]> = Static::new([
    PyType_Slot { slot: Py_tp_doc, pfunc: DOC.as_ptr() as *mut c_void },
    PyType_Slot { slot: Py_tp_getset, pfunc: GETTERS.get().cast() },
    PyType_Slot { slot: Py_tp_methods, pfunc: METHODS.get().cast() },
    PyType_Slot { slot: Py_tp_repr, pfunc: repr as *mut c_void },
    PyType_Slot { slot: Py_tp_richcompare, pfunc: compare as *mut c_void },
    PyType_Slot { slot: Py_tp_hash, pfunc: hash as *mut c_void },
    PyType_Slot { slot: Py_tp_new, pfunc: refuse_new as *mut c_void },
    PyType_Slot { slot: 0, pfunc: null_mut() },
]);

pub static SPEC: Static<PyType_Spec> = Static::new(PyType_Spec {
    name: c"hpy.universal._debug.DebugHandle".as_ptr(),
    basicsize: size_of::<DebugHandle>() as c_int,
    itemsize: 0,
    flags: Py_TPFLAGS_DEFAULT as u32,
    slots: SLOTS.get().cast(),
});
