//! `HPyUnicode_FromFormat`, `HPyUnicode_FromFormatV` and `HPyErr_Format`.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};

use hpy_abi::*;

use crate::buffer::Buffer;
use crate::context::{Context, Owned, Raised, handle_or_null};
use crate::cstr::Reader;
use crate::message::Message;
use crate::number::{Digits, Padding};
use crate::utf8;
use crate::vararg::{Args, NoMore, VaArg};

/// The kind of the next argument that a format asks for; goes past that in the format.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyFormat_NextArg(fmt: *mut *const c_char) -> _HPyVaArg_Kind {
    // SAFETY: the shim's variable.
    let place = unsafe { &mut *fmt };
    if place.is_null() {
        return _HPyVaArg_End;
    }
    // SAFETY: it is not null, so it is a C string.
    let mut format = unsafe { Reader::new(*place) };
    loop {
        match Piece::take(&mut format) {
            Piece::Text(_) => {}
            Piece::Unit(unit) => {
                *place = format.as_ptr();
                return unit.convert.kind();
            }
            Piece::End | Piece::Wrong(_) => return _HPyVaArg_End,
        }
    }
}

/// `HPyUnicode_FromFormat`. Returns the text, or null with an exception pending.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyUnicode_FromFormatArray(
    ctx: *mut HPyContext,
    fmt: *const c_char,
    args: *const VaArg,
    count: usize,
) -> HPy {
    // SAFETY: the caller's context and handles.
    let context = unsafe { Context::new(ctx) };
    // SAFETY: the shim's arguments.
    let args = unsafe { Args::new(args, count) };
    // SAFETY: the caller's format and arguments.
    handle_or_null(unsafe { from_format(context, fmt, args) })
}

/// `HPyErr_Format`. Returns null, with the exception pending, or with the one that formatting raised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyErr_FormatArray(
    ctx: *mut HPyContext,
    h_type: HPy,
    fmt: *const c_char,
    args: *const VaArg,
    count: usize,
) -> HPy {
    // SAFETY: the caller's context and handles.
    let context = unsafe { Context::new(ctx) };
    // SAFETY: the shim's arguments.
    let args = unsafe { Args::new(args, count) };
    // SAFETY: the caller's format and arguments.
    if let Ok(text) = unsafe { from_format(context, fmt, args) } {
        context.raise_object(h_type, &text);
    }
    HPy::NULL
}

/// Raises an exception whose text is a format with one unit, for an object.
pub fn raise_about(context: Context, exception: HPy, format: &CStr, object: HPy) -> Raised {
    let arg = VaArg { h: object };
    // SAFETY: one argument, a handle.
    let args = unsafe { Args::new(&arg, 1) };
    // SAFETY: the format is a C string, with a unit that takes a handle.
    match unsafe { from_format(context, format.as_ptr(), args) } {
        Ok(text) => context.raise_object(exception, &text),
        Err(raised) => raised,
    }
}

/// How long an integer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Int,
    Long,
    LongLong,
    Size,
}

/// How a unit writes its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Convert {
    Character,
    Signed(Length),
    Unsigned(Length),
    Hexadecimal,
    Pointer,
    /// A C string.
    Text,
    Unicode,
    /// A `str`, or a C string if that is null.
    UnicodeOrText,
    Str,
    Repr,
    Ascii,
}

impl Convert {
    fn kind(self) -> _HPyVaArg_Kind {
        match self {
            Convert::Character | Convert::Hexadecimal | Convert::Signed(Length::Int) => _HPyVaArg_Int,
            Convert::Signed(Length::Long) => _HPyVaArg_Long,
            Convert::Signed(Length::LongLong) => _HPyVaArg_LongLong,
            Convert::Signed(Length::Size) => _HPyVaArg_Ssize,
            Convert::Unsigned(Length::Int) => _HPyVaArg_UnsignedInt,
            Convert::Unsigned(Length::Long) => _HPyVaArg_UnsignedLong,
            Convert::Unsigned(Length::LongLong) => _HPyVaArg_UnsignedLongLong,
            Convert::Unsigned(Length::Size) => _HPyVaArg_Size,
            Convert::Pointer | Convert::Text => _HPyVaArg_Pointer,
            Convert::Unicode | Convert::Str | Convert::Repr | Convert::Ascii => _HPyVaArg_Handle,
            Convert::UnicodeOrText => _HPyVaArg_HandleAndPointer,
        }
    }
}

