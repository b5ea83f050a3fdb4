"""What the tests of formats share: functions of a module that format one argument, or a few."""

import struct

# For each unit of an integer, the C type, what gives one from an object, and its bits.
LONG, SIZE = 8 * struct.calcsize("l"), 8 * struct.calcsize("P")
SIGNED = {
    "d": ("int", "HPyLong_AsLong", 32),
    "i": ("int", "HPyLong_AsLong", 32),
    "ld": ("long", "HPyLong_AsLong", LONG),
    "li": ("long", "HPyLong_AsLong", LONG),
    "lld": ("long long", "HPyLong_AsLongLong", 64),
    "lli": ("long long", "HPyLong_AsLongLong", 64),
    "zd": ("HPy_ssize_t", "HPyLong_AsSsize_t", SIZE),
    "zi": ("HPy_ssize_t", "HPyLong_AsSsize_t", SIZE),
}
UNSIGNED = {
    "u": ("unsigned int", "HPyLong_AsUnsignedLong", 32),
    "lu": ("unsigned long", "HPyLong_AsUnsignedLong", LONG),
    "llu": ("unsigned long long", "HPyLong_AsUnsignedLongLong", 64),
    "zu": ("size_t", "HPyLong_AsSize_t", SIZE),
}
INTEGERS = {**SIGNED, **UNSIGNED}

# Each function is f(format, argument).
FORMATTING = """
    static const char *text_of(HPyContext *ctx, HPy h)
    {
        return HPy_Is(ctx, h, ctx->h_None) ? NULL : HPyBytes_AsString(ctx, h);
    }
    static HPy or_null(HPyContext *ctx, HPy h) { return HPy_Is(ctx, h, ctx->h_Ellipsis) ? HPy_NULL : h; }
    #define FORMAT text_of(ctx, args[0])

    FUNC_VARARGS(text) { return HPyUnicode_FromFormat(ctx, FORMAT, text_of(ctx, args[1])); }
    FUNC_VARARGS(texts)
    {
        return HPyUnicode_FromFormat(ctx, FORMAT, text_of(ctx, args[1]), text_of(ctx, args[2]));
    }
    FUNC_VARARGS(object) { return HPyUnicode_FromFormat(ctx, FORMAT, or_null(ctx, args[1])); }
    FUNC_VARARGS(objects) { return HPyUnicode_FromFormat(ctx, FORMAT, or_null(ctx, args[1]), or_null(ctx, args[2])); }
    FUNC_VARARGS(object_or_text)
    {
        return HPyUnicode_FromFormat(ctx, FORMAT, or_null(ctx, args[1]), text_of(ctx, args[2]));
    }
    FUNC_VARARGS(pointer) { return HPyUnicode_FromFormat(ctx, FORMAT, HPyLong_AsVoidPtr(ctx, args[1])); }

    /* raise_format(class, format, two objects) */
    FUNC_VARARGS(raise_format)
    {
        return HPyErr_Format(ctx, args[0], text_of(ctx, args[1]), or_null(ctx, args[2]), or_null(ctx, args[3]));
    }

    static HPy twice(HPyContext *ctx, const char *fmt, ...)
    {
        HPy both[2], result;
        va_list list;
        va_start(list, fmt);
        both[0] = HPyUnicode_FromFormatV(ctx, fmt, list);
        both[1] = HPyUnicode_FromFormatV(ctx, fmt, list);
        va_end(list);
        if (HPy_IsNull(both[0]) || HPy_IsNull(both[1]))
            return HPy_NULL;
        result = HPyTuple_FromArray(ctx, both, 2);
        HPy_Close(ctx, both[0]);
        HPy_Close(ctx, both[1]);
        return result;
    }
    FUNC_VARARGS(from_list)
    {
        return twice(ctx, FORMAT, 1, -2l, "three", args[1], -5ll, (size_t)6, 7u, 8, 9, HPy_NULL, "ten", args[2]);
    }
    FUNC_VARARGS(many)
    {
        return HPyUnicode_FromFormat(ctx, FORMAT, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                                     20);
    }
""" + "\n".join(
    f"FUNC_VARARGS({u}_) {{ return HPyUnicode_FromFormat(ctx, FORMAT, ({c_type}){get}(ctx, args[1])); }}"
    for u, (c_type, get, _) in INTEGERS.items()
)
