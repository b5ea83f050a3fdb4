//! What stub files call: `hpy.universal._load_bootstrap`.

use core::ptr::null_mut;

use hpy_cpython::raised::{PythonError, Result};
use pyo3_ffi::*;

use crate::binding::keywords;
use crate::load::load_file;
use crate::mode::{self, Mode};
use crate::owned::Owned;
use crate::refusal;

/// `_load_bootstrap(name, ext_name, package, file, loader, spec, env)`
///
/// # Safety
/// Called by CPython.
pub unsafe fn load_bootstrap(module: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> Result<Owned> {
    let mut names = keywords!(c"name", c"ext_name", c"package", c"file", c"loader", c"spec", c"env");
    let mut values = [null_mut::<PyObject>(); 7];
    // SAFETY: the format takes seven objects, which are borrowed from the arguments.
    unsafe {
        let [name, ext_name, package, file, loader, spec, env] = &mut values;
        let parsed = PyArg_ParseTupleAndKeywords(
            args,
            kwargs,
            c"OOOOOOO".as_ptr(),
            names.as_mut_ptr().cast(),
            &raw mut *name,
            &raw mut *ext_name,
            &raw mut *package,
            &raw mut *file,
            &raw mut *loader,
            &raw mut *spec,
            &raw mut *env,
        );
        if parsed == 0 {
            return Err(PythonError);
        }
        let [name, ext_name, package, file, loader, spec, env] = values;
        let mode = mode_of(ext_name, name, env)?;
        let loaded = load_file(module, name, file, spec, mode)?;
        let attributes = [
            (loaded.as_ptr(), c"__file__", file),
            (loaded.as_ptr(), c"__loader__", loader),
            (loaded.as_ptr(), c"__name__", ext_name),
            (loaded.as_ptr(), c"__package__", package),
            (spec, c"origin", file),
            (loaded.as_ptr(), c"__spec__", spec),
        ];
        for (object, attribute, value) in attributes {
            if PyObject_SetAttrString(object, attribute.as_ptr(), value) < 0 {
                // What a create slot made need not take attributes.
                PyErr_Clear();
            }
        }
        fill_stub(ext_name, spec, &loaded)?;
        Ok(loaded)
    }
}

/// Puts what is in a module into the stub's namespace, which is to be replaced by the module. A thread that waits for this import has the
/// stub, and keeps it.
unsafe fn fill_stub(name: *mut PyObject, spec: *mut PyObject, module: &Owned) -> Result<()> {
    // SAFETY: the objects are alive; a module's dictionary lives as long as it does.
    unsafe {
        let stub = PyDict_GetItemWithError(PyImport_GetModuleDict(), name);
        if stub.is_null() || PyModule_Check(stub) == 0 || PyModule_Check(module.as_ptr()) == 0 {
            return if PyErr_Occurred().is_null() { Ok(()) } else { Err(PythonError) };
        }
        let stub = Owned::from_borrowed(stub)?;
        let names = PyModule_GetDict(stub.as_ptr());
        // Not a module that was imported before, and is being loaded once more.
        if PyDict_GetItemString(names, c"__spec__".as_ptr()) != spec || stub.as_ptr() == module.as_ptr() {
            return Ok(());
        }
        match PyDict_Update(names, PyModule_GetDict(module.as_ptr())) {
            0 => Ok(()),
            _ => Err(PythonError),
        }
    }
}

/// The mode that a module is to be loaded in, by its full name and the last part of that: what the environment says, and what
/// is asked for besides. Says so if the environment wants to know.
///
/// # Safety
/// The objects are alive: two strs and a mapping.
pub unsafe fn mode_of(full_name: *mut PyObject, name: *mut PyObject, env: *mut PyObject) -> Result<Mode> {
    // SAFETY: as this function's.
    unsafe {
        let short_name = Owned::from_borrowed(name)?;
        let full_name = Owned::from_borrowed(full_name)?;
        let asked_for = mode::asked_for(full_name.as_str()?, short_name.as_str()?);
        let mode = mode_from(env, short_name.as_str()?)?.and(asked_for);
        if get(env, "HPY_LOG")?.is_some() {
            let with = mode.log_suffix();
            PySys_FormatStdout(c"Loading '%U' in HPy universal mode%s\n".as_ptr(), name, with.as_ptr());
        }
        Ok(mode)
    }
}

/// The value of a variable, or None.
unsafe fn get(env: *mut PyObject, variable: &str) -> Result<Option<Owned>> {
    // SAFETY: the mapping is alive.
    unsafe {
        let key = Owned::str(variable)?;
        match Owned::new(PyObject_GetItem(env, key.as_ptr())) {
            Ok(value) => Ok(Some(value)),
            Err(PythonError) if PyErr_ExceptionMatches(PyExc_KeyError) != 0 => {
                PyErr_Clear();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

unsafe fn mode_from(env: *mut PyObject, short_name: &str) -> Result<Mode> {
    // SAFETY: the caller's mapping is alive.
    unsafe {
        let Some(value) = get(env, "HPY")? else { return Ok(Mode::default()) };
        if let Some(mode) = mode::from_environment(value.as_str()?, short_name) {
            return Ok(mode);
        }
        PyErr_Format(PyExc_ValueError, c"invalid HPy mode: %.50U".as_ptr(), value.as_ptr());
        Err(refusal::help_with_current(mode::GRAMMAR))
    }
}
