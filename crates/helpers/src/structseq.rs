//! Struct sequences: `HPyStructSequence_NewType` and `HPyStructSequence_New`, over `collections.namedtuple`.

use core::ffi::c_char;

use hpy_abi::{HPy, HPyContext, HPyStructSequence_Desc, HPyStructSequence_Field};

use crate::context::{Building, Context, Owned, Raised, handle_or_null};
use crate::cstr::Reader;

/// Makes a struct sequence type. Returns it, or null with an exception pending.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn HPyStructSequence_NewType(ctx: *mut HPyContext, desc: *mut HPyStructSequence_Desc) -> HPy {
    // SAFETY: the caller's context.
    let context = unsafe { Context::new(ctx) };
    // SAFETY: the caller's descriptor.
    handle_or_null(unsafe { new_type(context, desc) })
}

/// Makes an instance of a struct sequence type. Returns it, or null with an exception pending.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn HPyStructSequence_New(
    ctx: *mut HPyContext,
    r#type: HPy,
    nargs: isize,
    args: *const HPy,
) -> HPy {
    // SAFETY: the caller's context and handles.
    let context = unsafe { Context::new(ctx) };
    // SAFETY: the caller's array.
    handle_or_null(unsafe { new(context, r#type, nargs, args) })
}

/// # Safety
/// `args` has `nargs` handles.
unsafe fn new(context: Context, r#type: HPy, nargs: isize, args: *const HPy) -> Result<Owned, Raised> {
    if !context.has_attribute(r#type, c"n_fields") {
        context.clear();
        // The text of 0.9, with the space at its end.
        return Err(crate::format::raise_about(
            context,
            context.type_error(),
            c"object '%R' does not look like a struct sequence type ",
            r#type,
        ));
    }
    // SAFETY: the caller's array has as many handles.
    let tuple = unsafe { context.tuple(args, nargs) }?;
    context.call(r#type, &tuple, HPy::NULL)
}

/// # Safety
/// `desc` is null or a descriptor.
unsafe fn new_type(context: Context, desc: *const HPyStructSequence_Desc) -> Result<Owned, Raised> {
    // SAFETY: not null is a descriptor.
    let Some(desc) = (unsafe { desc.as_ref() }) else {
        return Err(context.raise(context.system_error(), c"Struct sequence descriptor is NULL."));
    };
    if desc.name.is_null() {
        let text = c"Struct sequence descriptor does not define the name field.";
        return Err(context.raise(context.system_error(), text));
    }
    if desc.fields.is_null() {
        let text = c"Struct sequence descriptor does not define the fields field.";
        return Err(context.raise(context.system_error(), text));
    }

    // SAFETY: the array ends with a field whose name is null.
    let count = unsafe { count_fields(desc.fields) };
    // SAFETY: there are as many fields.
    let (arguments, keywords) = unsafe { namedtuple_arguments(context, desc.fields, count) }?;
    let namedtuple = context.attribute(context.import(c"collections")?.handle(), c"namedtuple")?;
    let made = context.call(namedtuple.handle(), &arguments, keywords.handle())?;
    let set = |name: &core::ffi::CStr, value: HPy| context.set_attribute(made.handle(), name.as_ptr(), value);

    if desc.doc.is_null() {
        set(c"__doc__", context.none())?;
    } else {
        set(c"__doc__", context.new_str(desc.doc)?.handle())?;
    }
    set(c"n_fields", context.new_ssize(count)?.handle())?;

    // SAFETY: the name is a C string.
    let full_name = unsafe { Reader::new(desc.name) };
    let (module, name) = split_name(full_name);
    let name = context.new_str(name)?;
    set(c"__name__", name.handle())?;
    set(c"__qualname__", name.handle())?;
    if let Some(module) = module {
        set(c"__module__", context.decode(module, c"strict")?.handle())?;
    }
    Ok(made)
}

/// # Safety
/// The array ends with a field whose name is null.
unsafe fn count_fields(fields: *const HPyStructSequence_Field) -> isize {
    let mut count: isize = 0;
    // SAFETY: no field so far was the last one.
    while !unsafe { (*fields.offset(count)).name }.is_null() {
        count = count.wrapping_add(1);
    }
    count
}

/// What `namedtuple` is called with: a name that is replaced later and the fields' names; unnamed fields renamed, and
/// all of them optional.
///
/// # Safety
/// There are `count` fields, all with names.
unsafe fn namedtuple_arguments(
    context: Context,
    fields: *const HPyStructSequence_Field,
    count: isize,
) -> Result<(Owned, Owned), Raised> {
    let mut names = context.tuple_builder(count);
    let mut defaults = context.tuple_builder(count);
    for index in 0..count {
        // SAFETY: `index` is below the number of fields.
        let name: *const c_char = unsafe { (*fields.offset(index)).name };
        names.set(index, context.new_str(name)?.handle());
        defaults.set(index, context.none());
    }
    let names = names.build()?;
    let defaults = defaults.build()?;

    let mut arguments = context.tuple_builder(2);
    arguments.set(0, context.new_str(c"tmpname".as_ptr())?.handle());
    arguments.set(1, names.handle());
    let arguments = arguments.build()?;

    let keywords = context.dict()?;
    context.set_item_by_name(keywords.handle(), c"rename", context.true_())?;
    context.set_item_by_name(keywords.handle(), c"defaults", defaults.handle())?;
    Ok((arguments, keywords))
}

/// Splits at the last dot: what is before it, if there is one, and the C string behind it.
fn split_name(full_name: Reader<'_>) -> (Option<&[u8]>, *const c_char) {
    let whole = full_name.rest();
    let Some(dot) = whole.iter().rposition(|byte| *byte == b'.') else {
        return (None, full_name.as_ptr());
    };
    let mut name = full_name;
    for _ in 0..=dot {
        name.skip();
    }
    (whole.get(..dot), name.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::CStr;

    #[test]
    fn names() {
        let split = |full_name: &'static CStr| {
            // SAFETY: the string lives for ever.
            let (module, name) = split_name(unsafe { Reader::new(full_name.as_ptr()) });
            // SAFETY: `name` is the end of the string.
            (module, unsafe { CStr::from_ptr(name) })
        };
        assert_eq!(split(c"a.b.c"), (Some(b"a.b".as_slice()), c"c"));
        assert_eq!(split(c"c"), (None, c"c"));
        assert_eq!(split(c".c"), (Some(b"".as_slice()), c"c"));
        assert_eq!(split(c"a."), (Some(b"a".as_slice()), c""));
    }
}
