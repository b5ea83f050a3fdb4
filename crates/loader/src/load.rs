//! `hpy.universal.load`.

use core::ffi::{CStr, c_int};
use core::mem::ManuallyDrop;
use core::ptr::null_mut;
use std::error::Error;
use std::path::Path;

use hpy_abi::{ABI_VERSION, ABI_VERSION_MINOR, HPyContext, HPyModuleDef, SetShortcuts};
use hpy_cpython::module::{self, Gil};
use hpy_cpython::raised::{PythonError, Result};
use hpy_cpython::shortcuts;
use hpy_layer::object::Raised;
use libloading::Library;
use pyo3_ffi::*;

use crate::binding::{file_path, keywords};
use crate::cpython::CPython;
#[cfg(Py_GIL_DISABLED)]
use crate::free_threading;
use crate::mode::Mode;
use crate::owned::Owned;
use crate::refusal::{self, Refusal};
use crate::version::VERSION;
use crate::{binary, layers};

/// What the system says when it says nothing.
const NO_MESSAGE: &str = "no error message provided by the system";

/// `load(name, path, spec, debug=False, mode=-1)`
///
/// # Safety
/// Called by CPython.
pub unsafe fn load(module: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> Result<Owned> {
    let mut names = keywords!(c"name", c"path", c"spec", c"debug", c"mode");
    let (mut name, mut path, mut spec) = (null_mut::<PyObject>(), null_mut::<PyObject>(), null_mut::<PyObject>());
    let (mut debug, mut number): (c_int, c_int) = (0, -1);
    // SAFETY: the pointers are what the format says; the objects are borrowed from the arguments.
    unsafe {
        let parsed = PyArg_ParseTupleAndKeywords(
            args,
            kwargs,
            c"OOO|pi".as_ptr(),
            names.as_mut_ptr().cast(),
            &raw mut name,
            &raw mut path,
            &raw mut spec,
            &raw mut debug,
            &raw mut number,
        );
        if parsed == 0 {
            return Err(PythonError);
        }
        let mode = match number {
            1.. => Mode::from_number(number),
            _ => Mode::from_number((debug != 0).into()),
        };
        let Some(mode) = mode else {
            PyErr_Format(PyExc_ValueError, c"invalid HPy mode: %d".as_ptr(), number);
            return Err(refusal::help_with_current(
                "mode is one of MODE_UNIVERSAL, MODE_DEBUG, MODE_TRACE and MODE_DEBUG_TRACE of hpy.universal.",
            ));
        };
        load_file(module, name, path, spec, mode)
    }
}

/// Loads the binary at `path` and makes its module.
///
/// # Safety
/// `module` is `hpy.universal`; the others are live objects.
pub unsafe fn load_file(
    module: *mut PyObject,
    name: *mut PyObject,
    path: *mut PyObject,
    spec: *mut PyObject,
    mode: Mode,
) -> Result<Owned> {
    // SAFETY: as this function's.
    unsafe {
        let short_name = short_name(name)?;
        let file = file_path(path)?;
        let context = context(mode)?;
        let tag = interpreter_tag();
        let binary = match open_checked(&short_name, &file, &tag) {
            Ok(binary) => binary,
            Err(refusal) => return Err(refusal.raise(module, name, path)),
        };
        #[cfg(Py_GIL_DISABLED)]
        free_threading::prepare(binary.find(&format!("HPyInitWithoutGIL_{short_name}")).ok(), name)?;
        tell_shortcuts(binary.find(&format!("HPyInitShortcuts_{short_name}")).ok())?;
        let hpydef = match binary.definition(context) {
            Ok(hpydef) => hpydef,
            Err(refusal) => return Err(refusal.raise(module, name, path)),
        };
        let is_hybrid = file_tag(&file).is_some_and(|tag| tag.contains('-'));
        let definition = module_definition(mode, context, &short_name, hpydef, is_hybrid)?;
        Owned::new(module::create(definition, spec)?)
    }
}

/// Tells a binary how objects look, for the context that it runs with in no mode. It may be loaded in a mode now and without one later.
///
/// # Safety
/// The function is the binary's; the caller holds the interpreter.
pub unsafe fn tell_shortcuts(set_shortcuts: Option<SetShortcuts>) -> Result<()> {
    if let Some(set_shortcuts) = set_shortcuts {
        // SAFETY: as this function's.
        unsafe {
            if let Some(shortcuts) = shortcuts::of(hpy_cpython::table::main_universal()) {
                set_shortcuts(shortcuts);
            }
        }
    }
    Ok(())
}

/// CPython's definition of a module in a mode, with the context of that.
///
/// # Safety
/// The extension's definition stays, unchanged; the caller holds the interpreter.
pub unsafe fn module_definition(
    mode: Mode,
    context: *mut HPyContext,
    short_name: &str,
    hpydef: *mut HPyModuleDef,
    is_hybrid: bool,
) -> Result<*mut PyModuleDef> {
    // SAFETY: as this function's.
    unsafe {
        let definition = module::definition(context, hpydef, Gil::Used, None)?;
        if mode.debug {
            hpy_debug::loaded(short_name, hpydef, is_hybrid);
        }
        if mode.trace {
            hpy_trace::loaded(short_name, hpydef);
        }
        Ok(definition)
    }
}

/// The part of a module's name that its symbols end in. Raises UnicodeEncodeError for a name that no C symbol can have.
unsafe fn short_name(name: *mut PyObject) -> Result<String> {
    // SAFETY: the object is alive.
    unsafe {
        let name = Owned::from_borrowed(name)?;
        let last = name.as_str()?.rsplit('.').next().unwrap_or_default().to_string();
        let text = Owned::str(&last)?;
        // Asked for the exception that CPython words.
        let Ok(ascii) = Owned::new(PyUnicode_AsASCIIString(text.as_ptr())) else {
            return Err(refusal::help_with_current(
                "The last part of an HPy module's name becomes part of C symbols, so it has to be ASCII: letters, digits, '_' \
                 and '-' (which stands for '_').",
            ));
        };
        drop(ascii);
        Ok(last.replace('-', "_"))
    }
}

/// The context of a mode, which binaries are initialised with.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn context(mode: Mode) -> Result<*mut HPyContext> {
    // SAFETY: as this function's.
    unsafe { layers::context::<CPython>(mode) }.map_err(|Raised| PythonError)
}

