//! `HPyArg_Parse`, and what its siblings in [`keywords`](crate::keywords) share with it: reading a format.
//!
//! All variadic arguments are pointers to where values go. The shims ask how many there are and hand an array over.

use core::ffi::{
    CStr, c_char, c_int, c_long, c_longlong, c_short, c_uchar, c_uint, c_ulong, c_ulonglong, c_ushort, c_void,
};

use hpy_abi::{HPy, HPyContext, HPyTracker};

use crate::context::{Context, Owned, Raised, is_success};
use crate::cstr::Reader;
use crate::message::{Message, ends};
use crate::units::{self, is_unit};
use crate::utf8;

/// How many outputs `HPyArg_Parse` can get to write to: one for each unit, up to the first that is certain to fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyArg_CountOutputs(fmt: *const c_char, nargs: usize) -> usize {
    if fmt.is_null() {
        return 0;
    }
    // SAFETY: the caller's format.
    let format = unsafe { Reader::new(fmt) };
    count_units(format, |byte| byte == b'|', |index, optional| optional || index < nargs)
}

/// How many outputs the functions with keywords can get to write to: at most one for each name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyArg_CountKeywordOutputs(fmt: *const c_char, keywords: *const *const c_char) -> usize {
    if fmt.is_null() || keywords.is_null() {
        return 0;
    }
    // SAFETY: the caller's format.
    let format = unsafe { Reader::new(fmt) };
    // SAFETY: an index is asked for only if all before had a name, and the array ends with null.
    let is_named = |index: usize| unsafe { !(*keywords.add(index)).is_null() };
    count_units(format, |byte| byte == b'|' || byte == b'$', |index, _optional| is_named(index))
}

/// `HPyArg_Parse`. Returns 1, or 0 with an exception pending and no tracker open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyArg_ParseArray(
    ctx: *mut HPyContext,
    ht: *mut HPyTracker,
    args: *const HPy,
    nargs: usize,
    fmt: *const c_char,
    outputs: *const *mut c_void,
) -> c_int {
    // SAFETY: the caller's context and handles.
    let context = unsafe { Context::new(ctx) };
    // SAFETY: the caller's arguments.
    let parser = unsafe { Parser::new(context, c"HPyArg_Parse", fmt, args, nargs, outputs) };
    // SAFETY: the caller's tracker and outputs.
    is_success(parser.and_then(|parser| unsafe { parser.tracking(ht, |parser| parser.positional()) }))
}

#[cold]
#[inline(never)]
fn no_format(context: Context, function: &CStr) -> Raised {
    let mut message = Message::new();
    message.push(function.to_bytes());
    message.push(b" got NULL as format");
    context.raise_message(context.system_error(), message)
}

/// Counts units, as long as each is one, and `reached` holds for its index and whether it is optional. What `is_mark`
/// accepts stands between units and makes what follows optional.
fn count_units(mut format: Reader, is_mark: impl Fn(u8) -> bool, reached: impl Fn(usize, bool) -> bool) -> usize {
    let mut optional = false;
    let mut count: usize = 0;
    loop {
        let byte = format.peek();
        if is_unit(byte) {
            if !reached(count, optional) {
                return count;
            }
            count = count.wrapping_add(1);
        } else if is_mark(byte) {
            optional = true;
        } else {
            return count;
        }
        format.skip();
    }
}

/// The argument for a unit.
pub enum Argument {
    /// An optional one that was not given.
    Missing,
    Borrowed(HPy),
    /// From a dict.
    Owned(Owned),
}

/// One call of a parsing function.
pub struct Parser<'a> {
    pub context: Context,
    /// The format, which ends with what it says about messages.
    pub format: Reader<'a>,
    pub args: *const HPy,
    pub nargs: usize,
    pub outputs: *const *mut c_void,
    pub tracker: Option<HPyTracker>,
}

