/* Arguments of Python functions as C values. In the static library, not in the context.

   A format has one unit for each parameter. The variadic arguments are pointers to the variables, in the same order.

     unit  variable             takes
     b     unsigned char        int from 0 to 255; OverflowError for others
     B     unsigned char        int; only the lowest bits count, no overflow
     h     short                int that fits; OverflowError for others
     H     unsigned short       int; only the lowest bits count, no overflow
     i     int                  int that fits; OverflowError for others
     I     unsigned int         int; only the lowest bits count, no overflow
     l     long                 int that fits; OverflowError for others
     k     unsigned long        int; only the lowest bits count, no overflow
     L     long long            int that fits; OverflowError for others
     K     unsigned long long   int; only the lowest bits count, no overflow
     n     HPy_ssize_t          int that fits; OverflowError for others
     f     float                float, or what converts to it
     d     double               float, or what converts to it
     p     int                  any object; its truth value, 0 or 1
     s     const char *         str; as UTF-8, ended by NUL. TypeError for other objects, ValueError when the str contains a
                                NUL. The text stays as long as the argument's handle is open
     O     HPy                  any object

     |     what follows is optional: the variable of a missing argument is left as it is, so give it a value before
     $     what follows is optional and by keyword only; not in HPyArg_Parse
     :     ends the units; the rest is the function's name for error messages
     ;     ends the units; the rest is the error message

   Any format that is wrong raises SystemError. */
#ifndef HPY_RUNTIME_ARGPARSE_H
#define HPY_RUNTIME_ARGPARSE_H

#include "hpy/runtime/varargs.h"

HPyAPI_HELPER size_t _HPyArg_CountOutputs(const char *fmt, size_t nargs);
HPyAPI_HELPER size_t _HPyArg_CountKeywordOutputs(const char *fmt, const char *const *keywords);
HPyAPI_HELPER int _HPyArg_ParseArray(HPyContext *ctx, HPyTracker *ht, const HPy *args, size_t nargs, const char *fmt,
                                     void *const *outputs);
/* The shortcuts are those that there are with this context, or null. */
HPyAPI_HELPER int _HPyArg_ParseKeywordsArray(HPyContext *ctx, const void *shortcuts, HPyTracker *ht, const HPy *args,
                                             size_t nargs, HPy kwnames, const char *fmt, const char *const *keywords,
                                             void *const *outputs);
HPyAPI_HELPER int _HPyArg_ParseKeywordsDictArray(HPyContext *ctx, HPyTracker *ht, const HPy *args, HPy_ssize_t nargs,
                                                 HPy kw, const char *fmt, const char *const *keywords,
                                                 void *const *outputs);

/**
 * Converts positional arguments. Returns 1, or 0 with an exception pending; the variables may then be written in part.
 *
 * `O` gives the argument itself: the handle is borrowed and must not be closed. No unit needs a tracker yet, so `ht` can
 * be NULL. Otherwise `*ht` is a new tracker after success, which the caller closes when the results are no longer
 * needed; after a failure there is none to close.
 *
 * Raises TypeError when there are too few or too many arguments, and what the units raise.
 */
HPyAPI_INLINE_HELPER int HPyArg_Parse(HPyContext *ctx, HPyTracker *ht, const HPy *args, size_t nargs, const char *fmt, ...)
{
    void *few[_HPyVaArg_FEW];
    void **outputs;
    int result = 0;
    va_list va;
    va_start(va, fmt);
    outputs = _HPyVaArg_CollectOutputs(ctx, _HPyArg_CountOutputs(fmt, nargs), va, few);
    va_end(va);
    if (outputs != NULL) {
        result = _HPyArg_ParseArray(ctx, ht, args, nargs, fmt, outputs);
        _HPyVaArg_Release(outputs, few);
    }
    return result;
}

