//! Modules by which layers show what they know, written as extensions are: on the API alone, so they serve every interpreter.
//!
//! [`function!`](crate::function) makes the definition of a function `fn(&Call) -> Result<Object>`, [`definitions!`](crate::definitions) the
//! array of definitions that a module or type has.

use core::ffi::{CStr, c_void};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

use hpy_abi::*;

use crate::inner::InnerHandle;
use crate::object::{Object, Python, Raised, Result};

/// What a function has been called with.
pub struct Call<'a> {
    pub python: Python,
    /// The module, or the instance of a method.
    pub this: InnerHandle,
    /// The positional arguments, and behind them the values of keywords.
    args: &'a [InnerHandle],
    positional: usize,
    /// A tuple, or null.
    keywords: InnerHandle,
    /// Of the function, for messages.
    name: &'static CStr,
}

impl Call<'_> {
    /// The only argument of a function that takes one.
    pub fn argument(&self) -> InnerHandle {
        self.args.first().copied().unwrap_or(InnerHandle::NULL)
    }

    fn name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    /// The positional arguments, of which the last may be missing. TypeError for another number of them.
    pub fn arguments<const N: usize>(&self, required: usize) -> Result<[Option<InnerHandle>; N]> {
        let given = self.positional;
        if (required..=N).contains(&given) {
            return Ok(core::array::from_fn(|index| self.args.get(index).copied()));
        }
        let (how, wanted) = match () {
            () if required == N => ("exactly", N),
            () if given < required => ("at least", required),
            () => ("at most", N),
        };
        let plural = if wanted == 1 { "" } else { "s" };
        Err(self.python.type_error(&format!("{}() takes {how} {wanted} argument{plural} ({given} given)", self.name())))
    }

    /// Arguments by position or by these names; each may be missing. TypeError for others.
    pub fn named<const N: usize>(&self, names: [&str; N]) -> Result<[Option<InnerHandle>; N]> {
        let mut values = [None; N];
        if self.positional > N {
            return self.arguments(0);
        }
        for (value, given) in values.iter_mut().zip(self.args.iter().take(self.positional)) {
            *value = Some(*given);
        }
        if self.keywords.is_null() {
            return Ok(values);
        }
        for (key, given) in self.python.items_of(self.keywords)?.iter().zip(self.args.iter().skip(self.positional)) {
            let key = self.python.text_of(key.handle(), "a keyword")?;
            let Some(value) = names.iter().position(|name| *name == key).and_then(|index| values.get_mut(index)) else {
                let text = format!("'{key}' is an invalid keyword argument for {}()", self.name());
                return Err(self.python.type_error(&text));
            };
            if value.is_some() {
                let text = format!("argument for {}() given by name ('{key}') and position", self.name());
                return Err(self.python.type_error(&text));
            }
            *value = Some(*given);
        }
        Ok(values)
    }
}

/// Calls a function for an implementation of the API.
///
/// # Safety
/// All of it comes from a runtime that calls a function with its signature.
pub unsafe fn run(
    name: &'static CStr,
    function: fn(&Call) -> Result<Object>,
    ctx: *mut HPyContext,
    this: HPy,
    (args, positional, keywords): (*const HPy, usize, HPy),
) -> HPy {
    // SAFETY: as this function's: the interpreter is held during the call, and there are as many handles as are said, and one for each
    // keyword behind them.
    unsafe {
        let python = Python::new(ctx);
        let keywords = InnerHandle::of(keywords);
        let named = if keywords.is_null() { 0 } else { python.context().ctx_Length(keywords).max(0).cast_unsigned() };
        let count = positional + named;
        let args = if count == 0 { &[] } else { core::slice::from_raw_parts(args.cast(), count) };
        let call = Call { python, this: InnerHandle::of(this), args, positional, keywords, name };
        function(&call).map_or(HPy::NULL, |object| object.into_handle().handle())
    }
}

/// The context of the runtime, for trampolines. It is the main interpreter's: a runtime passes the current one's on.
static CONTEXT: AtomicPtr<HPyContext> = AtomicPtr::new(null_mut());

