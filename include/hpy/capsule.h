/* Capsules, part by part: the typed forms of HPyCapsule_Get and HPyCapsule_Set. All raise ValueError, and return NULL or -1,
   if the handle is not a capsule. */
#ifndef HPY_CAPSULE_H
#define HPY_CAPSULE_H

/* The pointer in a capsule, whose name has to be the given one. */
HPyAPI_FUNC void *HPyCapsule_GetPointer(HPyContext *ctx, HPy capsule, const char *utf8_name)
{
    return HPyCapsule_Get(ctx, capsule, HPyCapsule_key_Pointer, utf8_name);
}

/* The name of a capsule, which may be NULL: HPyErr_Occurred tells that from an error. The string is the creator's. */
HPyAPI_FUNC const char *HPyCapsule_GetName(HPyContext *ctx, HPy capsule)
{
    return (const char *)HPyCapsule_Get(ctx, capsule, HPyCapsule_key_Name, NULL);
}

/* The context of a capsule, which may be NULL: HPyErr_Occurred tells that from an error. */
HPyAPI_FUNC void *HPyCapsule_GetContext(HPyContext *ctx, HPy capsule)
{
    return HPyCapsule_Get(ctx, capsule, HPyCapsule_key_Context, NULL);
}

/* Sets the pointer, which may not be NULL. Returns 0 or -1. */
HPyAPI_FUNC int HPyCapsule_SetPointer(HPyContext *ctx, HPy capsule, void *pointer)
{
    return HPyCapsule_Set(ctx, capsule, HPyCapsule_key_Pointer, pointer);
}

/* Sets the name, which has to stay as long as the capsule does; it is not copied. Returns 0 or -1. */
HPyAPI_FUNC int HPyCapsule_SetName(HPyContext *ctx, HPy capsule, const char *utf8_name)
{
    return HPyCapsule_Set(ctx, capsule, HPyCapsule_key_Name, (void *)utf8_name);
}

/* Sets the context. Returns 0 or -1. */
HPyAPI_FUNC int HPyCapsule_SetContext(HPyContext *ctx, HPy capsule, void *context)
{
    return HPyCapsule_Set(ctx, capsule, HPyCapsule_key_Context, context);
}

/* Sets the destructor, made with HPyCapsule_DESTRUCTOR; NULL takes it away. Returns 0 or -1. */
HPyAPI_FUNC int HPyCapsule_SetDestructor(HPyContext *ctx, HPy capsule, HPyCapsule_Destructor *destructor)
{
    return HPyCapsule_Set(ctx, capsule, HPyCapsule_key_Destructor, (void *)destructor);
}

#endif /* HPY_CAPSULE_H */
