//! Classes that class statements make, which may derive from types of ours.

#[cfg(all(Py_3_11, not(Py_3_12)))]
use core::mem::transmute;
use core::sync::atomic::{AtomicUsize, Ordering};

use hpy_abi::HPyMember_OBJECT_EX;
use pyo3_ffi::*;

use super::reference::Reference;
use super::referents;
use super::type_object::Type;
use crate::raised::{PythonError, Result};

/// Their deallocator: CPython does not name it, so a class is asked. 0 until [`learn`] has been called.
static DEALLOC: AtomicUsize = AtomicUsize::new(0);

/// What visits their instances.
#[cfg(all(Py_3_11, not(Py_3_12)))]
static TRAVERSE: AtomicUsize = AtomicUsize::new(0);

fn address(function: Option<destructor>) -> usize {
    function.map_or(0, |function| function as usize)
}

/// Learns how to tell them.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn learn() -> Result<()> {
    if DEALLOC.load(Ordering::Acquire) != 0 {
        return Ok(());
    }
    // SAFETY: as this function's. A class is a type, and ours for as long as it is asked.
    unsafe {
        let class = PyObject_CallFunction(Type::metatype().as_object(), c"s(){}".as_ptr(), c"hpy".as_ptr());
        if class.is_null() {
            return Err(PythonError);
        }
        let class = Reference::new(class);
        let tp = Type::new(class.as_ptr().cast());
        #[cfg(all(Py_3_11, not(Py_3_12)))]
        TRAVERSE.store(tp.tp_traverse().map_or(0, |function| function as usize), Ordering::Relaxed);
        referents::learn()?;
        // Last, as it says that all is known.
        DEALLOC.store(address(tp.tp_dealloc()), Ordering::Release);
    }
    Ok(())
}

/// The function that visits their instances.
#[cfg(all(Py_3_11, not(Py_3_12)))]
pub fn traverse() -> Option<traverseproc> {
    // SAFETY: the address of such a function, or 0.
    unsafe { transmute::<usize, Option<traverseproc>>(TRAVERSE.load(Ordering::Relaxed)) }
}

impl Type {
    pub fn is_python_class(self) -> bool {
        address(self.tp_dealloc()) == DEALLOC.load(Ordering::Relaxed)
    }

    /// Calls `f` for what an instance of a Python class has in its `__slots__`.
    ///
    /// # Safety
    /// The object is an instance of this type.
    pub unsafe fn for_each_slot(self, object: *mut PyObject, f: &mut impl FnMut(*mut *mut PyObject)) {
        // SAFETY: a Python class's members are its slots, as many as the size of the type says; an instance has room for them.
        unsafe {
            for index in 0..Py_SIZE(self.as_object()) {
                let member = &*self.members().offset(index);
                if member.type_code == HPyMember_OBJECT_EX.0 && member.flags == 0 {
                    f(object.byte_offset(member.offset).cast());
                }
            }
        }
    }
}
