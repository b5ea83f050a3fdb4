/* From objects to JSON: what the library's encoder asks, and `dumps` and `dump`.

   The library asks for the type of an object, then for its value, or for one item after the other, and at last tells that
   it is done. Between these calls a scalar is kept in the `Encoder`, as there is only one at a time, and a list or a dict
   in a `Container`, of which there is a stack. Every handle that the library has is closed by the container it came from. */
#include "binding.h"
#include <stdlib.h>
#include <string.h>

/* The builtin types that have a form in JSON. */
typedef enum { STR, INT, FLOAT, DICT, LIST, TUPLE, NONE, BOOL, BYTES, DECIMAL, OTHER } Kind;

typedef struct Container {
    struct Container *outer;
    /* What the items are taken from: a list, a tuple or a dict itself, never a subclass with methods of its own. */
    HPy items;
    /* A handle of our own to `items`, or null if that is the caller's. */
    HPy owned;
    /* Those of a dict, as a list. */
    HPy keys;
    HPy_ssize_t index, size;
    /* The current item. `name` is part of `key`, or of `key_bytes`. */
    HPy key, key_bytes, value;
    const char *name;
    HPy_ssize_t name_size;
    unsigned depth;
} Container;

enum { GUESSED_DEPTH = 8, GUESSED_ITEMS = 16, CONTAINERS = 16 };

typedef struct {
    JSONObjectEncoder library;
    HPyContext *ctx;
    /* Null without one. */
    HPy default_function;
    /* Types. */
    HPy decimal, dict;
    /* The scalar, and what has to be closed with it. */
    union {
        JSINT64 number;
        JSUINT64 unsigned_number;
        double real;
    };
    const char *chars;
    HPy_ssize_t size;
    HPy owned, owned_bytes;
    Container *innermost;
    /* The first containers need no memory from the system. */
    Container containers[CONTAINERS];
    /* What the item at an index of a container at a depth was last. Records resemble each other, and so do the items of an
       array; and to ask whether it is so again is one call, instead of one for each type. */
    unsigned char guesses[GUESSED_DEPTH][GUESSED_ITEMS];
    unsigned char *guess;
} Encoder;

static Encoder *encoder_of(JSONTypeContext *tc)
{
    return (Encoder *)tc->encoder_prv;
}

/* ---- What it is ---- */

/* The kind of an object whose type is a builtin one, and not a subclass of it; OTHER for the rest. */
static Kind exact_kind(Encoder *encoder, HPy object)
{
    HPyContext *ctx = encoder->ctx;
    if (HPy_Is(ctx, object, ctx->h_None))
        return NONE;
    HPy type = HPy_Type(ctx, object);
    Kind kind = HPy_Is(ctx, type, ctx->h_UnicodeType) ? STR
                : HPy_Is(ctx, type, ctx->h_LongType)  ? INT
                : HPy_Is(ctx, type, ctx->h_FloatType) ? FLOAT
                : HPy_Is(ctx, type, encoder->dict)      ? DICT
                : HPy_Is(ctx, type, ctx->h_ListType)  ? LIST
                : HPy_Is(ctx, type, ctx->h_BoolType)  ? BOOL
                : HPy_Is(ctx, type, ctx->h_TupleType) ? TUPLE
                : HPy_Is(ctx, type, ctx->h_BytesType) ? BYTES
                                                      : OTHER;
    HPy_Close(ctx, type);
    return kind;
}

/* The kind of an object that is none of those themselves: that of the type it inherits from. */
static Kind inherited_kind(Encoder *encoder, HPy object)
{
    HPyContext *ctx = encoder->ctx;
    return HPy_TypeCheck(ctx, object, ctx->h_LongType)    ? INT
           : HPyBytes_Check(ctx, object)                  ? BYTES
           : HPyUnicode_Check(ctx, object)                ? STR
           : HPy_TypeCheck(ctx, object, ctx->h_FloatType) ? FLOAT
           : HPy_TypeCheck(ctx, object, encoder->decimal) ? DECIMAL
           : HPyDict_Check(ctx, object)                   ? DICT
           : HPyList_Check(ctx, object)                   ? LIST
           : HPyTuple_Check(ctx, object)                  ? TUPLE
                                                          : OTHER;
}

