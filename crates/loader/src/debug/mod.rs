//! `hpy.universal._debug`: debug mode, as Python code sees it.
//!
//! `hpy.debug` is what people use; this is what it is made of. Handles are shown as instances of `DebugHandle` ([`handle`]), which hold the
//! number of a slot: several may stand for the same handle, and one that is kept longer stands for what is in the slot then.
//!
//! [`host`] is the other direction: what debug mode asks of CPython.

mod dealloc;
mod handle;
pub mod host;
pub mod start;

use core::ffi::{CStr, c_int, c_void};
use core::ptr::null_mut;

use hpy_cpython::handle::{new_ref, to_handle};
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
        let handle_type = Owned::new(PyType_FromSpec(handle::SPEC.get()))?;
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
            leaks.into_iter().map(|leak| (leak.identifier, leak.text, handle::owned(leak.object))).collect();
        let list = Owned::new(PyList_New(0))?;
        for (identifier, text, object) in with_objects {
            let (identifier, text, object) = (Owned::str(identifier)?, Owned::str(&text)?, object?);
            append(&list, Owned::new(PyTuple_Pack(3, identifier.as_ptr(), text.as_ptr(), object.as_ptr()))?)?;
        }
        Ok(list)
    }
}

unsafe fn list_of_handles(module: *mut PyObject, indices: Vec<u32>) -> Result<Owned> {
    // SAFETY: the module's state is complete.
    unsafe {
        let list = Owned::new(PyList_New(0))?;
        for index in indices {
            append(&list, handle::new((*state(module)).handle_type.cast(), index)?)?;
        }
        Ok(list)
    }
}
