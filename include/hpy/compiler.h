/* What differs from compiler to compiler. */
#ifndef HPY_COMPILER_H
#define HPY_COMPILER_H

#if defined(__GNUC__) || defined(__clang__)
#  define _HPy_UNUSED __attribute__((unused))
#  define _HPy_NO_RETURN __attribute__((noreturn))
#  define _HPy_PURE __attribute__((pure))
#  define _HPy_COLD __attribute__((cold, noinline))
#  define _HPy_ALLOCA(size) __builtin_alloca(size)
#elif defined(_MSC_VER)
#  include <malloc.h>
#  define _HPy_UNUSED
#  define _HPy_NO_RETURN __declspec(noreturn)
#  define _HPy_PURE
#  define _HPy_COLD __declspec(noinline)
#  define _HPy_ALLOCA(size) _alloca(size)
#else
#  include <alloca.h>
#  define _HPy_UNUSED
#  define _HPy_NO_RETURN
#  define _HPy_PURE
#  define _HPy_COLD
#  define _HPy_ALLOCA(size) alloca(size)
#endif

/* On Windows all is hidden that is not exported. */
#if defined(_WIN32)
#  define _HPy_HIDDEN
#  define _HPy_ONE_PER_BINARY __declspec(selectany)
#elif defined(__GNUC__) || defined(__clang__)
#  define _HPy_HIDDEN __attribute__((visibility("hidden")))
#  define _HPy_ONE_PER_BINARY __attribute__((weak, visibility("hidden")))
#else
#  define _HPy_HIDDEN
#  define _HPy_ONE_PER_BINARY static _HPy_UNUSED
#endif

/* _HPy_ONE_PER_BINARY is for a variable that each file defines in the same way; the linker keeps one of them. */

#ifdef __has_attribute
#  define _HPy_HAS_ATTRIBUTE(x) __has_attribute(x)
#else
#  define _HPy_HAS_ATTRIBUTE(x) 0
#endif

/* Calling a function marked like this does not compile in the universal ABI. */
#define _HPY_LEGACY_MESSAGE "Cannot use legacy functions when targeting the HPy Universal ABI"
#ifndef HPY_ABI_UNIVERSAL
#  define _HPY_LEGACY
#elif _HPy_HAS_ATTRIBUTE(error)
#  define _HPY_LEGACY __attribute__((error(_HPY_LEGACY_MESSAGE)))
#elif _HPy_HAS_ATTRIBUTE(unavailable)
#  define _HPY_LEGACY __attribute__((unavailable(_HPY_LEGACY_MESSAGE)))
#else
#  define _HPY_LEGACY
#endif

/* Functions that are compiled into each extension: over the context, or over other such functions. Where there is a context that
   can be one of debug mode, they are inlined without optimisation as well, so that calls come from the extension's own lines. */
#if _HPy_HAS_ATTRIBUTE(always_inline) && !defined(HPY_ABI_CPYTHON)
#  define HPyAPI_FUNC _HPy_UNUSED static inline __attribute__((always_inline))
#else
#  define HPyAPI_FUNC _HPy_UNUSED static inline
#endif
/* The same, for those with variable arguments, which no compiler inlines. */
#define HPyAPI_INLINE_HELPER _HPy_UNUSED static inline
#define HPyAPI_UNUSED HPyAPI_FUNC
/* Functions in the static library that hpy.devel links into each extension. */
#define HPyAPI_HELPER _HPy_HIDDEN

/* For a parameter that has to be there and is not used. */
#define _HPy_UNUSED_ARG(x) _hpy_unused_##x _HPy_UNUSED

/* A handle from its word. */
#ifdef __cplusplus
#  define _HPy_MAKE(TYPE, word) (TYPE{word})
#else
#  define _HPy_MAKE(TYPE, word) ((TYPE){word})
#endif
#define _hconv(word) _HPy_MAKE(HPy, word)
#define _hfconv(word) _HPy_MAKE(HPyField, word)
#define _htsconv(word) _HPy_MAKE(HPyThreadState, word)
#define _hgconv(word) _HPy_MAKE(HPyGlobal, word)

/* Named initialisers are newer in C++ (2020) than in C (1999), but all compilers know them. Around a definition that uses
   them, these keep compilers quiet that would rather not. */
#if defined(__cplusplus) && defined(__clang__)
#  define _HPy_BEGIN_NAMED_INITIALIZERS \
    _Pragma("clang diagnostic push") \
    _Pragma("clang diagnostic ignored \"-Wunknown-warning-option\"") \
    _Pragma("clang diagnostic ignored \"-Wc++20-designator\"") \
    _Pragma("clang diagnostic ignored \"-Wmissing-field-initializers\"")
#  define _HPy_END_NAMED_INITIALIZERS _Pragma("clang diagnostic pop")
#elif defined(__cplusplus) && defined(__GNUC__)
#  define _HPy_BEGIN_NAMED_INITIALIZERS \
    _Pragma("GCC diagnostic push") \
    _Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"") \
    __extension__
#  define _HPy_END_NAMED_INITIALIZERS _Pragma("GCC diagnostic pop")
#else
#  define _HPy_BEGIN_NAMED_INITIALIZERS
#  define _HPy_END_NAMED_INITIALIZERS
#endif

/* Once more through the arguments: MSVC's older preprocessor takes __VA_ARGS__ for one of them. */
#define _HPy_EXPAND(x) x

/* The first of some arguments, and the others, of which there may be up to 14 or none. Before C23 and C++20 a macro that is called
   without anything for its `...` is not standard, and compilers can say so. */
#define _HPy_FIRST(...) _HPy_EXPAND(_HPy_FIRST_OF(__VA_ARGS__, ))
#define _HPy_FIRST_OF(first, ...) first
#define _HPy_REST(...)                                                                                                  \
    _HPy_EXPAND(_HPy_16TH_OF(__VA_ARGS__, _HPy_REST_OF, _HPy_REST_OF, _HPy_REST_OF, _HPy_REST_OF, _HPy_REST_OF,         \
                             _HPy_REST_OF, _HPy_REST_OF, _HPy_REST_OF, _HPy_REST_OF, _HPy_REST_OF, _HPy_REST_OF,        \
                             _HPy_REST_OF, _HPy_REST_OF, _HPy_REST_OF, _HPy_NONE_OF, )(__VA_ARGS__))
#define _HPy_16TH_OF(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, sixteenth, ...) sixteenth
#define _HPy_REST_OF(first, ...) __VA_ARGS__
#define _HPy_NONE_OF(first)

#endif /* HPY_COMPILER_H */
