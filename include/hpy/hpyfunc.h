/* Declaring the functions that implement slots and methods, and the trampolines through which CPython calls them. */
#ifndef HPY_HPYFUNC_H
#define HPY_HPYFUNC_H

/* Declares SYM as a static function of signature SIG. The array, which nobody defines, makes a misspelt SIG a clear error;
   unlike an enum it can be declared again, for a second method with the same implementation. */
#define HPyFunc_DECLARE(SYM, SIG)         \
    extern const char SYM##_sig[1 + SIG]; \
    _HPyFunc_DECLARE_##SIG(SYM)

/* Defines SYM as a static function that CPython can call and that calls IMPL, which has the signature SIG. */
#define HPyFunc_TRAMPOLINE(SYM, IMPL, SIG) \
    enum { SYM##_sig = SIG };              \
    _HPyFunc_TRAMPOLINE_##SIG(SYM, IMPL)

/* In a tp_traverse, whose parameters have to be called visit and arg: visits a field, given by its address. */
#define HPy_VISIT(hpyfield)                               \
    do {                                                  \
        HPyField *_hpy_visited = (hpyfield);              \
        if (!HPyField_IsNull(*_hpy_visited)) {            \
            int _hpy_stop = visit(_hpy_visited, arg);     \
            if (_hpy_stop)                                \
                return _hpy_stop;                         \
        }                                                 \
    } while (0)

#ifdef HPY_ABI_CPYTHON
#  include "hpy/cpython/trampolines.h"
#else
#  include "hpy/generated/autogen_trampolines.h"

/* Capsules' destructors get what is in the capsule, not the capsule, so their trampoline is of its own kind. */
#  define HPyCapsule_DESTRUCTOR_TRAMPOLINE(SYM, IMPL)                                                         \
    static void SYM(cpy_PyObject *capsule)                                                                    \
    {                                                                                                         \
        _HPy_CallRealFunctionFromTrampoline(_ctx_for_trampolines, HPyFunc_CAPSULE_DESTRUCTOR,                 \
                                            (HPyCFunction)IMPL, capsule);                                     \
    }
#endif

#endif /* HPY_HPYFUNC_H */
