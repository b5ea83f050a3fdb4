/* Common steps of extensions. In the static library, not in the context. */
#ifndef HPY_RUNTIME_HELPERS_H
#define HPY_RUNTIME_HELPERS_H

/**
 * Makes a type with `HPyType_FromSpec` and sets it as the attribute `name` of `obj`, mostly a module. `params` can be
 * NULL. Returns 1, or 0 with the exception pending that one of the two steps raised: unlike most functions, not -1.
 */
HPyAPI_HELPER int HPyHelpers_AddType(HPyContext *ctx, HPy obj, const char *name, HPyType_Spec *hpyspec,
                                     HPyType_SpecParam *params);

/**
 * Turns the arguments of a function with `HPyFunc_KEYWORDS` into a tuple and a dict, for functions that want them so, such
 * as `HPy_CallTupleDict`. `args` has `nargs` positional arguments, and behind them the values for the names in the tuple
 * `kwnames`, which can be null.
 *
 * `*out_args_tuple` and `*out_kwd` are new handles that the caller closes, and null when there are no such arguments.
 * After a failure they are unchanged. Returns 1, or 0 with an exception pending: SystemError when one of the two pointers is
 * NULL, TypeError when `kwnames` has no length, or MemoryError.
 */
HPyAPI_HELPER int HPyHelpers_PackArgsAndKeywords(HPyContext *ctx, const HPy *args, size_t nargs, HPy kwnames,
                                                 HPy *out_args_tuple, HPy *out_kwd);

#endif /* HPY_RUNTIME_HELPERS_H */
