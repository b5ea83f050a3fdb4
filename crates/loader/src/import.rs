//! Binaries that CPython imports by their own `PyInit_NAME`, without a stub file: what that asks for.

use core::ffi::{CStr, c_void};
use core::ptr::null_mut;

use hpy_abi::{HPyModuleDef, HPyModuleEntry, IMPORT_ATTRIBUTE, IMPORT_CAPSULE, ImportEntry};
use hpy_cpython::append_only::{AppendOnly, Link, zeroed};
use hpy_cpython::module::{self, Gil};
use hpy_cpython::raised::Result;
use pyo3_ffi::*;

use crate::binding::{error, none, set_attribute};
use crate::bootstrap::mode_of;
use crate::load::{check_version, context, module_definition, tell_shortcuts};
use crate::owned::Owned;

/// A binary that has been imported so, and the definition that CPython has of it.
#[repr(C)]
struct Imported {
    next: *mut Imported,
    entry: *const HPyModuleEntry,
    hpydef: *mut HPyModuleDef,
    def: PyModuleDef,
}

// SAFETY: the link comes first.
unsafe impl Link for Imported {
    fn is_same(&self, other: &Imported) -> bool {
        self.entry == other.entry
    }
}

static IMPORTED: AppendOnly<Imported> = AppendOnly::new();

/// Puts the function where binaries look for it.
///
/// # Safety
/// `runtime` is `hpy.universal`; the caller holds the interpreter.
pub unsafe fn add_to(runtime: *mut PyObject) -> Result<()> {
    let function: ImportEntry = import_entry;
    // SAFETY: the capsule's name is static.
    unsafe {
        let capsule = Owned::new(PyCapsule_New(function as *mut c_void, IMPORT_CAPSULE.as_ptr(), None))?;
        set_attribute(runtime, IMPORT_ATTRIBUTE, &capsule)
    }
}

/// Called by a binary's `PyInit_NAME`: gives CPython's definition of its module, borrowed for good, or null with an exception.
unsafe extern "C" fn import_entry(entry: *const HPyModuleEntry) -> *mut c_void {
    // SAFETY: the entry is part of the binary, which stays; CPython holds the interpreter.
    let found = unsafe { definition(entry) };
    // CPython takes a definition for what it is by its type, which this sets.
    // SAFETY: the definition stays.
    found.map_or(null_mut(), |def| unsafe { PyModuleDef_Init(def) }.cast())
}

unsafe fn definition(entry: *const HPyModuleEntry) -> Result<*mut PyModuleDef> {
    // SAFETY: the caller's definition stays. The functions are those that the binary exports.
    unsafe {
        // No reference to it: in older binaries it is shorter.
        let short_name = CStr::from_ptr((*entry).name).to_string_lossy();
        if let Err(refusal) = check_version(&short_name, (*entry).major, (*entry).minor) {
            let runtime = Owned::new(PyImport_ImportModule(c"hpy.universal".as_ptr()))?;
            let name = Owned::str(&short_name)?;
            return Err(refusal.raise(runtime.as_ptr(), name.as_ptr(), none()?.as_ptr()));
        }
        if let Some(known) = IMPORTED.find(|known| known.entry == entry) {
            return Ok((&raw const known.def).cast_mut());
        }
        let hpydef = (*entry).init.map_or(null_mut(), |init| init());
        if hpydef.is_null() {
            return Err(error(
                PyExc_ImportError,
                &format!("HPyInit_{short_name} of an HPy extension module returned NULL"),
            ));
        }
        let set_threading = HPyModuleEntry::set_threading(entry);
        #[cfg(Py_GIL_DISABLED)]
        crate::free_threading::hand_over(set_threading);
        tell_shortcuts(HPyModuleEntry::set_shortcuts(entry))?;
        let gil = if set_threading.is_some() { Gil::NotUsed } else { Gil::Used };
        let def = module::importable(&*hpydef, create, gil)?;
        let made = zeroed::<Imported>(size_of::<Imported>())?;
        (*made).entry = entry;
        (*made).hpydef = hpydef;
        (&raw mut (*made).def).write(def);
        Ok((&raw const IMPORTED.publish(made).def).cast_mut())
    }
}

/// The definition's create slot: makes the module in the mode that it is to be loaded in.
unsafe extern "C" fn create(spec: *mut PyObject, def: *mut PyModuleDef) -> *mut PyObject {
    // SAFETY: CPython passes a spec, and a definition that was made above.
    unsafe { create_module(spec, def) }.unwrap_or(null_mut())
}

unsafe fn create_module(spec: *mut PyObject, def: *mut PyModuleDef) -> Result<*mut PyObject> {
    let Some(imported) = IMPORTED.find(|imported| core::ptr::addr_eq(&raw const imported.def, def)) else {
        // SAFETY: CPython holds the interpreter.
        return Err(unsafe { error(PyExc_SystemError, "not the definition of an HPy extension module") });
    };
    // SAFETY: as `create`; the entry is part of the binary, which stays.
    unsafe {
        let entry = imported.entry;
        let short_name = CStr::from_ptr((*entry).name).to_string_lossy();
        let name = Owned::str(&short_name)?;
        let full_name = Owned::new(PyObject_GetAttrString(spec, c"name".as_ptr()))?;
        let os = Owned::new(PyImport_ImportModule(c"os".as_ptr()))?;
        let environment = Owned::new(PyObject_GetAttrString(os.as_ptr(), c"environ".as_ptr()))?;
        let mode = mode_of(full_name.as_ptr(), name.as_ptr(), environment.as_ptr())?;
        let context = context(mode)?;
        if let Some(set_context) = (*entry).set_context {
            set_context(context);
        }
        module::create_only(module_definition(mode, context, &short_name, imported.hpydef, false)?, spec)
    }
}
