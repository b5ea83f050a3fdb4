//! The Python module `hpy.universal`: finds a binary, checks it, chooses the context, makes the module.
//!
//! * `binary` looks at a file before the system does: what can't be loaded without a crash is refused there.
//! * `load` is [`load()`] and its checks, one after the other, each with its own message.
//! * `layers` has the contexts of the modes, and makes their modules. `interpreter` is what that asks of an interpreter, `cpython` CPython's
//!   answers.
//! * `bootstrap` is what stub files call: modes from the environment, and the module's attributes.
//! * `free_threading` is what a CPython without the GIL needs more.
//! * `import` is what binaries call that are imported without a stub file.
//! * `exports` reads the names that a binary exports.
//! * `inspect` tells what a binary is, for `hpy check`.
//! * `mode` reads the environment variable `HPY`.
//! * `refusal` turns a message and a help into an exception.
//! * `owned` holds references, and `binding` has what modules are made with.

mod binary;
mod binding;
mod bootstrap;
mod cpython;
mod exports;
#[cfg(Py_GIL_DISABLED)]
mod free_threading;
mod import;
mod inspect;
mod interpreter;
mod layers;
mod load;
mod mode;
mod owned;
mod refusal;
mod version;

use core::ffi::{CStr, c_int, c_void};
use core::ptr::null_mut;

use hpy_cpython::handle::to_handle;
use hpy_cpython::raised::{PythonError, Result};
use hpy_layer::inner::InnerHandle;
use hpy_layer::object::Raised;
use pyo3_ffi::*;

use crate::binding::{KEYWORDS, Static, entry, method, python_function};
use crate::cpython::CPython;
use crate::owned::Owned;
use crate::version::{REVISION, VERSION};

python_function!(py_load => load::load);
python_function!(py_load_bootstrap => bootstrap::load_bootstrap);

unsafe extern "C" fn py_get_version(_module: *mut PyObject, _ignored: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython holds the interpreter here.
    let version = || unsafe {
        let (version, revision) = (Owned::str(VERSION)?, Owned::str(REVISION)?);
        Owned::new(PyTuple_Pack(2, version.as_ptr(), revision.as_ptr()))
    };
    version().map_or(null_mut(), Owned::into_raw)
}

const LOAD_DOC: &CStr = c"load(name, path, spec, debug=False, mode=-1)\n--\n\n\
Load the HPy binary at path and return its module.\n\n\
name is the module's full name, spec its ModuleSpec. mode is MODE_UNIVERSAL, MODE_DEBUG, MODE_TRACE or\n\
MODE_DEBUG_TRACE; a mode above 0 overrides debug. Nothing is put into sys.modules. Raises LoadError if the file can't be loaded.";

const LOAD_BOOTSTRAP_DOC: &CStr = c"_load_bootstrap(name, ext_name, package, file, loader, spec, env)\n--\n\n\
What the stub file beside a binary calls: loads it in the mode that env['HPY'] says, and sets the\n\
attributes that an imported module has.";

const GET_VERSION_DOC: &CStr = c"get_version()\n--\n\nReturn (version, git revision), both str.";

static METHODS: Static<[PyMethodDef; 5]> = Static::new([
    method(c"load", PyMethodDefPointer { PyCFunctionWithKeywords: py_load }, KEYWORDS, LOAD_DOC),
    method(
        c"_load_bootstrap",
        PyMethodDefPointer { PyCFunctionWithKeywords: py_load_bootstrap },
        KEYWORDS,
        LOAD_BOOTSTRAP_DOC,
    ),
    method(c"get_version", PyMethodDefPointer { PyCFunction: py_get_version }, METH_NOARGS, GET_VERSION_DOC),
    entry!(
        c"_inspect",
        inspect::inspect,
        METH_O,
        c"_inspect(data)\n--\n\nReturn what the tables of a binary, given as bytes, say of it. Raises ValueError for what is none."
    ),
    PyMethodDef::zeroed(),
]);

static SLOTS: Static<[PyModuleDef_Slot; if cfg!(Py_3_13) { 3 } else { 2 }]> = Static::new([
    PyModuleDef_Slot { slot: Py_mod_exec, value: exec as *mut c_void },
    #[cfg(Py_3_13)]
    PyModuleDef_Slot { slot: Py_mod_gil, value: Py_MOD_GIL_NOT_USED },
    PyModuleDef_Slot { slot: 0, value: null_mut() },
]);

static DEFINITION: Static<PyModuleDef> = Static::new(PyModuleDef {
    m_base: PyModuleDef_HEAD_INIT,
    m_name: c"hpy.universal".as_ptr(),
    m_doc: c"The HPy runtime for CPython: loads HPy's universal and hybrid binaries.".as_ptr(),
    m_size: 0,
    m_methods: METHODS.get().cast(),
    m_slots: SLOTS.get().cast(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
});

unsafe extern "C" fn exec(module: *mut PyObject) -> c_int {
    // SAFETY: CPython passes the new module and holds the interpreter.
    let result = unsafe { add_names(module) };
    if result.is_ok() { 0 } else { -1 }
}

unsafe fn add_names(module: *mut PyObject) -> Result<()> {
    // SAFETY: the module is alive, and the names are NUL-terminated.
    unsafe {
        hpy_cpython::interpreters::refuse_own_gil()?;
        for (name, mode) in mode::NAMES {
            if PyModule_AddIntConstant(module, name.as_ptr(), mode.number().into()) < 0 {
                return Err(PythonError);
            }
        }
        let error = refusal::load_error_type()?;
        if PyObject_SetAttrString(module, refusal::LOAD_ERROR.as_ptr(), error.as_ptr()) < 0 {
            return Err(PythonError);
        }
        import::add_to(module)?;
        layers::add_to::<CPython>(InnerHandle::of(to_handle(module))).map_err(|Raised| PythonError)
    }
}

/// Python's entry.
#[allow(non_snake_case)]
#[unsafe(no_mangle)]
pub extern "C" fn PyInit_universal() -> *mut PyObject {
    // SAFETY: the definition is static, and CPython holds the interpreter here.
    unsafe { PyModuleDef_Init(DEFINITION.get()) }
}
