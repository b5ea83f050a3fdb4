//! Python calls a function of the extension.
//!
//! The binary's trampoline asks our context for it, we ask the inner one for an entry of ours with the same signature
//! (`autogen_upcalls.rs`), and that one calls the extension's function, with a context and handles for this call only.

use core::ffi::{c_char, c_int, c_void};
use core::mem::{MaybeUninit, transmute};
use core::sync::atomic::Ordering::*;
use std::sync::PoisonError;

use hpy_abi::*;

use crate::autogen_misuses::Misuse;
use crate::incident::{Incident, Next};
use crate::layer::Layer;
use crate::report::Report;
use crate::slot::{self, ARGUMENT, Kind, Mark, NOBODY, RETURN, Slot};
use crate::thread::{Frame, HYBRID, PENDING, Thread};
use crate::{arguments, buffers, call, deferred, interpreter, limits, open_buffers, type_slots};
use hpy_layer::inner::{InnerContext, InnerHandle};
use hpy_layer::names::{self, Function};
use hpy_layer::upcall::{self, Number, Request, Requests, Upcall as _};
use hpy_layer::upcall_of;

/// How what is closed here is closed.
const RETURNED: Mark = Mark { by: RETURN, ip: 0 };

/// Arguments beyond these are kept on the heap.
const FEW: usize = 8;

/// So many calls of a function have to leave handles open before that is called growth.
const GROWTH: u32 = 1000;

/// A call of an extension's function.
pub struct Upcall {
    requests: Requests,
    layer: &'static Layer,
    thread: &'static Thread,
    frame: &'static Frame,
    described: &'static Function,
    /// The slots of the arguments.
    count: usize,
    few: [MaybeUninit<u32>; FEW],
    many: Vec<u32>,
    /// The array of arguments.
    items: [MaybeUninit<HPy>; FEW],
    more_items: Vec<HPy>,
    leaves: usize,
}

/// `_HPy_CallRealFunctionFromTrampoline`
///
/// # Safety
/// Called by a trampoline, with what belongs to the signature.
pub unsafe fn from_trampoline(
    ctx: *mut HPyContext,
    signature: HPyFunc_Signature,
    function: HPyCFunction,
    args: *mut c_void,
) {
    // SAFETY: a context of ours has its frame there, which has a layer; both are never freed.
    unsafe {
        let frame = &*(*ctx)._private.cast::<Frame>();
        let Some(layer) = frame.layer().map(Layer::here) else { return };
        let entry = match signature {
            HPyFunc_GETBUFFERPROC => transmute::<HPyFunc_getbufferproc, HPyCFunction>(Some(get_buffer)),
            HPyFunc_RELEASEBUFFERPROC => transmute::<HPyFunc_releasebufferproc, HPyCFunction>(Some(release_buffer)),
            HPyFunc_CAPSULE_DESTRUCTOR => transmute::<HPyFunc_Capsule_Destructor, HPyCFunction>(Some(destroy_capsule)),
            // It has no context, and type_slots::traverse is what the runtime has been given.
            HPyFunc_TRAVERSEPROC | HPyFunc_DESTROYFUNC => function,
            _ => upcall_of::<Upcall>(signature),
        };
        upcall::ask(layer.level, Request { function, layer: core::ptr::from_ref(layer).cast() });
        let inner = layer.inner;
        // A signature that we do not know, the inner runtime does not know either.
        inner.ctx_CallRealFunctionFromTrampoline(signature, entry, args);
    }
}

impl upcall::Upcall for Upcall {
    #[inline(always)]
    unsafe fn begin(_inner: InnerContext) -> Upcall {
        let thread = Thread::here();
        let requests = upcall::asked();
        // SAFETY: `from_trampoline` has just asked, on this thread.
        let layer = unsafe { &*requests.own().layer.cast::<Layer>() };
        let described = names::function(requests.extensions().map_or(0, |function| function as usize));
        let frame = thread.push(layer, described);
        if interpreter::are_several() {
            thread.set_interpreter(layer.interpreter);
        }
        // SAFETY: the list is the thread's own.
        let leaves = unsafe { (*thread.left.get()).len() };
        Upcall {
            requests,
            layer,
            thread,
            frame,
            described,
            count: 0,
            few: [const { MaybeUninit::uninit() }; FEW],
            many: Vec::new(),
            items: [const { MaybeUninit::uninit() }; FEW],
            more_items: Vec::new(),
            leaves,
        }
    }