/// `%[0][width][.precision]` and a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unit {
    convert: Convert,
    zeros: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// What is wrong with a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Unit,
    WidthTooBig,
    PrecisionTooBig,
    NoZeros(u8),
    NoWidth(u8),
    NotAscii(u8),
}

impl Wrong {
    #[cold]
    #[inline(never)]
    fn raise(self, context: Context) -> Raised {
        let mut text = Message::new();
        let mut exception = context.system_error();
        match self {
            Wrong::Unit => text.push(b"invalid format string"),
            Wrong::WidthTooBig => {
                text.push(b"width too big");
                exception = context.value_error();
            }
            Wrong::PrecisionTooBig => {
                text.push(b"precision too big");
                exception = context.value_error();
            }
            Wrong::NoZeros(unit) => {
                text.push(b"formatting unit '%");
                text.push(&[unit]);
                text.push(b"' does not support 0-padding");
            }
            Wrong::NoWidth(unit) => {
                text.push(b"formatting unit '%");
                text.push(&[unit]);
                text.push(b"' does not support width nor precision");
            }
            Wrong::NotAscii(byte) => {
                text.push(b"expected an ASCII-encoded format string, got a non-ASCII byte: 0x");
                text.push(Digits::hexadecimal(byte.into()).as_bytes());
                exception = context.value_error();
            }
        }
        context.raise_message(exception, text)
    }
}

/// A piece of a format.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    End,
    /// What is written as it is.
    Text(&'a [u8]),
    Unit(Unit),
    Wrong(Wrong),
}

impl<'a> Piece<'a> {
    /// Takes the next piece off a format.
    fn take(format: &mut Reader<'a>) -> Piece<'a> {
        let text = format.take_while(|byte| byte != b'%' && byte.is_ascii());
        if !text.is_empty() {
            return Piece::Text(text);
        }
        match format.peek() {
            0 => return Piece::End,
            b'%' => format.skip(),
            byte => return Piece::Wrong(Wrong::NotAscii(byte)),
        }
        if format.peek() == b'%' {
            return Piece::Text(format.take_one());
        }
        match Unit::take(format) {
            Ok(unit) => Piece::Unit(unit),
            Err(wrong) => Piece::Wrong(wrong),
        }
    }
}

impl Unit {
    /// Takes what follows a `%`.
    fn take(format: &mut Reader) -> Result<Unit, Wrong> {
        let zeros = format.eat(b'0');
        let width = take_number(format).map_err(|TooBig| Wrong::WidthTooBig)?;
        let mut precision = None;
        if format.eat(b'.') {
            precision = take_number(format).map_err(|TooBig| Wrong::PrecisionTooBig)?;
        }

        let length = take_length(format);
        let letter = format.take();
        let convert = match (letter, length) {
            (b'd' | b'i', _) => Convert::Signed(length),
            (b'u', _) => Convert::Unsigned(length),
            (b'c', Length::Int) => Convert::Character,
            (b'x', Length::Int) => Convert::Hexadecimal,
            (b'p', Length::Int) => Convert::Pointer,
            (b's', Length::Int) => Convert::Text,
            (b'U', Length::Int) => Convert::Unicode,
            (b'V', Length::Int) => Convert::UnicodeOrText,
            (b'S', Length::Int) => Convert::Str,
            (b'R', Length::Int) => Convert::Repr,
            (b'A', Length::Int) => Convert::Ascii,
            _ => return Err(Wrong::Unit),
        };
        if zeros && !matches!(convert, Convert::Signed(_) | Convert::Unsigned(_) | Convert::Hexadecimal) {
            return Err(Wrong::NoZeros(letter));
        }
        let sized = width.is_some() || precision.is_some();
        if sized && matches!(convert, Convert::Character | Convert::Pointer) {
            return Err(Wrong::NoWidth(letter));
        }
        Ok(Unit { convert, zeros, width, precision })
    }
}

struct TooBig;

/// Takes a decimal number, if there is one. It has to fit an `HPy_ssize_t`.
fn take_number(format: &mut Reader) -> Result<Option<usize>, TooBig> {
    let mut number: Option<isize> = None;
    while format.peek().is_ascii_digit() {
        let digit = isize::from(format.take() & 0xF);
        let more = number.unwrap_or(0).checked_mul(10).and_then(|tens| tens.checked_add(digit));
        number = Some(more.ok_or(TooBig)?);
    }
    Ok(number.map(isize::unsigned_abs))
}

/// Takes `l`, `ll` or `z`.
fn take_length(format: &mut Reader) -> Length {
    if format.eat(b'l') {
        if format.eat(b'l') { Length::LongLong } else { Length::Long }
    } else if format.eat(b'z') {
        Length::Size
    } else {
        Length::Int
    }
}

/// # Safety
/// `fmt` is null or a C string, and the arguments are those that it asks for, with open handles.
unsafe fn from_format(context: Context, fmt: *const c_char, mut args: Args) -> Result<Owned, Raised> {
    if fmt.is_null() {
        return Err(context.raise(context.system_error(), c"null format string"));
    }
    // SAFETY: it is not null, so it is a C string.
    let mut format = unsafe { Reader::new(fmt) };
    let mut writer = Writer { context, text: Buffer::new(), has_surrogate: false };
    loop {
        match Piece::take(&mut format) {
            Piece::End => return writer.finish(),
            Piece::Text(text) => writer.push(text)?,
            // SAFETY: the caller's arguments.
            Piece::Unit(unit) => unsafe { writer.unit(unit, &mut args) }?,
            Piece::Wrong(wrong) => return Err(wrong.raise(context)),
        }
    }
}

/// The text under way, as UTF-8.
struct Writer {
    context: Context,
    text: Buffer,
    /// A lone surrogate was written, which is no UTF-8 but can be in a `str`.
    has_surrogate: bool,
}

impl Writer {
    fn push(&mut self, text: &[u8]) -> Result<(), Raised> {
        self.text.push(text).map_err(|error| error.raise(self.context, NO_MEMORY))
    }

