//! `hpy.universal._debug`: debug mode, as Python code sees it.
//!
//! `hpy.debug` is what people use; this is what it is made of. Handles are shown as instances of `DebugHandle`, which hold the
//! number of a slot: several may stand for the same handle, and one that is kept longer stands for what is in the slot then.
//!
//! [`host`] is the other direction: what debug mode asks of CPython.

mod dealloc;
pub mod host;
pub mod start;

use core::ffi::{CStr, c_int, c_void};
use core::ptr::{null, null_mut};

use hpy_cpython::handle::{new_ref, to_handle, to_object};
use hpy_cpython::raised::{PythonError, Result};
use hpy_debug::{Action, Callback, inspect, policy, report};
use hpy_layer::inner::{InnerContext, InnerHandle};
use pyo3_ffi::*;

use crate::binding::{
    Static, append, entry, error, method, none, publish, set_attribute, size_of_argument, text_of, type_name_of,
};
use crate::owned::Owned;

const NAME: &CStr = c"hpy.universal._debug";

/// Makes the module, an attribute of `hpy.universal` that can be imported by its own name too.
///
/// # Safety
/// The caller holds the interpreter, and `universal` is the module that is being made.
pub unsafe fn add_to(universal: *mut PyObject) -> Result<()> {
    // SAFETY: the definition is static; what it needs of its module's state is written before anybody else has the module.
    unsafe {
        let module = Owned::new(PyModule_Create2(DEFINITION.get(), PYTHON_API_VERSION))?;
        let handle_type = Owned::new(PyType_FromSpec(HANDLE_SPEC.get()))?;
        set_attribute(module.as_ptr(), c"DebugHandle", &handle_type)?;
        (*state(module.as_ptr())).handle_type = handle_type.into_raw();
        publish(universal, c"_debug", NAME, &module)
    }
}

/// What each interpreter's module has of its own.
struct State {
    handle_type: *mut PyObject,
}

unsafe fn state(module: *mut PyObject) -> *mut State {
    // SAFETY: the object is our module.
    unsafe { PyModule_GetState(module) }.cast()
}

unsafe extern "C" fn traverse(module: *mut PyObject, visit: visitproc, argument: *mut c_void) -> c_int {
    // SAFETY: CPython's collector calls this with our module, whose state starts as null.
    unsafe {
        let state = state(module);
        if state.is_null() || (*state).handle_type.is_null() { 0 } else { visit((*state).handle_type, argument) }
    }
}

unsafe extern "C" fn clear(module: *mut PyObject) -> c_int {
    // SAFETY: the reference is the state's, which has none after this.
    unsafe {
        let state = state(module);
        if !state.is_null() {
            Py_XDECREF(core::mem::replace(&mut (*state).handle_type, null_mut()));
        }
    }
    0
}

unsafe extern "C" fn free(module: *mut c_void) {
    // SAFETY: CPython passes our module.
    unsafe { clear(module.cast()) };
}

static DEFINITION: Static<PyModuleDef> = Static::new(PyModuleDef {
    m_base: PyModuleDef_HEAD_INIT,
    m_name: NAME.as_ptr(),
    m_doc: c"The inside of debug mode: what it knows of handles, and how it goes about what it finds.\n\n\
             hpy.debug is made of this."
        .as_ptr(),
    m_size: size_of::<State>().cast_signed(),
    m_methods: METHODS.get().cast(),
    m_slots: null_mut(),
    m_traverse: Some(traverse),
    m_clear: Some(clear),
    m_free: Some(free),
});

