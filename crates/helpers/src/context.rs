//! The API, for the code in here: each call of the table is unsafe in one place, failures are `Err`, and handles, lists
//! and tuples under way close themselves.

use core::ffi::{CStr, c_char, c_int, c_long, c_longlong, c_ulong, c_ulonglong};
use core::mem::{forget, size_of};

#[cfg(not(feature = "cpython"))]
use hpy_abi::calls as api;
#[cfg(feature = "cpython")]
use hpy_abi::runtime::*;
use hpy_abi::{HPy, HPy_EQ, HPyContext, HPyListBuilder, HPyTracker, HPyTupleBuilder, HPyType_Spec, HPyType_SpecParam};
#[cfg(feature = "cpython")]
use hpy_cpython::CPython as api;

use crate::buffer::OutOfMemory;
use crate::message::Message;

/// An exception is pending in the context.
#[derive(Debug)]
pub struct Raised;

/// The context of the call that is being served.
///
/// Who makes one vouches that the context is live for as long as it is used, and that all handles given to the methods
/// are open and of this context. So the methods are safe, though the functions of the table are not.
#[derive(Clone, Copy)]
pub struct Context(*mut HPyContext);

/// Calls a member of the table; in the CPython ABI, where there is no table, what would be in it.
macro_rules! call {
    ($context:expr, $member:ident $(, $argument:expr)*) => {
        // SAFETY: who made this `Context` vouched for it and for all handles; pointers are to what outlives the call.
        unsafe { api::$member($context.0 $(, $argument)*) }
    };
}

/// Methods that read a handle of the context, which stays the runtime's.
macro_rules! constants {
    ($($method:ident $member:ident)*) => {
        $(pub fn $method(self) -> HPy {
            // SAFETY: the context is live, and this place in it is only read.
            unsafe { (*self.0).$member }
        })*
    };
}

impl Context {
    /// # Safety
    /// The context is live, of the calling thread, which holds the interpreter, and all handles that go into the methods
    /// are open and of this context.
    pub unsafe fn new(context: *mut HPyContext) -> Context {
        Context(context)
    }

    constants! {
        none h_None
        true_ h_True
        memory_error h_MemoryError
        key_error h_KeyError
        overflow_error h_OverflowError
        str_type h_UnicodeType
        int_type h_LongType
        system_error h_SystemError
        type_error h_TypeError
        value_error h_ValueError
    }

    fn owned(self, handle: HPy) -> Result<Owned, Raised> {
        if handle.is_null() { Err(Raised) } else { Ok(Owned { context: self, handle }) }
    }

    fn done(self, result: c_int) -> Result<(), Raised> {
        if result < 0 { Err(Raised) } else { Ok(()) }
    }

    // Exceptions

    #[cold]
    #[inline(never)]
    pub fn raise(self, exception: HPy, text: &CStr) -> Raised {
        call!(self, ctx_Err_SetString, exception, text.as_ptr());
        Raised
    }

    #[cold]
    #[inline(never)]
    pub fn raise_message(self, exception: HPy, mut text: Message) -> Raised {
        call!(self, ctx_Err_SetString, exception, text.as_ptr());
        Raised
    }

    /// Raises a message with a note below it, where exceptions have notes.
    #[cold]
    #[inline(never)]
    pub fn raise_with_note(self, exception: HPy, mut text: Message, mut note: Message) -> Raised {
        let mut with_note = || {
            let text = self.new_str(text.as_ptr())?;
            // SAFETY: there is one handle.
            let arguments = unsafe { self.tuple(&text.handle, 1) }?;
            let error = self.call(exception, &arguments, HPy::NULL)?;
            if self.has_attribute(error.handle, c"add_note") {
                let add_note = self.attribute(error.handle, c"add_note")?;
                let note = self.new_str(note.as_ptr())?;
                // SAFETY: there is one handle.
                let arguments = unsafe { self.tuple(&note.handle, 1) }?;
                self.call(add_note.handle, &arguments, HPy::NULL)?;
            }
            Ok(self.raise_object(exception, &error))
        };
        match with_note() {
            Ok(raised) | Err(raised) => raised,
        }
    }

