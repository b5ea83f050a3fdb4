//! `HPyHelpers_PackArgsAndKeywords`.

use core::ffi::c_int;

use hpy_abi::{HPy, HPyContext};

use crate::context::{Context, Owned, Raised, is_success};

/// Turns the arguments of a call into a tuple and a dict. Returns 1, or 0 with an exception pending.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn HPyHelpers_PackArgsAndKeywords(
    ctx: *mut HPyContext,
    args: *const HPy,
    nargs: usize,
    kwnames: HPy,
    out_args_tuple: *mut HPy,
    out_kwd: *mut HPy,
) -> c_int {
    // SAFETY: the caller's context and handles.
    let context = unsafe { Context::new(ctx) };
    if out_args_tuple.is_null() {
        context.raise(context.system_error(), c"argument 'out_pos_args' must not be NULL");
        return 0;
    }
    if out_kwd.is_null() {
        context.raise(context.system_error(), c"argument 'out_kwd' must not be NULL");
        return 0;
    }
    // SAFETY: the caller's arguments.
    let packed = unsafe { pack(context, args, nargs, kwnames) };
    is_success(packed.map(|(positional, keywords)| {
        let handle = |packed: Option<Owned>| packed.map_or(HPy::NULL, Owned::into_handle);
        // SAFETY: neither is null, so each is the caller's variable.
        unsafe {
            *out_args_tuple = handle(positional);
            *out_kwd = handle(keywords);
        }
    }))
}

/// Each is `None` if there are no such arguments.
///
/// # Safety
/// `args` has `nargs` handles, and as many more as `kwnames` has items.
unsafe fn pack(
    context: Context,
    args: *const HPy,
    nargs: usize,
    kwnames: HPy,
) -> Result<(Option<Owned>, Option<Owned>), Raised> {
    let count = if kwnames.is_null() { 0 } else { context.length(kwnames)? };
    let mut keywords = None;
    if count > 0 {
        let dict = context.dict()?;
        for index in 0..count {
            let name = context.item(kwnames, index)?;
            // SAFETY: the values of the keywords follow the positional arguments.
            let value = unsafe { *args.add(nargs).offset(index) };
            context.set_item(dict.handle(), name.handle(), value)?;
        }
        keywords = Some(dict);
    }
    let mut positional = None;
    if nargs > 0 {
        // SAFETY: there are `nargs` positional arguments.
        positional = Some(unsafe { context.tuple(args, nargs as isize) }?);
    }
    Ok((positional, keywords))
}
