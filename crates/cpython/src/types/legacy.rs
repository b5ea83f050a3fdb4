//! Legacy slots: what they say about members, methods and the life of instances, and what CPython gets as it is.

use core::ffi::{CStr, c_void};
use core::iter::from_fn;

use pyo3_ffi::*;

/// The legacy slots of a type; none if the array is null.
#[derive(Clone, Copy)]
pub struct Legacy(*const PyType_Slot);

impl Legacy {
    pub const NONE: Legacy = Legacy(core::ptr::null());

    /// # Safety
    /// Null, or an array that stays, ends with a slot 0, and whose values are what their slots say.
    pub unsafe fn new(slots: *mut c_void) -> Legacy {
        Legacy(slots.cast_const().cast())
    }

    fn slots(self) -> impl Iterator<Item = PyType_Slot> {
        let mut next = self.0;
        from_fn(move || {
            // SAFETY: whoever made this has promised that the array ends with a slot 0.
            let slot = *unsafe { next.as_ref() }.filter(|slot| slot.slot != 0)?;
            next = next.wrapping_add(1);
            Some(slot)
        })
    }

    pub fn has(self, number: core::ffi::c_int) -> bool {
        self.slots().any(|slot| slot.slot == number)
    }

    /// The value of the slot; null if there is none. A slot that stands there twice has its last value.
    fn value<T>(self, number: core::ffi::c_int) -> *mut T {
        let last = self.slots().filter(|slot| slot.slot == number).last();
        last.map_or(core::ptr::null_mut(), |slot| slot.pfunc.cast())
    }

    /// The array that ends with a method without a name, or null.
    pub fn methods(self) -> *mut PyMethodDef {
        self.value(Py_tp_methods)
    }

    /// The array that ends with a pair without a name, or null.
    pub fn getsets(self) -> *mut PyGetSetDef {
        self.value(Py_tp_getset)
    }

    pub fn members(self) -> impl Iterator<Item = PyMemberDef> {
        let mut next = self.value::<PyMemberDef>(Py_tp_members).cast_const();
        from_fn(move || {
            // SAFETY: the array ends with a member without a name.
            let member = *unsafe { next.as_ref() }.filter(|member| !member.name.is_null())?;
            next = next.wrapping_add(1);
            Some(member)
        })
    }

    /// The slots that CPython gets as they are: those of the others' arrays are joined with what HPy's definitions give.
    pub fn rest(self) -> impl Iterator<Item = PyType_Slot> {
        self.slots().filter(|slot| !matches!(slot.slot, Py_tp_methods | Py_tp_members | Py_tp_getset))
    }
}

/// Whether a member has this name.
pub fn is_named(member: &PyMemberDef, name: &CStr) -> bool {
    // SAFETY: a member's name is a C string, or null at the end of an array.
    !member.name.is_null() && unsafe { CStr::from_ptr(member.name) } == name
}
