/* Functions that are a few calls of others: compiled into each extension that uses them. */
#ifndef HPY_INLINE_HELPERS_H
#define HPY_INLINE_HELPERS_H

#include <limits.h>

/* Exceptions */

/**
 * Turns the current value of `errno` into a pending exception without a file name, as
 * `HPyErr_SetFromErrnoWithFilenameObjects` does. Always returns null.
 */
HPyAPI_FUNC HPy HPyErr_SetFromErrno(HPyContext *ctx, HPy h_type)
{
    return HPyErr_SetFromErrnoWithFilenameObjects(ctx, h_type, HPy_NULL, HPy_NULL);
}

/**
 * Turns the current value of `errno` into a pending exception with one file name, mostly a str or bytes; it can be null.
 * Always returns null.
 */
HPyAPI_FUNC HPy HPyErr_SetFromErrnoWithFilenameObject(HPyContext *ctx, HPy h_type, HPy filename)
{
    return HPyErr_SetFromErrnoWithFilenameObjects(ctx, h_type, filename, HPy_NULL);
}

/* Tuples */

/**
 * Makes a tuple of `n` handles, which are the arguments after it and stay the caller's. Returns a new handle, or null
 * with an exception pending.
 */
HPyAPI_INLINE_HELPER HPy HPyTuple_Pack(HPyContext *ctx, HPy_ssize_t n, ...)
{
    HPy few[16];
    HPy *items = few;
    HPy result;
    va_list va;
    if (n <= 0) {
        return HPyTuple_FromArray(ctx, NULL, n);
    }
    if (n > (HPy_ssize_t)(sizeof(few) / sizeof(few[0]))) {
        items = (HPy *)malloc((size_t)n * sizeof(HPy));
        if (items == NULL) {
            return HPyErr_NoMemory(ctx);
        }
    }
    va_start(va, n);
    for (HPy_ssize_t i = 0; i < n; i++) {
        items[i] = va_arg(va, HPy);
    }
    va_end(va);
    result = HPyTuple_FromArray(ctx, items, n);
    if (items != few) {
        free(items);
    }
    return result;
}

/* Attributes */

/** Deletes the attribute `name` of `obj`, as `delattr(obj, name)` does. Returns 0, or -1 with an exception pending. */
HPyAPI_FUNC int HPy_DelAttr(HPyContext *ctx, HPy obj, HPy name)
{
    return HPy_SetAttr(ctx, obj, name, HPy_NULL);
}

/** Deletes the attribute of `obj` with this name, a C string. Returns 0, or -1 with an exception pending. */
HPyAPI_FUNC int HPy_DelAttr_s(HPyContext *ctx, HPy obj, const char *utf8_name)
{
    return HPy_SetAttr_s(ctx, obj, utf8_name, HPy_NULL);
}

/* C's integer types, whose sizes differ from system to system */

/** Makes an int. Returns a new handle, or null with MemoryError pending. */
HPyAPI_FUNC HPy HPyLong_FromLong(HPyContext *ctx, long l)
{
#if LONG_MAX <= INT32_MAX
    return HPyLong_FromInt32_t(ctx, l);
#else
    return HPyLong_FromInt64_t(ctx, l);
#endif
}

/** Makes an int. Returns a new handle, or null with MemoryError pending. */
HPyAPI_FUNC HPy HPyLong_FromUnsignedLong(HPyContext *ctx, unsigned long l)
{
#if LONG_MAX <= INT32_MAX
    return HPyLong_FromUInt32_t(ctx, l);
#else
    return HPyLong_FromUInt64_t(ctx, l);
#endif
}

/** Makes an int. Returns a new handle, or null with MemoryError pending. */
HPyAPI_FUNC HPy HPyLong_FromLongLong(HPyContext *ctx, long long l)
{
    return HPyLong_FromInt64_t(ctx, (int64_t)l);
}

/** Makes an int. Returns a new handle, or null with MemoryError pending. */
HPyAPI_FUNC HPy HPyLong_FromUnsignedLongLong(HPyContext *ctx, unsigned long long l)
{
    return HPyLong_FromUInt64_t(ctx, (uint64_t)l);
}

/**
 * The value of an int, or of an object with `__index__`. Returns -1 with TypeError pending for any other object, and with
 * OverflowError when the value does not fit.
 */
HPyAPI_FUNC long HPyLong_AsLong(HPyContext *ctx, HPy h)
{
#if LONG_MAX <= INT32_MAX
    return (long)HPyLong_AsInt32_t(ctx, h);
#else
    return (long)HPyLong_AsInt64_t(ctx, h);
#endif
}

/**
 * The value of an int. Returns `(unsigned long)-1` with TypeError pending for any other object, and with OverflowError
 * when the value is negative or does not fit.
 */
