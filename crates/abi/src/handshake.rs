//! What a binary and a runtime hand over to each other beside the context. Binaries and runtimes of 0.9 know none of it, so both sides
//! do without. Structs grow at their end only, and say how long they are.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{offset_of, size_of};

use crate::{HPy, HPyContext, HPyField, HPyGlobal, HPyModuleDef, HPyTracker};

/// What a universal binary hands over when CPython imports it by its `PyInit_NAME`: `_HPyModule_Entry` of the headers.
#[repr(C)]
pub struct HPyModuleEntry {
    /// Of the struct, in bytes: what a newer binary has behind is not known here.
    pub size: u32,
    /// The ABI that the binary needs.
    pub major: u32,
    pub minor: u32,
    /// The last part of the module's name.
    pub name: *const c_char,
    /// Called with the context before anything else of the module.
    pub set_context: Option<unsafe extern "C" fn(*mut HPyContext)>,
    pub init: Option<unsafe extern "C" fn() -> *mut HPyModuleDef>,
    /// Of a module that has declared that it needs no GIL. Called where there is none. Binaries that end before it have not.
    set_threading: Option<SetThreading>,
    set_shortcuts: Option<SetShortcuts>,
}

/// A member of the entry; none if it ends before that.
macro_rules! member {
    ($entry:ident, $member:ident: $kind:ty) => {{
        let end = offset_of!(HPyModuleEntry, $member) + size_of::<$kind>();
        if (*$entry).size as usize >= end { (*$entry).$member } else { None }
    }};
}

impl HPyModuleEntry {
    /// # Safety
    /// The entry is as long as it says.
    pub unsafe fn set_threading(entry: *const HPyModuleEntry) -> Option<SetThreading> {
        // SAFETY: as this function's.
        unsafe { member!(entry, set_threading: Option<SetThreading>) }
    }

    /// # Safety
    /// The entry is as long as it says.
    pub unsafe fn set_shortcuts(entry: *const HPyModuleEntry) -> Option<SetShortcuts> {
        // SAFETY: as this function's.
        unsafe { member!(entry, set_shortcuts: Option<SetShortcuts>) }
    }
}

/// `HPyInitWithoutGIL_NAME`, which is exported by a binary that has declared that it needs no GIL. The struct has to stay.
pub type SetThreading = unsafe extern "C" fn(*const HPyThreading);

/// `_HPyThreading` of the headers: fields and globals for binaries whose functions run in several threads at once.
#[repr(C)]
pub struct HPyThreading {
    /// Of the struct, in bytes.
    pub size: u32,
    /// 0 and a new handle, or null for an empty field; or 1 and a value, which the binary loads by the function of its context and
    /// releases then, or -1 and one that it only loads.
    pub field_load: unsafe extern "C" fn(*mut HPyContext, HPy, *const HPyField, *mut HPy, *mut HPyField) -> c_int,
    /// The same for a global.
    pub global_load: unsafe extern "C" fn(*mut HPyContext, *const HPyGlobal, *mut HPy, *mut HPyGlobal) -> c_int,
    /// Of a value that was given with 1.
    pub release: unsafe extern "C" fn(isize),
}

/// `HPyInitShortcuts_NAME`, which copies the struct.
pub type SetShortcuts = unsafe extern "C" fn(*const HPyShortcuts);

/// `_HPyShortcuts` of the headers: what binaries do not know about objects that look into them themselves.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HPyShortcuts {
    /// Of the struct, in bytes.
    pub size: u32,
    /// Whether the head of an int of one digit is that number shifted, with the sign in the two lowest bits, and not -1, 0 or 1.
    pub has_tagged_ints: u32,
    /// The context whose handles are addresses of objects.
    pub objects: *mut HPyContext,
    /// The same context if reference counts are an `i32`, which is negative in immortal objects.
    pub half_counts: *mut HPyContext,
    /// The same context if they are words.
    pub word_counts: *mut HPyContext,
    pub list_type: isize,
    pub tuple_type: isize,
    pub float_type: isize,
    pub int_type: isize,
    /// Where a tuple's items lie, in bytes.
    pub tuple_items: isize,
    /// Where a type's flags lie.
    pub type_flags: isize,
    pub match_names: Option<MatchNames>,
    pub track: Option<Track>,
    pub parse_objects: Option<ParseObjects>,
}

/// Puts the values of keyword arguments to the parameters that they are for: gets a tuple of the names that are given, their values, the
/// names of parameters and their number, and where the values go. All is borrowed. Returns 0 if it can't tell.
pub type MatchNames = unsafe extern "C" fn(HPy, *const HPy, *const *const c_char, usize, *mut HPy) -> c_int;
/// Gives a tracker with another reference to each of so many objects, whose handles stay the same; null with an exception.
pub type Track = unsafe extern "C" fn(*const HPy, usize) -> HPyTracker;
/// `HPyArg_ParseKeywords` where all units are `O`: gets a place for the tracker, the arguments, their number, the tuple of the names that are
/// given, the names of parameters, where handles go, the number of parameters, and how many of them are required. Returns 0 if it can't, with
/// nothing but such places written.
pub type ParseObjects = unsafe extern "C" fn(
    *mut HPyTracker,
    *const HPy,
    usize,
    HPy,
    *const *const c_char,
    *const *mut HPy,
    usize,
    usize,
) -> c_int;

impl HPyShortcuts {
    // What binaries know: where things lie in an object, in bytes.
    pub const TYPE: isize = size_of::<*mut c_void>().cast_signed();
    /// In an object with items, their number, as a word.
    pub const LENGTH: isize = 2 * Self::TYPE;
    /// A list's pointer to its items.
    pub const LIST_ITEMS: isize = 3 * Self::TYPE;
    /// An int's sign and number of digits, as a word.
    pub const INT_HEAD: isize = 2 * Self::TYPE;
    /// An int's lowest digit, of 32 bits.
    pub const INT_DIGIT: isize = 3 * Self::TYPE;
    pub const FLOAT_VALUE: isize = 2 * Self::TYPE;
    /// The struct of an instance of a type with the shape `Object`.
    pub const PAYLOAD: isize = 16;
}

/// Where the function lies that takes a binary's entry, in a capsule of this name. It gives CPython's definition of the module, or null with an
/// exception.
pub const IMPORT_CAPSULE: &CStr = c"hpy.universal._import_entry";
/// The capsule is this attribute of `hpy.universal`.
pub const IMPORT_ATTRIBUTE: &CStr = c"_import_entry";
pub type ImportEntry = unsafe extern "C" fn(*const HPyModuleEntry) -> *mut c_void;
