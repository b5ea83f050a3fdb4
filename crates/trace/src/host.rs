//! What trace mode asks of the interpreter beside the API.

use hpy_layer::inner::InnerHandle;
use hpy_layer::threads::Threads;

/// A place in Python code, as quickly as the interpreter can tell: the code, and where in it, which may be told in several ways for one
/// line. Zeros for none.
pub type Site = (usize, usize);

/// A line of Python in words.
#[derive(Clone, PartialEq, Eq, Hash, Debug, serde::Serialize)]
pub struct Line {
    pub file: String,
    pub line: u32,
    pub function: String,
}

/// What trace mode asks of the interpreter beside the API.
pub struct Host {
    /// Where Python code is.
    pub site: unsafe fn() -> Site,
    /// The line that this is. Keeps a pending exception.
    pub line: unsafe fn() -> Option<Line>,
    /// Makes that no other code gets the number of the code that is running.
    pub keep_code: unsafe fn(),
    /// Whether the calling thread holds the interpreter, and an exception is pending.
    pub has_exception: unsafe fn() -> bool,
    pub threads: Threads,
    /// Calls a Python function with a str. Keeps a pending exception. False if the function raised something, which has been reported.
    pub call: unsafe fn(function: InnerHandle, name: &str) -> bool,
}
