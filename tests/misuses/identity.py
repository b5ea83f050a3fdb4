"""What a handle stands for, and whose it is."""

from misuses.case import case
from misuses.types import pair
from type_snippets import GC, method, slot, type_source

# A null that nobody checked, and what the clean twin does with something that is none.
for name, wrong, right, function in (
    ("argument", "return HPyLong_FromSsize_t(ctx, HPy_Length(ctx, HPy_NULL));", "", "HPy_Length"),
    ("second argument", "return HPy_GetItem(ctx, arg, HPy_NULL);", "return HPy_GetItem(ctx, arg, arg);", "HPy_GetItem"),
    ("array", "HPy items[] = { arg, HPy_NULL }; return HPyTuple_FromArray(ctx, items, 2);", "", "HPyTuple_FromArray"),
    (
        "no array",
        "return HPy_Call(ctx, ctx->h_ListType, NULL, 1, HPy_NULL);",
        "return HPy_Call(ctx, ctx->h_ListType, NULL, 0, HPy_NULL);",
        "HPy_Call",
    ),
    ("string", "return HPyUnicode_FromString(ctx, NULL);", "", "HPyUnicode_FromString"),
    ("spec", "return HPyType_FromSpec(ctx, NULL, NULL);", "", "HPyType_FromSpec"),
    ("tracker", "HPyTracker_Close(ctx, (HPyTracker){ 0 });", "", "HPyTracker_Close"),
    ("global", "HPyGlobal_Store(ctx, NULL, arg);", "", "HPyGlobal_Store"),
    ("empty global", "return HPyGlobal_Load(ctx, empty);", "HPyGlobal_Store(ctx, &empty, HPy_NULL);", "HPyGlobal_Load"),
):
    case(
        f"D020 {name}",
        f"""
        static HPyGlobal empty;
        FUNC_O(f)
        {{
            (void)empty;
          - {wrong} /* HERE */
          + {right}
            return NONE;
        }}
        """,
        """
        - mod.f([])
        + raises(TypeError, mod.f, [])
        """,
        function,
    )
case(
    "D020 pointer to the result",
    """
    FUNC_O(f)
    {
      + HPy value;
      - HPyContextVar_Get(ctx, arg, HPy_NULL, NULL); /* HERE */
      + HPyContextVar_Get(ctx, arg, HPy_NULL, &value);
      + HPy_Close(ctx, value);
        return NONE;
    }
    """,
    """
    import contextvars
    mod.f(contextvars.ContextVar("variable", default=[]))
    """,
    "HPyContextVar_Get",
)
case(
    "D020 item of a builder",
    """
    FUNC_NOARGS(f)
    {
        HPyListBuilder builder = HPyListBuilder_New(ctx, 1);
      - HPyListBuilder_Set(ctx, builder, 0, HPy_NULL); /* HERE */
      + HPyListBuilder_Set(ctx, builder, 0, ctx->h_None);
        return HPyListBuilder_Build(ctx, builder);
    }
    """,
    "mod.f()",
    "HPyListBuilder_Set",
)
case(
    "D020 empty field",
    type_source(
        "Pair",
        "HPyField first;",
        slot("tp_traverse", "Pair *data = object; HPy_VISIT(&data->first); return 0;"),
        method(
            "get",
            """
          + if (HPyField_IsNull(Pair_AsStruct(ctx, self)->first))
              + return NONE;
            return HPyField_Load(ctx, self, Pair_AsStruct(ctx, self)->first); /* HERE */
            """,
        ),
        flags=GC,
    ),
    "mod.Pair().get()",
    "HPyField_Load",
)

for name, value in (
    ("small number", "42"),
    ("negative number", "-1"),
    ("pattern", "0x5a5a5a5a5a5a5a5a"),
    ("address", "(intptr_t)text"),
):
    case(
        f"D021 {name}",
        f"""
        static const char text[] = "This is no object, and no handle of one.";
        FUNC_O(f)
        {{
            (void)text;
          - HPy h = {{ {value} }};
          + HPy h = arg;
            HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
            return HPyLong_FromSsize_t(ctx, size);
        }}
        """,
        "mod.f('text')",
        "HPy_Length",
    )