    #[inline(always)]
    fn enters(&self) {
        if self.has_exception() {
            self.called_with_exception();
        }
    }

    #[inline(always)]
    fn function(&self) -> HPyCFunction {
        self.requests.own().function
    }

    #[inline(always)]
    fn context(&self) -> *mut HPyContext {
        self.requests.put_back();
        self.frame.context.get()
    }

    /// A handle for the length of the call. Null stays null.
    #[inline(always)]
    fn argument(&mut self, inner: InnerHandle, position: u16) -> HPy {
        if inner.is_null() {
            return HPy::NULL;
        }
        let mark = Mark { by: ARGUMENT + position, ip: 0 };
        let Some((token, slot)) = self.thread.open(Kind::Argument, inner.word(), mark, self.described.id) else {
            self.out_of_slots();
        };
        if limits::TRACES.load(Relaxed) != 0 {
            self.remember(slot);
        }
        match self.few.get_mut(self.count) {
            Some(place) => {
                place.write(token.index);
            }
            None => self.many.push(token.index),
        }
        self.count += 1;
        HPy { _i: token.encode() }
    }

    /// Handles for an array, which is followed by the values of the names. Lives as long as this.
    #[inline(always)]
    unsafe fn arguments(&mut self, args: *const InnerHandle, count: usize, names: InnerHandle) -> *const HPy {
        let mut total = count;
        if !names.is_null() {
            let inner = self.layer.inner;
            // SAFETY: the runtime passes a tuple.
            total += unsafe { inner.ctx_Length(names) }.max(0).cast_unsigned();
        }
        if total <= FEW {
            for index in 0..total {
                // SAFETY: the array has as many.
                let h = self.argument(unsafe { *args.add(index) }, 1 + index as u16);
                self.items[index].write(h);
            }
            return self.items.as_ptr().cast();
        }
        for index in 0..total {
            // SAFETY: the array has `total` handles.
            let h = self.argument(unsafe { *args.add(index) }, 1 + index.min(0x3F0) as u16);
            self.more_items.push(h);
        }
        self.more_items.as_ptr()
    }

    fn finish(&mut self) {
        if self.end() {
            // There is nobody to raise it to; the next call will.
            self.put_off();
        } else if self.thread.flags.load(Relaxed) & (PENDING | HYBRID) != 0 && self.has_exception() {
            self.success_with_exception();
        }
        self.leave();
    }

    /// The result for the inner runtime, which owns it.
    #[inline(always)]
    fn finish_handle(&mut self, result: HPy) -> InnerHandle {
        let inner = self.take_result(result);
        let raise = self.end();
        let inner = if raise {
            if !inner.is_null() {
                let context = self.layer.inner;
                // SAFETY: the handle is ours.
                unsafe { context.ctx_Close(inner) };
            }
            InnerHandle::NULL
        } else if inner.is_null() {
            if !self.has_exception() {
                self.failure_without_exception();
                self.raise_deferred();
            }
            inner
        } else if self.thread.flags.load(Relaxed) & (PENDING | HYBRID) != 0
            && self.has_exception()
            && self.success_with_exception()
        {
            self.raise_deferred();
            let context = self.layer.inner;
            // SAFETY: the handle is ours.
            unsafe { context.ctx_Close(inner) };
            InnerHandle::NULL
        } else {
            inner
        };
        self.leave();
        inner
    }

    /// The result for the inner runtime: -1 means failure.
    #[inline(always)]
    fn finish_number<N: Number>(&mut self, result: N, least: N, most: N) -> N {
        if self.agrees(result, least, most) { result } else { N::FAILURE }
    }
}

impl Upcall {
    #[cold]
    fn remember(&self, slot: &'static Slot) {
        // SAFETY: the thread holds the interpreter.
        let python = unsafe { (self.layer.host.python_place)() };
        slot.change_attachment(|attachment| attachment.opened.python = python);
    }

