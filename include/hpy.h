/* HPy: a C API for Python that works through handles. This is the one header an extension includes.

   The build defines HPY and exactly one of

     HPY_ABI_UNIVERSAL  one binary for every Python that has an HPy runtime;
     HPY_ABI_HYBRID     the same, with the old C API beside it, for one version of one Python;
     HPY_ABI_CPYTHON    no runtime needed, for one version of CPython.

   hpy.devel does that for setuptools. Everything a function does, raises and owns is said where it is declared, in
   hpy/generated/autogen_functions.h, and in docs/reference/. */
#ifndef HPy_H
#define HPy_H

/* Binaries of another major version don't load; a runtime refuses binaries that ask for a higher minor version. */
#define HPY_ABI_VERSION 0
#define HPY_ABI_VERSION_MINOR 0
#define HPY_ABI_TAG "hpy0"

#if defined(HPY_ABI_CPYTHON) + defined(HPY_ABI_HYBRID) + defined(HPY_ABI_UNIVERSAL) > 1
#  error "Conflicting macros: define only one of HPY_ABI_CPYTHON, HPY_ABI_HYBRID and HPY_ABI_UNIVERSAL"
#elif defined(HPY_ABI_UNIVERSAL)
#  define HPY_ABI "universal"
#  ifdef Py_PYTHON_H
#    error "It is forbidden to #include <Python.h> when targeting the HPy Universal ABI"
#  endif
#elif defined(HPY_ABI_HYBRID)
#  define HPY_ABI "hybrid"
#elif defined(HPY_ABI_CPYTHON)
#  define HPY_ABI "cpython"
#else
#  error "Which HPy ABI? Define one of HPY_ABI_CPYTHON, HPY_ABI_HYBRID or HPY_ABI_UNIVERSAL (hpy.devel does)"
#endif

#ifndef HPY_ABI_UNIVERSAL
#  ifndef PY_SSIZE_T_CLEAN
#    define PY_SSIZE_T_CLEAN
#  endif
#  include <Python.h>
#endif

#ifdef HPY_ABI_CPYTHON
#  ifdef PYPY_VERSION
#    error "PyPy has no CPython ABI; build with HPY_ABI_UNIVERSAL (--hpy-abi=universal)"
#  endif
#endif

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hpy/compiler.h"
#include "hpy/hpyexports.h"
#include "hpy/version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef intptr_t HPy_ssize_t;
typedef intptr_t HPy_hash_t;
typedef uint32_t HPy_UCS4;

#define HPY_SSIZE_T_MAX INTPTR_MAX
#define HPY_SSIZE_T_MIN (-HPY_SSIZE_T_MAX - 1)

typedef struct _HPyContext_s HPyContext;

#include "hpy/generated/autogen_types.h"

/* The null handle of each kind. */
#define HPy_NULL _hconv(0)
#define HPy_IsNull(h) ((h)._i == 0)
#define HPyField_NULL _hfconv(0)
#define HPyField_IsNull(f) ((f)._i == 0)

/* A handle as a pointer and back, to keep one where only a pointer fits. The pointer says nothing about the object. */
HPyAPI_FUNC HPy HPy_FromVoidP(void *p) { return _hconv((intptr_t)p); }
HPyAPI_FUNC void *HPy_AsVoidP(HPy h) { return (void *)h._i; }

#include "hpy/cpy_types.h"
#include "hpy/generated/autogen_signatures.h"
#ifdef HPY_ABI_CPYTHON
#  include "hpy/cpython/objects.h"
#endif
#include "hpy/hpyfunc.h"
#include "hpy/hpydef.h"
#include "hpy/hpytype.h"
#ifdef HPY_ABI_CPYTHON
#  include "hpy/generated/autogen_cpython_context.h"
#  include "hpy/generated/autogen_cpython_functions.h"
#else
#  include "hpy/generated/autogen_context.h"
#  include "hpy/pypy.h"
#  include "hpy/shortcuts.h"
#  include "hpy/generated/autogen_functions.h"
#endif
#include "hpy/free_threading.h"
#include "hpy/hpymodule.h"
#include "hpy/capsule.h"
#include "hpy/macros.h"
#include "hpy/inline_helpers.h"
#include "hpy/runtime/argparse.h"
#include "hpy/runtime/buildvalue.h"
#include "hpy/runtime/format.h"
#include "hpy/runtime/helpers.h"
#include "hpy/runtime/structseq.h"

#ifdef __cplusplus
}
#endif

#endif /* HPy_H */
