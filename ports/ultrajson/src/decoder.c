/* From JSON to objects: what the library's decoder calls, and `loads` and `load`. */
#include "binding.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

typedef struct {
    HPyContext *ctx;
    /* The library doesn't hear of an item that can't be added. So nothing more is made after that, which ends decoding. */
    bool failed;
} Decoder;

#define DECODER ((Decoder *)prv)
#define CTX (DECODER->ctx)

/* ---- Called by the library, which owns every handle it is given ---- */

static HPy string_of_wide_characters(HPyContext *ctx, const JSUINT32 *start, const JSUINT32 *end)
{
#if WCHAR_MAX >= 0x10FFFF
    return HPyUnicode_FromWideChar(ctx, (const wchar_t *)start, end - start);
#else
    /* Where wchar_t is UTF-16, what lies beyond it becomes two surrogates. */
    wchar_t *wide = (wchar_t *)malloc(2 * sizeof(wchar_t) * (size_t)(end - start) + 1);
    if (wide == NULL)
        return HPyErr_NoMemory(ctx);
    HPy_ssize_t size = 0;
    for (; start < end; start++) {
        if (*start >= 0x10000) {
            wide[size++] = (wchar_t)(0xd7c0 + (*start >> 10));
            wide[size++] = (wchar_t)(0xdc00 + (*start & 0x3ff));
        } else {
            wide[size++] = (wchar_t)*start;
        }
    }
    HPy h = HPyUnicode_FromWideChar(ctx, wide, size);
    free(wide);
    return h;
#endif
}

static JSOBJ new_string(void *prv, JSUINT32 *start, JSUINT32 *end)
{
    enum { SHORT = 512 };
    if (DECODER->failed)
        return NULL;
    size_t size = (size_t)(end - start);
    JSUINT32 bits = 0;
    for (size_t i = 0; i < size; i++)
        bits |= start[i];
    if (bits > 0xff)
        return to_library(string_of_wide_characters(CTX, start, end));
    /* CPython takes most of its time for wide characters, and most texts have none. The buffer can be written to. */
    char few[SHORT], *narrow = size <= SHORT ? few : (char *)start;
    for (size_t i = 0; i < size; i++)
        narrow[i] = (char)start[i];
    return to_library(HPyUnicode_DecodeLatin1(CTX, narrow, (HPy_ssize_t)size, NULL));
}

static JSOBJ new_constant(void *prv, HPy h)
{
    return DECODER->failed ? NULL : to_library(HPy_Dup(CTX, h));
}

static JSOBJ new_true(void *prv)
{
    return new_constant(prv, CTX->h_True);
}

static JSOBJ new_false(void *prv)
{
    return new_constant(prv, CTX->h_False);
}

static JSOBJ new_null(void *prv)
{
    return new_constant(prv, CTX->h_None);
}

static JSOBJ new_double(void *prv, double value)
{
    return DECODER->failed ? NULL : to_library(HPyFloat_FromDouble(CTX, value));
}

static JSOBJ new_nan(void *prv)
{
    return new_double(prv, NAN);
}

static JSOBJ new_infinity(void *prv)
{
    return new_double(prv, INFINITY);
}

static JSOBJ new_negative_infinity(void *prv)
{
    return new_double(prv, -INFINITY);
}

static JSOBJ new_object(void *prv)
{
    return DECODER->failed ? NULL : to_library(HPyDict_New(CTX));
}

static JSOBJ new_array(void *prv)
{
    return DECODER->failed ? NULL : to_library(HPyList_New(CTX, 0));
}

static JSOBJ new_int(void *prv, JSINT32 value)
{
    return DECODER->failed ? NULL : to_library(HPyLong_FromInt32_t(CTX, value));
}

static JSOBJ new_long(void *prv, JSINT64 value)
{
    return DECODER->failed ? NULL : to_library(HPyLong_FromInt64_t(CTX, value));
}

static JSOBJ new_unsigned_long(void *prv, JSUINT64 value)
{
    return DECODER->failed ? NULL : to_library(HPyLong_FromUInt64_t(CTX, value));
}

static JSOBJ new_integer_from_string(void *prv, char *digits, size_t length)
{
    if (DECODER->failed)
        return NULL;
    HPy text = HPyUnicode_DecodeASCII(CTX, digits, (HPy_ssize_t)length, NULL);
    if (HPy_IsNull(text))
        return NULL;
    HPy number = HPy_Call(CTX, CTX->h_LongType, &text, 1, HPy_NULL);
    HPy_Close(CTX, text);
    return to_library(number);
}

static void release_object(void *prv, JSOBJ object)
{
    HPy_Close(CTX, from_library(object));
}

static void add_key(void *prv, JSOBJ object, JSOBJ name, JSOBJ value)
{
    if (HPy_SetItem(CTX, from_library(object), from_library(name), from_library(value)) < 0) {
        if (HPyErr_ExceptionMatches(CTX, CTX->h_TypeError)) {
            HPyErr_Clear(CTX);
            HPy error = HPyGlobal_Load(CTX, json_decode_error);
            HPyErr_SetString(CTX, error, "Invalid JSON: object keys must be strings");
            HPy_Close(CTX, error);
        }
        DECODER->failed = true;
    }
    HPy_Close(CTX, from_library(name));
    HPy_Close(CTX, from_library(value));
}

