//! `HPyHelpers_AddType`.

use core::ffi::{c_char, c_int};

use hpy_abi::{HPy, HPyContext, HPyType_Spec, HPyType_SpecParam};

use crate::context::{Context, is_success};

/// Makes a type and sets it as the attribute `name` of `obj`. Returns 1, or 0 with an exception pending.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn HPyHelpers_AddType(
    ctx: *mut HPyContext,
    obj: HPy,
    name: *const c_char,
    spec: *mut HPyType_Spec,
    params: *mut HPyType_SpecParam,
) -> c_int {
    // SAFETY: the caller's context and handles.
    let context = unsafe { Context::new(ctx) };
    // SAFETY: the caller's spec and parameters.
    let made = unsafe { context.new_type(spec, params) };
    is_success(made.and_then(|made| context.set_attribute(obj, name, made.handle())))
}
