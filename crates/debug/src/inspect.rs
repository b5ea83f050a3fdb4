//! What the Python side asks and sets.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Mutex, PoisonError};

use hpy_abi::*;

use crate::autogen_misuses::Misuse;
use crate::extra::Extra;
use crate::policy;
use crate::report::{self, Event, Report};
use crate::slot::{self, Kind, NOBODY, Slot};
use crate::thread::{CLOSED_LIMIT, ENOUGH_CLOSED, GENERATION, GENERATION_SHIFT, Thread};
use hpy_layer::fork::Held;
use hpy_layer::place;

use crate::{Layer, fields, interpreter, layers, memory, structs, thread, trouble};

/// How many frames are kept of each opening and closing; 0 for none.
pub static TRACES: AtomicUsize = AtomicUsize::new(0);
/// How many bytes there may be in copies of strings whose handles are closed.
pub static RAW_DATA_LIMIT: AtomicUsize = AtomicUsize::new(10 * 1024 * 1024);
/// There are reports that wait for a chance to be raised.
pub static HAS_DEFERRED: AtomicBool = AtomicBool::new(false);

static DEFERRED: Mutex<Vec<Report>> = Mutex::new(Vec::new());

/// Applies what the environment variable HPY_DEBUG says.
pub fn configure(text: &str) -> Result<(), String> {
    policy::configure(text)?;
    let settings = policy::settings();
    // What has been set from Python stays if nothing is said here.
    if let Some(traces) = settings.traces() {
        TRACES.store(traces, Relaxed);
    }
    memory::set_always(settings.all_strings());
    Ok(())
}

/// The innermost context's handle behind one of `ctx`, which may be one of debug mode or not. Null for what is no open handle there.
///
/// # Safety
/// The context is complete; the handle is one that it was called with.
pub unsafe fn innermost(ctx: *mut HPyContext, h: HPy) -> HPy {
    // SAFETY: as this function's. Constants of debug mode are handles of its own.
    if unsafe { slot::of((*ctx).h_None._i) }.is_none() {
        return h;
    }
    let is_open = |&(token, slot): &(slot::Token, &Slot)| slot.is_open_handle(token.generation, Thread::here().place());
    slot::of(h._i).filter(is_open).map_or(HPy::NULL, |(_, slot)| HPy { _i: slot.inner.load(Relaxed) })
}

/// Whether a value is, or was, a handle of debug mode.
pub fn is_handle(value: isize) -> bool {
    slot::Token::decode(value).is_some()
}

/// The extension is about to load a value that was read from this field when nobody could store to it. By now the field may have another
/// one.
pub fn loads_from(field: *const HPyField) {
    fields::LOADED_FROM.set(field.addr());
}

/// It has done so.
pub fn has_loaded() {
    fields::LOADED_FROM.set(0);
}

/// The lock of this module that is taken without the interpreter, for a fork.
pub(crate) fn locks() -> Vec<Held> {
    vec![Box::new(DEFERRED.lock().unwrap_or_else(PoisonError::into_inner))]
}

pub(crate) fn defer(report: Report) {
    DEFERRED.lock().unwrap_or_else(PoisonError::into_inner).push(report);
    HAS_DEFERRED.store(true, Release);
}

/// Those of this interpreter.
pub(crate) fn take_deferred() -> Vec<Report> {
    let here = interpreter::here();
    let mut all = DEFERRED.lock().unwrap_or_else(PoisonError::into_inner);
    let (own, others) = core::mem::take(&mut *all).into_iter().partition(|report| report.interpreter == here);
    *all = others;
    HAS_DEFERRED.store(!all.is_empty(), Release);
    own
}

/// The reports that have become exceptions since this was last asked, while [`policy::override_action`] was in force.
pub fn take_raised() -> Vec<String> {
    policy::take_raised().iter().map(Report::text).collect()
}