impl<'a> Parser<'a> {
    /// # Safety
    /// `fmt` is null or a C string, `args` has `nargs` handles, `outputs` as many pointers as were counted.
    #[inline(always)]
    pub unsafe fn new(
        context: Context,
        function: &CStr,
        fmt: *const c_char,
        args: *const HPy,
        nargs: usize,
        outputs: *const *mut c_void,
    ) -> Result<Parser<'a>, Raised> {
        if fmt.is_null() {
            return Err(no_format(context, function));
        }
        // SAFETY: it is not null, so it is a C string.
        let format = unsafe { Reader::new(fmt) };
        Ok(Parser { context, format, args, nargs, outputs, tracker: None })
    }

    /// Raises an exception, with the function's name or the message that the format has.
    #[cold]
    #[inline(never)]
    pub fn fail(&self, exception: HPy, text: &CStr) -> Raised {
        let mut message = Message::new();
        if !self.push_own_message(&mut message) {
            message.push_function(self.format);
            message.push(text.to_bytes());
        }
        self.context.raise_message(exception, message)
    }

    /// Adds the message that the format has behind a semicolon, if it has one.
    pub fn push_own_message(&self, message: &mut Message) -> bool {
        let mut rest = self.format;
        rest.take_while(|byte| !ends(byte));
        let has_one = rest.take() == b';';
        if has_one {
            message.push(rest.rest());
        }
        has_one
    }

    /// Runs `parse` with a new tracker in `*ht`, which is closed again if that fails; with none if `ht` is null.
    ///
    /// # Safety
    /// `ht` is null or the caller's variable.
    pub unsafe fn tracking(
        mut self,
        ht: *mut HPyTracker,
        parse: impl FnOnce(&Self) -> Result<(), Raised>,
    ) -> Result<(), Raised> {
        if ht.is_null() {
            return parse(&self);
        }
        let tracker = self.context.tracker()?;
        // SAFETY: it is not null, so it is the caller's variable.
        unsafe { *ht = tracker };
        self.tracker = Some(tracker);
        let result = parse(&self);
        if result.is_err() {
            self.context.close_tracker(tracker);
        }
        result
    }

    fn positional(&self) -> Result<(), Raised> {
        units::check(self.context, self.format, |byte| byte == b'|')?;
        let mut format = self.format;
        let mut optional = false;
        let mut index: usize = 0;
        loop {
            let unit = format.take();
            if ends(unit) {
                break;
            }
            if unit == b'|' {
                optional = true;
                continue;
            }
            let argument = match self.positional_argument(index) {
                Argument::Missing if !optional => {
                    let text = c"required positional argument missing";
                    return Err(self.fail(self.context.type_error(), text));
                }
                argument => argument,
            };
            self.convert(unit, index, argument)?;
            index = index.wrapping_add(1);
        }
        if index < self.nargs {
            return Err(self.fail(self.context.type_error(), c"mismatched args (too many arguments for fmt)"));
        }
        Ok(())
    }

    pub fn positional_argument(&self, index: usize) -> Argument {
        if index >= self.nargs {
            return Argument::Missing;
        }
        // SAFETY: `index` is below the number of arguments.
        let arg = unsafe { *self.args.add(index) };
        if arg.is_null() { Argument::Missing } else { Argument::Borrowed(arg) }
    }

    /// Stores the argument as the unit says. What is missing leaves its variable alone.
    pub fn convert(&self, unit: u8, index: usize, argument: Argument) -> Result<(), Raised> {
        // SAFETY: the format has been checked, so the unit is one, and not certain to fail, so it was counted and there is an output for it.
        let output = unsafe { *self.outputs.add(index) };
        let value = match &argument {
            Argument::Missing => return Ok(()),
            Argument::Borrowed(value) => *value,
            Argument::Owned(value) => value.handle(),
        };
        // SAFETY: the unit says what is behind the pointer.
        unsafe { self.store(unit, value, output) }?;
        match (unit, argument, self.tracker) {
            // The text has to live as long as other results do.
            (b's', Argument::Owned(value), Some(tracker)) => self.context.track(tracker, value).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// # Safety
    /// `output` points to a variable of the unit's type.
    unsafe fn store(&self, unit: u8, value: HPy, output: *mut c_void) -> Result<(), Raised> {
        let context = self.context;
        macro_rules! put {
            ($type:ty, $value:expr) => {{
                let value: $type = $value;
                // SAFETY: the unit says what is behind the pointer.
                unsafe { *output.cast::<$type>() = value }
            }};
        }
        match unit {
            b'b' => put!(c_uchar, self.in_range(value, 0, c_uchar::MAX.into(), c"unsigned byte integer")? as c_uchar),
            b'h' => {
                let (low, high) = (c_short::MIN.into(), c_short::MAX.into());
                put!(c_short, self.in_range(value, low, high, c"signed short integer")? as c_short);
            }
            b'i' => {
                let (low, high) = (c_int::MIN as c_long, c_int::MAX as c_long);
                put!(c_int, self.in_range(value, low, high, c"signed integer")? as c_int);
            }
            b'B' => put!(c_uchar, context.as_unsigned_long_mask(value)? as c_uchar),
            b'H' => put!(c_ushort, context.as_unsigned_long_mask(value)? as c_ushort),
            b'I' => put!(c_uint, context.as_unsigned_long_mask(value)? as c_uint),
            b'l' => put!(c_long, context.as_long(value)?),
            b'k' => put!(c_ulong, context.as_unsigned_long_mask(value)?),
            b'L' => put!(c_longlong, context.as_long_long(value)?),
            b'K' => put!(c_ulonglong, context.as_unsigned_long_long_mask(value)?),
            b'n' => put!(isize, context.index_as_ssize(value)?),
            b'f' => put!(f32, context.as_double(value)? as f32),
            b'd' => put!(f64, context.as_double(value)?),
            b'p' => put!(c_int, c_int::from(context.is_true(value)?)),
            b's' => put!(*const c_char, self.text(value)?),
            b'O' => put!(HPy, value),
            _ => return Err(self.fail(context.system_error(), c"unknown arg format code")),
        }
        Ok(())
    }

    fn in_range(&self, value: HPy, low: c_long, high: c_long, what: &CStr) -> Result<c_long, Raised> {
        let number = self.context.as_long(value)?;
        let side: &[u8] = if number < low {
            b" is less than minimum"
        } else if number > high {
            b" is greater than maximum"
        } else {
            return Ok(number);
        };
        let mut text = Message::new();
        text.push(what.to_bytes());
        text.push(side);
        // SAFETY: a message ends with NUL.
        let text = unsafe { CStr::from_ptr(text.as_ptr()) };
        Err(self.fail(self.context.overflow_error(), text))
    }

    /// The text of a `str` that has no NUL in it.
    fn text(&self, value: HPy) -> Result<*const c_char, Raised> {
        let context = self.context;
        if !context.is_str(value) {
            return Err(self.fail(context.type_error(), c"a str is required"));
        }
        let (text, length) = context.utf8(value)?;
        // SAFETY: the text has `length` bytes.
        let bytes = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), length) };
        if utf8::has_nul(bytes) {
            return Err(self.fail(context.value_error(), c"embedded null character"));
        }
        // SAFETY: a text that is passed on to C has a NUL behind it.
        if unsafe { *text.add(length) } != 0 {
            return Err(self.fail(context.system_error(), c"missing terminating null character"));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    fn outputs(format: &CStr, nargs: usize) -> usize {
        // SAFETY: a C string.
        unsafe { _HPyArg_CountOutputs(format.as_ptr(), nargs) }
    }

    fn keyword_outputs(format: &CStr, names: &[*const c_char]) -> usize {
        // SAFETY: a C string, and a list that ends with null.
        unsafe { _HPyArg_CountKeywordOutputs(format.as_ptr(), names.as_ptr()) }
    }

    #[test]
    fn counts_outputs() {
        assert_eq!(outputs(c"", 3), 0);
        assert_eq!(outputs(c"bBhHiIlkLKnfdOps", 20), 16);
        assert_eq!(outputs(c"ll:lll", 9), 2);
        assert_eq!(outputs(c"ll;lll", 9), 2);
        assert_eq!(outputs(c"lll", 2), 2);
        assert_eq!(outputs(c"l|ll", 0), 0);
        assert_eq!(outputs(c"l|ll", 1), 3);
        assert_eq!(outputs(c"|l|l", 0), 2);
        assert_eq!(outputs(c"lZl", 9), 1);
        assert_eq!(outputs(c"l$l", 9), 1);
        // SAFETY: null is allowed.
        assert_eq!(unsafe { _HPyArg_CountOutputs(ptr::null(), 1) }, 0);
    }

    #[test]
    fn counts_keyword_outputs() {
        let names = [c"a".as_ptr(), c"b".as_ptr(), ptr::null()];
        assert_eq!(keyword_outputs(c"OO", &names), 2);
        assert_eq!(keyword_outputs(c"O|$O:f", &names), 2);
        assert_eq!(keyword_outputs(c"OOO", &names), 2);
        assert_eq!(keyword_outputs(c"OZ", &names), 1);
        assert_eq!(keyword_outputs(c"OO", &[ptr::null()]), 0);
        // SAFETY: null is allowed.
        assert_eq!(unsafe { _HPyArg_CountKeywordOutputs(c"O".as_ptr(), ptr::null()) }, 0);
    }
}
