//! The HPy ABI 0: what a binary and a runtime agree on.
//!
//! * [`HPyContext`] is the table that every function of an extension gets as its first argument. Its members' places are
//!   fixed for ever; `autogen_context.rs` asserts them at compile time.
//! * [`runtime`] has a trait for each family of functions. An interpreter's runtime, and every layer over another runtime,
//!   implements them all and gets its table from [`runtime::context`].
//! * [`calls`] is the other side: one function per member, for code that has a context and calls through it.
//! * The rest are the handles, enums and structs that cross the border.
//!
//! Everything but this file is generated from `spec/`, and the names are C's.
//!
//! # Safety
//!
//! The functions are unsafe because they are C's: the context has to be live and of the calling thread, which holds the
//! interpreter; handles have to be open and of that context; pointers have to be what the C declaration says.
#![no_std]
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(clippy::missing_safety_doc, reason = "said once for all functions, above")]
#![allow(clippy::too_many_arguments, reason = "the ABI is what it is")]

mod autogen_context;
mod autogen_types;

#[path = "autogen_calls.rs"]
pub mod calls;
#[path = "autogen_runtime.rs"]
pub mod runtime;

pub use autogen_context::{HPyContext, MEMBER_COUNT, offset_of_member};
pub use autogen_types::*;

/// Binaries of another major version can't be loaded.
pub const ABI_VERSION: core::ffi::c_int = 0;
/// Binaries that ask for more than this can't be loaded.
pub const ABI_VERSION_MINOR: core::ffi::c_int = 0;

/// The items of a list that ends with null; none for null.
///
/// # Safety
/// The list stays while the items are asked for.
pub unsafe fn null_ended<T>(list: *mut *mut T) -> impl Iterator<Item = *mut T> {
    let mut next = list;
    core::iter::from_fn(move || {
        // SAFETY: null, or within the list: it is not left behind its null.
        let item = unsafe { next.as_ref() }.copied().filter(|item| !item.is_null())?;
        // SAFETY: the item is not the last.
        next = unsafe { next.add(1) };
        Some(item)
    })
}

/// What a universal binary hands over when CPython imports it by its `PyInit_NAME`: `_HPyModule_Entry` of the headers.
#[repr(C)]
pub struct HPyModuleEntry {
    /// Of the struct, in bytes: what a newer binary has behind is not known here.
    pub size: u32,
    /// The ABI that the binary needs.
    pub major: u32,
    pub minor: u32,
    /// The last part of the module's name.
    pub name: *const core::ffi::c_char,
    /// Called with the context before anything else of the module.
    pub set_context: Option<unsafe extern "C" fn(*mut HPyContext)>,
    pub init: Option<unsafe extern "C" fn() -> *mut HPyModuleDef>,
    /// Of a module that has declared that it needs no GIL. Called where there is none. Binaries that end before it have not.
    set_threading: Option<SetThreading>,
}

impl HPyModuleEntry {
    /// # Safety
    /// The entry is as long as it says.
    pub unsafe fn set_threading(entry: *const HPyModuleEntry) -> Option<SetThreading> {
        // SAFETY: as this function's: the field is read only if it is there.
        unsafe {
            let end =
                core::mem::offset_of!(HPyModuleEntry, set_threading) + core::mem::size_of::<Option<SetThreading>>();
            if (*entry).size as usize >= end { (*entry).set_threading } else { None }
        }
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
    pub field_load:
        unsafe extern "C" fn(*mut HPyContext, HPy, *const HPyField, *mut HPy, *mut HPyField) -> core::ffi::c_int,
    /// The same for a global.
    pub global_load:
        unsafe extern "C" fn(*mut HPyContext, *const HPyGlobal, *mut HPy, *mut HPyGlobal) -> core::ffi::c_int,
    /// Of a value that was given with 1.
    pub release: unsafe extern "C" fn(isize),
}

/// Where the function lies that takes one, in a capsule of this name. It gives CPython's definition of the module, or null with an
/// exception.
pub const IMPORT_CAPSULE: &core::ffi::CStr = c"hpy.universal._import_entry";
/// The capsule is this attribute of `hpy.universal`.
pub const IMPORT_ATTRIBUTE: &core::ffi::CStr = c"_import_entry";
pub type ImportEntry = unsafe extern "C" fn(*const HPyModuleEntry) -> *mut core::ffi::c_void;
