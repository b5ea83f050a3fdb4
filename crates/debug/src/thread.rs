//! Threads, and the contexts that their calls get.
//!
//! Each call of an extension's function gets a context of its own, for the length of that call: so a context that was kept is found
//! out. They are used again in turn, much later. Of the calls that have not ended, one is running: the last that began, unless a library
//! such as greenlet has changed the stack since.

use core::cell::{Cell, UnsafeCell};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use hpy_abi::*;

use crate::attachment::Attachment;
use crate::callers::Callers;
use crate::closed_objects::ClosedObjects;
use crate::layer::Layer;
use crate::report::Report;
use crate::seen::Seen;
use crate::slot::{self, Kind, Mark, NOBODY, Origin, Slot, Token};
use crate::{interpreter, limits, memory};
use hpy_layer::idle::{Idle, Link};
use hpy_layer::names::Function;
use hpy_layer::owner::owner;

/// How much memory copies of closed handles may take with what rounds them up to pages.
const HELD_LIMIT: usize = 32 << 20;

/// Nobody has failed, as far as is known.
pub const UNKNOWN: Mark = Mark { by: NOBODY, ip: 0 };

/// How many contexts of a thread are idle before one is used again.
const RING: usize = 32;

/// A call of an extension's function. Its address is the context's `_private`.
#[repr(C)]
pub struct Frame {
    /// The return address of the last call through the context; written by the stubs of `record_calls`, which know that this comes
    /// first, or by the layer above.
    pub ip: AtomicUsize,
    // Other threads look at what is atomic, if they have got hold of the context.
    thread: AtomicPtr<Thread>,
    /// What the processor has in the register that tells threads apart.
    owner: AtomicUsize,
    layer: AtomicPtr<Layer>,
    /// The call around this one, or the one that ran before this one was resumed. Null for the frame of a context that no call has.
    outer: Cell<*const Frame>,
    function: AtomicPtr<Function>,
    pub context: Cell<*mut HPyContext>,
    /// How many functions of the API are running that were called with the context.
    inside: Cell<u32>,
    /// Handles that were open when the call began.
    pub open_before: Cell<isize>,
    /// While another call is the running one.
    set_aside: Cell<SetAside>,
    /// A misuse has been raised in this call already.
    pub raised: Cell<bool>,
    /// The function of the API that failed last, or that has set an exception, and where it was called.
    pub failed: Cell<Mark>,
    /// Whether the exception was set on purpose.
    pub has_set: Cell<bool>,
}

/// What a thread has of the call that is running.
#[derive(Clone, Copy, Default)]
struct SetAside {
    flags: u32,
    /// Handles that the call has open.
    open: isize,
    place: Origin,
}

impl Frame {
    /// Whose call it is, if the calling thread is that one and it is the call that is running there.
    #[inline(always)]
    pub fn thread_if_current(&'static self) -> Option<&'static Thread> {
        // SAFETY: null or a thread, which is never freed.
        let thread = unsafe { self.thread.load(Relaxed).as_ref() }?;
        if self.owner.load(Relaxed) != owner() {
            return None;
        }
        (thread.is_current(self) || self.was_resumed(thread)).then_some(thread)
    }

    /// Whether the call runs again, though it is not the last one that has begun: greenlets change the stack that is running, and do so
    /// within a function of the API, as only these run Python code. A call that waits in such a function does not run.
    #[cold]
    fn was_resumed(&'static self, thread: &'static Thread) -> bool {
        let runs = self.inside.get() == 0;
        if runs {
            thread.resume(self);
        }
        runs
    }

    /// A function of the API begins, called with this context.
    #[inline(always)]
    pub fn go_inside(&self) {
        self.inside.set(self.inside.get() + 1);
    }

    /// It ends.
    #[inline(always)]
    pub fn come_out(&self) {
        self.inside.set(self.inside.get() - 1);
    }

    /// None for a context that is not in use.
    #[inline(always)]
    pub fn layer(&self) -> Option<&'static Layer> {
        // SAFETY: null or a layer, which is never freed.
        unsafe { self.layer.load(Relaxed).as_ref() }
    }

    /// Whether a misuse has been told in the call around this one.
    pub fn outer_has_told(&self) -> bool {
        // SAFETY: null or in a block, which is never freed.
        unsafe { self.outer.get().as_ref() }.is_some_and(|outer| outer.raised.get())
    }

    /// The extension's function that is called.
    #[inline(always)]
    pub fn function(&self) -> Option<&'static Function> {
        // SAFETY: null or a function, which is never freed.
        unsafe { self.function.load(Relaxed).as_ref() }
    }
}

