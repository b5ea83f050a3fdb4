//! Types with a metaclass.
//!
//! CPython makes a type from a spec with a metaclass only from 3.12 on, and only if that makes its classes as `type` does. Before, a type
//! is made without, and given to the metaclass, or, if that adds something to types, its content moved into an object of it ([`adopt`]). From 3.12 on, one of the others is made with a
//! metaclass of our own, derived from theirs, and then given to theirs.
//!
//! The `__new__` of such a metaclass runs when the type is complete ([`run_new`]): what it gets from `super().__new__` is our type.

use core::cell::UnsafeCell;
use core::ffi::CStr;
#[cfg(Py_3_12)]
use core::ffi::{c_uint, c_void};
use core::ptr::null_mut;

use pyo3_ffi::*;

use super::functions;
use super::reference::Reference;
use super::type_object::Type;
use crate::handle::new_ref;
use crate::raised::{PythonError, Result, raise};

/// Whether a metaclass makes its classes as `type` does.
pub fn makes_like_type(meta: Type) -> bool {
    functions::is_same(meta.tp_new(), Type::metatype().tp_new())
}

/// Makes the type, an instance of `meta`, which is derived from the metaclasses of all bases.
///
/// # Safety
/// As `PyType_FromMetaclass`; the spec has so many members.
#[cfg(not(Py_3_12))]
pub unsafe fn create(
    spec: &mut PyType_Spec,
    bases: *mut PyObject,
    meta: Type,
    members: usize,
) -> Result<*mut PyObject> {
    // SAFETY: as this function's.
    unsafe {
        let made = checked(PyType_FromSpecWithBases(spec, bases))?;
        if meta == Type::of(made) {
            return Ok(made);
        }
        if meta.basicsize() == Type::metatype().basicsize() {
            // It adds nothing to a type.
            give_to(made, meta);
            return Ok(made);
        }
        let result = adopt(made.cast(), spec, meta, members);
        Py_DECREF(made);
        result
    }
}

/// Makes the type, an instance of `meta`, which is derived from the metaclasses of all bases.
///
/// # Safety
/// As `PyType_FromMetaclass`.
#[cfg(Py_3_12)]
pub unsafe fn create(
    spec: &mut PyType_Spec,
    bases: *mut PyObject,
    meta: Type,
    _members: usize,
) -> Result<*mut PyObject> {
    // SAFETY: as this function's.
    unsafe {
        if makes_like_type(meta) {
            return checked(PyType_FromMetaclass(meta.as_ptr(), null_mut(), spec, bases));
        }
        let stand_in = stand_in(meta)?;
        let made = checked(PyType_FromMetaclass(stand_in.as_ptr().cast(), null_mut(), spec, bases))?;
        // It is as large as theirs, and has a reference from the new type, which is no longer its instance.
        give_to(made, meta);
        Py_DECREF(stand_in.as_ptr());
        Ok(made)
    }
}

/// Makes a new type an instance of `meta`, a heap type, to which each instance has a reference.
///
/// # Safety
/// The new type is the caller's, and as large as instances of `meta` are.
unsafe fn give_to(made: *mut PyObject, meta: Type) {
    // SAFETY: as this function's.
    unsafe {
        new_ref(meta.as_object());
        (*made).ob_type = meta.as_ptr();
    }
}

/// A metaclass like `meta` that makes its classes as `type` does.
#[cfg(Py_3_12)]
fn stand_in(meta: Type) -> Result<Reference> {
    let mut slots = [PyType_Slot { slot: Py_tp_new, pfunc: null_mut() }, PyType_Slot { slot: 0, pfunc: null_mut() }];
    // SAFETY: the slots live until the type is made. A function pointer is as wide as any pointer.
    unsafe {
        slots[0].pfunc = core::mem::transmute::<Option<newfunc>, *mut c_void>(Type::metatype().tp_new());
        let mut spec = PyType_Spec {
            name: c"hpy.metaclass".as_ptr(),
            basicsize: 0,
            itemsize: 0,
            flags: Py_TPFLAGS_DEFAULT as c_uint,
            slots: slots.as_mut_ptr(),
        };
        checked(PyType_FromSpecWithBases(&mut spec, meta.as_object())).map(Reference::new)
    }
}

