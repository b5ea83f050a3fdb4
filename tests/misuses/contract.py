"""What a call or a function of an extension has to keep to: exceptions, results, threads."""

from misuses.case import PRINTED, case, split
from misuses.types import small
from type_snippets import GC, slot, type_source

case(
    "D030 new list",
    """
    FUNC_NOARGS(f)
    {
        HPyErr_SetString(ctx, ctx->h_ValueError, "wrong");
      - HPy_Close(ctx, HPyList_New(ctx, 0)); /* HERE */
        return HPy_NULL;
    }
    """,
    "raises(ValueError, mod.f)",
    "HPyList_New",
)
case(
    "D030 call",
    """
    FUNC_O(f)
    {
      - HPyErr_SetString(ctx, ctx->h_ValueError, "wrong");
        HPy result = HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL); /* HERE */
        HPy_Close(ctx, result);
      + HPyErr_SetString(ctx, ctx->h_ValueError, "wrong");
        return HPy_NULL;
    }
    """,
    "raises(ValueError, mod.f, list)",
    "HPy_CallTupleDict",
)
case(
    "D030 after an exception of its own in a loop",
    """
    FUNC_VARARGS(f)
    {
        for (size_t i = 0; i < nargs; i++) {
            int is_text = HPyUnicode_Check(ctx, args[i]); /* HERE */
            HPy_ssize_t size = is_text ? HPy_Length(ctx, args[i]) : 0;
            if (size == 0) {
                HPyErr_SetString(ctx, ctx->h_ValueError, "empty");
              + return HPy_NULL;
            }
        }
        return NULL_IF(HPyErr_Occurred(ctx));
    }
    """,
    "raises(ValueError, mod.f, '', 'text')",
    "HPyUnicode_Check",
)
case(
    "D030 call by legacy code",
    """
    #include <Python.h>
    FUNC_O(g) { HPy h = HPy_Repr(ctx, arg); return h; }
    FUNC_O(f)
    {
        PyObject *function = HPy_AsPyObject(ctx, arg), *size = PyLong_FromLong(5);
      - PyErr_SetString(PyExc_ValueError, "wrong");
        PyObject *result = PyObject_CallOneArg(function, size);
      - Py_CLEAR(result);
        Py_DECREF(function);
        Py_DECREF(size);
        HPy h = HPy_FromPyObject(ctx, result);
        Py_XDECREF(result);
        return h;
    }
    """,
    """
    - raises((ValueError, SystemError), mod.f, mod.g)
    + mod.f(mod.g)
    """,
    "",
    abi="hybrid",
    seen=PRINTED,
)
case(
    "D030 error of legacy code",
    """
    #include <Python.h>
    FUNC_O(f)
    {
        PyObject *object = HPy_AsPyObject(ctx, arg);
        Py_ssize_t size = PyObject_Size(object);
        Py_DECREF(object);
      + if (size < 0)
          + return HPy_NULL;
        return HPyLong_FromSsize_t(ctx, size); /* HERE */
    }
    """,
    "raises(TypeError, mod.f, 5)",
    "HPyLong_FromSsize_t",
    abi="hybrid",
)

case(
    "D031 function",
    """
    - FUNC_O(f) { return HPy_NULL; } /* HERE */
    + FUNC_O(f) { return HPyErr_SetString(ctx, ctx->h_ValueError, "wrong"); }
    """,
    "raises(ValueError, mod.f, 1)",
)


# One line each: the function's signature, and what it returns for a failure or a success.
SLOTS = {
    "nb_bool": ("static int {}_impl(HPyContext *ctx, HPy self)", "bool, mod.Small()"),
    "mp_length": ("static HPy_ssize_t {}_impl(HPyContext *ctx, HPy self)", "len, mod.Small()"),
    "sq_contains": ("static int {}_impl(HPyContext *ctx, HPy self, HPy other)", "lambda: 1 in mod.Small()"),
    "tp_hash": ("static HPy_hash_t {}_impl(HPyContext *ctx, HPy self)", "hash, mod.Small()"),
    "tp_init": (
        "static int {}_impl(HPyContext *ctx, HPy self, const HPy *args, HPy_ssize_t nargs, HPy kw)",
        "mod.Small",
    ),
    "tp_new": (
        "static HPy {}_impl(HPyContext *ctx, HPy type, const HPy *args, HPy_ssize_t nargs, HPy kw)",
        "mod.Small",
    ),
    "tp_repr": ("static HPy {}_impl(HPyContext *ctx, HPy self)", "repr, mod.Small()"),
    "setter": (
        "static int {}_set(HPyContext *ctx, HPy self, HPy value, void *closure)",
        "setattr, mod.Small(), 'attribute', 1",
    ),
    "getter": (
        "static HPy {}_get(HPyContext *ctx, HPy self, void *closure)",
        "getattr, mod.Small(), 'attribute'",
    ),
}


