/* Modules: what a binary exports, and where its trampolines find their context. */
#ifndef HPY_HPYMODULE_H
#define HPY_HPYMODULE_H

/* The context that trampolines use: in the CPython ABI itself, elsewhere the runtime's. With HPY_EMBEDDED_MODULES defined,
   several modules share one binary: each has all its definitions in one file, with HPY_MOD_EMBEDDABLE(name) before the first
   of them, and its context is private to the file. */
#ifdef HPY_ABI_CPYTHON
#  define _HPy_TRAMPOLINE_CONTEXT HPyContext _hpy_context;
#else
#  define _HPy_TRAMPOLINE_CONTEXT HPyContext *_ctx_for_trampolines;
#endif

#ifdef HPY_EMBEDDED_MODULES
#  define HPY_MOD_EMBEDDABLE(modname) static _HPy_TRAMPOLINE_CONTEXT
#  define _HPy_DEFINE_TRAMPOLINE_CONTEXT
#else
#  define HPY_MOD_EMBEDDABLE(modname)
#  define _HPy_DEFINE_TRAMPOLINE_CONTEXT _HPy_HIDDEN _HPy_TRAMPOLINE_CONTEXT
extern _HPy_HIDDEN _HPy_TRAMPOLINE_CONTEXT
#endif

/* What a binary exports that has declared that it needs no GIL. */
#ifdef HPY_MOD_GIL_NOT_USED
#  define _HPy_WITHOUT_GIL(ext_name) HPyInitWithoutGIL_##ext_name
#  define _HPy_DECLARE_WITHOUT_GIL(ext_name)                                                  \
      HPy_EXPORTED_FUNC void HPyInitWithoutGIL_##ext_name(const _HPyThreading *threading);    \
      HPy_EXPORTED_FUNC void HPyInitWithoutGIL_##ext_name(const _HPyThreading *threading)     \
      {                                                                                       \
          _HPy_threading = threading;                                                         \
      }
#else
#  define _HPy_WITHOUT_GIL(ext_name) NULL
#  define _HPy_DECLARE_WITHOUT_GIL(ext_name)
#endif

#ifdef HPY_ABI_UNIVERSAL
/* What a universal binary hands over to the runtime when CPython imports it by its PyInit_NAME. Released runtimes know it, so
   whatever is new comes last, with a higher `size`. */
typedef struct {
    uint32_t size;
    uint32_t major;
    uint32_t minor;
    const char *name;
    void (*set_context)(HPyContext *ctx);
    HPyModuleDef *(*init)(void);
    /* Null for a module that has not declared that it needs no GIL. Called where there is none. */
    void (*set_threading)(const _HPyThreading *threading);
    void (*set_shortcuts)(const _HPyShortcuts *shortcuts);
} _HPyModule_Entry;

/* Asks the installed runtime for CPython's definition of the module. CPython's functions are looked up in the process, so
   the binary can be loaded where there are none. Returns null with an ImportError if there is no such runtime. */
HPyAPI_HELPER void *_HPyModule_Import(const _HPyModule_Entry *entry);

#  define _HPy_PYINIT(ext_name)                                                                              \
      HPy_EXPORTED_FUNC void *PyInit_##ext_name(void);                                                       \
      HPy_EXPORTED_FUNC void *PyInit_##ext_name(void)                                                        \
      {                                                                                                      \
          static const _HPyModule_Entry entry = {                                                            \
              sizeof(_HPyModule_Entry), HPY_ABI_VERSION,                     HPY_ABI_VERSION_MINOR,          \
              #ext_name,                HPyInitGlobalContext_##ext_name,     HPyInit_##ext_name,             \
              _HPy_WITHOUT_GIL(ext_name),   HPyInitShortcuts_##ext_name                                      \
          };                                                                                                 \
          return _HPyModule_Import(&entry);                                                                  \
      }
#else
#  define _HPy_PYINIT(ext_name)
#endif

/* HPy_MODINIT(NAME, moduledef) exports the module. NAME is the last part of the module's name, with '-' as '_'; moduledef
   is a static HPyModuleDef. */
#ifdef HPY_ABI_CPYTHON

/* Fills the context in and gives CPython the definition of the module of this name. */
HPyAPI_HELPER PyObject *_HPyModule_Init(HPyContext *ctx, HPyModuleDef *def, int gil_not_used, const char *name);

#ifdef HPY_MOD_GIL_NOT_USED
#  define _HPy_GIL_NOT_USED 1
#else
#  define _HPy_GIL_NOT_USED 0
#endif

#define HPy_MODINIT(ext_name, mod_def)                                                                   \
    _HPy_DEFINE_TRAMPOLINE_CONTEXT                                                                       \
    PyMODINIT_FUNC PyInit_##ext_name(void);                                                              \
    PyMODINIT_FUNC PyInit_##ext_name(void)                                                               \
    {                                                                                                    \
        return _HPyModule_Init(&_hpy_context, &mod_def, _HPy_GIL_NOT_USED, #ext_name);                   \
    }

#else

#define HPy_MODINIT(ext_name, mod_def)                                                                   \
    HPy_EXPORTED_FUNC uint32_t get_required_hpy_major_version_##ext_name(void);                          \
    HPy_EXPORTED_FUNC uint32_t get_required_hpy_major_version_##ext_name(void) { return HPY_ABI_VERSION; } \
    HPy_EXPORTED_FUNC uint32_t get_required_hpy_minor_version_##ext_name(void);                          \
    HPy_EXPORTED_FUNC uint32_t get_required_hpy_minor_version_##ext_name(void)                           \
    {                                                                                                    \
        return HPY_ABI_VERSION_MINOR;                                                                    \
    }                                                                                                    \
    _HPy_DEFINE_TRAMPOLINE_CONTEXT                                                                       \
    HPy_EXPORTED_FUNC void HPyInitGlobalContext_##ext_name(HPyContext *ctx);                             \
    HPy_EXPORTED_FUNC void HPyInitGlobalContext_##ext_name(HPyContext *ctx)                              \
    {                                                                                                    \
        _ctx_for_trampolines = ctx;                                                                      \
        _HPy_RecognizePyPy(ctx);                                                                         \
    }                                                                                                    \
    HPy_EXPORTED_FUNC HPyModuleDef *HPyInit_##ext_name(void);                                            \
    HPy_EXPORTED_FUNC HPyModuleDef *HPyInit_##ext_name(void) { return &mod_def; }                        \
    HPy_EXPORTED_FUNC void HPyInitShortcuts_##ext_name(const _HPyShortcuts *shortcuts);                  \
    HPy_EXPORTED_FUNC void HPyInitShortcuts_##ext_name(const _HPyShortcuts *shortcuts)                   \
    {                                                                                                    \
        _HPy_SetShortcuts(shortcuts);                                                                    \
    }                                                                                                    \
    _HPy_DECLARE_WITHOUT_GIL(ext_name)                                                                   \
    _HPy_PYINIT(ext_name)

#endif /* HPY_ABI_CPYTHON */

#endif /* HPY_HPYMODULE_H */
