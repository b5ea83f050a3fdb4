//! Several interpreters in one process: what is kept for each of them.
//!
//! The main interpreter has what is static: the contexts, and the objects in the variables of globals. For another interpreter each
//! context has a twin, which differs in `h_Builtins`; and a global whose variable more than one interpreter uses holds the index of a
//! place that each of them has (see [`global`](crate::global)). As long as only the main interpreter has loaded extensions, nobody asks
//! which one is running.
//!
//! All of them share one GIL: [`refuse_own_gil`] sees to that.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_void};
use core::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use hpy_abi::{HPy, HPyContext};
use pyo3_ffi::*;

use crate::append_only::{AppendOnly, Link, zeroed};
use crate::array::Array;
use crate::handle::to_object;
use crate::raised::{PythonError, Result};

/// Whether another interpreter than the main one has loaded an extension. Binaries of the CPython ABI look at it themselves.
#[cfg_attr(not(feature = "universal"), unsafe(no_mangle))]
pub static _HPy_several_interpreters: AtomicBool = AtomicBool::new(false);

/// Whether the current interpreter has to be asked for.
#[inline(always)]
pub fn are_several() -> bool {
    _HPy_several_interpreters.load(Ordering::Relaxed)
}

/// Whether the current interpreter is the main one.
///
/// # Safety
/// The caller holds an interpreter.
#[inline]
pub unsafe fn is_main() -> bool {
    // SAFETY: as this function's.
    unsafe { PyInterpreterState_Get() == PyInterpreterState_Main() }
}

/// The current interpreter's number, 0 for the main one. No number is used again.
unsafe fn number() -> i64 {
    // SAFETY: the caller holds an interpreter.
    unsafe { PyInterpreterState_GetID(PyInterpreterState_Get()) }
}

/// The number of what belongs to an interpreter that is gone.
const GONE: i64 = -1;

/// What is kept for an interpreter beside contexts.
#[repr(C)]
pub struct Interpreter {
    next: *mut Interpreter,
    number: AtomicI64,
    globals: UnsafeCell<Array<HPy>>,
}

// SAFETY: the link comes first.
unsafe impl Link for Interpreter {
    fn is_same(&self, other: &Interpreter) -> bool {
        self.number.load(Ordering::Relaxed) == other.number.load(Ordering::Relaxed)
    }
}

static INTERPRETERS: AppendOnly<Interpreter> = AppendOnly::new();

impl Interpreter {
    /// The current one's.
    ///
    /// # Safety
    /// The caller holds an interpreter.
    pub unsafe fn current() -> Result<&'static Interpreter> {
        // SAFETY: as this function's.
        unsafe { Interpreter::numbered(number()) }
    }

    /// The main one's.
    pub fn main() -> Result<&'static Interpreter> {
        Interpreter::numbered(0)
    }

    fn numbered(number: i64) -> Result<&'static Interpreter> {
        if let Some(known) = INTERPRETERS.find(|each| each.number.load(Ordering::Acquire) == number) {
            return Ok(known);
        }
        let is_taken = |each: &Interpreter| take_over(&each.number, number);
        if let Some(free) = INTERPRETERS.find(is_taken) {
            return Ok(free);
        }
        // SAFETY: the block is new, and filled in before it is published.
        unsafe {
            let made = zeroed::<Interpreter>(size_of::<Interpreter>())?;
            (*made).number = AtomicI64::new(number);
            (&raw mut (*made).globals).write(UnsafeCell::new(Array::new()));
            Ok(INTERPRETERS.publish(made))
        }
    }

    /// The objects of globals by index: its own references, or null.
    ///
    /// # Safety
    /// The caller has the lock of globals.
    #[allow(clippy::mut_from_ref, reason = "the lock of globals is what makes it exclusive")]
    pub unsafe fn globals(&self) -> &mut Array<HPy> {
        // SAFETY: as this function's.
        unsafe { &mut *self.globals.get() }
    }
}