/// The names of modules that have been loaded in debug mode.
pub fn loaded() -> Vec<String> {
    crate::LOADED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Misuses that were to be raised, and had no chance yet.
pub fn take_reports() -> Vec<String> {
    take_deferred().iter().map(Report::text).collect()
}

/// Starts a generation, and gives its number.
pub fn new_generation() -> i64 {
    (GENERATION.fetch_add(1, AcqRel) + 1).cast_signed()
}

/// The least order number of a generation.
fn beginning(generation: i64) -> u64 {
    match u64::try_from(generation) {
        Err(_) => 0,
        Ok(generation) => generation.checked_shl(GENERATION_SHIFT).filter(|_| generation < 1 << 20).unwrap_or(u64::MAX),
    }
}

fn in_order(mut found: Vec<(u64, u32)>) -> Vec<u32> {
    found.sort_unstable();
    found.into_iter().map(|(_, index)| index).collect()
}

/// Those of this interpreter.
fn slots_since(generation: i64, wanted: impl Fn(slot::State) -> bool) -> Vec<u32> {
    let (since, here) = (beginning(generation), interpreter::here());
    let is_wanted = |state: slot::State| state.interpreter == here && wanted(state);
    let found = slot::all().filter(|(_, slot)| is_wanted(slot.state()) && slot.order.load(Relaxed) >= since.max(1));
    in_order(found.map(|(index, slot)| (slot.order.load(Relaxed), index)).collect())
}

/// The slots that are open, and what that is called. What another thread has open in a call that is under way is none of it, nor are
/// the arguments of any call.
fn left_open(generation: i64) -> impl Iterator<Item = (Misuse, u32, &'static Slot)> {
    let open = slots_since(generation, |state| state.open).into_iter();
    let open: Vec<_> = open.filter_map(|index| slot::get(index).map(|slot| (index, slot, slot.state()))).collect();
    // What is open before and after a moment at which its thread is in no call was open then.
    let busy = thread::busy();
    open.into_iter().filter_map(move |(index, slot, state)| {
        if !state.open || slot.state() != state || busy.contains(&state.thread) {
            return None;
        }
        let misuse = match state.kind {
            Kind::Handle => Misuse::LeakedHandle,
            Kind::ListBuilder | Kind::TupleBuilder => Misuse::LeakedBuilder,
            Kind::Tracker => Misuse::LeakedTracker,
            _ => return None,
        };
        Some((misuse, index, slot))
    })
}

/// Open handles, in the order of their opening, without those that come and go with calls under way.
pub fn open_handles(generation: i64) -> Vec<u32> {
    left_open(generation).filter(|(misuse, ..)| *misuse == Misuse::LeakedHandle).map(|(_, index, _)| index).collect()
}

/// Closed handles that something is still known of, in the order of their closing.
pub fn closed_handles(generation: i64) -> Vec<u32> {
    let kept = |state: slot::State| !state.open && matches!(state.kind, Kind::Handle | Kind::Argument);
    slots_since(generation, kept)
}

pub fn closed_limit() -> usize {
    CLOSED_LIMIT.load(Relaxed)
}

pub fn set_closed_limit(limit: usize) {
    CLOSED_LIMIT.store(limit, Relaxed);
    ENOUGH_CLOSED.store(limit, Relaxed);
}

pub fn raw_data_limit() -> usize {
    RAW_DATA_LIMIT.load(Relaxed)
}

pub fn set_raw_data_limit(limit: usize) {
    RAW_DATA_LIMIT.store(limit, Relaxed);
}

pub fn trace_limit() -> usize {
    TRACES.load(Relaxed)
}

pub fn set_trace_limit(limit: usize) {
    TRACES.store(limit, Relaxed);
}

/// A handle, open or closed, as Python sees it.
pub struct Handle {
    pub id: usize,
    pub is_closed: bool,
    /// Bytes in copies of its contents; -1 without any.
    pub raw_data_size: isize,
    /// Where it was opened and closed, line by line.
    pub story: String,
}

pub fn handle(index: u32) -> Handle {
    let Some(slot) = slot_of_here(index) else {
        return Handle { id: 0, is_closed: true, raw_data_size: -1, story: String::new() };
    };
    let copies = slot.look_at_extra(|extra| extra.map_or(0, Extra::size_of_copies));
    Handle {
        // Never 0, and even, as addresses are.
        id: (index as usize + 1) * 16,
        is_closed: !slot.state().open,
        raw_data_size: if copies == 0 { -1 } else { copies.cast_signed() },
        story: story(slot),
    }
}

/// A handle of the inner context to the object of an open handle, which is the caller's; null for a closed one.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn object(index: u32) -> HPy {
    match (layer(), slot_of_here(index)) {
        // SAFETY: as this function's.
        (Some(layer), Some(slot)) => unsafe { object_of(layer, slot) },
        _ => HPy::NULL,
    }
}

