//! What has to happen to the arguments of CPython's call so that they are those of an extension's function.

use hpy_abi::*;

use crate::autogen_trampolines::passed_as_they_are;

/// What a thunk does with the arguments, in front of which it puts the context.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shift {
    /// Passes on this many, 1 to 4.
    Arguments(usize),
    /// Passes on 4, but clears the highest bit of the third, which says something about the array in the second.
    Vectorcall,
    /// Passes on the object, the items of the tuple, their number, and the dictionary.
    TupleAndDict,
}

impl Shift {
    /// For a method or slot of this signature. None if it needs more work.
    pub fn of(signature: HPyFunc_Signature) -> Option<Shift> {
        match signature {
            HPyFunc_VARARGS => Some(Shift::Arguments(3)),
            HPyFunc_KEYWORDS => Some(Shift::Arguments(4)),
            HPyFunc_NEWFUNC | HPyFunc_INITPROC => Some(Shift::TupleAndDict),
            _ => passed_as_they_are(signature).map(Shift::Arguments),
        }
    }
}
