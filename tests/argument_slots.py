"""What the tests of HPyArg_Parse and of its two siblings with keywords share: they parse with any format into slots,
and give back what the slots then hold."""

import pytest

# What stands for the null handle, among arguments and results.
NULL = ...

# The C type of a unit's variable, and what makes an object of it. All start as 7, s as "untouched", O as null.
UNITS = {
    "b": ("unsigned char", "HPyLong_FromLong(ctx, {})"),
    "B": ("unsigned char", "HPyLong_FromLong(ctx, {})"),
    "h": ("short", "HPyLong_FromLong(ctx, {})"),
    "H": ("unsigned short", "HPyLong_FromLong(ctx, {})"),
    "i": ("int", "HPyLong_FromLong(ctx, {})"),
    "I": ("unsigned int", "HPyLong_FromUnsignedLong(ctx, {})"),
    "l": ("long", "HPyLong_FromLong(ctx, {})"),
    "k": ("unsigned long", "HPyLong_FromUnsignedLong(ctx, {})"),
    "L": ("long long", "HPyLong_FromLongLong(ctx, {})"),
    "K": ("unsigned long long", "HPyLong_FromUnsignedLongLong(ctx, {})"),
    "n": ("HPy_ssize_t", "HPyLong_FromSsize_t(ctx, {})"),
    "f": ("float", "HPyFloat_FromDouble(ctx, {})"),
    "d": ("double", "HPyFloat_FromDouble(ctx, {})"),
    "p": ("int", "HPyLong_FromLong(ctx, {})"),
    "s": ("const char *", "HPyUnicode_FromString(ctx, {})"),
    "O": ("HPy", "HPy_Dup(ctx, HPy_IsNull({0}) ? ctx->h_Ellipsis : {0})"),
}
UNTOUCHED = {unit: 7 for unit in UNITS}
UNTOUCHED.update(s="untouched", O=NULL)
START = {unit: "7" for unit in UNITS}
START.update(s='"untouched"', O="HPy_NULL")

# Units whose variable 0.9.0 does not leave alone when the optional argument is missing.
CRASHES = {"p": "0.9.0: crashes", "s": "0.9.0: crashes"}
OPTIONAL = [pytest.param(u, marks=pytest.mark.differs(CRASHES[u])) if u in CRASHES else u for u in UNITS]


def cases(line):
    return "\n".join(f"case '{u}': {{ {line.format(u=u, type=UNITS[u][0], start=START[u])} }}" for u in UNITS)