static bool has_type(HPyContext *ctx, HPy object, HPy type)
{
    HPy own = HPy_Type(ctx, object);
    bool is_type = HPy_Is(ctx, own, type);
    HPy_Close(ctx, own);
    return is_type;
}

/* Whether a guess is right, if one or a few calls can tell. A list or a dict has to be no subclass. */
static bool is_of_kind(Encoder *encoder, HPy object, Kind guess)
{
    HPyContext *ctx = encoder->ctx;
    switch (guess) {
    case STR:
        return HPyUnicode_Check(ctx, object);
    case INT:
        return HPy_TypeCheck(ctx, object, ctx->h_LongType);
    case FLOAT:
        return HPy_TypeCheck(ctx, object, ctx->h_FloatType);
    case NONE:
        return HPy_Is(ctx, object, ctx->h_None);
    case DICT:
        return has_type(ctx, object, encoder->dict);
    case LIST:
        return has_type(ctx, object, ctx->h_ListType);
    default:
        return false;
    }
}

/* ---- Containers ---- */

static Container *push_container(Encoder *encoder)
{
    Container *outer = encoder->innermost;
    unsigned depth = outer ? outer->depth + 1 : 0;
    Container *container = depth < CONTAINERS ? &encoder->containers[depth] : (Container *)malloc(sizeof(Container));
    if (container == NULL) {
        HPyErr_NoMemory(encoder->ctx);
        return NULL;
    }
    *container = (Container){ .outer = outer, .depth = depth };
    encoder->innermost = container;
    return container;
}

/* Closes what belongs to the current item. */
static void close_item(HPyContext *ctx, Container *container)
{
    HPy_Close(ctx, container->value);
    container->value = HPy_NULL;
    if (!HPy_IsNull(container->key)) {
        HPy_Close(ctx, container->key);
        container->key = HPy_NULL;
    }
    if (!HPy_IsNull(container->key_bytes)) {
        HPy_Close(ctx, container->key_bytes);
        container->key_bytes = HPy_NULL;
    }
}

static void pop_container(Encoder *encoder)
{
    Container *container = encoder->innermost;
    close_item(encoder->ctx, container);
    HPy_Close(encoder->ctx, container->keys);
    HPy_Close(encoder->ctx, container->owned);
    encoder->innermost = container->outer;
    if (container->depth >= CONTAINERS)
        free(container);
}

/* What a list or a tuple of a subclass holds, as one of the builtin type, whatever the subclass says it holds. */
static HPy copy_sequence(HPyContext *ctx, HPy object, HPy type)
{
    HPy none[3] = { ctx->h_None, ctx->h_None, ctx->h_None };
    HPy args[2] = { object, HPy_Call(ctx, ctx->h_SliceType, none, 3, HPy_NULL) };
    if (HPy_IsNull(args[1]))
        return HPy_NULL;
    HPy copy = call_attribute(ctx, type, "__getitem__", args, 2);
    HPy_Close(ctx, args[1]);
    return copy;
}

/* The same for a dict. */
static HPy copy_dict(HPyContext *ctx, HPy object, HPy type)
{
    HPy items = call_attribute(ctx, type, "items", &object, 1);
    if (HPy_IsNull(items))
        return HPy_NULL;
    HPy copy = HPy_Call(ctx, type, &items, 1, HPy_NULL);
    HPy_Close(ctx, items);
    return copy;
}

/* Starts a list or a tuple; -1 after an exception. `owned` is the handle to close with it, or null. */
static int begin_sequence(Encoder *encoder, HPy object, HPy owned, bool exact, HPy type)
{
    HPyContext *ctx = encoder->ctx;
    Container *container = push_container(encoder);
    if (container == NULL) {
        HPy_Close(ctx, owned);
        return -1;
    }
    container->owned = owned;
    if (!exact) {
        object = copy_sequence(ctx, object, type);
        HPy_Close(ctx, owned);
        container->owned = object;
    }
    container->items = object;
    container->size = HPy_IsNull(object) ? -1 : HPy_Length(ctx, object);
    if (container->size < 0) {
        pop_container(encoder);
        return -1;
    }
    return 0;
}

