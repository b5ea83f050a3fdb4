//! A call of the API: who makes it, and whether what it passes is right.

use core::ffi::{c_char, c_int, c_void};
use core::ops::Deref;
use core::sync::atomic::Ordering::*;

use hpy_abi::*;

use crate::autogen_misuses::Misuse;
use crate::extra::Trace;
use crate::slot::{self, Kind, Mark, Place, Slot, Token};
use crate::thread::{FORBIDDEN, Frame, HYBRID, LEFT, PENDING, TRAVERSING, Thread, UNKNOWN};
use crate::trouble::{Next, Trouble, name_of, parameter};
use hpy_layer::{MEMBERS, names, place};

use crate::{Layer, fields, inspect, memory, structs, summary};

/// An API function is being called, and may be. Handed on by value: a few registers.
#[derive(Clone, Copy)]
pub struct Call {
    pub inner: *mut HPyContext,
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

/// What an extension's value turns out to be.
enum Found {
    Open(&'static Slot),
    /// An open slot of something that is no handle.
    Other(&'static Slot),
    OtherThread(&'static Slot),
    OtherInterpreter(&'static Slot),
    Closed(&'static Slot),
    /// Closed, and the slot has been used again since.
    LongClosed,
    Foreign,
}

fn what_it_is(slot: &Slot) -> &'static str {
    match slot.state().kind {
        Kind::Tracker => "a tracker",
        Kind::ThreadState => "a thread state",
        Kind::ListBuilder | Kind::TupleBuilder => "a builder",
        _ => "a handle",
    }
}

fn find(value: isize, here: Place) -> Found {
    let Some((token, slot)) = slot::of(value) else {
        return Found::Foreign;
    };
    let state = slot.state();
    if token.generation > state.generation {
        return Found::Foreign;
    }
    if token.generation < state.generation {
        return Found::LongClosed;
    }
    if !state.open {
        // One that was never opened has no story.
        return if slot.order.load(Relaxed) == 0 { Found::Foreign } else { Found::Closed(slot) };
    }
    if state.kind == Kind::Constant {
        return Found::Open(slot);
    }
    if state.interpreter != here.interpreter() {
        return Found::OtherInterpreter(slot);
    }
    if Place::new(state.thread, state.interpreter) != here {
        return Found::OtherThread(slot);
    }
    match state.kind {
        Kind::Handle | Kind::Argument => Found::Open(slot),
        _ => Found::Other(slot),
    }
}

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

    #[inline(always)]
    fn begin(self) -> Entered {
        self.frame.go_inside();
        Entered { call: self, was_outside: false }
    }

    /// Comes back to the interpreter, which the extension has left, until the function ends.
    #[cold]
    fn begin_outside(self) -> Entered {
        if let Some(slot) = self.last_left() {
            let state = HPyThreadState { _i: slot.inner.load(Relaxed) };
            // SAFETY: the state is that of the last time that the thread has left.
            unsafe { ((*self.inner).ctx_ReenterPythonExecution)(self.inner, state) };
        }
        self.thread.flags.fetch_and(!LEFT, Relaxed);
        Entered { was_outside: true, ..self.begin() }
    }

    #[cold]
    fn leave_interpreter(self) {
        self.thread.flags.fetch_or(LEFT, Relaxed);
        if let Some(slot) = self.last_left() {
            // SAFETY: the thread holds the interpreter, for which the function has come back.
            let state = unsafe { ((*self.inner).ctx_LeavePythonExecution)(self.inner) };
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

    #[cold]
    pub fn trouble(self, misuse: Misuse, detail: String) -> Trouble<'static> {
        Trouble::in_call(&self, misuse, detail)
    }

    /// There are flags that say that something is unusual.
    #[cold]
    fn begin_if_allowed(self) -> Option<Entered> {
        let flags = self.thread.flags.load(Relaxed);
        if flags & FORBIDDEN != 0 {
            let trouble = self.trouble(Misuse::CallNotAllowedHere, not_allowed_here(self.thread, self.name()));
            let goes_on = trouble.by(self.thread.forbidding.get()).tell().goes_on();
            return (goes_on && flags & LEFT == 0 && !stands_still(flags)).then(|| self.begin());
        }
        if flags & LEFT != 0 {
            if is(self.function, "HPy_ReenterPythonExecution") {
                return Some(self.begin());
            }
            if is(self.function, "HPy_LeavePythonExecution") {
                let detail = "HPy_LeavePythonExecution was called a second time".to_string();
                self.trouble(Misuse::LeaveUnbalanced, detail).tell();
                return None;
            }
            let detail = format!("{} was called after HPy_LeavePythonExecution", self.name());
            let goes_on = self.trouble(Misuse::InterpreterNotHeld, detail).tell().goes_on();
            return goes_on.then(|| self.begin_outside());
        }
        let pending_is_fine = MEMBERS.get(usize::from(self.function)).is_none_or(|function| function.pending);
        if flags & (PENDING | HYBRID) == 0 || pending_is_fine || self.frame.raised.get() {
            return Some(self.begin());
        }
        // SAFETY: the thread holds the interpreter.
        if unsafe { ((*self.inner).ctx_Err_Occurred)(self.inner) } == 0 {
            self.thread.flags.fetch_and(!PENDING, Relaxed);
            self.frame.failed.set(UNKNOWN);
            return Some(self.begin());
        }
        let failed = self.frame.failed.get();
        let trouble = match failed.by {
            slot::NOBODY => self.pending_trouble(),
            _ if self.frame.has_set.get() => self.pending_trouble(),
            by => self.trouble(
                Misuse::ErrorNotChecked,
                format!("{} was called although {} had failed", self.name(), name_of(by)),
            ),
        };
        let trouble = trouble.pending(failed);
        let next = trouble.tell();
        // Said once for a call, not for each function that follows.
        self.frame.raised.set(true);
        next.goes_on().then(|| self.begin())
    }

    fn pending_trouble(self) -> Trouble<'static> {
        self.trouble(Misuse::ExceptionPending, format!("{} was called with an exception pending", self.name()))
    }

    /// The inner handle of an argument. None if there is none, which has been reported.
    #[inline(always)]
    pub fn handle(self, h: HPy, position: usize) -> Option<HPy> {
        if let Some((token, slot)) = slot::of(h._i)
            && (slot.is_open_handle(token.generation, self.thread.place()) || slot.is_constant(token.generation))
        {
            return Some(HPy { _i: slot.inner.load(Relaxed) });
        }
        self.handle_slowly(h, position)
    }

    /// As [`Call::handle`], for a parameter that may be null.
    #[inline(always)]
    pub fn handle_or_null(self, h: HPy, position: usize) -> Option<HPy> {
        if h.is_null() { Some(HPy::NULL) } else { self.handle(h, position) }
    }

    /// As [`Call::handle`], for a parameter for which the function refuses null.
    #[inline(always)]
    pub fn handle_or_refused(self, h: HPy, position: usize) -> Option<HPy> {
        if !h.is_null() {
            return self.handle(h, position);
        }
        match self.complain_of_refused(Misuse::NullHandle, "null", position) {
            true => Some(HPy::NULL),
            false => self.cannot(Misuse::NullHandle),
        }
    }

    #[cold]
    fn handle_slowly(self, h: HPy, position: usize) -> Option<HPy> {
        let inner = |slot: &Slot| Some(HPy { _i: slot.inner.load(Relaxed) });
        match find(h._i, self.thread.place()) {
            Found::Open(slot) => return inner(slot),
            Found::Closed(slot) => {
                let (misuse, what) = match slot.state().kind {
                    Kind::Argument => (Misuse::ArgumentKept, "an argument of a call that has returned"),
                    Kind::Handle => (Misuse::UseAfterClose, "a closed handle"),
                    _ => (Misuse::InventedHandle, "no handle"),
                };
                let next = self.complain_and_ask(misuse, what, position, Some(slot));
                let usable = next == Next::GoOnAnyhow || next == Next::GoOn && is_alive(slot);
                return if usable && misuse != Misuse::InventedHandle { inner(slot) } else { self.cannot(misuse) };
            }
            _ => {}
        }
        self.refuse(h._i, position, "handle")
    }

    /// Whether what has this state was opened by this thread, in this interpreter.
    pub fn is_here(self, state: slot::State) -> bool {
        Place::new(state.thread, state.interpreter) == self.thread.place()
    }

    /// Reports a value that stands for nothing that is open here.
    #[cold]
    pub fn refuse<T>(self, value: isize, position: usize, wanted: &str) -> Option<T> {
        let (misuse, what, slot) = match find(value, self.thread.place()) {
            _ if value == 0 => (Misuse::NullHandle, "null".to_string(), None),
            Found::OtherThread(slot) => {
                (Misuse::OtherThread, format!("{} of another thread", what_it_is(slot)), Some(slot))
            }
            Found::OtherInterpreter(slot) => {
                (Misuse::OtherInterpreter, format!("{} of another interpreter", what_it_is(slot)), Some(slot))
            }
            // It was open a moment ago.
            Found::Closed(slot) if wanted == "handle" && matches!(slot.state().kind, Kind::Handle | Kind::Argument) => {
                (Misuse::UseAfterClose, "a closed handle".to_string(), Some(slot))
            }
            Found::LongClosed if wanted == "handle" => {
                (Misuse::UseAfterClose, "a handle that was closed long ago".to_string(), None)
            }
            Found::Open(slot) => (Misuse::InventedHandle, format!("a handle instead of a {wanted}"), Some(slot)),
            Found::Other(slot) => {
                (Misuse::InventedHandle, format!("{} instead of a {wanted}", what_it_is(slot)), Some(slot))
            }
            // SAFETY: the thread holds the interpreter.
            _ if unsafe { self.is_in_member(value) } => {
                (Misuse::FieldAsHandle, "the content of an HPyField".to_string(), None)
            }
            _ => {
                let (misuse, what) = foreign(self.layer(), value, wanted);
                (misuse, what, None)
            }
        };
        self.complain(misuse, &what, position, slot);
        self.cannot(misuse)
    }

    /// Whether a value is in a field that Python has stored to, of an object at hand.
    unsafe fn is_in_member(self, value: isize) -> bool {
        // SAFETY: as this function's; what is looked at is alive.
        unsafe {
            ((*self.inner).ctx_Err_Occurred)(self.inner) == 0
                && structs::any_open(self, |of, data| structs::member_holds(of, data, value))
        }
    }

    /// True to go on.
    #[cold]
    pub fn complain(self, misuse: Misuse, what: &str, position: usize, slot: Option<&'static Slot>) -> bool {
        self.complain_and_ask(misuse, what, position, slot).goes_on()
    }

    /// Reports what the function itself answers with an exception. That does no harm, so it is a warning if nothing else is wanted. True to
    /// go on, and have it refused.
    #[cold]
    fn complain_of_refused(self, misuse: Misuse, what: &str, position: usize) -> bool {
        let mut trouble = self.trouble_with(misuse, what, position);
        trouble.report.is_refused = true;
        trouble.tell().goes_on()
    }

    fn complain_and_ask(self, misuse: Misuse, what: &str, position: usize, slot: Option<&'static Slot>) -> Next {
        self.trouble_with(misuse, what, position).about(slot).tell()
    }

    /// The report of an argument that is not what it should be.
    #[cold]
    fn trouble_with(self, misuse: Misuse, what: &str, position: usize) -> Trouble<'static> {
        let name = parameter(self.function, position);
        let detail = format!("{} got {what} as '{name}' (argument {})", self.name(), position + 1);
        self.trouble(misuse, detail).argument(self.function, position)
    }

    /// Where nothing can be done with a value, whatever the policy says.
    #[cold]
    pub fn cannot<T>(self, misuse: Misuse) -> Option<T> {
        // SAFETY: the call was entered, so the thread holds the interpreter.
        unsafe {
            if ((*self.inner).ctx_Err_Occurred)(self.inner) == 0 {
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
        if inspect::TRACES.load(Relaxed) != 0
            && let Some((_, slot)) = opened
        {
            self.remember(slot);
        }
        opened
    }

    /// A handle for the extension, of a new inner one. Null stays null, and means failure.
    #[inline(always)]
    pub fn opened(self, inner: HPy) -> HPy {
        if inner.is_null() {
            self.has_failed();
            return HPy::NULL;
        }
        match self.open(Kind::Handle, inner._i) {
            Some((token, _)) => HPy { _i: token.encode() },
            None => {
                // SAFETY: the inner handle is ours.
                unsafe {
                    ((*self.inner).ctx_Close)(self.inner, inner);
                    ((*self.inner).ctx_Err_NoMemory)(self.inner);
                }
                self.has_failed();
                HPy::NULL
            }
        }
    }

    /// As [`Call::opened`], where null is no failure.
    #[inline(always)]
    pub fn opened_or_null(self, inner: HPy) -> HPy {
        if inner.is_null() { inner } else { self.opened(inner) }
    }

    /// Keeps the way to this call.
    #[cold]
    fn remember(self, slot: &'static Slot) {
        let trace = self.trace();
        slot.change_extra(|extra| extra.opened = trace);
    }

    fn trace(self) -> Trace {
        let stack = place::capture(inspect::TRACES.load(Relaxed));
        // SAFETY: the call was entered, so the thread holds the interpreter.
        Trace { stack, python: unsafe { (self.layer().host.python_place)() } }
    }

    /// Closes an open handle's slot, and gives the inner handle, which is now the caller's.
    #[inline(always)]
    pub fn close(self, index: u32, slot: &'static Slot) -> HPy {
        let inner = HPy { _i: slot.inner.load(Relaxed) };
        summary::take_down(self.thread, self.layer(), slot, inner);
        if inspect::TRACES.load(Relaxed) != 0 {
            let trace = self.trace();
            slot.change_extra(|extra| extra.closed = trace);
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

    /// Whether a C string can be read; `utf8` whether it has to be UTF-8.
    ///
    /// # Safety
    /// The string ends with NUL if it is not null.
    #[inline]
    pub unsafe fn text(self, text: *const c_char, position: usize, null: bool, utf8: bool) -> bool {
        if text.is_null() {
            return null || self.pointer(text.cast(), position);
        }
        if !self.data(text.cast(), position) {
            return false;
        }
        // SAFETY: as this function's.
        if utf8 && unsafe { core::ffi::CStr::from_ptr(text) }.to_str().is_err() {
            return self.complain(Misuse::InvalidUtf8, "text that is not UTF-8", position, None);
        }
        true
    }

    /// Whether memory is not that of a closed handle's copy.
    #[inline]
    pub fn data(self, data: *const c_void, position: usize) -> bool {
        match memory::find(data.addr()) {
            memory::Found::Closed { tag, .. } => {
                let slot = slot::get(tag as u32);
                let what = "a pointer into the buffer of a closed handle";
                self.complain(Misuse::DataAfterClose, what, position, slot);
                self.cannot::<()>(Misuse::DataAfterClose).is_some()
            }
            _ => true,
        }
    }

    #[inline]
    pub fn pointer(self, pointer: *const c_void, position: usize) -> bool {
        if pointer.is_null() {
            self.complain(Misuse::NullHandle, "a null pointer", position, None);
            return self.cannot::<()>(Misuse::NullHandle).is_some();
        }
        true
    }

    /// As [`Call::pointer`], where the function refuses null.
    #[inline]
    pub fn pointer_or_refused(self, pointer: *const c_void, position: usize) -> bool {
        !pointer.is_null() || self.complain_of_refused(Misuse::NullHandle, "a null pointer", position)
    }

    /// A number that is `least` at least.
    #[inline]
    pub fn at_least(self, number: HPy_ssize_t, least: HPy_ssize_t, position: usize) -> bool {
        number >= least || self.complain(Misuse::NegativeSize, &number.to_string(), position, None)
    }

    /// A value of an enum.
    #[inline]
    pub fn one_of(self, value: c_int, values: &[c_int], position: usize) -> bool {
        if values.contains(&value) {
            return true;
        }
        self.complain(Misuse::EnumOutOfRange, &value.to_string(), position, None);
        // Not all runtimes check.
        self.cannot::<()>(Misuse::EnumOutOfRange).is_some()
    }

    /// As [`Call::one_of`], where the function refuses what the enum does not have.
    #[inline]
    pub fn one_of_or_refused(self, value: c_int, values: &[c_int], position: usize) -> bool {
        values.contains(&value) || self.complain_of_refused(Misuse::EnumOutOfRange, &value.to_string(), position)
    }

    /// Whether an inner handle is of a type, which the API function takes for granted.
    #[inline]
    pub fn is(self, inner: HPy, member: fn(&HPyContext) -> HPy, wanted: &str, position: usize) -> bool {
        // SAFETY: the handle is open, and the context's constants are.
        if unsafe { ((*self.inner).ctx_TypeCheck)(self.inner, inner, member(&*self.inner)) } != 0 {
            return true;
        }
        // The words are those of 0.9.
        let wanted = if wanted == "str" { "Unicode object" } else { wanted };
        self.wrong_type::<()>(wanted, position).is_some()
    }

    /// Reports an object of another type than the function takes for granted.
    #[cold]
    pub fn wrong_type<T>(self, wanted: &str, position: usize) -> Option<T> {
        let parameters = MEMBERS.get(usize::from(self.function)).map_or(0, |function| function.params.len());
        let what = match parameters {
            1 => format!("{} arg must be a {wanted}", self.name()),
            _ => format!("{} arg {} must be a {wanted}", self.name(), position + 1),
        };
        self.trouble(Misuse::WrongType, what).argument(self.function, position).tell();
        self.cannot(Misuse::WrongType)
    }
}

/// The handles in an array, as the inner context has them. None after a report.
///
/// # Safety
/// The array has as many handles.
pub unsafe fn array(call: Call, items: *const HPy, count: usize, position: usize) -> Option<Vec<HPy>> {
    if count > 0 && !call.pointer(items.cast(), position) {
        return None;
    }
    // SAFETY: as this function's.
    (0..count).map(|index| call.handle(unsafe { *items.add(index) }, position)).collect()
}

fn is(function: u16, name: &str) -> bool {
    name_of(function) == name
}

/// What a value is that does not come from debug mode.
pub fn foreign(layer: &Layer, value: isize, wanted: &str) -> (Misuse, String) {
    if fields::is_content(value) {
        return (Misuse::FieldAsHandle, "the content of an HPyField or HPyGlobal".to_string());
    }
    // SAFETY: the function looks without touching what it must not.
    if is_inner(value, |_| true) || unsafe { (layer.host.is_object)(value) } {
        return (Misuse::ForeignHandle, "a handle of another context, or an object of Python.h,".to_string());
    }
    (Misuse::InventedHandle, format!("{value:#x}, which is no {wanted},"))
}

/// Whether a value is the inner handle of something open that `which` accepts.
fn is_inner(value: isize, which: impl Fn(slot::State) -> bool) -> bool {
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
    } else if unsafe { !(layer.host.holds_interpreter)() } {
        (Misuse::InterpreterNotHeld, format!("{name} was called on a thread that does not hold the interpreter"))
    } else {
        (Misuse::ContextKept, format!("Error: Wrong HPy Context! {name} got one that is not that of the running call"))
    };
    // What the record has is that of the last call through this context, which is this one.
    let current = here.and_then(Thread::current);
    if let Some(current) = current {
        current.ip.store(frame.ip.load(Relaxed), Relaxed);
    }
    let mut trouble = Trouble::of(layer, here, current.or(Some(frame)), misuse, detail);
    trouble.report.function = name;
    if misuse == Misuse::CallNotAllowedHere {
        trouble = trouble.by(here.map_or(0, |thread| thread.forbidding.get()));
    }
    let can_go_on = match misuse {
        Misuse::ContextKept => true,
        Misuse::CallNotAllowedHere => flags & LEFT == 0 && !stands_still(flags),
        Misuse::InterpreterNotHeld => flags & LEFT != 0,
        _ => false,
    };
    if !trouble.tell().goes_on() || !can_go_on {
        return None;
    }
    let thread = Thread::here();
    let stand_in = thread.stand_in(layer);
    stand_in.ip.store(frame.ip.load(Relaxed), Relaxed);
    let call = Call { inner: layer.inner, thread, frame: stand_in, function };
    Some(if flags & LEFT != 0 { call.begin_outside() } else { call.begin() })
}