/// A slot that this interpreter uses. One that Python has seen may have become another interpreter's since.
fn slot_of_here(index: u32) -> Option<&'static Slot> {
    slot::get(index).filter(|slot| slot.state().interpreter == interpreter::here())
}

fn line(what: &str, event: &Event) -> String {
    let mut text = format!("{what} by {}", event.by);
    if !event.caller.is_empty() {
        text += &format!(" in {}", event.caller);
    }
    if event.ip != 0 {
        text += &format!(", at {}", place::describe(event.ip));
    }
    if let Some(python) = &event.python {
        text += &format!("\n  {python}");
    }
    for ip in &event.trace {
        text += &format!("\n  {}", place::describe(*ip));
    }
    text
}

fn story(slot: &Slot) -> String {
    let mut text = line("opened", &trouble::opened(slot));
    if !slot.state().open {
        text = format!("{text}\n{}", line("closed", &trouble::closed(slot)));
    }
    text
}

/// Another handle to the object of an open one, of the inner context; null for a closed one. Its own thread may close it meanwhile.
///
/// # Safety
/// The slot is that of a handle of this interpreter, which the caller holds.
pub(crate) unsafe fn object_of(layer: &Layer, slot: &Slot) -> HPy {
    let _held = slot.hold();
    let state = slot.state();
    if !state.open || !matches!(state.kind, Kind::Handle | Kind::Argument | Kind::Constant) {
        return HPy::NULL;
    }
    // SAFETY: as this function's; it is open as long as it is held.
    unsafe { ((*layer.inner).ctx_Dup)(layer.inner, HPy { _i: slot.inner.load(Relaxed) }) }
}

/// Closes a handle that an extension left open. False if somebody else has.
///
/// # Safety
/// The caller holds the interpreter, and the extension does not use the handle any more.
pub unsafe fn force_close(index: u32) -> bool {
    /// One at a time.
    static CLOSING: Mutex<()> = Mutex::new(());
    let (Some(layer), Some(slot)) = (layer(), slot_of_here(index)) else { return false };
    let closing = CLOSING.lock().unwrap_or_else(PoisonError::into_inner);
    if !slot.state().open || slot.state().kind != Kind::Handle {
        return false;
    }
    let inner = HPy { _i: slot.inner.load(Relaxed) };
    Thread::here().close(index, slot, slot::Mark { by: NOBODY, ip: 0 }, u32::MAX);
    drop(closing);
    // SAFETY: the handle was open.
    unsafe { ((*layer.inner).ctx_Close)(layer.inner, inner) };
    true
}

/// What runs in place of the policy, as in 0.9.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callback {
    InvalidHandle,
    InvalidBuilder,
}

/// One that is set: a handle of the inner context of an interpreter's layers.
struct Callable {
    interpreter: u16,
    which: Callback,
    handle: isize,
}

static CALLBACKS: Mutex<Vec<Callable>> = Mutex::new(Vec::new());

impl Callable {
    fn is(&self, which: Callback) -> bool {
        self.which == which && self.interpreter == interpreter::here()
    }
}