static int begin_dict(Encoder *encoder, HPy object, HPy owned, bool exact)
{
    HPyContext *ctx = encoder->ctx;
    Container *container = push_container(encoder);
    if (container == NULL) {
        HPy_Close(ctx, owned);
        return -1;
    }
    container->owned = owned;
    if (!exact) {
        object = copy_dict(ctx, object, encoder->dict);
        HPy_Close(ctx, owned);
        container->owned = object;
    }
    container->items = object;
    container->keys = HPy_IsNull(object) ? HPy_NULL : HPyDict_Keys(ctx, object);
    bool failed = HPy_IsNull(container->keys);
    if (!failed && encoder->library.sortKeys) {
        HPy sort = HPyGlobal_Load(ctx, list_sort);
        HPy none = HPy_Call(ctx, sort, &container->keys, 1, HPy_NULL);
        failed = HPy_IsNull(none);
        HPy_Close(ctx, none);
        HPy_Close(ctx, sort);
    }
    if (!failed)
        failed = (container->size = HPy_Length(ctx, container->keys)) < 0;
    if (failed)
        pop_container(encoder);
    return failed ? -1 : 0;
}

/* Makes the name of the current key. */
static int set_name(HPyContext *ctx, Container *container)
{
    HPy key = container->key;
    if (HPyUnicode_Check(ctx, key)) {
        container->name = get_utf8(ctx, key, &container->name_size, &container->key_bytes);
    } else if (HPyBytes_Check(ctx, key)) {
        container->name = HPyBytes_AS_STRING(ctx, key);
        container->name_size = HPyBytes_GET_SIZE(ctx, key);
    } else if (HPy_Is(ctx, key, ctx->h_True) || HPy_Is(ctx, key, ctx->h_False) || HPy_Is(ctx, key, ctx->h_None)) {
        container->name = HPy_Is(ctx, key, ctx->h_True) ? "true" : HPy_Is(ctx, key, ctx->h_False) ? "false" : "null";
        container->name_size = (HPy_ssize_t)strlen(container->name);
    } else {
        container->key = HPy_Str(ctx, key);
        HPy_Close(ctx, key);
        container->name = NULL;
        if (!HPy_IsNull(container->key))
            container->name = get_utf8(ctx, container->key, &container->name_size, &container->key_bytes);
    }
    return container->name == NULL ? -1 : 0;
}

/* 1 if there is another item, 0 if there is none, -1 after an exception. */
static int next_item(HPyContext *ctx, Container *container)
{
    close_item(ctx, container);
    if (container->index >= container->size)
        return 0;
    if (HPy_IsNull(container->keys)) {
        container->value = HPy_GetItem_i(ctx, container->items, container->index++);
        return HPy_IsNull(container->value) ? -1 : 1;
    }
    container->key = HPy_GetItem_i(ctx, container->keys, container->index++);
    if (HPy_IsNull(container->key))
        return -1;
    container->value = HPy_GetItem(ctx, container->items, container->key);
    return HPy_IsNull(container->value) || set_name(ctx, container) < 0 ? -1 : 1;
}

/* ---- Scalars ---- */

/* A type of the library's; JT_INVALID after an exception. */
static int begin_int(Encoder *encoder, HPy object)
{
    HPyContext *ctx = encoder->ctx;
    encoder->number = HPyLong_AsInt64_t(ctx, object);
    /* A guess takes a bool for an int. */
    if ((encoder->number == 0 || encoder->number == 1) && HPy_Is(ctx, object, encoder->number ? ctx->h_True : ctx->h_False))
        return encoder->number ? JT_TRUE : JT_FALSE;
    if (encoder->number != -1 || !HPyErr_Occurred(ctx))
        return JT_LONG;
    if (!HPyErr_ExceptionMatches(ctx, ctx->h_OverflowError))
        return JT_INVALID;
    HPyErr_Clear(ctx);
    encoder->unsigned_number = HPyLong_AsUInt64_t(ctx, object);
    if (encoder->unsigned_number != (JSUINT64)-1 || !HPyErr_Occurred(ctx))
        return JT_ULONG;
    if (!HPyErr_ExceptionMatches(ctx, ctx->h_OverflowError))
        return JT_INVALID;
    HPyErr_Clear(ctx);
    encoder->owned_bytes = call_attribute(ctx, ctx->h_LongType, "__repr__", &object, 1);
    if (HPy_IsNull(encoder->owned_bytes))
        return JT_INVALID;
    encoder->chars = HPyUnicode_AsUTF8AndSize(ctx, encoder->owned_bytes, &encoder->size);
    return encoder->chars == NULL ? JT_INVALID : JT_RAW;
}

