/* Functions that do next to nothing, so that what is measured is the way in and out; and total, which calls the API often. */
#include <hpy.h>

HPyDef_METH(noargs, "noargs", HPyFunc_NOARGS)
static HPy noargs_impl(HPyContext *ctx, HPy self)
{
    (void)self;
    return HPy_Dup(ctx, ctx->h_None);
}

HPyDef_METH(onearg, "onearg", HPyFunc_O)
static HPy onearg_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    return HPy_Dup(ctx, arg);
}

HPyDef_METH(varargs, "varargs", HPyFunc_VARARGS)
static HPy varargs_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
{
    (void)self;
    (void)args;
    return HPyLong_FromSsize_t(ctx, (HPy_ssize_t)nargs);
}

HPyDef_METH(add, "add", HPyFunc_O)
static HPy add_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    return HPy_Add(ctx, arg, arg);
}

HPyDef_METH(total, "total", HPyFunc_O)
static HPy total_impl(HPyContext *ctx, HPy self, HPy list)
{
    (void)self;
    long sum = 0;
    HPy_ssize_t n = HPy_Length(ctx, list);
    for (HPy_ssize_t i = 0; i < n; i++) {
        HPy item = HPy_GetItem_i(ctx, list, i);
        if (HPy_IsNull(item))
            return HPy_NULL;
        sum += HPyLong_AsLong(ctx, item);
        HPy_Close(ctx, item);
    }
    return HPyErr_Occurred(ctx) ? HPy_NULL : HPyLong_FromLong(ctx, sum);
}

static HPyDef *defines[] = { &noargs, &onearg, &varargs, &add, &total, NULL };
static HPyModuleDef moduledef = { .defines = defines };

HPy_MODINIT(calls_hpy, moduledef)
