//! A [fault](crate::fault) becomes a report.

use core::sync::atomic::Ordering::*;

use hpy_layer::place;

use crate::autogen_misuses::Misuse;
use crate::call::name_of;
use crate::report::{self, Report};
use crate::thread::Thread;
use crate::{incident, memory, policy, slot};

/// Something read or wrote a copy of a string that it must not: reports it, and ends the process.
pub unsafe fn fault(address: usize, write: Option<bool>, ip: usize) -> ! {
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
        report.opened = Some(incident::opened(slot));
        report.function = name_of((tag.unwrap_or(0) >> 32) as u16);
        if !slot.state().open {
            report.closed = Some(incident::closed(slot));
            report.object = Thread::object_of_closed(slot);
        }
    }
    policy::record(&report);
    report::print_last(report.text());
    std::process::abort()
}