/// Gives what belonged to an interpreter that is gone to another one. False if it is in use.
fn take_over(owner: &AtomicI64, number: i64) -> bool {
    owner.compare_exchange(GONE, number, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

/// A context of another interpreter than the main one.
#[repr(C)]
struct Twin {
    next: *mut Twin,
    number: AtomicI64,
    /// The main interpreter's.
    of: *mut HPyContext,
    context: UnsafeCell<HPyContext>,
}

// SAFETY: the link comes first.
unsafe impl Link for Twin {
    fn is_same(&self, other: &Twin) -> bool {
        (self.of, self.number.load(Ordering::Relaxed)) == (other.of, other.number.load(Ordering::Relaxed))
    }
}

static TWINS: AppendOnly<Twin> = AppendOnly::new();

/// The current interpreter's twin of a context, if it has one.
unsafe fn twin(of: *mut HPyContext) -> Option<&'static Twin> {
    // SAFETY: the caller holds an interpreter.
    let number = unsafe { number() };
    TWINS.find(|twin| twin.of == of && twin.number.load(Ordering::Acquire) == number)
}

/// The context of the current interpreter, another one than the main one, in place of the main interpreter's. `fill` fills in a new one,
/// of which only the name and the functions are there. One of an interpreter that is gone is used again unless others may have copies of
/// what is in it.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn context(
    of: *mut HPyContext,
    is_copied: bool,
    fill: impl FnOnce(*mut HPyContext) -> Result<()>,
) -> Result<*mut HPyContext> {
    // SAFETY: as this function's; a new context is ours until it is published.
    unsafe {
        prepare()?;
        if let Some(known) = twin(of) {
            return Ok(known.context.get());
        }
        let number = number();
        let free = TWINS.find(|twin| !is_copied && twin.of == of && take_over(&twin.number, number));
        if let Some(free) = free {
            if let Err(error) = fill(free.context.get()) {
                free.number.store(GONE, Ordering::Release);
                return Err(error);
            }
            return Ok(free.context.get());
        }
        let made = zeroed::<Twin>(size_of::<Twin>())?;
        (*made).number = AtomicI64::new(number);
        (*made).of = of;
        (*made).context.get().copy_from_nonoverlapping(of, 1);
        if let Err(error) = fill((*made).context.get()) {
            PyMem_RawFree(made.cast());
            return Err(error);
        }
        Ok(TWINS.publish(made).context.get())
    }
}

/// The current interpreter's context, in place of that of whichever interpreter.
///
/// # Safety
/// The caller holds an interpreter.
#[inline]
pub unsafe fn here(ctx: *mut HPyContext) -> *mut HPyContext {
    if !are_several() {
        return ctx;
    }
    let of = main_of(ctx);
    // SAFETY: as this function's.
    unsafe { if is_main() { of } else { twin(of).map_or(ctx, |twin| twin.context.get()) } }
}

/// The main interpreter's context in place of one of whichever interpreter.
#[inline]
pub fn main_of(ctx: *mut HPyContext) -> *mut HPyContext {
    if !are_several() {
        return ctx;
    }
    TWINS.find(|twin| twin.context.get() == ctx).map_or(ctx, |twin| twin.of)
}

const NAME: &CStr = c"hpy.interpreter";

/// Called when an interpreter loads an extension that is not the main one. Makes that its end is seen.
unsafe fn prepare() -> Result<()> {
    // SAFETY: the caller holds the interpreter; the dictionary is borrowed, and the entry stays.
    unsafe {
        _HPy_several_interpreters.store(true, Ordering::Release);
        let entry: *const Interpreter = Interpreter::current()?;
        let dict = state_dict()?;
        let key = entry_key(entry)?;
        let known = PyDict_GetItemWithError(dict, key);
        let result = if !known.is_null() {
            0
        } else if !PyErr_Occurred().is_null() {
            -1
        } else {
            let capsule = PyCapsule_New(entry.cast_mut().cast::<c_void>(), NAME.as_ptr(), Some(interpreter_ends));
            let result = if capsule.is_null() { -1 } else { PyDict_SetItem(dict, key, capsule) };
            Py_XDECREF(capsule);
            result
        };
        Py_DECREF(key);
        if result < 0 { Err(PythonError) } else { Ok(()) }
    }
}

/// What an interpreter's dictionary has the capsule under: this code can be in a process several times.
unsafe fn entry_key(entry: *const Interpreter) -> Result<*mut PyObject> {
    // SAFETY: the caller holds the interpreter; the format takes a pointer.
    let key = unsafe { PyUnicode_FromFormat(c"hpy.interpreter.%p".as_ptr(), entry) };
    if key.is_null() { Err(PythonError) } else { Ok(key) }
}

/// The dictionary that the current interpreter has for such things, borrowed.
///
/// # Safety
/// The caller holds an interpreter.
pub unsafe fn state_dict() -> Result<*mut PyObject> {
    // SAFETY: as this function's.
    unsafe {
        let dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
        if dict.is_null() {
            PyErr_NoMemory();
            return Err(PythonError);
        }
        Ok(dict)
    }
}