    #[cold]
    fn out_of_slots(&self) -> ! {
        let inner = self.layer.inner;
        // SAFETY: the function does not return.
        unsafe { inner.ctx_FatalError(c"HPy debug mode is out of memory for handles".as_ptr()) };
        std::process::abort()
    }

    /// The function has returned: its arguments end.
    #[inline(always)]
    fn close_arguments(&mut self) {
        for index in self.few.iter().take(self.count) {
            // SAFETY: that many have been written.
            self.close_argument(unsafe { index.assume_init() });
        }
        if self.count > FEW {
            for index in core::mem::take(&mut self.many) {
                self.close_argument(index);
            }
        }
    }

    #[inline(always)]
    fn close_argument(&self, index: u32) {
        if let Some(slot) = slot::get(index) {
            self.close(index, slot);
        }
    }

    /// Closes a handle because the function returns, and gives the inner one.
    #[inline(always)]
    fn close(&self, index: u32, slot: &'static Slot) -> InnerHandle {
        let inner = InnerHandle::from_word(slot.inner.load(Relaxed));
        // SAFETY: they are the thread's own, and the handle is still open.
        unsafe { (*self.thread.closed_objects.get()).take_down(self.layer, slot, inner) };
        self.thread.close(index, slot, RETURNED, self.described.id);
        inner
    }

