//! What the Python side asks and sets.

use core::sync::atomic::Ordering::*;
use std::sync::{Mutex, PoisonError};

use hpy_abi::*;

use hpy_layer::inner::InnerHandle;
use hpy_layer::place;

use crate::attachment::Attachment;
use crate::autogen_misuses::Misuse;
use crate::layer::Layer;
use crate::policy;
use crate::report::{Event, Report};
use crate::slot::{self, Kind, NOBODY, Slot};
use crate::thread::{CLOSED_LIMIT, ENOUGH_CLOSED, GENERATION, GENERATION_SHIFT, Thread};

use crate::{deferred, fields, incident, interpreter, limits, memory, thread};

/// Applies what the environment variable HPY_DEBUG says.
pub fn configure(text: &str) -> Result<(), String> {
    policy::configure(text)?;
    let settings = policy::settings();
    // What has been set from Python stays if nothing is said here.
    if let Some(traces) = settings.traces() {
        limits::TRACES.store(traces, Relaxed);
    }
    memory::set_always(settings.all_strings());
    Ok(())
}

/// The innermost context's handle behind one of `ctx`, which may be one of debug mode or not. Null for what is no open handle there.
///
/// # Safety
/// The context is complete; the handle is one that it was called with.
pub unsafe fn innermost(ctx: *mut HPyContext, h: HPy) -> InnerHandle {
    // SAFETY: as this function's. Constants of debug mode are handles of its own.
    if unsafe { slot::of((*ctx).h_None._i) }.is_none() {
        return InnerHandle::of(h);
    }
    let is_open =
        |&(token, slot): &(slot::Token, &Slot)| slot.is_open_handle(token.generation, Thread::here().origin());
    slot::of(h._i)
        .filter(is_open)
        .map_or(InnerHandle::NULL, |(_, slot)| InnerHandle::from_word(slot.inner.load(Relaxed)))
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

/// The reports that have become exceptions since this was last asked, while [`policy::override_action`] was in force.
pub fn take_raised() -> Vec<String> {
    policy::take_raised().iter().map(Report::text).collect()
}

/// Misuses that were to be raised, and had no chance yet.
pub fn take_reports() -> Vec<String> {
    deferred::take().iter().map(Report::text).collect()
}

/// Starts a generation, and gives its number.
pub fn new_generation() -> i64 {
    (GENERATION.fetch_add(1, AcqRel) + 1).cast_signed()
}

/// The least order number of a generation.
pub(crate) fn beginning(generation: i64) -> u64 {
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
pub(crate) fn left_open(generation: i64) -> impl Iterator<Item = (Misuse, u32, &'static Slot)> {
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
    limits::RAW_DATA_LIMIT.load(Relaxed)
}

pub fn set_raw_data_limit(limit: usize) {
    limits::RAW_DATA_LIMIT.store(limit, Relaxed);
}

pub fn trace_limit() -> usize {
    limits::TRACES.load(Relaxed)
}

pub fn set_trace_limit(limit: usize) {
    limits::TRACES.store(limit, Relaxed);
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
    let copies = slot.look_at_attachment(|attachment| attachment.map_or(0, Attachment::size_of_copies));
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
pub unsafe fn object(index: u32) -> InnerHandle {
    match (Layer::current(), slot_of_here(index)) {
        // SAFETY: as this function's.
        (Some(layer), Some(slot)) => unsafe { layer.object_of(slot) },
        _ => InnerHandle::NULL,
    }
}

/// The `repr()` of an object, as far as it can be had.
///
/// # Safety
/// The handle is one of the context below layers, and open; the caller holds the interpreter.
pub unsafe fn repr(object: InnerHandle) -> String {
    // SAFETY: as this function's.
    Layer::current().map_or_else(String::new, |layer| unsafe { (layer.host.repr)(object) })
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
    let mut text = line("opened", &incident::opened(slot));
    if !slot.state().open {
        text = format!("{text}\n{}", line("closed", &incident::closed(slot)));
    }
    text
}

/// Closes a handle that an extension left open. False if somebody else has.
///
/// # Safety
/// The caller holds the interpreter, and the extension does not use the handle any more.
pub unsafe fn force_close(index: u32) -> bool {
    /// One at a time.
    static CLOSING: Mutex<()> = Mutex::new(());
    let (Some(layer), Some(slot)) = (Layer::current(), slot_of_here(index)) else { return false };
    let closing = CLOSING.lock().unwrap_or_else(PoisonError::into_inner);
    if !slot.state().open || slot.state().kind != Kind::Handle {
        return false;
    }
    let inner = InnerHandle::from_word(slot.inner.load(Relaxed));
    Thread::here().close(index, slot, slot::Mark { by: NOBODY, ip: 0 }, u32::MAX);
    drop(closing);
    // SAFETY: the handle was open.
    unsafe { layer.inner.ctx_Close(inner) };
    true
}