PARSING = f"""
    /* More than the widest variable, to see what is written beside it. */
    typedef union {{
        {" ".join(f"{c_type} {unit};" for unit, (c_type, _) in UNITS.items())}
        unsigned char bytes[32];
    }} Slot;
    #define MOST 24

    static void prepare(Slot *slot, char unit)
    {{
        memset(slot, 0x5A, sizeof(*slot));
        switch (unit) {{ {cases("slot->{u} = {start}; break;")} }}
    }}
    static HPy to_object(HPyContext *ctx, const Slot *slot, char unit)
    {{
        size_t size = 0;
        switch (unit) {{ {cases("size = sizeof({type}); break;")} }}
        for (size_t i = size; i < sizeof(*slot); i++)
            if (slot->bytes[i] != 0x5A)
                return HPyErr_SetString(ctx, ctx->h_SystemError, "written beside the variable"), HPy_NULL;
        switch (unit) {{
            {" ".join(f"case '{unit}': return {new.format('slot->' + unit)};" for unit, (_, new) in UNITS.items())}
        }}
        return HPyErr_SetString(ctx, ctx->h_SystemError, "not a unit"), HPy_NULL;
    }}

    /* The next unit of a format, or 0. */
    static char next_unit(const char **fmt)
    {{
        while (**fmt == '|' || **fmt == '$')
            ++*fmt;
        return **fmt == 0 || **fmt == ':' || **fmt == ';' ? 0 : *(*fmt)++;
    }}
    static void prepare_all(Slot *slots, const char *fmt)
    {{
        char unit;
        for (int i = 0; i < MOST && fmt && (unit = next_unit(&fmt)); i++)
            prepare(&slots[i], unit);
    }}
    static HPy all_to_tuple(HPyContext *ctx, const Slot *slots, const char *fmt)
    {{
        HPy items[MOST], result;
        char unit;
        int n = 0;
        for (; (unit = next_unit(&fmt)); n++) {{
            items[n] = to_object(ctx, &slots[n], unit);
            if (HPy_IsNull(items[n]))
                return HPy_NULL;
        }}
        result = HPyTuple_FromArray(ctx, items, n);
        while (n > 0)
            HPy_Close(ctx, items[--n]);
        return result;
    }}
    #define SLOTS(S) &S[0], &S[1], &S[2], &S[3], &S[4], &S[5], &S[6], &S[7], &S[8], &S[9], &S[10], &S[11], &S[12], \\
        &S[13], &S[14], &S[15], &S[16], &S[17], &S[18], &S[19], &S[20], &S[21], &S[22], &S[23]

    /* The items of a tuple, with Ellipsis as null. */
    static HPy_ssize_t unpack(HPyContext *ctx, HPy tuple, HPy *items)
    {{
        HPy_ssize_t n = HPy_Length(ctx, tuple);
        for (HPy_ssize_t i = 0; i < n; i++) {{
            items[i] = HPy_GetItem_i(ctx, tuple, i);
            if (HPy_Is(ctx, items[i], ctx->h_Ellipsis)) {{
                HPy_Close(ctx, items[i]);
                items[i] = HPy_NULL;
            }}
        }}
        return n;
    }}
    static void close_all(HPyContext *ctx, HPy *items, HPy_ssize_t n)
    {{
        while (n > 0)
            HPy_Close(ctx, items[--n]);
    }}
    static HPy or_null(HPyContext *ctx, HPy h) {{ return HPy_Is(ctx, h, ctx->h_None) ? HPy_NULL : h; }}
    static const char *format_of(HPyContext *ctx, HPy h)
    {{
        return HPy_Is(ctx, h, ctx->h_None) ? NULL : HPyBytes_AsString(ctx, h);
    }}

    /* positional(format, arguments, with a tracker) */
    FUNC_VARARGS(positional)
    {{
        const char *fmt = format_of(ctx, args[0]);
        int tracked = HPy_IsTrue(ctx, args[2]);
        HPy items[MOST], result = HPy_NULL;
        HPy_ssize_t n = unpack(ctx, args[1], items);
        HPyTracker ht;
        Slot slots[MOST];
        prepare_all(slots, fmt);
        if (HPyArg_Parse(ctx, tracked ? &ht : NULL, items, n, fmt, SLOTS(slots))) {{
            result = all_to_tuple(ctx, slots, fmt);
            if (tracked)
                HPyTracker_Close(ctx, ht);
        }}
        close_all(ctx, items, n);
        return result;
    }}

    /* keywords(format, names, positional arguments, dict or (names given, values), whether that is a dict,
                with a tracker) */
    FUNC_VARARGS(keywords)
    {{
        const char *fmt = format_of(ctx, args[0]);
        const char *names[MOST + 1];
        int with_dict = HPy_IsTrue(ctx, args[4]), tracked = HPy_IsTrue(ctx, args[5]), parsed;
        HPy name_objects[MOST], items[2 * MOST], given[2], result = HPy_NULL;
        HPy_ssize_t n_names = 0, n = unpack(ctx, args[2], items), n_values = 0;
        HPyTracker ht;
        Slot slots[MOST];
        if (!HPy_IsNull(or_null(ctx, args[1]))) {{
            n_names = unpack(ctx, args[1], name_objects);
            for (HPy_ssize_t i = 0; i < n_names; i++)
                names[i] = HPyUnicode_AsUTF8AndSize(ctx, name_objects[i], NULL);
            names[n_names] = NULL;
        }}
        #define COMMON fmt, HPy_Is(ctx, args[1], ctx->h_None) ? NULL : names, SLOTS(slots)
        prepare_all(slots, fmt);
        if (with_dict) {{
            parsed = HPyArg_ParseKeywordsDict(ctx, tracked ? &ht : NULL, items, n, or_null(ctx, args[3]), COMMON);
        }} else {{
            unpack(ctx, args[3], given);
            n_values = unpack(ctx, given[1], items + n);
            parsed = HPyArg_ParseKeywords(ctx, tracked ? &ht : NULL, items, n, or_null(ctx, given[0]), COMMON);
            close_all(ctx, given, 2);
        }}
        if (parsed) {{
            result = all_to_tuple(ctx, slots, fmt);
            if (tracked)
                HPyTracker_Close(ctx, ht);
        }}
        close_all(ctx, items, n + n_values);
        close_all(ctx, name_objects, n_names);
        return result;
    }}
"""


def encoded(fmt):
    return fmt.encode() if isinstance(fmt, str) else fmt