/// Sets or, with null, removes a callback of this interpreter.
///
/// # Safety
/// The handle is of the context `inner`, and becomes ours; the caller holds the interpreter.
pub unsafe fn set_callback(inner: *mut HPyContext, which: Callback, callable: HPy) {
    let mut callbacks = CALLBACKS.lock().unwrap_or_else(PoisonError::into_inner);
    let old = callbacks.iter().position(|each| each.is(which)).map(|index| callbacks.swap_remove(index));
    if !callable.is_null() {
        callbacks.push(Callable { interpreter: interpreter::here(), which, handle: callable._i });
    }
    // Closing it may run code that comes here.
    drop(callbacks);
    if let Some(old) = old {
        // SAFETY: it was ours.
        unsafe { ((*inner).ctx_Close)(inner, HPy { _i: old.handle }) };
    }
}

/// Removes this interpreter's callbacks, as it ends.
///
/// # Safety
/// The caller holds the interpreter.
unsafe fn forget_callbacks() {
    let Some(layer) = layer() else { return };
    for which in [Callback::InvalidHandle, Callback::InvalidBuilder] {
        // SAFETY: as this function's.
        unsafe { set_callback(layer.inner, which, HPy::NULL) };
    }
}

/// This interpreter's callback for a misuse, as a handle of the inner context, which is the caller's.
///
/// # Safety
/// The caller holds the interpreter.
pub(crate) unsafe fn callback_for(inner: *mut HPyContext, misuse: Misuse) -> Option<HPy> {
    let which = match misuse {
        Misuse::BuilderUsedUp => Callback::InvalidBuilder,
        Misuse::UseAfterClose
        | Misuse::ClosedTwice
        | Misuse::ArgumentClosed
        | Misuse::ConstantClosed
        | Misuse::BorrowedReturned
        | Misuse::ArgumentKept => Callback::InvalidHandle,
        _ => return None,
    };
    let callbacks = CALLBACKS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = callbacks.iter().find(|each| each.is(which))?;
    // SAFETY: as this function's; it is kept as long as the lock is held.
    Some(unsafe { ((*inner).ctx_Dup)(inner, HPy { _i: found.handle }) })
}

/// Calls a callback, and closes it.
///
/// # Safety
/// The caller holds the interpreter.
pub(crate) unsafe fn call(inner: *mut HPyContext, callback: HPy) {
    // SAFETY: as this function's.
    unsafe {
        let result = ((*inner).ctx_CallTupleDict)(inner, callback, HPy::NULL, HPy::NULL);
        if result.is_null() {
            report::print("HPy debug mode: the callback for invalid handles failed");
            ((*inner).ctx_Err_WriteUnraisable)(inner, callback);
        } else {
            ((*inner).ctx_Close)(inner, result);
        }
        ((*inner).ctx_Close)(inner, callback);
    }
}

/// Something that an extension has not closed.
pub struct Leak {
    pub identifier: &'static str,
    pub text: String,
    /// Of the inner context, and the caller's; null if there is no object.
    pub object: HPy,
}

/// Open handles, builders, trackers and buffers of a generation and later ones.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn leaks(generation: i64) -> Vec<Leak> {
    let Some(layer) = layer() else { return Vec::new() };
    // The objects first, as long as they are there.
    let mut found = Vec::new();
    for (misuse, _, slot) in left_open(generation) {
        let is_handle = misuse == Misuse::LeakedHandle;
        // SAFETY: as this function's.
        let object = if is_handle { unsafe { object_of(layer, slot) } } else { HPy::NULL };
        if !is_handle || !object.is_null() {
            found.push((misuse, slot, object));
        }
    }
    let leak = |report: Report, object| Leak { identifier: report.misuse.identifier(), text: report.text(), object };
    let in_slots = found.into_iter().map(|(misuse, slot, object)| leak(leak_report(misuse, slot), object));
    let buffers = structs::open_buffers(beginning(generation));
    in_slots.chain(buffers.iter().map(|buffer| leak(buffer_report(buffer), HPy::NULL))).collect()
}

