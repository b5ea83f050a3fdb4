//! `hpy.universal._trace`: trace mode, as Python code sees it.
//!
//! `hpy.trace` is what people use; this is what it is made of.

pub mod host;

use core::ffi::{CStr, c_ulonglong};
use core::ptr::null_mut;
use std::path::PathBuf;

use hpy_abi::HPyContext;
use hpy_cpython::handle::{new_ref, to_handle};
use hpy_cpython::raised::{PythonError, Result};
use hpy_layer::MEMBERS;
use hpy_layer::inner::{InnerContext, InnerHandle};
use hpy_trace::hooks::{self, Which};
use hpy_trace::{flame, recording, timeline};
use pyo3_ffi::*;

use crate::binding::{
    Static, entry, error, file_path, keywords, method, none, publish, python_function, text_of, type_name_of,
};
use crate::interpreter;
use crate::mode::{self, Traced};
use crate::owned::Owned;

const NAME: &CStr = c"hpy.universal._trace";

/// The context that binaries in trace mode are initialised with, over that of the runtime or of debug mode.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn context(inner: *mut HPyContext, over_layer: bool) -> *mut HPyContext {
    // SAFETY: as this function's; contexts stay.
    unsafe { hpy_trace::context(inner, over_layer, &host::HOST) }
}

/// Makes the module, an attribute of `hpy.universal` that can be imported by its own name too.
///
/// # Safety
/// The caller holds the interpreter, and `universal` is the module that is being made.
pub unsafe fn add_to(universal: *mut PyObject) -> Result<()> {
    // SAFETY: the definition is static.
    unsafe {
        let module = Owned::new(PyModule_Create2(DEFINITION.get(), PYTHON_API_VERSION))?;
        publish(universal, c"_trace", NAME, &module)
    }
}

static DEFINITION: Static<PyModuleDef> = Static::new(PyModuleDef {
    m_base: PyModuleDef_HEAD_INIT,
    m_name: NAME.as_ptr(),
    m_doc: c"The inside of trace mode: what it has counted.\n\nhpy.trace is made of this.".as_ptr(),
    m_size: 0,
    m_methods: METHODS.get().cast(),
    m_slots: null_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
});

python_function!(py_set_trace_functions => set_trace_functions);

static METHODS: Static<[PyMethodDef; 12]> = Static::new([
    entry!(
        c"get_call_counts",
        get_call_counts,
        METH_NOARGS,
        c"get_call_counts()\n--\n\n\
          Return a dict: how often each function of the API was called, by the name of its member of the context ('ctx_Add')."
    ),
    entry!(
        c"get_durations",
        get_durations,
        METH_NOARGS,
        c"get_durations()\n--\n\n\
          Return a dict: how many nanoseconds were spent in each function of the API, with what it called."
    ),
    method(
        c"set_trace_functions",
        PyMethodDefPointer { PyCFunctionWithKeywords: py_set_trace_functions },
        METH_VARARGS | METH_KEYWORDS,
        c"set_trace_functions(on_enter=..., on_exit=...)\n--\n\n\
          Have on_enter(name) called before each call of the API, and on_exit(name) after it. None ends that; an argument that is\n\
          left out changes nothing.\n\n\
          They are not told of calls that they cause themselves, nor while a thread is outside of Python execution. One that raises\n\
          an exception is reported through sys.unraisablehook and not called again.",
    ),
    entry!(
        c"get_frequency",
        get_frequency,
        METH_NOARGS,
        c"get_frequency()\n--\n\nReturn how finely the clock tells times apart, in Hertz."
    ),
    entry!(
        c"begin",
        begin,
        METH_O,
        c"begin(modules, /)\n--\n\n\
          Have modules traced that are imported from now on: those with these names, a list of str, or all (None)."
    ),
    entry!(c"end", end, METH_NOARGS, c"end()\n--\n\nEnd what begin() began, for modules that are imported from now on."),
    entry!(
        c"calls",
        calls,
        METH_NOARGS,
        c"calls()\n--\n\nReturn the tree of all calls as JSON, a str. docs/trace-mode.md describes it."
    ),
    entry!(
        c"count",
        count,
        METH_NOARGS,
        c"count()\n--\n\nReturn how many calls of the API there have been. Quicker than get_call_counts()."
    ),
    entry!(
        c"start_timeline",
        start_timeline,
        METH_O,
        c"start_timeline(limit, /)\n--\n\nKeep the next calls one by one, so many of them, for write_timeline()."
    ),
    entry!(
        c"write_timeline",
        write_timeline,
        METH_O,
        c"write_timeline(path, /)\n--\n\n\
          Write the calls that were kept to a file that Perfetto and speedscope open, and keep no more. Return how many there are\n\
          in it, and how many were beyond the limit."
    ),
    entry!(
        c"flame_graph",
        flame_graph,
        METH_VARARGS,
        c"flame_graph(folded, title, subtitle, /)\n--\n\n\
          Return a flame graph of folded stacks ('outer;inner 17', a line each, in nanoseconds) as SVG, a str."
    ),
    PyMethodDef::zeroed(),
]);

