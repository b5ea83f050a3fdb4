//! From a misuse to its consequence: the report is put together, and what the policy says is done.

use core::cell::Cell;
use core::sync::atomic::Ordering::*;

use hpy_layer::inner::InnerHandle;

use crate::action::Action;
use crate::attachment::Trace;
use crate::autogen_misuses::Misuse;
use crate::call::{self, Call, name_of, parameter};
use crate::layer::Layer;
use crate::policy;
use crate::report::{self, Event, Report};
use crate::slot::{self, ARGUMENT, Kind, Mark, NOBODY, RETURN, Slot};
use crate::thread::{FORBIDDEN, Frame, LEFT, TRAVERSING, Thread};
use crate::{callback, deferred};
use hpy_layer::names;
use hpy_layer::place;
use hpy_layer::upcall::KEYWORDS;

/// How many frames a report shows of the C stack.
const STACK: usize = 16;

thread_local! {
    /// A report is being put together, which may run code that does wrong as well.
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// What the function that found a misuse does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// As if nothing had happened, as far as that is possible.
    GoOn,
    /// The same for a user who wants it so at his own risk.
    GoOnAnyhow,
    /// Fails. An exception is set, or will be.
    Fail,
}

impl Next {
    pub fn goes_on(self) -> bool {
        self != Next::Fail
    }
}

/// A report under construction.
pub struct Incident<'a> {
    pub report: Report,
    thread: Option<&'a Thread>,
    frame: Option<&'a Frame>,
    layer: &'static Layer,
    /// The slot it is about.
    slot: Option<&'a Slot>,
    /// The extension's function that it is about, if that is not the frame's.
    function: usize,
}

impl Call {
    /// A misuse in this call.
    #[cold]
    pub fn incident(self, misuse: Misuse, detail: String) -> Incident<'static> {
        Incident::in_call(&self, misuse, detail)
    }
}

impl<'a> Incident<'a> {
    /// In a function of the API.
    #[cold]
    pub fn in_call(call: &Call, misuse: Misuse, detail: String) -> Incident<'static> {
        Incident::of(call.layer(), Some(call.thread), Some(call.frame), misuse, detail).in_function(call.function)
    }

    #[cold]
    pub fn of(
        layer: &'static Layer,
        thread: Option<&'a Thread>,
        frame: Option<&'a Frame>,
        misuse: Misuse,
        detail: String,
    ) -> Incident<'a> {
        Incident { report: Report::new(misuse, detail), thread, frame, layer, slot: None, function: 0 }
    }

    fn in_function(mut self, function: u16) -> Self {
        self.report.function = name_of(function);
        self
    }

    /// `position` counts from 0.
    pub fn argument(mut self, function: u16, position: usize) -> Self {
        self.report.argument = Some((position + 1, parameter(function, position)));
        self
    }

    /// Tells the story of a slot, if there is one.
    pub fn about(mut self, slot: impl Into<Option<&'a Slot>>) -> Self {
        self.slot = slot.into();
        self
    }

    /// It is about what happened in this function, which has no context; 0 if that is not known.
    pub fn by(mut self, function: usize) -> Self {
        self.report.caller = names::function(function).name.clone();
        self.function = function;
        self
    }

    /// Tells which exception is pending, and who has set it, if that is known.
    pub fn pending(mut self, by: Mark) -> Self {
        if self.can_use_python() {
            // SAFETY: the thread may run Python code.
            self.report.pending = unsafe { (self.layer.host.pending)() };
        }
        if by.by != NOBODY {
            let caller = self.frame.and_then(Frame::function).map_or(u32::MAX, |function| function.id);
            self.report.set = Some(event(by, caller, None, Kind::Handle));
        }
        self
    }

    /// Finishes the report, and does what the policy says.
    pub fn tell(self) -> Next {
        if REPORTING.get() {
            return Next::GoOn;
        }
        REPORTING.set(true);
        let next = self.deliver();
        REPORTING.set(false);
        next
    }

    /// Whether Python code can be run here.
    fn can_use_python(&self) -> bool {
        // SAFETY: asks about the thread, and needs nothing.
        let held = unsafe { (self.layer.host.threads.holds_interpreter)() };
        let flags = self.thread.map_or(0, |thread| thread.flags.load(Relaxed));
        held && flags & (LEFT | FORBIDDEN) == 0
    }

    /// Whether Python can be asked where it is, in a tp_traverse or tp_destroy as well. Not in a tp_traverse without a GIL: the world
    /// stands still for it, and nothing may be allocated.
    fn can_look_at_python(&self) -> bool {
        let flags = self.thread.map_or(0, |thread| thread.flags.load(Relaxed));
        let stands_still = flags & TRAVERSING != 0 && slot::PARALLEL.load(Relaxed);
        // SAFETY: asks about the thread, and needs nothing.
        flags & LEFT == 0 && !stands_still && unsafe { (self.layer.host.threads.holds_interpreter)() }
    }

    /// What the object of a handle is, if it is there for sure.
    ///
    /// # Safety
    /// Python code can be run.
    unsafe fn describe(&self, slot: &Slot) -> Option<String> {
        let inner = self.layer.inner;
        let state = slot.state();
        let is_elsewhere = self.thread.is_some_and(|thread| thread.origin().interpreter() != state.interpreter);
        if is_elsewhere && state.kind != Kind::Constant {
            return None;
        }
        // SAFETY: as this function's.
        unsafe {
            let mut object = self.layer.object_of(slot);
            if object.is_null() && call::is_alive(slot) {
                object = inner.ctx_Dup(InnerHandle::from_word(slot.inner.load(Relaxed)));
            }
            if object.is_null() {
                return None;
            }
            let mut text = String::new();
            (self.layer.host.describe)(object, &mut text);
            inner.ctx_Close(object);
            Some(text)
        }
    }

    fn deliver(mut self) -> Next {
        let python = self.can_use_python();
        let host = self.layer.host;
        if let Some(frame) = self.frame {
            if self.report.ip == 0 {
                self.report.ip = frame.ip.load(Relaxed);
            }
            if self.report.caller.is_empty() {
                self.report.caller = frame.function().map(|function| function.name.clone()).unwrap_or_default();
            }
        }
        if let Some(slot) = self.slot {
            let state = slot.state();
            if !matches!(state.kind, Kind::Constant) {
                self.report.opened = Some(opened(slot));
            }
            if !state.open {
                self.report.closed = Some(closed(slot));
            }
            if matches!(state.kind, Kind::Handle | Kind::Argument | Kind::Constant) {
                // SAFETY: `python` says that the thread may run Python code.
                let described = if python { unsafe { self.describe(slot) } } else { None };
                self.report.object = described.or_else(|| Thread::object_of_closed(slot));
            }
        }
        // SAFETY: the thread holds the interpreter.
        unsafe {
            if self.can_look_at_python() {
                self.report.python = (host.python_place)();
            }
        }
        self.report.stack = place::capture(STACK);
        let of_frame = self.frame.and_then(|frame| frame.function()).map_or(0, |function| function.address);
        let function = if self.function == 0 { of_frame } else { self.function };
        if function != 0 {
            self.report.ip = within(self.report.ip, function);
        }
        self.report.ip = place::authors(self.report.ip, &self.report.stack);
        // SAFETY: the thread may run Python code; the inner context is of its interpreter.
        unsafe {
            if python && let Some(callback) = callback::for_misuse(self.layer.inner, self.report.misuse) {
                callback::call(self.layer.inner, callback);
                return Next::GoOnAnyhow;
            }
        }
        let action = policy::record(&self.report);
        let text = self.report.text();
        match action {
            Action::Ignore | Action::Collect => Next::GoOn,
            Action::Warn => {
                self.warn(&text, python);
                Next::GoOn
            }
            Action::Abort => self.abort(&text),
            Action::Raise => {
                policy::raises(&self.report);
                self.raise(&text, python);
                Next::Fail
            }
        }
    }

    fn warn(&self, text: &str, python: bool) {
        if python {
            // SAFETY: the thread may run Python code.
            unsafe { (self.layer.host.warn)(text) };
        } else {
            report::print(text);
        }
    }

    fn abort(&self, text: &str) -> ! {
        report::print_last(text);
        if self.can_look_at_python() {
            let message = last_words(self.report.misuse);
            // SAFETY: the text ends with NUL; the function prints it with Python's stack, and does not return.
            unsafe { self.layer.inner.ctx_FatalError(message.as_ptr()) };
        }
        std::process::abort()
    }

    fn raise(self, text: &str, python: bool) {
        let inner = self.layer.inner;
        // SAFETY: the thread may run Python code if `python` says so.
        unsafe {
            if python && self.frame.is_some() && inner.ctx_Err_Occurred() == 0 {
                (self.layer.host.raise)(self.report.misuse.identifier(), text);
            }
        }
        let current = self.thread.and_then(Thread::current);
        if let Some(frame) = self.frame.filter(|frame| current.is_some_and(|current| core::ptr::eq(current, *frame))) {
            frame.raised.set(true);
        }
        match self.thread.filter(|thread| thread.current().is_some()) {
            Some(thread) => {
                thread.flags.fetch_or(crate::thread::PENDING, Relaxed);
                thread.deferred.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(self.report);
            }
            None => deferred::push(self.report),
        }
    }
}

