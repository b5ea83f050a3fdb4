//! `hpy.universal._trace`: trace mode, as Python code sees it. It is a module on the API, as extensions are, so it knows no interpreter.
//!
//! `hpy.trace` is what people use; this is what it is made of.

use std::path::PathBuf;
use std::sync::OnceLock;

use hpy_abi::*;
use hpy_layer::inner::InnerHandle;
use hpy_layer::module::{self, Call, Definition};
use hpy_layer::object::{Object, Python, Result};
use hpy_layer::{MEMBERS, definitions, function};

use crate::hooks::{self, Which};
use crate::selection::{self, Selection};
use crate::{Host, clock, flame, recording, timeline};

static HOST: OnceLock<&'static Host> = OnceLock::new();

/// The module, for the runtime to make with the context below layers.
pub fn module(host: &'static Host) -> *mut HPyModuleDef {
    static MODULE: Definition<HPyModuleDef> = Definition(module::module(
        c"The inside of trace mode: what it has counted.\n\nhpy.trace is made of this.",
        DEFINES.get().cast(),
        core::ptr::null_mut(),
    ));
    HOST.get_or_init(|| host);
    MODULE.get()
}

definitions! {
    static DEFINES: 11 = [
        function!(NOARGS c"get_call_counts" => get_call_counts,
            c"get_call_counts()\n--\n\n\
              Return a dict: how often each function of the API was called, by the name of its member of the context ('ctx_Add')."),
        function!(NOARGS c"get_durations" => get_durations,
            c"get_durations()\n--\n\n\
              Return a dict: how many nanoseconds were spent in each function of the API, with what it called."),
        function!(KEYWORDS c"set_trace_functions" => set_trace_functions,
            c"set_trace_functions(on_enter=..., on_exit=...)\n--\n\n\
              Have on_enter(name) called before each call of the API, and on_exit(name) after it. None ends that; an argument that is\n\
              left out changes nothing.\n\n\
              They are not told of calls that they cause themselves, nor while a thread is outside of Python execution. One that raises\n\
              an exception is reported through sys.unraisablehook and not called again."),
        function!(NOARGS c"get_frequency" => get_frequency,
            c"get_frequency()\n--\n\nReturn how finely the clock tells times apart, in Hertz."),
        function!(O c"begin" => begin,
            c"begin(modules, /)\n--\n\n\
              Have modules traced that are imported from now on: those with these names, a list of str, or all (None)."),
        function!(NOARGS c"end" => end,
            c"end()\n--\n\nEnd what begin() began, for modules that are imported from now on."),
        function!(NOARGS c"calls" => calls,
            c"calls()\n--\n\nReturn the tree of all calls as JSON, a str. docs/trace-mode.md describes it."),
        function!(NOARGS c"count" => count,
            c"count()\n--\n\nReturn how many calls of the API there have been. Quicker than get_call_counts()."),
        function!(O c"start_timeline" => start_timeline,
            c"start_timeline(limit, /)\n--\n\nKeep the next calls one by one, so many of them, for write_timeline()."),
        function!(O c"write_timeline" => write_timeline,
            c"write_timeline(path, /)\n--\n\n\
              Write the calls that were kept to a file that Perfetto and speedscope open, and keep no more. Return how many there are\n\
              in it, and how many were beyond the limit."),
        function!(VARARGS c"flame_graph" => flame_graph,
            c"flame_graph(folded, title, subtitle, /)\n--\n\n\
              Return a flame graph of folded stacks ('outer;inner 17', a line each, in nanoseconds) as SVG, a str."),
    ];
}

/// A dict with a number for each function of the API.
fn by_function(python: Python, numbers: impl Iterator<Item = u64>) -> Result<Object> {
    let dict = python.dict()?;
    for (member, number) in MEMBERS.iter().zip(numbers).filter(|(member, _)| member.is_function) {
        dict.set_item(&python.str(member.member)?, &python.unsigned(number)?)?;
    }
    Ok(dict)
}

fn get_call_counts(call: &Call) -> Result<Object> {
    by_function(call.python, recording::totals().into_iter().map(|(calls, _)| calls))
}

