//! What debug mode asks of CPython.

use core::cell::Cell;
use core::ffi::CStr;
use core::ptr::null_mut;
use std::io::Write;
use std::thread::LocalKey;

use hpy_abi::HPy;
use hpy_cpython::handle::{new_ref, to_object};
use hpy_cpython::raised::Result;
use hpy_debug::{ROOM, Value};
use hpy_layer::inner::InnerHandle;
use pyo3_ffi::*;

use super::pending::Pending;
use super::place::line;
use super::threads::{THREADS, holds_interpreter};
use crate::owned::Owned;

/// CPython, for the debug layer.
pub static HOST: hpy_debug::Host = hpy_debug::Host {
    describe,
    repr: repr_or_address,
    python_place,
    raise,
    is_parallel: cfg!(Py_GIL_DISABLED),
    threads: THREADS,
    pending,
    warn,
    identity,
    holds_buffers,
    is_object,
    watch_dealloc: super::dealloc::watch,
    type_of,
    type_mark,
    type_name: name_of_type,
    value_of,
};

/// How much of an object's description is shown, in characters.
const DESCRIPTION: usize = 200;

/// Containers with more items are not asked for their `repr()`, which would take long and be cut off.
const MANY_ITEMS: isize = 100;

thread_local! {
    static DESCRIBING: Cell<bool> = const { Cell::new(false) };
    static WARNING: Cell<bool> = const { Cell::new(false) };
}

