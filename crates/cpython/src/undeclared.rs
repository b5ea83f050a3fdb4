//! Functions that CPython exports and pyo3-ffi does not declare.

#[cfg(Py_3_12)]
use core::ffi::{c_int, c_void};

#[cfg(Py_3_12)]
use pyo3_ffi::visitproc;
use pyo3_ffi::*;

/// Declares functions of the library that Python itself lies in. Windows wants to know its name, which the build script tells.
macro_rules! of_python {
    ([$($library:literal),*] $items:tt) => {
        $(#[cfg_attr(all(windows, python_library = $library), link(name = $library, kind = "raw-dylib"))])*
        unsafe extern "C" $items
    };
    ($($items:tt)*) => {
        of_python! {
            [
                "python39", "python310", "python311", "python312", "python313", "python314", "python315", "python313t",
                "python314t", "python315t"
            ]
            { $($items)* }
        }
    };
}

of_python! {
    /// Prints an object to stderr, and accepts null and, as far as it can tell, dead ones. Part of CPython since 3.0, though not documented;
    /// 3.15 took the underscore away.
    #[cfg_attr(Py_3_15, link_name = "PyObject_Dump")]
    pub fn _PyObject_Dump(object: *mut PyObject);

    /// Where an object has its dictionary, which is made if its content lies elsewhere.
    #[cfg(not(Py_3_13))]
    pub fn _PyObject_GetDictPtr(object: *mut PyObject) -> *mut *mut PyObject;

    #[cfg(Py_3_13)]
    pub fn PyObject_ClearManagedDict(object: *mut PyObject);

    /// Visits the attributes of an object whose dictionary CPython manages.
    #[cfg(Py_3_12)]
    #[cfg_attr(not(Py_3_13), link_name = "_PyObject_VisitManagedDict")]
    pub fn PyObject_VisitManagedDict(object: *mut PyObject, visit: visitproc, arg: *mut c_void) -> c_int;

    /// Whether an interpreter has been made with this feature. Not exported on Windows.
    #[cfg(all(Py_3_12, not(Py_3_13), not(windows)))]
    pub fn _PyInterpreterState_HasFeature(interpreter: *mut PyInterpreterState, feature: core::ffi::c_ulong) -> c_int;
}
