//! A universal binary that CPython imports by its `PyInit_NAME`: it finds the runtime that is installed.
//!
//! Nothing of CPython is linked. Its functions are looked up in the process, by name; all are of the stable ABI since 3.2.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute_copy;
use core::ptr::null_mut;

use hpy_abi::{HPyModuleEntry, IMPORT_ATTRIBUTE, IMPORT_CAPSULE, ImportEntry};

type Object = *mut c_void;

/// The functions that are used, and the exceptions, which are variables.
macro_rules! python {
    (
        functions { $($function:ident: fn($($argument:ty),* $(; $variadic:tt)?) $(-> $result:ty)?;)* }
        variables { $($variable:ident;)* }
    ) => {
        struct Python {
            $($function: unsafe extern "C" fn($($argument),* $(, $variadic)?) $(-> $result)?,)*
            $($variable: *const Object,)*
        }

        impl Python {
            /// None where there is no CPython.
            fn find() -> Option<Python> {
                // SAFETY: these are the declarations of CPython's headers; a pointer is as wide as a function pointer.
                unsafe {
                    Some(Python {
                        $($function: transmute_copy(&symbol(concat!(stringify!($function), "\0"))?),)*
                        $($variable: symbol(concat!(stringify!($variable), "\0"))?.cast(),)*
                    })
                }
            }
        }
    };
}

python! {
    functions {
        PyImport_ImportModule: fn(*const c_char) -> Object;
        PyObject_GetAttrString: fn(Object, *const c_char) -> Object;
        PyCapsule_GetPointer: fn(Object, *const c_char) -> *mut c_void;
        PySys_GetObject: fn(*const c_char) -> Object;
        PyUnicode_AsUTF8String: fn(Object) -> Object;
        PyBytes_AsString: fn(Object) -> *const c_char;
        PyUnicode_FromString: fn(*const c_char) -> Object;
        PyUnicode_FromFormat: fn(*const c_char; ...) -> Object;
        PyErr_ExceptionMatches: fn(Object) -> c_int;
        PyErr_Fetch: fn(*mut Object, *mut Object, *mut Object);
        PyErr_NormalizeException: fn(*mut Object, *mut Object, *mut Object);
        PyErr_Restore: fn(Object, Object, Object);
        PyErr_Clear: fn();
        PyErr_SetImportError: fn(Object, Object, Object) -> Object;
        Py_DecRef: fn(Object);
    }
    variables {
        PyExc_ModuleNotFoundError;
        PyExc_AttributeError;
    }
}

crate::symbols::hide! {
    "_HPyModule_Import"
}

/// Hands over to the runtime, and returns what it gives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyModule_Import(entry: *const HPyModuleEntry) -> *mut c_void {
    let Some(python) = Python::find() else { return null_mut() };
    // SAFETY: CPython imports the binary, so its interpreter is held; the entry is static.
    unsafe {
        let name = (*entry).name;
        let runtime = (python.PyImport_ImportModule)(c"hpy.universal".as_ptr());
        if runtime.is_null() {
            if python.has_no_runtime() {
                python.raise_no_runtime(name);
            }
            return null_mut();
        }
        let definition = match python.import_function(runtime) {
            Some(import) => import(entry),
            None => {
                python.raise_too_old(name, runtime);
                null_mut()
            }
        };
        (python.Py_DecRef)(runtime);
        definition
    }
}

impl Python {
    /// What the runtime takes an entry with; none, with or without an exception, if it is one from before.
    unsafe fn import_function(&self, runtime: Object) -> Option<ImportEntry> {
        // SAFETY: the module is alive, and the capsule's name says what is in it.
        unsafe {
            let capsule = (self.PyObject_GetAttrString)(runtime, IMPORT_ATTRIBUTE.as_ptr());
            if capsule.is_null() {
                return None;
            }
            let function = (self.PyCapsule_GetPointer)(capsule, IMPORT_CAPSULE.as_ptr());
            (self.Py_DecRef)(capsule);
            if function.is_null() { None } else { Some(transmute_copy(&function)) }
        }
    }

