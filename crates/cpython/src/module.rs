//! Modules: CPython's definition from an extension's.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{offset_of, transmute};
use core::ptr::{null, null_mut};

use hpy_abi::*;
use pyo3_ffi::*;

use crate::append_only::{AppendOnly, Link, zeroed};
use crate::array::Array;
use crate::method;
use crate::raised::{PythonError, Result};

/// Of a module with a create slot, the `%s` it must do without.
const CREATE_STANDS_ALONE: &CStr =
    c"HPyModuleDef defines a HPy_mod_create slot and some %s. This is not allowed because custom HPy_mod_create slot cannot \
      return a builtin module object and cannot make any use of any other data defined in the HPyModuleDef. Either do not define \
      HPy_mod_create slot and let the runtime create a builtin module object from the provided HPyModuleDef, or do not define \
      anything else but the HPy_mod_create slot.";

/// What has been made of an extension's definition. Modules point into it for good.
#[repr(C)]
struct Made {
    next: *mut Made,
    ctx: *mut HPyContext,
    from: *mut HPyModuleDef,
    def: PyModuleDef,
}

// SAFETY: the link comes first.
unsafe impl Link for Made {
    fn is_same(&self, other: &Made) -> bool {
        (self.ctx, self.from) == (other.ctx, other.from)
    }
}

static DEFINITIONS: AppendOnly<Made> = AppendOnly::new();

/// Whether a module has declared that it needs no GIL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gil {
    Used,
    NotUsed,
}

impl Gil {
    /// Puts that into a module's slots, where CPython asks. Of interpreters with a GIL of their own nothing is said there, so those refuse
    /// the module: what is shared by all modules counts on one GIL for all, the [tracker](crate::tracker)'s spare block for one.
    fn add_to(self, slots: &mut Array<PyModuleDef_Slot>) -> Result<()> {
        #[cfg(Py_3_13)]
        if self == Gil::NotUsed {
            slots.push(PyModuleDef_Slot { slot: Py_mod_gil, value: Py_MOD_GIL_NOT_USED })?;
        }
        // Older ones do not know the slot.
        #[cfg(not(Py_3_13))]
        let _ = slots;
        Ok(())
    }
}

/// Whether CPython calls `PyInit_NAME` in the main interpreter, whichever one imports.
pub const STARTS_IN_MAIN: bool = cfg!(Py_3_13);

/// What runs before the extension's own code in the interpreter that imports it.
pub struct Start {
    /// In place of the extension's create slot, which is at [`create_slot`].
    pub create: CreateModule,
    /// In front of its exec slots.
    pub exec: unsafe extern "C" fn(*mut PyObject) -> c_int,
}

/// CPython's definition of an extension's module, which runs with this context. Loading a module again gives the same one. What
/// it says about the GIL and the start matters to CPython's own import system only.
///
/// # Safety
/// The extension's definition has to stay where it is, unchanged, for as long as the process runs.
pub unsafe fn definition(
    ctx: *mut HPyContext,
    hpydef: *mut HPyModuleDef,
    gil: Gil,
    start: Option<&Start>,
) -> Result<*mut PyModuleDef> {
    let known = DEFINITIONS.find(|made| (made.ctx, made.from) == (ctx, hpydef));
    // SAFETY: as this function's; a new entry is ours until it is published.
    let made = unsafe {
        match known {
            Some(made) => made,
            None => {
                let def = make_definition(ctx, &*hpydef, gil, start)?;
                let made = zeroed::<Made>(size_of::<Made>())?;
                (*made).ctx = ctx;
                (*made).from = hpydef;
                (&raw mut (*made).def).write(def);
                DEFINITIONS.publish(made)
            }
        }
    };
    // CPython counts references in it.
    Ok((&raw const made.def).cast_mut())
}

/// The context that a definition was made for.
///
/// # Safety
/// `def` is from [`definition`].
pub unsafe fn context_of(def: *mut PyModuleDef) -> *mut HPyContext {
    // SAFETY: as this function's, so it lies in an entry, which stays.
    unsafe { (*made_of(def)).ctx }
}

unsafe fn made_of(def: *mut PyModuleDef) -> *const Made {
    // SAFETY: the caller's definition lies in an entry.
    unsafe { def.byte_sub(offset_of!(Made, def)).cast() }
}

