/* Definitions of slots, methods, members and attributes: HPyDef, and the macros that make one.

   Each macro defines a variable SYM, which all files of the extension can see. HPyDef_SLOT, HPyDef_METH, HPyDef_GET,
   HPyDef_SET and HPyDef_GETSET expect the implementing functions SYM_impl, SYM_get and SYM_set; their _IMPL forms take
   the functions' names. Arguments after the named ones are named initialisers, such as .doc = "...". */
#ifndef HPY_HPYDEF_H
#define HPY_HPYDEF_H

#include "hpy/generated/autogen_slots.h"
#include "hpy/generated/autogen_structs.h"

/* The signature of a slot's implementation. */
#define HPySlot_SIG(SLOT) _HPySlot_SIG__##SLOT

/* Through void(*)(void), the one function type that casts to any other without a warning. */
#define _HPyDef_IMPL(FUNCTION) ((HPyCFunction)FUNCTION)
#define _HPyDef_TRAMPOLINE(FUNCTION) ((cpy_PyCFunction)(HPyCFunction)FUNCTION)

/* A slot: HPyDef_SLOT(SYM, HPy_nb_add). */
#define HPyDef_SLOT(SYM, SLOT) HPyDef_SLOT_IMPL(SYM, SYM##_impl, SLOT)

