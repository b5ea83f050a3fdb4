//! `hpy.universal._debug`: debug mode, as Python code sees it. It is a module on the API, as extensions are, so it knows no interpreter.
//!
//! `hpy.debug` is what people use; this is what it is made of. Handles are shown as instances of `DebugHandle` ([`handle`]), which hold the
//! number of a slot: several may stand for the same handle, and one that is kept longer stands for what is in the slot then.

mod handle;

use core::ffi::c_int;

use hpy_abi::*;
use hpy_layer::inner::InnerHandle;
use hpy_layer::module::{self, Call, Definition, enter};
use hpy_layer::object::{Object, Python, Raised, Result};
use hpy_layer::{definitions, function};

use crate::{Action, Callback, callback, inspect, leak, loaded, policy, report, start};

/// The module, for the runtime to make with the context below layers.
pub fn module() -> *mut HPyModuleDef {
    static MODULE: Definition<HPyModuleDef> = Definition(module::module(
        c"The inside of debug mode: what it knows of handles, and how it goes about what it finds.\n\n\
          hpy.debug is made of this.",
        DEFINES.get().cast(),
        GLOBALS.get().cast(),
    ));
    MODULE.get()
}

static GLOBALS: Definition<[*mut HPyGlobal; 2]> = Definition([handle::TYPE.as_ptr(), core::ptr::null_mut()]);

unsafe extern "C" fn exec(ctx: *mut HPyContext, module: HPy) -> c_int {
    // SAFETY: the runtime calls this with the new module.
    unsafe {
        let python = Python::new(ctx);
        let module = python.dup(InnerHandle::of(module));
        module::status(module.and_then(|module| handle::add_to(python, &module)))
    }
}

definitions! {
    static DEFINES: 19 = [
        module::slot(HPy_mod_exec, with_trampoline!(HPyFunc_INQUIRY, exec, enter)),
        function!(NOARGS c"new_generation" => new_generation,
            c"new_generation()\n--\n\nBegin a new generation of handles and return its number."),
        function!(O c"get_open_handles" => get_open_handles,
            c"get_open_handles(generation, /)\n--\n\n\
              Return a list of the open handles of this generation and later ones, in the order in which they were opened,\n\
              without what other threads have open in calls under way."),
        function!(VARARGS c"get_closed_handles" => get_closed_handles,
            c"get_closed_handles(generation=0, /)\n--\n\n\
              Return a list of the closed handles that are remembered, of this generation and later ones, in the order in\n\
              which they were closed."),
        function!(NOARGS c"get_closed_handles_queue_max_size" => get_closed_limit,
            c"get_closed_handles_queue_max_size()\n--\n\nReturn how many closed handles are remembered."),
        function!(O c"set_closed_handles_queue_max_size" => set_closed_limit,
            c"set_closed_handles_queue_max_size(size, /)\n--\n\nSet how many closed handles are remembered."),
        function!(NOARGS c"get_protected_raw_data_max_size" => get_raw_data_limit,
            c"get_protected_raw_data_max_size()\n--\n\n\
              Return how many bytes are kept, out of reach, that belonged to handles that are closed."),
        function!(O c"set_protected_raw_data_max_size" => set_raw_data_limit,
            c"set_protected_raw_data_max_size(size, /)\n--\n\n\
              Set how many bytes are kept, out of reach, that belonged to handles that are closed."),
        function!(O c"set_on_invalid_handle" => set_on_invalid_handle,
            c"set_on_invalid_handle(function, /)\n--\n\n\
              Have function() called, or nothing (None), when a handle is used that must not be, instead of a report."),
        function!(O c"set_on_invalid_builder_handle" => set_on_invalid_builder,
            c"set_on_invalid_builder_handle(function, /)\n--\n\n\
              Have function() called, or nothing (None), when a builder is used that must not be, instead of a report."),
        function!(O c"set_handle_stack_trace_limit" => set_trace_limit,
            c"set_handle_stack_trace_limit(limit, /)\n--\n\n\
              Remember that many C frames of where each handle is opened and closed; None or 0: no frames."),
        function!(O c"configure" => configure,
            c"configure(text, /)\n--\n\nApply a text of the kind that the environment variable HPY_DEBUG has."),
        function!(O c"override_action" => override_action,
            c"override_action(action, /)\n--\n\n\
              Have misuses end in this action ('raise', 'abort', 'warn' or 'ignore') whatever HPY_DEBUG says of them, or as it\n\
              says (None). Return what this was before."),
        function!(NOARGS c"reports" => reports,
            c"reports()\n--\n\nReturn the reports that were kept, a list of str, and keep them no longer."),
        function!(NOARGS c"raised" => raised,
            c"raised()\n--\n\n\
              Return the reports that have been raised while override_action() was in force, a list of str, and keep them no longer."),
        function!(NOARGS c"loaded" => loaded_names,
            c"loaded()\n--\n\nReturn the names of the modules that have been loaded in debug mode, a list of str."),
        function!(O c"set_last_words" => set_last_words,
            c"set_last_words(descriptor, /)\n--\n\n\
              Have the report that the process ends with written to this file descriptor; to stderr if it is -1."),
        function!(NOARGS c"_finish" => start::finish,
            c"_finish()\n--\n\nTell what debug mode has found, at the end of an interpreter."),
        function!(O c"leaks" => leaks,
            c"leaks(generation, /)\n--\n\n\
              Return what this generation and later ones left open, handles, builders and trackers: a list of tuples of an\n\
              identifier, a text, and an object or None."),
    ];
}

