//! Slots: what is known of each handle, builder, tracker and thread state that an extension has been given.
//!
//! What the extension gets is the slot's index and its generation, which goes up each time the slot is used again. So whatever comes
//! back is looked up, and a stale or invented value is recognised without touching what it may once have stood for. Slots are never
//! freed, only used again, and all their fields are atomic: reports may read those of other threads.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Mutex, PoisonError};

use crate::attachment::Attachment;

/// What a slot stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Nothing yet, or nothing any more that is known.
    Free = 0,
    Handle = 1,
    /// A handle of an argument, which the caller closes.
    Argument = 2,
    /// A handle that the context has as a member.
    Constant = 3,
    ListBuilder = 4,
    TupleBuilder = 5,
    Tracker = 6,
    ThreadState = 7,
}

const KINDS: [Kind; 8] = [
    Kind::Free,
    Kind::Handle,
    Kind::Argument,
    Kind::Constant,
    Kind::ListBuilder,
    Kind::TupleBuilder,
    Kind::Tracker,
    Kind::ThreadState,
];

/// Half of what an extension gets, so that an index fits into either.
const GENERATION_BITS: u32 = if cfg!(target_pointer_width = "64") { 28 } else { 8 };
const INDEX_BITS: u32 = if cfg!(target_pointer_width = "64") { 28 } else { 19 };
/// In the highest bits, where no address of a program has it, and neither has a small number.
const MARK: usize = if cfg!(target_pointer_width = "64") { 0x5A } else { 0x15 };
const MARK_SHIFT: u32 = GENERATION_BITS + INDEX_BITS;

const GENERATIONS: u64 = 1 << GENERATION_BITS;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;

// The word: generation, kind, whether it is open, thread, interpreter.
const KIND_SHIFT: u32 = 28;
const KIND_MASK: u64 = 7;
const OPEN: u64 = 1 << 31;
const THREAD_SHIFT: u32 = 32;
const INTERPRETER_SHIFT: u32 = 48;

/// 64 bytes, aligned so that each has a cache line of its own.
#[repr(C, align(64))]
#[derive(Default)]
pub struct Slot {
    word: AtomicU64,
    /// The inner context's value; kept when closed, until the slot is used again.
    pub inner: AtomicIsize,
    /// More about it, if there is more: see `Attachment`.
    pub attachment: AtomicPtr<Attachment>,
    /// Where it was opened: the address in the lower 48 bits, who did it above.
    opened: AtomicU64,
    closed: AtomicU64,
    /// Counts openings and closings over all threads: of the last one.
    pub order: AtomicU64,
    /// The extension's function it was opened in.
    pub opener: AtomicU32,
    /// The one it was closed in.
    pub closer: AtomicU32,
    /// Where `closed_objects` has taken down what the object was.
    pub closed_object: AtomicU32,
    /// 1 while it is held: see [`Slot::hold`].
    held: AtomicU32,
}

/// Whether threads run at the same time: there is no GIL. Set before there are slots.
pub static PARALLEL: AtomicBool = AtomicBool::new(false);

/// A slot that is held, until this is dropped.
pub struct Held<'a>(Option<&'a AtomicU32>);

impl Drop for Held<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(held) = self.0 {
            held.store(0, Release);
        }
    }
}

/// Who opened or closed something, and where: a function of the API, or an argument's position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    pub by: u16,
    pub ip: usize,
}

/// In [`Mark::by`]: from here on positions of arguments.
pub const ARGUMENT: u16 = 0x8000;
/// In [`Mark::by`] of a closing: the call returned.
pub const RETURN: u16 = 0xFFFF;
/// Unknown.
pub const NOBODY: u16 = 0xFFFE;

impl Mark {
    #[inline(always)]
    fn pack(self) -> u64 {
        u64::from(self.by) << 48 | (self.ip as u64 & 0xFFFF_FFFF_FFFF)
    }

    fn unpack(word: u64) -> Mark {
        Mark { by: (word >> 48) as u16, ip: (word & 0xFFFF_FFFF_FFFF) as usize }
    }
}

/// What an extension's value says: decoded, not looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    pub index: u32,
    pub generation: u32,
}

impl Token {
    /// None for a value that is not ours.
    #[inline(always)]
    pub fn decode(value: isize) -> Option<Token> {
        let bits = value.cast_unsigned();
        if bits >> MARK_SHIFT != MARK {
            return None;
        }
        Some(Token {
            index: (bits & INDEX_MASK) as u32,
            generation: ((bits >> INDEX_BITS) & ((1 << GENERATION_BITS) - 1)) as u32,
        })
    }

    #[inline(always)]
    pub fn encode(self) -> isize {
        (MARK << MARK_SHIFT | (self.generation as usize) << INDEX_BITS | self.index as usize).cast_signed()
    }
}

