/* Extensions that need no GIL.

   One that defines HPY_MOD_GIL_NOT_USED before it includes hpy.h, in each of its files, says that its code is right when
   several threads run it at once. Importing it then leaves the GIL of a free-threaded CPython off; otherwise it comes on, as it
   does for a C extension that does not say so. Hosts that always have a GIL ignore it, and so do runtimes from before.

   With it, a field or global may be loaded by some threads while others store: each HPyField_Load and HPyGlobal_Load sees one
   of the values. For that they are macros, and the field or global that is loaded has to be an lvalue, such as `self->name`.
   Loading an empty field gives HPy_NULL without an exception, since another thread may have emptied it. */
#ifndef HPY_FREE_THREADING_H
#define HPY_FREE_THREADING_H

#ifndef HPY_ABI_CPYTHON
/* What a runtime without a GIL hands over to such a binary. Whatever is new comes last, with a higher `size`. */
typedef struct {
    uint32_t size;
    HPy (*field_load)(HPyContext *ctx, HPy source_object, const HPyField *source_field);
    HPy (*global_load)(HPyContext *ctx, const HPyGlobal *global);
} _HPyThreading;
#endif

#ifdef HPY_MOD_GIL_NOT_USED

#ifndef HPY_ABI_CPYTHON
#  if !defined(__GNUC__) && !defined(__clang__) && !defined(_MSC_VER)
#    error "HPY_MOD_GIL_NOT_USED is for GCC, Clang and MSVC: with this compiler, the files of an extension can't share a variable"
#  endif
/* Null where there is a GIL. */
_HPy_ONE_PER_BINARY const _HPyThreading *_HPy_threading = NULL;
#  define _HPy_LOAD_WITHOUT_GIL(function, ...) \
      if (_HPy_threading != NULL)              \
          return _HPy_threading->function(__VA_ARGS__)
#elif defined(Py_GIL_DISABLED)
/* A new handle, or null if it is empty. */
HPyAPI_HELPER HPy _HPy_without_gil_field_load(HPyContext *ctx, HPy source_object, const HPyField *source_field);
HPyAPI_HELPER HPy _HPy_without_gil_global_load(HPyContext *ctx, const HPyGlobal *global);
#  define _HPy_LOAD_WITHOUT_GIL(function, ...) return _HPy_without_gil_##function(__VA_ARGS__)
#else
#  define _HPy_LOAD_WITHOUT_GIL(function, ...)
#endif

HPyAPI_FUNC HPy _HPyField_LoadShared(HPyContext *ctx, HPy source_object, const HPyField *source_field)
{
    _HPy_LOAD_WITHOUT_GIL(field_load, ctx, source_object, source_field);
    return HPyField_IsNull(*source_field) ? HPy_NULL : HPyField_Load(ctx, source_object, *source_field);
}

HPyAPI_FUNC HPy _HPyGlobal_LoadShared(HPyContext *ctx, const HPyGlobal *global)
{
    _HPy_LOAD_WITHOUT_GIL(global_load, ctx, global);
    return HPyGlobal_Load(ctx, *global);
}

#define HPyField_Load(ctx, source_object, source_field) _HPyField_LoadShared(ctx, source_object, &(source_field))
#define HPyGlobal_Load(ctx, global) _HPyGlobal_LoadShared(ctx, &(global))

#endif /* HPY_MOD_GIL_NOT_USED */

#endif /* HPY_FREE_THREADING_H */
