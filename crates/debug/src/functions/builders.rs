//! Builders: used once, and filled.

use hpy_abi::runtime::Builder;
use hpy_abi::*;

use crate::Debug;
use crate::autogen_misuses::Misuse;
use crate::call::Call;
use crate::slot::{self, Kind, Slot};
use hpy_layer::member;

/// What stands for a new builder; 0 for one that could not be made, or for which there is no memory here.
unsafe fn opened(call: Call, kind: Kind, inner: isize, size: HPy_ssize_t, cancel: impl FnOnce()) -> isize {
    if inner == 0 {
        return 0;
    }
    let count = size.max(0).cast_unsigned();
    let mut filled = Vec::new();
    if filled.try_reserve_exact(count).is_ok()
        && let Some((token, slot)) = call.open(kind, inner)
    {
        filled.resize(count, false);
        slot.change_attachment(|attachment| {
            attachment.size = size;
            attachment.filled = filled;
        });
        return token.encode();
    }
    cancel();
    0
}

/// An open builder's slot. None for the null builder, and after a report.
fn builder(call: Call, kind: Kind, value: isize) -> Option<(u32, &'static Slot)> {
    if value == 0 {
        return None;
    }
    let found = slot::of(value);
    let Some((token, slot)) = found else { return call.refuse(value, 0, "builder") };
    let state = slot.state();
    if state.generation != token.generation || state.kind == kind && !state.open {
        let story = (state.generation == token.generation).then_some(slot);
        call.complain(Misuse::BuilderUsedUp, "a builder that has been built or cancelled", 0, story);
        return None;
    }
    // One that another thread has opened is no more usable than another thing.
    if state.kind != kind || !call.is_here(state) {
        return call.refuse(value, 0, "builder");
    }
    Some((token.index, slot))
}

/// Whether the item at this index can be set, in a builder that is open.
fn can_be_set(call: Call, slot: &'static Slot, index: HPy_ssize_t) -> bool {
    let (was_filled, size) = slot.change_attachment(|attachment| {
        let filled = attachment.filled.get_mut(index.cast_unsigned());
        (filled.map(|filled| core::mem::replace(filled, true)), attachment.size)
    });
    match was_filled {
        Some(false) => true,
        Some(true) => {
            let what = format!("index {index}, which has been set before,");
            call.complain(Misuse::BuilderIndex, &what, 1, Some(slot))
        }
        None => {
            let what = format!("index {index} for a builder of size {size}");
            call.complain(Misuse::BuilderIndex, &what, 1, Some(slot));
            false
        }
    }
}

/// Whether all items have been set. What has not been is None afterwards, as nobody could look at the object otherwise.
fn is_full(call: Call, slot: &'static Slot, mut fill: impl FnMut(HPy_ssize_t)) -> bool {
    let next_empty = |from: usize| {
        slot.look_at_attachment(|attachment| {
            let filled = attachment.and_then(|attachment| attachment.filled.get(from..))?;
            filled.iter().position(|filled| !*filled).map(|index| from + index)
        })
    };
    let Some(first) = next_empty(0) else { return true };
    let what = format!("a builder without an item at index {first}");
    let go_on = call.complain(Misuse::BuilderIndex, &what, 0, Some(slot));
    let mut next = Some(first);
    while let Some(index) = next {
        fill(index.cast_signed());
        next = next_empty(index + 1);
    }
    go_on
}

macro_rules! builders {
    ($kind:expr, $handle:ident, $field:ident: $new:ident, $set:ident, $build:ident, $cancel:ident) => {
        unsafe extern "C" fn $new(ctx: *mut HPyContext, size: HPy_ssize_t) -> $handle {
            // SAFETY: the context is one of ours.
            unsafe {
                let Some(call) = Call::enter(ctx, member::$new) else { return $handle::NULL };
                if !call.at_least(size, 0, 0) {
                    return $handle::NULL;
                }
                let inner = call.inner.$new(size).$field;
                let cancel = || call.inner.$cancel($handle { $field: inner });
                $handle { $field: opened(*call, $kind, inner, size, cancel) }
            }
        }

        unsafe extern "C" fn $set(ctx: *mut HPyContext, own: $handle, index: HPy_ssize_t, h_item: HPy) {
            // SAFETY: the context is one of ours; builder, index and item have been checked.
            unsafe {
                let Some(call) = Call::enter(ctx, member::$set) else { return };
                let Some(item) = call.handle(h_item, 2) else { return };
                let Some((_, slot)) = builder(*call, $kind, own.$field) else { return };
                if can_be_set(*call, slot, index) {
                    let inner = $handle { $field: slot.inner.load(core::sync::atomic::Ordering::Relaxed) };
                    call.inner.$set(inner, index, item);
                }
            }
        }

        unsafe extern "C" fn $build(ctx: *mut HPyContext, own: $handle) -> HPy {
            // SAFETY: the context is one of ours, and the builder has been checked.
            unsafe {
                let Some(call) = Call::enter(ctx, member::$build) else { return HPy::NULL };
                let Some((index, slot)) = builder(*call, $kind, own.$field) else {
                    // As for one that could not be made, unless there is an exception already.
                    call.has_failed();
                    if call.inner.ctx_Err_Occurred() == 0 {
                        call.inner.$build($handle::NULL);
                    }
                    return HPy::NULL;
                };
                let inner = $handle { $field: slot.inner.load(core::sync::atomic::Ordering::Relaxed) };
                let none = call.inner.constant(|ctx| ctx.h_None);
                let full = is_full(*call, slot, |index| call.inner.$set(inner, index, none));
                call.thread.close(index, slot, call.mark(), call.caller());
                if !full {
                    call.inner.$cancel(inner);
                    call.has_failed();
                    return HPy::NULL;
                }
                call.opened(call.inner.$build(inner))
            }
        }

        unsafe extern "C" fn $cancel(ctx: *mut HPyContext, own: $handle) {
            // SAFETY: the context is one of ours, and the builder has been checked.
            unsafe {
                let Some(call) = Call::enter(ctx, member::$cancel) else { return };
                let Some((index, slot)) = builder(*call, $kind, own.$field) else { return };
                let inner = $handle { $field: slot.inner.load(core::sync::atomic::Ordering::Relaxed) };
                call.thread.close(index, slot, call.mark(), call.caller());
                call.inner.$cancel(inner);
            }
        }
    };
}

impl Builder for Debug {
    builders!(Kind::ListBuilder, HPyListBuilder, _lst: ctx_ListBuilder_New, ctx_ListBuilder_Set, ctx_ListBuilder_Build, ctx_ListBuilder_Cancel);
    builders!(Kind::TupleBuilder, HPyTupleBuilder, _tup: ctx_TupleBuilder_New, ctx_TupleBuilder_Set, ctx_TupleBuilder_Build, ctx_TupleBuilder_Cancel);
}