static int begin_float(Encoder *encoder, HPy object)
{
    encoder->real = HPyFloat_AsDouble(encoder->ctx, object);
    return encoder->real == -1.0 && HPyErr_Occurred(encoder->ctx) ? JT_INVALID : JT_DOUBLE;
}

static int begin_str(Encoder *encoder, HPy object)
{
    encoder->chars = get_utf8(encoder->ctx, object, &encoder->size, &encoder->owned_bytes);
    return encoder->chars == NULL ? JT_INVALID : JT_UTF8;
}

static int begin_bytes(Encoder *encoder, HPy object)
{
    HPyContext *ctx = encoder->ctx;
    encoder->chars = HPyBytes_AS_STRING(ctx, object);
    encoder->size = HPyBytes_GET_SIZE(ctx, object);
    if (!encoder->library.rejectBytes)
        return JT_UTF8;
    HPyErr_Format(ctx, ctx->h_TypeError, "reject_bytes is on and '%s' is bytes", encoder->chars);
    return JT_INVALID;
}

/* ---- Objects that say themselves what they are in JSON ---- */

/* Raises that a method gave something else. */
static int wrong_result(HPyContext *ctx, HPy result, const char *what)
{
    HPy type = HPy_Type(ctx, result);
    const char *name = HPyType_GetName(ctx, type);
    if (name != NULL)
        HPyErr_Format(ctx, ctx->h_TypeError, "%s, got %s", what, name);
    HPy_Close(ctx, type);
    HPy_Close(ctx, result);
    return JT_INVALID;
}

static int begin_to_dict(Encoder *encoder, HPy object)
{
    HPyContext *ctx = encoder->ctx;
    HPy result = call_attribute(ctx, object, "toDict", NULL, 0);
    if (HPy_IsNull(result))
        return JT_INVALID;
    if (!HPyDict_Check(ctx, result))
        return wrong_result(ctx, result, "toDict() should return a dict");
    /* What the `default` function gave has done its part. */
    HPy_Close(ctx, encoder->owned);
    encoder->owned = HPy_NULL;
    return begin_dict(encoder, result, result, exact_kind(encoder, result) == DICT) < 0 ? JT_INVALID : JT_OBJECT;
}

static int begin_json(Encoder *encoder, HPy object)
{
    HPyContext *ctx = encoder->ctx;
    HPy result = call_attribute(ctx, object, "__json__", NULL, 0);
    if (HPy_IsNull(result))
        return JT_INVALID;
    bool is_bytes = HPyBytes_Check(ctx, result);
    if (!is_bytes && !HPyUnicode_Check(ctx, result))
        return wrong_result(ctx, result, "__json__() should return str or bytes");
    HPy_Close(ctx, encoder->owned);
    encoder->owned = result;
    if (!is_bytes)
        return begin_str(encoder, result) == JT_UTF8 ? JT_RAW : JT_INVALID;
    encoder->chars = HPyBytes_AS_STRING(ctx, result);
    encoder->size = HPyBytes_GET_SIZE(ctx, result);
    return JT_RAW;
}

static int not_serializable(HPyContext *ctx, HPy object)
{
    HPy repr = HPy_Repr(ctx, object);
    /* PyPy's HPyUnicode_AsUTF8AndSize gives lone surrogates, which no message can have. */
    HPy bytes = HPy_IsNull(repr) ? HPy_NULL : HPyUnicode_AsUTF8String(ctx, repr);
    if (!HPy_IsNull(bytes))
        HPyErr_Format(ctx, ctx->h_TypeError, "%s is not JSON serializable", HPyBytes_AS_STRING(ctx, bytes));
    HPy_Close(ctx, bytes);
    HPy_Close(ctx, repr);
    return JT_INVALID;
}

