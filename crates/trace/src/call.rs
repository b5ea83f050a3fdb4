//! A call of a function of the API.

use core::ffi::{CStr, c_char};
use core::sync::atomic::Ordering::*;

use hpy_abi::*;
use hpy_layer::inner::InnerContext;
use hpy_layer::{names, place};

use crate::clock::Moment;
use crate::hooks::{self, Which};
use crate::node::{Details, Key, Node};
use crate::thread::{Frame, Thread};
use crate::timeline;

/// How many frames of the C stack are kept of a place, to find the author's line if the API is called by a helper.
const STACK: usize = 8;

/// A call of a function of the API, from its beginning to its end.
#[derive(Clone, Copy)]
pub struct Call {
    pub inner: InnerContext,
    frame: &'static Frame,
    thread: &'static Thread,
    /// The extension's function.
    caller: &'static Node,
    node: &'static Node,
    index: u16,
    start: Moment,
}

impl Call {
    /// `text` is the name that the function is given, or null.
    ///
    /// # Safety
    /// The context has to be one of ours.
    #[inline(always)]
    pub unsafe fn enter(ctx: *mut HPyContext, index: u16, text: *const c_char) -> Call {
        // SAFETY: a context of ours has its frame there, which is never freed.
        let frame: &'static Frame = unsafe { &*(*ctx)._private.cast::<Frame>() };
        let thread = frame.thread();
        let caller = thread.current();
        let ip = frame.ip.load(Relaxed);
        let key = Key::api(index, ip);
        let node = match caller.known(key) {
            Some(node) => node,
            // SAFETY: the caller's text, if any.
            None => unsafe { new_place(thread, caller, key, text) },
        };
        node.begin();
        if hooks::ARE_SET.load(Relaxed) {
            hooks::call(frame.layer, thread, Which::Enter, index);
        }
        if !frame.inner_ip.is_null() {
            // SAFETY: frames are never freed.
            unsafe { (*frame.inner_ip).store(ip, Relaxed) };
        }
        let start = thread.go_to(node);
        Call { inner: frame.inner, frame, thread, caller, node, index, start }
    }

    /// The function has returned, and has perhaps raised an exception.
    #[inline(always)]
    pub fn finish(self, raised: bool) {
        let end = self.thread.go_to(self.caller);
        self.node.end(self.start, end);
        if raised {
            self.node.raised.add(1);
        }
        if timeline::IS_KEPT.load(Relaxed) {
            timeline::keep(self.thread, self.node, self.start, end);
        }
        if hooks::ARE_SET.load(Relaxed) {
            hooks::call(self.frame.layer, self.thread, Which::Exit, self.index);
        }
    }

    /// The function has returned what may mean an exception.
    #[inline(always)]
    pub fn finish_perhaps(self, maybe: bool) {
        // SAFETY: any thread may ask. Debug mode below is not asked: it would take that for a call of the extension.
        self.finish(maybe && unsafe { (self.frame.layer.host.has_exception)() });
    }

    /// The extension has got a handle.
    #[inline(always)]
    pub fn opens(self, h: HPy) {
        if !h.is_null() {
            self.caller.opened.add(1);
        }
    }

    /// As [`Call::opens`], where the handle was written to.
    ///
    /// # Safety
    /// The function has succeeded.
    pub unsafe fn opens_out(self, place: *const HPy) {
        // SAFETY: as this function's.
        if let Some(h) = unsafe { place.as_ref() } {
            self.opens(*h);
        }
    }

    /// The extension gives a handle away.
    #[inline(always)]
    pub fn closes(self, h: HPy) {
        if !h.is_null() {
            self.caller.closed.add(1);
        }
    }

    /// A tracker gets a handle, which has been counted as closed.
    pub fn adds_to_tracker(self, tracker: HPyTracker, h: HPy) {
        if h.is_null() {
            return;
        }
        // SAFETY: the list is the thread's own.
        let trackers = unsafe { &mut *self.thread.trackers.get() };
        match trackers.iter_mut().rev().find(|(known, _)| *known == tracker._i) {
            Some((_, count)) => *count += 1,
            None => trackers.push((tracker._i, 1)),
        }
    }

    /// A tracker gives its handles back.
    pub fn empties_tracker(self, tracker: HPyTracker) {
        self.caller.opened.add(self.handles_of(tracker));
    }

    /// A tracker closes its handles.
    pub fn ends_tracker(self, tracker: HPyTracker) {
        self.handles_of(tracker);
    }

    fn handles_of(self, tracker: HPyTracker) -> u64 {
        // SAFETY: the list is the thread's own.
        let trackers = unsafe { &mut *self.thread.trackers.get() };
        let found = trackers.iter().rposition(|(known, _)| *known == tracker._i);
        found.map_or(0, |index| trackers.swap_remove(index).1)
    }

    /// A type is made: its functions get names.
    ///
    /// # Safety
    /// The spec is complete, or null.
    pub unsafe fn sees_type(self, spec: *const HPyType_Spec) {
        // SAFETY: as this function's.
        unsafe {
            if let Some(spec) = spec.as_ref() {
                names::register_definitions(&names::text(spec.name), spec.defines, false);
            }
        }
    }

    /// An instance gets a function of its own to be called by.
    ///
    /// # Safety
    /// The definition is complete, or null.
    pub unsafe fn sees_call_function(self, function: *const HPyCallFunction) {
        // SAFETY: as this function's.
        if let Some(address) = unsafe { function.as_ref() }.and_then(|function| function.r#impl) {
            names::name_once(address as usize, || format!("call function set by {}", self.caller.name()));
        }
    }
}

/// The first call from a place.
///
/// # Safety
/// The text is null or ends with NUL.
#[cold]
unsafe fn new_place(thread: &Thread, caller: &'static Node, key: Key, text: *const c_char) -> &'static Node {
    // What this takes is nobody's time.
    thread.go_to(caller);
    // SAFETY: as this function's.
    let text = (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned());
    let node = caller.learn(key, Details { text, stack: place::capture(STACK), line: None });
    thread.forget_time();
    node
}
