//! What an address is, and what becomes of a copy.

/// What happens to a copy when its handle is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Its pages become unreadable: a system call.
    Full,
    /// It is filled with [`POISON`] up to its last NUL: cheap, and the fault is missed.
    Poison,
}

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// In a copy (or beside it, in its pages) whose handle is open. `len` is without the NUL.
    Open { start: usize, len: usize, tag: u64 },
    /// The same of a copy that is closed, or freed and its pages not yet used again.
    Closed { start: usize, len: usize, tag: u64 },
    /// Nothing of ours.
    Not,
}

/// No UTF-8: who makes a str of it gets an error.
pub const POISON: u8 = 0xDD;