/* ---- Called by the library ---- */

/* So that a `default` function that gives what it is given ends. */
enum { MAX_DEFAULTS = 3 };

static int begin(Encoder *encoder, HPy object)
{
    HPyContext *ctx = encoder->ctx;
    for (int defaults = 0;; defaults++) {
        Kind kind = (Kind)*encoder->guess;
        bool exact = true;
        if (!is_of_kind(encoder, object, kind)) {
            kind = exact_kind(encoder, object);
            exact = kind != OTHER;
            if (!exact)
                kind = inherited_kind(encoder, object);
            *encoder->guess = (unsigned char)kind;
        }
        HPy owned = encoder->owned;
        switch (kind) {
        case STR:
            return begin_str(encoder, object);
        case INT:
            return begin_int(encoder, object);
        case FLOAT:
        case DECIMAL:
            return begin_float(encoder, object);
        case NONE:
            return JT_NULL;
        case BOOL:
            return HPy_Is(ctx, object, ctx->h_True) ? JT_TRUE : JT_FALSE;
        case BYTES:
            return begin_bytes(encoder, object);
        case DICT:
            encoder->owned = HPy_NULL;
            return begin_dict(encoder, object, owned, exact) < 0 ? JT_INVALID : JT_OBJECT;
        case LIST:
        case TUPLE:
            encoder->owned = HPy_NULL;
            return begin_sequence(encoder, object, owned, exact, kind == LIST ? ctx->h_ListType : ctx->h_TupleType) < 0
                       ? JT_INVALID
                       : JT_ARRAY;
        case OTHER:
            break;
        }
        if (HPy_HasAttr_s(ctx, object, "toDict"))
            return begin_to_dict(encoder, object);
        if (HPy_HasAttr_s(ctx, object, "__json__"))
            return begin_json(encoder, object);
        if (HPy_IsNull(encoder->default_function))
            return not_serializable(ctx, object);
        if (defaults == MAX_DEFAULTS) {
            HPyErr_SetString(ctx, ctx->h_TypeError, "maximum recursion depth exceeded");
            return JT_INVALID;
        }
        HPy replacement = HPy_Call(ctx, encoder->default_function, &object, 1, HPy_NULL);
        HPy_Close(ctx, owned);
        encoder->owned = object = replacement;
        if (HPy_IsNull(object))
            return JT_INVALID;
    }
}

static void close_scalar(Encoder *encoder)
{
    if (!HPy_IsNull(encoder->owned)) {
        HPy_Close(encoder->ctx, encoder->owned);
        encoder->owned = HPy_NULL;
    }
    if (!HPy_IsNull(encoder->owned_bytes)) {
        HPy_Close(encoder->ctx, encoder->owned_bytes);
        encoder->owned_bytes = HPy_NULL;
    }
}

static void begin_type_context(JSOBJ object, JSONTypeContext *tc, JSONObjectEncoder *library)
{
    (void)library;
    Encoder *encoder = encoder_of(tc);
    tc->type = begin(encoder, from_library(object));
    /* The library doesn't end what is invalid. */
    if (tc->type == JT_INVALID)
        close_scalar(encoder);
    else if (tc->type == JT_ARRAY || tc->type == JT_OBJECT)
        tc->prv = encoder->innermost;
}

static void end_type_context(JSOBJ object, JSONTypeContext *tc)
{
    (void)object;
    if (tc->type == JT_ARRAY || tc->type == JT_OBJECT)
        pop_container(encoder_of(tc));
    else
        close_scalar(encoder_of(tc));
}

static const char *get_string_value(JSOBJ object, JSONTypeContext *tc, size_t *size)
{
    (void)object;
    *size = (size_t)encoder_of(tc)->size;
    return encoder_of(tc)->chars;
}

static JSINT64 get_long_value(JSOBJ object, JSONTypeContext *tc)
{
    (void)object;
    return encoder_of(tc)->number;
}

