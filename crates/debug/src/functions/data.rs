//! Strings and bytes: what points into them is a copy that can be locked.

use core::ffi::{CStr, c_char, c_int};
use core::ptr::null;

use hpy_abi::runtime::{Bytes, Error, Unicode};
use hpy_abi::*;

use crate::autogen_functions::{checked_bytes, checked_error, checked_unicode};
use crate::autogen_misuses::Misuse;
use crate::call::Call;
use crate::slot;
use crate::{Debug, memory};
use hpy_layer::member;

/// Keeps a copy of an object's contents for as long as the handle is open, and gives its address.
///
/// # Safety
/// The handle is an open one of the extension's, and the contents are as long as `size`.
pub unsafe fn copy(call: Call, h: HPy, contents: *const c_char, size: usize) -> *const c_char {
    if contents.is_null() {
        return contents;
    }
    let Some((token, slot)) = slot::of(h._i) else {
        return contents;
    };
    // SAFETY: as this function's.
    let bytes = unsafe { core::slice::from_raw_parts(contents.cast::<u8>(), size) };
    slot.change_attachment(|attachment| {
        let is_same = |&&(copy, length): &&(*const u8, usize)| {
            // SAFETY: copies of an open handle can be read, and are as long as said.
            length == size + 1 && unsafe { core::slice::from_raw_parts(copy, size) } == bytes
        };
        if let Some((copy, _)) = attachment.copies.iter().find(is_same) {
            return copy.cast();
        }
        let copy = memory::copy(bytes, u64::from(token.index) | u64::from(call.function) << 32);
        if copy.is_null() {
            // Without protection is better than not at all.
            return contents;
        }
        attachment.copies.push((copy, size + 1));
        copy.cast()
    })
}

impl Unicode for Debug {
    checked_unicode!();

    unsafe extern "C" fn ctx_Unicode_AsUTF8AndSize(
        ctx: *mut HPyContext,
        h: HPy,
        size: *mut HPy_ssize_t,
    ) -> *const c_char {
        // SAFETY: the context is one of ours, and the handle has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Unicode_AsUTF8AndSize) else { return null() };
            let Some(inner) = call.handle(h, 0) else { return null() };
            let mut length = 0;
            let text = call.inner.ctx_Unicode_AsUTF8AndSize(inner, &mut length);
            if text.is_null() {
                call.has_failed();
                return null();
            }
            if !size.is_null() {
                *size = length;
            }
            copy(*call, h, text, length.max(0).cast_unsigned())
        }
    }
}

impl Bytes for Debug {
    checked_bytes!();

    unsafe extern "C" fn ctx_Bytes_AsString(ctx: *mut HPyContext, h: HPy) -> *const c_char {
        // SAFETY: the context is one of ours, and the handle has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Bytes_AsString) else { return null() };
            let Some(inner) = call.handle(h, 0) else { return null() };
            let text = call.inner.ctx_Bytes_AsString(inner);
            if text.is_null() {
                call.has_failed();
                return null();
            }
            let length = call.inner.ctx_Bytes_GET_SIZE(inner);
            copy(*call, h, text, length.max(0).cast_unsigned())
        }
    }

    unsafe extern "C" fn ctx_Bytes_AS_STRING(ctx: *mut HPyContext, h: HPy) -> *const c_char {
        // SAFETY: the context is one of ours, and the handle has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Bytes_AS_STRING) else { return null() };
            let Some(inner) = call.handle(h, 0) else { return null() };
            if !call.is(inner, |ctx| ctx.h_BytesType, "bytes", 0) {
                return null();
            }
            let text = call.inner.ctx_Bytes_AS_STRING(inner);
            let length = call.inner.ctx_Bytes_GET_SIZE(inner);
            copy(*call, h, text, length.max(0).cast_unsigned())
        }
    }
}

/// How messages begin that the helpers in an extension give about a format string.
const ABOUT_FORMATS: [&str; 11] = [
    "HPyArg_Parse",
    "HPy_BuildValue",
    "invalid format string",
    "formatting unit",
    "unknown arg format code",
    "got the format unit",
    "unknown keyword only argument",
    "mismatched args (too few keywords",
    "mismatched args (too many keywords",
    "empty keyword parameter name",
    "got NULL as format",
];

impl Error for Debug {
    checked_error!();

    unsafe extern "C" fn ctx_Err_SetString(ctx: *mut HPyContext, h_type: HPy, utf8_message: *const c_char) {
        // SAFETY: the context is one of ours, and what is passed on has been checked.
        unsafe {
            let Some(call) = Call::enter(ctx, member::ctx_Err_SetString) else { return };
            if !call.text(utf8_message, 1, false, true) {
                return;
            }
            let Some(class) = call.handle(h_type, 0) else { return };
            let about_format = matches!(h_type, _ if h_type == (*ctx).h_SystemError || h_type == (*ctx).h_TypeError)
                && {
                    let message = CStr::from_ptr(utf8_message).to_string_lossy();
                    ABOUT_FORMATS.iter().any(|beginning| message.contains(beginning))
                };
            if about_format {
                let message = CStr::from_ptr(utf8_message).to_string_lossy();
                call.incident(Misuse::FormatString, format!("a format string is wrong: {message}")).tell();
                if call.inner.ctx_Err_Occurred() != 0 {
                    return;
                }
            }
            call.inner.ctx_Err_SetString(class, utf8_message);
            call.has_raised();
        }
    }
}
