//! The units of formats: which there are, and what to write in place of those that only CPython has.

use core::ffi::CStr;

use crate::context::{Context, Raised};
use crate::cstr::Reader;
use crate::message::{Message, ends};

pub fn is_unit(byte: u8) -> bool {
    matches!(
        byte,
        b'b' | b'B' | b'h' | b'H' | b'i' | b'I' | b'l' | b'k' | b'L' | b'K' | b'n' | b'f' | b'd' | b'O' | b'p' | b's'
    )
}

/// What follows a unit of CPython's and makes it another one.
fn is_modifier(byte: u8) -> bool {
    matches!(byte, b'#' | b'*' | b'!' | b'&')
}

/// What an author writes in place of a unit that CPython has and HPy does not.
fn replacement(unit: u8, modifier: u8) -> Option<&'static CStr> {
    Some(match (unit, modifier) {
        (b's' | b'z', b'#') | (b'e', _) | (b'u', _) => c"use 'O' and HPyUnicode_AsUTF8AndSize",
        (b'z', 0) => c"use 'O', and HPyUnicode_AsUTF8AndSize unless it is None",
        (b's' | b'z' | b'y' | b'w', b'*') => c"use 'O'; HPyBytes_AsString and HPyBytes_Size read bytes",
        (b'y', _) => c"use 'O', HPyBytes_AsString and HPyBytes_Size",
        (b'S', _) => c"use 'O' and HPyBytes_Check",
        (b'U', _) => c"use 'O' and HPyUnicode_Check",
        (b'O', b'!') => c"use 'O' and HPy_TypeCheck",
        (b'O', b'&') => c"use 'O' and call the converter with the handle",
        (b'Y', _) => c"use 'O' and check the type",
        (b'c', _) => c"use 'O' and HPyBytes_AsString",
        (b'C', _) => c"use 'O' and HPyUnicode_ReadChar",
        (b'D', _) => c"use 'O' and read the attributes real and imag",
        (b'(', _) => c"use 'O' and HPy_GetItem_i",
        _ => return None,
    })
}

/// Looks through a whole format, in which these marks may stand between units. SystemError for what is no unit.
#[inline]
pub fn check(context: Context, format: Reader, is_mark: impl Fn(u8) -> bool) -> Result<(), Raised> {
    let mut rest = format;
    loop {
        let byte = rest.peek();
        if !is_unit(byte) && !is_mark(byte) {
            return if ends(byte) { Ok(()) } else { Err(refuse(context, format, rest.as_ptr().addr())) };
        }
        rest.skip();
    }
}

/// Raises for the byte at an address, which is no unit.
#[cold]
#[inline(never)]
fn refuse(context: Context, format: Reader, address: usize) -> Raised {
    let (mut rest, mut before) = (format, 0);
    while rest.as_ptr().addr() != address {
        before = rest.take();
    }
    let byte = rest.take();
    let (unit, modifier) = match is_modifier(byte) {
        true => (before, byte),
        false => (byte, if is_modifier(rest.peek()) { rest.peek() } else { 0 }),
    };
    let mut message = Message::new();
    message.push_function(format);
    match replacement(unit, modifier) {
        Some(instead) => {
            message.push(b"got the format unit '");
            message.push_format_byte(unit);
            if modifier != 0 {
                message.push_format_byte(modifier);
            }
            // CPython has a letter for what these encode to.
            if unit == b'e' && matches!(rest.peek(), b's' | b't') {
                message.push_format_byte(rest.take());
            }
            message.push(b"', which HPy does not have: ");
            message.push(instead.to_bytes());
        }
        None => {
            message.push(b"unknown arg format code");
            // Where the message names the function, it is to the letter that of 0.9.
            if !message.names_function() {
                message.push(b" '");
                message.push_format_byte(byte);
                message.push(b"' in '");
                let mut units = format;
                for byte in units.take_while(|byte| !ends(byte)).iter().take(100) {
                    message.push_format_byte(*byte);
                }
                message.push(b"'");
            }
        }
    }
    context.raise_message(context.system_error(), message)
}
