//! What there is to do once, before debug mode begins in an interpreter and when that ends.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hpy_layer::module::Call;
use hpy_layer::object::{Object, Python, Result};

use crate::{inspect, interpreter, leak};

/// The settings of debug mode.
const SETTINGS: &str = "HPY_DEBUG";

/// The interpreters in which debug mode has begun. Each tells at its end what was found in it.
static BEGUN: Mutex<Vec<u16>> = Mutex::new(Vec::new());

fn begun() -> MutexGuard<'static, Vec<u16>> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the settings, and sees to it that what is found is told at the end. Raises ValueError for settings that make no sense.
pub fn begin(python: Python) -> Result<()> {
    static CONFIGURED: AtomicBool = AtomicBool::new(false);
    // The environment is the process's.
    if !CONFIGURED.load(Ordering::Acquire) {
        let settings = std::env::var_os(SETTINGS).unwrap_or_default();
        inspect::configure(&settings.to_string_lossy()).map_err(|message| python.value_error(&message))?;
        CONFIGURED.store(true, Ordering::Release);
    }
    let here = interpreter::here();
    let mut interpreters = begun();
    if interpreters.contains(&here) {
        return Ok(());
    }
    interpreters.push(here);
    drop(interpreters);
    tell_at_exit(python).inspect_err(|_| begun().retain(|known| *known != here))
}

fn tell_at_exit(python: Python) -> Result<()> {
    // Imported, as a binary may have come by its own PyInit, which another interpreter has run: then this one does not have the module yet.
    let finish = python.import(c"hpy.universal")?.get(c"_debug")?.get(c"_finish")?;
    python.import(c"atexit")?.get(c"register")?.call(finish.handle())?;
    Ok(())
}

/// What Python calls at the end of an interpreter.
pub fn finish(call: &Call) -> Result<Object> {
    let here = interpreter::here();
    begun().retain(|known| *known != here);
    // SAFETY: Python calls this, so the interpreter is held.
    if let Some(text) = unsafe { leak::finish() } {
        // A closed stderr is nobody's fault.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    call.python.none()
}
