//! Types with a metaclass, up to CPython 3.11, which has no function for that: a type is made without, and its content moved
//! into an object of the metaclass.

use core::mem::size_of;
use core::ptr::null_mut;

use pyo3_ffi::*;

use crate::handle::new_ref;
use crate::module::{PythonError, Result};

/// A type like `plain`, made from the same spec, that is an instance of `meta`.
///
/// # Safety
/// `plain` is new, `members` the number of its members.
pub unsafe fn adopt(
    plain: *mut PyHeapTypeObject,
    spec: &PyType_Spec,
    meta: *mut PyTypeObject,
    members: usize,
) -> Result<*mut PyObject> {
    // SAFETY: the new object is as large as a heap type with these members, and nobody else's until it is ready. Of what is
    // copied, references are counted, and what the type owns alone is made again.
    unsafe {
        let Some(alloc) = (*meta).tp_alloc else { return Err(PythonError) };
        let object = alloc(meta, members.cast_signed());
        if object.is_null() {
            return Err(PythonError);
        }
        let made = object.cast::<PyHeapTypeObject>();
        let head = size_of::<PyVarObject>();
        let content = (made.cast::<u8>()).add(head);
        content.copy_from_nonoverlapping(plain.cast::<u8>().add(head), size_of::<PyHeapTypeObject>() - head);

        let tp = &raw mut (*made).ht_type;
        (*tp).tp_as_async = &raw mut (*made).as_async;
        (*tp).tp_as_number = &raw mut (*made).as_number;
        (*tp).tp_as_sequence = &raw mut (*made).as_sequence;
        (*tp).tp_as_mapping = &raw mut (*made).as_mapping;
        (*tp).tp_as_buffer = &raw mut (*made).as_buffer;
        (*tp).tp_flags = core::ffi::c_ulong::from(spec.flags) | Py_TPFLAGS_HEAPTYPE;
        new_ref((*made).ht_name);
        new_ref((*made).ht_qualname);
        new_ref((*tp).tp_base.cast());
        (*made).ht_slots = null_mut();
        (*made).ht_module = null_mut();
        // The plain type goes, and leaves behind what it alone owns.
        (*plain).ht_cached_keys = null_mut();
        (*plain).ht_type.tp_doc = null_mut();
        #[cfg(Py_3_11)]
        owned_name(plain).write(null_mut());
        (*tp).tp_dict = null_mut();
        (*tp).tp_bases = new_ref((*plain).ht_type.tp_bases);
        (*tp).tp_mro = null_mut();
        (*tp).tp_cache = null_mut();
        (*tp).tp_subclasses = null_mut();
        (*tp).tp_weaklist = null_mut();
        (*tp).tp_version_tag = 0;
        // Members stand at the end of the object, behind what the metaclass adds to it.
        let own_members = made.byte_offset((*meta).tp_basicsize).cast::<PyMemberDef>();
        if !(*plain).ht_type.tp_members.is_null() {
            own_members.copy_from_nonoverlapping((*plain).ht_type.tp_members, members);
            (*tp).tp_members = own_members;
        }
        if PyType_Ready(tp) < 0 || copy_module(tp, plain) < 0 {
            Py_DECREF(object);
            return Err(PythonError);
        }
        Ok(object)
    }
}

/// The field with the name that a type owns and frees, which stands behind `ht_module`. Only 3.11 needs it.
#[cfg(Py_3_11)]
unsafe fn owned_name(tp: *mut PyHeapTypeObject) -> *mut *mut core::ffi::c_char {
    // SAFETY: the caller's type is alive.
    unsafe { (&raw mut (*tp).ht_module).add(1).cast() }
}

/// `__module__` follows from the name in the spec, which is set in the dictionary only.
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
