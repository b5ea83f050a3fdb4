//! The pending exception, kept while something else is done.

use core::ptr::null_mut;

use hpy_cpython::handle::new_ref;
use pyo3_ffi::*;

use crate::owned::Owned;

/// The pending exception, if there is one, put aside until this is dropped.
pub struct Pending {
    class: *mut PyObject,
    value: *mut PyObject,
    traceback: *mut PyObject,
}

#[allow(deprecated, reason = "what replaces these functions is newer than 3.9")]
impl Pending {
    /// # Safety
    /// The caller holds the interpreter, now and when this is dropped.
    pub unsafe fn put_aside() -> Pending {
        let mut pending = Pending { class: null_mut(), value: null_mut(), traceback: null_mut() };
        // SAFETY: as this function's.
        unsafe { PyErr_Fetch(&mut pending.class, &mut pending.value, &mut pending.traceback) };
        pending
    }

    /// Class and value, which may be null or not yet an instance.
    pub fn parts(&self) -> Option<(*mut PyObject, *mut PyObject)> {
        (!self.class.is_null()).then_some((self.class, self.value))
    }

    /// Whether it is a misuse's with this report.
    ///
    /// # Safety
    /// The caller holds the interpreter.
    pub unsafe fn tells(&self, text: &str) -> bool {
        if self.value.is_null() {
            return false;
        }
        // SAFETY: the exception is alive. Any object may stand here, and most have no such attribute.
        unsafe {
            let report = Owned::new(PyObject_GetAttrString(self.value, c"report".as_ptr()));
            let is_same = report.is_ok_and(|report| {
                PyUnicode_Check(report.as_ptr()) != 0 && report.as_str().is_ok_and(|report| report == text)
            });
            PyErr_Clear();
            is_same
        }
    }

    /// Takes the exception itself, and leaves none.
    ///
    /// # Safety
    /// The caller holds the interpreter.
    pub unsafe fn into_exception(mut self) -> Option<Owned> {
        if self.class.is_null() {
            return None;
        }
        // SAFETY: the references are ours. Normalizing gives one exception, maybe another than it was; it has no traceback yet.
        unsafe {
            PyErr_NormalizeException(&mut self.class, &mut self.value, &mut self.traceback);
            if !self.traceback.is_null() {
                PyException_SetTraceback(self.value, self.traceback);
            }
            let exception = Owned::new(new_ref(self.value)).ok();
            for part in [&mut self.class, &mut self.value, &mut self.traceback] {
                Py_XDECREF(core::mem::replace(part, null_mut()));
            }
            exception
        }
    }
}

impl Drop for Pending {
    #[allow(deprecated, reason = "what replaces this function is newer than 3.9")]
    fn drop(&mut self) {
        // SAFETY: the references are ours and handed back; whoever made this holds the interpreter.
        unsafe { PyErr_Restore(self.class, self.value, self.traceback) };
    }
}