    /// Whether the exception that is set says that there is no `hpy` or no `hpy.universal`, and not that these lack
    /// something themselves. Then it is cleared.
    unsafe fn has_no_runtime(&self) -> bool {
        // SAFETY: an exception is set; what is fetched is given back or let go.
        unsafe {
            if (self.PyErr_ExceptionMatches)(*self.PyExc_ModuleNotFoundError) == 0 {
                return false;
            }
            let (mut class, mut value, mut traceback) = (null_mut(), null_mut(), null_mut());
            (self.PyErr_Fetch)(&mut class, &mut value, &mut traceback);
            (self.PyErr_NormalizeException)(&mut class, &mut value, &mut traceback);
            let missing = (self.PyObject_GetAttrString)(value, c"name".as_ptr());
            let text = if missing.is_null() { null_mut() } else { (self.PyUnicode_AsUTF8String)(missing) };
            let is_ours = !text.is_null() && {
                let text = CStr::from_ptr((self.PyBytes_AsString)(text));
                text == c"hpy" || text == c"hpy.universal"
            };
            self.let_go(text);
            self.let_go(missing);
            if is_ours {
                self.let_go(class);
                self.let_go(value);
                self.let_go(traceback);
            } else {
                (self.PyErr_Restore)(class, value, traceback);
            }
            is_ours
        }
    }

    unsafe fn raise_no_runtime(&self, name: *const c_char) {
        // SAFETY: the format takes a string and an object, which is borrowed; there is always a sys.executable.
        unsafe {
            let executable = (self.PySys_GetObject)(c"executable".as_ptr());
            let format =
                c"Cannot import '%s': it is an HPy extension, and no HPy runtime is installed for this Python (%S). \
                           Install one with: pip install hpy";
            self.raise(name, (self.PyUnicode_FromFormat)(format.as_ptr(), name, executable));
        }
    }

    unsafe fn raise_too_old(&self, name: *const c_char, runtime: Object) {
        // SAFETY: the module is alive; the format takes a string and an object, which is borrowed.
        unsafe {
            if (self.PyErr_ExceptionMatches)(*self.PyExc_AttributeError) == 0 {
                return;
            }
            (self.PyErr_Clear)();
            let format = c"Cannot import '%s': it needs the HPy runtime 0.10 or newer, and the one that is installed is older: %R. \
                           Update it with: pip install -U hpy";
            self.raise(name, (self.PyUnicode_FromFormat)(format.as_ptr(), name, runtime));
        }
    }

    /// Raises an ImportError, unless there is no memory for its text, which is an exception then.
    unsafe fn raise(&self, name: *const c_char, text: Object) {
        // SAFETY: our own references, which are let go.
        unsafe {
            let name = (self.PyUnicode_FromString)(name);
            if !text.is_null() && !name.is_null() {
                (self.PyErr_SetImportError)(text, name, null_mut());
            }
            self.let_go(name);
            self.let_go(text);
        }
    }

    unsafe fn let_go(&self, object: Object) {
        if !object.is_null() {
            // SAFETY: the caller's reference.
            unsafe { (self.Py_DecRef)(object) };
        }
    }
}
/// The address of a symbol of CPython's, wherever in the process that is. The name ends with NUL.
#[cfg(unix)]
unsafe fn symbol(name: &str) -> Option<*mut c_void> {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    // RTLD_DEFAULT: whatever was loaded for all. Python's executable or library always is.
    let everywhere = if cfg!(target_vendor = "apple") { -2isize as *mut c_void } else { null_mut() };
    // SAFETY: the name is a C string.
    let found = unsafe { dlsym(everywhere, name.as_ptr().cast()) };
    if found.is_null() { None } else { Some(found) }
}

/// The address of a symbol of CPython's: on Windows, each library of the process has to be asked. Untested.
#[cfg(windows)]
unsafe fn symbol(name: &str) -> Option<*mut c_void> {
    unsafe extern "system" {
        fn GetCurrentProcess() -> *mut c_void;
        fn K32EnumProcessModules(process: *mut c_void, modules: *mut *mut c_void, bytes: u32, needed: *mut u32) -> i32;
        fn GetProcAddress(module: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    let mut modules = [null_mut::<c_void>(); 1024];
    let mut needed = 0u32;
    // SAFETY: the array is as long as said; modules that are loaded stay while they are asked.
    unsafe {
        if K32EnumProcessModules(GetCurrentProcess(), modules.as_mut_ptr(), size_of_val(&modules) as u32, &mut needed)
            == 0
        {
            return None;
        }
        let count = needed as usize / size_of::<*mut c_void>();
        modules
            .iter()
            .take(count)
            .map(|&module| GetProcAddress(module, name.as_ptr().cast()))
            .find(|found| !found.is_null())
    }
}