    fn push_times(&mut self, byte: u8, count: usize) -> Result<(), Raised> {
        self.text.push_times(byte, count).map_err(|error| error.raise(self.context, NO_MEMORY))
    }

    #[cold]
    #[inline(never)]
    fn fail(&self, text: &CStr) -> Raised {
        self.context.raise(self.context.system_error(), text)
    }

    fn no_more(&self, _: NoMore) -> Raised {
        self.fail(c"invalid format string")
    }

    fn finish(mut self) -> Result<Owned, Raised> {
        if self.has_surrogate {
            return self.context.decode(self.text.as_bytes(), c"surrogatepass");
        }
        if utf8::has_nul(self.text.as_bytes()) {
            return self.context.decode(self.text.as_bytes(), c"strict");
        }
        self.push(&[0])?;
        self.context.new_str(self.text.as_bytes().as_ptr().cast())
    }

    /// Writes an argument.
    ///
    /// # Safety
    /// The next argument is what the unit asks for, with an open handle.
    unsafe fn unit(&mut self, unit: Unit, args: &mut Args) -> Result<(), Raised> {
        match unit.convert {
            Convert::Character => {
                let code_point = args.signed().map_err(|none| self.no_more(none))?;
                self.character(code_point as c_int)
            }
            Convert::Signed(_) => {
                let value = args.signed().map_err(|none| self.no_more(none))?;
                self.number(unit, value < 0, Digits::decimal(value.unsigned_abs()))
            }
            Convert::Unsigned(_) => {
                let value = args.unsigned().map_err(|none| self.no_more(none))?;
                self.number(unit, false, Digits::decimal(value))
            }
            Convert::Hexadecimal => {
                let value = args.signed().map_err(|none| self.no_more(none))?;
                self.number(unit, false, Digits::hexadecimal((value as c_uint).into()))
            }
            Convert::Pointer => {
                let pointer = args.pointer().map_err(|none| self.no_more(none))?;
                self.push(b"0x")?;
                self.push(Digits::hexadecimal(pointer.addr() as u64).as_bytes())
            }
            Convert::Text => {
                let text = args.pointer().map_err(|none| self.no_more(none))?;
                if text.is_null() {
                    return Err(self.fail(c"null c string passed as value for formatting unit '%s'"));
                }
                // SAFETY: not null, it is what the unit asks for.
                unsafe { self.c_string(unit, text) }
            }
            Convert::Unicode => {
                let handle = args.handle().map_err(|none| self.no_more(none))?;
                if handle.is_null() {
                    return Err(self.fail(c"HPy_NULL passed as value for formatting unit '%U'"));
                }
                self.unicode_of_caller(unit, handle)
            }
            Convert::UnicodeOrText => {
                let handle = args.handle().map_err(|none| self.no_more(none))?;
                let text = args.pointer().map_err(|none| self.no_more(none))?;
                if !handle.is_null() {
                    self.unicode_of_caller(unit, handle)
                } else if text.is_null() {
                    Err(self.fail(c"null c string passed as value for formatting unit '%V'"))
                } else {
                    // SAFETY: not null, it is what the unit asks for.
                    unsafe { self.c_string(unit, text) }
                }
            }
            Convert::Str | Convert::Repr | Convert::Ascii => {
                let object = args.handle().map_err(|none| self.no_more(none))?;
                if object.is_null() {
                    let text = c"HPy_NULL passed as value for formatting unit '%S' or '%R' or '%A'";
                    return Err(self.fail(text));
                }
                let text = match unit.convert {
                    Convert::Str => self.context.str(object),
                    Convert::Repr => self.context.repr(object),
                    _ => self.context.ascii(object),
                }?;
                self.unicode(unit, &text)
            }
        }
    }