/// The extension's own create slot.
///
/// # Safety
/// As [`context_of`].
pub unsafe fn create_slot(def: *mut PyModuleDef) -> Option<CreateModule> {
    // SAFETY: as this function's; the extension's definition stays, and a slot's trampoline is what CPython calls it as.
    unsafe {
        let defines = null_ended((*(*made_of(def)).from).defines);
        let is_create =
            |define: &*mut HPyDef| (**define).kind == HPyDef_Kind_Slot && (**define).u.slot.slot == HPy_mod_create;
        let define = defines.into_iter().find(is_create)?;
        transmute::<HPyCFunction, Option<CreateModule>>((*define).u.slot.cpy_trampoline)
    }
}

/// # Safety
/// As [`definition`].
unsafe fn make_definition(
    ctx: *mut HPyContext,
    hpydef: &HPyModuleDef,
    gil: Gil,
    start: Option<&Start>,
) -> Result<PyModuleDef> {
    if hpydef.size < 0 {
        return Err(system_error(c"HPy does not permit HPyModuleDef.size < 0"));
    }
    if hpydef.size > 0 {
        return Err(system_error(
            c"Module state is not supported yet in HPy, set HPyModuleDef.size = 0 if module state is not needed",
        ));
    }
    let defines = defines(hpydef)?;
    let mut methods = Array::new();
    // SAFETY: as this function's.
    let (slots, creates) = unsafe {
        method::add_methods(ctx, defines.as_slice(), hpydef.legacy_methods.cast(), |method| methods.push(method))?;
        methods.push(PyMethodDef::zeroed())?;
        slots(defines.as_slice(), gil, start)?
    };
    let others = !hpydef.legacy_methods.is_null() || !hpydef.doc.is_null() || !hpydef.globals.is_null();
    if creates && others {
        return Err(create_stands_alone(c"of the other fields are not set to their default value"));
    }
    Ok(PyModuleDef { m_doc: hpydef.doc, m_methods: methods.leak(), m_slots: slots.leak(), ..empty(null()) })
}

/// A definition without anything in it: there is no state, and where the name is null, the import system has it.
pub const fn empty(name: *const c_char) -> PyModuleDef {
    PyModuleDef {
        m_base: PyModuleDef_HEAD_INIT,
        m_name: name,
        m_doc: null(),
        m_size: 0,
        m_methods: null_mut(),
        m_slots: null_mut(),
        m_traverse: None,
        m_clear: None,
        m_free: None,
    }
}

fn defines(hpydef: &HPyModuleDef) -> Result<Array<*mut HPyDef>> {
    let mut defines = Array::new();
    // SAFETY: the list of definitions ends with null.
    for define in unsafe { null_ended(hpydef.defines) } {
        defines.push(define)?;
    }
    Ok(defines)
}

/// A definition for CPython's import system, which asks `create` for the module itself and then runs the exec slots.
///
/// # Safety
/// As [`definition`]; `create` gives what CPython's `Py_mod_create` has to.
pub unsafe fn importable(hpydef: &HPyModuleDef, create: CreateModule, gil: Gil) -> Result<PyModuleDef> {
    let defines = defines(hpydef)?;
    let mut all = Array::new();
    all.push(PyModuleDef_Slot { slot: Py_mod_create, value: create as *mut c_void })?;
    // SAFETY: as this function's.
    let (slots, creates) = unsafe { slots(defines.as_slice(), gil, None)? };
    for &slot in slots.as_slice() {
        // What creates the module itself has nothing else.
        if !(creates && slot.slot == Py_mod_create) {
            all.push(slot)?;
        }
    }
    Ok(PyModuleDef { m_slots: all.leak(), ..empty(null()) })
}

/// Gives a module, as a new reference, for a spec and a definition.
pub type CreateModule = unsafe extern "C" fn(*mut PyObject, *mut PyModuleDef) -> *mut PyObject;