    #[cold]
    fn incident(&self, misuse: Misuse, detail: String) -> Incident<'static> {
        let mut incident = Incident::of(self.layer, Some(self.thread), Some(self.frame), misuse, detail);
        // Places are return addresses, which lie behind what they are about.
        incident.report.ip = self.described.address + 1;
        incident
    }

    fn name(&self) -> &'static str {
        if self.described.name.is_empty() { "a function without a name" } else { &self.described.name }
    }

    fn has_exception(&self) -> bool {
        let inner = self.layer.inner;
        // SAFETY: the thread holds the interpreter again.
        unsafe { inner.ctx_Err_Occurred() != 0 }
    }

    /// Ends the call. True if it has to end with an exception, which is set.
    #[inline(always)]
    fn end(&mut self) -> bool {
        self.thread.runs(self.frame);
        // First, so that the thread holds the interpreter. The list is its own.
        // SAFETY: the list is the thread's own.
        if unsafe { (*self.thread.left.get()).len() } != self.leaves {
            self.unbalanced();
        }
        self.close_arguments();
        if self.thread.open.get() > self.frame.open_before.get() {
            self.leaked();
        }
        let mut raise = self.frame.raised.get();
        if raise || deferred::ARE_THERE.load(Relaxed) {
            raise = self.raise_deferred();
        }
        raise
    }

    /// Ends the call, and lets its context go.
    #[inline(always)]
    fn leave(&mut self) {
        self.thread.pop(self.frame);
    }

    #[cold]
    fn leaked(&self) {
        let count = (self.thread.open.get() - self.frame.open_before.get()) as u32;
        self.described.leaked.fetch_add(count, Relaxed);
        if self.described.leaking_calls.fetch_add(1, Relaxed) + 1 == GROWTH {
            let leaked = self.described.leaked.load(Relaxed);
            let detail = format!("{GROWTH} calls of {} have left {leaked} handles open", self.name());
            // One of them tells where they are opened.
            let own = |slot: &Slot| {
                let state = slot.state();
                state.open && state.kind != Kind::Argument && slot.opener.load(Relaxed) == self.described.id
            };
            let one = slot::all().map(|(_, slot)| slot).find(|slot| own(slot));
            self.incident(Misuse::HandleGrowth, detail).about(one).tell();
        }
    }

    #[cold]
    fn unbalanced(&mut self) {
        let inner = self.layer.inner;
        let detail = format!("{} returned without HPy_ReenterPythonExecution", self.name());
        let mut last = None;
        // SAFETY: the list is the thread's own; its states have been left and not re-entered.
        unsafe {
            while (*self.thread.left.get()).len() > self.leaves {
                let Some(value) = (*self.thread.left.get()).pop() else { break };
                let Some((token, slot)) = slot::of(value) else { break };
                inner.ctx_ReenterPythonExecution(HPyThreadState { _i: slot.inner.load(Relaxed) });
                self.thread.close(token.index, slot, RETURNED, self.described.id);
                last = Some(slot);
            }
        }
        self.thread.flags.fetch_and(!crate::thread::LEFT, Relaxed);
        self.incident(Misuse::LeaveUnbalanced, detail).about(last).tell();
    }

    /// Raises what could not be raised before. True if there is an exception now.
    #[cold]
    fn raise_deferred(&self) -> bool {
        let mut reports = deferred::take();
        let is_own = |report: &mut Report| report.interpreter == self.layer.interpreter;
        let mut deferred = self.thread.deferred.lock().unwrap_or_else(PoisonError::into_inner);
        reports.extend(deferred.extract_if(.., is_own));
        drop(deferred);
        let Some(first) = reports.first() else { return false };
        // SAFETY: the thread holds the interpreter.
        unsafe { (self.layer.host.raise)(first.misuse.identifier(), &first.text()) };
        true
    }

    #[cold]
    fn put_off(&self) {
        let inner = self.layer.inner;
        // SAFETY: the thread holds the interpreter.
        unsafe { inner.ctx_Err_WriteUnraisable(InnerHandle::NULL) };
    }

    #[cold]
    fn called_with_exception(&self) {
        // It has been told where the call was made, or will be by the first function of the API that is called.
        if !self.frame.outer_has_told() {
            let detail = format!("{} was called with an exception pending", self.name());
            self.incident(Misuse::ExceptionPending, detail).pending(slot::Mark { by: NOBODY, ip: 0 }).tell();
        }
        self.thread.flags.fetch_or(PENDING, Relaxed);
        self.frame.raised.set(true);
    }

    #[cold]
    fn success_with_exception(&self) -> bool {
        let detail = format!("{} returned as if it had succeeded, with an exception set", self.name());
        self.incident(Misuse::SuccessWithException, detail).pending(self.frame.failed.get()).tell() == Next::Fail
    }

    #[cold]
    fn failure_without_exception(&self) {
        let detail = format!("{} failed without an exception", self.name());
        self.incident(Misuse::FailureWithoutException, detail).tell();
    }

    /// What the extension returned, as a handle that is ours.
    #[inline(always)]
    fn take_result(&self, result: HPy) -> InnerHandle {
        if result.is_null() {
            return InnerHandle::NULL;
        }
        if let Some((token, slot)) = slot::of(result._i)
            && slot.is_open_handle(token.generation, self.thread.origin())
            && slot.state().kind == Kind::Handle
        {
            return self.close(token.index, slot);
        }
        self.bad_result(result)
    }

    #[cold]
    fn bad_result(&self, result: HPy) -> InnerHandle {
        let context = self.layer.inner;
        let name = self.name();
        let (misuse, what, slot) = self.classify(result._i);
        let next = self.incident(misuse, format!("{name} returned {what}")).about(slot).tell();
        let slot = slot.filter(|slot| matches!(slot.state().kind, Kind::Constant | Kind::Argument | Kind::Handle));
        if let Some(slot) = slot
            && (next == Next::GoOnAnyhow || next == Next::GoOn && call::is_alive(slot))
        {
            // SAFETY: alive, or it is for the user to know that it is.
            return unsafe { context.ctx_Dup(InnerHandle::from_word(slot.inner.load(Relaxed))) };
        }
        if next.goes_on() && !self.has_exception() {
            // Nothing can be returned, so something has to be raised.
            let text = format!("{}: {name} returned {what}", misuse.title());
            // SAFETY: the thread holds the interpreter.
            unsafe { (self.layer.host.raise)(misuse.identifier(), &text) };
        }
        InnerHandle::NULL
    }

    /// What is wrong with a result, which is no open handle of the call's own.
    fn classify(&self, value: isize) -> (Misuse, String, Option<&'static Slot>) {
        let Some((token, slot)) = slot::of(value) else {
            let (misuse, what) = arguments::foreign(self.layer, value, "handle");
            return (misuse, what, None);
        };
        let state = slot.state();
        if state.generation != token.generation {
            return (Misuse::UseAfterClose, "a handle that was closed long ago".to_string(), None);
        }
        let (misuse, what) = match (state.kind, state.open) {
            (Kind::Constant, _) => (Misuse::BorrowedReturned, "a constant of the context"),
            (Kind::Argument, true) => (Misuse::BorrowedReturned, "an argument"),
            (Kind::Argument, false) => (Misuse::ArgumentKept, "an argument of a call that has returned"),
            (Kind::Handle, true) => (Misuse::OtherThread, "a handle of another thread"),
            (Kind::Handle, false) => (Misuse::UseAfterClose, "a closed handle"),
            _ => (Misuse::InventedHandle, "something that is no handle"),
        };
        (misuse, what.to_string(), Some(slot))
    }

    #[inline(always)]
    fn agrees<N: Number>(&mut self, result: N, least: N, most: N) -> bool {
        let raise = self.end();
        let fine = if raise {
            false
        } else if result == N::FAILURE {
            if !self.has_exception() {
                self.failure_without_exception();
                self.raise_deferred();
            }
            true
        } else if result < least || result > most {
            let detail = format!("{} returned {result}", self.name());
            let failed = self.incident(Misuse::ResultOutOfRange, detail).tell() == Next::Fail;
            !(failed && self.raise_deferred())
        } else if self.thread.flags.load(Relaxed) & (PENDING | HYBRID) != 0 && self.has_exception() {
            !(self.success_with_exception() && self.raise_deferred())
        } else {
            true
        };
        self.leave();
        fine
    }
}

