/* Variadic arguments, pulled out of their va_list for the static library, which is not written in C. */
#ifndef HPY_RUNTIME_VARARGS_H
#define HPY_RUNTIME_VARARGS_H

/* One argument: i for signed integers of all sizes, u for unsigned ones. */
typedef union {
    long long i;
    unsigned long long u;
    double d;
    const void *p;
    HPy h;
} _HPyVaArg;

/* Gives the _HPyVaArg_Kind of the next argument that a format asks for, and moves *fmt past what asks for it. It gives
   _HPyVaArg_End at the end, and where a format is wrong. */
typedef int (*_HPyVaArg_Next)(const char **fmt);

/* So many arguments are kept on the stack; of more, all are in allocated memory. */
#define _HPyVaArg_FEW 16

/* How many places the arguments take. */
HPyAPI_INLINE_HELPER size_t _HPyVaArg_Count(_HPyVaArg_Next next, const char *fmt)
{
    size_t count = 0;
    int kind;
    while ((kind = next(&fmt)) != _HPyVaArg_End) {
        count += kind == _HPyVaArg_HandleAndPointer ? 2 : 1;
    }
    return count;
}

/* The arguments that a format asks for: in `few`, which has _HPyVaArg_FEW places, or in memory of their own. NULL with
   MemoryError pending when there is none; otherwise _HPyVaArg_Release follows. */
HPyAPI_INLINE_HELPER _HPyVaArg *_HPyVaArg_Collect(HPyContext *ctx, _HPyVaArg_Next next, const char *fmt, va_list args,
                                         _HPyVaArg *few, size_t *count)
{
    _HPyVaArg *all = few;
    size_t room = _HPyVaArg_FEW;
    size_t n = 0;
    int kind;
    while ((kind = next(&fmt)) != _HPyVaArg_End) {
        /* An argument takes up to two places. */
        if (n + 2 > room) {
            room = n + 2 + _HPyVaArg_Count(next, fmt);
            all = (_HPyVaArg *)malloc(room * sizeof(_HPyVaArg));
            if (all == NULL) {
                HPyErr_NoMemory(ctx);
                return NULL;
            }
            memcpy(all, few, n * sizeof(_HPyVaArg));
        }
        switch (kind) {
        case _HPyVaArg_Int: all[n++].i = va_arg(args, int); break;
        case _HPyVaArg_UnsignedInt: all[n++].u = va_arg(args, unsigned int); break;
        case _HPyVaArg_Long: all[n++].i = va_arg(args, long); break;
        case _HPyVaArg_UnsignedLong: all[n++].u = va_arg(args, unsigned long); break;
        case _HPyVaArg_LongLong: all[n++].i = va_arg(args, long long); break;
        case _HPyVaArg_UnsignedLongLong: all[n++].u = va_arg(args, unsigned long long); break;
        case _HPyVaArg_Ssize: all[n++].i = va_arg(args, HPy_ssize_t); break;
        case _HPyVaArg_Size: all[n++].u = va_arg(args, size_t); break;
        case _HPyVaArg_Double: all[n++].d = va_arg(args, double); break;
        case _HPyVaArg_Pointer: all[n++].p = va_arg(args, const void *); break;
        case _HPyVaArg_Handle: all[n++].h = va_arg(args, HPy); break;
        default: /* _HPyVaArg_HandleAndPointer */
            all[n++].h = va_arg(args, HPy);
            all[n++].p = va_arg(args, const void *);
            break;
        }
    }
    *count = n;
    return all;
}

/* The same for `count` arguments that are all pointers to variables. */
HPyAPI_INLINE_HELPER void **_HPyVaArg_CollectOutputs(HPyContext *ctx, size_t count, va_list args, void **few)
{
    void **all = few;
    if (count > _HPyVaArg_FEW) {
        all = (void **)malloc(count * sizeof(void *));
        if (all == NULL) {
            HPyErr_NoMemory(ctx);
            return NULL;
        }
    }
    for (size_t i = 0; i < count; i++) {
        all[i] = va_arg(args, void *);
    }
    return all;
}

/* Ends what one of the two functions above began, with what it returned. */
HPyAPI_INLINE_HELPER void _HPyVaArg_Release(void *all, void *few)
{
    if (all != few) {
        free(all);
    }
}

#endif /* HPY_RUNTIME_VARARGS_H */
