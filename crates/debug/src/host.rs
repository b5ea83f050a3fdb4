//! What debug mode asks of the interpreter beside the API.

use core::ffi::c_void;

use hpy_layer::inner::InnerHandle;
use hpy_layer::threads::Threads;

/// What debug mode asks of the interpreter beside the API.
pub struct Host {
    /// Appends type and repr of an object. Keeps a pending exception, and never fails.
    pub describe: unsafe fn(object: InnerHandle, text: &mut String),
    /// The `repr()` of an object in one line and cut off, or what can be said without it. Keeps a pending exception, and never fails.
    pub repr: unsafe fn(object: InnerHandle) -> String,
    /// The innermost line of Python that is running: `app.py:12 in main`. Keeps a pending exception.
    pub python_place: unsafe fn() -> Option<String>,
    /// Raises the exception for a misuse; one that is pending becomes its context.
    pub raise: unsafe fn(identifier: &str, text: &str),
    /// Whether threads run at the same time, because there is no GIL.
    pub is_parallel: bool,
    pub threads: Threads,
    /// The pending exception, as `ValueError: wrong`.
    pub pending: unsafe fn() -> Option<String>,
    /// Tells the user. Keeps a pending exception.
    pub warn: unsafe fn(text: &str),
    /// The same number for each handle to an object.
    pub identity: unsafe fn(object: InnerHandle) -> usize,
    /// Which of these objects, given by their identities, have buffers that other objects of Python hold, such as memoryviews. Runs no code
    /// of others, and keeps a pending exception.
    pub holds_buffers: unsafe fn(objects: &[usize]) -> Vec<bool>,
    /// Whether there is an object at this address. Looks carefully: it may be any number.
    pub is_object: unsafe fn(address: isize) -> bool,
    /// Watches whether the instances of a type that was made from legacy slots give it up, and calls `type_is_kept` if not.
    pub watch_dealloc: unsafe fn(tp: InnerHandle, legacy_slots: *const c_void),
    /// Quickly: what tells the object's type from others, and what tells whether the place was given to another type since.
    pub type_of: unsafe fn(object: InnerHandle) -> (usize, usize),
    /// The second of these, of a type itself. What is no type has some number, too.
    pub type_mark: unsafe fn(tp: InnerHandle) -> usize,
    /// The name of an object's type, without its module, and whether `value_of` can say more.
    pub type_name: unsafe fn(object: InnerHandle) -> (String, bool),
    /// Quickly: the value of an object of a simple type. Runs no code of others.
    pub value_of: unsafe fn(object: InnerHandle, value: &mut Value),
}

/// As much of a text as is kept.
pub const ROOM: usize = 24;

/// The value of an object, if it has a simple one.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub enum Value {
    #[default]
    None,
    Integer(i64),
    Float(f64),
    /// The beginning of the text in UTF-8, ended by NUL unless it is full, and the length of the whole.
    Text([u8; ROOM], usize),
    Bytes([u8; ROOM], usize),
}
