//! Bytes that grow, over C's allocator: without `std` there is no other.

use core::ffi::c_void;
use core::ptr;

unsafe extern "C" {
    fn realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
}

/// There is not enough memory.
#[derive(Debug)]
pub struct OutOfMemory;

/// A growing array of bytes.
pub struct Buffer {
    /// Null as long as there is no room.
    bytes: *mut u8,
    length: usize,
    room: usize,
}

impl Buffer {
    pub const fn new() -> Buffer {
        Buffer { bytes: ptr::null_mut(), length: 0, room: 0 }
    }

    pub fn as_bytes(&self) -> &[u8] {
        if self.bytes.is_null() {
            return &[];
        }
        // SAFETY: the first `length` bytes of the block are written.
        unsafe { core::slice::from_raw_parts(self.bytes, self.length) }
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<(), OutOfMemory> {
        let end = self.reserve(bytes.len())?;
        // SAFETY: there is room for as many bytes behind `end`, and nobody else has a pointer into it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len()) };
        self.length = self.length.wrapping_add(bytes.len());
        Ok(())
    }

    pub fn push_times(&mut self, byte: u8, count: usize) -> Result<(), OutOfMemory> {
        let end = self.reserve(count)?;
        // SAFETY: there is room for as many bytes behind `end`.
        unsafe { ptr::write_bytes(end, byte, count) };
        self.length = self.length.wrapping_add(count);
        Ok(())
    }

    /// Makes room for `more` bytes, and returns where they go.
    fn reserve(&mut self, more: usize) -> Result<*mut u8, OutOfMemory> {
        let needed =
            self.length.checked_add(more).filter(|needed| *needed <= isize::MAX as usize).ok_or(OutOfMemory)?;
        if needed > self.room || self.bytes.is_null() {
            let room = needed.max(self.room.saturating_mul(2)).clamp(64, isize::MAX as usize);
            // SAFETY: `bytes` is null or came from `realloc`; the size is not 0.
            let grown = unsafe { realloc(self.bytes.cast(), room) };
            if grown.is_null() {
                return Err(OutOfMemory);
            }
            self.bytes = grown.cast();
            self.room = room;
        }
        // SAFETY: `length` is at most `room`, the size of the block.
        Ok(unsafe { self.bytes.add(self.length) })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: `bytes` is null or came from `realloc`, and is not used any more.
        unsafe { free(self.bytes.cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows() {
        let mut buffer = Buffer::new();
        assert_eq!(buffer.as_bytes(), b"");
        buffer.push(b"").unwrap();
        buffer.push(b"abc").unwrap();
        buffer.push_times(b'x', 1000).unwrap();
        buffer.push(b"def").unwrap();
        assert_eq!(buffer.as_bytes(), format!("abc{}def", "x".repeat(1000)).as_bytes());
    }

    #[test]
    fn survives_a_lack_of_memory() {
        let mut buffer = Buffer::new();
        buffer.push(b"abc").unwrap();
        assert!(buffer.push_times(b'x', usize::MAX).is_err());
        assert!(buffer.push_times(b'x', isize::MAX as usize).is_err());
        assert!(buffer.push_times(b'x', isize::MAX as usize - 3).is_err());
        assert_eq!(buffer.as_bytes(), b"abc");
    }
}
