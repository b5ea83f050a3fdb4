//! A call of the API: who makes it, and what it opens and closes.

use core::ops::Deref;
use core::sync::atomic::Ordering::*;

use hpy_abi::*;
use hpy_layer::inner::{InnerContext, InnerHandle};
use hpy_layer::{MEMBERS, place};

use crate::attachment::Trace;
use crate::autogen_misuses::Misuse;
use crate::layer::Layer;
use crate::limits;
use crate::slot::{self, Kind, Mark, Origin, Slot, Token};
use crate::thread::{Frame, LEFT, PENDING, Thread};

/// An API function is being called, and may be. Handed on by value: a few registers.
#[derive(Clone, Copy)]
pub struct Call {
    pub inner: InnerContext,
    pub thread: &'static Thread,
    pub frame: &'static Frame,
    /// The member's index.
    pub function: u16,
}

/// A call of an API function, for as long as that runs.
pub struct Entered {
    call: Call,
    /// The extension had left the interpreter, and leaves it again.
    was_outside: bool,
}

impl Deref for Entered {
    type Target = Call;

    #[inline(always)]
    fn deref(&self) -> &Call {
        &self.call
    }
}

impl Drop for Entered {
    #[inline(always)]
    fn drop(&mut self) {
        self.call.frame.come_out();
        if self.was_outside {
            self.call.leave_interpreter();
        }
    }
}

impl Call {
    #[inline(always)]
    pub fn begin(self) -> Entered {
        self.frame.go_inside();
        Entered { call: self, was_outside: false }
    }

    /// Comes back to the interpreter, which the extension has left, until the function ends.
    #[cold]
    pub fn begin_outside(self) -> Entered {
        if let Some(slot) = self.last_left() {
            let state = HPyThreadState { _i: slot.inner.load(Relaxed) };
            // SAFETY: the state is that of the last time that the thread has left.
            unsafe { self.inner.ctx_ReenterPythonExecution(state) };
        }
        self.thread.flags.fetch_and(!LEFT, Relaxed);
        Entered { was_outside: true, ..self.begin() }
    }

    #[cold]
    fn leave_interpreter(self) {
        self.thread.flags.fetch_or(LEFT, Relaxed);
        if let Some(slot) = self.last_left() {
            // SAFETY: the thread holds the interpreter, for which the function has come back.
            let state = unsafe { self.inner.ctx_LeavePythonExecution() };
            slot.inner.store(state._i, Relaxed);
        }
    }

