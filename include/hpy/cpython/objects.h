/* In the CPython ABI a handle is the address of an object, and so are fields, globals and builders. */
#ifndef HPY_CPYTHON_OBJECTS_H
#define HPY_CPYTHON_OBJECTS_H

/* The object of a handle and the handle of an object. No reference is counted. */
HPyAPI_FUNC PyObject *_h2py(HPy h) { return (PyObject *)h._i; }
HPyAPI_FUNC HPy _py2h(PyObject *object) { return _hconv((intptr_t)object); }

/* Another reference to an object; NULL for NULL. CPython's own function is newer than 3.9. */
HPyAPI_FUNC PyObject *_HPy_NewRef(PyObject *object)
{
    Py_XINCREF(object);
    return object;
}

/* Set once another interpreter than the main one has loaded an extension. Then a context is to be asked for, and so is the value of a
   global. */
extern _HPy_HIDDEN bool _HPy_several_interpreters;
HPyAPI_HELPER _HPy_PURE HPyContext *_HPyContext_Here(HPyContext *ctx);
HPyAPI_HELPER HPy _HPyGlobal_LoadHere(HPyGlobal global);

/* The context of a trampoline. */
#define _HPy_CONTEXT (_HPy_several_interpreters ? _HPyContext_Here(&_hpy_context) : &_hpy_context)

/* A trampoline that gives what CALL gives, which uses `ctx`. Where there are several interpreters, another function does that: to ask
   for the context in this one would make it save its arguments. */
#define _HPy_TRAMPOLINE(RESULT, SYM, PARAMETERS, ARGUMENTS, CALL)   \
    _HPy_COLD static RESULT SYM##_elsewhere PARAMETERS              \
    {                                                               \
        HPyContext *ctx = _HPyContext_Here(&_hpy_context);          \
        return CALL;                                                \
    }                                                               \
    static RESULT SYM PARAMETERS                                    \
    {                                                               \
        HPyContext *ctx = &_hpy_context;                            \
        if (_HPy_several_interpreters)                              \
            return SYM##_elsewhere ARGUMENTS;                       \
        return CALL;                                                \
    }

/* Whether keyword arguments for an HPy_tp_new are a tuple of names, as on one runtime of another interpreter. */
#define _HPy_IS_NAMES(ctx, kw) 0

/* Where there is no table, there is nothing to take a shortcut around. */
#define _HPy_SHORTCUTS(ctx) NULL

/* What HPyArg_ParseKeywords tries first. It looks into strs, as they are where there is a GIL. */
#ifdef Py_GIL_DISABLED
#  define _HPy_CAN_PARSE_OBJECTS(ctx) ((void)(ctx), 0)
#else
#  define _HPy_CAN_PARSE_OBJECTS(ctx) ((void)(ctx), 1)
#endif
#define _HPy_PARSE_OBJECTS _HPyArg_ParseObjects
HPyAPI_HELPER int _HPyArg_ParseObjects(HPyTracker *ht, const HPy *args, size_t nargs, HPy kwnames, const char *const *keywords,
                                       void *const *outputs, size_t count, size_t required);

#endif /* HPY_CPYTHON_OBJECTS_H */