/// Has the metaclass of a new type do what it does with a new class, if it makes them in its own way.
///
/// # Safety
/// The type is complete, and nobody else's yet.
pub unsafe fn run_new(made: *mut PyObject) -> Result<()> {
    // SAFETY: as this function's.
    unsafe {
        let meta = Type::of(made);
        if makes_like_type(meta) {
            return Ok(());
        }
        let last = Reference::new(checked(PyCFunction_NewEx(GIVES_MADE.0.get(), made, null_mut()))?);
        // What super() finds behind the metaclass.
        let behind = Reference::new(checked(PyObject_CallFunction(
            (&raw mut PyType_Type).cast(),
            c"s(O){sO}".as_ptr(),
            c"made".as_ptr(),
            &raw mut PyType_Type,
            NEW.as_ptr(),
            last.as_ptr(),
        ))?);
        let result = run_with(made, meta, behind.as_ptr());
        let result = Reference::new(result?);
        // It would keep the type until the collector comes.
        if PyObject_SetAttrString(behind.as_ptr(), NEW.as_ptr(), Py_None()) < 0 {
            return Err(PythonError);
        }
        if result.as_ptr() != made {
            let format =
                c"'%s' can't have the metaclass '%s' of its base: that makes classes which are not those it is given";
            return Err(raise!(PyExc_TypeError, format, Type::new(made.cast()).name(), meta.name()));
        }
        Ok(())
    }
}

/// Calls the metaclass's `__new__` with a metaclass that has `behind` behind it.
unsafe fn run_with(made: *mut PyObject, meta: Type, behind: *mut PyObject) -> Result<*mut PyObject> {
    // SAFETY: the caller's objects are alive; all references are ours.
    unsafe {
        let tp = made.cast::<PyTypeObject>();
        let derived = Reference::new(checked(PyObject_CallFunction(
            meta.metaclass().as_object(),
            c"s(OO){}".as_ptr(),
            meta.name(),
            meta.as_ptr(),
            behind,
        ))?);
        let name = Reference::new(checked(PyObject_GetAttrString(made, c"__name__".as_ptr()))?);
        let proxy = Reference::new(checked(PyObject_GetAttrString(made, c"__dict__".as_ptr()))?);
        let namespace = Reference::new(checked(PyDict_New())?);
        if PyDict_Update(namespace.as_ptr(), proxy.as_ptr()) < 0 {
            return Err(PythonError);
        }
        let new = Reference::new(checked(PyObject_GetAttrString(meta.as_object(), NEW.as_ptr()))?);
        checked(PyObject_CallFunctionObjArgs(
            new.as_ptr(),
            derived.as_ptr(),
            name.as_ptr(),
            (*tp).tp_bases,
            namespace.as_ptr(),
            null_mut::<PyObject>(),
        ))
    }
}

const NEW: &CStr = c"__new__";

/// CPython writes to nothing of it.
struct Static<T>(UnsafeCell<T>);

// SAFETY: CPython writes to none of it, and we only read.
unsafe impl<T> Sync for Static<T> {}

static GIVES_MADE: Static<PyMethodDef> = Static(UnsafeCell::new(PyMethodDef {
    ml_name: NEW.as_ptr(),
    ml_meth: PyMethodDefPointer { PyCFunctionWithKeywords: gives_made },
    ml_flags: METH_VARARGS | METH_KEYWORDS,
    ml_doc: core::ptr::null(),
}));

/// Gives the type that it was made for, whatever it is called with.
unsafe extern "C" fn gives_made(made: *mut PyObject, _args: *mut PyObject, _kw: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython passes what the function was made with, which is alive.
    unsafe { new_ref(made) }
}

fn checked(object: *mut PyObject) -> Result<*mut PyObject> {
    if object.is_null() { Err(PythonError) } else { Ok(object) }
}

/// A type like `plain`, made from the same spec, that is an instance of `meta`.
///
/// # Safety
/// `plain` is new, `members` the number of its members.
#[cfg(not(Py_3_12))]
unsafe fn adopt(plain: *mut PyHeapTypeObject, spec: &PyType_Spec, meta: Type, members: usize) -> Result<*mut PyObject> {
    let Some(alloc) = meta.tp_alloc() else { return Err(PythonError) };
    // SAFETY: the new object is as large as a heap type with these members, and nobody else's until it is ready.
    unsafe {
        let object = checked(alloc(meta.as_ptr(), members.cast_signed()))?;
        let made = object.cast::<PyHeapTypeObject>();
        let head = size_of::<PyVarObject>();
        let content = (made.cast::<u8>()).add(head);
        content.copy_from_nonoverlapping(plain.cast::<u8>().add(head), size_of::<PyHeapTypeObject>() - head);
        (*made).ht_type.tp_flags = core::ffi::c_ulong::from(spec.flags) | Py_TPFLAGS_HEAPTYPE;
        part(made, plain);
        // Members stand at the end of the object, behind what the metaclass adds to it.
        if !(*plain).ht_type.tp_members.is_null() {
            let own_members = made.byte_offset(meta.basicsize()).cast::<PyMemberDef>();
            own_members.copy_from_nonoverlapping((*plain).ht_type.tp_members, members);
            (*made).ht_type.tp_members = own_members;
        }
        let tp = &raw mut (*made).ht_type;
        if PyType_Ready(tp) < 0 || copy_module(tp, plain) < 0 || forget_inherited(tp, plain) < 0 {
            Py_DECREF(object);
            return Err(PythonError);
        }
        Ok(object)
    }
}