    pub fn raise_object(self, exception: HPy, value: &Owned) -> Raised {
        call!(self, ctx_Err_SetObject, exception, value.handle);
        Raised
    }

    pub fn is_raised(self) -> bool {
        call!(self, ctx_Err_Occurred) != 0
    }

    pub fn is_raised_as(self, exception: HPy) -> bool {
        call!(self, ctx_Err_ExceptionMatches, exception) != 0
    }

    pub fn clear(self) {
        call!(self, ctx_Err_Clear);
    }

    /// A result that is this value both as a value and after a failure.
    fn unless_raised<T: PartialEq>(self, value: T, ambiguous: T) -> Result<T, Raised> {
        if value == ambiguous && self.is_raised() { Err(Raised) } else { Ok(value) }
    }

    // Handles and objects

    pub fn dup(self, handle: HPy) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Dup, handle))
    }

    pub fn import(self, name: &CStr) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Import_ImportModule, name.as_ptr()))
    }

    pub fn attribute(self, object: HPy, name: &CStr) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_GetAttr_s, object, name.as_ptr()))
    }

    pub fn has_attribute(self, object: HPy, name: &CStr) -> bool {
        call!(self, ctx_HasAttr_s, object, name.as_ptr()) != 0
    }

    pub fn set_attribute(self, object: HPy, name: *const c_char, value: HPy) -> Result<(), Raised> {
        self.done(call!(self, ctx_SetAttr_s, object, name, value))
    }

    pub fn length(self, object: HPy) -> Result<isize, Raised> {
        let length = call!(self, ctx_Length, object);
        if length < 0 { Err(Raised) } else { Ok(length) }
    }

    pub fn item(self, object: HPy, index: isize) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_GetItem_i, object, index))
    }

    pub fn item_by_name(self, object: HPy, name: *const c_char) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_GetItem_s, object, name))
    }

    pub fn set_item(self, object: HPy, key: HPy, value: HPy) -> Result<(), Raised> {
        self.done(call!(self, ctx_SetItem, object, key, value))
    }

    pub fn set_item_by_name(self, object: HPy, name: &CStr, value: HPy) -> Result<(), Raised> {
        self.done(call!(self, ctx_SetItem_s, object, name.as_ptr(), value))
    }

    pub fn is_equal(self, one: HPy, other: HPy) -> Result<bool, Raised> {
        match call!(self, ctx_RichCompareBool, one, other, HPy_EQ.0) {
            0 => Ok(false),
            result => self.done(result).map(|()| true),
        }
    }

    pub fn is_true(self, object: HPy) -> Result<bool, Raised> {
        match call!(self, ctx_IsTrue, object) {
            0 => Ok(false),
            result => self.done(result).map(|()| true),
        }
    }

    pub fn str(self, object: HPy) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Str, object))
    }

    pub fn repr(self, object: HPy) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Repr, object))
    }

    pub fn ascii(self, object: HPy) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_ASCII, object))
    }

    /// Calls with a tuple, and a dict or null.
    pub fn call(self, callable: HPy, arguments: &Owned, keywords: HPy) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_CallTupleDict, callable, arguments.handle, keywords))
    }

    /// # Safety
    /// Both are as `HPyType_FromSpec` wants them.
    pub unsafe fn new_type(self, spec: *mut HPyType_Spec, params: *mut HPyType_SpecParam) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Type_FromSpec, spec, params))
    }

    // Numbers

    pub fn new_int(self, value: c_longlong) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Long_FromInt64_t, value))
    }

    pub fn new_unsigned(self, value: c_ulonglong) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Long_FromUInt64_t, value))
    }

    pub fn new_ssize(self, value: isize) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Long_FromSsize_t, value))
    }

    pub fn new_float(self, value: f64) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Float_FromDouble, value))
    }

    #[allow(clippy::unnecessary_cast, reason = "on Windows a long is shorter")]
    pub fn as_long(self, object: HPy) -> Result<c_long, Raised> {
        let value = if size_of::<c_long>() == size_of::<i32>() {
            call!(self, ctx_Long_AsInt32_t, object) as c_long
        } else {
            call!(self, ctx_Long_AsInt64_t, object) as c_long
        };
        self.unless_raised(value, -1)
    }

    #[allow(clippy::unnecessary_cast, reason = "on Windows a long is shorter")]
    pub fn as_unsigned_long_mask(self, object: HPy) -> Result<c_ulong, Raised> {
        let value = if size_of::<c_ulong>() == size_of::<u32>() {
            call!(self, ctx_Long_AsUInt32_tMask, object) as c_ulong
        } else {
            call!(self, ctx_Long_AsUInt64_tMask, object) as c_ulong
        };
        self.unless_raised(value, c_ulong::MAX)
    }

    pub fn as_long_long(self, object: HPy) -> Result<c_longlong, Raised> {
        self.unless_raised(call!(self, ctx_Long_AsInt64_t, object), -1)
    }

    pub fn as_unsigned_long_long_mask(self, object: HPy) -> Result<c_ulonglong, Raised> {
        self.unless_raised(call!(self, ctx_Long_AsUInt64_tMask, object), c_ulonglong::MAX)
    }

    pub fn as_ssize(self, object: HPy) -> Result<isize, Raised> {
        self.unless_raised(call!(self, ctx_Long_AsSsize_t, object), -1)
    }

    /// Of an int, or what `__index__` gives.
    pub fn index_as_ssize(self, object: HPy) -> Result<isize, Raised> {
        if call!(self, ctx_TypeCheck, object, self.int_type()) != 0 {
            return self.as_ssize(object);
        }
        let index = self.owned(call!(self, ctx_Index, object))?;
        self.as_ssize(index.handle)
    }

    pub fn as_double(self, object: HPy) -> Result<f64, Raised> {
        self.unless_raised(call!(self, ctx_Float_AsDouble, object), -1.0)
    }

    // Strings

    /// From UTF-8 that ends with NUL.
    pub fn new_str(self, text: *const c_char) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Unicode_FromString, text))
    }

    /// From UTF-8 of any content; with `errors` as for `bytes.decode`. For rare cases, since it is slow.
    ///
    /// The API has a function that does just this, but one runtime has it elsewhere in its table (see the test below).
    pub fn decode(self, text: &[u8], errors: &CStr) -> Result<Owned, Raised> {
        let bytes = self.owned(call!(self, ctx_Bytes_FromStringAndSize, text.as_ptr().cast(), text.len() as isize))?;
        let encoding = self.new_str(c"utf-8".as_ptr())?;
        let errors = self.new_str(errors.as_ptr())?;
        let arguments = [bytes.handle, encoding.handle, errors.handle];
        // SAFETY: there are as many handles.
        let arguments = unsafe { self.tuple(arguments.as_ptr(), arguments.len() as isize) }?;
        self.call(self.str_type(), &arguments, HPy::NULL)
    }

    pub fn is_dict(self, object: HPy) -> bool {
        call!(self, ctx_Dict_Check, object) != 0
    }

    pub fn is_str(self, object: HPy) -> bool {
        call!(self, ctx_Unicode_Check, object) != 0
    }

    /// The text of a `str`: where it is, and its length without the NUL. It is there as long as the handle is open.
    pub fn utf8(self, object: HPy) -> Result<(*const c_char, usize), Raised> {
        let mut length: isize = 0;
        let text = call!(self, ctx_Unicode_AsUTF8AndSize, object, &mut length);
        match usize::try_from(length) {
            Ok(length) if !text.is_null() => Ok((text, length)),
            _ => Err(Raised),
        }
    }

    // Collections

    pub fn dict(self) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Dict_New))
    }

    /// # Safety
    /// `items` has `count` handles, or is null with a `count` of 0.
    pub unsafe fn tuple(self, items: *const HPy, count: isize) -> Result<Owned, Raised> {
        self.owned(call!(self, ctx_Tuple_FromArray, items, count))
    }

    pub fn tuple_builder(self, size: isize) -> TupleUnderWay {
        TupleUnderWay { context: self, builder: call!(self, ctx_TupleBuilder_New, size) }
    }

    pub fn list_builder(self, size: isize) -> ListUnderWay {
        ListUnderWay { context: self, builder: call!(self, ctx_ListBuilder_New, size) }
    }

    // Trackers

    pub fn tracker(self) -> Result<HPyTracker, Raised> {
        let tracker = call!(self, ctx_Tracker_New, 0);
        if tracker.is_null() { Err(Raised) } else { Ok(tracker) }
    }

    /// Hands the handle over to the tracker, even if this fails.
    pub fn track(self, tracker: HPyTracker, handle: Owned) -> Result<HPy, Raised> {
        let handle = handle.into_handle();
        self.done(call!(self, ctx_Tracker_Add, tracker, handle)).map(|()| handle)
    }

    pub fn close_tracker(self, tracker: HPyTracker) {
        call!(self, ctx_Tracker_Close, tracker);
    }
}

