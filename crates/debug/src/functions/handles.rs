//! Handles and objects of the old C API.

use core::ffi::c_int;

use hpy_abi::runtime::{Handle, Legacy};
use hpy_abi::*;

use crate::Debug;
use crate::autogen_functions::checked_handle;
use crate::autogen_misuses::Misuse;
use crate::call::Call;
use crate::slot::{self, Kind, Slot};
use hpy_layer::member;

/// The slot of a handle that is about to be closed. None if it is not to be, which has been reported.
fn to_close(call: Call, h: HPy, position: usize) -> Option<(u32, &'static Slot)> {
    let found = slot::of(h._i);
    if let Some((token, slot)) = found
        && slot.is_open_handle(token.generation, call.thread.origin())
        && slot.state().kind == Kind::Handle
    {
        return Some((token.index, slot));
    }
    let Some((token, slot)) = found.filter(|(token, slot)| slot.state().generation == token.generation) else {
        return call.refuse(h._i, position, "handle");
    };
    let state = slot.state();
    let (misuse, what) = match (state.kind, state.open) {
        (Kind::Constant, _) => (Misuse::ConstantClosed, "a constant of the context"),
        (Kind::Argument, true) => (Misuse::ArgumentClosed, "an argument, which belongs to the caller,"),
        (Kind::Argument, false) => (Misuse::ArgumentKept, "an argument of a call that has returned"),
        (Kind::Handle, false) if slot.closed().by == member::ctx_Tracker_Close => {
            (Misuse::ClosedByTracker, "a handle that its tracker has closed")
        }
        (Kind::Handle, false) if slot.order.load(core::sync::atomic::Ordering::Relaxed) != 0 => {
            (Misuse::ClosedTwice, "a handle that is closed already")
        }
        _ => return call.refuse(token.encode(), position, "handle"),
    };
    call.complain(misuse, what, position, Some(slot));
    None
}

impl Handle for Debug {
    checked_handle!();

    unsafe extern "C" fn ctx_Close(ctx: *mut HPyContext, h: HPy) {
        // SAFETY: the context is one of ours; what is closed was open.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Close) else { return };
            if h.is_null() {
                return;
            }
            if let Some((index, slot)) = to_close(*call, h, 0) {
                let inner = call.close(index, slot);
                call.inner.ctx_Close(inner);
            }
        }
    }
}

impl Legacy for Debug {
    unsafe extern "C" fn ctx_FromPyObject(ctx: *mut HPyContext, obj: *mut cpy_PyObject) -> HPy {
        // SAFETY: the context is one of ours; the object is for the extension to vouch for.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_FromPyObject) else { return HPy::NULL };
            call.may_have_raised();
            call.opened_or_null(call.inner.ctx_FromPyObject(obj))
        }
    }

    unsafe extern "C" fn ctx_AsPyObject(ctx: *mut HPyContext, h: HPy) -> *mut cpy_PyObject {
        // SAFETY: the context is one of ours, and the handle has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_AsPyObject) else { return core::ptr::null_mut() };
            call.may_have_raised();
            let Some(h) = call.handle_or_null(h, 0) else { return core::ptr::null_mut() };
            call.inner.ctx_AsPyObject(h)
        }
    }
}