/// `cp311`, with the letters of special builds behind it; what a hybrid binary for this interpreter has in its name.
unsafe fn interpreter_tag() -> String {
    // SAFETY: a static string that starts with the version; the flags are a borrowed str, or null on Windows.
    let (version, flags) = unsafe {
        let flags = Owned::from_borrowed(PySys_GetObject(c"abiflags".as_ptr()));
        let flags = flags.ok().and_then(|flags| flags.as_str().ok().map(str::to_string));
        (CStr::from_ptr(Py_GetVersion()).to_string_lossy(), flags.unwrap_or_default())
    };
    let digits: String = version.split('.').take(2).collect();
    format!("cp{digits}{flags}")
}

/// Opens the file and checks it.
///
/// # Safety
/// The binary's functions have to be what their names say.
unsafe fn open_checked<'a>(
    short_name: &'a str,
    file: &'a Path,
    interpreter: &str,
) -> core::result::Result<Binary<'a>, Refusal> {
    check_hybrid_tag(file, interpreter)?;
    let binary = Binary { library: open(file)?, file, short_name };
    let minor_name = format!("get_required_hpy_minor_version_{short_name}");
    let major_name = format!("get_required_hpy_major_version_{short_name}");
    // SAFETY: as this function's.
    let versions = unsafe {
        let minor = binary.find::<unsafe extern "C" fn() -> u32>(&minor_name);
        let major = binary.find::<unsafe extern "C" fn() -> u32>(&major_name);
        match (major, minor) {
            (Ok(major), Ok(minor)) => Ok((major(), minor())),
            (Err(message), _) | (_, Err(message)) => Err(message),
        }
    };
    let (major, minor) = versions.map_err(|message| Refusal {
        text: format!(
            "Error during loading of the HPy extension module at path '{}'. Cannot locate the required minimal HPy \
             versions as symbols '{minor_name}' and `{major_name}`. Error message from dlopen/WinAPI: {message}",
            file.display()
        ),
        help: binary::explain_missing_symbols(file, short_name),
    })?;
    check_version(short_name, major, minor)?;
    check_file_tag(short_name, file, major, minor)?;
    Ok(binary)
}