/// Where trampolines of such functions enter the runtime.
///
/// # Safety
/// Function and struct are those of the signature, and a module of these functions has been [opened](open).
pub unsafe fn enter(signature: HPyFunc_Signature, function: HPyCFunction, args: *mut c_void) {
    let ctx = CONTEXT.load(Ordering::Acquire);
    // SAFETY: as this function's; the context stays.
    unsafe { ((*ctx).ctx_CallRealFunctionFromTrampoline)(ctx, signature, function, args) };
}

/// To be called before a module of these functions is made.
///
/// # Safety
/// The context is complete, and stays.
pub unsafe fn open(ctx: *mut HPyContext) {
    _ = CONTEXT.compare_exchange(null_mut(), ctx, Ordering::AcqRel, Ordering::Acquire);
}

/// A definition that nobody writes to.
#[repr(transparent)]
pub struct Definition<T>(pub T);

// SAFETY: runtimes only read definitions.
unsafe impl<T> Sync for Definition<T> {}

impl<T> Definition<T> {
    /// As runtimes want it.
    pub const fn get(&'static self) -> *mut T {
        (&raw const self.0).cast_mut()
    }
}

/// A function or method.
pub const fn method(
    name: &'static CStr,
    signature: HPyFunc_Signature,
    (r#impl, cpy_trampoline): (HPyCFunction, HPyCFunction),
    doc: &'static CStr,
) -> HPyDef {
    let meth = HPyMeth { name: name.as_ptr(), r#impl, cpy_trampoline, signature, doc: doc.as_ptr() };
    HPyDef { kind: HPyDef_Kind_Meth, u: HPyDefUnion { meth } }
}

/// An attribute that can only be read.
pub const fn getter(
    name: &'static CStr,
    (getter_impl, getter_cpy_trampoline): (HPyCFunction, HPyCFunction),
    doc: &'static CStr,
) -> HPyDef {
    let getset = HPyGetSet {
        name: name.as_ptr(),
        getter_impl,
        setter_impl: None,
        getter_cpy_trampoline,
        setter_cpy_trampoline: None,
        doc: doc.as_ptr(),
        closure: null_mut(),
    };
    HPyDef { kind: HPyDef_Kind_GetSet, u: HPyDefUnion { getset } }
}

/// A slot.
pub const fn slot(slot: HPySlot_Slot, (r#impl, cpy_trampoline): (HPyCFunction, HPyCFunction)) -> HPyDef {
    HPyDef { kind: HPyDef_Kind_Slot, u: HPyDefUnion { slot: HPySlot { slot, r#impl, cpy_trampoline } } }
}

/// A module.
pub const fn module(doc: &'static CStr, defines: *mut *mut HPyDef, globals: *mut *mut HPyGlobal) -> HPyModuleDef {
    HPyModuleDef { doc: doc.as_ptr(), size: 0, legacy_methods: null_mut(), defines, globals }
}

/// A type whose instances have a struct of this type, and that nobody derives from.
pub const fn type_spec<T>(name: &'static CStr, doc: &'static CStr, defines: *mut *mut HPyDef) -> HPyType_Spec {
    HPyType_Spec {
        name: name.as_ptr(),
        basicsize: size_of::<T>() as core::ffi::c_int,
        itemsize: 0,
        flags: HPy_TPFLAGS_DEFAULT,
        builtin_shape: HPyType_BuiltinShape_Object,
        legacy_slots: null_mut(),
        defines,
        doc: doc.as_ptr(),
    }
}

/// The result of a slot that gives a status.
pub fn status(result: Result<()>) -> core::ffi::c_int {
    match result {
        Ok(()) => 0,
        Err(Raised) => -1,
    }
}

/// No arguments.
pub const NOTHING: (*const HPy, usize, HPy) = (null(), 0, HPy::NULL);

/// A definition of a function `fn(&Call) -> Result<Object>`, by what it takes.
#[macro_export]
macro_rules! function {
    (NOARGS $name:literal => $function:path, $doc:expr) => {{
        unsafe extern "C" fn implementation(ctx: *mut hpy_abi::HPyContext, this: hpy_abi::HPy) -> hpy_abi::HPy {
            // SAFETY: a runtime calls this.
            unsafe { $crate::module::run($name, $function, ctx, this, $crate::module::NOTHING) }
        }
        let functions = hpy_abi::with_trampoline!(HPyFunc_NOARGS, implementation, $crate::module::enter);
        $crate::module::method($name, hpy_abi::HPyFunc_NOARGS, functions, $doc)
    }};
    (O $name:literal => $function:path, $doc:expr) => {{
        unsafe extern "C" fn implementation(
            ctx: *mut hpy_abi::HPyContext,
            this: hpy_abi::HPy,
            argument: hpy_abi::HPy,
        ) -> hpy_abi::HPy {
            // SAFETY: a runtime calls this.
            unsafe { $crate::module::run($name, $function, ctx, this, (&raw const argument, 1, hpy_abi::HPy::NULL)) }
        }
        let functions = hpy_abi::with_trampoline!(HPyFunc_O, implementation, $crate::module::enter);
        $crate::module::method($name, hpy_abi::HPyFunc_O, functions, $doc)
    }};
    (VARARGS $name:literal => $function:path, $doc:expr) => {{
        unsafe extern "C" fn implementation(
            ctx: *mut hpy_abi::HPyContext,
            this: hpy_abi::HPy,
            args: *const hpy_abi::HPy,
            count: usize,
        ) -> hpy_abi::HPy {
            // SAFETY: a runtime calls this.
            unsafe { $crate::module::run($name, $function, ctx, this, (args, count, hpy_abi::HPy::NULL)) }
        }
        let functions = hpy_abi::with_trampoline!(HPyFunc_VARARGS, implementation, $crate::module::enter);
        $crate::module::method($name, hpy_abi::HPyFunc_VARARGS, functions, $doc)
    }};
    (KEYWORDS $name:literal => $function:path, $doc:expr) => {{
        unsafe extern "C" fn implementation(
            ctx: *mut hpy_abi::HPyContext,
            this: hpy_abi::HPy,
            args: *const hpy_abi::HPy,
            count: usize,
            keywords: hpy_abi::HPy,
        ) -> hpy_abi::HPy {
            // SAFETY: a runtime calls this.
            unsafe { $crate::module::run($name, $function, ctx, this, (args, count, keywords)) }
        }
        let functions = hpy_abi::with_trampoline!(HPyFunc_KEYWORDS, implementation, $crate::module::enter);
        $crate::module::method($name, hpy_abi::HPyFunc_KEYWORDS, functions, $doc)
    }};
    (GETTER $name:literal => $function:path, $doc:expr) => {{
        unsafe extern "C" fn implementation(
            ctx: *mut hpy_abi::HPyContext,
            this: hpy_abi::HPy,
            _closure: *mut core::ffi::c_void,
        ) -> hpy_abi::HPy {
            // SAFETY: a runtime calls this.
            unsafe { $crate::module::run($name, $function, ctx, this, $crate::module::NOTHING) }
        }
        let functions = hpy_abi::with_trampoline!(HPyFunc_GETTER, implementation, $crate::module::enter);
        $crate::module::getter($name, functions, $doc)
    }};
}

/// An array of pointers to definitions, ended by null, as modules and types want it.
#[macro_export]
macro_rules! definitions {
    ($(#[$attribute:meta])* static $name:ident: $count:literal = [$($definition:expr),* $(,)?];) => {
        $(#[$attribute])*
        static $name: $crate::module::Definition<[*mut hpy_abi::HPyDef; $count + 1]> = $crate::module::Definition([
            $({
                static DEFINITION: $crate::module::Definition<hpy_abi::HPyDef> =
                    $crate::module::Definition($definition);
                DEFINITION.get()
            },)*
            core::ptr::null_mut(),
        ]);
    };
}
