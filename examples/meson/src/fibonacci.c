/* The numbers of Fibonacci. MODULE is the name of the module, which the build defines. */
#include <hpy.h>

HPyDef_METH(fibonacci, "fibonacci", HPyFunc_O, .doc = "fibonacci(n, /)\n--\n\nReturn the n-th number of Fibonacci.")
static HPy fibonacci_impl(HPyContext *ctx, HPy self, HPy arg)
{
    (void)self;
    long n = HPyLong_AsLong(ctx, arg);
    if (n == -1 && HPyErr_Occurred(ctx))
        return HPy_NULL;
    if (n < 0 || n > 90)
        return HPyErr_Format(ctx, ctx->h_ValueError, "n has to be from 0 to 90, not %ld", n);
    long long a = 0, b = 1;
    for (; n > 0; n--) {
        long long next = a + b;
        a = b;
        b = next;
    }
    return HPyLong_FromLongLong(ctx, a);
}

static HPyDef *defines[] = { &fibonacci, NULL };
static HPyModuleDef definition = { .doc = "built for " HPY_ABI, .defines = defines };

/* The macro takes a name as it stands, so MODULE is replaced first. */
#define EXPORT(name) HPy_MODINIT(name, definition)
EXPORT(MODULE)