static METHODS: Static<[PyMethodDef; 18]> = Static::new([
    entry!(
        c"new_generation",
        new_generation,
        METH_NOARGS,
        c"new_generation()\n--\n\nBegin a new generation of handles and return its number."
    ),
    entry!(
        c"get_open_handles",
        get_open_handles,
        METH_O,
        c"get_open_handles(generation, /)\n--\n\n\
          Return a list of the open handles of this generation and later ones, in the order in which they were opened,\n\
          without what other threads have open in calls under way."
    ),
    entry!(
        c"get_closed_handles",
        get_closed_handles,
        METH_VARARGS,
        c"get_closed_handles(generation=0, /)\n--\n\n\
          Return a list of the closed handles that are remembered, of this generation and later ones, in the order in\n\
          which they were closed."
    ),
    entry!(
        c"get_closed_handles_queue_max_size",
        get_closed_limit,
        METH_NOARGS,
        c"get_closed_handles_queue_max_size()\n--\n\nReturn how many closed handles are remembered."
    ),
    entry!(
        c"set_closed_handles_queue_max_size",
        set_closed_limit,
        METH_O,
        c"set_closed_handles_queue_max_size(size, /)\n--\n\nSet how many closed handles are remembered."
    ),
    entry!(
        c"get_protected_raw_data_max_size",
        get_raw_data_limit,
        METH_NOARGS,
        c"get_protected_raw_data_max_size()\n--\n\n\
          Return how many bytes are kept, out of reach, that belonged to handles that are closed."
    ),
    entry!(
        c"set_protected_raw_data_max_size",
        set_raw_data_limit,
        METH_O,
        c"set_protected_raw_data_max_size(size, /)\n--\n\n\
          Set how many bytes are kept, out of reach, that belonged to handles that are closed."
    ),
    entry!(
        c"set_on_invalid_handle",
        set_on_invalid_handle,
        METH_O,
        c"set_on_invalid_handle(function, /)\n--\n\n\
          Have function() called, or nothing (None), when a handle is used that must not be, instead of a report."
    ),
    entry!(
        c"set_on_invalid_builder_handle",
        set_on_invalid_builder,
        METH_O,
        c"set_on_invalid_builder_handle(function, /)\n--\n\n\
          Have function() called, or nothing (None), when a builder is used that must not be, instead of a report."
    ),
    entry!(
        c"set_handle_stack_trace_limit",
        set_trace_limit,
        METH_O,
        c"set_handle_stack_trace_limit(limit, /)\n--\n\n\
          Remember that many C frames of where each handle is opened and closed; None or 0: no frames."
    ),
    entry!(
        c"configure",
        configure,
        METH_O,
        c"configure(text, /)\n--\n\nApply a text of the kind that the environment variable HPY_DEBUG has."
    ),
    entry!(
        c"override_action",
        override_action,
        METH_O,
        c"override_action(action, /)\n--\n\n\
          Have misuses end in this action ('raise', 'abort', 'warn' or 'ignore') whatever HPY_DEBUG says of them, or as it\n\
          says (None). Return what this was before."
    ),
    entry!(
        c"reports",
        reports,
        METH_NOARGS,
        c"reports()\n--\n\nReturn the reports that were kept, a list of str, and keep them no longer."
    ),
    entry!(
        c"raised",
        raised,
        METH_NOARGS,
        c"raised()\n--\n\n\
          Return the reports that have been raised while override_action() was in force, a list of str, and keep them no longer."
    ),
    entry!(
        c"loaded",
        loaded,
        METH_NOARGS,
        c"loaded()\n--\n\nReturn the names of the modules that have been loaded in debug mode, a list of str."
    ),
    entry!(
        c"set_last_words",
        set_last_words,
        METH_O,
        c"set_last_words(descriptor, /)\n--\n\n\
          Have the report that the process ends with written to this file descriptor; to stderr if it is -1."
    ),
    entry!(
        c"leaks",
        leaks,
        METH_O,
        c"leaks(generation, /)\n--\n\n\
          Return what this generation and later ones left open, handles, builders and trackers: a list of tuples of an\n\
          identifier, a text, and an object or None."
    ),
    PyMethodDef::zeroed(),
]);

unsafe fn generation_of(argument: *mut PyObject) -> Result<i64> {
    // SAFETY: the argument is alive.
    unsafe {
        let generation = PyLong_AsLongLong(argument);
        if generation == -1 && !PyErr_Occurred().is_null() { Err(PythonError) } else { Ok(generation) }
    }
}

