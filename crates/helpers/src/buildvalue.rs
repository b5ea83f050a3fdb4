//! `HPy_BuildValue`.

use core::ffi::{c_char, c_void};

use hpy_abi::*;

use crate::context::{Building, Context, Owned, Raised, handle_or_null};
use crate::cstr::Reader;
use crate::message::Message;
use crate::vararg::{Args, NoMore, VaArg};

/// How deep tuples, lists and dicts can be nested; more could overflow the stack.
const DEEPEST: usize = 200;

/// The kind of the next argument that a format asks for; goes past that in the format.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPyBuildValue_NextArg(fmt: *mut *const c_char) -> _HPyVaArg_Kind {
    // SAFETY: the shim's variable.
    let place = unsafe { &mut *fmt };
    if place.is_null() {
        return _HPyVaArg_End;
    }
    // SAFETY: it is not null, so it is a C string.
    let mut format = unsafe { Reader::new(*place) };
    format.take_while(|byte| matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b':' | b',' | b' '));
    let kind = match format.take() {
        b'i' => _HPyVaArg_Int,
        b'I' => _HPyVaArg_UnsignedInt,
        b'l' => _HPyVaArg_Long,
        b'k' => _HPyVaArg_UnsignedLong,
        b'L' => _HPyVaArg_LongLong,
        b'K' => _HPyVaArg_UnsignedLongLong,
        b'n' => _HPyVaArg_Ssize,
        b'f' | b'd' => _HPyVaArg_Double,
        b's' => _HPyVaArg_Pointer,
        b'O' | b'S' => _HPyVaArg_Handle,
        _ => _HPyVaArg_End,
    };
    *place = format.as_ptr();
    kind
}

/// `HPy_BuildValue`. Returns the value, or null with an exception pending.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _HPy_BuildValueArray(
    ctx: *mut HPyContext,
    fmt: *const c_char,
    args: *const VaArg,
    count: usize,
) -> HPy {
    // SAFETY: the caller's context and handles.
    let context = unsafe { Context::new(ctx) };
    if fmt.is_null() {
        context.raise(context.system_error(), c"NULL format string passed to HPy_BuildValue");
        return HPy::NULL;
    }
    // SAFETY: it is not null, so it is a C string; the shim's arguments.
    let (format, args) = unsafe { (Reader::new(fmt), Args::new(args, count)) };
    handle_or_null(Builder { context, format, args, depth: 0 }.all())
}

/// What is wrong with a format's brackets.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    /// A bracket without its partner.
    Unmatched(u8),
    Internal,
}

/// Counts the items up to `end`, a closing bracket or the end of the format. It takes each byte that can't be anything
/// else for an item, and does not look which brackets match, or whether one closes before it opens: building does.
fn count_items(mut format: Reader, end: u8) -> Result<isize, Wrong> {
    let mut count: isize = 0;
    let mut level: isize = 0;
    let mut opened = None;
    loop {
        let byte = format.peek();
        if level == 0 && byte == end {
            return Ok(count);
        }
        match byte {
            0 => {
                let bracket = match end {
                    b')' => Some(b'('),
                    b']' => Some(b'['),
                    _ => opened,
                };
                return Err(bracket.map_or(Wrong::Internal, Wrong::Unmatched));
            }
            b'(' | b'[' | b'{' => {
                if level == 0 {
                    opened = Some(byte);
                    count = count.wrapping_add(1);
                }
                level = level.wrapping_add(1);
            }
            b')' | b']' | b'}' => level = level.wrapping_sub(1),
            b',' | b' ' => {}
            _ if level == 0 => count = count.wrapping_add(1),
            _ => {}
        }
        format.skip();
    }
}

/// An item of a collection.
enum Item {
    New(Owned),
    /// The caller's handle.
    Borrowed(HPy),
}

impl Item {
    fn handle(&self) -> HPy {
        match self {
            Item::New(item) => item.handle(),
            Item::Borrowed(handle) => *handle,
        }
    }
}

/// One call of `HPy_BuildValue`.
struct Builder<'a> {
    context: Context,
    /// What is left of the format.
    format: Reader<'a>,
    args: Args,
    depth: usize,
}

