//! Bases and metaclasses of new types.

use core::ffi::{CStr, c_char};
use core::ptr::null_mut;

use hpy_abi::*;
use pyo3_ffi::*;

use super::reference::Reference;
use super::type_object::Type;
use super::{call, functions, metaclass, shape};
use crate::handle::{new_ref, to_object};
use crate::raised::{PythonError, Result, raise};

/// Calls `f` for each parameter; the list ends with kind 0.
unsafe fn for_each(
    params: *const HPyType_SpecParam,
    mut f: impl FnMut(&HPyType_SpecParam) -> Result<()>,
) -> Result<()> {
    let mut param = params;
    // SAFETY: the caller's list has an end, or is null.
    unsafe {
        while let Some(current) = param.as_ref().filter(|param| param.kind.0 != 0) {
            f(current)?;
            param = param.add(1);
        }
    }
    Ok(())
}

/// Refuses parameters that contradict each other.
pub unsafe fn check(params: *const HPyType_SpecParam, name: *const c_char) -> Result<()> {
    let (mut single, mut tuples) = (0, 0);
    // SAFETY: the caller's list has an end, or is null.
    unsafe {
        for_each(params, |param| {
            match param.kind {
                HPyType_SpecParam_Base => single += 1,
                HPyType_SpecParam_BasesTuple => tuples += 1,
                HPyType_SpecParam_Metaclass => {}
                _ => return Err(raise!(PyExc_TypeError, c"unknown HPyType_SpecParam specification for '%s'", name)),
            }
            if param.object.is_null() {
                return Err(raise!(PyExc_TypeError, c"HPyType_SpecParam.object for '%s' is HPy_NULL", name));
            }
            Ok(())
        })?;
        if tuples > 1 {
            return Err(raise!(PyExc_TypeError, c"multiple specifications of HPyType_SpecParam_BasesTuple"));
        }
        if single > 0 && tuples > 0 {
            let text = c"cannot specify both HPyType_SpecParam_Base and HPytype_SpecParam_BasesTuple";
            return Err(raise!(PyExc_TypeError, text));
        }
    }
    Ok(())
}

/// The bases that parameters name: a tuple, which may hold anything, or nothing. What is no type is refused when the type is made.
pub struct Bases(Reference);

impl Bases {
    /// # Safety
    /// The parameters are an extension's, and their handles open.
    pub unsafe fn of(params: *const HPyType_SpecParam) -> Result<Bases> {
        let mut count = 0;
        let mut given = null_mut();
        // SAFETY: as this function's; the new tuple is nobody else's until it is full.
        unsafe {
            for_each(params, |param| {
                match param.kind {
                    HPyType_SpecParam_Base => count += 1,
                    HPyType_SpecParam_BasesTuple => given = to_object(param.object),
                    _ => {}
                }
                Ok(())
            })?;
            if !given.is_null() {
                if PyTuple_Check(given) == 0 {
                    let format = c"HPyType_SpecParam_BasesTuple: expected a tuple, not %R";
                    return Err(raise!(PyExc_TypeError, format, Py_TYPE(given).cast::<PyObject>()));
                }
                return Ok(Bases(Reference::new(new_ref(given))));
            }
            if count == 0 {
                return Ok(Bases(Reference::new(null_mut())));
            }
            let tuple = PyTuple_New(count);
            if tuple.is_null() {
                return Err(PythonError);
            }
            let mut index = 0;
            for_each(params, |param| {
                if param.kind == HPyType_SpecParam_Base {
                    PyTuple_SET_ITEM(tuple, index, new_ref(to_object(param.object)));
                    index += 1;
                }
                Ok(())
            })?;
            Ok(Bases(Reference::new(tuple)))
        }
    }

    /// The tuple; null if there is none.
    pub fn as_ptr(&self) -> *mut PyObject {
        self.0.as_ptr()
    }

    /// Those that are types.
    pub fn types(&self) -> impl Iterator<Item = Type> {
        let tuple = self.as_ptr();
        // SAFETY: null or a tuple.
        let count = if tuple.is_null() { 0 } else { unsafe { PyTuple_GET_SIZE(tuple) } };
        // SAFETY: the tuple is ours, and keeps what is in it.
        let item = move |index| unsafe { Type::from_object(PyTuple_GET_ITEM(tuple, index)) };
        (0..count).filter_map(item)
    }