/// A context with the frame that belongs to it. Never freed.
#[repr(C)]
struct Block {
    context: UnsafeCell<HPyContext>,
    frame: Frame,
}

/// Between leave and re-enter.
pub const LEFT: u32 = 1;
/// In a tp_traverse or tp_destroy.
pub const FORBIDDEN: u32 = 2;
/// Perhaps there is a pending exception.
pub const PENDING: u32 = 4;
/// In a tp_traverse. Where threads run at the same time, all others may stand still for it.
pub const TRAVERSING: u32 = 8;
/// In a function of a binary that uses Python.h, too: there may be an exception at any time.
pub const HYBRID: u32 = 16;

/// What is known of a thread. Never freed, but given to the next thread when one ends.
pub struct Thread {
    pub id: u16,
    origin: Cell<Origin>,
    /// The call that is running.
    pub current: AtomicPtr<Frame>,
    /// Those of the running call, or of the thread outside of calls.
    pub flags: AtomicU32,
    /// What it has outside of calls, while there is one.
    outside: Cell<SetAside>,
    /// For calls of the API with a context that no call has any more. Null until there is one.
    stand_in: Cell<*const Block>,
    /// Handles that are open, without the arguments of calls.
    pub open: Cell<isize>,
    /// Leaves that have not been matched, as slot indices.
    pub left: UnsafeCell<Vec<isize>>,
    frames: UnsafeCell<VecDeque<*const Block>>,
    /// Closed slots whose stories are kept, oldest first.
    closed: UnsafeCell<Ring>,
    /// Closed slots without a story.
    spare: UnsafeCell<Vec<u32>>,
    /// Counts openings and closings.
    clock: Cell<u64>,
    /// What objects were when their handles were closed.
    pub closed_objects: UnsafeCell<ClosedObjects>,
    /// Where structs have been asked for that were the right ones.
    pub seen: Seen,
    pub callers: Callers,
    /// The function that is running and may call nothing of the API; 0 for none.
    pub forbidding: Cell<usize>,
    /// Misuses that could not be raised where they were found.
    pub deferred: Mutex<Vec<Report>>,
    next_idle: AtomicPtr<Thread>,
}

// SAFETY: cells are used by the thread itself, under its own eyes; the rest is atomic.
unsafe impl Sync for Thread {}
// SAFETY: cells are used by the thread itself, under its own eyes; the rest is atomic; it is handed from a thread that ended to one that
// starts.
unsafe impl Send for Thread {}

/// Those of threads that have ended.
static IDLE: Idle<Thread> = Idle::new();

impl Link for Thread {
    fn link(&self) -> &AtomicPtr<Thread> {
        &self.next_idle
    }
}

/// All threads there have been.
static ALL: Mutex<Vec<&'static Thread>> = Mutex::new(Vec::new());

/// The threads that are in a call of an extension now, but for the calling one.
pub fn busy() -> Vec<u16> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let here = Thread::known().map(|thread| thread.id);
    let is_busy = |thread: &&&Thread| Some(thread.id) != here && !thread.current.load(Acquire).is_null();
    all.iter().filter(is_busy).map(|thread| thread.id).collect()
}

/// In the child of a fork, no other thread is in a call.
pub fn others_are_gone() {
    let here = Thread::known();
    // Only threads that hold the interpreter have the lock, and the one that forked does.
    if let Ok(all) = ALL.try_lock() {
        for thread in all.iter().filter(|thread| here.is_none_or(|here| !core::ptr::eq(here, **thread))) {
            thread.current.store(null_mut(), Relaxed);
        }
    }
}

static COUNT: AtomicU16 = AtomicU16::new(1);
pub static CLOSED_LIMIT: AtomicUsize = AtomicUsize::new(1024);

/// With so many, slots are used again. Somewhat below the limit, so that handles that are open for a moment do not go beyond it.
pub static ENOUGH_CLOSED: AtomicUsize = AtomicUsize::new(1024 - 64);

/// The generation that openings belong to, which Python code counts up.
pub static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Where the generation stands in an order number. Below it is what each thread counts by itself: a counter for all threads would
/// be what takes longest in an opening.
pub const GENERATION_SHIFT: u32 = 44;

/// Indices in the order in which they came.
struct Ring {
    /// As long as a power of two.
    items: Box<[u32]>,
    first: usize,
    count: usize,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring { items: vec![0; 2048].into_boxed_slice(), first: 0, count: 0 }
    }
}