fn buffer_report(buffer: &structs::Buffer) -> Report {
    let detail = format!("a buffer that {} filled has not been released", buffer.by.name);
    Report { caller: buffer.by.name.clone(), ip: buffer.by.address + 1, ..Report::new(Misuse::LeakedBuffer, detail) }
}

fn leak_report(misuse: Misuse, slot: &Slot) -> Report {
    let event = trouble::opened(slot);
    let what = match misuse {
        Misuse::LeakedBuilder => "a builder",
        Misuse::LeakedTracker => "a tracker",
        _ => "a handle",
    };
    let whose = if event.caller.is_empty() { String::new() } else { format!(" by {}", event.caller) };
    let mut report = Report::new(misuse, format!("{what} was left open{whose}"));
    report.caller = event.caller.clone();
    report.ip = event.ip;
    report.opened = Some(event);
    report
}

/// Records everything that is still open in this interpreter, and gives the summary: for its end.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn finish() -> Option<String> {
    for (misuse, _, slot) in left_open(0) {
        policy::record(&leak_report(misuse, slot));
    }
    // What an object of Python holds is nobody's leak: many live until the end.
    let buffers = structs::open_buffers(0);
    let objects: Vec<_> = buffers.iter().map(|buffer| buffer.object).collect();
    if let Some(layer) = layer().filter(|_| !objects.is_empty()) {
        // SAFETY: as this function's; the objects are alive.
        let held = unsafe { (layer.host.holds_buffers)(&objects) };
        for (buffer, _) in buffers.iter().zip(held).filter(|(_, held)| !held) {
            policy::record(&buffer_report(buffer));
        }
    }
    if interpreter::are_several() {
        // SAFETY: as this function's.
        unsafe { forget_callbacks() };
    }
    let mut text = take_reports();
    text.extend(policy::summary());
    (!text.is_empty()).then(|| text.join("\n"))
}

/// A layer of this interpreter.
pub(crate) fn layer() -> Option<&'static Layer> {
    let here = interpreter::here();
    layers().iter().find(|layer| layer.interpreter == here).copied()
}

/// Something read or wrote a copy of a string that it must not: reports it, and ends the process.
pub(crate) unsafe fn fault(address: usize, write: Option<bool>, ip: usize) -> ! {
    // The thread may hold a slot itself, and the process ends anyway.
    slot::PARALLEL.store(false, Relaxed);
    let (misuse, tag, what) = match memory::find(address) {
        memory::Found::Closed { tag, .. } if write != Some(true) => {
            (Misuse::DataAfterClose, Some(tag), "the buffer of a closed handle was read")
        }
        memory::Found::Closed { tag, .. } => {
            (Misuse::DataAfterClose, Some(tag), "the buffer of a closed handle was written")
        }
        memory::Found::Open { tag, .. } => (Misuse::DataWritten, Some(tag), "a read-only buffer was written"),
        memory::Found::Not => (Misuse::DataAfterClose, None, "a buffer of debug mode was used"),
    };
    let mut report = Report::new(misuse, what.to_string());
    if let Some(frame) = Thread::known().and_then(Thread::current) {
        report.caller = frame.function().map(|function| function.name.clone()).unwrap_or_default();
    }
    report.stack = place::capture(16);
    // It may have been a function of libc's that the extension has called.
    let function = Thread::known().and_then(Thread::current).and_then(|frame| frame.function());
    report.ip = place::within(ip.wrapping_add(1), &report.stack, function.map_or(0, |function| function.address));
    if let Some(slot) = tag.and_then(|tag| slot::get(tag as u32)) {
        report.opened = Some(trouble::opened(slot));
        report.function = trouble::name_of((tag.unwrap_or(0) >> 32) as u16);
        if !slot.state().open {
            report.closed = Some(trouble::closed(slot));
            report.object = crate::summary::of_closed(slot);
        }
    }
    policy::record(&report);
    report::print_last(report.text());
    std::process::abort()
}
