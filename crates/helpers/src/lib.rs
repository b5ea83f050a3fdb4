//! What C extensions link statically: the API's functions that are not in the context but built on it; and, in the CPython
//! ABI (feature `cpython`), those of the context that headers do not have inline.
//!
//! * [`argparse`] has `HPyArg_Parse`, and [`keywords`] its two siblings with keywords;
//! * [`buildvalue`] has `HPy_BuildValue`;
//! * [`mod@format`] has `HPyUnicode_FromFormat` and `HPyErr_Format`;
//! * [`import`] is what a universal binary does when CPython imports it without a stub;
//! * [`structseq`] makes struct sequences, over `collections.namedtuple`;
//! * [`addtype`] and [`arguments`] have the `HPyHelpers_*`;
//! * `autogen_library` and `cpython` are the CPython ABI's.
//!
//! Functions with variadic arguments are C shims in `include/hpy/runtime/`. They ask here which arguments a format
//! wants, pull these out of the `va_list` ([`vararg`]), and hand an array over. No format string can crash: whatever is
//! wrong with one becomes an exception.
//!
//! # No panics
//!
//! The panic machinery would add a quarter of a megabyte to each extension. So nothing here indexes, unwraps or
//! divides by a variable, and a panic handler is never linked: `nm` on a release archive finds no symbol with `panic`
//! in it. A build that unwinds (`cargo build`, `cargo test`) is on `std` instead, and is for development only; with
//! the feature `cpython` every build is, because `pyo3-ffi` is.
//!
//! # Safety
//!
//! The exported functions are unsafe because they are C's: the context has to be live and of the calling thread, which
//! holds the interpreter; handles have to be open and of that context; strings have to end with NUL; arrays have to
//! be as long as said.
#![cfg_attr(all(not(test), panic = "abort", not(feature = "cpython")), no_std)]
#![allow(non_snake_case, reason = "the exported names are C's")]
#![allow(clippy::missing_safety_doc, reason = "said once for all functions, above")]

pub mod addtype;
pub mod argparse;
pub mod arguments;
pub mod buildvalue;
pub mod format;
#[cfg(not(feature = "cpython"))]
pub mod import;
pub mod keywords;
pub mod structseq;
pub mod vararg;

#[cfg(feature = "cpython")]
mod autogen_library;
mod buffer;
mod context;
#[cfg(feature = "cpython")]
mod cpython;
mod cstr;
mod message;
#[cfg(feature = "cpython")]
mod modes;
mod number;
mod shortcuts;
mod symbols;
mod units;
mod utf8;

/// Never reached, and so never linked; the compiler wants one.
#[cfg(all(not(test), panic = "abort", not(feature = "cpython")))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