impl Ring {
    #[inline(always)]
    fn push(&mut self, index: u32) {
        if self.count >= self.items.len() {
            self.grow();
        }
        let place = (self.first + self.count) & (self.items.len() - 1);
        if let Some(item) = self.items.get_mut(place) {
            *item = index;
            self.count += 1;
        }
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        let index = *self.items.get(self.first)?;
        self.first = (self.first + 1) & (self.items.len() - 1);
        self.count -= 1;
        Some(index)
    }

    #[cold]
    fn grow(&mut self) {
        let mut items = core::mem::take(&mut self.items).into_vec();
        items.rotate_left(self.first);
        items.resize(items.len() * 2, 0);
        self.items = items.into_boxed_slice();
        self.first = 0;
    }
}

/// Gives the thread back when it ends.
struct Guard(&'static Thread);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = HERE.try_with(|here| here.set(null()));
        self.0.current.store(null_mut(), Relaxed);
        self.0.flags.store(0, Relaxed);
        IDLE.push(self.0);
    }
}

thread_local! {
    static HERE: Cell<*const Thread> = const { Cell::new(null()) };
    static GUARD: Cell<Option<Guard>> = const { Cell::new(None) };
}

impl Thread {
    /// The calling thread, if it has called an extension before.
    pub fn known() -> Option<&'static Thread> {
        // SAFETY: null or leaked.
        HERE.try_with(|here| unsafe { here.get().as_ref() }).ok().flatten()
    }

    #[inline(always)]
    pub fn here() -> &'static Thread {
        Thread::known().unwrap_or_else(Thread::start)
    }

    #[cold]
    fn start() -> &'static Thread {
        let thread = IDLE.pop().unwrap_or_else(|| {
            let thread: &'static Thread = Box::leak(Box::new(Thread {
                id: COUNT.fetch_add(1, Relaxed),
                origin: Cell::default(),
                current: AtomicPtr::new(null_mut()),
                flags: AtomicU32::new(0),
                outside: Cell::default(),
                stand_in: Cell::new(null()),
                open: Cell::new(0),
                left: UnsafeCell::default(),
                frames: UnsafeCell::default(),
                closed: UnsafeCell::default(),
                spare: UnsafeCell::default(),
                clock: Cell::new(0),
                closed_objects: UnsafeCell::default(),
                seen: Seen::default(),
                callers: Callers::default(),
                forbidding: Cell::new(0),
                deferred: Mutex::default(),
                next_idle: AtomicPtr::new(null_mut()),
            }));
            ALL.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
            thread
        });
        thread.set_interpreter(interpreter::here());
        // At the end of a thread there are no thread locals; such a one is not given back.
        let _ = HERE.try_with(|here| here.set(thread));
        let _ = GUARD.try_with(|guard| guard.set(Some(Guard(thread))));
        thread
    }

    /// What the object of a closed handle was, in words, if the calling thread is the one that closed it and it is not too long ago.
    pub fn object_of_closed(slot: &Slot) -> Option<String> {
        let thread = Thread::known().filter(|thread| slot.state().thread == thread.id)?;
        // SAFETY: they are the thread's own.
        unsafe { (&*thread.closed_objects.get()).of_closed(slot) }
    }

    #[inline(always)]
    pub fn origin(&self) -> Origin {
        self.origin.get()
    }

    /// From here on the thread is in this interpreter.
    pub fn set_interpreter(&self, interpreter: u16) {
        self.origin.set(Origin::new(self.id, interpreter));
    }

    pub fn current(&self) -> Option<&'static Frame> {
        // SAFETY: null or in a block, which is never freed.
        unsafe { self.current.load(Relaxed).as_ref() }
    }

    #[inline(always)]
    fn is_current(&self, frame: &Frame) -> bool {
        self.current.load(Relaxed).cast_const() == core::ptr::from_ref(frame)
    }

    /// A context for a call, with its frame, which becomes the current one.
    #[inline(always)]
    pub fn push(&self, layer: &'static Layer, function: &'static Function) -> &'static Frame {
        // SAFETY: the queue is the thread's own, and nothing below runs other code.
        let frames = unsafe { &mut *self.frames.get() };
        let block = if frames.len() >= RING { frames.pop_front() } else { None };
        // SAFETY: blocks are never freed.
        let block = block.map_or_else(|| Block::new(layer), |block| unsafe { &*block });
        let frame = &block.frame;
        if frame.layer.load(Relaxed).cast_const() != core::ptr::from_ref(layer) {
            block.belong_to(layer);
        }
        self.set_aside();
        frame.thread.store(core::ptr::from_ref(self).cast_mut(), Relaxed);
        frame.owner.store(owner(), Relaxed);
        frame.outer.set(self.current.load(Relaxed));
        frame.function.store(core::ptr::from_ref(function).cast_mut(), Relaxed);
        frame.open_before.set(self.open.get());
        frame.inside.set(0);
        frame.raised.set(false);
        frame.failed.set(UNKNOWN);
        frame.has_set.set(false);
        frame.ip.store(0, Relaxed);
        let is_hybrid = function.is_hybrid.load(Relaxed);
        self.flags.store(if is_hybrid { HYBRID } else { 0 }, Relaxed);
        self.current.store(core::ptr::from_ref(frame).cast_mut(), Relaxed);
        frame
    }

    /// Keeps what the thread has of the running call, which another one is about to follow.
    #[inline(always)]
    fn set_aside(&self) {
        let current = self.current();
        let open = self.open.get() - current.map_or(0, |frame| frame.open_before.get());
        let set_aside = SetAside { flags: self.flags.load(Relaxed), open, place: self.origin.get() };
        current.map_or(&self.outside, |frame| &frame.set_aside).set(set_aside);
    }

    /// A call runs that may have been left in the middle, for another one, which may not have ended either.
    #[inline(always)]
    pub fn runs(&self, frame: &'static Frame) {
        if !self.is_current(frame) {
            self.resume(frame);
        }
    }

    #[cold]
    fn resume(&self, frame: &'static Frame) {
        let Some(before) = self.current() else { return };
        self.set_aside();
        let mut inner = before;
        // SAFETY: null or in a block, which is never freed.
        while let Some(outer) = unsafe { inner.outer.get().as_ref() } {
            if core::ptr::eq(outer, frame) {
                inner.outer.set(frame.outer.get());
                break;
            }
            inner = outer;
        }
        frame.outer.set(before);
        let SetAside { flags, open, place } = frame.set_aside.get();
        frame.open_before.set(self.open.get() - open);
        self.flags.store(flags, Relaxed);
        self.origin.set(place);
        self.current.store(core::ptr::from_ref(frame).cast_mut(), Relaxed);
    }

    /// Ends the call that is running.
    #[inline(always)]
    pub fn pop(&self, frame: &'static Frame) {
        frame.thread.store(null_mut(), Relaxed);
        // After what has been closed in the call, for `busy`.
        self.current.store(frame.outer.get().cast_mut(), Release);
        let SetAside { flags, place, .. } = self.current().map_or(&self.outside, |outer| &outer.set_aside).get();
        self.flags.store(flags, Relaxed);
        self.origin.set(place);
        // SAFETY: the free frames are the thread's own, and nothing in here runs other code; the frame is in a block behind its context.
        unsafe {
            let block = core::ptr::from_ref(frame).byte_sub(core::mem::offset_of!(Block, frame)).cast::<Block>();
            (*self.frames.get()).push_back(block);
        }
    }

    /// The frame for a call of the API that was made with a context which is not that of the running call: that one's, or one of no call.
    #[cold]
    pub fn stand_in(&self, layer: &'static Layer) -> &'static Frame {
        let is_of = |frame: &Frame| frame.layer().is_some_and(|of| core::ptr::eq(of, layer));
        if let Some(frame) = self.current().filter(|frame| is_of(frame)) {
            return frame;
        }
        // SAFETY: null or a block, which is never freed.
        let block = unsafe { self.stand_in.get().as_ref() }.unwrap_or_else(|| Block::new(layer));
        self.stand_in.set(block);
        if !is_of(&block.frame) {
            block.belong_to(layer);
        }
        &block.frame
    }

    /// The next number in the order of openings and closings.
    #[inline(always)]
    pub fn next_order(&self) -> u64 {
        let next = self.clock.get() + 1;
        self.clock.set(next);
        GENERATION.load(Relaxed) << GENERATION_SHIFT | next
    }

    /// Opens a slot. None if there is no memory for one.
    #[inline(always)]
    pub fn open(&self, kind: Kind, inner: isize, mark: Mark, opener: u32) -> Option<(Token, &'static Slot)> {
        // SAFETY: the queue is the thread's own, and nothing below runs other code.
        let closed = unsafe { &mut *self.closed.get() };
        let used = if closed.count >= ENOUGH_CLOSED.load(Relaxed) { closed.pop() } else { None };
        let used = used.and_then(|index| Some((index, slot::get(index)?))).filter(|(_, slot)| self.forget(slot));
        let (index, slot) = match used {
            Some(found) => found,
            None => self.fresh()?,
        };
        slot.order.store(self.next_order(), Relaxed);
        let token = slot.open(index, kind, self.origin(), inner, mark, opener);
        self.open.set(self.open.get() + isize::from(kind != Kind::Argument));
        Some((token, slot))
    }

    /// A slot that no closed handle has.
    #[cold]
    fn fresh(&self) -> Option<(u32, &'static Slot)> {
        // SAFETY: spare slots are the thread's own, and nothing below runs other code.
        let spare = unsafe { &mut *self.spare.get() };
        let found = spare.pop().and_then(|index| Some((index, slot::get(index)?)));
        found.or_else(slot::allocate)
    }

    /// Closes an open slot. Its story is kept for a while.
    #[inline(always)]
    pub fn close(&self, index: u32, slot: &'static Slot, mark: Mark, closer: u32) {
        slot.order.store(self.next_order(), Relaxed);
        let argument = slot.close(mark, closer);
        self.open.set(self.open.get() - isize::from(!argument));
        if !slot.attachment.load(Relaxed).is_null() {
            self.close_copies(slot);
        }
        // SAFETY: the queue is the thread's own, and nothing below runs other code.
        let closed = unsafe { &mut *self.closed.get() };
        closed.push(index);
        if closed.count > CLOSED_LIMIT.load(Relaxed) {
            self.drop_oldest();
        }
    }

    /// One at a time, also after the limit has been lowered, so that closing takes no longer at times.
    #[cold]
    fn drop_oldest(&self) {
        // SAFETY: queue and spare slots are the thread's own, and nothing below runs other code.
        let (closed, spare) = unsafe { (&mut *self.closed.get(), &mut *self.spare.get()) };
        if let Some(oldest) = closed.pop()
            && slot::get(oldest).is_some_and(|slot| self.forget(slot))
        {
            spare.push(oldest);
        }
    }

    /// Frees what is kept of a closed slot. False if the slot cannot be used again.
    #[inline(always)]
    fn forget(&self, slot: &'static Slot) -> bool {
        if !slot.attachment.load(Relaxed).is_null() {
            self.free_attachment(slot);
        }
        slot.renew()
    }

    #[cold]
    fn free_attachment(&self, slot: &'static Slot) {
        if let Some(attachment) = slot.take_attachment() {
            for (pointer, _) in attachment.copies {
                memory::free(pointer);
            }
        }
    }

    #[cold]
    fn close_copies(&self, slot: &'static Slot) {
        let size: usize = slot.look_at_attachment(|attachment| attachment.map_or(0, Attachment::size_of_copies));
        if size == 0 {
            return;
        }
        let limit = limits::RAW_DATA_LIMIT.load(Relaxed);
        // Short copies take a page each, which is no reason to keep only few of them.
        if memory::retained() + size > limit || memory::held() > limit.max(HELD_LIMIT) {
            for (pointer, _) in slot.change_attachment(|attachment| core::mem::take(&mut attachment.copies)) {
                memory::close(pointer, slot.opened().ip);
                memory::free(pointer);
            }
            return;
        }
        slot.look_at_attachment(|attachment| {
            for (pointer, _) in attachment.into_iter().flat_map(|attachment| &attachment.copies) {
                memory::close(*pointer, slot.opened().ip);
            }
        });
    }
}