/// What Python's fatal error says below the report.
fn last_words(misuse: Misuse) -> &'static core::ffi::CStr {
    match misuse {
        Misuse::BuilderUsedUp => c"Invalid usage of already closed builder",
        Misuse::UseAfterClose
        | Misuse::ClosedTwice
        | Misuse::ArgumentClosed
        | Misuse::ConstantClosed
        | Misuse::BorrowedReturned
        | Misuse::ArgumentKept => c"Invalid usage of already closed handle",
        _ => c"HPy debug mode found a misuse of the API, reported above",
    }
}

/// Of a call that was a function's last, where it went is lost: then the function's beginning is all that can be told.
fn within(ip: usize, function: usize) -> usize {
    if place::is_own(ip) { function + 1 } else { ip }
}

fn event(mark: Mark, caller: u32, trace: Option<Trace>, kind: Kind) -> Event {
    let function = names::by_id(caller);
    let ip = function.map_or(mark.ip, |function| within(mark.ip, function.address));
    let caller = function.map(|function| function.name.clone()).unwrap_or_default();
    let by = match mark.by {
        RETURN if kind == Kind::Argument => "the return of the call".to_string(),
        RETURN => "returning it".to_string(),
        NOBODY => String::new(),
        by if by >= ARGUMENT => match by - ARGUMENT {
            0 => "the call, as 'self'".to_string(),
            KEYWORDS => "the call, as the keywords".to_string(),
            position => format!("the call, as argument {position}"),
        },
        by => name_of(by).to_string(),
    };
    let trace = trace.unwrap_or_default();
    Event { by, ip, caller, trace: trace.stack, python: trace.python }
}

pub fn opened(slot: &Slot) -> Event {
    let trace = slot.look_at_attachment(|attachment| attachment.map(|attachment| attachment.opened.clone()));
    event(slot.opened(), slot.opener.load(Relaxed), trace, slot.state().kind)
}

pub fn closed(slot: &Slot) -> Event {
    let trace = slot.look_at_attachment(|attachment| attachment.map(|attachment| attachment.closed.clone()));
    event(slot.closed(), slot.closer.load(Relaxed), trace, slot.state().kind)
}
