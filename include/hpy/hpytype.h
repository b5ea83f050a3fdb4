/* Types: the helpers that go with a type's C struct. */
#ifndef HPY_HPYTYPE_H
#define HPY_HPYTYPE_H

/* HPyType_HELPERS(T), or HPyType_HELPERS(T, HPyType_BuiltinShape_List) for a type that derives from a built-in one, defines
   T *T_AsStruct(HPyContext *ctx, HPy h), which gives the struct of an instance, and what SHAPE(T) needs. T is the name of a
   typedef. */
#define HPyType_HELPERS(...) _HPy_EXPAND(_HPyType_HELPERS(__VA_ARGS__, HPyType_BuiltinShape_Object, 0))

/* The same for a struct that starts with PyObject_HEAD. */
#define HPyType_LEGACY_HELPERS(TYPE) HPyType_HELPERS(TYPE, HPyType_BuiltinShape_Legacy)

/* The shape given to HPyType_HELPERS(TYPE, ...), for HPyType_Spec.builtin_shape. */
#define SHAPE(TYPE) ((HPyType_BuiltinShape)TYPE##_SHAPE)

/* MSVC's traditional preprocessor passes __VA_ARGS__ on as one argument, unless it is read again. */

#define _HPyType_HELPERS(TYPE, BUILTIN_SHAPE, ...)                \
    enum { TYPE##_SHAPE = (int)BUILTIN_SHAPE };                   \
    HPyAPI_FUNC TYPE *TYPE##_AsStruct(HPyContext *ctx, HPy h)     \
    {                                                             \
        return (TYPE *)BUILTIN_SHAPE##_AsStruct(ctx, h);          \
    }

#define HPyType_BuiltinShape_Legacy_AsStruct _HPy_AsStruct_Legacy
#define HPyType_BuiltinShape_Object_AsStruct _HPy_AsStruct_Object
#define HPyType_BuiltinShape_Type_AsStruct _HPy_AsStruct_Type
#define HPyType_BuiltinShape_Long_AsStruct _HPy_AsStruct_Long
#define HPyType_BuiltinShape_Float_AsStruct _HPy_AsStruct_Float
#define HPyType_BuiltinShape_Unicode_AsStruct _HPy_AsStruct_Unicode
#define HPyType_BuiltinShape_Tuple_AsStruct _HPy_AsStruct_Tuple
#define HPyType_BuiltinShape_List_AsStruct _HPy_AsStruct_List
#define HPyType_BuiltinShape_Dict_AsStruct _HPy_AsStruct_Dict

/* Named by no function; kept for extensions that name it. */
typedef struct {
    cpy_vectorcallfunc cpy_trampoline;
    HPyCallFunction impl;
} HPyType_Vectorcall;

#endif /* HPY_HPYTYPE_H */