/// A handle of our own. It is never null.
pub struct Owned {
    context: Context,
    handle: HPy,
}

impl Owned {
    /// The handle, still ours.
    pub fn handle(&self) -> HPy {
        self.handle
    }

    /// The handle, which the caller owns from now on.
    pub fn into_handle(self) -> HPy {
        let handle = self.handle;
        forget(self);
        handle
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        call!(self.context, ctx_Close, self.handle);
    }
}

/// A handle for C: the null handle if an exception is pending instead.
pub fn handle_or_null(result: Result<Owned, Raised>) -> HPy {
    result.map_or(HPy::NULL, Owned::into_handle)
}

/// A C truth value: 0 if an exception is pending.
pub fn is_success(result: Result<(), Raised>) -> c_int {
    c_int::from(result.is_ok())
}

/// A tuple or a list under way; dropped, it is cancelled.
pub trait Building {
    fn set(&mut self, index: isize, item: HPy);
    fn build(self) -> Result<Owned, Raised>;
}

macro_rules! under_way {
    ($name:ident, $builder:ident, $set:ident, $build:ident, $cancel:ident) => {
        pub struct $name {
            context: Context,
            builder: $builder,
        }

        impl Building for $name {
            fn set(&mut self, index: isize, item: HPy) {
                call!(self.context, $set, self.builder, index, item);
            }

            fn build(self) -> Result<Owned, Raised> {
                let built = call!(self.context, $build, self.builder);
                let result = self.context.owned(built);
                forget(self);
                result
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                call!(self.context, $cancel, self.builder);
            }
        }
    };
}