/// Opens a library that stays open: modules, types and functions point into it for good.
fn open(file: &Path) -> core::result::Result<ManuallyDrop<Library>, Refusal> {
    let refuse = |message: &str, help: String| Refusal {
        text: format!(
            "Error during loading of the HPy extension module at path '{}'. Error message from dlopen/WinAPI: {message}",
            file.display()
        ),
        help,
    };
    let diagnosis = binary::diagnose(file);
    if let Some(message) = diagnosis.as_ref().and_then(|diagnosis| diagnosis.instead_of_system) {
        let message = format!("{}: {message}", file.display());
        return Err(refuse(&message, diagnosis.map(|diagnosis| diagnosis.help).unwrap_or_default()));
    }
    // Without a slash the system would search its own folders.
    let in_this_folder = file.parent().is_none_or(|parent| parent.as_os_str().is_empty());
    let name = if in_this_folder { Path::new(".").join(file) } else { file.to_path_buf() };
    // SAFETY: an extension's initialisers run here, as they do for any extension that is imported.
    let opened = unsafe { open_now(&name) };
    opened.map(ManuallyDrop::new).map_err(|error| {
        let help = diagnosis.map(|diagnosis| diagnosis.help).unwrap_or_else(|| {
            "The system can't load the library. If a symbol is undefined: a universal binary may use no function of the old \
             C API, and other libraries that it needs have to be installed."
                .into()
        });
        refuse(&system_message(&error), help)
    })
}

/// All symbols are bound at once, so that a missing one is an error here and not a crash later.
unsafe fn open_now(name: &Path) -> core::result::Result<Library, libloading::Error> {
    #[cfg(unix)]
    // SAFETY: the caller's.
    let library = unsafe {
        use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
        Library::open(Some(name), RTLD_NOW | RTLD_LOCAL).map(libloading::Library::from)
    };
    #[cfg(not(unix))]
    // SAFETY: the caller's.
    let library = unsafe { Library::new(name) };
    library
}

fn system_message(error: &libloading::Error) -> String {
    error.source().map_or_else(|| NO_MESSAGE.to_string(), ToString::to_string)
}

/// An open library, which stays open.
struct Binary<'a> {
    library: ManuallyDrop<Library>,
    file: &'a Path,
    short_name: &'a str,
}

impl Binary<'_> {
    /// Initialises the binary and asks it for its module's definition.
    ///
    /// # Safety
    /// The binary's functions have to be what their names say.
    unsafe fn definition(&self, context: *mut HPyContext) -> core::result::Result<*mut HPyModuleDef, Refusal> {
        let short_name = self.short_name;
        // SAFETY: as this function's.
        unsafe {
            let set_context =
                self.require::<unsafe extern "C" fn(*mut HPyContext)>(&format!("HPyInitGlobalContext_{short_name}"))?;
            let init_name = format!("HPyInit_{short_name}");
            let init = self.require::<unsafe extern "C" fn() -> *mut HPyModuleDef>(&init_name)?;
            set_context(context);
            let hpydef = init();
            if hpydef.is_null() {
                return Err(Refusal {
                    text: format!(
                        "Error during loading of the HPy extension module at path '{}'. Function '{init_name}' returned NULL.",
                        self.file.display()
                    ),
                    help:
                        "The function has to return the address of a static HPyModuleDef; HPy_MODINIT writes one that does."
                            .into(),
                });
            }
            Ok(hpydef)
        }
    }

    /// The system's message if there is no such symbol.
    ///
    /// # Safety
    /// The symbol has to be of type `T`, a function pointer.
    unsafe fn find<T: Copy>(&self, symbol: &str) -> core::result::Result<T, String> {
        // SAFETY: as this function's.
        let found = unsafe { self.library.get::<Option<T>>(symbol) };
        match found {
            Ok(found) => (*found).ok_or_else(|| NO_MESSAGE.to_string()),
            Err(error) => Err(system_message(&error)),
        }
    }

    /// # Safety
    /// As [`Binary::find`].
    unsafe fn require<T: Copy>(&self, symbol: &str) -> core::result::Result<T, Refusal> {
        // SAFETY: as this function's.
        unsafe { self.find(symbol) }.map_err(|message| Refusal {
            text: format!(
                "Error during loading of the HPy extension module at path '{}' while trying to find symbol '{symbol}'. Did \
                 you usethe HPy_MODINIT macro to register your module? Error message from dlsym/WinAPI: {message}",
                self.file.display()
            ),
            help: format!(
                "The file says which HPy version it needs, but does not export {symbol}. HPy_MODINIT({}, moduledef) defines \
                 it; does a version script or a strip step remove it?",
                self.short_name
            ),
        })
    }
}