    /// Whether one of them takes part in garbage collection.
    pub fn any_collected(&self) -> bool {
        self.types().any(Type::is_collected)
    }

    /// What they have of `HPy_tp_call`, which gives objects a hidden field.
    pub fn hidden_call(&self) -> BaseCall {
        match self.types().find(|base| call::of_type(*base).is_some()) {
            Some(base) if functions::is_same(base.tp_call(), Some(functions::ours().call)) => BaseCall::Ours,
            Some(_) => BaseCall::Hidden,
            None => BaseCall::None,
        }
    }

    /// Refuses a struct that would start inside of a built-in base, before CPython does with words of its own.
    pub fn check_room(&self, spec: &HPyType_Spec) -> Result<()> {
        if spec.basicsize == 0 || spec.builtin_shape == HPyType_BuiltinShape_Legacy {
            return Ok(());
        }
        for base in self.types().filter(|base| !base.is_heap_type()) {
            check_room_behind(base, spec)?;
        }
        Ok(())
    }

    /// The metaclass that follows from theirs and the one that is asked for.
    pub fn most_derived_metaclass(&self, asked: Option<Type>) -> Result<Type> {
        let mut meta = asked.unwrap_or(Type::metatype());
        for theirs in self.types().map(Type::metaclass) {
            if meta.is_subtype(theirs) {
                continue;
            }
            if !theirs.is_subtype(meta) {
                let text =
                    c"metaclass conflict: the metaclass of a derived class must be a (non-strict) subclass of the \
                             metaclasses of all its bases";
                // SAFETY: the interpreter is held, and the format takes no arguments.
                return Err(unsafe { raise!(PyExc_TypeError, text) });
            }
            meta = theirs;
        }
        Ok(meta)
    }
}

/// What the bases have of `HPy_tp_call`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum BaseCall {
    None,
    /// The hidden field, while calls go to something else, such as a `__call__` written in Python.
    Hidden,
    /// The hidden field and our `tp_call`.
    Ours,
}

/// The metaclass that a parameter names.
///
/// # Safety
/// As [`Bases::of`].
pub unsafe fn metaclass(params: *const HPyType_SpecParam) -> Result<Option<Type>> {
    let mut meta = None;
    // SAFETY: as this function's.
    unsafe {
        for_each(params, |param| {
            if param.kind != HPyType_SpecParam_Metaclass {
                return Ok(());
            }
            if meta.is_some() {
                return Err(raise!(PyExc_ValueError, c"metaclass was specified multiple times"));
            }
            let object = to_object(param.object);
            let Some(given) = Type::from_object(object) else {
                return Err(raise!(PyExc_TypeError, c"Metaclass '%R' is not a subclass of 'type'.", object));
            };
            if !metaclass::makes_like_type(given) {
                return Err(raise!(PyExc_TypeError, c"Metaclasses with custom tp_new are not supported."));
            }
            meta = Some(given);
            Ok(())
        })?;
    }
    Ok(meta)
}

/// The struct has to start behind what the base has.
fn check_room_behind(base: Type, spec: &HPyType_Spec) -> Result<()> {
    if base.basicsize() <= shape::head_size(spec.builtin_shape) {
        return Ok(());
    }
    let format = c"HPyType_Spec.builtin_shape of '%s' (%d) does not fit its base '%s', whose instances are larger: \
                           set the base's shape, or basicsize to 0";
    // SAFETY: the interpreter is held, and the arguments are what the format says.
    Err(unsafe { raise!(PyExc_TypeError, format, spec.name, spec.builtin_shape.0, base.name()) })
}

