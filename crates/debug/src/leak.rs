//! What is left open.

use hpy_layer::inner::InnerHandle;

use crate::autogen_misuses::Misuse;
use crate::layer::Layer;
use crate::report::Report;
use crate::slot::Slot;
use crate::{callback, incident, inspect, interpreter, open_buffers, policy};

/// Something that an extension has not closed.
pub struct Leak {
    pub identifier: &'static str,
    pub text: String,
    /// Of the inner context, and the caller's; null if there is no object.
    pub object: InnerHandle,
}

/// Open handles, builders, trackers and buffers of a generation and later ones.
///
/// # Safety
/// The caller holds the interpreter.
pub unsafe fn leaks(generation: i64) -> Vec<Leak> {
    let Some(layer) = Layer::current() else { return Vec::new() };
    // The objects first, as long as they are there.
    let mut found = Vec::new();
    for (misuse, _, slot) in inspect::left_open(generation) {
        let is_handle = misuse == Misuse::LeakedHandle;
        // SAFETY: as this function's.
        let object = if is_handle { unsafe { layer.object_of(slot) } } else { InnerHandle::NULL };
        if !is_handle || !object.is_null() {
            found.push((misuse, slot, object));
        }
    }
    let leak = |report: Report, object| Leak { identifier: report.misuse.identifier(), text: report.text(), object };
    let in_slots = found.into_iter().map(|(misuse, slot, object)| leak(leak_report(misuse, slot), object));
    let buffers = open_buffers::since(inspect::beginning(generation));
    in_slots.chain(buffers.iter().map(|buffer| leak(buffer_report(buffer), InnerHandle::NULL))).collect()
}

fn buffer_report(buffer: &open_buffers::Buffer) -> Report {
    let detail = format!("a buffer that {} filled has not been released", buffer.by.name);
    Report { caller: buffer.by.name.clone(), ip: buffer.by.address + 1, ..Report::new(Misuse::LeakedBuffer, detail) }
}

fn leak_report(misuse: Misuse, slot: &Slot) -> Report {
    let event = incident::opened(slot);
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
    for (misuse, _, slot) in inspect::left_open(0) {
        policy::record(&leak_report(misuse, slot));
    }
    // What an object of Python holds is nobody's leak: many live until the end.
    let buffers = open_buffers::since(0);
    let objects: Vec<_> = buffers.iter().map(|buffer| buffer.object).collect();
    if let Some(layer) = Layer::current().filter(|_| !objects.is_empty()) {
        // SAFETY: as this function's; the objects are alive.
        let held = unsafe { (layer.host.holds_buffers)(&objects) };
        for (buffer, _) in buffers.iter().zip(held).filter(|(_, held)| !held) {
            policy::record(&buffer_report(buffer));
        }
    }
    if interpreter::are_several() {
        // SAFETY: as this function's.
        unsafe { callback::forget_all() };
    }
    let mut text = inspect::take_reports();
    text.extend(policy::summary());
    (!text.is_empty()).then(|| text.join("\n"))
}