impl Builder<'_> {
    /// Raises a SystemError about the format.
    #[cold]
    #[inline(never)]
    fn fail(&self, text: &[u8]) -> Raised {
        let mut message = Message::new();
        message.push(text);
        message.push(b" in the format string passed to HPy_BuildValue");
        self.context.raise_message(self.context.system_error(), message)
    }

    /// Raises a SystemError about one byte of the format.
    #[cold]
    #[inline(never)]
    fn fail_at(&self, text: &[u8], byte: u8) -> Raised {
        let mut message = Message::new();
        message.push(text);
        message.push(b" '");
        message.push_format_byte(byte);
        message.push(b"' in the format string passed to HPy_BuildValue");
        self.context.raise_message(self.context.system_error(), message)
    }

    #[cold]
    #[inline(never)]
    fn internal_error(&self) -> Raised {
        self.context.raise(self.context.system_error(), c"internal error in HPy_BuildValue")
    }

    fn no_more(&self, _: NoMore) -> Raised {
        self.internal_error()
    }

    fn count_items(&self, end: u8) -> Result<isize, Raised> {
        count_items(self.format, end).map_err(|wrong| match wrong {
            Wrong::Unmatched(bracket) => self.fail_at(b"unmatched", bracket),
            Wrong::Internal => self.internal_error(),
        })
    }

    /// The value of the whole format.
    fn all(mut self) -> Result<Owned, Raised> {
        match self.count_items(0)? {
            0 => {
                self.end()?;
                self.context.dup(self.context.none())
            }
            1 => {
                let item = self.item()?;
                self.end()?;
                match item {
                    Item::New(item) => Ok(item),
                    Item::Borrowed(handle) => self.context.dup(handle),
                }
            }
            count => {
                let tuple = self.items(count, self.context.tuple_builder(count))?;
                if self.format.peek() != 0 {
                    return Err(self.internal_error());
                }
                tuple.build()
            }
        }
    }

    /// Makes sure that nothing but commas and spaces is left.
    fn end(&mut self) -> Result<(), Raised> {
        self.format.take_while(|byte| byte == b',' || byte == b' ');
        match self.format.peek() {
            0 => Ok(()),
            byte => Err(self.fail_at(b"unmatched", byte)),
        }
    }

    /// The value of one unit.
    fn item(&mut self) -> Result<Item, Raised> {
        let context = self.context;
        let unit = self.format.take();
        let made = match unit {
            b'(' => self.nested(|builder| {
                let count = builder.count_items(b')')?;
                builder.collection(count, context.tuple_builder(count), b'(', b')')
            }),
            b'[' => self.nested(|builder| {
                let count = builder.count_items(b']')?;
                builder.collection(count, context.list_builder(count), b'[', b']')
            }),
            b'{' => self.nested(Self::dict),
            b'i' | b'l' | b'L' => context.new_int(self.args.signed().map_err(|none| self.no_more(none))?),
            b'I' | b'k' | b'K' => context.new_unsigned(self.args.unsigned().map_err(|none| self.no_more(none))?),
            b'n' => context.new_ssize(self.args.signed().map_err(|none| self.no_more(none))? as isize),
            b'f' | b'd' => context.new_float(self.args.double().map_err(|none| self.no_more(none))?),
            b's' => {
                let text: *const c_void = self.args.pointer().map_err(|none| self.no_more(none))?;
                if text.is_null() {
                    return Err(self.null_argument(c"NULL string passed to HPy_BuildValue"));
                }
                context.new_str(text.cast())
            }
            b'O' | b'S' => {
                let handle = self.args.handle().map_err(|none| self.no_more(none))?;
                if handle.is_null() {
                    return Err(self.null_argument(c"HPy_NULL object passed to HPy_BuildValue"));
                }
                return Ok(Item::Borrowed(handle));
            }
            b'N' => Err(context.raise(
                context.system_error(),
                c"HPy_BuildValue does not support the 'N' formatting unit. Instead, use the 'O' formatting unit and \
                  manually close the handle in the caller if necessary. HPy API functions never 'steal' handles and \
                  always make a duplicate handle if needed, the 'ownership' of the original handle is never \
                  'transferred'. ",
            )),
            _ => Err(self.fail_at(b"bad format char", unit)),
        };
        made.map(Item::New)
    }

    /// A null argument mostly comes from a call that failed, so an exception that is pending stays.
    #[cold]
    #[inline(never)]
    fn null_argument(&self, text: &core::ffi::CStr) -> Raised {
        if self.context.is_raised() { Raised } else { self.context.raise(self.context.system_error(), text) }
    }

    /// Builds a collection inside of what is being built.
    fn nested(&mut self, build: impl FnOnce(&mut Self) -> Result<Owned, Raised>) -> Result<Owned, Raised> {
        if self.depth >= DEEPEST {
            return Err(self.fail(b"too many nested brackets"));
        }
        self.depth = self.depth.wrapping_add(1);
        let result = build(self);
        self.depth = self.depth.wrapping_sub(1);
        result
    }

    /// Puts `count` items into a collection, with at most one comma behind each.
    fn items<B: Building>(&mut self, count: isize, mut collection: B) -> Result<B, Raised> {
        for index in 0..count {
            let item = self.item()?;
            collection.set(index, item.handle());
            self.format.eat(b',');
        }
        Ok(collection)
    }

    /// A tuple or list, up to the bracket that closes it.
    fn collection(&mut self, count: isize, empty: impl Building, open: u8, close: u8) -> Result<Owned, Raised> {
        let collection = self.items(count, empty)?;
        if !self.format.eat(close) {
            return Err(self.fail_at(b"unmatched", open));
        }
        collection.build()
    }

    fn dict(&mut self) -> Result<Owned, Raised> {
        let dict = self.context.dict()?;
        let mut after_item = false;
        loop {
            match self.format.peek() {
                b'}' => {
                    self.format.skip();
                    return Ok(dict);
                }
                0 => return Err(self.fail_at(b"unmatched", b'{')),
                b' ' => self.format.skip(),
                b',' if after_item => {
                    self.format.skip();
                    after_item = false;
                }
                b',' => return Err(self.fail(b"unexpected ','")),
                _ if after_item => return Err(self.fail(b"missing ','")),
                _ => {
                    let key = self.item()?;
                    if !self.format.eat(b':') {
                        return Err(self.fail(b"missing ':'"));
                    }
                    let value = self.item()?;
                    self.context.set_item(dict.handle(), key.handle(), value.handle())?;
                    after_item = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::CStr;

    #[test]
    fn counts_items() {
        let count = |format: &'static CStr, end: u8| {
            // SAFETY: the string lives for ever.
            count_items(unsafe { Reader::new(format.as_ptr()) }, end)
        };
        assert_eq!(count(c"", 0), Ok(0));
        assert_eq!(count(c" , ", 0), Ok(0));
        assert_eq!(count(c"i", 0), Ok(1));
        assert_eq!(count(c"ii, i", 0), Ok(3));
        assert_eq!(count(c"(ii)[i(i)]{i:i}i", 0), Ok(4));
        assert_eq!(count(c"ii)i", b')'), Ok(2));
        assert_eq!(count(c"()i]", b']'), Ok(2));

        assert_eq!(count(c"(i", 0), Err(Wrong::Unmatched(b'(')));
        assert_eq!(count(c"i{", 0), Err(Wrong::Unmatched(b'{')));
        assert_eq!(count(c"i]", b')'), Err(Wrong::Unmatched(b'(')));
        assert_eq!(count(c"i)", b']'), Err(Wrong::Unmatched(b'[')));
        assert_eq!(count(c"i)", 0), Err(Wrong::Internal));
        assert_eq!(count(c"i)(", 0), Ok(1));
        assert_eq!(count(c"]){[", b')'), Err(Wrong::Unmatched(b'(')));
    }

    #[test]
    fn arguments() {
        let kinds = |format: &CStr| {
            let mut place = format.as_ptr();
            let mut kinds = Vec::new();
            loop {
                // SAFETY: a C string.
                match unsafe { _HPyBuildValue_NextArg(&mut place) } {
                    kind if kind == _HPyVaArg_End => return kinds,
                    kind => kinds.push(kind.0),
                }
            }
        };
        assert_eq!(kinds(c"iIlkLKnfdsOS"), [1, 2, 3, 4, 5, 6, 7, 9, 9, 10, 11, 11]);
        assert_eq!(kinds(c"[(i), {s:O}]"), [1, 10, 11]);
        assert_eq!(kinds(c"iNi"), [1]);
        assert_eq!(kinds(c"()"), []);
    }
}