def returning(name, wrong, right):
    """The type Small with a slot, getter or setter that has one of two bodies."""
    signature = SLOTS[name][0].format(name)
    define = {"setter": 'HPyDef_SET(setter, "attribute")', "getter": 'HPyDef_GET(getter, "attribute")'}.get(
        name, f"HPyDef_SLOT({name}, HPy_{name})"
    )
    return small(f"{define}\n- {signature} {{ {wrong} }} /* HERE */\n+ {signature} {{ {right} }}\n")


RAISE = 'HPyErr_SetString(ctx, ctx->h_ValueError, "wrong");'
for name, failure in (
    ("nb_bool", "-1"),
    ("mp_length", "-1"),
    ("tp_hash", "-1"),
    ("tp_init", "-1"),
    ("tp_new", "HPy_NULL"),
    ("tp_repr", "HPy_NULL"),
    ("setter", "-1"),
    ("getter", "HPy_NULL"),
):
    case(
        f"D031 {name}",
        returning(name, f"return {failure};", f"{RAISE} return {failure};"),
        f"raises(ValueError, {SLOTS[name][1]})",
    )
case(
    "D031 import",
    """
    HPyDef_SLOT(exec, HPy_mod_exec)
    - static int exec_impl(HPyContext *ctx, HPy module) { return -1; } /* HERE */
    + static int exec_impl(HPyContext *ctx, HPy module) { return 0; }
    """,
    "mod",
)

case(
    "D032 function",
    f"""
    - FUNC_O(f) {{ {RAISE} return NONE; }} /* HERE */
    + FUNC_O(f) {{ {RAISE} HPyErr_Clear(ctx); return NONE; }}
    """,
    "mod.f(1)",
)
case(
    "D032 error of legacy code",
    """
    #include <Python.h>
    FUNC_O(f)
    { /* HERE */
        PyObject *object = HPy_AsPyObject(ctx, arg);
        Py_ssize_t size = PyObject_Size(object);
        Py_DECREF(object);
      + if (size < 0)
          + return HPy_NULL;
        (void)size;
        return NONE;
    }
    """,
    "raises(TypeError, mod.f, 5)",
    abi="hybrid",
)
for name, success in (("nb_bool", "1"), ("mp_length", "1"), ("tp_init", "0"), ("setter", "0"), ("getter", "NONE")):
    function, _, arguments = SLOTS[name][1].partition(", ")
    case(
        f"D032 {name}",
        returning(name, f"{RAISE} return {success};", f"{RAISE} HPyErr_Clear(ctx); return {success};"),
        f"({function})({arguments})",
    )
case(
    "D032 finalizer",
    type_source(
        "Small",
        "long number;",
        slot(
            "tp_finalize",
            f"""
            (void)Small_AsStruct(ctx, self);
            {RAISE}
          + HPyErr_WriteUnraisable(ctx, HPy_NULL);
            """,
        ),
    ),
    """
    import sys
    sys.unraisablehook = lambda unraisable: None
    mod.Small()
    """,
    seen=PRINTED,
)

