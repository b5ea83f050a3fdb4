/* The module ujson: the JSON library of the distribution of that name, bound to Python through HPy. */
#include "binding.h"
#include <string.h>

HPyGlobal json_decode_error;
HPyGlobal decimal_type;
HPyGlobal dict_type;
HPyGlobal list_sort;

HPy get_file_method(HPyContext *ctx, HPy file, const char *name)
{
    if (!HPy_HasAttr_s(ctx, file, name))
        return HPyErr_SetString(ctx, ctx->h_TypeError, "expected file");
    HPy method = HPy_GetAttr_s(ctx, file, name);
    if (HPy_IsNull(method) || HPyCallable_Check(ctx, method))
        return method;
    HPy_Close(ctx, method);
    return HPyErr_SetString(ctx, ctx->h_TypeError, "expected file");
}

HPy call_attribute(HPyContext *ctx, HPy object, const char *name, const HPy *args, size_t nargs)
{
    HPy function = HPy_GetAttr_s(ctx, object, name);
    if (HPy_IsNull(function))
        return HPy_NULL;
    HPy result = HPy_Call(ctx, function, args, nargs, HPy_NULL);
    HPy_Close(ctx, function);
    return result;
}

const char *get_utf8(HPyContext *ctx, HPy str, HPy_ssize_t *size, HPy *bytes)
{
    const char *chars = HPyUnicode_AsUTF8AndSize(ctx, str, size);
    if (chars != NULL || !HPyErr_ExceptionMatches(ctx, ctx->h_UnicodeEncodeError))
        return chars;
    HPyErr_Clear(ctx);
    HPy args[3] = { str, HPyUnicode_FromString(ctx, "utf-8"), HPyUnicode_FromString(ctx, "surrogatepass") };
    if (!HPy_IsNull(args[1]) && !HPy_IsNull(args[2]))
        *bytes = call_attribute(ctx, ctx->h_UnicodeType, "encode", args, 3);
    HPy_Close(ctx, args[1]);
    HPy_Close(ctx, args[2]);
    if (HPy_IsNull(*bytes))
        return NULL;
    *size = HPyBytes_GET_SIZE(ctx, *bytes);
    return HPyBytes_AS_STRING(ctx, *bytes);
}

bool check_arguments(HPyContext *ctx, const char *function, const char *const *names, size_t nargs, HPy kwnames)
{
    size_t count = 0;
    while (names[count] != NULL)
        count++;
    if (nargs > count) {
        HPyErr_Format(ctx, ctx->h_TypeError, "%s() takes at most %zu argument(s) (%zu given)", function, count, nargs);
        return false;
    }
    HPy_ssize_t keywords = HPy_IsNull(kwnames) ? 0 : HPy_Length(ctx, kwnames);
    for (HPy_ssize_t i = 0; i < keywords; i++) {
        HPy keyword = HPy_GetItem_i(ctx, kwnames, i);
        HPy_ssize_t size;
        const char *name = HPy_IsNull(keyword) ? NULL : HPyUnicode_AsUTF8AndSize(ctx, keyword, &size);
        size_t index = 0;
        while (name != NULL && index < count && strcmp(name, names[index]) != 0)
            index++;
        bool taken = name != NULL && nargs <= index && index < count;
        if (name != NULL && index < nargs)
            HPyErr_Format(ctx, ctx->h_TypeError, "argument for %s() given by name ('%s') and position (%zu)", function, name,
                          index + 1);
        else if (name != NULL && !taken)
            HPyErr_Format(ctx, ctx->h_TypeError, "'%s' is an invalid keyword argument for %s()", name, function);
        HPy_Close(ctx, keyword);
        if (!taken)
            return false;
    }
    return keywords >= 0;
}

/* Keeps what was made, if anything, and closes it. */
static int keep(HPyContext *ctx, HPyGlobal *global, HPy h)
{
    if (HPy_IsNull(h))
        return -1;
    HPyGlobal_Store(ctx, global, h);
    HPy_Close(ctx, h);
    return 0;
}

static int keep_objects(HPyContext *ctx)
{
    HPy decimal = HPyImport_ImportModule(ctx, "decimal");
    if (HPy_IsNull(decimal))
        return -1;
    int failed = keep(ctx, &decimal_type, HPy_GetAttr_s(ctx, decimal, "Decimal"));
    HPy_Close(ctx, decimal);
    if (failed)
        return -1;
    HPy dict = HPyDict_New(ctx);
    if (HPy_IsNull(dict))
        return -1;
    failed = keep(ctx, &dict_type, HPy_Type(ctx, dict));
    HPy_Close(ctx, dict);
    return failed ? -1 : keep(ctx, &list_sort, HPy_GetAttr_s(ctx, ctx->h_ListType, "sort"));
}

HPyDef_SLOT(ujson_exec, HPy_mod_exec)
static int ujson_exec_impl(HPyContext *ctx, HPy module)
{
    HPy version = HPyUnicode_FromString(ctx, UJSON_VERSION);
    HPy error = HPyErr_NewException(ctx, "ujson.JSONDecodeError", ctx->h_ValueError, HPy_NULL);
    int failed = HPy_IsNull(version) || HPy_IsNull(error) || HPy_SetAttr_s(ctx, module, "__version__", version) < 0
                 || HPy_SetAttr_s(ctx, module, "JSONDecodeError", error) < 0;
    HPy_Close(ctx, version);
    if (failed) {
        HPy_Close(ctx, error);
        return -1;
    }
    return keep(ctx, &json_decode_error, error) < 0 ? -1 : keep_objects(ctx);
}

static HPyDef *defines[] = { &dumps, &encode, &dump, &loads, &decode, &load, &ujson_exec, NULL };
static HPyGlobal *globals[] = { &json_decode_error, &decimal_type, &dict_type, &list_sort, NULL };

static HPyModuleDef ujson = {
    .doc = "Encodes and decodes JSON, quickly.",
    .size = 0,
    .defines = defines,
    .globals = globals,
};

HPy_MODINIT(ujson, ujson)
