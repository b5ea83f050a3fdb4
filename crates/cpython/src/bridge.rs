//! Which function CPython calls for one of an extension's.
//!
//! CPython passes `(self, …)` where the extension wants `(ctx, self, …)`. Each binary brings a trampoline for each function, which
//! calls the runtime to get over that; where a `thunk` of the runtime can do it by moving registers, CPython calls the thunk, and
//! the trampoline is not used. The static library of the CPython ABI has no thunks: there, trampolines know what they call.

use hpy_abi::*;

use crate::shift::Shift;

/// The function that CPython calls for an extension's `function` with this signature, null for null.
pub fn of(
    ctx: *mut HPyContext,
    signature: HPyFunc_Signature,
    function: HPyCFunction,
    trampoline: HPyCFunction,
) -> HPyCFunction {
    Shift::of(signature).map_or(trampoline, |shift| with_shift(ctx, shift, function, trampoline))
}

/// As [`of`], for a function that is not called as its signature says.
pub fn with_shift(
    ctx: *mut HPyContext,
    shift: Shift,
    function: HPyCFunction,
    trampoline: HPyCFunction,
) -> HPyCFunction {
    // A trampoline that is missing is the extension's way to say that there is no function.
    #[cfg(thunks)]
    if trampoline.is_some()
        && let Some(thunk) = crate::thunk::make(ctx, shift, function)
    {
        return Some(thunk);
    }
    #[cfg(not(thunks))]
    let _ = (ctx, shift, function);
    trampoline
}
