/* Python values from C values. In the static library, not in the context.

     unit      argument             makes
     i         int                  int
     I         unsigned int         int
     l         long                 int
     k         unsigned long        int
     L         long long            int
     K         unsigned long long   int
     n         HPy_ssize_t          int
     f         float                float
     d         double               float
     s         const char *         str, from UTF-8 ended by NUL
     O, S      HPy                  the object; the handle stays the caller's
     (...)                          tuple of the units inside
     [...]                          list of the units inside
     {k:v,...}                      dict of pairs of units

   In tuples and lists a comma can stand behind each unit; between the pairs of a dict there has to be one. In dicts
   spaces are ignored. */
#ifndef HPY_RUNTIME_BUILDVALUE_H
#define HPY_RUNTIME_BUILDVALUE_H

#include "hpy/runtime/varargs.h"

HPyAPI_HELPER int _HPyBuildValue_NextArg(const char **fmt);
HPyAPI_HELPER HPy _HPy_BuildValueArray(HPyContext *ctx, const char *fmt, const _HPyVaArg *args, size_t count);

/**
 * Builds a value as the format says: `None` for an empty format, the value itself for one unit, a tuple of the values for
 * more. Returns a new handle, or null with an exception pending.
 *
 * All handles passed in stay the caller's. A null handle for `O`, or NULL for `s`, mostly comes from a call that failed:
 * a pending exception is left as it is, and without one SystemError is raised.
 *
 * Raises SystemError when the format is wrong, or has brackets nested more than 200 deep; UnicodeDecodeError for invalid
 * UTF-8; TypeError for a key that can't be hashed; MemoryError.
 */
HPyAPI_INLINE_HELPER HPy HPy_BuildValue(HPyContext *ctx, const char *fmt, ...)
{
    _HPyVaArg few[_HPyVaArg_FEW];
    _HPyVaArg *args;
    size_t count;
    HPy result = HPy_NULL;
    va_list va;
    va_start(va, fmt);
    args = _HPyVaArg_Collect(ctx, _HPyBuildValue_NextArg, fmt, va, few, &count);
    va_end(va);
    if (args != NULL) {
        result = _HPy_BuildValueArray(ctx, fmt, args, count);
        _HPyVaArg_Release(args, few);
    }
    return result;
}

#endif /* HPY_RUNTIME_BUILDVALUE_H */
