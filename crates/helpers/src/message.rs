//! The text of an exception, of limited length and without allocating.

use core::ffi::c_char;

use crate::cstr::Reader;
use crate::utf8;

/// Whether the units end at this byte: what follows is for error messages.
pub fn ends(byte: u8) -> bool {
    matches!(byte, 0 | b':' | b';')
}

/// Room for the text, the NUL included. It is that of 0.9, which users see when a text is longer.
const ROOM: usize = 512;

/// A text that is put together piece by piece. What does not fit is left out.
pub struct Message {
    bytes: [u8; ROOM],
    length: usize,
    names_function: bool,
}

impl Message {
    pub fn new() -> Message {
        Message { bytes: [0; ROOM], length: 0, names_function: false }
    }

    pub fn push(&mut self, text: &[u8]) {
        for byte in text {
            // One byte less, for the NUL.
            if self.length.wrapping_add(1) >= ROOM {
                return;
            }
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length = self.length.wrapping_add(1);
            }
        }
    }

    /// Adds at most the first `limit` bytes, and no half characters.
    pub fn push_at_most(&mut self, text: &[u8], limit: usize) {
        match text.get(..limit) {
            Some(head) => self.push(utf8::whole(head)),
            None => self.push(text),
        }
    }

    /// Begins with the function that a format names behind a colon: `name() `, or `function ` if it names none.
    pub fn push_function(&mut self, mut format: Reader) {
        format.take_while(|byte| !ends(byte));
        self.names_function = format.take() == b':';
        if self.names_function {
            self.push_at_most(format.rest(), 200);
            self.push(b"() ");
        } else {
            self.push(b"function ");
        }
    }

    /// Whether it begins with a function's name.
    pub fn names_function(&self) -> bool {
        self.names_function
    }

    /// Adds one byte of a format string; as `\xNN` if it is not ASCII and would break the text.
    pub fn push_format_byte(&mut self, byte: u8) {
        if byte.is_ascii() {
            self.push(&[byte]);
        } else {
            self.push(b"\\x");
            self.push(crate::number::Digits::hexadecimal(byte.into()).as_bytes());
        }
    }

    pub fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The text as a C string.
    pub fn as_ptr(&mut self) -> *const c_char {
        // The room may have run out inside a character.
        let length = self.bytes.get(..self.length).map_or(0, |text| utf8::whole(text).len());
        if let Some(end) = self.bytes.get_mut(length) {
            *end = 0;
        }
        self.bytes.as_ptr().cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::CStr;

    fn text(message: &mut Message) -> &[u8] {
        // SAFETY: `as_ptr` ends the text with NUL.
        unsafe { CStr::from_ptr(message.as_ptr()) }.to_bytes()
    }

    #[test]
    fn pieces() {
        let mut message = Message::new();
        message.push(b"one ");
        message.push_at_most("two€".as_bytes(), 4);
        message.push_format_byte(b'%');
        message.push_format_byte(0xC3);
        assert_eq!(text(&mut message), b"one two%\\xc3");
    }

    #[test]
    fn keeps_to_its_room() {
        let mut message = Message::new();
        message.push(&[b'x'; 600]);
        assert_eq!(text(&mut message), [b'x'; 511]);

        let mut message = Message::new();
        message.push("é".repeat(300).as_bytes());
        assert_eq!(text(&mut message), "é".repeat(255).as_bytes());
    }
}