static JSUINT64 get_unsigned_long_value(JSOBJ object, JSONTypeContext *tc)
{
    (void)object;
    return encoder_of(tc)->unsigned_number;
}

static double get_double_value(JSOBJ object, JSONTypeContext *tc)
{
    (void)object;
    return encoder_of(tc)->real;
}

static int iter_next(JSOBJ object, JSONTypeContext *tc)
{
    (void)object;
    Encoder *encoder = encoder_of(tc);
    Container *container = (Container *)tc->prv;
    unsigned depth = container->depth < GUESSED_DEPTH ? container->depth : GUESSED_DEPTH - 1;
    encoder->guess = &encoder->guesses[depth][container->index % GUESSED_ITEMS];
    int result = next_item(encoder->ctx, container);
    /* Without a message, the library would go on to the next item of the outer container. */
    if (result < 0)
        encoder->library.errorMsg = "An item can't be had";
    /* For an array, it takes everything but zero for an item. */
    return result < 0 && tc->type == JT_ARRAY ? 0 : result;
}

static void iter_end(JSOBJ object, JSONTypeContext *tc)
{
    (void)object;
    (void)tc;
}

static JSOBJ iter_get_value(JSOBJ object, JSONTypeContext *tc)
{
    (void)object;
    return to_library(((Container *)tc->prv)->value);
}

static char *iter_get_name(JSOBJ object, JSONTypeContext *tc, size_t *size)
{
    (void)object;
    Container *container = (Container *)tc->prv;
    *size = (size_t)container->name_size;
    return (char *)container->name;
}

static void release_object(JSOBJ object)
{
    /* Never called. */
    (void)object;
}

/* ---- The functions of the module ---- */

/* What `dumps` is asked for; handles are null where nothing is given. */
typedef struct {
    HPy object, ensure_ascii, encode_html_chars, escape_forward_slashes, sort_keys;
    int indent, allow_nan, reject_bytes;
    HPy default_function, separators;
} Options;

/* Changes `*flag` if there is an object that says so. */
static int set_flag(HPyContext *ctx, HPy object, int *flag)
{
    if (HPy_IsNull(object))
        return 0;
    int is_true = HPy_IsTrue(ctx, object);
    if (is_true >= 0)
        *flag = is_true;
    return is_true < 0 ? -1 : 0;
}

/* One of the two separators: `bytes` is to be closed when the characters are no longer used. */
static const char *get_separator(HPyContext *ctx, HPy separator, const char *which, size_t *size, HPy *bytes)
{
    if (!HPyUnicode_Check(ctx, separator)) {
        HPyErr_Format(ctx, ctx->h_TypeError, "expected str as %s separator", which);
        return NULL;
    }
    HPy_ssize_t chars;
    const char *result = get_utf8(ctx, separator, &chars, bytes);
    *size = (size_t)chars;
    return result;
}

static HPy make_str(HPyContext *ctx, const char *json, size_t size, bool ascii)
{
    if (ascii) {
        HPy h = HPyUnicode_DecodeASCII(ctx, json, (HPy_ssize_t)size, NULL);
        /* Separators and what objects say themselves may be anything. */
        if (!HPy_IsNull(h) || !HPyErr_ExceptionMatches(ctx, ctx->h_UnicodeDecodeError))
            return h;
        HPyErr_Clear(ctx);
    }
    HPy bytes = HPyBytes_FromStringAndSize(ctx, json, (HPy_ssize_t)size);
    if (HPy_IsNull(bytes))
        return HPy_NULL;
    HPy h = HPyUnicode_FromEncodedObject(ctx, bytes, "utf-8", "surrogatepass");
    HPy_Close(ctx, bytes);
    return h;
}

