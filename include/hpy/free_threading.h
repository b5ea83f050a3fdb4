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
/* What a runtime without a GIL hands over to such a binary. The first two return 0 with a new handle, or null for what is empty, in
   *h. Or they return 1 with the value in *value, which is then to be loaded by the function of the context and released after that;
   or -1 if it is only to be loaded. Whatever is new comes last, with a higher `size`. */
typedef struct {
    uint32_t size;
    int (*field_load)(HPyContext *ctx, HPy source_object, const HPyField *source_field, HPy *h, HPyField *value);
    int (*global_load)(HPyContext *ctx, const HPyGlobal *global, HPy *h, HPyGlobal *value);
    void (*release)(intptr_t value);
} _HPyThreading;
#endif

#ifdef HPY_MOD_GIL_NOT_USED

#ifndef HPY_ABI_CPYTHON
#  if !defined(__GNUC__) && !defined(__clang__) && !defined(_MSC_VER)
#    error "HPY_MOD_GIL_NOT_USED is for GCC, Clang and MSVC: with this compiler, the files of an extension can't share a variable"
#  endif
/* Null where there is a GIL. */
_HPy_ONE_PER_BINARY const _HPyThreading *_HPy_threading = NULL;
#elif defined(Py_GIL_DISABLED)
/* A new handle, or null if it is empty. */
HPyAPI_HELPER HPy _HPy_field_load(HPy source_object, const HPyField *source_field);
HPyAPI_HELPER HPy _HPy_global_load(const HPyGlobal *global);
#endif

HPyAPI_FUNC HPy _HPyField_LoadShared(HPyContext *ctx, HPy source_object, const HPyField *source_field)
{
#ifndef HPY_ABI_CPYTHON
    if (_HPy_threading != NULL) {
        HPy h = HPy_NULL;
        HPyField value = HPyField_NULL;
        int is_left = _HPy_threading->field_load(ctx, source_object, source_field, &h, &value);
        if (is_left != 0)
            h = HPyField_Load(ctx, source_object, value);
        if (is_left > 0)
            _HPy_threading->release(value._i);
        return h;
    }
#elif defined(Py_GIL_DISABLED)
    (void)ctx;
    return _HPy_field_load(source_object, source_field);
#endif
#if !defined(HPY_ABI_CPYTHON) || !defined(Py_GIL_DISABLED)
    return HPyField_IsNull(*source_field) ? HPy_NULL : HPyField_Load(ctx, source_object, *source_field);
#endif
}

HPyAPI_FUNC HPy _HPyGlobal_LoadShared(HPyContext *ctx, const HPyGlobal *global)
{
#ifndef HPY_ABI_CPYTHON
    if (_HPy_threading != NULL) {
        HPy h = HPy_NULL;
        HPyGlobal value = _hgconv(0);
        int is_left = _HPy_threading->global_load(ctx, global, &h, &value);
        if (is_left != 0)
            h = HPyGlobal_Load(ctx, value);
        if (is_left > 0)
            _HPy_threading->release(value._i);
        return h;
    }
#elif defined(Py_GIL_DISABLED)
    (void)ctx;
    return _HPy_global_load(global);
#endif
#if !defined(HPY_ABI_CPYTHON) || !defined(Py_GIL_DISABLED)
    return HPyGlobal_Load(ctx, *global);
#endif
}

#define HPyField_Load(ctx, source_object, source_field) _HPyField_LoadShared(ctx, source_object, &(source_field))
#define HPyGlobal_Load(ctx, global) _HPyGlobal_LoadShared(ctx, &(global))

#endif /* HPY_MOD_GIL_NOT_USED */

#endif /* HPY_FREE_THREADING_H */
