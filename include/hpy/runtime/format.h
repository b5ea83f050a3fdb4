/* Text with values in it, as printf makes it. In the static library, not in the context.

   The format is ASCII. A unit is %[0][width][.precision] and one of these:

     unit           argument               writes
     c              int                    the character with this code point; OverflowError if there is none
     d, i           int                    decimal
     ld, li         long                   decimal
     lld, lli       long long              decimal
     zd, zi         HPy_ssize_t            decimal
     u              unsigned int           decimal
     lu             unsigned long          decimal
     llu            unsigned long long     decimal
     zu             size_t                 decimal
     x              int                    hexadecimal, as unsigned
     p              const void *           hexadecimal, with 0x in front
     s              const char *           the text, UTF-8
     U              HPy                    a str
     V              HPy, const char *      the str, or the text if the handle is null
     S              HPy                    str(object)
     R              HPy                    repr(object)
     A              HPy                    ascii(object)
     %                                     a percent sign; nothing can stand between the two

   The width is the least number of characters; spaces are put in front, or zeros behind the sign of a number if there is
   the 0. The precision is the least number of digits of a number, and the greatest number of characters of an object's
   text. For s, and for V with a null handle, it is the greatest number of bytes; a character that does not fit as a whole
   is left out. c and p can have none of these, and only numbers the 0. */
#ifndef HPY_RUNTIME_FORMAT_H
#define HPY_RUNTIME_FORMAT_H

#include "hpy/runtime/varargs.h"

HPyAPI_HELPER int _HPyFormat_NextArg(const char **fmt);
HPyAPI_HELPER HPy _HPyUnicode_FromFormatArray(HPyContext *ctx, const char *fmt, const _HPyVaArg *args, size_t count);
HPyAPI_HELPER HPy _HPyErr_FormatArray(HPyContext *ctx, HPy h_type, const char *fmt, const _HPyVaArg *args, size_t count);

/**
 * Makes a str from a format and the arguments it asks for. The list of arguments can be used again afterwards. Returns a
 * new handle, or null with an exception pending.
 *
 * Raises SystemError for a unit that does not exist or can't have what it has, and for null where a unit needs an
 * object or a text; ValueError when the format is not ASCII, or a width or precision does not fit an `HPy_ssize_t`;
 * OverflowError for `c`; UnicodeDecodeError for text that is not UTF-8; MemoryError; what `str` and `repr` of the objects
 * raise.
 */
HPyAPI_INLINE_HELPER HPy HPyUnicode_FromFormatV(HPyContext *ctx, const char *format, va_list vargs)
{
    _HPyVaArg few[_HPyVaArg_FEW];
    _HPyVaArg *args;
    size_t count;
    HPy result = HPy_NULL;
    va_list va;
    va_copy(va, vargs);
    args = _HPyVaArg_Collect(ctx, _HPyFormat_NextArg, format, va, few, &count);
    va_end(va);
    if (args != NULL) {
        result = _HPyUnicode_FromFormatArray(ctx, format, args, count);
        _HPyVaArg_Release(args, few);
    }
    return result;
}

/** Does what `HPyUnicode_FromFormatV` does, with the arguments of the call. */
HPyAPI_INLINE_HELPER HPy HPyUnicode_FromFormat(HPyContext *ctx, const char *fmt, ...)
{
    HPy result;
    va_list va;
    va_start(va, fmt);
    result = HPyUnicode_FromFormatV(ctx, fmt, va);
    va_end(va);
    return result;
}

/**
 * Makes an exception of the class `h_type` pending, with a text from a format as for `HPyUnicode_FromFormat`. Returns
 * null. When formatting fails, the exception that this raised is the pending one.
 */
HPyAPI_INLINE_HELPER HPy HPyErr_Format(HPyContext *ctx, HPy h_type, const char *fmt, ...)
{
    _HPyVaArg few[_HPyVaArg_FEW];
    _HPyVaArg *args;
    size_t count;
    va_list va;
    va_start(va, fmt);
    args = _HPyVaArg_Collect(ctx, _HPyFormat_NextArg, fmt, va, few, &count);
    va_end(va);
    if (args != NULL) {
        _HPyErr_FormatArray(ctx, h_type, fmt, args, count);
        _HPyVaArg_Release(args, few);
    }
    return HPy_NULL;
}

#endif /* HPY_RUNTIME_FORMAT_H */
