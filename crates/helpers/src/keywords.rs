//! `HPyArg_ParseKeywords` and `HPyArg_ParseKeywordsDict`.

use core::ffi::{c_char, c_int, c_void};
use core::mem::MaybeUninit;

use hpy_abi::{HPy, HPyContext, HPyShortcuts, HPyTracker};

use crate::argparse::{Argument, Parser, ends};
use crate::context::{Context, Owned, Raised, is_success};
use crate::cstr::Reader;
use crate::shortcuts::Shortcuts;

/// `HPyArg_ParseKeywords`. Returns 1, or 0 with an exception pending and no tracker open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyArg_ParseKeywordsArray(
    ctx: *mut HPyContext,
    shortcuts: *const HPyShortcuts,
    ht: *mut HPyTracker,
    args: *const HPy,
    nargs: usize,
    kwnames: HPy,
    fmt: *const c_char,
    keywords: *const *const c_char,
    outputs: *const *mut c_void,
) -> c_int {
    // SAFETY: the caller's context and handles.
    let context = unsafe { Context::new(ctx) };
    // SAFETY: the caller's arguments.
    let parser = unsafe { Parser::new(context, c"HPyArg_ParseKeywords", fmt, args, nargs, outputs) };
    let parse = |parser: Parser| {
        // SAFETY: the names end with null.
        let names = unsafe { parser.names(keywords) }?;
        let mut values = [const { MaybeUninit::<HPy>::uninit() }; FEW];
        // SAFETY: the caller's tracker, outputs and, behind the positional arguments, values of keywords.
        unsafe {
            if let Some(shortcuts) = Shortcuts::new(shortcuts)
                && find_all(shortcuts, args, nargs, kwnames, keywords, names, &mut values)
            {
                return parser.with_all(shortcuts, ht, names, &mut values);
            }
            parser.tracking(ht, |parser| {
                let given = parser.given_names(kwnames, args.wrapping_add(nargs))?;
                parser.with_given(keywords, names, given)
            })
        }
    };
    is_success(parser.and_then(parse))
}

/// `HPyArg_ParseKeywordsDict`. Returns 1, or 0 with an exception pending and no tracker open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyArg_ParseKeywordsDictArray(
    ctx: *mut HPyContext,
    ht: *mut HPyTracker,
    args: *const HPy,
    nargs: isize,
    kw: HPy,
    fmt: *const c_char,
    keywords: *const *const c_char,
    outputs: *const *mut c_void,
) -> c_int {
    // SAFETY: the caller's context and handles.
    let context = unsafe { Context::new(ctx) };
    let Ok(nargs) = usize::try_from(nargs) else {
        context.raise(context.system_error(), c"HPyArg_ParseKeywordsDict got a negative number of arguments");
        return 0;
    };
    // SAFETY: the caller's arguments.
    let parser = unsafe { Parser::new(context, c"HPyArg_ParseKeywordsDict", fmt, args, nargs, outputs) };
    let given = if kw.is_null() { Given::Nothing } else { Given::Dict(kw) };
    let parse = |parser: Parser| {
        // SAFETY: the names end with null.
        let names = unsafe { parser.names(keywords) }?;
        // SAFETY: the caller's tracker and outputs.
        unsafe { parser.tracking(ht, |parser| parser.with_given(keywords, names, given)) }
    };
    is_success(parser.and_then(parse))
}

/// The keyword arguments of a call.
#[derive(Clone, Copy)]
enum Given {
    Nothing,
    /// A tuple of names, their number, and an array of as many values.
    Names(HPy, isize, *const HPy),
    Dict(HPy),
}

/// With so many parameters or fewer, the arguments are found before the format is read.
const FEW: usize = 16;

/// The values of parameters, borrowed; null for what is not given. Those that are given by position are not in here, though they have a
/// place.
type Values = [MaybeUninit<HPy>; FEW];

/// Finds all keyword arguments at once. False if it has to be done one by one.
///
/// # Safety
/// There are as many names as said, and behind `nargs` arguments the values of keywords.
#[inline(always)]
unsafe fn find_all(
    shortcuts: Shortcuts,
    args: *const HPy,
    nargs: usize,
    kwnames: HPy,
    keywords: *const *const c_char,
    names: usize,
    values: &mut Values,
) -> bool {
    if names > FEW {
        return false;
    }
    let positional = nargs.min(names);
    let left = names.wrapping_sub(positional);
    // SAFETY: as this function's; there is room for what is no more than the names.
    unsafe {
        let rest = values.as_mut_ptr().cast::<HPy>().add(positional);
        if !kwnames.is_null() {
            return shortcuts.match_names(kwnames, args.add(nargs), keywords.add(positional), left, rest);
        }
        for index in 0..left {
            rest.add(index).write(HPy::NULL);
        }
    }
    true
}