    fn character(&mut self, code_point: c_int) -> Result<(), Raised> {
        let code_point = match u32::try_from(code_point) {
            Ok(code_point @ 0..=0x10_FFFF) => code_point,
            _ => {
                let text = c"character argument not in range(0x110000)";
                return Err(self.context.raise(self.context.overflow_error(), text));
            }
        };
        self.has_surrogate |= matches!(code_point, 0xD800..=0xDFFF);
        let (bytes, length) = utf8::encode(code_point);
        self.push(bytes.get(..length).unwrap_or(&bytes))
    }

    fn number(&mut self, unit: Unit, negative: bool, digits: Digits) -> Result<(), Raised> {
        let digits = digits.as_bytes();
        let (width, precision) = (unit.width.unwrap_or(0), unit.precision.unwrap_or(0));
        let padding = Padding::new(digits.len(), negative, width, precision, unit.zeros);
        self.push_times(b' ', padding.spaces)?;
        if negative {
            self.push(b"-")?;
        }
        self.push_times(b'0', padding.zeros)?;
        self.push(digits)
    }

    /// A C string. The precision counts bytes, but no character is cut in two; the string may then lack its NUL.
    ///
    /// # Safety
    /// `text` has as many bytes as the precision says, or ends with NUL before that.
    unsafe fn c_string(&mut self, unit: Unit, text: *const c_void) -> Result<(), Raised> {
        let text: *const u8 = text.cast();
        let most = unit.precision.unwrap_or(usize::MAX);
        let mut length: usize = 0;
        // SAFETY: no byte before this one was NUL, and it is within the precision.
        while length < most && unsafe { *text.add(length) } != 0 {
            length = length.wrapping_add(1);
        }
        // SAFETY: as many bytes were just read.
        let mut text = unsafe { core::slice::from_raw_parts(text, length) };
        if length == most {
            text = utf8::whole(text);
        }
        self.padded(unit, text)
    }

    /// A `str` whose handle is the caller's: its text must not stay in memory for as long as that is open.
    fn unicode_of_caller(&mut self, unit: Unit, handle: HPy) -> Result<(), Raised> {
        let own = self.context.dup(handle)?;
        self.unicode(unit, &own)
    }

    /// A `str`. The precision counts characters.
    fn unicode(&mut self, unit: Unit, unicode: &Owned) -> Result<(), Raised> {
        let (text, length) = self.context.utf8(unicode.handle())?;
        // SAFETY: the text has as many bytes, and stays as long as the handle is open.
        let mut text = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), length) };
        if let Some(precision) = unit.precision {
            text = utf8::first_chars(text, precision);
        }
        self.padded(unit, text)
    }

    /// A text behind spaces that make up the width, in characters.
    fn padded(&mut self, unit: Unit, text: &[u8]) -> Result<(), Raised> {
        if let Some(width) = unit.width {
            self.push_times(b' ', width.saturating_sub(utf8::count(text)))?;
        }
        self.push(text)
    }
}