unsafe fn new_generation(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyLong_FromLongLong(inspect::new_generation())) }
}

unsafe fn get_open_handles(module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes the module and an object.
    unsafe { list_of_handles(module, inspect::open_handles(generation_of(argument)?)) }
}

unsafe fn get_closed_handles(module: *mut PyObject, arguments: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes the module and a tuple.
    unsafe {
        let mut generation: i64 = 0;
        if PyArg_ParseTuple(arguments, c"|L:get_closed_handles".as_ptr(), &raw mut generation) == 0 {
            return Err(PythonError);
        }
        list_of_handles(module, inspect::closed_handles(generation))
    }
}

unsafe fn get_closed_limit(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyLong_FromSize_t(inspect::closed_limit())) }
}

unsafe fn set_closed_limit(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe {
        inspect::set_closed_limit(size_of_argument(argument)?);
        none()
    }
}

unsafe fn get_raw_data_limit(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyLong_FromSize_t(inspect::raw_data_limit())) }
}

unsafe fn set_raw_data_limit(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe {
        inspect::set_raw_data_limit(size_of_argument(argument)?);
        none()
    }
}

unsafe fn set_trace_limit(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe {
        inspect::set_trace_limit(if argument == Py_None() { 0 } else { size_of_argument(argument)? });
        none()
    }
}

unsafe fn set_on_invalid_handle(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe { set_callback(Callback::InvalidHandle, argument) }
}

unsafe fn set_on_invalid_builder(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe { set_callback(Callback::InvalidBuilder, argument) }
}

unsafe fn set_callback(which: Callback, function: *mut PyObject) -> Result<Owned> {
    // SAFETY: the object is alive. The handle that is passed on is a reference of its own.
    unsafe {
        let inner = InnerContext(hpy_cpython::context::below_layers()?);
        if function == Py_None() {
            hpy_debug::set_callback(inner, which, InnerHandle::NULL);
        } else if PyCallable_Check(function) != 0 {
            hpy_debug::set_callback(inner, which, InnerHandle::of(to_handle(new_ref(function))));
        } else {
            let given = type_name_of(function);
            return Err(error(PyExc_TypeError, &format!("a callable or None is wanted here, not {given}")));
        }
        none()
    }
}

unsafe fn configure(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe {
        let text = text_of(argument, "the text")?;
        match inspect::configure(&text) {
            Ok(()) => none(),
            Err(message) => Err(error(PyExc_ValueError, &message)),
        }
    }
}

fn name_of(action: Action) -> &'static str {
    match action {
        Action::Raise => "raise",
        Action::Abort => "abort",
        Action::Warn => "warn",
        Action::Collect => "collect",
        Action::Ignore => "ignore",
    }
}

unsafe fn override_action(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe {
        let wanted = if argument == Py_None() {
            None
        } else {
            let name = text_of(argument, "an action")?;
            let actions = [Action::Raise, Action::Abort, Action::Warn, Action::Ignore];
            let Some(action) = actions.into_iter().find(|action| name_of(*action) == name) else {
                let message =
                    format!("unknown action {name:?}: it is one of 'raise', 'abort', 'warn' and 'ignore', or None");
                return Err(error(PyExc_ValueError, &message));
            };
            Some(action)
        };
        match policy::override_action(wanted) {
            Some(before) => Owned::str(name_of(before)),
            None => none(),
        }
    }
}

unsafe fn reports(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { list_of_texts(inspect::take_reports()) }
}

unsafe fn raised(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { list_of_texts(inspect::take_raised()) }
}

unsafe fn loaded(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { list_of_texts(hpy_debug::loaded_names()) }
}

unsafe fn list_of_texts(texts: Vec<String>) -> Result<Owned> {
    // SAFETY: the caller holds the interpreter.
    unsafe {
        let list = Owned::new(PyList_New(0))?;
        for text in texts {
            append(&list, Owned::str(&text)?)?;
        }
        Ok(list)
    }
}