/// How a slot stands, read at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    pub generation: u32,
    pub kind: Kind,
    pub open: bool,
    pub thread: u16,
    pub interpreter: u16,
}

impl Slot {
    /// Keeps its thread from closing it and from changing what it has, while another thread looks, and the other way round. Only
    /// for a moment: nothing may run meanwhile that can wait.
    #[inline(always)]
    pub fn hold(&self) -> Held<'_> {
        if !PARALLEL.load(Relaxed) {
            return Held(None);
        }
        self.wait();
        Held(Some(&self.held))
    }

    fn wait(&self) {
        let mut rounds = 0;
        while self.held.compare_exchange_weak(0, 1, Acquire, Relaxed).is_err() {
            rounds += 1;
            if rounds % 64 == 0 {
                std::thread::yield_now();
            }
            core::hint::spin_loop();
        }
    }

    pub fn state(&self) -> State {
        let word = self.word.load(Acquire);
        State {
            generation: (word & (GENERATIONS - 1)) as u32,
            kind: *KINDS.get((word >> KIND_SHIFT & KIND_MASK) as usize).unwrap_or(&Kind::Free),
            open: word & OPEN != 0,
            thread: (word >> THREAD_SHIFT & 0xFFFF) as u16,
            interpreter: (word >> INTERPRETER_SHIFT) as u16,
        }
    }

    /// Whether it is an open handle, an argument's or not, of this thread and interpreter and in this generation.
    #[inline(always)]
    pub fn is_open_handle(&self, generation: u32, place: Origin) -> bool {
        let word = self.word.load(Acquire);
        let expected = u64::from(generation) | OPEN | place.0;
        let difference = word ^ expected;
        // The kind is 1 or 2.
        difference == 1 << KIND_SHIFT || difference == 2 << KIND_SHIFT
    }

    /// Whether it is a constant of the context, in this generation.
    #[inline(always)]
    pub fn is_constant(&self, generation: u32) -> bool {
        self.word.load(Acquire) == u64::from(generation) | OPEN | (Kind::Constant as u64) << KIND_SHIFT
    }

    /// Makes a slot that is not open one of `kind`, and gives what stands for it.
    #[inline(always)]
    pub fn open(&self, index: u32, kind: Kind, place: Origin, inner: isize, mark: Mark, opener: u32) -> Token {
        let generation = (self.word.load(Relaxed) & (GENERATIONS - 1)) as u32;
        self.inner.store(inner, Relaxed);
        self.opened.store(mark.pack(), Relaxed);
        self.opener.store(opener, Relaxed);
        let word = u64::from(generation) | (kind as u64) << KIND_SHIFT | OPEN | place.0;
        self.word.store(word, Release);
        Token { index, generation }
    }

    /// Tells whether it was an argument.
    #[inline(always)]
    pub fn close(&self, mark: Mark, closer: u32) -> bool {
        let _held = self.hold();
        self.closed.store(mark.pack(), Relaxed);
        self.closer.store(closer, Relaxed);
        let word = self.word.load(Relaxed);
        self.word.store(word & !OPEN, Release);
        word >> KIND_SHIFT & KIND_MASK == Kind::Argument as u64
    }

    /// Makes old tokens of a closed slot stale. False if it has had all its generations and is not to be used any more.
    #[inline(always)]
    pub fn renew(&self) -> bool {
        let generation = (self.word.load(Relaxed) & (GENERATIONS - 1)) + 1;
        self.word.store(generation & (GENERATIONS - 1), Release);
        generation < GENERATIONS
    }

    pub fn opened(&self) -> Mark {
        Mark::unpack(self.opened.load(Relaxed))
    }

    pub fn closed(&self) -> Mark {
        Mark::unpack(self.closed.load(Relaxed))
    }
}

/// A thread and an interpreter, as they stand in a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Origin(u64);

impl Origin {
    pub fn new(thread: u16, interpreter: u16) -> Origin {
        Origin(u64::from(thread) << THREAD_SHIFT | u64::from(interpreter) << INTERPRETER_SHIFT)
    }

    pub fn interpreter(self) -> u16 {
        (self.0 >> INTERPRETER_SHIFT) as u16
    }
}

// Large, so that what the allocator adds to each is next to nothing; untouched pages take no memory.
const CHUNK_BITS: u32 = 16;
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNKS: usize = 1 << (INDEX_BITS - CHUNK_BITS);

/// Chunks of slots, each allocated when it is first needed.
static DIRECTORY: [AtomicPtr<Slot>; CHUNKS] = [const { AtomicPtr::new(null_mut()) }; CHUNKS];
static USED: AtomicUsize = AtomicUsize::new(0);
static GROWING: Mutex<()> = Mutex::new(());

