//! Bases and metaclasses of new types.

use core::ffi::{CStr, c_char};
use core::ptr::null_mut;

use hpy_abi::*;
use pyo3_ffi::*;

use super::definition::{self, Definition};
use super::reference::Reference;
use super::{functions, metaclass, shape};
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

/// The tuple of bases; none if no parameter names one.
pub unsafe fn tuple(params: *const HPyType_SpecParam) -> Result<Reference> {
    let mut count = 0;
    let mut given = null_mut();
    // SAFETY: the caller's list has an end, or is null; the new tuple is nobody else's until it is full.
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
                return Err(raise!(
                    PyExc_TypeError,
                    c"HPyType_SpecParam_BasesTuple: expected a tuple, not %R",
                    Py_TYPE(given).cast::<PyObject>()
                ));
            }
            return Ok(Reference::new(new_ref(given)));
        }
        if count == 0 {
            return Ok(Reference::new(null_mut()));
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
        Ok(Reference::new(tuple))
    }
}

/// The metaclass; null if no parameter names one.
pub unsafe fn metaclass(params: *const HPyType_SpecParam) -> Result<*mut PyTypeObject> {
    let mut meta = null_mut::<PyTypeObject>();
    // SAFETY: the caller's list has an end, or is null, and its objects are alive.
    unsafe {
        for_each(params, |param| {
            if param.kind != HPyType_SpecParam_Metaclass {
                return Ok(());
            }
            if !meta.is_null() {
                return Err(raise!(PyExc_ValueError, c"metaclass was specified multiple times"));
            }
            let object = to_object(param.object);
            if PyType_Check(object) == 0 {
                return Err(raise!(PyExc_TypeError, c"Metaclass '%R' is not a subclass of 'type'.", object));
            }
            meta = object.cast();
            if !metaclass::makes_like_type(meta) {
                return Err(raise!(PyExc_TypeError, c"Metaclasses with custom tp_new are not supported."));
            }
            Ok(())
        })?;
    }
    Ok(meta)
}

