//! Trackers: they hold handles of the extension's, and close them as HPy_Close does.

use core::ffi::c_int;

use hpy_abi::runtime::Tracker;
use hpy_abi::*;

use crate::Debug;
use crate::autogen_misuses::Misuse;
use crate::call::Call;
use crate::slot::{self, Kind, Slot};
use hpy_layer::member;

/// An open tracker's slot. None after a report.
fn tracker(call: Call, ht: HPyTracker) -> Option<(u32, &'static Slot)> {
    let found = slot::of(ht._i);
    let Some((token, slot)) = found else { return call.refuse(ht._i, 0, "tracker") };
    let state = slot.state();
    if state.generation != token.generation || state.kind == Kind::Tracker && !state.open {
        let story = (state.generation == token.generation).then_some(slot);
        call.complain(Misuse::TrackerClosed, "a closed tracker", 0, story);
        return call.cannot(Misuse::TrackerClosed);
    }
    if state.kind != Kind::Tracker || !call.is_here(state) {
        return call.refuse(ht._i, 0, "tracker");
    }
    Some((token.index, slot))
}

impl Tracker for Debug {
    unsafe extern "C" fn ctx_Tracker_New(ctx: *mut HPyContext, size: HPy_ssize_t) -> HPyTracker {
        // SAFETY: the context is one of ours; the inner tracker is closed at once, and only made to fail as it would.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Tracker_New) else { return HPyTracker::NULL };
            if !call.at_least(size, 0, 0) {
                call.has_failed();
                return HPyTracker::NULL;
            }
            let inner = call.inner.ctx_Tracker_New(size);
            if inner._i == 0 {
                call.has_failed();
                return HPyTracker::NULL;
            }
            call.inner.ctx_Tracker_Close(inner);
            let Some((token, _)) = call.open(Kind::Tracker, 0) else {
                call.inner.ctx_Err_NoMemory();
                call.has_failed();
                return HPyTracker::NULL;
            };
            HPyTracker { _i: token.encode() }
        }
    }

    unsafe extern "C" fn ctx_Tracker_Add(ctx: *mut HPyContext, ht: HPyTracker, h: HPy) -> c_int {
        // SAFETY: the context is one of ours; trackers belong to the thread that opened them.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Tracker_Add) else { return -1 };
            let Some((_, tracker)) = tracker(*call, ht) else { return -1 };
            if h.is_null() {
                return 0;
            }
            let Some(_) = call.handle(h, 1) else { return -1 };
            tracker.change_attachment(|attachment| attachment.items.push(h._i));
            0
        }
    }

    unsafe extern "C" fn ctx_Tracker_ForgetAll(ctx: *mut HPyContext, ht: HPyTracker) {
        // SAFETY: the context is one of ours; trackers belong to the thread that opened them.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Tracker_ForgetAll) else { return };
            let Some((_, tracker)) = tracker(*call, ht) else { return };
            tracker.change_attachment(|attachment| attachment.items.clear());
        }
    }

    unsafe extern "C" fn ctx_Tracker_Close(ctx: *mut HPyContext, ht: HPyTracker) {
        // SAFETY: the context is one of ours; trackers belong to the thread that opened them; what is closed was open.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Tracker_Close) else { return };
            let Some((index, tracker)) = tracker(*call, ht) else { return };
            let items = tracker.change_attachment(|attachment| core::mem::take(&mut attachment.items));
            call.thread.close(index, tracker, call.mark(), call.caller());
            let mut closed = Vec::with_capacity(items.len());
            for value in items {
                let Some((token, slot)) = slot::of(value) else { continue };
                let state = slot.state();
                let current = state.generation == token.generation;
                if current && state.open && state.kind == Kind::Handle && call.is_here(state) {
                    closed.push(call.close(token.index, slot));
                } else if current && matches!(state.kind, Kind::Constant | Kind::Argument) {
                    let (misuse, what) = match state.kind {
                        Kind::Constant => (Misuse::ConstantClosed, "a constant of the context"),
                        _ => (Misuse::ArgumentClosed, "an argument, which belongs to the caller"),
                    };
                    call.incident(misuse, format!("HPyTracker_Close was to close {what}")).about(slot).tell();
                } else {
                    let what = "a handle that has been closed by hand";
                    let detail = format!("HPyTracker_Close found {what}");
                    call.incident(Misuse::ClosedByTracker, detail).about(current.then_some(slot)).tell();
                }
            }
            // The last references go at the end: that can run code.
            for inner in closed {
                call.inner.ctx_Close(inner);
            }
        }
    }
}