unsafe extern "C" fn get_buffer(ctx: *mut HPyContext, object: HPy, buffer: *mut HPy_buffer, flags: c_int) -> c_int {
    // SAFETY: the inner runtime passes what the signature says, of which the function is.
    unsafe {
        let mut entry = Upcall::begin(InnerContext(ctx));
        let object = InnerHandle::of(object);
        let own = entry.argument(object, 0);
        let f = transmute::<HPyCFunction, HPyFunc_getbufferproc>(entry.function()).unwrap_unchecked();
        let result = f(entry.context(), own, buffer, flags);
        if result < 0 {
            return entry.finish_number(result, -1, 0);
        }
        // What is in the buffer is the extension's handle; null is for the runtime to judge.
        let exporter = entry.take_result((*buffer).obj);
        (*buffer).obj = exporter.handle();
        let (layer, described) = (entry.layer, entry.described);
        if !exporter.is_null()
            && let Some(what) = buffers::not_as_asked(&*buffer, flags)
        {
            let detail = format!("{} gave {what}", entry.name());
            entry.incident(Misuse::BufferFlags, detail).tell();
        }
        let result = entry.finish_number(result, -1, 0);
        if result == -1 || exporter.is_null() {
            return -1;
        }
        open_buffers::opened(layer, object, &*buffer, described);
        result
    }
}

unsafe extern "C" fn release_buffer(ctx: *mut HPyContext, object: HPy, buffer: *mut HPy_buffer) {
    // SAFETY: the inner runtime passes what the signature says, of which the function is.
    unsafe {
        let mut entry = Upcall::begin(InnerContext(ctx));
        let object = InnerHandle::of(object);
        let own = entry.argument(object, 0);
        let exporter = InnerHandle::of((*buffer).obj);
        if !open_buffers::released(entry.layer, object, &*buffer) {
            let detail = format!("{} was called for a buffer that is not open", entry.name());
            entry.incident(Misuse::BufferReleased, detail).tell();
        }
        (*buffer).obj = entry.argument(exporter, 1);
        let f = transmute::<HPyCFunction, HPyFunc_releasebufferproc>(entry.function()).unwrap_unchecked();
        f(entry.context(), own, buffer);
        (*buffer).obj = exporter.handle();
        entry.finish();
    }
}

unsafe extern "C" fn destroy_capsule(name: *const c_char, pointer: *mut c_void, context: *mut c_void) {
    let function = upcall::asked().own().function;
    // SAFETY: the inner runtime passes what the signature says, of which the function is.
    unsafe {
        if let Some(f) = transmute::<HPyCFunction, HPyFunc_Capsule_Destructor>(function) {
            type_slots::forbidding(Thread::here(), f as usize, || f(name, pointer, context));
        }
    }
}
