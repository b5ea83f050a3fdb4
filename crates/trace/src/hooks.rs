//! Python functions that are called before and after each call of the API.
//!
//! They are called with the name of the function, `ctx_Add`. They are not told of what they cause themselves, nor of anything while
//! the thread does not hold the interpreter. One that raises an exception is reported, and not called again.

use core::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hpy_layer::inner::{InnerContext, InnerHandle};
use hpy_layer::{MEMBERS, member};

use crate::layer::Layer;
use crate::thread::Thread;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    Enter,
    Exit,
}

/// A function of the Python kind, with the interpreter that it belongs to and the runtime's context that its handle is of.
struct Hook {
    which: Which,
    function: InnerHandle,
    interpreter: usize,
    runtime: InnerContext,
}

// SAFETY: the handle is not used without the interpreter.
unsafe impl Send for Hook {}

type Hooks = MutexGuard<'static, Vec<Hook>>;

static HOOKS: Mutex<Vec<Hook>> = Mutex::new(Vec::new());

/// Whether there are any.
pub static ARE_SET: AtomicBool = AtomicBool::new(false);

fn hooks() -> Hooks {
    HOOKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets a function of an interpreter, or none for null. The handle becomes ours.
///
/// # Safety
/// The context is the runtime's, and the handle is one of its; the caller holds the interpreter, which has this number.
pub unsafe fn set(runtime: InnerContext, which: Which, function: InnerHandle, interpreter: usize) {
    let new = (!function.is_null()).then_some(Hook { which, function, interpreter, runtime });
    // SAFETY: as this function's.
    unsafe { exchange(hooks(), which, new, interpreter) };
}

/// Puts a function in place of what the interpreter has that the caller holds. Gives up the lock.
unsafe fn exchange(mut hooks: Hooks, which: Which, new: Option<Hook>, here: usize) {
    let is_own = |hook: &Hook| hook.which == which && hook.interpreter == here;
    let old = hooks.iter().position(is_own).map(|index| hooks.swap_remove(index));
    hooks.extend(new);
    ARE_SET.store(!hooks.is_empty(), Release);
    // Closing it can run code.
    drop(hooks);
    if let Some(Hook { function, runtime, .. }) = old {
        // SAFETY: the handle was ours, and the caller holds its interpreter.
        unsafe { runtime.ctx_Close(function) };
    }
}

/// Tells the function of a call, if there is one.
#[cold]
pub(crate) fn call(layer: &'static Layer, thread: &'static Thread, which: Which, index: u16) {
    // Behind the one and in front of the other, the thread does not hold the interpreter, which not every CPython can tell.
    let is_outside = match which {
        Which::Enter => index == member::ctx_ReenterPythonExecution,
        Which::Exit => index == member::ctx_LeavePythonExecution,
    };
    // SAFETY: any thread may ask.
    if is_outside || thread.busy.get() || !unsafe { (layer.host.threads.holds_interpreter)() } {
        return;
    }
    // SAFETY: the thread holds the interpreter.
    let here = unsafe { (layer.host.threads.interpreter)() };
    let own = |hook: &&Hook| hook.which == which && hook.interpreter == here;
    let dup = |hook: &Hook| {
        // SAFETY: the handle is ours while the lock is held, and this runs no code.
        (unsafe { hook.runtime.ctx_Dup(hook.function) }, hook.runtime)
    };
    let found = hooks().iter().find(own).map(dup);
    let Some((function, runtime)) = found else { return };
    thread.busy.set(true);
    // What the function takes is not the extension's time, and what it calls is not below it.
    let current = thread.current();
    let start = thread.go_to(thread.aside);
    let name = MEMBERS.get(usize::from(index)).map_or("", |member| member.member);
    // SAFETY: the thread holds the interpreter; the handle is ours.
    unsafe {
        if !(layer.host.call)(function, name) {
            let all = hooks();
            let is_still_it = |hook: &Hook| runtime.ctx_Is(hook.function, function) != 0;
            if all.iter().find(own).is_some_and(is_still_it) {
                exchange(all, which, None, here);
            }
        }
        runtime.ctx_Close(function);
    }
    thread.busy.set(false);
    thread.come_back(current, start);
}