/// Marks that this thread is at something, until it is dropped.
struct Busy(&'static LocalKey<Cell<bool>>);

impl Busy {
    /// None if it is at it already: Python code that it runs has come here again.
    fn enter(flag: &'static LocalKey<Cell<bool>>) -> Option<Busy> {
        (!flag.replace(true)).then_some(Busy(flag))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Type and repr of an object: `str 'hello'`.
unsafe fn describe(object: InnerHandle, text: &mut String) {
    let object = to_object(object.handle());
    if object.is_null() {
        text.push_str("HPy_NULL");
        return;
    }
    // SAFETY: debug mode only describes live objects, and holds the interpreter for it.
    let description = unsafe {
        let class = type_name(Py_TYPE(object));
        match repr(object) {
            Ok(repr) => format!("{class} {repr}"),
            Err(instead) => instead,
        }
    };
    text.push_str(&cut(description));
}

unsafe fn repr_or_address(object: InnerHandle) -> String {
    // SAFETY: debug mode shows live objects, and holds the interpreter for it.
    cut(unsafe { repr(to_object(object.handle())) }.unwrap_or_else(|instead| instead))
}

/// The `repr()` of an object in one line, or what can be said instead if it fails.
unsafe fn repr(object: *mut PyObject) -> core::result::Result<String, String> {
    // SAFETY: the object is alive, and the interpreter held. What runs may release the object: we have a reference.
    unsafe {
        let without = |why: String| {
            let class = type_name(Py_TYPE(object));
            Err(format!("{class} object at {object:p} ({why})"))
        };
        let Some(_busy) = Busy::enter(&DESCRIBING) else {
            return without("it was asked for its repr() by a repr()".into());
        };
        let _pending = Pending::put_aside();
        let count = number_of_items(object);
        if count > MANY_ITEMS {
            return Ok(format!("<{} of {count} items>", type_name(Py_TYPE(object))));
        }
        let text = start_of(object).and_then(|object| Owned::new(PyObject_Repr(object.as_ptr())));
        match text.ok().and_then(|text| text.to_text()) {
            Some(text) => Ok(in_one_line(&text)),
            None => {
                let class = PyErr_Occurred();
                let why = if class.is_null() { "SystemError".into() } else { type_name(class.cast()) };
                // A failing repr() is not the misuse that is being reported.
                PyErr_Clear();
                without(format!("its repr() raises {why}"))
            }
        }
    }
}

/// The number of items of a container whose `repr()` shows them all; 0 for anything else.
unsafe fn number_of_items(object: *mut PyObject) -> isize {
    // SAFETY: the object is alive. These types have a length that can't fail.
    unsafe {
        let is_container = PyList_CheckExact(object) != 0
            || PyTuple_CheckExact(object) != 0
            || PyDict_CheckExact(object) != 0
            || PyAnySet_CheckExact(object) != 0;
        if is_container { PyObject_Size(object) } else { 0 }
    }
}

/// The part of a long str or bytes that will be shown; any other object itself.
unsafe fn start_of(object: *mut PyObject) -> Result<Owned> {
    let limit = DESCRIPTION.cast_signed();
    // SAFETY: the object is alive, and has the type that each function wants.
    unsafe {
        if PyUnicode_CheckExact(object) != 0 && PyUnicode_GetLength(object) > limit {
            Owned::new(PyUnicode_Substring(object, 0, limit))
        } else if PyBytes_CheckExact(object) != 0 && PyBytes_Size(object) > limit {
            Owned::new(PyBytes_FromStringAndSize(PyBytes_AsString(object), limit))
        } else {
            Owned::from_borrowed(object)
        }
    }
}

/// A report has one line for an object, and terminals do things at control characters.
fn in_one_line(text: &str) -> String {
    let joined =
        if text.contains('\n') { text.lines().map(str::trim).collect::<Vec<_>>().join(" ") } else { text.into() };
    joined.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn cut(text: String) -> String {
    if text.chars().count() <= DESCRIPTION {
        return text;
    }
    text.chars().take(DESCRIPTION - 3).chain("...".chars()).collect()
}

/// The last part of a type's name. Where there is no GIL, another thread may give the type another one: a reference is held to this one.
#[cfg(Py_GIL_DISABLED)]
unsafe fn type_name(class: *mut PyTypeObject) -> String {
    // SAFETY: the caller's object keeps the type, and the thread holds the interpreter.
    unsafe {
        let _pending = Pending::put_aside();
        let name = Owned::new(PyType_GetName(class)).ok().and_then(|name| name.to_text());
        name.unwrap_or_else(|| "?".into())
    }
}

/// The last part of a type's name.
#[cfg(not(Py_GIL_DISABLED))]
unsafe fn type_name(class: *mut PyTypeObject) -> String {
    // SAFETY: a type's name lives as long as the type, which the caller's object keeps.
    let name = unsafe { CStr::from_ptr((*class).tp_name) }.to_string_lossy();
    name.rsplit('.').next().unwrap_or_default().to_string()
}

/// Where Python code is: `app.py:12 in main`.
unsafe fn python_place() -> Option<String> {
    // SAFETY: debug mode holds the interpreter here.
    let line = unsafe { line() }?;
    Some(format!("{}:{} in {}", line.file, line.line, line.function))
}

/// Raises `hpy.debug.HPyDebugError`. What was pending becomes its context.
unsafe fn raise(identifier: &str, text: &str) {
    // SAFETY: debug mode holds the interpreter here; the references are counted by `Owned`.
    unsafe {
        let pending = Pending::put_aside();
        if pending.tells(text) {
            // It is on its way already, and stays as it is.
            return;
        }
        let context = pending.into_exception();
        let made = debug_error(identifier, text).or_else(|_| {
            // At the end of a process hpy.debug can't be imported any more.
            PyErr_Clear();
            let text = Owned::str(text)?;
            Owned::new(PyObject_CallOneArg(PyExc_RuntimeError, text.as_ptr()))
        });
        // Without memory for it, the MemoryError is as good.
        let Ok(error) = made else { return };
        match context {
            Some(context) => {
                PyException_SetContext(error.as_ptr(), context.into_raw());
                let class = new_ref(Py_TYPE(error.as_ptr()).cast());
                // PyErr_SetObject would replace the context by the exception that Python code is handling.
                #[allow(deprecated, reason = "what replaces this function is newer than 3.9")]
                PyErr_Restore(class, error.into_raw(), null_mut());
            }
            None => PyErr_SetObject(Py_TYPE(error.as_ptr()).cast(), error.as_ptr()),
        }
    }
}

unsafe fn debug_error(identifier: &str, text: &str) -> Result<Owned> {
    // SAFETY: the caller holds the interpreter.
    unsafe {
        let module = Owned::new(PyImport_ImportModule(c"hpy.debug".as_ptr()))?;
        let class = Owned::new(PyObject_GetAttrString(module.as_ptr(), c"HPyDebugError".as_ptr()))?;
        let (text, identifier) = (Owned::str(text)?, Owned::str(identifier)?);
        let error = Owned::new(PyObject_CallOneArg(class.as_ptr(), text.as_ptr()))?;
        for (name, value) in [(c"identifier", &identifier), (c"report", &text)] {
            if PyObject_SetAttrString(error.as_ptr(), name.as_ptr(), value.as_ptr()) < 0 {
                return Err(hpy_cpython::raised::PythonError);
            }
        }
        Ok(error)
    }
}

/// The pending exception: `ValueError: wrong`.
unsafe fn pending() -> Option<String> {
    // SAFETY: debug mode holds the interpreter here. The exception is put back as it was found.
    unsafe {
        let pending = Pending::put_aside();
        let (class, value) = pending.parts()?;
        let class = type_name(class.cast());
        let _more = Pending::put_aside();
        let text = Owned::from_borrowed(value).and_then(|value| Owned::new(PyObject_Str(value.as_ptr())));
        let text = text.ok().and_then(|text| text.to_text()).unwrap_or_default();
        Some(cut(in_one_line(if text.is_empty() { class } else { format!("{class}: {text}") }.as_str())))
    }
}

/// Prints to `sys.stderr`, or to the C stderr if that can't be.
unsafe fn warn(text: &str) {
    let text = text.strip_suffix('\n').unwrap_or(text);
    // Python code that prints may come here again, with what may never end.
    let busy = Busy::enter(&WARNING);
    // SAFETY: for what is said to Python, the interpreter is held. The function keeps the pending exception, and itself turns to
    // the C stderr if sys.stderr fails.
    unsafe {
        if busy.is_some() && holds_interpreter() {
            let _pending = Pending::put_aside();
            if let Ok(shown) = Owned::str(text) {
                PySys_FormatStderr(c"%U\n".as_ptr(), shown.as_ptr());
                return;
            }
        }
    }
    // There is nobody left to tell if this fails.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// On CPython a handle of the inner context is the object's address.
unsafe fn identity(object: InnerHandle) -> usize {
    to_object(object.handle()).addr()
}

/// The collector knows what refers to an object: for a buffer, that is the object that has got it, unless C code has.
unsafe fn holds_buffers(objects: &[usize]) -> Vec<bool> {
    // SAFETY: debug mode holds the interpreter here; the objects are alive.
    unsafe {
        let _pending = Pending::put_aside();
        holders_of(objects).unwrap_or_else(|_| {
            PyErr_Clear();
            vec![false; objects.len()]
        })
    }
}

unsafe fn holders_of(objects: &[usize]) -> Result<Vec<bool>> {
    // SAFETY: debug mode holds the interpreter here; the references are counted by `Owned`, items of lists are alive as long as these.
    unsafe {
        let exporters = Owned::new(PyTuple_New(objects.len().cast_signed()))?;
        for (index, address) in objects.iter().enumerate() {
            let object = to_object(HPy { _i: address.cast_signed() });
            PyTuple_SetItem(exporters.as_ptr(), index.cast_signed(), new_ref(object));
        }
        let gc = Owned::new(PyImport_ImportModule(c"gc".as_ptr()))?;
        let function = |name: &CStr| Owned::new(PyObject_GetAttrString(gc.as_ptr(), name.as_ptr()));
        let referrers = function(c"get_referrers")?;
        let referrers = Owned::new(PyObject_CallObject(referrers.as_ptr(), exporters.as_ptr()))?;
        let referents = function(c"get_referents")?;
        let mut held = vec![false; objects.len()];
        for index in 0..PyList_Size(referrers.as_ptr()) {
            let referrer = PyList_GetItem(referrers.as_ptr(), index);
            if !may_hold_buffers(referrer) {
                continue;
            }
            let all = Owned::new(PyObject_CallOneArg(referents.as_ptr(), referrer))?;
            for index in 0..PyList_Size(all.as_ptr()) {
                let address = PyList_GetItem(all.as_ptr(), index).addr();
                for (held, _) in held.iter_mut().zip(objects).filter(|(_, object)| **object == address) {
                    *held = true;
                }
            }
        }
        Ok(held)
    }
}

/// Whether an object that refers to another one may do so for its buffer: it is neither of a type that has just references, nor of a
/// class.
unsafe fn may_hold_buffers(object: *mut PyObject) -> bool {
    // SAFETY: the object is alive.
    unsafe {
        let class = Py_TYPE(object);
        let plain = [&raw mut PyDict_Type, &raw mut PyList_Type, &raw mut PyTuple_Type, &raw mut PySet_Type];
        let others =
            [&raw mut PyFrame_Type, &raw mut PyCell_Type, &raw mut PyCFunction_Type, &raw mut PyFrozenSet_Type];
        !plain.contains(&class) && !others.contains(&class) && (*class).tp_dictoffset == 0
    }
}

/// A type's address, and what tells it from another one that comes to lie there: where its name and its base are, and its size.
unsafe fn type_of(object: InnerHandle) -> (usize, usize) {
    // SAFETY: the handle is open, so the object and its type are alive.
    unsafe {
        let class = Py_TYPE(to_object(object.handle()));
        (class.addr(), mark_of(class))
    }
}

unsafe fn type_mark(tp: InnerHandle) -> usize {
    let object = to_object(tp.handle());
    // SAFETY: the handle is open; a type is looked at as one.
    unsafe { if PyType_Check(object) != 0 { mark_of(object.cast()) } else { 0 } }
}

/// # Safety
/// The type is alive.
unsafe fn mark_of(class: *mut PyTypeObject) -> usize {
    // SAFETY: as this function's.
    unsafe {
        let (name, base) = ((*class).tp_name.addr(), (*class).tp_base.addr());
        name ^ base.rotate_left(20) ^ (*class).tp_basicsize.cast_unsigned().rotate_left(50)
    }
}

unsafe fn name_of_type(object: InnerHandle) -> (String, bool) {
    let object = to_object(object.handle());
    // SAFETY: the caller's object is alive; these look at its type alone.
    unsafe {
        // As it stands there: the thread may have left Python without coming back.
        let name = CStr::from_ptr((*Py_TYPE(object)).tp_name).to_string_lossy();
        let simple = PyLong_CheckExact(object) | PyUnicode_CheckExact(object) | PyBytes_CheckExact(object);
        let short = name.rsplit('.').next().unwrap_or_default().to_string();
        (short, (simple | PyFloat_CheckExact(object)) != 0)
    }
}

unsafe fn value_of(object: InnerHandle, value: &mut Value) {
    let object = to_object(object.handle());
    let mut room = [0; ROOM];
    // SAFETY: the handle keeps the object alive. These functions run no Python code, and raise nothing for objects of exactly
    // these types.
    unsafe {
        if PyLong_CheckExact(object) != 0 {
            let mut overflow = 0;
            let number = PyLong_AsLongLongAndOverflow(object, &mut overflow);
            if overflow == 0 {
                *value = Value::Integer(number);
            }
        } else if PyUnicode_CheckExact(object) != 0 {
            let length = usize::try_from(PyUnicode_GetLength(object)).unwrap_or_default();
            start_of_text(object, length, &mut room);
            *value = Value::Text(room, length);
        } else if PyFloat_CheckExact(object) != 0 {
            *value = Value::Float(PyFloat_AsDouble(object));
        } else if PyBytes_CheckExact(object) != 0 {
            let length = PyBytes_Size(object).cast_unsigned();
            fill(&mut room, core::slice::from_raw_parts(PyBytes_AsString(object).cast(), length));
            *value = Value::Bytes(room, length);
        }
    }
}

/// As much as there is room for; NUL behind what is shorter.
fn fill(room: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(room.len());
    room[..length].copy_from_slice(&bytes[..length]);
    room[length..].fill(0);
}

/// The first characters of a str in UTF-8, as many as there is room for.
unsafe fn start_of_text(object: *mut PyObject, length: usize, room: &mut [u8]) {
    fn copy<Character: Copy + Into<u32>>(room: &mut [u8], characters: &[Character]) {
        let mut used = 0;
        for character in characters {
            let character = char::from_u32((*character).into()).unwrap_or(char::REPLACEMENT_CHARACTER);
            match room.get_mut(used..used + character.len_utf8()) {
                Some(place) => character.encode_utf8(place),
                None => break,
            };
            used += character.len_utf8();
        }
        room[used..].fill(0);
    }
    let shown = length.min(room.len());
    // SAFETY: the data of a str are as many characters as it is long; its kind is the size of each.
    unsafe {
        let data = PyUnicode_DATA(object);
        match PyUnicode_KIND(object) {
            1 => copy(room, core::slice::from_raw_parts(data.cast::<u8>(), shown)),
            2 => copy(room, core::slice::from_raw_parts(data.cast::<u16>(), shown)),
            _ => copy(room, core::slice::from_raw_parts(data.cast::<u32>(), shown)),
        }
    }
}

/// Whether there is an object at an address: its type and that type's type can be read, and look like types.
unsafe fn is_object(address: isize) -> bool {
    let object = to_object(HPy { _i: address });
    // SAFETY: what is read can be.
    unsafe {
        if !object.is_aligned() || !can_be_read(object.cast(), size_of::<PyObject>()) {
            return false;
        }
        let class = Py_TYPE(object);
        if !class.is_aligned() || !can_be_read(class.cast(), size_of::<PyTypeObject>()) {
            return false;
        }
        let metaclass = Py_TYPE(class.cast());
        metaclass == &raw mut PyType_Type
            || metaclass.is_aligned()
                && can_be_read(metaclass.cast(), size_of::<PyTypeObject>())
                && Py_TYPE(metaclass.cast()) == &raw mut PyType_Type
    }
}

/// Whether all of a block of memory is mapped.
#[cfg(target_os = "linux")]
fn can_be_read(start: *const u8, size: usize) -> bool {
    let end = start.addr().saturating_add(size);
    // Names of files need not be UTF-8.
    let Ok(maps) = std::fs::read("/proc/self/maps") else { return false };
    let maps = String::from_utf8_lossy(&maps);
    let readable = |line: &str| {
        let (range, rights) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let from = usize::from_str_radix(from, 16).ok()?;
        let to = usize::from_str_radix(to, 16).ok()?;
        Some(rights.starts_with('r') && from <= start.addr() && end <= to)
    };
    maps.lines().any(|line| readable(line) == Some(true))
}

/// Nobody to ask: then it is not known to be one.
#[cfg(not(target_os = "linux"))]
fn can_be_read(_start: *const u8, _size: usize) -> bool {
    false
}