/**
 * Converts the arguments of a function with `HPyFunc_KEYWORDS`: `nargs` positional ones, and behind them in `args` the
 * values for the names in the tuple `kwnames`, which can be null. Returns 1, or 0 with an exception pending; the variables
 * may then be written in part.
 *
 * `keywords` has the name of each parameter and ends with NULL. Parameters that can't be given by keyword come first
 * and have the name "". A keyword argument that no parameter has is ignored, and so are positional ones beyond the last
 * parameter.
 *
 * `O` gives a new handle that belongs to the tracker, so with `O` `ht` must not be NULL (SystemError). If it is not NULL,
 * `*ht` is a new tracker after success, and the caller closes it when the results are no longer needed; after a
 * failure there is none to close.
 *
 * Raises TypeError when an argument is missing, one that is by keyword only is given by position, or the format and
 * `keywords` are not of the same length; and what the units raise.
 */
HPyAPI_INLINE_HELPER int HPyArg_ParseKeywords(HPyContext *ctx, HPyTracker *ht, const HPy *args, size_t nargs, HPy kwnames,
                                     const char *fmt, const char *const keywords[], ...)
{
    void *few[_HPyVaArg_FEW];
    void **outputs;
    int result = 0;
    va_list va;
    /* Most functions take objects and nothing else, and a few of them. */
    if (_HPy_CAN_PARSE_OBJECTS(ctx) && fmt != NULL && keywords != NULL) {
        const char *unit = fmt;
        size_t count = 0, required = _HPyVaArg_FEW;
        va_start(va, keywords);
        for (;; unit++) {
            if (*unit == 'O' && count < _HPyVaArg_FEW && keywords[count] != NULL) {
                few[count++] = va_arg(va, void *);
            } else if (*unit == '|' || (*unit == '$' && nargs <= count)) {
                if (required > count)
                    required = count;
            } else {
                break;
            }
        }
        va_end(va);
        if ((*unit == 0 || *unit == ':' || *unit == ';') && keywords[count] == NULL
            && _HPy_PARSE_OBJECTS(ht, args, nargs, kwnames, keywords, few, count, required))
            return 1;
    }
    va_start(va, keywords);
    outputs = _HPyVaArg_CollectOutputs(ctx, _HPyArg_CountKeywordOutputs(fmt, keywords), va, few);
    va_end(va);
    if (outputs != NULL) {
        result = _HPyArg_ParseKeywordsArray(ctx, _HPy_SHORTCUTS(ctx), ht, args, nargs, kwnames, fmt, keywords, outputs);
        _HPyVaArg_Release(outputs, few);
    }
    return result;
}

/**
 * Does what `HPyArg_ParseKeywords` does when the keyword arguments are in the dict `kw`, as for `HPy_tp_new` and
 * `HPy_tp_init`; `kw` can be null. PyPy 7.3.19 hands a tuple of names to `HPy_tp_new`, as to functions with
 * `HPyFunc_KEYWORDS`; there, this works with that as well.
 *
 * The text that `s` gives for a keyword argument stays until the tracker is closed. Without a tracker nothing holds it:
 * it goes when the dict lets go of the argument, and in debug mode at once.
 */
HPyAPI_INLINE_HELPER int HPyArg_ParseKeywordsDict(HPyContext *ctx, HPyTracker *ht, const HPy *args, HPy_ssize_t nargs, HPy kw,
                                         const char *fmt, const char *const keywords[], ...)
{
    void *few[_HPyVaArg_FEW];
    void **outputs;
    int result = 0;
    va_list va;
    va_start(va, keywords);
    outputs = _HPyVaArg_CollectOutputs(ctx, _HPyArg_CountKeywordOutputs(fmt, keywords), va, few);
    va_end(va);
    if (outputs != NULL) {
        if (_HPy_IS_NAMES(ctx, kw))
            result = _HPyArg_ParseKeywordsArray(ctx, NULL, ht, args, (size_t)nargs, kw, fmt, keywords, outputs);
        else
            result = _HPyArg_ParseKeywordsDictArray(ctx, ht, args, nargs, kw, fmt, keywords, outputs);
        _HPyVaArg_Release(outputs, few);
    }
    return result;
}

#endif /* HPY_RUNTIME_ARGPARSE_H */
