//! What both modes ask of the interpreter about threads.

/// Functions that any thread may call.
#[derive(Clone, Copy)]
pub struct Threads {
    /// Whether the calling thread holds the interpreter.
    pub holds_interpreter: unsafe fn() -> bool,
    /// A number for the interpreter that it holds, from 1; 0 for none.
    pub interpreter: unsafe fn() -> usize,
    /// Some address in the interpreter's binary: stacks in reports end there.
    pub address: fn() -> usize,
}