/// Whether this runtime has the ABI that a binary needs.
pub fn check_version(short_name: &str, major: u32, minor: u32) -> core::result::Result<(), Refusal> {
    if i64::from(major) == i64::from(ABI_VERSION) && i64::from(minor) <= i64::from(ABI_VERSION_MINOR) {
        return Ok(());
    }
    let help = if i64::from(major) >= i64::from(ABI_VERSION) {
        format!(
            "'{short_name}' was built for HPy ABI {major}.{minor}; hpy {VERSION} offers {ABI_VERSION}.{ABI_VERSION_MINOR}. \
             Update with: pip install -U hpy"
        )
    } else {
        format!("'{short_name}' was built for an ABI that is gone. Build it again, or install a newer release of it.")
    };
    Err(Refusal {
        text: format!(
            "HPy extension module '{short_name}' requires unsupported version of the HPy runtime. Requested version: \
             {major}.{minor}. Current HPy version: {ABI_VERSION}.{ABI_VERSION_MINOR}."
        ),
        help,
    })
}

/// What stands behind `.hpy` in a file's name.
fn file_tag(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_string_lossy().into_owned();
    let (_, rest) = name.split_once(".hpy")?;
    let tag = rest.split('.').next().unwrap_or(rest);
    tag.starts_with(|c: char| c.is_ascii_digit()).then(|| tag.to_string())
}

fn check_file_tag(short_name: &str, file: &Path, major: u32, minor: u32) -> core::result::Result<(), Refusal> {
    let path = file.display();
    let Some(tag) = file_tag(file) else {
        return Err(Refusal {
            text: format!(
                "HPy extension module '{short_name}' at path '{path}': could not find HPy ABI tag encoded in the filename. \
                 The extension claims to be compiled with HPy ABI version: {major}.{minor}."
            ),
            help: format!("Name the file {short_name}.hpy{major}.so (on Windows .pyd), as hpy.devel does."),
        });
    };
    let digits: String = tag.chars().take_while(char::is_ascii_digit).collect();
    let in_name = digits.parse::<u32>().unwrap_or(u32::MAX);
    if in_name == major {
        return Ok(());
    }
    Err(Refusal {
        text: format!(
            "HPy extension module '{short_name}' at path '{path}': mismatch between the HPy ABI tag encoded in the filename \
             and the major version requested by the HPy extension itself. Major version tag parsed from filename: {in_name}. \
             Requested version: {major}.{minor}."
        ),
        help: format!("Was the file renamed? What it holds belongs into a file named {short_name}.hpy{major}.so."),
    })
}

/// A hybrid binary fits one version of one interpreter; another one's may crash before it says anything.
fn check_hybrid_tag(file: &Path, interpreter: &str) -> core::result::Result<(), Refusal> {
    let Some(tag) = file_tag(file) else { return Ok(()) };
    let Some((_, built_for)) = tag.split_once('-') else { return Ok(()) };
    if !built_for.starts_with("cp") || built_for == interpreter {
        return Ok(());
    }
    let file_name = file.file_name().unwrap_or_default().to_string_lossy();
    // `cp313t` is CPython 3.13t. Whatever else stands there in a name is told as it is.
    let people = |tag: &str| match tag.strip_prefix("cp").and_then(|version| version.split_at_checked(1)) {
        Some((major, minor)) if major.chars().chain(minor.chars().take(1)).all(|c| c.is_ascii_digit()) => {
            format!("CPython {major}.{minor}")
        }
        _ => format!("'{tag}'"),
    };
    Err(Refusal {
        text: format!(
            "'{file_name}' is a hybrid build for {}, but this is {}.",
            people(built_for),
            people(interpreter)
        ),
        help: "Hybrid builds use the old C API beside HPy and fit one version only. Install the extension for this Python, or \
               ask its authors for a universal build."
            .into(),
    })
}