unsafe fn set_last_words(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe {
        let descriptor = PyLong_AsLong(argument);
        if descriptor == -1 && !PyErr_Occurred().is_null() {
            return Err(PythonError);
        }
        report::set_last_words(descriptor.try_into().unwrap_or(-1));
        none()
    }
}

unsafe fn leaks(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object. Making Python objects can run a collection that closes handles, so there are
    // references to the objects first.
    unsafe {
        let leaks = hpy_debug::leaks(generation_of(argument)?);
        let with_objects: Vec<_> =
            leaks.into_iter().map(|leak| (leak.identifier, leak.text, owned(leak.object))).collect();
        let list = Owned::new(PyList_New(0))?;
        for (identifier, text, object) in with_objects {
            let (identifier, text, object) = (Owned::str(identifier)?, Owned::str(&text)?, object?);
            append(&list, Owned::new(PyTuple_Pack(3, identifier.as_ptr(), text.as_ptr(), object.as_ptr()))?)?;
        }
        Ok(list)
    }
}

/// The object of a handle that is ours; None if it is null.
unsafe fn owned(handle: InnerHandle) -> Result<Owned> {
    let object = to_object(handle.handle());
    // SAFETY: the object is null, or the reference ours.
    unsafe { if object.is_null() { none() } else { Owned::new(object) } }
}

/// An instance of `DebugHandle`.
#[repr(C)]
struct DebugHandle {
    head: PyObject,
    index: u32,
}

unsafe fn list_of_handles(module: *mut PyObject, indices: Vec<u32>) -> Result<Owned> {
    // SAFETY: the module's state is complete. An instance that was made is a `DebugHandle`.
    unsafe {
        let list = Owned::new(PyList_New(0))?;
        for index in indices {
            let handle = Owned::new(PyType_GenericAlloc((*state(module)).handle_type.cast(), 0))?;
            (*handle.as_ptr().cast::<DebugHandle>()).index = index;
            append(&list, handle)?;
        }
        Ok(list)
    }
}

unsafe fn index_of(this: *mut PyObject) -> u32 {
    // SAFETY: CPython only passes instances.
    unsafe { (*this.cast::<DebugHandle>()).index }
}

macro_rules! getter {
    ($name:literal, $function:path, $doc:literal) => {{
        unsafe extern "C" fn get(this: *mut PyObject, _closure: *mut c_void) -> *mut PyObject {
            // SAFETY: CPython passes an instance.
            unsafe { $function(index_of(this)) }.map_or(null_mut(), Owned::into_raw)
        }
        PyGetSetDef { name: $name.as_ptr(), get: Some(get), set: None, doc: $doc.as_ptr(), closure: null_mut() }
    }};
}

unsafe fn get_obj(index: u32) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter; the handle is ours.
    unsafe { owned(inspect::object(index)) }
}

unsafe fn get_id(index: u32) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyLong_FromSize_t(inspect::handle(index).id)) }
}

unsafe fn get_is_closed(index: u32) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyBool_FromLong(inspect::handle(index).is_closed.into())) }
}

unsafe fn get_raw_data_size(index: u32) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyLong_FromSsize_t(inspect::handle(index).raw_data_size)) }
}

unsafe fn force_close(this: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an instance.
    unsafe {
        let index = index_of(this);
        if !inspect::force_close(index) {
            return Err(error(PyExc_ValueError, "the handle is closed already"));
        }
        if PyErr_Occurred().is_null() { none() } else { Err(PythonError) }
    }
}

