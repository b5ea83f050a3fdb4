//! Objects of Python's, for the modules by which layers show what they know: handles of the context below that close themselves.

use core::ffi::CStr;
use core::slice::from_raw_parts;
use core::sync::atomic::{AtomicIsize, Ordering};

use hpy_abi::{HPy, HPyContext, HPyGlobal};

use crate::inner::{InnerContext, InnerHandle};

/// An exception is set.
#[derive(Debug)]
pub struct Raised;

/// Of what may raise.
pub type Result<T> = core::result::Result<T, Raised>;

/// The context of a function that Python has called. Whoever makes one promises that the context is complete and that the interpreter is
/// held for as long as it is used.
#[derive(Clone, Copy)]
pub struct Python(InnerContext);

/// An object, as a handle that is closed when this goes.
pub struct Object {
    python: Python,
    handle: InnerHandle,
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and open.
        unsafe { self.python.0.ctx_Close(self.handle) };
    }
}

/// A variable that has an object in each interpreter, an `HPyGlobal`. Modules list it among their globals.
pub struct Global(AtomicIsize);

impl Global {
    #[allow(clippy::new_without_default, reason = "a global is a static variable")]
    pub const fn new() -> Global {
        Global(AtomicIsize::new(0))
    }

    /// As definitions of modules want it.
    pub const fn as_ptr(&'static self) -> *mut HPyGlobal {
        self.0.as_ptr().cast()
    }

    pub fn set(&'static self, value: &Object) {
        // SAFETY: the variable stays, and the object is ours.
        unsafe { value.python.0.ctx_Global_Store(self.as_ptr(), value.handle) };
    }

    /// The object of this interpreter, which has set one.
    pub fn get(&'static self, python: Python) -> Result<Object> {
        // SAFETY: what is loaded is the content of a global; the handle is new.
        unsafe { python.own(python.0.ctx_Global_Load(HPyGlobal { _i: self.0.load(Ordering::Acquire) })) }
    }
}

/// What a function of the context answers with -1 if it has raised.
fn done(result: core::ffi::c_int) -> Result<()> {
    if result < 0 { Err(Raised) } else { Ok(()) }
}

impl Python {
    /// # Safety
    /// The context is complete, and the interpreter held for as long as this is used.
    pub unsafe fn new(context: *mut HPyContext) -> Python {
        Python(InnerContext(context))
    }

    pub fn context(self) -> InnerContext {
        self.0
    }

    /// Takes over a handle; null is an error that an exception has been set for.
    ///
    /// # Safety
    /// The handle is one of this context's, and the caller's.
    pub unsafe fn own(self, handle: InnerHandle) -> Result<Object> {
        if handle.is_null() { Err(Raised) } else { Ok(Object { python: self, handle }) }
    }

    /// Another handle to an object that somebody else keeps alive.
    ///
    /// # Safety
    /// The handle is open.
    pub unsafe fn dup(self, handle: InnerHandle) -> Result<Object> {
        // SAFETY: as this function's.
        unsafe { self.own(self.0.ctx_Dup(handle)) }
    }

    fn constant(self, member: impl FnOnce(&HPyContext) -> HPy) -> InnerHandle {
        // SAFETY: as for `new`.
        unsafe { self.0.constant(member) }
    }

    pub fn none(self) -> Result<Object> {
        // SAFETY: a constant is open.
        unsafe { self.dup(self.constant(|ctx| ctx.h_None)) }
    }

    pub fn not_implemented(self) -> Result<Object> {
        // SAFETY: a constant is open.
        unsafe { self.dup(self.constant(|ctx| ctx.h_NotImplemented)) }
    }

    pub fn is_none(self, object: InnerHandle) -> bool {
        // SAFETY: a handle that is given to a function is open.
        unsafe { self.0.ctx_Is(object, self.constant(|ctx| ctx.h_None)) != 0 }
    }

    pub fn bool(self, value: bool) -> Result<Object> {
        // SAFETY: as for `new`; the handle is new.
        unsafe { self.own(self.0.ctx_Bool_FromBool(value)) }
    }