case(
    "D021 closed",
    """
    FUNC_O(f)
    {
      - HPy h = { 42 };
      + HPy h = HPy_NULL;
        HPy_Close(ctx, h); /* HERE */
        return NONE;
    }
    """,
    "mod.f('text')",
    "HPy_Close",
)
case(
    "D021 result",
    """
    - FUNC_NOARGS(f) { return (HPy){ 42 }; } /* HERE */
    + FUNC_NOARGS(f) { return HPyLong_FromInt64_t(ctx, 42); }
    """,
    "mod.f()",
)
case(
    "D021 array",
    """
    FUNC_O(f)
    {
        HPy items[2];
        memset(items, 0x5a, sizeof(items));
        items[0] = arg;
      + items[1] = arg;
        return HPyTuple_FromArray(ctx, items, 2); /* HERE */
    }
    """,
    "mod.f('text')",
    "HPyTuple_FromArray",
)
case(
    "D021 text for an object in a format",
    """
    FUNC_NOARGS(f)
    {
        const char *text = "This is no object, and no handle of one.";
      - return HPyUnicode_FromFormat(ctx, "%S", text); /* HERE */
      + return HPyUnicode_FromFormat(ctx, "%s", text);
    }
    """,
    "mod.f()",
)
case(
    "D021 number for an object in a format",
    """
    FUNC_NOARGS(f)
    {
      - return HPy_BuildValue(ctx, "O", (intptr_t)42); /* HERE */
      + return HPy_BuildValue(ctx, "l", 42L);
    }
    """,
    "mod.f()",
)
case(
    "D021 builder as a handle",
    """
    FUNC_O(f)
    {
        HPyListBuilder builder = HPyListBuilder_New(ctx, 1);
        HPyListBuilder_Set(ctx, builder, 0, arg);
      - HPy h = { builder._lst };
      + HPy h = HPyListBuilder_Build(ctx, builder);
        HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
      - HPyListBuilder_Cancel(ctx, builder);
      + HPy_Close(ctx, h);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "mod.f('text')",
    "HPy_Length",
)
case(
    "D021 tracker as a handle",
    """
    FUNC_O(f)
    {
        HPyTracker ht = HPyTracker_New(ctx, 1);
      - HPy h = { ht._i };
      + HPy h = arg;
        HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
        HPyTracker_Close(ctx, ht);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "mod.f('text')",
    "HPy_Length",
)
case(
    "D021 handle as a builder",
    """
    FUNC_O(f)
    {
        HPyListBuilder builder = HPyListBuilder_New(ctx, 0);
      - HPyListBuilder_Cancel(ctx, builder);
      - builder._lst = arg._i;
        HPy result = HPyListBuilder_Build(ctx, builder); /* HERE */
        return result;
    }
    """,
    "mod.f('text')",
    "HPyListBuilder_Build",
)

case(
    "D022 pointer to an object",
    """
    #include <Python.h>
    FUNC_O(f)
    {
        PyObject *object = HPy_AsPyObject(ctx, arg);
      - HPy h = { (intptr_t)object };
      + HPy h = HPy_FromPyObject(ctx, object);
        HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
      + HPy_Close(ctx, h);
        Py_DECREF(object);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "mod.f('text')",
    "HPy_Length",
    abi="hybrid",
)
case(
    "D022 returned pointer to an object",
    """
    #include <Python.h>
    - FUNC_O(f) { return (HPy){ (intptr_t)HPy_AsPyObject(ctx, arg) }; } /* HERE */
    + FUNC_O(f) { return HPy_Dup(ctx, arg); }
    """,
    "mod.f('text')",
    abi="hybrid",
)
case(
    "D022 handle of universal mode",
    """
    static HPy handle;
    FUNC_O(open)
    {
        handle = HPy_Dup(ctx, arg);
        return HPyCapsule_New(ctx, &handle, "mod.handle", NULL);
    }
    FUNC_NOARGS(close)
    {
        HPy_Close(ctx, handle);
        return NONE;
    }
    FUNC_O(use)
    {
        HPy *pointer = HPyCapsule_GetPointer(ctx, arg, "mod.handle");
        if (pointer == NULL)
            return HPy_NULL;
        HPy_ssize_t size = HPy_Length(ctx, *pointer); /* HERE */
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    """
    - other = again(binary, "universal")
    + other = mod
    capsule = other.open(['in the list'])
    mod.use(capsule)
    other.close()
    """,
    "HPy_Length",
)

KEPT = """
    - static HPy kept;
    + static HPyGlobal kept;
    FUNC_O(keep)
    {
      - kept = HPy_Dup(ctx, arg); /* OPENED */
      + HPyGlobal_Store(ctx, &kept, arg);
        return NONE;
    }
    FUNC_NOARGS(use)
    {
      - return HPy_Repr(ctx, kept); /* HERE */
      + HPy h = HPyGlobal_Load(ctx, kept), result = HPy_Repr(ctx, h);
      + HPy_Close(ctx, h);
      + return result;
    }
    FUNC_VARARGS(keep_and_call)
    {
      - kept = args[0];
      + HPyGlobal_Store(ctx, &kept, args[0]);
        return HPy_CallTupleDict(ctx, args[1], HPy_NULL, HPy_NULL);
    }
"""
case(
    "D023 kept",
    KEPT,
    """
    mod.keep([])
    in_thread(mod.use)
    """,
    "HPy_Repr",
)
case(
    "D023 argument of a call that is still running",
    KEPT.replace("/* OPENED */", ""),
    "mod.keep_and_call([], lambda: in_thread(mod.use))",
    "HPy_Repr",
)
case(
    "D023 builder",
    """
    static HPyListBuilder builder;
    FUNC_NOARGS(begin)
    {
      - builder = HPyListBuilder_New(ctx, 1); /* OPENED */
        return NONE;
    }
    FUNC_O(end)
    {
      + builder = HPyListBuilder_New(ctx, 1);
      - HPyListBuilder_Set(ctx, builder, 0, arg); /* HERE */
      + HPyListBuilder_Set(ctx, builder, 0, arg);
        return HPyListBuilder_Build(ctx, builder);
    }
    """,
    """
    mod.begin()
    in_thread(lambda: mod.end(1))
    """,
    "HPyListBuilder_Set",
)
case(
    "D023 tracker",
    """
    static HPyTracker tracker;
    FUNC_NOARGS(begin)
    {
      - tracker = HPyTracker_New(ctx, 1); /* OPENED */
        return NONE;
    }
    FUNC_O(end)
    {
      + tracker = HPyTracker_New(ctx, 1);
        HPy h = HPy_Dup(ctx, arg);
      - HPyTracker_Add(ctx, tracker, h); /* HERE */
      + HPyTracker_Add(ctx, tracker, h);
        HPyTracker_Close(ctx, tracker);
        return NONE;
    }
    """,
    """
    mod.begin()
    in_thread(lambda: mod.end(1))
    """,
    "HPyTracker_Add",
)
# A binary of its own. Interpreters share its variables, and only None may be let go by any of them.
KEPT_BY_INTERPRETERS = KEPT + "/* by interpreters */"
case(
    "D024 kept",
    KEPT_BY_INTERPRETERS,
    """
    - mod.keep([])
    - in_interpreter(binary, "mod.use()")
    + in_interpreter(binary, "mod.keep(None); mod.use()")
    """,
    "HPy_Repr",
)
case(
    "D024 argument of a call that is still running",
    KEPT_BY_INTERPRETERS.replace("/* OPENED */", ""),
    """
    - mod.keep_and_call([], lambda: in_interpreter(binary, "mod.use()"))
    + mod.keep_and_call(None, lambda: in_interpreter(binary, "mod.keep(None); mod.use()"))
    """,
    "HPy_Repr",
)

case(
    "D025 field",
    pair(
        method(
            "f",
            """
            Pair *data = Pair_AsStruct(ctx, self);
          - HPy h = { data->first._i };
          + HPy h = HPyField_Load(ctx, self, data->first);
            HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
          + HPy_Close(ctx, h);
            return HPyLong_FromSsize_t(ctx, size);
            """,
        )
    ),
    """
    instance = mod.Pair()
    instance.first = 'text'
    instance.f()
    """,
    "HPy_Length",
)
case(
    "D025 global",
    """
    static HPyGlobal kept;
    FUNC_O(keep) { HPyGlobal_Store(ctx, &kept, arg); return NONE; }
    FUNC_NOARGS(use)
    {
      - HPy h = { kept._i };
      + HPy h = HPyGlobal_Load(ctx, kept);
        HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
      + HPy_Close(ctx, h);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    """
    mod.keep('text')
    mod.use()
    """,
    "HPy_Length",
)
case(
    "D025 returned global",
    """
    static HPyGlobal kept;
    FUNC_O(keep) { HPyGlobal_Store(ctx, &kept, arg); return NONE; }
    - FUNC_NOARGS(use) { return (HPy){ kept._i }; } /* HERE */
    + FUNC_NOARGS(use) { return HPyGlobal_Load(ctx, kept); }
    """,
    """
    mod.keep('text')
    mod.use()
    """,
)
case(
    "D025 closed field",
    pair(
        method(
            "f",
            """
            Pair *data = Pair_AsStruct(ctx, self);
          - HPy_Close(ctx, (HPy){ data->first._i }); /* HERE */
          + HPyField_Store(ctx, self, &data->first, HPy_NULL);
            return NONE;
            """,
        )
    ),
    """
    instance = mod.Pair()
    instance.first = 'text'
    instance.f()
    """,
    "HPy_Close",
)

case(
    "D026 of an earlier call",
    """
    static HPyContext *kept;
    FUNC_NOARGS(keep) { kept = ctx; return NONE; }
    FUNC_O(use)
    {
      - HPy_ssize_t size = HPy_Length(kept, arg); /* HERE */
      + HPy_ssize_t size = HPy_Length(ctx, arg);
        return HPyLong_FromSsize_t(ctx, size + (kept == NULL));
    }
    """,
    """
    mod.keep()
    mod.use('text')
    """,
    "HPy_Length",
)
case(
    "D026 of the calling call",
    """
    static HPyContext *kept;
    FUNC_O(keep_and_call) { kept = ctx; return HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL); }
    FUNC_O(use)
    {
      - HPy_ssize_t size = HPy_Length(kept, arg); /* HERE */
      + HPy_ssize_t size = HPy_Length(ctx, arg);
        return HPyLong_FromSsize_t(ctx, size + (kept == NULL));
    }
    """,
    "mod.keep_and_call(lambda: mod.use('text'))",
    "HPy_Length",
)
case(
    "D026 of the import",
    """
    static HPyContext *kept;
    HPyDef_SLOT(exec, HPy_mod_exec)
    static int exec_impl(HPyContext *ctx, HPy module) { kept = ctx; return 0; }
    FUNC_NOARGS(use)
    {
      - HPy result = HPyList_New(kept, 0); /* HERE */
      + HPy result = HPyList_New(ctx, kept == NULL);
        return result;
    }
    """,
    "mod.use()",
    "HPyList_New",
)
case(
    "D026 of another thread",
    """
    static HPyContext *kept;
    FUNC_O(keep_and_call) { kept = ctx; return HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL); }
    FUNC_O(use)
    {
      - HPy_ssize_t size = HPy_Length(kept, arg); /* HERE */
      + HPy_ssize_t size = HPy_Length(ctx, arg);
        return HPyLong_FromSsize_t(ctx, size + (kept == NULL));
    }
    """,
    "mod.keep_and_call(lambda: in_thread(mod.use, 'text'))",
    "HPy_Length",
)
