//! Python functions that are called before and after each call of the API.
//!
//! They are called with the name of the function, `ctx_Add`. They are not told of what they cause themselves, nor of anything while
//! the thread does not hold the interpreter. One that raises an exception is reported, and not called again.

use core::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hpy_abi::{HPy, HPyContext};
use hpy_layer::MEMBERS;

use crate::Layer;
use crate::thread::Thread;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    Enter,
    Exit,
}

/// A function of the Python kind, with the interpreter that it belongs to and the runtime's context that its handle is of.
struct Hook {
    function: HPy,
    interpreter: usize,
    runtime: *mut HPyContext,
}

// SAFETY: the handle is not used without the interpreter.
unsafe impl Send for Hook {}

type Hooks = MutexGuard<'static, [Option<Hook>; 2]>;

static HOOKS: Mutex<[Option<Hook>; 2]> = Mutex::new([None, None]);

/// Whether there are any.
pub static ARE_SET: AtomicBool = AtomicBool::new(false);

/// Sets a function, or none for null. The handle becomes ours.
///
/// # Safety
/// The context is the runtime's, and the handle is one of its; the caller holds the interpreter, which has this number.
pub unsafe fn set(runtime: *mut HPyContext, which: Which, function: HPy, interpreter: usize) {
    let new = (!function.is_null()).then_some(Hook { function, interpreter, runtime });
    // SAFETY: as this function's.
    unsafe { exchange(which, new, interpreter) };
}

/// `here` is the interpreter that the caller holds.
unsafe fn exchange(which: Which, new: Option<Hook>, here: usize) {
    let hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: as this function's.
    unsafe { exchange_in(hooks, which, new, here) };
}

/// As [`exchange`], with the lock, which it gives up.
unsafe fn exchange_in(mut hooks: Hooks, which: Which, new: Option<Hook>, here: usize) {
    let old = core::mem::replace(&mut hooks[which as usize], new);
    ARE_SET.store(hooks.iter().any(Option::is_some), Release);
    // Closing it can run code.
    drop(hooks);
    // Another interpreter's may be gone, or in use: that one is left to itself.
    if let Some(Hook { function, runtime, .. }) = old.filter(|old| old.interpreter == here) {
        // SAFETY: the handle was ours, and the caller holds its interpreter.
        unsafe { ((*runtime).ctx_Close)(runtime, function) };
    }
}

/// Tells the function of a call, if there is one.
#[cold]
pub(crate) fn call(layer: &'static Layer, thread: &'static Thread, which: Which, index: u16) {
    // SAFETY: any thread may ask.
    if thread.busy.get() || !unsafe { (layer.host.holds_interpreter)() } {
        return;
    }
    // SAFETY: the thread holds the interpreter.
    let here = unsafe { (layer.host.interpreter)() };
    let own = |hook: &Option<Hook>| {
        let hook = hook.as_ref().filter(|hook| hook.interpreter == here)?;
        // SAFETY: the handle is ours while the lock is held, and this runs no code.
        Some((unsafe { ((*hook.runtime).ctx_Dup)(hook.runtime, hook.function) }, hook.runtime))
    };
    let found = own(&HOOKS.lock().unwrap_or_else(PoisonError::into_inner)[which as usize]);
    let Some((function, runtime)) = found else { return };
    thread.busy.set(true);
    // What the function takes is not the extension's time, and what it calls is not below it.
    let current = thread.current();
    let start = thread.go_to(thread.aside);
    let name = MEMBERS.get(usize::from(index)).map_or("", |member| member.member);
    // SAFETY: the thread holds the interpreter; the handle is ours.
    unsafe {
        if !(layer.host.call)(function, name) {
            let still = |hook: &Option<Hook>| {
                hook.as_ref().is_some_and(|hook| ((*runtime).ctx_Is)(runtime, hook.function, function) != 0)
            };
            let hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
            if still(&hooks[which as usize]) {
                exchange_in(hooks, which, None, here);
            }
        }
        ((*runtime).ctx_Close)(runtime, function);
    }
    thread.busy.set(false);
    thread.come_back(current, start);
}