    pub fn signed(self, value: i64) -> Result<Object> {
        // SAFETY: as for `new`; the handle is new.
        unsafe { self.own(self.0.ctx_Long_FromInt64_t(value)) }
    }

    pub fn unsigned(self, value: u64) -> Result<Object> {
        // SAFETY: as for `new`; the handle is new.
        unsafe { self.own(self.0.ctx_Long_FromUInt64_t(value)) }
    }

    pub fn str(self, text: &str) -> Result<Object> {
        // SAFETY: pointer and length are the text's; the handles are new.
        unsafe {
            let bytes = self.own(self.0.ctx_Bytes_FromStringAndSize(text.as_ptr().cast(), text.len().cast_signed()))?;
            self.own(self.0.ctx_Unicode_FromEncodedObject(bytes.handle, c"utf-8".as_ptr(), c"strict".as_ptr()))
        }
    }

    pub fn tuple<const N: usize>(self, items: [&Object; N]) -> Result<Object> {
        let items = items.map(|item| item.handle);
        // SAFETY: the items are open; the handle is new.
        unsafe { self.own(self.0.ctx_Tuple_FromArray(items.as_ptr(), items.len().cast_signed())) }
    }

    pub fn list(self, items: impl IntoIterator<Item = Result<Object>>) -> Result<Object> {
        // SAFETY: as for `new`; list and items are ours.
        unsafe {
            let list = self.own(self.0.ctx_List_New(0))?;
            for item in items {
                done(self.0.ctx_List_Append(list.handle, item?.handle))?;
            }
            Ok(list)
        }
    }

    pub fn list_of_strs(self, texts: impl IntoIterator<Item = String>) -> Result<Object> {
        self.list(texts.into_iter().map(|text| self.str(&text)))
    }

    pub fn dict(self) -> Result<Object> {
        // SAFETY: as for `new`; the handle is new.
        unsafe { self.own(self.0.ctx_Dict_New()) }
    }

    pub fn import(self, name: &CStr) -> Result<Object> {
        // SAFETY: the name ends with NUL; the handle is new.
        unsafe { self.own(self.0.ctx_Import_ImportModule(name.as_ptr())) }
    }

    pub fn has_raised(self) -> bool {
        // SAFETY: as for `new`.
        unsafe { self.0.ctx_Err_Occurred() != 0 }
    }

    /// Raises an exception of a class that the context has.
    pub fn raise(self, class: impl FnOnce(&HPyContext) -> HPy, text: &str) -> Raised {
        // Without memory for the text there is a MemoryError instead.
        if let Ok(text) = self.str(text) {
            self.raise_with(class, &text);
        }
        Raised
    }

    /// The same with an argument, or a tuple of several.
    pub fn raise_with(self, class: impl FnOnce(&HPyContext) -> HPy, argument: &Object) -> Raised {
        // SAFETY: a constant and an object of ours are open.
        unsafe { self.0.ctx_Err_SetObject(self.constant(class), argument.handle) };
        Raised
    }

    pub fn type_error(self, text: &str) -> Raised {
        self.raise(|ctx| ctx.h_TypeError, text)
    }

    pub fn value_error(self, text: &str) -> Raised {
        self.raise(|ctx| ctx.h_ValueError, text)
    }

    pub fn is_callable(self, object: InnerHandle) -> bool {
        // SAFETY: a handle that is given to a function is open.
        unsafe { self.0.ctx_Callable_Check(object) != 0 }
    }

    /// The name of an object's type.
    pub fn type_name(self, object: InnerHandle) -> Result<String> {
        // SAFETY: a handle that is given to a function is open. The name lives as long as the type.
        unsafe {
            let class = self.own(self.0.ctx_Type(object))?;
            let name = self.0.ctx_Type_GetName(class.handle);
            if name.is_null() { Err(Raised) } else { Ok(CStr::from_ptr(name).to_string_lossy().into_owned()) }
        }
    }