/// The slots, with the end mark, and whether one of them creates the module.
unsafe fn slots(defines: &[*mut HPyDef], gil: Gil, start: Option<&Start>) -> Result<(Array<PyModuleDef_Slot>, bool)> {
    let mut own = Array::new();
    let mut creates = false;
    let mut others = false;
    for &define in defines {
        // SAFETY: definitions stay; the kind says which.
        let slot = unsafe {
            if (*define).kind != HPyDef_Kind_Slot {
                others = true;
                continue;
            }
            &(*define).u.slot
        };
        let number = match slot.slot {
            HPy_mod_create if creates => {
                return Err(system_error(c"Multiple definitions of the HPy_mod_create slot in HPyModuleDef.defines."));
            }
            HPy_mod_create => {
                creates = true;
                Py_mod_create
            }
            HPy_mod_exec => {
                others = true;
                Py_mod_exec
            }
            other => {
                // SAFETY: the caller holds the interpreter; the format takes one int.
                unsafe {
                    let format = c"Unsupported slot in HPyModuleDef.defines (value: %d).";
                    PyErr_Format(PyExc_SystemError, format.as_ptr(), other.0);
                }
                return Err(PythonError);
            }
        };
        if slot.r#impl.is_none() || slot.cpy_trampoline.is_none() {
            return Err(system_error(c"HPySlot: impl and cpy_trampoline have to be set; HPyDef_SLOT does that"));
        }
        // SAFETY: a function pointer is as wide as any pointer.
        let value = unsafe { transmute::<HPyCFunction, *mut c_void>(slot.cpy_trampoline) };
        own.push(PyModuleDef_Slot { slot: number, value })?;
    }
    if creates && others {
        return Err(create_stands_alone(c"other slots or methods"));
    }
    let mut slots = Array::new();
    match start {
        Some(start) if creates => {
            slots.push(PyModuleDef_Slot { slot: Py_mod_create, value: start.create as *mut c_void })?;
        }
        start => {
            if let Some(start) = start {
                slots.push(PyModuleDef_Slot { slot: Py_mod_exec, value: start.exec as *mut c_void })?;
            }
            for &slot in own.as_slice() {
                slots.push(slot)?;
            }
        }
    }
    gil.add_to(&mut slots)?;
    slots.push(PyModuleDef_Slot { slot: 0, value: null_mut() })?;
    Ok((slots, creates))
}

fn system_error(message: &CStr) -> PythonError {
    // SAFETY: whoever makes a module holds the interpreter.
    unsafe { PyErr_SetString(PyExc_SystemError, message.as_ptr()) };
    PythonError
}

fn create_stands_alone(what: &CStr) -> PythonError {
    // SAFETY: whoever makes a module holds the interpreter; the format takes one string.
    unsafe { PyErr_Format(PyExc_SystemError, CREATE_STANDS_ALONE.as_ptr(), what.as_ptr()) };
    PythonError
}

/// What a create slot returned, unless it is a module: those only the runtime makes.
///
/// # Safety
/// The object is null, with an exception set, or the caller's reference.
pub unsafe fn check_created_module(module: *mut PyObject) -> *mut PyObject {
    // SAFETY: as this function's.
    unsafe {
        if !module.is_null() && PyModule_Check(module) != 0 {
            Py_DECREF(module);
            system_error(c"HPy_mod_create slot returned a builtin module object. This is currently not supported.");
            return null_mut();
        }
    }
    module
}

/// Makes the module of a definition for a spec, without running its exec slots. Returns a new reference.
///
/// # Safety
/// As [`create`].
pub unsafe fn create_only(def: *mut PyModuleDef, spec: *mut PyObject) -> Result<*mut PyObject> {
    // SAFETY: as this function's; the caller holds the interpreter.
    let module = unsafe { PyModule_FromDefAndSpec(def, spec) };
    if module.is_null() { Err(PythonError) } else { Ok(module) }
}

/// Makes the module of a definition for a spec, and runs its exec slots. Returns a new reference.
///
/// # Safety
/// `def` is from [`definition`], and `spec` a live object.
pub unsafe fn create(def: *mut PyModuleDef, spec: *mut PyObject) -> Result<*mut PyObject> {
    // SAFETY: as this function's; the caller holds the interpreter.
    unsafe {
        let module = create_only(def, spec)?;
        let is_module: c_int = PyModule_Check(module);
        if is_module != 0 && PyModule_ExecDef(module, def) != 0 {
            Py_DECREF(module);
            return Err(PythonError);
        }
        Ok(module)
    }
}