impl Block {
    #[cold]
    fn new(layer: &'static Layer) -> &'static Block {
        let frame = Frame {
            ip: AtomicUsize::new(0),
            thread: AtomicPtr::new(null_mut()),
            owner: AtomicUsize::new(0),
            layer: AtomicPtr::new(null_mut()),
            outer: Cell::new(null()),
            function: AtomicPtr::new(null_mut()),
            context: Cell::new(null_mut()),
            inside: Cell::new(0),
            open_before: Cell::new(0),
            set_aside: Cell::default(),
            raised: Cell::new(false),
            failed: Cell::new(UNKNOWN),
            has_set: Cell::new(false),
        };
        let block = Box::leak(Box::new(Block { context: UnsafeCell::new(layer.table()), frame }));
        block.belong_to(layer);
        block
    }

    /// Makes the context, which nobody uses, one of this layer.
    fn belong_to(&self, layer: &'static Layer) {
        // SAFETY: nobody uses the context.
        unsafe {
            *self.context.get() = layer.table();
            (*self.context.get())._private = (&raw const self.frame).cast_mut().cast();
        }
        self.frame.layer.store(core::ptr::from_ref(layer).cast_mut(), Relaxed);
        self.frame.context.set(self.context.get());
    }
}

/// A context that belongs to no call: what a binary's trampolines have.
pub fn detached(layer: &'static Layer) -> *mut HPyContext {
    Block::new(layer).context.get()
}
