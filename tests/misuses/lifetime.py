"""How long handles, builders, trackers and buffers live."""

import re

from misuses.case import LEFT, case
from misuses.types import EXPORTER
from type_snippets import GC, method, slot, type_source

case(
    "D001 result",
    """
    FUNC_O(f)
    {
        HPy h = HPy_Dup(ctx, arg); /* OPENED */
        HPy_ssize_t size = HPy_Length(ctx, h);
      + HPy_Close(ctx, h);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "mod.f('text')",
    "HPy_Dup",
    seen=LEFT,
)
case(
    "D001 error path",
    """
    FUNC_O(f)
    {
        HPy name = HPyUnicode_FromString(ctx, "missing"); /* OPENED */
        HPy value = HPy_GetAttr(ctx, arg, name);
        if (HPy_IsNull(value)) {
          + HPy_Close(ctx, name);
            return HPy_NULL;
        }
        HPy_Close(ctx, name);
        return value;
    }
    """,
    "raises(AttributeError, mod.f, 5)",
    "HPyUnicode_FromString",
    seen=LEFT,
)
case(
    "D001 forgotten by a tracker",
    """
    FUNC_NOARGS(f)
    {
        HPyTracker ht = HPyTracker_New(ctx, 1);
        HPyTracker_Add(ctx, ht, HPyList_New(ctx, 0)); /* OPENED */
      - HPyTracker_ForgetAll(ctx, ht);
        HPyTracker_Close(ctx, ht);
        return NONE;
    }
    """,
    "mod.f()",
    "HPyList_New",
    seen=LEFT,
)
for name, made in (
    ("format", 'HPyUnicode_FromFormat(ctx, "%d", 5)'),
    ("value", 'HPy_BuildValue(ctx, "{s:(iO)}", "key", 5, arg)'),
    ("list value", 'HPy_BuildValue(ctx, "[ss]", "first", "second")'),
):
    case(
        f"D001 made by a helper, {name}",
        f"""
        FUNC_O(f)
        {{
            HPy h = {made}; /* OPENED */
            HPy_ssize_t size = HPy_Length(ctx, h);
          + HPy_Close(ctx, h);
            return HPyLong_FromSsize_t(ctx, size);
        }}
        """,
        "mod.f('text')",
        "mod.f",
        seen=LEFT,
    )
case(
    "D003 made by a helper",
    """
    FUNC_VARARGS(f)
    {
        HPyTracker ht;
        HPy value;
        if (!HPyArg_Parse(ctx, &ht, args, nargs, "O", &value)) /* OPENED */
            return HPy_NULL;
      - return HPyLong_FromSsize_t(ctx, HPy_Length(ctx, value));
      + HPy_ssize_t size = HPy_Length(ctx, value);
      + HPyTracker_Close(ctx, ht);
      + return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "mod.f('text')",
    "mod.f",
    seen=LEFT,
)
case(
    "D001 out parameter",
    """
    FUNC_O(f)
    {
        HPy value = HPy_NULL;
        if (HPyContextVar_Get(ctx, arg, HPy_NULL, &value) < 0) /* OPENED */
            return HPy_NULL;
        int found = !HPy_IsNull(value);
      + HPy_Close(ctx, value);
        return HPyBool_FromBool(ctx, found);
    }
    """,
    """
    import contextvars
    mod.f(contextvars.ContextVar("variable", default=[]))
    """,
    "HPyContextVar_Get",
    seen=LEFT,
)
case(
    "D001 slot",
    type_source(
        "Point",
        "HPyField field;",
        slot("tp_traverse", "Point *data = object; HPy_VISIT(&data->field); return 0;"),
        slot(
            "tp_init",
            """
            HPyField_Store(ctx, self, &Point_AsStruct(ctx, self)->field, ctx->h_True);
            HPy value = HPyField_Load(ctx, self, Point_AsStruct(ctx, self)->field); /* OPENED */
          - return HPy_Is(ctx, value, ctx->h_True) - 1;
          + int result = HPy_Is(ctx, value, ctx->h_True) - 1;
          + HPy_Close(ctx, value);
          + return result;
            """,
        ),
        flags=GC,
    ),
    "mod.Point()",
    "HPyField_Load",
    seen=LEFT,
)

case(
    "D002 list",
    """
    FUNC_O(f)
    {
        HPyListBuilder builder = HPyListBuilder_New(ctx, 1); /* OPENED */
        HPyListBuilder_Set(ctx, builder, 0, arg);
      + HPyListBuilder_Cancel(ctx, builder);
        return NONE;
    }
    """,
    "mod.f('text')",
    "HPyListBuilder_New",
    seen=LEFT,
)
case(
    "D002 tuple on the error path",
    """
    FUNC_O(f)
    {
        HPyTupleBuilder builder = HPyTupleBuilder_New(ctx, 1); /* OPENED */
        HPy item = HPy_GetAttr_s(ctx, arg, "missing");
        if (HPy_IsNull(item)) {
          + HPyTupleBuilder_Cancel(ctx, builder);
            return HPy_NULL;
        }
        HPyTupleBuilder_Set(ctx, builder, 0, item);
        HPy_Close(ctx, item);
        return HPyTupleBuilder_Build(ctx, builder);
    }
    """,
    "raises(AttributeError, mod.f, 5)",
    "HPyTupleBuilder_New",
    seen=LEFT,
)

case(
    "D003 by hand",
    """
    FUNC_O(f)
    {
        HPyTracker ht = HPyTracker_New(ctx, 0); /* OPENED */
        HPyTracker_Add(ctx, ht, HPy_Dup(ctx, arg));
      + HPyTracker_Close(ctx, ht);
        return NONE;
    }
    """,
    "mod.f('text')",
    "HPyTracker_New",
    seen=LEFT,
)
case(
    "D003 of parsed keywords",
    """
    FUNC_KEYWORDS(f)
    {
        static const char *names[] = { "value", NULL };
        HPy value;
        HPyTracker ht;
        if (!HPyArg_ParseKeywords(ctx, &ht, args, nargs, kwnames, "O", names, &value))
            return HPy_NULL;
        HPy_ssize_t size = HPy_Length(ctx, value);
      + HPyTracker_Close(ctx, ht);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "mod.f(value='text')",
    "HPyTracker_New",
    seen=LEFT,
)

case(
    "D004 of C code",
    EXPORTER
    + """
    #include <Python.h>
    FUNC_O(f)
    {
        Py_buffer view;
        PyObject *object = HPy_AsPyObject(ctx, arg);
        int failed = PyObject_GetBuffer(object, &view, PyBUF_SIMPLE);
      + if (!failed)
          + PyBuffer_Release(&view);
        Py_DECREF(object);
        return NULL_IF(failed);
    }
    """,
    "mod.f(mod.Exporter())",
    abi="hybrid",
    seen=LEFT,
)
case(
    "D004 of Python code",
    EXPORTER,
    """
    view = memoryview(mod.Exporter())
    + view.release()
    """,
    seen=LEFT,
    at_exit=False,
)

case(
    "D005 each call",
    """
    FUNC_O(f)
    {
        HPy h = HPy_Dup(ctx, arg); /* OPENED */
        HPy_ssize_t size = HPy_Length(ctx, h);
      + HPy_Close(ctx, h);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    """
    for _ in range(2000):
        mod.f('text')
    """,
)
case(
    "D005 method",
    type_source(
        "Point",
        "long x;",
        method(
            "norm",
            """
            HPy h = HPyLong_FromInt64_t(ctx, Point_AsStruct(ctx, self)->x); /* OPENED */
          - return HPy_Absolute(ctx, h);
          + HPy result = HPy_Absolute(ctx, h);
          + HPy_Close(ctx, h);
          + return result;
            """,
        ),
    ),
    """
    point = mod.Point()
    for _ in range(2000):
        point.norm()
    """,
)

# What an extension does with a handle that it has closed: one line each.
for name, use, function in (
    ("argument", "return HPyLong_FromSsize_t(ctx, HPy_Length(ctx, h));", "HPy_Length"),
    ("second argument", "return HPyBool_FromBool(ctx, HPy_Contains(ctx, arg, h));", "HPy_Contains"),
    ("array", "HPy items[] = { arg, h }; return HPyTuple_FromArray(ctx, items, 2);", "HPyTuple_FromArray"),
    ("arguments of a call", "HPy args[] = { h }; return HPy_Call(ctx, ctx->h_ListType, args, 1, HPy_NULL);", "HPy_Call"),
    ("duplicate", "return HPy_Dup(ctx, h);", "HPy_Dup"),
    ("value of an exception", "return HPyErr_SetObject(ctx, ctx->h_KeyError, h);", "HPyErr_SetObject"),
    ("identity", "return HPyBool_FromBool(ctx, HPy_Is(ctx, arg, h));", "HPy_Is"),
):
    case(
        f"D006 {name}",
        f"""
        FUNC_O(f)
        {{
            HPy h = HPy_Dup(ctx, arg); /* OPENED */
          - HPy_Close(ctx, h); /* CLOSED */
          - {use} /* HERE */
          + HPy_Close(ctx, h);
          + return NONE;
        }}
        """,
        "mod.f('text')",
        function,
    )
case(
    "D006 result",
    """
    - FUNC_O(f) { HPy h = HPy_Dup(ctx, arg); HPy_Close(ctx, h); return h; } /* HERE OPENED CLOSED */
    + FUNC_O(f) { return HPy_Dup(ctx, arg); }
    """,
    "mod.f('text')",
)
case(
    "D006 closed by a tracker",
    """
    FUNC_O(f)
    {
        HPyTracker ht = HPyTracker_New(ctx, 0);
        HPy h = HPy_Dup(ctx, arg); /* OPENED */
        HPyTracker_Add(ctx, ht, h);
      - HPyTracker_Close(ctx, ht); /* CLOSED */
        HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
      + HPyTracker_Close(ctx, ht);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "mod.f('text')",
    "HPy_Length",
)
case(
    "D006 long ago",
    """
    static void open_and_close_many(HPyContext *ctx, HPy arg)
    {
        for (int i = 0; i < 200000; i++)
            HPy_Close(ctx, HPy_Dup(ctx, arg));
    }
    FUNC_O(f)
    {
        HPy h = HPy_Dup(ctx, arg);
      - HPy_Close(ctx, h);
        open_and_close_many(ctx, arg);
        HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
      + HPy_Close(ctx, h);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "mod.f('text')",
    "HPy_Length",
)
case(
    "D006 another handle in its place",
    """
    FUNC_O(f)
    {
        HPy h = HPy_Dup(ctx, arg);
      - HPy_Close(ctx, h);
        HPy others[3];
        for (int i = 0; i < 3; i++)
            others[i] = HPyList_New(ctx, i);
        HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
        for (int i = 0; i < 3; i++)
            HPy_Close(ctx, others[i]);
      + HPy_Close(ctx, h);
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "mod.f('text')",
    "HPy_Length",
)
case(
    "D006 base of a type",
    """
    static HPyType_Spec spec = { .name = "mod.Derived", .flags = HPy_TPFLAGS_DEFAULT };
    FUNC_O(f)
    {
        HPy base = HPy_Dup(ctx, arg); /* OPENED */
        HPyType_SpecParam params[] = { { HPyType_SpecParam_Base, base }, { (HPyType_SpecParam_Kind)0, HPy_NULL } };
      - HPy_Close(ctx, base); /* CLOSED */
        HPy result = HPyType_FromSpec(ctx, &spec, params); /* HERE */
      + HPy_Close(ctx, base);
        return result;
    }
    """,
    "mod.f(Exception)",
    "HPyType_FromSpec",
)
case(
    "D006 item of a builder",
    """
    FUNC_O(f)
    {
        HPy h = HPy_Dup(ctx, arg); /* OPENED */
        HPyListBuilder builder = HPyListBuilder_New(ctx, 1);
      - HPy_Close(ctx, h); /* CLOSED */
        HPyListBuilder_Set(ctx, builder, 0, h); /* HERE */
      + HPy_Close(ctx, h);
        return HPyListBuilder_Build(ctx, builder);
    }
    """,
    "mod.f('text')",
    "HPyListBuilder_Set",
)
case(
    "D006 value of a format",
    """
    FUNC_O(f)
    {
        HPy h = HPy_Dup(ctx, arg); /* OPENED */
      - HPy_Close(ctx, h); /* CLOSED */
        HPy result = HPy_BuildValue(ctx, "(O)", h); /* HERE */
      + HPy_Close(ctx, h);
        return result;
    }
    """,
    "mod.f('text')",
)
case(
    "D006 from call to call",
    """
    static HPy kept;
    FUNC_O(keep) { kept = HPy_Dup(ctx, arg); return NONE; } /* OPENED */
    FUNC_NOARGS(drop)
    {
        HPy_Close(ctx, kept); /* CLOSED */
      + kept = HPy_NULL;
        return NONE;
    }
    FUNC_NOARGS(use)
    {
      + if (HPy_IsNull(kept))
          + return NONE;
        return HPyLong_FromSsize_t(ctx, HPy_Length(ctx, kept)); /* HERE */
    }
    """,
    """
    mod.keep([])
    mod.drop()
    mod.use()
    """,
    "HPy_Length",
)

case(
    "D007 in a function",
    """
    FUNC_O(f)
    {
        HPy h = HPy_Dup(ctx, arg); /* OPENED */
        HPy_Close(ctx, h); /* CLOSED */
      + h = HPy_NULL;
        HPy_Close(ctx, h); /* HERE */
        return NONE;
    }
    """,
    "mod.f('text')",
    "HPy_Close",
)
case(
    "D007 by a callee",
    """
    static HPy_ssize_t length_of(HPyContext *ctx, HPy h)
    {
        HPy_ssize_t result = HPy_Length(ctx, h);
      - HPy_Close(ctx, h); /* CLOSED */
        return result;
    }
    FUNC_O(f)
    {
        HPy h = HPy_Str(ctx, arg); /* OPENED */
        HPy_ssize_t size = length_of(ctx, h);
        HPy_Close(ctx, h); /* HERE */
        return HPyLong_FromSsize_t(ctx, size);
    }
    """,
    "mod.f(12)",
    "HPy_Close",
)

for name, definition, closed, code in (
    ("argument", "FUNC_O(f)", "arg", "mod.f('text')"),
    ("self", "FUNC_NOARGS(f)", "self", "mod.f()"),
    ("one of several", "FUNC_VARARGS(f)", "args[1]", "mod.f('text', 'other')"),
    ("keyword argument", "FUNC_KEYWORDS(f)", "args[0]", "mod.f(key='text')"),
    ("keyword names", "FUNC_KEYWORDS(f)", "kwnames", "mod.f(key='text')"),
):
    case(
        f"D008 {name}",
        f"""
        {definition}
        {{
          - HPy_Close(ctx, {closed}); /* HERE */
            return NONE;
        }}
        """,
        code,
        "HPy_Close",
    )
case(
    "D008 self of a slot",
    type_source(
        "Point",
        "long x;",
        slot(
            "tp_repr",
            """
          - HPy_Close(ctx, self); /* HERE */
            return HPyUnicode_FromString(ctx, "Point()");
            """,
        ),
    ),
    "repr(mod.Point())",
    "HPy_Close",
)
case(
    "D008 given to a tracker",
    """
    FUNC_O(f)
    {
        HPyTracker ht = HPyTracker_New(ctx, 0);
      - HPyTracker_Add(ctx, ht, arg);
      + HPyTracker_Add(ctx, ht, HPy_Dup(ctx, arg));
        HPyTracker_Close(ctx, ht); /* HERE */
        return NONE;
    }
    """,
    "mod.f('text')",
    "HPyTracker_Close",
)

for name in ("h_None", "h_LongType"):
    case(
        f"D009 {name}",
        f"""
        FUNC_NOARGS(f)
        {{
          - HPy h = ctx->{name};
          + HPy h = HPy_Dup(ctx, ctx->{name});
            HPy_Close(ctx, h); /* HERE */
            return NONE;
        }}
        """,
        "mod.f()",
        "HPy_Close",
    )
case(
    "D009 given to a tracker",
    """
    FUNC_NOARGS(f)
    {
        HPyTracker ht = HPyTracker_New(ctx, 0);
      - HPyTracker_Add(ctx, ht, ctx->h_True);
      + HPyTracker_Add(ctx, ht, HPy_Dup(ctx, ctx->h_True));
        HPyTracker_Close(ctx, ht); /* HERE */
        return NONE;
    }
    """,
    "mod.f()",
    "HPyTracker_Close",
)

for name, definition, returned, code in (
    ("argument", "FUNC_O(f)", "arg", "mod.f('text')"),
    ("self", "FUNC_NOARGS(f)", "self", "mod.f()"),
    ("one of several", "FUNC_VARARGS(f)", "args[1]", "mod.f('text', 'other')"),
    ("keyword argument", "FUNC_KEYWORDS(f)", "args[0]", "mod.f(key='text')"),
    ("constant", "FUNC_NOARGS(f)", "ctx->h_None", "mod.f()"),
):
    case(
        f"D010 {name}",
        f"""
        - {definition} {{ return {returned}; }} /* HERE */
        + {definition} {{ return HPy_Dup(ctx, {returned}); }}
        """,
        code,
    )
case(
    "D010 self of a slot",
    type_source(
        "Number",
        "long value;",
        """
HPyDef_SLOT(add, HPy_nb_inplace_add)
- static HPy add_impl(HPyContext *ctx, HPy self, HPy other) { return self; } /* HERE */
+ static HPy add_impl(HPyContext *ctx, HPy self, HPy other) { return HPy_Dup(ctx, self); }
        """,
    ),
    """
    number = mod.Number()
    number += 1
    """,
)
case(
    "D010 constant from a getter",
    type_source(
        "Number",
        "long value;",
        """
HPyDef_GET(real, "real")
- static HPy real_get(HPyContext *ctx, HPy self, void *closure) { return ctx->h_True; } /* HERE */
+ static HPy real_get(HPyContext *ctx, HPy self, void *closure) { return HPy_Dup(ctx, ctx->h_True); }
        """,
    ),
    "mod.Number().real",
)

# Keeping something from one call to the next: with a handle, and with a global.
for name, definition, kept, code in (
    ("argument", "FUNC_O(keep)", "arg", "mod.keep([])"),
    ("self", "FUNC_NOARGS(keep)", "self", "mod.keep()"),
    ("one of several", "FUNC_VARARGS(keep)", "args[1]", "mod.keep([], [])"),
):
    case(
        f"D011 {name}",
        f"""
        - static HPy kept;
        + static HPyGlobal kept;
        {definition}
        {{
          - kept = {kept};
          + HPyGlobal_Store(ctx, &kept, {kept});
            return NONE;
        }}
        FUNC_NOARGS(use)
        {{
          - return HPy_Repr(ctx, kept); /* HERE */
          + HPy h = HPyGlobal_Load(ctx, kept), result = HPy_Repr(ctx, h);
          + HPy_Close(ctx, h);
          + return result;
        }}
        """,
        code + "\nmod.use()",
        "HPy_Repr",
    )
case(
    "D011 result",
    """
    - static HPy kept;
    + static HPyGlobal kept;
    - FUNC_O(keep) { kept = arg; return NONE; }
    + FUNC_O(keep) { HPyGlobal_Store(ctx, &kept, arg); return NONE; }
    - FUNC_NOARGS(use) { return kept; } /* HERE */
    + FUNC_NOARGS(use) { return HPyGlobal_Load(ctx, kept); }
    """,
    """
    mod.keep([])
    mod.use()
    """,
)

for name, kind, first, second in (
    ("built twice", "List", "HPy_Close(ctx, {}_Build(ctx, builder));", "return {}_Build(ctx, builder);"),
    ("set after build", "Tuple", "HPy h = {}_Build(ctx, builder);", "{}_Set(ctx, builder, 0, arg);"),
    ("cancelled after build", "Tuple", "HPy h = {}_Build(ctx, builder);", "{}_Cancel(ctx, builder);"),
    ("built after cancel", "List", "{}_Cancel(ctx, builder);", "return {}_Build(ctx, builder);"),
    ("cancelled twice", "Tuple", "{}_Cancel(ctx, builder);", "{}_Cancel(ctx, builder);"),
):
    builder = f"HPy{kind}Builder"
    function = re.search(r"\{\}_\w+", second)[0].format(builder)
    rest = "" if "return" in second else "return h;" if "h =" in first else "return NONE;"
    case(
        f"D012 {name}",
        f"""
        FUNC_O(f)
        {{
            {builder} builder = {builder}_New(ctx, 1); /* OPENED */
            {builder}_Set(ctx, builder, 0, arg);
          - {first.format(builder)} /* CLOSED */
          - {second.format(builder)} /* HERE */
          - {rest}
          + return {builder}_Build(ctx, builder);
        }}
        """,
        "mod.f('text')",
        function,
    )

for name, use, function in (
    ("add", "HPyTracker_Add(ctx, ht, HPy_Dup(ctx, arg));", "HPyTracker_Add"),
    ("forget", "HPyTracker_ForgetAll(ctx, ht);", "HPyTracker_ForgetAll"),
    ("close", "HPyTracker_Close(ctx, ht);", "HPyTracker_Close"),
):
    case(
        f"D013 {name}",
        f"""
        FUNC_O(f)
        {{
            HPyTracker ht = HPyTracker_New(ctx, 0); /* OPENED */
            HPyTracker_Add(ctx, ht, HPy_Dup(ctx, arg));
            HPyTracker_Close(ctx, ht); /* CLOSED */
          - {use} /* HERE */
            return NONE;
        }}
        """,
        "mod.f('text')",
        function,
    )

case(
    "D014 by hand first",
    """
    FUNC_O(f)
    {
        HPyTracker ht = HPyTracker_New(ctx, 0);
        HPy h = HPy_Dup(ctx, arg); /* OPENED */
        HPyTracker_Add(ctx, ht, h);
      - HPy_Close(ctx, h); HPyTracker_Close(ctx, ht); /* HERE */
      + HPyTracker_Close(ctx, ht);
        return NONE;
    }
    """,
    "mod.f('text')",
    "HPy_Close|HPyTracker_Close",
)
case(
    "D014 by hand last",
    """
    FUNC_O(f)
    {
        HPyTracker ht = HPyTracker_New(ctx, 0);
        HPy h = HPy_Dup(ctx, arg); /* OPENED */
        HPyTracker_Add(ctx, ht, h);
        HPyTracker_Close(ctx, ht); /* CLOSED */
      - HPy_Close(ctx, h); /* HERE */
        return NONE;
    }
    """,
    "mod.f('text')",
    "HPy_Close",
)