/// The interpreter's dictionary goes, and with it all that is kept for the interpreter.
unsafe extern "C" fn interpreter_ends(capsule: *mut PyObject) {
    // SAFETY: CPython passes our capsule, which has an entry that stays, while the interpreter is still there to let objects go.
    unsafe {
        let Some(interpreter) = PyCapsule_GetPointer(capsule, NAME.as_ptr()).cast::<Interpreter>().as_ref() else {
            PyErr_Clear();
            return;
        };
        let number = interpreter.number.load(Ordering::Relaxed);
        let mut index = 0;
        // Letting one go can run code that looks at the others, or stores.
        while index < interpreter.globals().as_slice().len() {
            let object = interpreter.globals().as_mut_ptr().add(index).replace(HPy::NULL);
            Py_XDECREF(to_object(object));
            index += 1;
        }
        *interpreter.globals() = Array::new();
        TWINS.find(|twin| {
            _ = twin.number.compare_exchange(number, GONE, Ordering::AcqRel, Ordering::Relaxed);
            false
        });
        interpreter.number.store(GONE, Ordering::Release);
    }
}

/// Runs `f` in the main interpreter. Exceptions don't come out of there.
///
/// # Safety
/// The caller holds an interpreter, which shares its GIL with the main one.
pub unsafe fn in_main<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: as this function's. The state is new, and of this thread alone.
    unsafe {
        if is_main() {
            return f();
        }
        let state = PyThreadState_New(PyInterpreterState_Main());
        if state.is_null() {
            PyErr_NoMemory();
            return Err(PythonError);
        }
        let own = PyThreadState_Swap(state);
        let result = f();
        PyThreadState_Clear(state);
        PyThreadState_Swap(own);
        PyThreadState_Delete(state);
        if result.is_err() {
            PyErr_NoMemory();
        }
        result
    }
}

/// Raises ImportError in an interpreter that has a GIL of its own: what is shared by all of them counts on one for all. CPython refuses
/// our modules there, unless its check has been switched off.
///
/// # Safety
/// The caller holds an interpreter.
pub unsafe fn refuse_own_gil() -> Result<()> {
    // SAFETY: as this function's.
    unsafe {
        if is_main() || !has_own_gil()? {
            return Ok(());
        }
        let text = c"HPy extension modules can't be used in an interpreter with a GIL of its own; \
                     make one that shares the main interpreter's GIL";
        PyErr_SetString(PyExc_ImportError, text.as_ptr());
        Err(PythonError)
    }
}

/// Before 3.12 there is but one GIL.
#[cfg(not(Py_3_12))]
unsafe fn has_own_gil() -> Result<bool> {
    Ok(false)
}

/// 3.12 tells nothing but whether the interpreter has memory of its own, which goes with a GIL of its own.
#[cfg(all(Py_3_12, not(Py_3_13)))]
unsafe fn has_own_gil() -> Result<bool> {
    #[cfg(not(windows))]
    {
        const USE_MAIN_OBMALLOC: core::ffi::c_ulong = 1 << 5;
        // SAFETY: the caller holds the interpreter.
        let has_feature =
            unsafe { crate::undeclared::_PyInterpreterState_HasFeature(PyInterpreterState_Get(), USE_MAIN_OBMALLOC) };
        Ok(has_feature == 0)
    }
    // Python's library there does not export the function.
    #[cfg(windows)]
    Ok(false)
}

/// From 3.13 on a module tells. Where it is missing, nobody can make such an interpreter.
#[cfg(Py_3_13)]
unsafe fn has_own_gil() -> Result<bool> {
    // SAFETY: the caller holds the interpreter; all references are ours.
    unsafe {
        let module = PyImport_ImportModule(c"_interpreters".as_ptr());
        if module.is_null() {
            if PyErr_ExceptionMatches(PyExc_ImportError) == 0 {
                return Err(PythonError);
            }
            PyErr_Clear();
            return Ok(false);
        }
        let config = PyObject_CallMethod(module, c"get_config".as_ptr(), c"L".as_ptr(), number());
        Py_DECREF(module);
        let gil =
            if config.is_null() { core::ptr::null_mut() } else { PyObject_GetAttrString(config, c"gil".as_ptr()) };
        Py_XDECREF(config);
        if gil.is_null() {
            return Err(PythonError);
        }
        let is_own = PyUnicode_Check(gil) != 0 && PyUnicode_CompareWithASCIIString(gil, c"own".as_ptr()) == 0;
        Py_DECREF(gil);
        Ok(is_own)
    }
}