impl Parser<'_> {
    /// Counts the names of parameters, and checks that the empty ones come first.
    ///
    /// # Safety
    /// `keywords` is null or ends with null.
    unsafe fn names(&self, keywords: *const *const c_char) -> Result<usize, Raised> {
        if keywords.is_null() {
            return Err(self.fail(self.context.system_error(), c"got no list of keyword names"));
        }
        let mut count: usize = 0;
        // SAFETY: no name so far was null, and this one is a C string or null.
        let name = |count: usize| unsafe { *keywords.add(count) };
        // SAFETY: a C string.
        let is_empty = |name: *const c_char| unsafe { *name } == 0;
        while !name(count).is_null() && is_empty(name(count)) {
            count = count.wrapping_add(1);
        }
        while !name(count).is_null() {
            if is_empty(name(count)) {
                return Err(self.fail(self.context.system_error(), c"empty keyword parameter name"));
            }
            count = count.wrapping_add(1);
        }
        Ok(count)
    }

    /// The keyword arguments of a call with a tuple of names.
    fn given_names(&self, kwnames: HPy, values: *const HPy) -> Result<Given, Raised> {
        if kwnames.is_null() {
            return Ok(Given::Nothing);
        }
        match self.context.length(kwnames) {
            Ok(count) => Ok(Given::Names(kwnames, count, values)),
            Err(Raised) => {
                let text = c"could not retrieve length of keyword names tuple";
                Err(self.fail(self.context.system_error(), text))
            }
        }
    }

    /// With all arguments at hand: what the caller gets handles of is kept in the end, all at once. Here a handle of one's own is no other
    /// than the one that is borrowed.
    ///
    /// # Safety
    /// There are values for `names` parameters; `ht` is null or the caller's variable.
    #[inline(always)]
    unsafe fn with_all(
        &self,
        shortcuts: Shortcuts,
        ht: *mut HPyTracker,
        names: usize,
        values: &mut Values,
    ) -> Result<(), Raised> {
        let values = values.as_mut_ptr().cast::<HPy>();
        let mut kept: usize = 0;
        let argument = |parser: &Parser, index: usize| {
            // SAFETY: there is an argument, or a value for each name that is not given by position.
            let value = unsafe { if index < parser.nargs { *parser.args.add(index) } else { *values.add(index) } };
            Ok(if value.is_null() { Argument::Missing } else { Argument::Borrowed(value) })
        };
        let keep = |_: &Parser, argument: Argument| {
            let Argument::Borrowed(value) = argument else { return Ok(HPy::NULL) };
            // SAFETY: what is kept stands in front, where there are no values or such that have been used.
            unsafe { values.add(kept).write(value) };
            kept = kept.wrapping_add(1);
            Ok(value)
        };
        self.with_keywords(names, !ht.is_null(), argument, keep)?;
        if !ht.is_null() {
            // SAFETY: so many are kept; the caller's variable.
            unsafe { *ht = shortcuts.track(values, kept)? };
        }
        Ok(())
    }

    /// With arguments that are found one by one, and kept in the tracker.
    ///
    /// # Safety
    /// `keywords` has `names` names; `given` is as its docs say.
    #[inline(never)]
    unsafe fn with_given(&self, keywords: *const *const c_char, names: usize, given: Given) -> Result<(), Raised> {
        let argument = |parser: &Parser, index: usize| {
            if index < parser.nargs {
                return Ok(parser.positional_argument(index));
            }
            // SAFETY: `index` is below the number of names, which are C strings.
            unsafe { parser.find(given, *keywords.add(index), index.wrapping_sub(parser.nargs)) }
        };
        let keep = |parser: &Parser, argument: Argument| match (argument, parser.tracker) {
            (Argument::Borrowed(value), Some(tracker)) => parser.context.track(tracker, parser.context.dup(value)?),
            (Argument::Owned(value), Some(tracker)) => parser.context.track(tracker, value),
            _ => Ok(HPy::NULL),
        };
        self.with_keywords(names, self.tracker.is_some(), argument, keep)
    }

    /// Reads the format, with the argument for each of `names` parameters. `keep` gives a handle that the caller may have.
    #[inline(always)]
    fn with_keywords(
        &self,
        names: usize,
        has_tracker: bool,
        argument: impl Fn(&Self, usize) -> Result<Argument, Raised>,
        mut keep: impl FnMut(&Self, Argument) -> Result<HPy, Raised>,
    ) -> Result<(), Raised> {
        let mut format = self.format;
        let mut index: usize = 0;
        let mut optional = false;
        let mut keyword_only = false;
        loop {
            let unit = format.peek();
            let is_object = unit == b'O';
            if !is_object {
                if ends(unit) {
                    break;
                }
                if matches!(unit, b'|' | b'$') {
                    format.skip();
                    optional = true;
                    keyword_only |= unit == b'$';
                    continue;
                }
            } else if !has_tracker {
                let text =
                    c"HPyArg_ParseKeywords cannot use the format character 'O' unless an HPyTracker is provided. \
                             Please supply an HPyTracker.";
                return Err(self.fail(self.context.system_error(), text));
            }
            if index >= names {
                return Err(self.fail(self.context.type_error(), c"mismatched args (too few keywords for fmt)"));
            }
            if keyword_only && index < self.nargs {
                let text = c"keyword only argument passed as positional argument";
                return Err(self.fail(self.context.type_error(), text));
            }
            match argument(self, index)? {
                Argument::Missing if !optional => {
                    return Err(self.fail(self.context.type_error(), c"no value for required argument"));
                }
                Argument::Missing if is_object => {}
                argument if is_object => {
                    let handle = keep(self, argument)?;
                    // SAFETY: the unit was counted, so there is an output for it, which is a handle.
                    unsafe { *(*self.outputs.add(index)).cast::<HPy>() = handle };
                }
                argument => self.convert(unit, index, argument)?,
            }
            format.skip();
            index = index.wrapping_add(1);
        }
        if index != names {
            return Err(self.fail(self.context.type_error(), c"mismatched args (too many keywords for fmt)"));
        }
        Ok(())
    }

    /// The keyword argument `name`, most likely the one at `place`, if all come in the order of the parameters. An empty name is
    /// that of a parameter that can't be given by keyword.
    ///
    /// # Safety
    /// `name` is a C string.
    unsafe fn find(&self, given: Given, name: *const c_char, place: usize) -> Result<Argument, Raised> {
        // SAFETY: `name` is a C string.
        if unsafe { Reader::new(name) }.peek() == 0 {
            return Ok(Argument::Missing);
        }
        let context = self.context;
        match given {
            Given::Nothing => Ok(Argument::Missing),
            Given::Dict(dict) => match context.item_by_name(dict, name) {
                Ok(value) => Ok(Argument::Owned(value)),
                Err(Raised) if context.is_raised_as(context.key_error()) => {
                    context.clear();
                    Ok(Argument::Missing)
                }
                Err(Raised) => Err(Raised),
            },
            Given::Names(kwnames, count, values) => {
                let mut index = if place < count.cast_unsigned() { place.cast_signed() } else { 0 };
                for _ in 0..count {
                    let kwname = context.item(kwnames, index)?;
                    // SAFETY: `name` is a C string.
                    if unsafe { self.is_named(&kwname, name) }? {
                        // SAFETY: there is a value for each name.
                        let value = unsafe { *values.offset(index) };
                        return Ok(if value.is_null() { Argument::Missing } else { Argument::Borrowed(value) });
                    }
                    index = index.wrapping_add(1);
                    if index == count {
                        index = 0;
                    }
                }
                Ok(Argument::Missing)
            }
        }
    }

    /// Whether the name that a call gives is that of a parameter.
    ///
    /// # Safety
    /// `name` is a C string.
    unsafe fn is_named(&self, given: &Owned, name: *const c_char) -> Result<bool, Raised> {
        if let Ok((text, length)) = self.context.utf8(given.handle()) {
            // SAFETY: as this function's; the text has `length` bytes.
            let (mut name, text) = unsafe { (Reader::new(name), core::slice::from_raw_parts(text.cast(), length)) };
            // Names are short: calls of libc's functions would take longer.
            return Ok(text.iter().all(|&byte| name.eat(byte)) && name.peek() == 0);
        }
        // No text of UTF-8, or no text: then it decides itself what it equals.
        self.context.clear();
        let name = self.context.new_str(name)?;
        self.context.is_equal(given.handle(), name.handle())
    }
}
