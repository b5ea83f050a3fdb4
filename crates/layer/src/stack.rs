//! How much of its stack a thread has left.
//!
//! CPython counts nested calls, and takes each for as large as one of its own. With layers between, calls take more, and the stack could
//! end before the count does.

use core::cell::Cell;
use core::ffi::CStr;

use crate::inner::{InnerContext, InnerHandle};

/// What has to be left for a call: an exception, a report, and the Python code that handles it.
const RESERVE: usize = 256 * 1024;

thread_local! {
    /// The lowest address of the thread's stack, that of which it is nearly full below, and the highest. None: not yet asked for.
    static STACK: Cell<Option<(usize, usize, usize)>> = const { Cell::new(None) };
}

/// Whether the calling thread had better not call any deeper. A stack that is not the thread's own is not known.
#[inline(always)]
pub fn is_nearly_full() -> bool {
    let here = 0u8;
    let here = core::hint::black_box(&raw const here).addr();
    let (lowest, low, highest) = STACK.try_with(Cell::get).ok().flatten().unwrap_or_else(look);
    here < low && here >= lowest && here < highest
}

#[cold]
fn look() -> (usize, usize, usize) {
    let (lowest, highest) = system::bounds().unwrap_or((0, 0));
    // Of a small stack, a quarter.
    let low = lowest + RESERVE.min((highest - lowest) / 4);
    let _ = STACK.try_with(|stack| stack.set(Some((lowest, low, highest))));
    (lowest, low, highest)
}

const MESSAGE: &CStr =
    c"maximum recursion depth exceeded while calling an HPy function in debug or trace mode: the stack is nearly full";

/// Raises RecursionError instead of calling an extension's function.
///
/// # Safety
/// The context is a layer's inner one, and the thread holds the interpreter.
#[cold]
pub unsafe fn refuse(inner: InnerContext) -> InnerHandle {
    // SAFETY: as this function's.
    unsafe { inner.ctx_Err_SetString(inner.constant(|ctx| ctx.h_RecursionError), MESSAGE.as_ptr()) };
    InnerHandle::NULL
}

#[cfg(target_os = "linux")]
mod system {
    /// The lowest address and the one behind the highest.
    pub fn bounds() -> Option<(usize, usize)> {
        let mut attributes = core::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
        let (mut start, mut size) = (core::ptr::null_mut(), 0);
        // SAFETY: the attributes are filled in by the first call, read by the second, and given back by the third.
        unsafe {
            if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
                return None;
            }
            let found = libc::pthread_attr_getstack(attributes.as_ptr(), &mut start, &mut size) == 0;
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
            found.then(|| (start.addr(), start.addr() + size))
        }
    }
}

#[cfg(target_vendor = "apple")]
mod system {
    /// The lowest address and the one behind the highest.
    pub fn bounds() -> Option<(usize, usize)> {
        // SAFETY: asks about the calling thread.
        let (end, size) = unsafe {
            let thread = libc::pthread_self();
            (libc::pthread_get_stackaddr_np(thread).addr(), libc::pthread_get_stacksize_np(thread))
        };
        Some((end.checked_sub(size)?, end))
    }
}

#[cfg(windows)]
mod system {
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetCurrentThreadStackLimits(low: *mut usize, high: *mut usize);
    }

    /// The lowest address and the one behind the highest.
    pub fn bounds() -> Option<(usize, usize)> {
        let (mut low, mut high) = (0, 0);
        // SAFETY: writes to two variables.
        unsafe { GetCurrentThreadStackLimits(&mut low, &mut high) };
        Some((low, high))
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
mod system {
    /// Nobody to ask.
    pub fn bounds() -> Option<(usize, usize)> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn depth_reached(depth: usize) -> usize {
        let room = core::hint::black_box([depth; 128]);
        if is_nearly_full() { room[0] } else { depth_reached(depth + 1) }
    }

    #[test]
    fn a_stack_is_nearly_full_before_it_is_full() {
        assert!(!is_nearly_full());
        for size in [1 << 20, 8 << 20] {
            let thread = std::thread::Builder::new().stack_size(size).spawn(|| depth_reached(0)).unwrap();
            let reached = thread.join().unwrap();
            assert!(reached > size / 1024 / 4 && reached < size / 1024, "{size}: {reached}");
        }
    }
}