fn get_durations(call: &Call) -> Result<Object> {
    by_function(call.python, recording::totals().into_iter().map(|(_, nanoseconds)| nanoseconds))
}

fn count(call: &Call) -> Result<Object> {
    call.python.unsigned(recording::totals().into_iter().map(|(calls, _)| calls).sum())
}

fn get_frequency(call: &Call) -> Result<Object> {
    call.python.unsigned(clock::frequency())
}

fn set_trace_functions(call: &Call) -> Result<Object> {
    let python = call.python;
    let [on_enter, on_exit] = call.named(["on_enter", "on_exit"])?;
    let given = [(Which::Enter, "on_enter", on_enter), (Which::Exit, "on_exit", on_exit)];
    let given = given.into_iter().filter_map(|(which, name, function)| Some((which, name, function?)));
    for (_, name, function) in given.clone() {
        if !python.is_none(function) && !python.is_callable(function) {
            let text = format!("{name} has to be a callable object or None, not {}", python.type_name(function)?);
            return Err(python.type_error(&text));
        }
    }
    for (which, _, function) in given {
        // SAFETY: an argument is open; the handle is of the context below layers, and is given away. Python calls this, so the interpreter
        // is held.
        unsafe {
            let function =
                if python.is_none(function) { InnerHandle::NULL } else { python.dup(function)?.into_handle() };
            let interpreter = HOST.get().map_or(0, |host| (host.threads.interpreter)());
            hooks::set(python.context(), which, function, interpreter);
        }
    }
    python.none()
}

fn begin(call: &Call) -> Result<Object> {
    let python = call.python;
    if python.is_none(call.argument()) {
        selection::set(Some(Selection::All));
        return python.none();
    }
    let names = python.import(c"builtins")?.get(c"list")?.call(call.argument())?;
    let names = python.items_of(names.handle())?;
    let names = names.iter().map(|name| python.text_of(name.handle(), "a module's name"));
    selection::set(Some(Selection::Named(names.collect::<Result<_>>()?)));
    python.none()
}

fn end(call: &Call) -> Result<Object> {
    selection::set(None);
    call.python.none()
}

fn calls(call: &Call) -> Result<Object> {
    call.python.str(&recording::json())
}

fn start_timeline(call: &Call) -> Result<Object> {
    timeline::start(call.python.unsigned_of(call.argument())?);
    call.python.none()
}

fn write_timeline(call: &Call) -> Result<Object> {
    let python = call.python;
    let path = file_path(python, call.argument())?;
    let (kept, dropped) = timeline::stop();
    if let Err(problem) = timeline::write(&path) {
        let number = python.signed(problem.raw_os_error().unwrap_or(0).into())?;
        // SAFETY: an argument is open.
        let path = unsafe { python.dup(call.argument()) }?;
        let arguments = python.tuple([&number, &python.str(&problem.to_string())?, &path])?;
        return Err(python.raise_with(|ctx| ctx.h_OSError, &arguments));
    }
    python.tuple([&python.unsigned(kept)?, &python.unsigned(dropped)?])
}

/// The path as the system sees it. Accepts what `os.fspath` does.
fn file_path(python: Python, path: InnerHandle) -> Result<PathBuf> {
    let bytes = python.import(c"os")?.get(c"fsencode")?.call(path)?;
    let bytes = python.bytes_of(&bytes);
    if bytes.contains(&0) {
        return Err(python.value_error("embedded null byte"));
    }
    #[cfg(unix)]
    let path = PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes));
    // On Windows these bytes are UTF-8, with lone surrogates that no file name of ours has.
    #[cfg(not(unix))]
    let path = PathBuf::from(String::from_utf8_lossy(&bytes).into_owned());
    Ok(path)
}

fn flame_graph(call: &Call) -> Result<Object> {
    let python = call.python;
    let given = call.arguments::<3>(3)?.map(|text| text.unwrap_or(InnerHandle::NULL));
    let [folded, title, subtitle] = given.map(|text| move || python.text_of(text, "each argument"));
    match flame::graph(&folded()?, &title()?, &subtitle()?) {
        Ok(svg) => python.str(&svg),
        Err(message) => Err(python.value_error(&message)),
    }
}