static HPy run(Encoder *encoder, HPy object, bool nan)
{
    HPyContext *ctx = encoder->ctx;
    JSONObjectEncoder *library = &encoder->library;
    char buffer[65536];
    size_t size = 0;
    dconv_d2s_init(&library->d2s,
                   DCONV_D2S_EMIT_TRAILING_DECIMAL_POINT | DCONV_D2S_EMIT_TRAILING_ZERO_AFTER_POINT
                       | DCONV_D2S_EMIT_POSITIVE_EXPONENT_SIGN,
                   nan ? "Infinity" : NULL, nan ? "NaN" : NULL, 'e', DCONV_DECIMAL_IN_SHORTEST_LOW,
                   DCONV_DECIMAL_IN_SHORTEST_HIGH, 0, 0);
    encoder->decimal = HPyGlobal_Load(ctx, decimal_type);
    encoder->dict = HPyGlobal_Load(ctx, dict_type);
    char *json = JSON_EncodeObject(to_library(object), library, buffer, sizeof buffer, &size);
    HPy_Close(ctx, encoder->decimal);
    HPy_Close(ctx, encoder->dict);
    dconv_d2s_free(&library->d2s);

    HPy result = HPy_NULL;
    if (library->errorMsg == NULL)
        result = make_str(ctx, json, size, library->forceASCII);
    else if (!HPyErr_Occurred(ctx))
        HPyErr_SetString(ctx, ctx->h_OverflowError, library->errorMsg);
    if (library->errorMsg == NULL && json != buffer)
        free(json);
    return result;
}

static HPy encode_object(HPyContext *ctx, const Options *options)
{
    Encoder encoder = {
        .ctx = ctx,
        .library = {
            .beginTypeContext = begin_type_context,
            .endTypeContext = end_type_context,
            .getStringValue = get_string_value,
            .getLongValue = get_long_value,
            .getUnsignedLongValue = get_unsigned_long_value,
            .getDoubleValue = get_double_value,
            .iterNext = iter_next,
            .iterEnd = iter_end,
            .iterGetValue = iter_get_value,
            .iterGetName = iter_get_name,
            .releaseObject = release_object,
            .forceASCII = 1,
            .escapeForwardSlashes = 1,
            .rejectBytes = options->reject_bytes,
            .indent = options->indent < -1 ? -1 : options->indent,
            .itemSeparatorChars = ",",
            .itemSeparatorLength = 1,
            .keySeparatorChars = options->indent ? ": " : ":",
            .keySeparatorLength = options->indent ? 2 : 1,
        },
    };
    encoder.library.prv = &encoder;
    encoder.guess = &encoder.guesses[0][0];
    if (set_flag(ctx, options->ensure_ascii, &encoder.library.forceASCII) < 0
        || set_flag(ctx, options->encode_html_chars, &encoder.library.encodeHTMLChars) < 0
        || set_flag(ctx, options->escape_forward_slashes, &encoder.library.escapeForwardSlashes) < 0
        || set_flag(ctx, options->sort_keys, &encoder.library.sortKeys) < 0)
        return HPy_NULL;
    if (options->indent > 1000)
        return HPyErr_SetString(ctx, ctx->h_ValueError, "Maximum allowed indentation is 1000");
    if (!HPy_IsNull(options->default_function) && !HPy_Is(ctx, options->default_function, ctx->h_None))
        encoder.default_function = options->default_function;
    if (HPy_IsNull(options->separators) || HPy_Is(ctx, options->separators, ctx->h_None))
        return run(&encoder, options->object, options->allow_nan);

    if (!HPyTuple_Check(ctx, options->separators))
        return HPyErr_SetString(ctx, ctx->h_TypeError, "expected tuple or None as separator");
    HPy_ssize_t size = HPy_Length(ctx, options->separators);
    if (size != 2)
        return size < 0 ? HPy_NULL : HPyErr_SetString(ctx, ctx->h_ValueError, "expected tuple of size 2 as separator");
    HPy result = HPy_NULL, item_bytes = HPy_NULL, key_bytes = HPy_NULL;
    HPy item = HPy_GetItem_i(ctx, options->separators, 0);
    HPy key = HPy_IsNull(item) ? HPy_NULL : HPy_GetItem_i(ctx, options->separators, 1);
    if (!HPy_IsNull(key)) {
        JSONObjectEncoder *library = &encoder.library;
        library->itemSeparatorChars = get_separator(ctx, item, "item", &library->itemSeparatorLength, &item_bytes);
        if (library->itemSeparatorChars != NULL)
            library->keySeparatorChars = get_separator(ctx, key, "key", &library->keySeparatorLength, &key_bytes);
        if (library->itemSeparatorChars != NULL && library->keySeparatorChars != NULL)
            result = run(&encoder, options->object, options->allow_nan);
    }
    HPy_Close(ctx, item_bytes);
    HPy_Close(ctx, key_bytes);
    HPy_Close(ctx, item);
    HPy_Close(ctx, key);
    return result;
}

