//! Whether a call of the API may be made.

use core::sync::atomic::Ordering::*;

use hpy_abi::*;
use hpy_layer::{MEMBERS, names};

use crate::autogen_misuses::Misuse;
use crate::call::{Call, Entered, name_of};
use crate::incident::Incident;
use crate::slot;
use crate::thread::{FORBIDDEN, Frame, HYBRID, LEFT, PENDING, TRAVERSING, Thread, UNKNOWN};

impl Call {
    /// None if the call may not be made, which has been reported.
    ///
    /// # Safety
    /// The context has to be one of ours.
    #[inline(always)]
    pub unsafe fn enter(ctx: *mut HPyContext, function: u16) -> Option<Entered> {
        // SAFETY: a context of ours has its frame there; blocks are never freed, and threads aren't either.
        let (frame, thread) = unsafe {
            let frame = &*(*ctx)._private.cast::<Frame>();
            match frame.thread_if_current() {
                Some(thread) => (frame, thread),
                None => return wrong_context(frame, function),
            }
        };
        let layer = frame.layer()?;
        let call = Call { inner: layer.inner, thread, frame, function };
        if thread.flags.load(Relaxed) == 0 { Some(call.begin()) } else { call.begin_if_allowed() }
    }

    /// There are flags that say that something is unusual.
    #[cold]
    fn begin_if_allowed(self) -> Option<Entered> {
        let flags = self.thread.flags.load(Relaxed);
        if flags & FORBIDDEN != 0 {
            let incident = self.incident(Misuse::CallNotAllowedHere, not_allowed_here(self.thread, self.name()));
            let goes_on = incident.by(self.thread.forbidding.get()).tell().goes_on();
            return (goes_on && flags & LEFT == 0 && !stands_still(flags)).then(|| self.begin());
        }
        if flags & LEFT != 0 {
            if is(self.function, "HPy_ReenterPythonExecution") {
                return Some(self.begin());
            }
            if is(self.function, "HPy_LeavePythonExecution") {
                let detail = "HPy_LeavePythonExecution was called a second time".to_string();
                self.incident(Misuse::LeaveUnbalanced, detail).tell();
                return None;
            }
            let detail = format!("{} was called after HPy_LeavePythonExecution", self.name());
            let goes_on = self.incident(Misuse::InterpreterNotHeld, detail).tell().goes_on();
            return goes_on.then(|| self.begin_outside());
        }
        let pending_is_fine = MEMBERS.get(usize::from(self.function)).is_none_or(|function| function.pending);
        if flags & (PENDING | HYBRID) == 0 || pending_is_fine || self.frame.raised.get() {
            return Some(self.begin());
        }
        // SAFETY: the thread holds the interpreter.
        if unsafe { self.inner.ctx_Err_Occurred() } == 0 {
            self.thread.flags.fetch_and(!PENDING, Relaxed);
            self.frame.failed.set(UNKNOWN);
            return Some(self.begin());
        }
        let failed = self.frame.failed.get();
        let incident = match failed.by {
            slot::NOBODY => self.pending_incident(),
            _ if self.frame.has_set.get() => self.pending_incident(),
            by => self.incident(
                Misuse::ErrorNotChecked,
                format!("{} was called although {} had failed", self.name(), name_of(by)),
            ),
        };
        let incident = incident.pending(failed);
        let next = incident.tell();
        // Said once for a call, not for each function that follows.
        self.frame.raised.set(true);
        next.goes_on().then(|| self.begin())
    }

    fn pending_incident(self) -> Incident<'static> {
        self.incident(Misuse::ExceptionPending, format!("{} was called with an exception pending", self.name()))
    }
}

fn is(function: u16, name: &str) -> bool {
    name_of(function) == name
}

/// `HPy_Length was called in mod.Point: HPy_tp_destroy`
fn not_allowed_here(thread: &Thread, name: &str) -> String {
    let function = names::function(thread.forbidding.get());
    let place = if function.name.is_empty() { "a tp_traverse, tp_destroy or destructor" } else { &function.name };
    format!("{name} was called in {place}")
}

/// Whether threads stand still for a tp_traverse, where a function of the API would do harm.
fn stands_still(flags: u32) -> bool {
    flags & TRAVERSING != 0 && slot::PARALLEL.load(Relaxed)
}

/// The context is not that of the call that runs on this thread. The function may be called all the same, if the user wants that and the
/// thread holds the interpreter.
#[cold]
fn wrong_context(frame: &'static Frame, function: u16) -> Option<Entered> {
    let here = Thread::known();
    let layer = frame.layer()?;
    let flags = here.map_or(0, |thread| thread.flags.load(Relaxed));
    let name = name_of(function);
    let (misuse, detail) = if flags & FORBIDDEN != 0 {
        let detail = here.map_or_else(String::new, |thread| not_allowed_here(thread, name));
        (Misuse::CallNotAllowedHere, detail)
    } else if flags & LEFT != 0 {
        (Misuse::InterpreterNotHeld, format!("{name} was called after HPy_LeavePythonExecution"))
    } else if is(function, "HPy_ReenterPythonExecution") {
        (Misuse::LeaveUnbalanced, format!("{name} was called on another thread than HPy_LeavePythonExecution"))
    // SAFETY: asks about the thread, and needs nothing.
    } else if unsafe { !(layer.host.threads.holds_interpreter)() } {
        (Misuse::InterpreterNotHeld, format!("{name} was called on a thread that does not hold the interpreter"))
    } else {
        (Misuse::ContextKept, format!("Error: Wrong HPy Context! {name} got one that is not that of the running call"))
    };
    // What the record has is that of the last call through this context, which is this one.
    let current = here.and_then(Thread::current);
    if let Some(current) = current {
        current.ip.store(frame.ip.load(Relaxed), Relaxed);
    }
    let mut incident = Incident::of(layer, here, current.or(Some(frame)), misuse, detail);
    incident.report.function = name;
    if misuse == Misuse::CallNotAllowedHere {
        incident = incident.by(here.map_or(0, |thread| thread.forbidding.get()));
    }
    let can_go_on = match misuse {
        Misuse::ContextKept => true,
        Misuse::CallNotAllowedHere => flags & LEFT == 0 && !stands_still(flags),
        Misuse::InterpreterNotHeld => flags & LEFT != 0,
        _ => false,
    };
    if !incident.tell().goes_on() || !can_go_on {
        return None;
    }
    let thread = Thread::here();
    let stand_in = thread.stand_in(layer);
    stand_in.ip.store(frame.ip.load(Relaxed), Relaxed);
    let call = Call { inner: layer.inner, thread, frame: stand_in, function };
    Some(if flags & LEFT != 0 { call.begin_outside() } else { call.begin() })
}