    /// The text of a str; TypeError for anything else, with `what` it should have been.
    pub fn text_of(self, object: InnerHandle, what: &str) -> Result<String> {
        let mut size = 0;
        // SAFETY: a handle that is given to a function is open. The text is copied while the object has it, and is valid UTF-8.
        unsafe {
            if self.0.ctx_Unicode_Check(object) == 0 {
                return Err(self.type_error(&format!("{what} has to be a str, not {}", self.type_name(object)?)));
            }
            let text = self.0.ctx_Unicode_AsUTF8AndSize(object, &mut size);
            if text.is_null() {
                return Err(Raised);
            }
            let bytes = from_raw_parts(text.cast(), size.cast_unsigned());
            Ok(core::str::from_utf8_unchecked(bytes).to_string())
        }
    }

    /// A copy of what is in a bytes object.
    pub fn bytes_of(self, bytes: &Object) -> Vec<u8> {
        // SAFETY: the object is ours, and a bytes object, whose content stays as it is.
        unsafe {
            let size = self.0.ctx_Bytes_GET_SIZE(bytes.handle).cast_unsigned();
            from_raw_parts(self.0.ctx_Bytes_AS_STRING(bytes.handle).cast(), size).to_vec()
        }
    }

    pub fn signed_of(self, object: InnerHandle) -> Result<i64> {
        // SAFETY: a handle that is given to a function is open.
        let number = unsafe { self.0.ctx_Long_AsInt64_t(object) };
        if number == -1 && self.has_raised() { Err(Raised) } else { Ok(number) }
    }

    pub fn unsigned_of(self, object: InnerHandle) -> Result<u64> {
        // SAFETY: a handle that is given to a function is open.
        let number = unsafe { self.0.ctx_Long_AsUInt64_t(object) };
        if number == u64::MAX && self.has_raised() { Err(Raised) } else { Ok(number) }
    }

    pub fn size_of(self, object: InnerHandle) -> Result<usize> {
        // SAFETY: a handle that is given to a function is open.
        let number = unsafe { self.0.ctx_Long_AsSize_t(object) };
        if number == usize::MAX && self.has_raised() { Err(Raised) } else { Ok(number) }
    }

    /// The items of any sequence.
    pub fn items_of(self, sequence: InnerHandle) -> Result<Vec<Object>> {
        // SAFETY: a handle that is given to a function is open; the items' handles are new.
        unsafe {
            let count = self.0.ctx_Length(sequence);
            if count < 0 {
                return Err(Raised);
            }
            (0..count).map(|index| self.own(self.0.ctx_GetItem_i(sequence, index))).collect()
        }
    }
}

impl Object {
    pub fn handle(&self) -> InnerHandle {
        self.handle
    }

    /// Hands the handle on.
    pub fn into_handle(self) -> InnerHandle {
        let handle = self.handle;
        core::mem::forget(self);
        handle
    }

    pub fn get(&self, name: &CStr) -> Result<Object> {
        // SAFETY: the object is ours, and the name ends with NUL; the handle is new.
        unsafe { self.python.own(self.python.0.ctx_GetAttr_s(self.handle, name.as_ptr())) }
    }

    pub fn set(&self, name: &CStr, value: &Object) -> Result<()> {
        // SAFETY: the objects are ours, and the name ends with NUL.
        done(unsafe { self.python.0.ctx_SetAttr_s(self.handle, name.as_ptr(), value.handle) })
    }

    pub fn set_item(&self, key: &Object, value: &Object) -> Result<()> {
        // SAFETY: the objects are ours.
        done(unsafe { self.python.0.ctx_SetItem(self.handle, key.handle, value.handle) })
    }

    /// Calls the object with one argument.
    pub fn call(&self, argument: InnerHandle) -> Result<Object> {
        let args = [argument];
        // SAFETY: the object is ours, and a handle that is given to a function open; there are no keywords. The handle is new.
        unsafe { self.python.own(self.python.0.ctx_Call(self.handle, args.as_ptr(), args.len(), InnerHandle::NULL)) }
    }
}