HPyAPI_FUNC unsigned long HPyLong_AsUnsignedLong(HPyContext *ctx, HPy h)
{
#if LONG_MAX <= INT32_MAX
    return (unsigned long)HPyLong_AsUInt32_t(ctx, h);
#else
    return (unsigned long)HPyLong_AsUInt64_t(ctx, h);
#endif
}

/**
 * The lowest bits of the value of an int, or of an object with `__index__`; there is no overflow. Returns
 * `(unsigned long)-1` with TypeError pending for any other object.
 */
HPyAPI_FUNC unsigned long HPyLong_AsUnsignedLongMask(HPyContext *ctx, HPy h)
{
#if LONG_MAX <= INT32_MAX
    return (unsigned long)HPyLong_AsUInt32_tMask(ctx, h);
#else
    return (unsigned long)HPyLong_AsUInt64_tMask(ctx, h);
#endif
}

/** Does what `HPyLong_AsLong` does for a `long long`. */
HPyAPI_FUNC long long HPyLong_AsLongLong(HPyContext *ctx, HPy h)
{
    return (long long)HPyLong_AsInt64_t(ctx, h);
}

/** Does what `HPyLong_AsUnsignedLong` does for an `unsigned long long`. */
HPyAPI_FUNC unsigned long long HPyLong_AsUnsignedLongLong(HPyContext *ctx, HPy h)
{
    return (unsigned long long)HPyLong_AsUInt64_t(ctx, h);
}

/** Does what `HPyLong_AsUnsignedLongMask` does for an `unsigned long long`. */
HPyAPI_FUNC unsigned long long HPyLong_AsUnsignedLongLongMask(HPyContext *ctx, HPy h)
{
    return (unsigned long long)HPyLong_AsUInt64_tMask(ctx, h);
}

/** Returns a new handle to `True`, or to `False` if `v` is 0. */
HPyAPI_FUNC HPy HPyBool_FromLong(HPyContext *ctx, long v)
{
    return HPyBool_FromBool(ctx, v != 0);
}

/* Slices */

/* One end of a slice as an index into a sequence, or just outside of it: where a slice in the direction of `step` is
   cut off. */
HPyAPI_FUNC HPy_ssize_t _HPySlice_Clip(HPy_ssize_t index, HPy_ssize_t length, HPy_ssize_t step)
{
    HPy_ssize_t lowest = step < 0 ? -1 : 0;
    HPy_ssize_t highest = step < 0 ? length - 1 : length;
    if (index < 0) {
        index += length;
        return index < 0 ? lowest : index;
    }
    return index >= length ? highest : index;
}

/**
 * Fits the ends of a slice to a sequence of `length` items, as Python does: negative ones count from the end, and those
 * outside are moved to the border. Returns how many items the slice has. `step` must be neither 0 nor
 * `HPY_SSIZE_T_MIN`. It never fails and does not touch the interpreter.
 */
HPyAPI_FUNC HPy_ssize_t HPySlice_AdjustIndices(HPyContext *_HPy_UNUSED_ARG(ctx), HPy_ssize_t length, HPy_ssize_t *start,
                                               HPy_ssize_t *stop, HPy_ssize_t step)
{
    assert(step != 0 && step >= -HPY_SSIZE_T_MAX);
    *start = _HPySlice_Clip(*start, length, step);
    *stop = _HPySlice_Clip(*stop, length, step);
    if (step < 0) {
        return *stop < *start ? (*start - *stop - 1) / -step + 1 : 0;
    }
    return *start < *stop ? (*stop - *start - 1) / step + 1 : 0;
}

/* Calls */

/**
 * Calls a method: the attribute of `receiver` with this name, a C string, with the tuple `args` and the dict `kw`, which
 * can be null. Returns a new handle, or null with an exception pending.
 */
HPyAPI_FUNC HPy HPy_CallMethodTupleDict_s(HPyContext *ctx, const char *utf8_name, HPy receiver, HPy args, HPy kw)
{
    HPy result;
    HPy method = HPy_GetAttr_s(ctx, receiver, utf8_name);
    if (HPy_IsNull(method)) {
        return HPy_NULL;
    }
    result = HPy_CallTupleDict(ctx, method, args, kw);
    HPy_Close(ctx, method);
    return result;
}

/** Does what `HPy_CallMethodTupleDict_s` does when the name is a str. */
HPyAPI_FUNC HPy HPy_CallMethodTupleDict(HPyContext *ctx, HPy name, HPy receiver, HPy args, HPy kw)
{
    HPy result;
    HPy method = HPy_GetAttr(ctx, receiver, name);
    if (HPy_IsNull(method)) {
        return HPy_NULL;
    }
    result = HPy_CallTupleDict(ctx, method, args, kw);
    HPy_Close(ctx, method);
    return result;
}

#endif /* HPY_INLINE_HELPERS_H */
