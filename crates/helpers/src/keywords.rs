//! `HPyArg_ParseKeywords` and `HPyArg_ParseKeywordsDict`.

use core::ffi::{c_char, c_int, c_void};
use core::mem::MaybeUninit;

use hpy_abi::{HPy, HPyContext, HPyShortcuts, HPyTracker};

use crate::argparse::{Argument, Parser};
use crate::context::{Context, Owned, Raised, is_success};
use crate::cstr::Reader;
use crate::message::{Message, ends};
use crate::shortcuts::Shortcuts;
use crate::units;

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
        parser.check(names, !ht.is_null())?;
        let mut values = [const { MaybeUninit::<HPy>::uninit() }; FEW];
        // SAFETY: the caller's tracker, outputs and, behind the positional arguments, values of keywords.
        unsafe {
            if let Some(shortcuts) = Shortcuts::new(shortcuts)
                && find_all(shortcuts, args, nargs, kwnames, keywords, names, &mut values)
            {
                return parser.with_all(shortcuts, ht, keywords, !kwnames.is_null(), &mut values);
            }
            parser.tracking(ht, |parser| {
                let given = parser.given_names(kwnames, args.wrapping_add(nargs))?;
                parser.with_given(keywords, given)
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
        parser.check(names, !ht.is_null())?;
        // SAFETY: the caller's tracker and outputs.
        unsafe { parser.tracking(ht, |parser| parser.with_given(keywords, given)) }
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

/// What stands between units and makes what follows optional, or to be given by keyword only.
fn is_mark(byte: u8) -> bool {
    matches!(byte, b'|' | b'$')
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

    /// Whether the whole format can be used, for so many parameters: before anything is written.
    fn check(&self, names: usize, has_tracker: bool) -> Result<(), Raised> {
        units::check(self.context, self.format, is_mark)?;
        let (mut format, mut count): (Reader, usize) = (self.format, 0);
        while !ends(format.peek()) {
            let unit = format.take();
            if unit == b'O' && !has_tracker {
                let text =
                    c"HPyArg_ParseKeywords cannot use the format character 'O' unless an HPyTracker is provided. \
                             Please supply an HPyTracker.";
                return Err(self.fail(self.context.system_error(), text));
            }
            if !is_mark(unit) {
                count = count.wrapping_add(1);
            }
        }
        if count == names {
            return Ok(());
        }
        let text = match count > names {
            true => c"mismatched args (too few keywords for fmt)",
            false => c"mismatched args (too many keywords for fmt)",
        };
        Err(self.fail(self.context.type_error(), text))
    }

    /// Raises for a required parameter that was not given.
    ///
    /// # Safety
    /// The name is a C string.
    #[cold]
    #[inline(never)]
    unsafe fn missing(&self, name: *const c_char, by_keyword: bool) -> Raised {
        // SAFETY: as this function's.
        let name = unsafe { Reader::new(name) }.rest();
        let (mut message, mut quoted) = (Message::new(), Message::new());
        quoted.push(b"'");
        quoted.push_at_most(name, 100);
        quoted.push(b"'");
        if self.push_own_message(&mut message) {
            return self.context.raise_message(self.context.type_error(), message);
        }
        message.push_function(self.format);
        message.push(b"no value for required argument");
        if name.is_empty() {
            return self.context.raise_message(self.context.type_error(), message);
        }
        // Arguments that are all given by position end before the one that is missing. There the message is to the letter that of 0.9
        // for a function with a name, and a note has the rest.
        if message.names_function() && !by_keyword {
            let mut note = Message::new();
            note.push(b"The argument ");
            note.push(quoted.text());
            note.push(b" is missing.");
            return self.context.raise_with_note(self.context.type_error(), message, note);
        }
        message.push(b" ");
        message.push(quoted.text());
        self.context.raise_message(self.context.type_error(), message)
    }

    /// The keyword arguments of a call with a tuple of names. A dict is what `HPy_tp_new` and `HPy_tp_init` have instead; that is what
    /// `HPyArg_ParseKeywordsDict` is for, and it is taken here as well.
    fn given_names(&self, kwnames: HPy, values: *const HPy) -> Result<Given, Raised> {
        if kwnames.is_null() {
            return Ok(Given::Nothing);
        }
        if self.context.is_dict(kwnames) {
            return Ok(Given::Dict(kwnames));
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
    /// There are values for as many parameters as there are names, the format has been checked, and `ht` is null or the caller's variable.
    #[inline(always)]
    unsafe fn with_all(
        &self,
        shortcuts: Shortcuts,
        ht: *mut HPyTracker,
        keywords: *const *const c_char,
        by_keyword: bool,
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
        // SAFETY: as this function's.
        unsafe { self.with_keywords(keywords, by_keyword, argument, keep) }?;
        if !ht.is_null() {
            // SAFETY: so many are kept; the caller's variable.
            unsafe { *ht = shortcuts.track(values, kept)? };
        }
        Ok(())
    }

    /// With arguments that are found one by one, and kept in the tracker.
    ///
    /// # Safety
    /// `keywords` has a name for each unit; `given` is as its docs say.
    #[inline(never)]
    unsafe fn with_given(&self, keywords: *const *const c_char, given: Given) -> Result<(), Raised> {
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
        let by_keyword = !matches!(given, Given::Nothing);
        // SAFETY: as this function's.
        unsafe { self.with_keywords(keywords, by_keyword, argument, keep) }
    }

    /// Reads the format, with the argument for each parameter. `keep` gives a handle that the caller may have.
    ///
    /// # Safety
    /// The format has been checked, so `keywords` has a name for each unit.
    #[inline(always)]
    unsafe fn with_keywords(
        &self,
        keywords: *const *const c_char,
        by_keyword: bool,
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
                if is_mark(unit) {
                    format.skip();
                    optional = true;
                    keyword_only |= unit == b'$';
                    continue;
                }
            }
            if keyword_only && index < self.nargs {
                let text = c"keyword only argument passed as positional argument";
                return Err(self.fail(self.context.type_error(), text));
            }
            match argument(self, index)? {
                Argument::Missing if !optional => {
                    // SAFETY: there is a name for each unit.
                    return Err(unsafe { self.missing(*keywords.add(index), by_keyword) });
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
