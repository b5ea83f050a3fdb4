//! Capsules.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

use hpy_abi::runtime::Capsule;
use hpy_abi::*;
use pyo3_ffi::*;

use crate::CPython;
use crate::autogen_direct::direct_capsule;
use crate::handle::{to_handle, to_object};

/// The trampoline of a destructor, which may be null, but not in part. Err with an exception set otherwise.
unsafe fn trampoline(destructor: *mut HPyCapsule_Destructor) -> Result<Option<PyCapsule_Destructor>, ()> {
    // SAFETY: the caller's pointer is null or a definition that stays.
    let Some(destructor) = (unsafe { destructor.as_ref() }) else { return Ok(None) };
    match (destructor.cpy_trampoline, destructor.r#impl.is_some()) {
        // SAFETY: the types differ only in how they name an object.
        (Some(trampoline), true) => Ok(Some(unsafe {
            core::mem::transmute::<unsafe extern "C" fn(*mut cpy_PyObject), PyCapsule_Destructor>(trampoline)
        })),
        _ => {
            // SAFETY: the caller holds the interpreter.
            unsafe { PyErr_SetString(PyExc_ValueError, c"Invalid HPyCapsule destructor".as_ptr()) };
            Err(())
        }
    }
}

unsafe fn invalid(message: &core::ffi::CStr) {
    // SAFETY: the caller holds the interpreter.
    unsafe { PyErr_SetString(PyExc_ValueError, message.as_ptr()) };
}

impl Capsule for CPython {
    direct_capsule!();

    unsafe extern "C" fn ctx_Capsule_New(
        _ctx: *mut HPyContext,
        pointer: *mut c_void,
        utf8_name: *const c_char,
        destructor: *mut HPyCapsule_Destructor,
    ) -> HPy {
        // SAFETY: the caller's name and destructor are null or stay as long as the capsule does.
        unsafe {
            match trampoline(destructor) {
                Ok(trampoline) => to_handle(PyCapsule_New(pointer, utf8_name, trampoline)),
                Err(()) => HPy::NULL,
            }
        }
    }

    unsafe extern "C" fn ctx_Capsule_Get(
        _ctx: *mut HPyContext,
        capsule: HPy,
        key: _HPyCapsule_key,
        utf8_name: *const c_char,
    ) -> *mut c_void {
        let capsule = to_object(capsule);
        // SAFETY: the caller's handle is a live object; CPython checks that it is a capsule.
        unsafe {
            match key {
                HPyCapsule_key_Pointer => PyCapsule_GetPointer(capsule, utf8_name),
                HPyCapsule_key_Name => PyCapsule_GetName(capsule).cast_mut().cast(),
                HPyCapsule_key_Context => PyCapsule_GetContext(capsule),
                HPyCapsule_key_Destructor => {
                    invalid(c"Invalid operation: get HPyCapsule_key_Destructor");
                    null_mut()
                }
                _ => {
                    invalid(c"Invalid operation: unknown HPyCapsule key");
                    null_mut()
                }
            }
        }
    }

    unsafe extern "C" fn ctx_Capsule_Set(
        _ctx: *mut HPyContext,
        capsule: HPy,
        key: _HPyCapsule_key,
        value: *mut c_void,
    ) -> c_int {
        let capsule = to_object(capsule);
        // SAFETY: the caller's handle is a live object; CPython checks that it is a capsule. The value is what the key says.
        unsafe {
            match key {
                HPyCapsule_key_Pointer => PyCapsule_SetPointer(capsule, value),
                HPyCapsule_key_Name => PyCapsule_SetName(capsule, value.cast()),
                HPyCapsule_key_Context => PyCapsule_SetContext(capsule, value),
                HPyCapsule_key_Destructor => match trampoline(value.cast()) {
                    Ok(trampoline) => PyCapsule_SetDestructor(capsule, trampoline),
                    Err(()) => -1,
                },
                _ => {
                    invalid(c"Invalid operation: unknown HPyCapsule key");
                    -1
                }
            }
        }
    }
}
