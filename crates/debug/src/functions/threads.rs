//! Leaving the interpreter and coming back.

use core::sync::atomic::Ordering::*;

use hpy_abi::runtime::Thread;
use hpy_abi::*;

use crate::Debug;
use crate::autogen_misuses::Misuse;
use crate::call::Call;
use crate::slot::{self, Kind};
use crate::thread::LEFT;
use hpy_layer::member;

impl Thread for Debug {
    unsafe extern "C" fn ctx_LeavePythonExecution(ctx: *mut HPyContext) -> HPyThreadState {
        // SAFETY: the context is one of ours; the list is the thread's own.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_LeavePythonExecution) else { return HPyThreadState::NULL };
            let Some((token, slot)) = call.open(Kind::ThreadState, 0) else {
                return HPyThreadState::NULL;
            };
            (*call.thread.left.get()).push(token.encode());
            call.thread.flags.fetch_or(LEFT, Relaxed);
            let inner = call.inner.ctx_LeavePythonExecution();
            slot.inner.store(inner._i, Relaxed);
            HPyThreadState { _i: token.encode() }
        }
    }

    unsafe extern "C" fn ctx_ReenterPythonExecution(ctx: *mut HPyContext, state: HPyThreadState) {
        // SAFETY: the context is one of ours; the list is the thread's own; the state is the last one that has not been re-entered.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_ReenterPythonExecution) else { return };
            let left = &mut *call.thread.left.get();
            if left.last() != Some(&state._i) {
                let detail = if left.is_empty() {
                    "HPy_ReenterPythonExecution was called without HPy_LeavePythonExecution"
                } else {
                    "HPy_ReenterPythonExecution got something else than what HPy_LeavePythonExecution returned"
                };
                call.incident(Misuse::LeaveUnbalanced, detail.to_string()).argument(call.function, 0).tell();
                return;
            }
            left.pop();
            let Some((token, slot)) = slot::of(state._i) else { return };
            let inner = HPyThreadState { _i: slot.inner.load(Relaxed) };
            call.inner.ctx_ReenterPythonExecution(inner);
            call.thread.flags.fetch_and(!LEFT, Relaxed);
            call.thread.close(token.index, slot, call.mark(), call.caller());
        }
    }
}