/// The slot with this index, if there is one.
#[inline(always)]
pub fn get(index: u32) -> Option<&'static Slot> {
    let chunk = DIRECTORY.get(index as usize >> CHUNK_BITS)?.load(Acquire);
    if chunk.is_null() {
        return None;
    }
    // SAFETY: chunks have that many slots, and are never freed.
    Some(unsafe { &*chunk.add(index as usize & (CHUNK - 1)) })
}

/// The slot that an extension's value names, in whatever generation. None for a value that is not ours.
#[inline(always)]
pub fn of(value: isize) -> Option<(Token, &'static Slot)> {
    let token = Token::decode(value)?;
    Some((token, get(token.index)?))
}

/// A slot that was never used. None when there are no more, or no memory.
pub fn allocate() -> Option<(u32, &'static Slot)> {
    let index = USED.fetch_add(1, Relaxed);
    let chunk = DIRECTORY.get(index >> CHUNK_BITS)?;
    if chunk.load(Acquire).is_null() {
        let _growing = GROWING.lock().unwrap_or_else(PoisonError::into_inner);
        if chunk.load(Acquire).is_null() {
            let layout = core::alloc::Layout::array::<Slot>(CHUNK).ok()?;
            // SAFETY: the layout is not empty, and zeroes are a valid slot.
            let made = unsafe { std::alloc::alloc_zeroed(layout) }.cast::<Slot>();
            if made.is_null() {
                return None;
            }
            chunk.store(made, Release);
        }
    }
    get(index as u32).map(|slot| (index as u32, slot))
}

/// In the child of a fork, nobody holds a slot any more.
pub fn others_are_gone() {
    if PARALLEL.load(Relaxed) {
        for (_, slot) in all() {
            slot.held.store(0, Relaxed);
        }
    }
}

/// All slots there are.
pub fn all() -> impl Iterator<Item = (u32, &'static Slot)> {
    (0..USED.load(Relaxed) as u32).filter_map(|index| get(index).map(|slot| (index, slot)))
}

impl Slot {
    /// Looks at what there is, if there is something, while the slot is held.
    pub fn look_at_attachment<T>(&self, look: impl FnOnce(Option<&Attachment>) -> T) -> T {
        let _held = self.hold();
        // SAFETY: null or a box, which nobody changes or frees now.
        look(unsafe { self.attachment.load(Acquire).as_ref() })
    }

    /// Changes what there is while the slot is held. To be called by the slot's thread; not by what is called.
    pub fn change_attachment<T>(&self, change: impl FnOnce(&mut Attachment) -> T) -> T {
        let _held = self.hold();
        let mut pointer = self.attachment.load(Acquire);
        if pointer.is_null() {
            pointer = Box::into_raw(Box::default());
            self.attachment.store(pointer, Release);
        }
        // SAFETY: a box, which nobody else looks at now.
        change(unsafe { &mut *pointer })
    }

    /// Takes away what the slot had beside itself.
    pub fn take_attachment(&self) -> Option<Box<Attachment>> {
        let _held = self.hold();
        let pointer = self.attachment.swap(core::ptr::null_mut(), AcqRel);
        // SAFETY: a box that was leaked by `change_attachment`.
        (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_a_cache_line() {
        assert_eq!(size_of::<Slot>(), 64);
    }

    #[test]
    fn tokens_survive_the_round_trip_and_foreign_values_are_recognised() {
        for token in [Token { index: 0, generation: 0 }, Token { index: 77, generation: 12345 }] {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
        for foreign in [0, 1, -1, 0xdead_beef, 0x7fff_1234_5678, isize::MIN] {
            assert_eq!(Token::decode(foreign), None);
        }
    }

    #[test]
    fn old_tokens_are_stale_once_a_slot_is_used_again() {
        let place = Origin::new(3, 0);
        let (index, slot) = allocate().unwrap();
        let first = slot.open(index, Kind::Handle, place, 42, Mark { by: 7, ip: 0x1234 }, 1);
        assert!(slot.is_open_handle(first.generation, place));
        assert!(!slot.is_open_handle(first.generation, Origin::new(4, 0)));
        assert_eq!(slot.opened(), Mark { by: 7, ip: 0x1234 });
        slot.close(Mark { by: 8, ip: 0x1235 }, 1);
        assert!(!slot.is_open_handle(first.generation, place));
        assert!(slot.renew());
        let second = slot.open(index, Kind::Argument, place, 43, Mark::default(), 1);
        assert!(slot.is_open_handle(second.generation, place));
        assert!(!slot.is_open_handle(first.generation, place));
        assert_ne!(first, second);
    }
}