under_way!(TupleUnderWay, HPyTupleBuilder, ctx_TupleBuilder_Set, ctx_TupleBuilder_Build, ctx_TupleBuilder_Cancel);
under_way!(ListUnderWay, HPyListBuilder, ctx_ListBuilder_Set, ctx_ListBuilder_Build, ctx_ListBuilder_Cancel);

impl OutOfMemory {
    pub fn raise(self, context: Context, text: &CStr) -> Raised {
        context.raise(context.memory_error(), text)
    }
}

#[cfg(test)]
mod tests {
    /// What comes behind `h_Builtins` is elsewhere in PyPy's table, as include/hpy/pypy.h explains, and only the inline
    /// functions of the headers know.
    #[test]
    fn calls_nothing_that_a_runtime_has_elsewhere() {
        let table = include_str!("../../abi/src/autogen_context.rs");
        let behind = table.split("offset_of!(HPyContext, h_Builtins)").nth(1).unwrap();
        let members: Vec<_> =
            behind.split("offset_of!(HPyContext, ").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
        assert!(members.contains(&"ctx_Call") && !members.contains(&"ctx_CallTupleDict"));
        let own = include_str!("context.rs").split("#[cfg(test)]").next().unwrap();
        let words: Vec<_> = own.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        assert_eq!(members.iter().find(|member| words.contains(member)), None);
    }
}