case(
    "D033 number",
    """
    FUNC_O(f)
    {
        int64_t number = HPyLong_AsInt64_t(ctx, arg);
      + if (number == -1 && HPyErr_Occurred(ctx))
          + return HPy_NULL;
        return HPyLong_FromInt64_t(ctx, number + 1); /* HERE */
    }
    """,
    "raises(TypeError, mod.f, 'text')",
    "HPyLong_AsInt64_t|HPyLong_FromInt64_t",
)
case(
    "D033 null passed on",
    """
    FUNC_O(f)
    {
        HPy value = HPy_GetAttr_s(ctx, arg, "missing");
      + if (HPy_IsNull(value))
          + return HPy_NULL;
        HPy_ssize_t size = HPy_Length(ctx, value); /* HERE */
        HPy_Close(ctx, value);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "raises(AttributeError, mod.f, 5)",
    "HPy_GetAttr_s|HPy_Length",
)
case(
    "D033 attribute",
    """
    FUNC_O(f)
    {
      - HPy_SetAttr_s(ctx, arg, "name", ctx->h_True);
      + if (HPy_SetAttr_s(ctx, arg, "name", ctx->h_True) < 0)
          + return HPy_NULL;
        return HPy_Repr(ctx, arg); /* HERE */
    }
    """,
    "raises(AttributeError, mod.f, 5)",
    "HPy_SetAttr_s|HPy_Repr",
)
case(
    "D033 iteration",
    """
    FUNC_O(f)
    {
        HPy iterator = HPy_GetIter(ctx, arg), item;
        HPy result = HPyList_New(ctx, 0);
        while (!HPy_IsNull(item = HPyIter_Next(ctx, iterator))) {
            HPyList_Append(ctx, result, item);
            HPy_Close(ctx, item);
        }
        HPy_Close(ctx, iterator);
      + if (HPyErr_Occurred(ctx)) {
          + HPy_Close(ctx, result);
          + return HPy_NULL;
      + }
        HPy_ssize_t size = HPy_Length(ctx, result); /* HERE */
        HPy_Close(ctx, result);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "raises(ZeroDivisionError, mod.f, (1 // number for number in (1, 0)))",
    "HPyIter_Next|HPy_Length",
)

# The context belongs to a call that is running, so using it is wrong for no other reason.
CALLING = """
    static HPyContext *current;
    FUNC_O(f)
    {
        current = ctx;
        HPy result = HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL);
        HPy_Close(ctx, result);
        current = NULL;
        return NULL_IF(HPy_IsNull(result));
    }
"""
case(
    "D034 tp_traverse",
    CALLING
    + type_source(
        "Node",
        "HPyField field;",
        slot(
            "tp_traverse",
            """
            Node *data = object;
          - if (current) HPyErr_Occurred(current); /* HERE */
            HPy_VISIT(&data->field);
            return 0;
            """,
        ),
        flags=GC,
    ),
    """
    import gc
    node = mod.Node()
    mod.f(gc.collect)
    """,
    "HPyErr_Occurred",
)


def node(name, returns_and_takes, body):
    """A type with a slot whose function is on one line."""
    return type_source(
        "Node",
        "long number;",
        f"HPyDef_SLOT(last, HPy_{name})\nstatic {returns_and_takes.replace('(', 'last_impl(')} {{ {body} }}\n",
    )


case(
    "D034 tp_destroy",
    tuple(
        split(CALLING)[0] + last
        for last in (
            node("tp_destroy", "void (void *object)", "if (current) HPyErr_Occurred(current); /* HERE */"),
            node("tp_finalize", "void (HPyContext *ctx, HPy self)", "HPyErr_Occurred(ctx);"),
        )
    ),
    "mod.f(mod.Node)",
    "HPyErr_Occurred",
)
case(
    "D034 tp_destroy outside of any call",
    tuple(
        "static HPyContext *current;\nFUNC_NOARGS(remember) { current = ctx; return NULL_IF(!current); }\n" + last
        for last in (
            node("tp_destroy", "void (void *object)", "HPy_Close(current, current->h_None); /* HERE */"),
            node("tp_finalize", "void (HPyContext *ctx, HPy self)", "HPy_Close(ctx, HPy_Dup(ctx, ctx->h_None));"),
        )
    ),
    """
    node = mod.Node()
    mod.remember()
    del node
    """,
    "HPy_Close",
    seen=PRINTED,
)

case(
    "D035 after leaving",
    """
    FUNC_NOARGS(f)
    {
        HPy result = HPy_NULL;
        HPyThreadState state = HPy_LeavePythonExecution(ctx);
      - result = HPyLong_FromInt64_t(ctx, 1); /* HERE */
        HPy_ReenterPythonExecution(ctx, state);
      + result = HPyLong_FromInt64_t(ctx, 1);
        return result;
    }
    """,
    "mod.f()",
    "HPyLong_FromInt64_t",
    crashes=True,
)
case(
    "D035 handle closed after leaving",
    """
    FUNC_O(f)
    {
        HPy h = HPy_Dup(ctx, arg);
        HPy_BEGIN_LEAVE_PYTHON(ctx)
      - HPy_Close(ctx, h); /* HERE */
        HPy_END_LEAVE_PYTHON(ctx)
      + HPy_Close(ctx, h);
        return NONE;
    }
    """,
    "mod.f('text')",
    "HPy_Close",
    crashes=True,
)
THREAD = """
    #include <pthread.h>
    static HPyContext *current;
    static int64_t number;
    static void *run(void *argument)
    {
      - HPy h = HPyLong_FromInt64_t(current, 1); /* HERE */
      - number = HPyLong_AsInt64_t(current, h);
      - HPy_Close(current, h);
      + number = current != NULL;
        return NULL;
    }
    FUNC_NOARGS(f)
    {
        pthread_t thread;
        current = ctx;
        BEGIN
        if (pthread_create(&thread, NULL, run, NULL) == 0)
            pthread_join(thread, NULL);
        END
        return HPyLong_FromInt64_t(ctx, number);
    }
"""
case(
    "D035 thread while its creator has left",
    THREAD.replace("BEGIN", "HPy_BEGIN_LEAVE_PYTHON(ctx)").replace("END", "HPy_END_LEAVE_PYTHON(ctx)"),
    "mod.f()",
    "HPyLong_FromInt64_t",
    seen=PRINTED,
    crashes=True,
)
case(
    "D035 thread while its creator waits",
    THREAD.replace("BEGIN", "").replace("END", ""),
    "mod.f()",
    "HPyLong_FromInt64_t",
    seen=PRINTED,
    crashes=True,
)

case(
    "D036 never re-entered",
    """
    FUNC_NOARGS(f)
    {
        HPy result = NONE;
        HPyThreadState state = HPy_LeavePythonExecution(ctx); /* SEEN */
      - (void)state;
      + HPy_ReenterPythonExecution(ctx, state);
        return result;
    }
    """,
    "mod.f()",
    crashes=True,
)
case(
    "D036 left twice",
    """
    FUNC_NOARGS(f)
    {
        HPyThreadState first = HPy_LeavePythonExecution(ctx);
      - HPyThreadState second = HPy_LeavePythonExecution(ctx); /* HERE */
      - HPy_ReenterPythonExecution(ctx, second);
        HPy_ReenterPythonExecution(ctx, first);
        return NONE;
    }
    """,
    "mod.f()",
    "HPy_LeavePythonExecution",
    crashes=True,
)
case(
    "D036 re-entered twice",
    """
    FUNC_NOARGS(f)
    {
        HPyThreadState state = HPy_LeavePythonExecution(ctx);
        HPy_ReenterPythonExecution(ctx, state);
      - HPy_ReenterPythonExecution(ctx, state); /* HERE */
        return NONE;
    }
    """,
    "mod.f()",
    "HPy_ReenterPythonExecution",
    crashes=True,
)
case(
    "D036 re-entered by another thread",
    """
    #include <pthread.h>
    static HPyContext *current;
    static HPyThreadState state;
    static void *run(void *argument)
    {
      - HPy_ReenterPythonExecution(current, state); /* HERE */
        return NULL;
    }
    FUNC_NOARGS(f)
    {
        pthread_t thread;
        current = ctx;
        state = HPy_LeavePythonExecution(ctx);
        if (pthread_create(&thread, NULL, run, NULL) == 0)
            pthread_join(thread, NULL);
      + HPy_ReenterPythonExecution(current, state);
        return NONE;
    }
    """,
    "mod.f()",
    "HPy_ReenterPythonExecution",
    seen=PRINTED,
    crashes=True,
)

for name, wrong, right in (
    ("nb_bool", "2", "1"),
    ("mp_length", "-5", "5"),
    ("sq_contains", "7", "1"),
    ("tp_init", "1", "0"),
    ("setter", "3", "0"),
):
    function, _, arguments = SLOTS[name][1].partition(", ")
    case(
        f"D043 {name}",
        returning(name, f"return {wrong};", f"return {right};"),
        f"({function})({arguments})",
    )
