/* Macros that extensions use. */
#ifndef HPY_MACROS_H
#define HPY_MACROS_H

/* HPy_New(ctx, type, &ptr) makes an instance of a type of ours and points ptr at its zeroed struct. The result is
   new; on failure it is null, and ptr as it was. */
#define HPy_New(ctx, cls, data) (_HPy_NewInto((ctx), (cls), (void *)(data)))

HPyAPI_FUNC HPy _HPy_NewInto(HPyContext *ctx, HPy h_type, void *data)
{
    /* The address of the caller's variable does not escape, so the compiler may keep it in a register. Copied as bytes,
       because the variable is a pointer to something else than void. */
    void *made = NULL;
    HPy h = _HPy_New(ctx, h_type, &made);
    if (!HPy_IsNull(h))
        memcpy(data, &made, sizeof(made));
    return h;
}

/* Returns, from a tp_richcompare, whether val1 OP val2 holds; the values are of any C type that compares. */
#define HPy_RETURN_RICHCOMPARE(ctx, val1, val2, op)                                   \
    do {                                                                              \
        bool _hpy_holds = false;                                                      \
        switch (op) {                                                                 \
        case HPy_LT: _hpy_holds = (val1) < (val2); break;                             \
        case HPy_LE: _hpy_holds = (val1) <= (val2); break;                            \
        case HPy_EQ: _hpy_holds = (val1) == (val2); break;                            \
        case HPy_NE: _hpy_holds = (val1) != (val2); break;                            \
        case HPy_GT: _hpy_holds = (val1) > (val2); break;                             \
        case HPy_GE: _hpy_holds = (val1) >= (val2); break;                            \
        default: HPy_FatalError((ctx), "Invalid value for HPy_RichCmpOp");            \
        }                                                                             \
        return HPy_Dup((ctx), _hpy_holds ? (ctx)->h_True : (ctx)->h_False);           \
    } while (0)

/* Between these two the thread does not hold the interpreter: no call of the API, others may run. */
#define HPy_BEGIN_LEAVE_PYTHON(context) \
    {                                   \
        HPyThreadState _token = HPy_LeavePythonExecution(context);

#define HPy_END_LEAVE_PYTHON(context)                \
        HPy_ReenterPythonExecution(context, _token); \
    }

/* A process id as a Python int and back. */
#if !defined(SIZEOF_PID_T) || SIZEOF_PID_T == SIZEOF_INT
#  define _HPy_PARSE_PID "i"
#  define HPyLong_FromPid HPyLong_FromLong
#  define HPyLong_AsPid HPyLong_AsLong
#elif SIZEOF_PID_T == SIZEOF_LONG
#  define _HPy_PARSE_PID "l"
#  define HPyLong_FromPid HPyLong_FromLong
#  define HPyLong_AsPid HPyLong_AsLong
#else
#  define _HPy_PARSE_PID "L"
#  define HPyLong_FromPid HPyLong_FromLongLong
#  define HPyLong_AsPid HPyLong_AsLongLong
#endif

#endif /* HPY_MACROS_H */