    /// What stands for the last time that the thread has left the interpreter.
    fn last_left(self) -> Option<&'static Slot> {
        // SAFETY: the list is the thread's own.
        let last = unsafe { (*self.thread.left.get()).last().copied() };
        last.and_then(slot::of).map(|(_, slot)| slot)
    }

    pub fn layer(self) -> &'static Layer {
        // SAFETY: the frame of a call has its layer.
        unsafe { self.frame.layer().unwrap_unchecked() }
    }

    pub fn name(self) -> &'static str {
        name_of(self.function)
    }

    /// Where and by whom this call is made.
    #[inline(always)]
    pub fn mark(self) -> Mark {
        Mark { by: self.function, ip: self.frame.ip.load(Relaxed) }
    }

    #[inline(always)]
    pub fn caller(self) -> u32 {
        self.frame.function().map_or(u32::MAX, |function| function.id)
    }

    /// Whether what has this state was opened by this thread, in this interpreter.
    pub fn is_here(self, state: slot::State) -> bool {
        Origin::new(state.thread, state.interpreter) == self.thread.origin()
    }

    /// Where nothing can be done with a value, whatever the policy says.
    #[cold]
    pub fn cannot<T>(self, misuse: Misuse) -> Option<T> {
        // SAFETY: the call was entered, so the thread holds the interpreter.
        unsafe {
            if self.inner.ctx_Err_Occurred() == 0 {
                let text = format!("{}: {} failed because of a misuse", misuse.title(), self.name());
                (self.layer().host.raise)(misuse.identifier(), &text);
            }
        }
        self.has_failed();
        None
    }

    /// Opens a slot for the extension. None if there is no memory for one.
    #[inline(always)]
    pub fn open(self, kind: Kind, inner: isize) -> Option<(Token, &'static Slot)> {
        // SAFETY: the thread's own.
        let ip = unsafe { self.thread.callers.authors(self.frame.ip.load(Relaxed)) };
        let opened = self.thread.open(kind, inner, Mark { ip, ..self.mark() }, self.caller());
        if limits::TRACES.load(Relaxed) != 0
            && let Some((_, slot)) = opened
        {
            self.remember(slot);
        }
        opened
    }

    /// A handle for the extension, of a new inner one. Null stays null, and means failure.
    #[inline(always)]
    pub fn opened(self, inner: InnerHandle) -> HPy {
        if inner.is_null() {
            self.has_failed();
            return HPy::NULL;
        }
        match self.open(Kind::Handle, inner.word()) {
            Some((token, _)) => HPy { _i: token.encode() },
            None => {
                // SAFETY: the inner handle is ours.
                unsafe {
                    self.inner.ctx_Close(inner);
                    self.inner.ctx_Err_NoMemory();
                }
                self.has_failed();
                HPy::NULL
            }
        }
    }

    /// As [`Call::opened`], where null is no failure.
    #[inline(always)]
    pub fn opened_or_null(self, inner: InnerHandle) -> HPy {
        if inner.is_null() { HPy::NULL } else { self.opened(inner) }
    }

    /// Keeps the way to this call.
    #[cold]
    fn remember(self, slot: &'static Slot) {
        let trace = self.trace();
        slot.change_attachment(|attachment| attachment.opened = trace);
    }

    fn trace(self) -> Trace {
        let stack = place::capture(limits::TRACES.load(Relaxed));
        // SAFETY: the call was entered, so the thread holds the interpreter.
        Trace { stack, python: unsafe { (self.layer().host.python_place)() } }
    }

    /// Closes an open handle's slot, and gives the inner handle, which is now the caller's.
    #[inline(always)]
    pub fn close(self, index: u32, slot: &'static Slot) -> InnerHandle {
        let inner = InnerHandle::from_word(slot.inner.load(Relaxed));
        // SAFETY: they are the thread's own, and the handle is still open.
        unsafe { (*self.thread.closed_objects.get()).take_down(self.layer(), slot, inner) };
        if limits::TRACES.load(Relaxed) != 0 {
            let trace = self.trace();
            slot.change_attachment(|attachment| attachment.closed = trace);
        }
        self.thread.close(index, slot, self.mark(), self.caller());
        inner
    }

    /// The function has failed: there is an exception, if all is well.
    #[inline(always)]
    pub fn has_failed(self) {
        self.thread.flags.fetch_or(PENDING, Relaxed);
        self.frame.failed.set(self.mark());
        self.frame.has_set.set(false);
    }

    /// The extension has set an exception.
    pub fn has_raised(self) {
        self.thread.flags.fetch_or(PENDING, Relaxed);
        self.frame.failed.set(self.mark());
        self.frame.has_set.set(true);
    }

    /// There may be an exception that nobody has told us about.
    pub fn may_have_raised(self) {
        self.thread.flags.fetch_or(PENDING, Relaxed);
    }
}

/// Whether a value is the inner handle of something open that `which` accepts.
pub fn is_inner(value: isize, which: impl Fn(slot::State) -> bool) -> bool {
    slot::all().any(|(_, slot)| {
        let state = slot.state();
        state.open && slot.inner.load(Relaxed) == value && which(state)
    })
}

/// Whether the object of a handle that may be closed is alive for sure: it is open, or some other handle to it is. Where threads
/// run at the same time, those of others may be closed at any moment.
pub fn is_alive(slot: &Slot) -> bool {
    let here = Thread::known().map_or(0, |thread| thread.id);
    let stays = |state: slot::State| state.thread == here || !slot::PARALLEL.load(Relaxed);
    let state = slot.state();
    state.open && (stays(state) || state.kind == Kind::Constant) || is_inner(slot.inner.load(Relaxed), stays)
}

/// The parameter's name, or what stands for it.
pub fn parameter(function: u16, position: usize) -> &'static str {
    MEMBERS.get(usize::from(function)).and_then(|function| function.params.get(position)).copied().unwrap_or("")
}

/// The name of a function of the API, by its index.
pub fn name_of(function: u16) -> &'static str {
    MEMBERS.get(usize::from(function)).map_or("", |function| function.name)
}