/// Whether one of the bases takes part in garbage collection.
pub unsafe fn any_collected(bases: *mut PyObject) -> bool {
    if bases.is_null() {
        return false;
    }
    // SAFETY: a tuple, which may hold anything: what is no type is refused when the type is made.
    unsafe {
        (0..PyTuple_GET_SIZE(bases)).any(|index| {
            let base = PyTuple_GET_ITEM(bases, index);
            PyType_Check(base) != 0 && PyType_IS_GC(base.cast()) != 0
        })
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

/// What the bases have of `HPy_tp_call`, which gives objects a hidden field.
pub unsafe fn hidden_call(bases: *mut PyObject) -> BaseCall {
    let mut found = BaseCall::None;
    // SAFETY: null or a tuple, which may hold anything: what is no type is refused when the type is made.
    unsafe {
        let count = if bases.is_null() { 0 } else { PyTuple_GET_SIZE(bases) };
        for index in (0..count).rev() {
            let base = PyTuple_GET_ITEM(bases, index);
            if PyType_Check(base) == 0 || super::call::of_type(base.cast()).is_none() {
                continue;
            }
            let call = (*base.cast::<PyTypeObject>()).tp_call;
            let ours = functions::is_same(call, Some(functions::ours().call));
            found = if ours { BaseCall::Ours } else { BaseCall::Hidden };
        }
    }
    found
}

/// Refuses a struct that would start inside of a built-in base, before CPython does with words of its own.
pub unsafe fn check_room(bases: *mut PyObject, spec: &HPyType_Spec) -> Result<()> {
    let is_legacy = spec.builtin_shape == HPyType_BuiltinShape_Legacy;
    if bases.is_null() || spec.basicsize == 0 || is_legacy {
        return Ok(());
    }
    // SAFETY: a tuple, which may hold anything: what is no type is refused when the type is made.
    unsafe {
        for index in 0..PyTuple_GET_SIZE(bases) {
            let base = PyTuple_GET_ITEM(bases, index);
            if PyType_Check(base) != 0 && PyType_HasFeature(base.cast(), Py_TPFLAGS_HEAPTYPE) == 0 {
                check_room_behind(base.cast(), spec)?;
            }
        }
    }
    Ok(())
}

/// The struct has to start behind what the base has.
unsafe fn check_room_behind(base: *mut PyTypeObject, spec: &HPyType_Spec) -> Result<()> {
    // SAFETY: the base is alive.
    unsafe {
        if (*base).tp_basicsize > shape::head_size(spec.builtin_shape) {
            let format =
                c"HPyType_Spec.builtin_shape of '%s' (%d) does not fit its base '%s', whose instances are larger: \
                           set the base's shape, or basicsize to 0";
            return Err(raise!(PyExc_TypeError, format, spec.name, spec.builtin_shape.0, (*base).tp_name));
        }
    }
    Ok(())
}

/// Refuses a struct that does not fit the base's.
pub unsafe fn check_inheritance(tp: *mut PyTypeObject, spec: &HPyType_Spec, basicsize: isize) -> Result<()> {
    // SAFETY: the type is new and has a base.
    unsafe {
        let base = (*tp).tp_base;
        let nearest = definition::nearest(base);
        let base_shape = Definition::of(nearest).map(|definition| definition.shape);
        let base_is_pure = base_shape.is_some_and(|shape| shape != HPyType_BuiltinShape_Legacy);
        if spec.builtin_shape == HPyType_BuiltinShape_Legacy {
            if base_is_pure {
                let text = c"A legacy type should not inherit its memory layout from a pure type";
                return Err(raise!(PyExc_TypeError, text));
            }
        } else if let Some(built_in) = shape::base_type(spec.builtin_shape)
            && PyType_IsSubtype(base, built_in) == 0
        {
            let format = c"HPyType_Spec.builtin_shape of '%s' is that of '%s', which '%s' does not inherit from";
            return Err(raise!(PyExc_TypeError, format, spec.name, (*built_in).tp_name, (*base).tp_name));
        }
        // Without a struct of its own a type has what its base has.
        if basicsize == 0 || spec.builtin_shape == HPyType_BuiltinShape_Legacy {
            return Ok(());
        }
        if !base_is_pure {
            check_room_behind(base, spec)?;
        } else if base_shape != Some(spec.builtin_shape) {
            let format = c"HPyType_Spec.builtin_shape of '%s' (%d) is not that of its base '%s' (%d)";
            let theirs = base_shape.map_or(0, |shape| shape.0);
            return Err(raise!(PyExc_TypeError, format, spec.name, spec.builtin_shape.0, (*base).tp_name, theirs));
        }
        if base_is_pure && (*nearest).tp_basicsize < (*base).tp_basicsize {
            let format =
                c"HPyType_Spec.basicsize of '%s' has to be 0: its base '%s' has memory of its own (slots or a \
                           dictionary) where a struct would go on behind that of '%s'";
            return Err(raise!(PyExc_TypeError, format, spec.name, (*base).tp_name, (*nearest).tp_name));
        }
        if basicsize < (*base).tp_basicsize {
            let format =
                c"HPyType_Spec.basicsize of '%s' (%d) is smaller than that of its base '%s', whose struct it has to \
                           start with";
            return Err(raise!(PyExc_TypeError, format, spec.name, spec.basicsize, (*base).tp_name));
        }
    }
    Ok(())
}

/// The metaclass that follows from those of the bases and the one that is asked for, which may be null.
unsafe fn most_derived(asked: *mut PyTypeObject, bases: *mut PyObject) -> Result<*mut PyTypeObject> {
    let mut meta = if asked.is_null() { &raw mut PyType_Type } else { asked };
    // SAFETY: null or a tuple; what is no type in it is refused when the type is made.
    unsafe {
        let count = if bases.is_null() { 0 } else { PyTuple_GET_SIZE(bases) };
        for index in 0..count {
            let theirs = Py_TYPE(PyTuple_GET_ITEM(bases, index));
            if PyType_Check(PyTuple_GET_ITEM(bases, index)) == 0 || PyType_IsSubtype(meta, theirs) != 0 {
                continue;
            }
            if PyType_IsSubtype(theirs, meta) == 0 {
                let text =
                    c"metaclass conflict: the metaclass of a derived class must be a (non-strict) subclass of the \
                             metaclasses of all its bases";
                return Err(raise!(PyExc_TypeError, text));
            }
            meta = theirs;
        }
    }
    Ok(meta)
}

/// CPython takes dictionary and weak references over from any base, but only the first in memory has the room for them:
/// instances would crash. `members` are the type's own, which may have room of their own.
pub unsafe fn keep_to_base(tp: *mut PyTypeObject, members: &[PyMemberDef]) {
    let has_own = |name: &CStr| {
        // SAFETY: names are NUL-terminated; only the end of the list has none.
        members.iter().any(|member| !member.name.is_null() && unsafe { CStr::from_ptr(member.name) } == name)
    };
    // SAFETY: the type is new and has a base. Its bases know it already, so nothing is written that stays the same: without a GIL,
    // another thread may be making an instance.
    unsafe {
        let base = (*tp).tp_base;
        if (*tp).tp_dictoffset != (*base).tp_dictoffset && !has_own(c"__dictoffset__") {
            (*tp).tp_dictoffset = (*base).tp_dictoffset;
        }
        if (*tp).tp_weaklistoffset != (*base).tp_weaklistoffset && !has_own(c"__weaklistoffset__") {
            (*tp).tp_weaklistoffset = (*base).tp_weaklistoffset;
        }
        #[cfg(Py_3_11)]
        {
            /// That it does, for weak references and dictionaries; and that the latter's values lie in the object (3.13).
            const MANAGED: core::ffi::c_ulong = if cfg!(Py_3_12) { 1 << 3 | 1 << 4 } else { 1 << 4 };
            const INLINE_VALUES: core::ffi::c_ulong = if cfg!(Py_3_13) { 1 << 2 } else { 0 };
            let kept = !(MANAGED | INLINE_VALUES) | PyType_GetFlags(base);
            #[cfg(not(Py_GIL_DISABLED))]
            {
                (*tp).tp_flags &= kept;
            }
            #[cfg(Py_GIL_DISABLED)]
            (*tp).tp_flags.fetch_and(kept, core::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Makes the type. What a metaclass does beside that is for [`metaclass::run_new`] to do, when the type is complete.
pub unsafe fn create(
    spec: &mut PyType_Spec,
    bases: *mut PyObject,
    meta: *mut PyTypeObject,
    members: usize,
) -> Result<*mut PyObject> {
    // SAFETY: the type is new and has a base.
    unsafe {
        let meta = most_derived(meta, bases)?;
        metaclass::create(spec, bases, meta, members)
    }
}
