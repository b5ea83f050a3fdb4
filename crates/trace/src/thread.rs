//! Threads, and the contexts that extensions get on them.

use core::cell::{Cell, UnsafeCell};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hpy_abi::*;
use hpy_layer::idle::{Idle, Link};
use hpy_layer::inner::InnerContext;
use hpy_layer::lock::Held;
use hpy_layer::owner::owner;

use crate::clock::{self, Moment};
use crate::event::Event;
use crate::layer::Layer;
use crate::node::Node;

/// What a context of ours points to.
#[repr(C)]
pub struct Frame {
    /// The return address of the last call through the context; written by the stubs of `record_calls`, which know that this is first.
    pub ip: AtomicUsize,
    pub inner: InnerContext,
    /// Where a layer below wants to know that address. Null over a runtime.
    pub inner_ip: *const AtomicUsize,
    pub layer: &'static Layer,
    /// None for a context that is for all threads.
    thread: Option<&'static Thread>,
}

impl Frame {
    /// The calling thread.
    #[inline(always)]
    pub fn thread(&self) -> &'static Thread {
        match self.thread {
            Some(thread) if thread.owner.load(Relaxed) == owner() => thread,
            _ => Thread::here(),
        }
    }
}

/// A context with its frame. Never freed.
#[repr(C)]
struct Block {
    context: UnsafeCell<HPyContext>,
    frame: Frame,
}

/// What is known of a thread. Never freed, but given to the next thread when one ends.
pub struct Thread {
    /// From 1.
    pub number: usize,
    owner: AtomicUsize,
    pub root: &'static Node,
    /// The root for what Python functions do that are told of calls.
    pub aside: &'static Node,
    current: Cell<&'static Node>,
    /// When the current node became that.
    since: Cell<u64>,
    /// Ticks that are nobody's.
    lost: Cell<u64>,
    /// In a Python function that is told of calls.
    pub busy: Cell<bool>,
    /// The contexts by their layers and inner ones. Over a runtime there is but one of these for each interpreter.
    contexts: UnsafeCell<HashMap<(usize, usize), &'static Block>>,
    recent: Cell<Option<&'static Block>>,
    /// How many handles each tracker has.
    pub trackers: UnsafeCell<Vec<(isize, u64)>>,
    pub events: Mutex<Vec<Event>>,
    next_idle: AtomicPtr<Thread>,
}

// SAFETY: cells are used by the thread itself; the rest is atomic or locked.
unsafe impl Sync for Thread {}
// SAFETY: cells are used by the thread itself; the rest is atomic or locked; it is handed from a thread that ended to one that starts.
unsafe impl Send for Thread {}

/// All threads there have been.
static ALL: Mutex<Vec<&'static Thread>> = Mutex::new(Vec::new());

/// Those of threads that have ended.
static IDLE: Idle<Thread> = Idle::new();

impl Link for Thread {
    fn link(&self) -> &AtomicPtr<Thread> {
        &self.next_idle
    }
}

/// The locks of this module that are taken without the interpreter, for a fork.
pub fn locks() -> Vec<Held> {
    let lock =
        |thread: &'static Thread| -> Held { Box::new(thread.events.lock().unwrap_or_else(PoisonError::into_inner)) };
    all().into_iter().map(lock).collect()
}

/// Gives the thread back when it ends.
struct Guard(&'static Thread);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = HERE.try_with(|here| here.set(null()));
        self.0.owner.store(0, Relaxed);
        IDLE.push(self.0);
    }
}

thread_local! {
    static HERE: Cell<*const Thread> = const { Cell::new(null()) };
    static GUARD: Cell<Option<Guard>> = const { Cell::new(None) };
}

