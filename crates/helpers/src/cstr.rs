//! Reading a C string byte by byte.

use core::ffi::c_char;
use core::marker::PhantomData;

/// A place in a C string. It never gets past the NUL at the end.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    at: *const u8,
    string: PhantomData<&'a [u8]>,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    ///
    /// # Safety
    /// `string` is not null, ends with NUL, and stays as it is for `'a`.
    pub unsafe fn new(string: *const c_char) -> Reader<'a> {
        Reader { at: string.cast(), string: PhantomData }
    }

    /// The byte here; 0 at the end.
    pub fn peek(self) -> u8 {
        // SAFETY: `at` is in the string or at its NUL, see `skip`.
        unsafe { *self.at }
    }

    /// Goes one byte further, unless this is the end.
    pub fn skip(&mut self) {
        if self.peek() != 0 {
            // SAFETY: this byte is not the NUL, so there is one after it.
            self.at = unsafe { self.at.add(1) };
        }
    }

    /// The byte here, going past it; 0 at the end.
    pub fn take(&mut self) -> u8 {
        let byte = self.peek();
        self.skip();
        byte
    }

    /// The byte here as a text, going past it; empty at the end.
    pub fn take_one(&mut self) -> &'a [u8] {
        let mut taken = false;
        self.take_while(|_| !core::mem::replace(&mut taken, true))
    }

    /// Goes past `byte` if it is here.
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = byte != 0 && self.peek() == byte;
        if found {
            self.skip();
        }
        found
    }

    /// The bytes that `include` accepts, up to the first it does not or the end, going past them.
    pub fn take_while(&mut self, mut include: impl FnMut(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        let mut length: usize = 0;
        while self.peek() != 0 && include(self.peek()) {
            self.skip();
            length = length.wrapping_add(1);
        }
        // SAFETY: `length` bytes from `start` on were just read, and the string lives for 'a.
        unsafe { core::slice::from_raw_parts(start, length) }
    }

    /// All bytes from here to the end.
    pub fn rest(mut self) -> &'a [u8] {
        self.take_while(|_| true)
    }

    pub fn as_ptr(self) -> *const c_char {
        self.at.cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_at_the_end() {
        // SAFETY: a literal that ends with NUL.
        let mut reader = unsafe { Reader::new(c"ab".as_ptr()) };
        assert_eq!(reader.peek(), b'a');
        assert!(!reader.eat(b'b') && reader.eat(b'a'));
        assert_eq!(reader.rest(), b"b");
        assert_eq!((reader.take(), reader.take(), reader.take()), (b'b', 0, 0));
        assert!(!reader.eat(0));
        assert_eq!(reader.rest(), b"");
    }

    #[test]
    fn takes_a_run() {
        // SAFETY: a literal that ends with NUL.
        let mut reader = unsafe { Reader::new(c"123x".as_ptr()) };
        assert_eq!(reader.take_while(|byte| byte.is_ascii_digit()), b"123");
        assert_eq!(reader.take_while(|byte| byte.is_ascii_digit()), b"");
        assert_eq!(reader.rest(), b"x");
        assert_eq!(reader.take_one(), b"x");
        assert_eq!(reader.take_one(), b"");
    }
}