const NO_MEMORY: &CStr = c"cannot allocate memory for string format";

#[cfg(test)]
mod tests {
    use super::*;

    /// The first unit of a format, or what is wrong with it.
    fn unit(format: &CStr) -> Result<Unit, Wrong> {
        // SAFETY: a C string.
        let mut reader = unsafe { Reader::new(format.as_ptr()) };
        match Piece::take(&mut reader) {
            Piece::Unit(unit) => Ok(unit),
            Piece::Wrong(wrong) => Err(wrong),
            piece => panic!("{format:?} is {piece:?}"),
        }
    }

    #[test]
    fn units() {
        let plain = |convert| Ok(Unit { convert, zeros: false, width: None, precision: None });
        assert_eq!(unit(c"%d"), plain(Convert::Signed(Length::Int)));
        assert_eq!(unit(c"%lli"), plain(Convert::Signed(Length::LongLong)));
        assert_eq!(unit(c"%zu"), plain(Convert::Unsigned(Length::Size)));
        assert_eq!(unit(c"%.s"), plain(Convert::Text));
        let padded = Unit { convert: Convert::Signed(Length::Long), zeros: true, width: Some(12), precision: Some(3) };
        assert_eq!(unit(c"%012.3ld"), Ok(padded));
        let zero = Unit { convert: Convert::Signed(Length::Int), zeros: true, width: Some(0), precision: None };
        assert_eq!(unit(c"%00d"), Ok(zero));
    }

    #[test]
    fn wrong_units() {
        for format in [c"%", c"%5", c"%.", c"%.5", c"%0", c"%l", c"%ll", c"%z", c"%lx", c"%zs", c"%llc"] {
            assert_eq!(unit(format), Err(Wrong::Unit), "{format:?}");
        }
        for format in [c"%0%", c"%2%", c"%.%", c"%.3%s", c"%y", c"%-5d", c"%\xC3"] {
            assert_eq!(unit(format), Err(Wrong::Unit), "{format:?}");
        }
        assert_eq!(unit(c"%9223372036854775808d"), Err(Wrong::WidthTooBig));
        assert_eq!(unit(c"%.9223372036854775808y"), Err(Wrong::PrecisionTooBig));
        assert!(unit(c"%9223372036854775807.9223372036854775807d").is_ok());
        assert_eq!(unit(c"%05s"), Err(Wrong::NoZeros(b's')));
        assert_eq!(unit(c"%08.4c"), Err(Wrong::NoZeros(b'c')));
        assert_eq!(unit(c"%5p"), Err(Wrong::NoWidth(b'p')));
        assert_eq!(unit(c"%.0c"), Err(Wrong::NoWidth(b'c')));
        assert_eq!(unit(c"\xC3\xA9"), Err(Wrong::NotAscii(0xC3)));
    }

    #[test]
    fn arguments() {
        let kinds = |format: &CStr| {
            let mut place = format.as_ptr();
            let mut kinds = Vec::new();
            loop {
                // SAFETY: a C string.
                match unsafe { _HPyFormat_NextArg(&mut place) } {
                    kind if kind == _HPyVaArg_End => return kinds,
                    kind => kinds.push(kind),
                }
            }
        };
        assert_eq!(kinds(c"no arguments, 100 %%"), []);
        assert_eq!(
            kinds(c"%d%% %5lu, %V%S"),
            [_HPyVaArg_Int, _HPyVaArg_UnsignedLong, _HPyVaArg_HandleAndPointer, _HPyVaArg_Handle]
        );
        assert_eq!(kinds(c"%zd %y %d"), [_HPyVaArg_Ssize]);
        assert_eq!(kinds(c"%c \xC3\xA9 %d"), [_HPyVaArg_Int]);
        let mut null = core::ptr::null();
        // SAFETY: null is allowed.
        assert_eq!(unsafe { _HPyFormat_NextArg(&mut null) }, _HPyVaArg_End);
    }
}