/// Sets right what a type's content says after it has been copied: of what both refer to, each has references of its own; what a type
/// owns alone goes to the new one, or is made again when that gets ready.
///
/// # Safety
/// The content of `made` is that of `plain`. Both are the caller's.
#[cfg(not(Py_3_12))]
unsafe fn part(made: *mut PyHeapTypeObject, plain: *mut PyHeapTypeObject) {
    // SAFETY: as this function's, so all that is not null is alive.
    unsafe {
        let tp = &raw mut (*made).ht_type;
        (*tp).tp_as_async = &raw mut (*made).as_async;
        (*tp).tp_as_number = &raw mut (*made).as_number;
        (*tp).tp_as_sequence = &raw mut (*made).as_sequence;
        (*tp).tp_as_mapping = &raw mut (*made).as_mapping;
        (*tp).tp_as_buffer = &raw mut (*made).as_buffer;
        new_ref((*made).ht_name);
        new_ref((*made).ht_qualname);
        new_ref((*tp).tp_base.cast());
        (*tp).tp_bases = new_ref((*plain).ht_type.tp_bases);
        (*made).ht_slots = null_mut();
        (*made).ht_module = null_mut();
        (*plain).ht_cached_keys = null_mut();
        (*plain).ht_type.tp_doc = null_mut();
        #[cfg(Py_3_11)]
        owned_name(plain).write(null_mut());
        (*tp).tp_dict = null_mut();
        (*tp).tp_mro = null_mut();
        (*tp).tp_cache = null_mut();
        (*tp).tp_subclasses = null_mut();
        (*tp).tp_weaklist = null_mut();
        (*tp).tp_version_tag = 0;
    }
}

/// Slots that the plain type has inherited have been taken for the type's own: takes the methods out of its dictionary that stand for them.
#[cfg(not(Py_3_12))]
unsafe fn forget_inherited(tp: *mut PyTypeObject, plain: *mut PyHeapTypeObject) -> core::ffi::c_int {
    // SAFETY: both types are ready; the references are ours.
    unsafe {
        let keys = PyDict_Keys((*tp).tp_dict);
        if keys.is_null() {
            return -1;
        }
        let mut result = 0;
        let mut index = 0;
        while result == 0 && index < PyList_GET_SIZE(keys) {
            let key = PyList_GET_ITEM(keys, index);
            result = match PyDict_Contains((*plain).ht_type.tp_dict, key) {
                0 => PyDict_DelItem((*tp).tp_dict, key),
                known => known.min(0),
            };
            index += 1;
        }
        PyType_Modified(tp);
        Py_DECREF(keys);
        result
    }
}

/// The field with the name that a type owns and frees, which stands behind `ht_module`. Only 3.11 needs it.
#[cfg(all(Py_3_11, not(Py_3_12)))]
unsafe fn owned_name(tp: *mut PyHeapTypeObject) -> *mut *mut core::ffi::c_char {
    // SAFETY: the caller's type is alive.
    unsafe { (&raw mut (*tp).ht_module).add(1).cast() }
}

/// `__module__` follows from the name in the spec, which is set in the dictionary only.
#[cfg(not(Py_3_12))]
unsafe fn copy_module(tp: *mut PyTypeObject, plain: *mut PyHeapTypeObject) -> core::ffi::c_int {
    // SAFETY: both types are ready.
    unsafe {
        let module = PyDict_GetItemString((*plain).ht_type.tp_dict, c"__module__".as_ptr());
        if module.is_null() {
            return 0;
        }
        PyDict_SetItemString((*tp).tp_dict, c"__module__".as_ptr(), module)
    }
}