/// Refuses a struct that does not fit the base's. `tp` is the new type, `basicsize` the size of its objects, 0 without a struct of its own.
pub fn check_inheritance(tp: Type, spec: &HPyType_Spec, basicsize: isize) -> Result<()> {
    let Some(base) = tp.base() else { return Ok(()) };
    let nearest = base.nearest_of_ours();
    let base_shape = base.nearest_definition().map(|definition| definition.shape);
    let pure_base = nearest.filter(|_| base_shape != Some(HPyType_BuiltinShape_Legacy));
    let is_legacy = spec.builtin_shape == HPyType_BuiltinShape_Legacy;
    // SAFETY: the interpreter is held, and the arguments are what the formats say.
    unsafe {
        if is_legacy && pure_base.is_some() {
            let text = c"A legacy type should not inherit its memory layout from a pure type";
            return Err(raise!(PyExc_TypeError, text));
        }
        if let Some(built_in) = shape::base_type(spec.builtin_shape)
            && !base.is_subtype(built_in)
        {
            let format = c"HPyType_Spec.builtin_shape of '%s' is that of '%s', which '%s' does not inherit from";
            return Err(raise!(PyExc_TypeError, format, spec.name, built_in.name(), base.name()));
        }
        // Without a struct of its own a type has what its base has.
        if basicsize == 0 || is_legacy {
            return Ok(());
        }
        let Some(pure_base) = pure_base else {
            check_room_behind(base, spec)?;
            return check_size(base, spec, basicsize);
        };
        if base_shape != Some(spec.builtin_shape) {
            let format = c"HPyType_Spec.builtin_shape of '%s' (%d) is not that of its base '%s' (%d)";
            let theirs = base_shape.map_or(0, |shape| shape.0);
            return Err(raise!(PyExc_TypeError, format, spec.name, spec.builtin_shape.0, base.name(), theirs));
        }
        if pure_base.basicsize() < base.basicsize() {
            let format =
                c"HPyType_Spec.basicsize of '%s' has to be 0: its base '%s' has memory of its own (slots or a \
                           dictionary) where a struct would go on behind that of '%s'";
            return Err(raise!(PyExc_TypeError, format, spec.name, base.name(), pure_base.name()));
        }
    }
    check_size(base, spec, basicsize)
}

/// The struct begins with the base's.
fn check_size(base: Type, spec: &HPyType_Spec, basicsize: isize) -> Result<()> {
    if basicsize >= base.basicsize() {
        return Ok(());
    }
    let format = c"HPyType_Spec.basicsize of '%s' (%d) is smaller than that of its base '%s', whose struct it has to \
                           start with";
    // SAFETY: the interpreter is held, and the arguments are what the format says.
    Err(unsafe { raise!(PyExc_TypeError, format, spec.name, spec.basicsize, base.name()) })
}

/// CPython takes dictionary and weak references over from any base, but only the first in memory has the room for them:
/// instances would crash. `members` are the type's own, which may have room of their own.
///
/// # Safety
/// The type is new.
pub unsafe fn keep_to_base(tp: Type, members: &[PyMemberDef]) {
    let has_own = |name: &CStr| {
        // SAFETY: names are NUL-terminated; only the end of the list has none.
        members.iter().any(|member| !member.name.is_null() && unsafe { CStr::from_ptr(member.name) } == name)
    };
    let Some(base) = tp.base() else { return };
    // SAFETY: the type is new. Its bases know it already, so nothing is written that stays the same: without a GIL, another thread may be
    // making an instance.
    unsafe {
        if tp.dictoffset() != base.dictoffset() && !has_own(c"__dictoffset__") {
            (*tp.as_ptr()).tp_dictoffset = base.dictoffset();
        }
        if tp.weaklistoffset() != base.weaklistoffset() && !has_own(c"__weaklistoffset__") {
            (*tp.as_ptr()).tp_weaklistoffset = base.weaklistoffset();
        }
        #[cfg(Py_3_11)]
        {
            /// That it does, for weak references and dictionaries; and that the latter's values lie in the object (3.13).
            const MANAGED: core::ffi::c_ulong = if cfg!(Py_3_12) { 1 << 3 | 1 << 4 } else { 1 << 4 };
            const INLINE_VALUES: core::ffi::c_ulong = if cfg!(Py_3_13) { 1 << 2 } else { 0 };
            let kept = !(MANAGED | INLINE_VALUES) | PyType_GetFlags(base.as_ptr());
            #[cfg(not(Py_GIL_DISABLED))]
            {
                (*tp.as_ptr()).tp_flags &= kept;
            }
            #[cfg(Py_GIL_DISABLED)]
            (*tp.as_ptr()).tp_flags.fetch_and(kept, core::sync::atomic::Ordering::Relaxed);
        }
    }
}