/// A dict with a number for each function of the API.
unsafe fn by_function(numbers: impl Iterator<Item = u64>) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe {
        let dict = Owned::new(PyDict_New())?;
        for (member, number) in MEMBERS.iter().zip(numbers).filter(|(member, _)| member.is_function) {
            let (name, number) = (Owned::str(member.member)?, Owned::new(PyLong_FromUnsignedLongLong(number))?);
            if PyDict_SetItem(dict.as_ptr(), name.as_ptr(), number.as_ptr()) < 0 {
                return Err(PythonError);
            }
        }
        Ok(dict)
    }
}

unsafe fn get_call_counts(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { by_function(recording::totals().into_iter().map(|(calls, _)| calls)) }
}

unsafe fn get_durations(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { by_function(recording::totals().into_iter().map(|(_, nanoseconds)| nanoseconds)) }
}

unsafe fn count(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    let all = recording::totals().into_iter().map(|(calls, _)| calls).sum::<u64>();
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyLong_FromUnsignedLongLong(all)) }
}

unsafe fn get_frequency(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::new(PyLong_FromUnsignedLongLong(hpy_trace::frequency())) }
}

unsafe fn set_trace_functions(_module: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> Result<Owned> {
    let mut names = keywords!(c"on_enter", c"on_exit");
    let (mut on_enter, mut on_exit) = (null_mut::<PyObject>(), null_mut::<PyObject>());
    // SAFETY: the pointers are what the format says; the objects are borrowed from the arguments.
    unsafe {
        let parsed = PyArg_ParseTupleAndKeywords(
            args,
            kwargs,
            c"|OO:set_trace_functions".as_ptr(),
            names.as_mut_ptr().cast(),
            &raw mut on_enter,
            &raw mut on_exit,
        );
        if parsed == 0 {
            return Err(PythonError);
        }
        let given = [(Which::Enter, "on_enter", on_enter), (Which::Exit, "on_exit", on_exit)];
        let given = given.into_iter().filter(|(_, _, function)| !function.is_null());
        for (_, name, function) in given.clone() {
            if function != Py_None() && PyCallable_Check(function) == 0 {
                let text = format!("{name} has to be a callable object or None, not {}", type_name_of(function));
                return Err(error(PyExc_TypeError, &text));
            }
        }
        let runtime = InnerContext(hpy_cpython::context::below_layers()?);
        for (which, _, function) in given {
            let function = if function == Py_None() { null_mut() } else { new_ref(function) };
            hooks::set(runtime, which, InnerHandle::of(to_handle(function)), interpreter::interpreter());
        }
        none()
    }
}

unsafe fn begin(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe {
        if argument == Py_None() {
            mode::set_traced(Some(Traced::All));
            return none();
        }
        let names = Owned::new(PySequence_List(argument))?;
        let mut modules = Vec::new();
        for index in 0..PyList_Size(names.as_ptr()) {
            modules.push(text_of(PyList_GetItem(names.as_ptr(), index), "a module's name")?);
        }
        mode::set_traced(Some(Traced::Named(modules)));
        none()
    }
}

unsafe fn end(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    mode::set_traced(None);
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { none() }
}

unsafe fn calls(_module: *mut PyObject, _none: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython calls this and holds the interpreter.
    unsafe { Owned::str(&recording::json()) }
}

unsafe fn start_timeline(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe {
        let limit = PyLong_AsUnsignedLongLong(argument);
        if limit == c_ulonglong::MAX && !PyErr_Occurred().is_null() {
            return Err(PythonError);
        }
        timeline::start(limit);
        none()
    }
}

unsafe fn write_timeline(_module: *mut PyObject, argument: *mut PyObject) -> Result<Owned> {
    // SAFETY: CPython passes an object.
    unsafe {
        let path: PathBuf = file_path(argument)?;
        let (kept, dropped) = timeline::stop();
        if let Err(problem) = timeline::write(&path) {
            let number = Owned::new(PyLong_FromLong(problem.raw_os_error().unwrap_or(0).into()))?;
            let text = Owned::str(&problem.to_string())?;
            let args = Owned::new(PyTuple_Pack(3, number.as_ptr(), text.as_ptr(), argument))?;
            PyErr_SetObject(PyExc_OSError, args.as_ptr());
            return Err(PythonError);
        }
        let (kept, dropped) =
            (Owned::new(PyLong_FromUnsignedLongLong(kept))?, Owned::new(PyLong_FromUnsignedLongLong(dropped))?);
        Owned::new(PyTuple_Pack(2, kept.as_ptr(), dropped.as_ptr()))
    }
}

unsafe fn flame_graph(_module: *mut PyObject, arguments: *mut PyObject) -> Result<Owned> {
    let mut texts = [null_mut::<PyObject>(); 3];
    // SAFETY: the format takes three objects, which are borrowed from the arguments.
    unsafe {
        let [folded, title, subtitle] = &mut texts;
        let parsed = PyArg_ParseTuple(
            arguments,
            c"UUU:flame_graph".as_ptr(),
            &raw mut *folded,
            &raw mut *title,
            &raw mut *subtitle,
        );
        if parsed == 0 {
            return Err(PythonError);
        }
        let [folded, title, subtitle] = texts.map(|text| text_of(text, "each argument"));
        match flame::graph(&folded?, &title?, &subtitle?) {
            Ok(svg) => Owned::str(&svg),
            Err(message) => Err(error(PyExc_ValueError, &message)),
        }
    }
}
