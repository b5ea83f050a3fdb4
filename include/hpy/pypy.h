/* Where PyPy's own runtime of HPy is not as published, and how one binary is right on it and on all others.

   PyPy 7.3.19 took over h_DictType from HPy's development as the member behind h_Builtins, where it belongs behind
   ctx_CallMethod. So the members from ctx_Capsule_New to ctx_CallMethod are each one place further on there, and all
   others where they should be. ctx->h_DictType itself is read in place, and is not a handle there.

   It has no functions for the structs of types that derive from int and the like: those members print a message and
   return no pointer. And HPy_tp_new gets keyword arguments not as a dict, but as functions with HPyFunc_KEYWORDS do. */
#ifndef HPY_PYPY_H
#define HPY_PYPY_H

/* How many bytes further on those members are: 0 but on that PyPy. Set once, before the first call; it is the same for
   each context of a process. */
_HPy_ONE_PER_BINARY intptr_t _HPy_shift = 0;

/* The context for a member that may be further on. */
#define _HPy_SHIFTED(ctx) ((HPyContext *)(void *)((char *)(ctx) + _HPy_shift))

/* A function that gives a struct. Where it is missing, ctx_AsStruct_Object does the same for every shape. */
#define _HPy_AS_STRUCT(ctx, member) (_HPy_shift == 0 ? (ctx)->member : (ctx)->ctx_AsStruct_Object)

/* Whether keyword arguments for an HPy_tp_new are a tuple of names, with the values behind the positional arguments. */
#define _HPy_IS_NAMES(ctx, kw) (_HPy_shift != 0 && !HPy_IsNull(kw) && (ctx)->ctx_Tuple_Check(ctx, kw))

HPyAPI_FUNC uintptr_t _HPy_Distance(uintptr_t a, uintptr_t b) { return a < b ? b - a : a - b; }

/* Called with the context that the binary is loaded with. The name does not tell, since a PyPy that has its members in
   place is called the same; the word behind h_Builtins does. It is a function's address and near the next function's,
   or it is a handle (in PyPy's debug mode an address too, in its trace mode null) and nearer to h_Builtins. */
HPyAPI_FUNC void _HPy_RecognizePyPy(HPyContext *ctx)
{
    uintptr_t words[3];
    memcpy(words, (char *)ctx + offsetof(HPyContext, h_Builtins), sizeof(words));
    int is_handle = _HPy_Distance(words[1], words[0]) < _HPy_Distance(words[1], words[2]);
    _HPy_shift = is_handle && ctx->name != NULL && strstr(ctx->name, "PyPy") != NULL ? (intptr_t)sizeof(HPy) : 0;
}

#endif /* HPY_PYPY_H */