fn new_generation(call: &Call) -> Result<Object> {
    call.python.signed(inspect::new_generation())
}

fn get_open_handles(call: &Call) -> Result<Object> {
    handle::list(call.python, inspect::open_handles(call.python.signed_of(call.argument())?))
}

fn get_closed_handles(call: &Call) -> Result<Object> {
    let [generation] = call.arguments(0)?;
    let generation = generation.map_or(Ok(0), |generation| call.python.signed_of(generation))?;
    handle::list(call.python, inspect::closed_handles(generation))
}

fn get_closed_limit(call: &Call) -> Result<Object> {
    call.python.unsigned(inspect::closed_limit() as u64)
}

fn set_closed_limit(call: &Call) -> Result<Object> {
    inspect::set_closed_limit(call.python.size_of(call.argument())?);
    call.python.none()
}

fn get_raw_data_limit(call: &Call) -> Result<Object> {
    call.python.unsigned(inspect::raw_data_limit() as u64)
}

fn set_raw_data_limit(call: &Call) -> Result<Object> {
    inspect::set_raw_data_limit(call.python.size_of(call.argument())?);
    call.python.none()
}

fn set_trace_limit(call: &Call) -> Result<Object> {
    let limit = call.argument();
    inspect::set_trace_limit(if call.python.is_none(limit) { 0 } else { call.python.size_of(limit)? });
    call.python.none()
}

fn set_on_invalid_handle(call: &Call) -> Result<Object> {
    set_callback(call, Callback::InvalidHandle)
}

fn set_on_invalid_builder(call: &Call) -> Result<Object> {
    set_callback(call, Callback::InvalidBuilder)
}

fn set_callback(call: &Call, which: Callback) -> Result<Object> {
    let (python, function) = (call.python, call.argument());
    let callable = if python.is_none(function) {
        InnerHandle::NULL
    } else if python.is_callable(function) {
        // SAFETY: an argument is open.
        unsafe { python.dup(function) }?.into_handle()
    } else {
        let given = python.type_name(function)?;
        return Err(python.type_error(&format!("a callable or None is wanted here, not {given}")));
    };
    // SAFETY: the handle is of the context below layers, and is given away.
    unsafe { callback::set(python.context(), which, callable) };
    python.none()
}

fn configure(call: &Call) -> Result<Object> {
    let text = call.python.text_of(call.argument(), "the text")?;
    match inspect::configure(&text) {
        Ok(()) => call.python.none(),
        Err(message) => Err(call.python.value_error(&message)),
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

fn override_action(call: &Call) -> Result<Object> {
    let python = call.python;
    let wanted = if python.is_none(call.argument()) {
        None
    } else {
        let name = python.text_of(call.argument(), "an action")?;
        let actions = [Action::Raise, Action::Abort, Action::Warn, Action::Ignore];
        let Some(action) = actions.into_iter().find(|action| name_of(*action) == name) else {
            let message =
                format!("unknown action {name:?}: it is one of 'raise', 'abort', 'warn' and 'ignore', or None");
            return Err(python.value_error(&message));
        };
        Some(action)
    };
    match policy::override_action(wanted) {
        Some(before) => python.str(name_of(before)),
        None => python.none(),
    }
}

fn reports(call: &Call) -> Result<Object> {
    call.python.list_of_strs(inspect::take_reports())
}

fn raised(call: &Call) -> Result<Object> {
    call.python.list_of_strs(inspect::take_raised())
}

fn loaded_names(call: &Call) -> Result<Object> {
    call.python.list_of_strs(loaded::names())
}

fn set_last_words(call: &Call) -> Result<Object> {
    let descriptor = call.python.signed_of(call.argument())?;
    report::set_last_words(descriptor.try_into().unwrap_or(-1));
    call.python.none()
}

fn leaks(call: &Call) -> Result<Object> {
    let python = call.python;
    let generation = python.signed_of(call.argument())?;
    // SAFETY: Python calls this, so the interpreter is held. Making Python objects can run a collection that closes handles, so there
    // are handles of our own to the objects first.
    let leaks: Vec<_> = unsafe {
        let leaks = leak::leaks(generation).into_iter();
        leaks.map(|leak| (leak.identifier, leak.text, handle::object_or_none(python, leak.object))).collect()
    };
    python.list(leaks.into_iter().map(|(identifier, text, object)| -> core::result::Result<Object, Raised> {
        python.tuple([&python.str(identifier)?, &python.str(&text)?, &object?])
    }))
}