static void add_item(void *prv, JSOBJ array, JSOBJ value)
{
    if (HPyList_Append(CTX, from_library(array), from_library(value)) < 0)
        DECODER->failed = true;
    HPy_Close(CTX, from_library(value));
}

/* ---- The functions of the module ---- */

static HPy decode_bytes(HPyContext *ctx, const char *json, size_t size)
{
    Decoder decoder = { ctx, false };
    JSONObjectDecoder library = {
        .newString = new_string,
        .objectAddKey = add_key,
        .arrayAddItem = add_item,
        .newTrue = new_true,
        .newFalse = new_false,
        .newNull = new_null,
        .newNaN = new_nan,
        .newPosInf = new_infinity,
        .newNegInf = new_negative_infinity,
        .newObject = new_object,
        .newArray = new_array,
        .newInt = new_int,
        .newLong = new_long,
        .newUnsignedLong = new_unsigned_long,
        .newIntegerFromString = new_integer_from_string,
        .newDouble = new_double,
        .releaseObject = release_object,
        .malloc = malloc,
        .free = free,
        .realloc = realloc,
        .prv = &decoder,
    };
    dconv_s2d_init(&library.s2d, DCONV_S2D_ALLOW_TRAILING_JUNK, 0.0, 0.0, "Infinity", "NaN");
    HPy result = from_library(JSON_DecodeObject(&library, json, size));
    dconv_s2d_free(&library.s2d);

    if (!HPy_IsNull(result) && !decoder.failed && library.errorStr == NULL)
        return result;
    HPy_Close(ctx, result);
    if (!HPyErr_Occurred(ctx)) {
        HPy error = HPyGlobal_Load(ctx, json_decode_error);
        HPyErr_SetString(ctx, error, library.errorStr);
        HPy_Close(ctx, error);
    }
    return HPy_NULL;
}

/* The bytes of what has a buffer: a copy, as HPy has no function that lends them. */
static HPy copy_buffer(HPyContext *ctx, HPy object)
{
    HPy result = HPy_NULL, contiguous = HPy_NULL;
    HPy builtins = HPyImport_ImportModule(ctx, "builtins");
    HPy view = HPy_IsNull(builtins) ? HPy_NULL : call_attribute(ctx, builtins, "memoryview", &object, 1);
    if (!HPy_IsNull(view))
        contiguous = HPy_GetAttr_s(ctx, view, "c_contiguous");
    if (!HPy_IsNull(contiguous) && HPy_Is(ctx, contiguous, ctx->h_True))
        result = HPy_Bytes(ctx, view);
    else if (!HPyErr_Occurred(ctx) || HPyErr_ExceptionMatches(ctx, ctx->h_TypeError))
        HPyErr_SetString(ctx, ctx->h_TypeError, "Expected string or C-contiguous bytes-like object");
    HPy_Close(ctx, contiguous);
    HPy_Close(ctx, view);
    HPy_Close(ctx, builtins);
    return result;
}

static HPy decode_object(HPyContext *ctx, HPy json)
{
    HPy bytes = HPy_NULL;
    const char *chars;
    HPy_ssize_t size;
    if (HPyUnicode_Check(ctx, json)) {
        chars = get_utf8(ctx, json, &size, &bytes);
    } else {
        if (!HPyBytes_Check(ctx, json)) {
            json = bytes = copy_buffer(ctx, json);
            if (HPy_IsNull(bytes))
                return HPy_NULL;
        }
        chars = HPyBytes_AS_STRING(ctx, json);
        size = HPyBytes_GET_SIZE(ctx, json);
    }
    HPy result = chars == NULL ? HPy_NULL : decode_bytes(ctx, chars, (size_t)size);
    HPy_Close(ctx, bytes);
    return result;
}

#define LOADS_DOC "Converts JSON as string to dict object structure."

HPyDef_METH(loads, "loads", HPyFunc_KEYWORDS, .doc = LOADS_DOC)
static HPy loads_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    (void)self;
    static const char *names[] = { "obj", NULL };
    /* Nothing has to be looked up then. */
    if (nargs == 1 && HPy_IsNull(kwnames))
        return decode_object(ctx, args[0]);
    HPy json;
    HPyTracker tracker;
    if (!check_arguments(ctx, "loads", names, nargs, kwnames)
        || !HPyArg_ParseKeywords(ctx, &tracker, args, nargs, kwnames, "O:loads", names, &json))
        return HPy_NULL;
    HPy result = decode_object(ctx, json);
    HPyTracker_Close(ctx, tracker);
    return result;
}

HPyDef_METH_IMPL(decode, "decode", loads_impl, HPyFunc_KEYWORDS, .doc = LOADS_DOC)

HPyDef_METH(load, "load", HPyFunc_O, .doc = "Converts JSON as file to dict object structure.")
static HPy load_impl(HPyContext *ctx, HPy self, HPy file)
{
    (void)self;
    HPy read = get_file_method(ctx, file, "read");
    if (HPy_IsNull(read))
        return HPy_NULL;
    HPy json = HPy_Call(ctx, read, NULL, 0, HPy_NULL);
    HPy_Close(ctx, read);
    if (HPy_IsNull(json))
        return HPy_NULL;
    HPy result = decode_object(ctx, json);
    HPy_Close(ctx, json);
    return result;
}