/// All threads that have called an extension, with those that have ended.
pub fn all() -> Vec<&'static Thread> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl Thread {
    #[inline(always)]
    pub fn here() -> &'static Thread {
        // SAFETY: null or leaked.
        let known = HERE.try_with(|here| unsafe { here.get().as_ref() }).ok().flatten();
        known.unwrap_or_else(Thread::start)
    }

    #[cold]
    fn start() -> &'static Thread {
        let thread = IDLE.pop().unwrap_or_else(|| {
            let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
            let root = Node::root();
            let thread = Box::leak(Box::new(Thread {
                number: all.len() + 1,
                owner: AtomicUsize::new(0),
                root,
                aside: Node::root(),
                current: Cell::new(root),
                since: Cell::new(0),
                lost: Cell::new(0),
                busy: Cell::new(false),
                contexts: UnsafeCell::default(),
                recent: Cell::new(None),
                trackers: UnsafeCell::default(),
                events: Mutex::default(),
                next_idle: AtomicPtr::new(null_mut()),
            }));
            all.push(thread);
            thread
        });
        thread.owner.store(owner(), Relaxed);
        // What the thread before was in when it was ended from outside.
        thread.current.set(thread.root);
        thread.busy.set(false);
        thread.since.set(clock::now());
        // At the end of a thread there are no thread locals; such a one is not given back.
        let _ = HERE.try_with(|here| here.set(thread));
        let _ = GUARD.try_with(|guard| guard.set(Some(Guard(thread))));
        thread
    }

    #[inline(always)]
    pub fn current(&self) -> &'static Node {
        self.current.get()
    }

    /// From now on time is spent in another node.
    #[inline(always)]
    pub fn go_to(&self, node: &'static Node) -> Moment {
        let now = clock::now();
        self.current.get().own.add(now.saturating_sub(self.since.get()));
        self.current.set(node);
        self.since.set(now);
        Moment { now, lost: self.lost.get() }
    }

    /// The time that has passed is nobody's.
    pub fn forget_time(&self) {
        let now = clock::now();
        self.lost.set(self.lost.get() + now.saturating_sub(self.since.get()));
        self.since.set(now);
    }

    /// Ends what was aside since some moment: that time is nobody's.
    pub fn come_back(&self, node: &'static Node, start: Moment) {
        let end = self.go_to(node);
        self.lost.set(start.lost + end.now.saturating_sub(start.now));
    }

    /// The roots of its trees.
    pub fn roots(&self) -> [&'static Node; 2] {
        [self.root, self.aside]
    }

    /// The context for calls whose inner one is this.
    #[inline(always)]
    pub fn context(&'static self, layer: &'static Layer, inner: InnerContext) -> *mut HPyContext {
        match self.recent.get() {
            Some(block) if block.frame.inner == inner && core::ptr::eq(block.frame.layer, layer) => block.context.get(),
            _ => self.another_context(layer, inner),
        }
    }

    #[cold]
    fn another_context(&'static self, layer: &'static Layer, inner: InnerContext) -> *mut HPyContext {
        // SAFETY: the map is the thread's own, and nothing here runs other code.
        let contexts = unsafe { &mut *self.contexts.get() };
        let key = (core::ptr::from_ref(layer).addr(), inner.0.addr());
        let block = contexts.entry(key).or_insert_with(|| Block::new(layer, inner, Some(self)));
        self.recent.set(Some(block));
        block.context.get()
    }
}

impl Block {
    #[cold]
    fn new(layer: &'static Layer, inner: InnerContext, thread: Option<&'static Thread>) -> &'static Block {
        // SAFETY: the contexts of a layer have the address of a frame there, which begins with the word for the address of a call.
        let inner_ip = if layer.over_layer { unsafe { (*inner.0)._private.cast_const().cast() } } else { null() };
        let frame = Frame { ip: AtomicUsize::new(0), inner, inner_ip, layer, thread };
        let block = Box::leak(Box::new(Block { context: UnsafeCell::new(layer.table()), frame }));
        // SAFETY: nobody has the context yet.
        unsafe { (*block.context.get())._private = (&raw const block.frame).cast_mut().cast() };
        block
    }
}

/// A context that belongs to no thread: what a binary is initialised with, and its trampolines have.
pub fn detached(layer: &'static Layer) -> *mut HPyContext {
    Block::new(layer, layer.inner, None).context.get()
}