static HPy dumps_with(HPyContext *ctx, const HPy *args, size_t nargs, HPy kwnames)
{
    static const char *names[] = { "obj",        "ensure_ascii", "encode_html_chars", "escape_forward_slashes", "sort_keys", "indent",
                                   "allow_nan", "reject_bytes", "default",           "separators",             NULL };
    Options options = { .allow_nan = 1, .reject_bytes = 1 };
    /* Nothing has to be looked up then. */
    if (nargs == 1 && HPy_IsNull(kwnames)) {
        options.object = args[0];
        return encode_object(ctx, &options);
    }
    HPyTracker tracker;
    if (!check_arguments(ctx, "dumps", names, nargs, kwnames)
        || !HPyArg_ParseKeywords(ctx, &tracker, args, nargs, kwnames, "O|OOOOiiiOO:dumps", names, &options.object,
                                 &options.ensure_ascii, &options.encode_html_chars, &options.escape_forward_slashes,
                                 &options.sort_keys, &options.indent, &options.allow_nan, &options.reject_bytes,
                                 &options.default_function, &options.separators))
        return HPy_NULL;
    HPy result = encode_object(ctx, &options);
    HPyTracker_Close(ctx, tracker);
    return result;
}

#define OPTIONS_DOC                                                                                     \
    "Use ensure_ascii=false to output UTF-8. Set encode_html_chars=True to encode < > & as unicode "    \
    "escape sequences. Set escape_forward_slashes=False to prevent escaping / characters. "             \
    "Set allow_nan=False to raise an exception when NaN or Infinity would be serialized. "              \
    "Set reject_bytes=False to take bytes for text."
#define DUMPS_DOC "Converts arbitrary object recursively into JSON. " OPTIONS_DOC

HPyDef_METH(dumps, "dumps", HPyFunc_KEYWORDS, .doc = DUMPS_DOC)
static HPy dumps_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    (void)self;
    return dumps_with(ctx, args, nargs, kwnames);
}

HPyDef_METH_IMPL(encode, "encode", dumps_impl, HPyFunc_KEYWORDS, .doc = DUMPS_DOC)

HPyDef_METH(dump, "dump", HPyFunc_KEYWORDS, .doc = "Converts arbitrary object recursively into JSON file. " OPTIONS_DOC)
static HPy dump_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
{
    (void)self;
    if (nargs != 2)
        return HPyErr_Format(ctx, ctx->h_TypeError, "dump() takes 2 positional arguments, an object and a file (%zu given)", nargs);
    HPy write = get_file_method(ctx, args[1], "write");
    if (HPy_IsNull(write))
        return HPy_NULL;
    HPy json = HPy_NULL, result = HPy_NULL;
    HPy_ssize_t keywords = HPy_IsNull(kwnames) ? 0 : HPy_Length(ctx, kwnames);
    HPy *rest = keywords < 0 ? NULL : (HPy *)malloc((size_t)(1 + keywords) * sizeof(HPy));
    if (rest != NULL) {
        /* The same arguments without the file. */
        rest[0] = args[0];
        for (HPy_ssize_t i = 0; i < keywords; i++)
            rest[1 + i] = args[2 + i];
        json = dumps_with(ctx, rest, 1, kwnames);
    } else if (keywords >= 0) {
        HPyErr_NoMemory(ctx);
    }
    free(rest);
    if (!HPy_IsNull(json))
        result = HPy_Call(ctx, write, &json, 1, HPy_NULL);
    HPy_Close(ctx, json);
    HPy_Close(ctx, write);
    if (HPy_IsNull(result))
        return HPy_NULL;
    HPy_Close(ctx, result);
    return HPy_Dup(ctx, ctx->h_None);
}
