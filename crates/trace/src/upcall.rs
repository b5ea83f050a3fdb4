//! Python calls a function of the extension.

use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::sync::atomic::Ordering::*;

use hpy_abi::*;
use hpy_layer::inner::{InnerContext, InnerHandle};
use hpy_layer::upcall::{self, Number, Request, Requests, Upcall as _};
use hpy_layer::{names, upcall_of};

use crate::clock::Moment;
use crate::layer::Layer;
use crate::node::{Details, Key, Node};
use crate::thread::{Frame, Thread};
use crate::{node, timeline};

/// Trace mode is the outermost layer: what others do is not the extension's doing.
const LEVEL: usize = 0;

/// A call of an extension's function.
struct Upcall {
    requests: Requests,
    inner: InnerContext,
    layer: &'static Layer,
    thread: &'static Thread,
    outer: &'static Node,
    node: &'static Node,
    start: Moment,
}

/// `_HPy_CallRealFunctionFromTrampoline`
///
/// # Safety
/// Called by a trampoline, with what belongs to the signature.
pub unsafe fn ctx_CallRealFunctionFromTrampoline(
    ctx: *mut HPyContext,
    signature: HPyFunc_Signature,
    function: HPyCFunction,
    args: *mut c_void,
) {
    // SAFETY: a context of ours has its frame there, which is never freed.
    unsafe {
        let layer = (*(*ctx)._private.cast::<Frame>()).layer.here();
        let entry = match signature {
            HPyFunc_GETBUFFERPROC => transmute::<HPyFunc_getbufferproc, HPyCFunction>(Some(get_buffer)),
            HPyFunc_RELEASEBUFFERPROC => transmute::<HPyFunc_releasebufferproc, HPyCFunction>(Some(release_buffer)),
            // They have no context, and so call nothing.
            HPyFunc_TRAVERSEPROC | HPyFunc_DESTROYFUNC | HPyFunc_CAPSULE_DESTRUCTOR => function,
            _ => upcall_of::<Upcall>(signature),
        };
        upcall::ask(LEVEL, Request { function, layer: core::ptr::from_ref(layer).cast() });
        let inner = layer.inner;
        // A signature that we do not know, the inner context does not know either.
        inner.ctx_CallRealFunctionFromTrampoline(signature, entry, args);
    }
}

impl Upcall {
    /// The function has returned.
    #[inline(always)]
    fn end(&self, raised: bool) {
        let end = self.thread.go_to(self.outer.nearest_active());
        self.node.end(self.start, end);
        if raised {
            self.node.raised.add(1);
        }
        if timeline::IS_KEPT.load(Relaxed) {
            timeline::keep(self.thread, self.node, self.start, end);
        }
    }

    /// Whether a result that may mean an exception does.
    #[cold]
    fn has_raised(&self) -> bool {
        // SAFETY: any thread may ask.
        unsafe { (self.layer.host.has_exception)() }
    }
}

/// A call of a function from where none is known from.
#[cold]
fn new_line(layer: &'static Layer, thread: &Thread, outer: &'static Node, key: Key) -> &'static Node {
    // What this takes is nobody's time.
    thread.go_to(outer);
    let node = node_of_line(layer, outer, key);
    thread.forget_time();
    node
}

fn node_of_line(layer: &'static Layer, outer: &'static Node, key: Key) -> &'static Node {
    if node::are_enough() {
        let anywhere = key.anywhere();
        return outer.known(anywhere).unwrap_or_else(|| outer.learn(anywhere, Details::default()));
    }
    // SAFETY: Python code has called, so the thread holds the interpreter.
    let line = unsafe { (layer.host.line)() };
    let same = |node: &&'static Node| node.key.what() == key.what() && node.details.line == line;
    let line_key = key.in_line(line.as_ref().map_or(0, |line| line.line));
    let known = outer.known(line_key).or_else(|| outer.children().find(same));
    if let Some(node) = known {
        // Other code with the same line is made anew each time, as by eval(): it is not kept.
        if node.key.has_code_of(key) {
            outer.know_as(key, node);
        }
        return node;
    }
    // SAFETY: Python code has called, so the thread holds the interpreter.
    unsafe { (layer.host.keep_code)() };
    let node = outer.learn(line_key, Details { line, ..Details::default() });
    outer.know_as(key, node);
    node
}

impl upcall::Upcall for Upcall {
    #[inline(always)]
    unsafe fn begin(inner: InnerContext) -> Upcall {
        let requests = upcall::asked();
        let thread = Thread::here();
        // SAFETY: the trampoline's call has just asked, on this thread.
        let layer: &'static Layer = unsafe { &*requests.own().layer.cast::<Layer>() };
        let outer = thread.current();
        let id = names::function(requests.extensions().map_or(0, |function| function as usize)).id;
        // SAFETY: Python code has called, so the thread holds the interpreter.
        let key = Key::function(id, unsafe { (layer.host.site)() });
        let node = outer.known(key).unwrap_or_else(|| new_line(layer, thread, outer, key));
        node.begin();
        let start = thread.go_to(node);
        Upcall { requests, inner, layer, thread, outer, node, start }
    }

    #[inline(always)]
    fn function(&self) -> HPyCFunction {
        self.requests.own().function
    }

    #[inline(always)]
    fn context(&self) -> *mut HPyContext {
        self.thread.context(self.layer, self.inner)
    }

    #[inline(always)]
    fn argument(&mut self, inner: InnerHandle, _position: u16) -> HPy {
        // Trace mode has no handles of its own.
        inner.handle()
    }

    #[inline(always)]
    unsafe fn arguments(&mut self, args: *const InnerHandle, _count: usize, _names: InnerHandle) -> *const HPy {
        args.cast()
    }

    #[inline(always)]
    fn finish(&mut self) {
        self.end(false);
    }

    #[inline(always)]
    fn finish_handle(&mut self, result: HPy) -> InnerHandle {
        if result.is_null() {
            self.end(self.has_raised());
        } else {
            self.node.closed.add(1);
            self.end(false);
        }
        InnerHandle::of(result)
    }

    #[inline(always)]
    fn finish_number<N: Number>(&mut self, result: N, _least: N, _most: N) -> N {
        self.end(result == N::FAILURE && self.has_raised());
        result
    }
}

unsafe extern "C" fn get_buffer(ctx: *mut HPyContext, object: HPy, buffer: *mut HPy_buffer, flags: c_int) -> c_int {
    // SAFETY: the inner context passes what the signature says, of which the function is.
    unsafe {
        let mut entry = Upcall::begin(InnerContext(ctx));
        let f = transmute::<HPyCFunction, HPyFunc_getbufferproc>(entry.function()).unwrap_unchecked();
        let result = f(entry.context(), object, buffer, flags);
        if result == 0 && !(*buffer).obj.is_null() {
            // It is given away with the buffer.
            entry.node.closed.add(1);
        }
        entry.finish_number(result, -1, 0)
    }
}

unsafe extern "C" fn release_buffer(ctx: *mut HPyContext, object: HPy, buffer: *mut HPy_buffer) {
    // SAFETY: the inner context passes what the signature says, of which the function is.
    unsafe {
        let mut entry = Upcall::begin(InnerContext(ctx));
        let f = transmute::<HPyCFunction, HPyFunc_releasebufferproc>(entry.function()).unwrap_unchecked();
        f(entry.context(), object, buffer);
        entry.finish();
    }
}