/// Never fails: a list of leaks shows all of them, also those of objects whose `repr()` raises.
unsafe fn text_of_handle(this: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an instance. The object may be closed while its repr() runs, so we take a reference.
    unsafe {
        let index = index_of(this);
        let what = match inspect::object(index) {
            InnerHandle::NULL => "CLOSED".into(),
            object => format!("for {}", host::repr_or_address(owned(object)?.as_ptr())),
        };
        let handle = inspect::handle(index);
        Owned::str(&format!("<DebugHandle {:#x} {what}>\n{}", handle.id, handle.story))
    }
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: CPython passes an instance.
    unsafe { text_of_handle(this) }.map_or(null_mut(), Owned::into_raw)
}

/// A slot has one id at a time, and an id one slot, so comparing slots compares ids.
unsafe extern "C" fn compare(this: *mut PyObject, other: *mut PyObject, operator: c_int) -> *mut PyObject {
    // SAFETY: CPython passes an instance and any object; two of the same type are both instances.
    unsafe {
        let is_question_of_equality = operator == Py_EQ || operator == Py_NE;
        if PyObject_TypeCheck(other, Py_TYPE(this)) == 0 || !is_question_of_equality {
            return new_ref(Py_NotImplemented());
        }
        let same = index_of(this) == index_of(other);
        PyBool_FromLong((same == (operator == Py_EQ)).into())
    }
}

unsafe extern "C" fn hash(this: *mut PyObject) -> Py_hash_t {
    // SAFETY: CPython passes an instance.
    Py_hash_t::try_from(unsafe { index_of(this) }).unwrap_or_default()
}

unsafe extern "C" fn refuse_new(
    _class: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { error(PyExc_TypeError, "the lists of open and closed handles have the only instances of DebugHandle") };
    null_mut()
}

static HANDLE_GETTERS: Static<[PyGetSetDef; 5]> = Static::new([
    getter!(c"obj", get_obj, c"The object that the handle stands for; None if the handle is closed."),
    getter!(c"id", get_id, c"A number that no other handle has: the handle as the extension sees it."),
    getter!(c"is_closed", get_is_closed, c"Whether the handle has been closed."),
    getter!(
        c"raw_data_size",
        get_raw_data_size,
        c"The size in bytes of the C string or buffer that belongs to the handle; -1 if there is none."
    ),
    PyGetSetDef { name: null(), get: None, set: None, doc: null(), closure: null_mut() },
]);

static HANDLE_METHODS: Static<[PyMethodDef; 2]> = Static::new([
    entry!(
        c"_force_close",
        force_close,
        METH_NOARGS,
        c"_force_close()\n--\n\nClose the handle, as the extension should have done. For tests that leak on purpose."
    ),
    PyMethodDef::zeroed(),
]);

const HANDLE_DOC: &CStr = c"A handle that an extension has opened in debug mode.\n\n\
Instances are equal if they stand for the same handle. The repr() tells where that was opened.";

static HANDLE_SLOTS: Static<[PyType_Slot; 8]> = Static::new([
    PyType_Slot { slot: Py_tp_doc, pfunc: HANDLE_DOC.as_ptr() as *mut c_void },
    PyType_Slot { slot: Py_tp_getset, pfunc: HANDLE_GETTERS.get().cast() },
    PyType_Slot { slot: Py_tp_methods, pfunc: HANDLE_METHODS.get().cast() },
    PyType_Slot { slot: Py_tp_repr, pfunc: repr as *mut c_void },
    PyType_Slot { slot: Py_tp_richcompare, pfunc: compare as *mut c_void },
    PyType_Slot { slot: Py_tp_hash, pfunc: hash as *mut c_void },
    PyType_Slot { slot: Py_tp_new, pfunc: refuse_new as *mut c_void },
    PyType_Slot { slot: 0, pfunc: null_mut() },
]);

static HANDLE_SPEC: Static<PyType_Spec> = Static::new(PyType_Spec {
    name: c"hpy.universal._debug.DebugHandle".as_ptr(),
    basicsize: size_of::<DebugHandle>() as c_int,
    itemsize: 0,
    flags: Py_TPFLAGS_DEFAULT as u32,
    slots: HANDLE_SLOTS.get().cast(),
});