#define HPyDef_SLOT_IMPL(SYM, IMPL, SLOT) \
    enum { SYM##_slot = SLOT };           \
    _HPyDef_SLOT(SYM, IMPL, SLOT, HPySlot_SIG(SLOT))

/* One more step, so that SIG is expanded. */
#define _HPyDef_SLOT(SYM, IMPL, SLOT, SIG) _HPyDef_SLOT_SIG(SYM, IMPL, SLOT, SIG)

#define _HPyDef_SLOT_SIG(SYM, IMPL, SLOT, SIG)                     \
    HPyFunc_DECLARE(IMPL, SIG);                                    \
    HPyFunc_TRAMPOLINE(SYM##_trampoline, IMPL, SIG)                \
    _HPy_BEGIN_NAMED_INITIALIZERS                                  \
    _HPy_HIDDEN HPyDef SYM = {                                     \
        .kind = HPyDef_Kind_Slot,                                  \
        .slot = {                                                  \
            .slot = SLOT,                                          \
            .impl = _HPyDef_IMPL(IMPL),                            \
            .cpy_trampoline = _HPyDef_TRAMPOLINE(SYM##_trampoline) \
        }                                                          \
    };                                                             \
    _HPy_END_NAMED_INITIALIZERS

/* A method or function: HPyDef_METH(SYM, "name", HPyFunc_O, .doc = "..."). */
#define HPyDef_METH(SYM, NAME, ...) HPyDef_METH_IMPL(SYM, NAME, SYM##_impl, __VA_ARGS__)

/* HPyDef_METH_IMPL(SYM, "name", function, HPyFunc_O, .doc = "..."). */
#define HPyDef_METH_IMPL(SYM, NAME, IMPL, ...) _HPyDef_METH(SYM, NAME, IMPL, _HPy_FIRST(__VA_ARGS__), __VA_ARGS__)

#define _HPyDef_METH(SYM, NAME, IMPL, SIG, ...)                     \
    HPyFunc_DECLARE(IMPL, SIG);                                     \
    HPyFunc_TRAMPOLINE(SYM##_trampoline, IMPL, SIG)                 \
    _HPy_BEGIN_NAMED_INITIALIZERS                                   \
    _HPy_HIDDEN HPyDef SYM = {                                      \
        .kind = HPyDef_Kind_Meth,                                   \
        .meth = {                                                   \
            .name = NAME,                                           \
            .impl = _HPyDef_IMPL(IMPL),                             \
            .cpy_trampoline = _HPyDef_TRAMPOLINE(SYM##_trampoline), \
            .signature = __VA_ARGS__                                \
        }                                                           \
    };                                                              \
    _HPy_END_NAMED_INITIALIZERS

/* A field of the struct as an attribute: HPyDef_MEMBER(SYM, "name", HPyMember_INT, offsetof(T, field), .readonly = 1). */
#define HPyDef_MEMBER(SYM, NAME, TYPE, ...) \
    _HPy_BEGIN_NAMED_INITIALIZERS           \
    _HPy_HIDDEN HPyDef SYM = {              \
        .kind = HPyDef_Kind_Member,         \
        .member = {                         \
            .name = NAME,                   \
            .type = TYPE,                   \
            .offset = __VA_ARGS__           \
        }                                   \
    };                                      \
    _HPy_END_NAMED_INITIALIZERS

/* The definition of an attribute; its functions are among the fields behind the name, in the order of the struct, which
   C++ insists on. */
#define _HPyDef_ATTRIBUTE(SYM, NAME, ...) \
    _HPy_BEGIN_NAMED_INITIALIZERS         \
    _HPy_HIDDEN HPyDef SYM = {            \
        .kind = HPyDef_Kind_GetSet,       \
        .getset = {                       \
            .name = NAME,                 \
            __VA_ARGS__                   \
        }                                 \
    };                                    \
    _HPy_END_NAMED_INITIALIZERS

#define _HPyDef_GETTER(TRAMPOLINE, IMPL)   \
    HPyFunc_DECLARE(IMPL, HPyFunc_GETTER); \
    HPyFunc_TRAMPOLINE(TRAMPOLINE, IMPL, HPyFunc_GETTER)

#define _HPyDef_SETTER(TRAMPOLINE, IMPL)   \
    HPyFunc_DECLARE(IMPL, HPyFunc_SETTER); \
    HPyFunc_TRAMPOLINE(TRAMPOLINE, IMPL, HPyFunc_SETTER)

/* An attribute that can only be read: HPyDef_GET(SYM, "name", .doc = "...", .closure = p). */
#define HPyDef_GET(SYM, ...) _HPyDef_GET(SYM, _HPy_FIRST(__VA_ARGS__), SYM##_get, _HPy_REST(__VA_ARGS__))

#define HPyDef_GET_IMPL(SYM, NAME, ...) _HPyDef_GET(SYM, NAME, _HPy_FIRST(__VA_ARGS__), _HPy_REST(__VA_ARGS__))

#define _HPyDef_GET(SYM, NAME, GETIMPL, ...)                           \
    _HPyDef_GETTER(SYM##_get_trampoline, GETIMPL)                      \
    _HPyDef_ATTRIBUTE(SYM, NAME, .getter_impl = _HPyDef_IMPL(GETIMPL), \
                      .getter_cpy_trampoline = (cpy_getter)SYM##_get_trampoline, __VA_ARGS__)

/* An attribute that can only be set. */
#define HPyDef_SET(SYM, ...) _HPyDef_SET(SYM, _HPy_FIRST(__VA_ARGS__), SYM##_set, _HPy_REST(__VA_ARGS__))

#define HPyDef_SET_IMPL(SYM, NAME, ...) _HPyDef_SET(SYM, NAME, _HPy_FIRST(__VA_ARGS__), _HPy_REST(__VA_ARGS__))

#define _HPyDef_SET(SYM, NAME, SETIMPL, ...)                           \
    _HPyDef_SETTER(SYM##_set_trampoline, SETIMPL)                      \
    _HPyDef_ATTRIBUTE(SYM, NAME, .setter_impl = _HPyDef_IMPL(SETIMPL), \
                      .setter_cpy_trampoline = (cpy_setter)SYM##_set_trampoline, __VA_ARGS__)

/* An attribute with a getter and a setter. */
#define HPyDef_GETSET(SYM, ...) \
    _HPyDef_GETSET(SYM, _HPy_FIRST(__VA_ARGS__), SYM##_get, SYM##_set, _HPy_REST(__VA_ARGS__))

#define HPyDef_GETSET_IMPL(SYM, NAME, GETIMPL, ...) \
    _HPyDef_GETSET(SYM, NAME, GETIMPL, _HPy_FIRST(__VA_ARGS__), _HPy_REST(__VA_ARGS__))

#define _HPyDef_GETSET(SYM, NAME, GETIMPL, SETIMPL, ...)                                                     \
    _HPyDef_GETTER(SYM##_get_trampoline, GETIMPL)                                                            \
    _HPyDef_SETTER(SYM##_set_trampoline, SETIMPL)                                                            \
    _HPyDef_ATTRIBUTE(SYM, NAME, .getter_impl = _HPyDef_IMPL(GETIMPL), .setter_impl = _HPyDef_IMPL(SETIMPL), \
                      .getter_cpy_trampoline = (cpy_getter)SYM##_get_trampoline,                             \
                      .setter_cpy_trampoline = (cpy_setter)SYM##_set_trampoline, __VA_ARGS__)

/* What HPyCapsule_New takes as destructor. Expects static void SYM_impl(const char *name, void *pointer, void *context). */
#define HPyCapsule_DESTRUCTOR(SYM)                                          \
    static void SYM##_impl(const char *name, void *pointer, void *context); \
    HPyCapsule_DESTRUCTOR_TRAMPOLINE(SYM##_trampoline, SYM##_impl)          \
    static HPyCapsule_Destructor SYM = { SYM##_trampoline, SYM##_impl };

/* What HPy_SetCallFunction takes. Expects SYM_impl with the signature HPyFunc_KEYWORDS. */
#define HPyDef_CALL_FUNCTION(SYM)                                      \
    HPyFunc_DECLARE(SYM##_impl, HPyFunc_KEYWORDS);                     \
    HPyFunc_TRAMPOLINE(SYM##_trampoline, SYM##_impl, HPyFunc_KEYWORDS) \
    static HPyCallFunction SYM = { SYM##_trampoline, SYM##_impl };

#endif /* HPY_HPYDEF_H */
