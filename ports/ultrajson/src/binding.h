/* What the files of the binding share. */
#ifndef UJSON_BINDING_H
#define UJSON_BINDING_H

/* Each call has an encoder or decoder of its own, as in the original, so it needs no GIL. */
#define HPY_MOD_GIL_NOT_USED
#include <hpy.h>
#include <ultrajson.h>

extern HPyDef dumps, encode, dump, loads, decode, load;

/* Objects of the interpreter that a module is loaded in. The type of dicts is no part of the context of HPy 0.9.0. */
extern HPyGlobal json_decode_error, decimal_type, dict_type, list_sort;

/* The library is given handles as pointers, and gives them back. It has no other way to know an object. */
static inline JSOBJ to_library(HPy h)
{
    return HPy_AsVoidP(h);
}

static inline HPy from_library(JSOBJ object)
{
    return HPy_FromVoidP(object);
}

/* Calls what an object has under a name; of a builtin type, so that a subclass can't put its own in the way. Gives HPy_NULL on
   failure. */
HPy call_attribute(HPyContext *ctx, HPy object, const char *name, const HPy *args, size_t nargs);

/* A new handle to a file's method. Raises a TypeError, and gives HPy_NULL, for what has none of that name. */
HPy get_file_method(HPyContext *ctx, HPy file, const char *name);

/* The UTF-8 of a `str`. Where it has lone surrogates, `*bytes` is made a handle, to be closed when the characters are no
   longer used. NULL on failure. */
const char *get_utf8(HPyContext *ctx, HPy str, HPy_ssize_t *size, HPy *bytes);

/* Raises a TypeError, and gives false, for arguments that no parameter takes: HPyArg_ParseKeywords ignores them. */
bool check_arguments(HPyContext *ctx, const char *function, const char *const *names, size_t nargs, HPy kwnames);

#endif
