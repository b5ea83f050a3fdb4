"""Every misuse of the API that debug mode tells apart, committed on purpose, and next to it the same thing done right.

    case("D006 argument", '''
        FUNC_O(f)
        {
            HPy h = HPy_Dup(ctx, arg); /* OPENED */
          - HPy_Close(ctx, h); /* CLOSED */
            HPy_ssize_t size = HPy_Length(ctx, h); /* HERE */
          + HPy_Close(ctx, h);
            return HPyLong_FromSsize_t(ctx, size);
        }
    ''', "mod.f('text')", "HPy_Length")

is two snippets: the misuse has the lines marked with `-`, its clean twin those marked with `+`; they can also be given one by
one. The Python code that runs them, by attempting.py, is marked in the same way. Comments mark the places that the report has to
name. Which misuse it is stands in spec/misuses.toml, under the number. After the code comes the API function that the report
has to name, or several, of which it has to name one.
"""

import re
import textwrap
from typing import NamedTuple

from type_snippets import GC, field, method, slot, type_source

# How a misuse is told when the action is "raise".
RAISED = "raised"  # by an exception out of the Python code
LEFT = "left"  # when asked what is left: by LeakDetector, and at exit whatever the action is
PRINTED = "printed"  # there may be nobody to raise to: by an exception, or on stderr
FATAL = "fatal"  # the processor finds it: by the end of the process


class Case(NamedTuple):
    identifier: str
    name: str
    source: str
    clean_source: str
    code: str
    clean_code: str
    function: str
    abi: str
    seen: str
    # Whether going on after the report may crash, as it may without debug mode.
    crashes: bool
    # Of what is left: whether it is still left when the process ends.
    at_exit: bool

    def line(self, marker):
        """The line of the snippet with the marker in a comment, or None."""
        for number, line in enumerate(self.source.splitlines(), 1):
            comment = re.search(r"/\*([A-Z ]+)\*/", line)
            if comment and marker in comment[1].split():
                return number
        return None


CASES = []


def split(text):
    """The text with the lines marked `-`, and with those marked `+`."""
    lines = textwrap.dedent(text).strip("\n").splitlines()

    def without(mark):
        kept = [line for line in lines if not re.match(rf"[ \t]*\{mark} ", line)]
        return "".join(re.sub(r"^([ \t]*)[-+] ", r"\1", line) + "\n" for line in kept)

    return without("+"), without("-")


def case(name, source, code, function="", *, abi="universal", seen=RAISED, crashes=False, at_exit=True):
    identifier = "HPY-" + name.split()[0]
    texts = *(source if isinstance(source, tuple) else split(source)), *split(code)
    CASES.append(Case(identifier, name.replace(" ", "-"), *texts, function, abi, seen, crashes, at_exit))


# Lifetime

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

EXPORTER = type_source(
    "Exporter",
    "char data[8];",
    slot(
        "bf_getbuffer",
        """
        buffer->buf = Exporter_AsStruct(ctx, self)->data;
        buffer->obj = HPy_Dup(ctx, self);
        buffer->len = 8;
        buffer->itemsize = 1;
        buffer->readonly = 0;
        buffer->ndim = 1;
        buffer->format = NULL;
        buffer->shape = buffer->strides = buffer->suboffsets = NULL;
        buffer->internal = NULL;
        return 0;
        """,
    ),
    slot("bf_releasebuffer", ""),
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

# Identity

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


VISITS = """
    HPy_VISIT(&data->first);
    HPy_VISIT(&data->second);
"""


def pair(*parts, visits=VISITS):
    """A type with two fields, which are attributes of its instances, and a number."""
    return type_source(
        "Pair",
        "HPyField first; HPyField second; long number;",
        slot("tp_traverse", f"Pair *data = object;\n(void)data;\n{visits}\nreturn 0;"),
        field("Pair", "first"),
        field("Pair", "second"),
        *parts,
        flags=GC,
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

# Contract

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


def small(*parts):
    """A type whose struct is a number."""
    return type_source("Small", "long number;", *parts)


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

NUMBER = type_source(
    "Number",
    "long extra;",
    shape="Long",
    bases=["ctx->h_LongType"],
)
CHECKED = """
      + HPy type = HPy_GetAttr_s(ctx, self, "Small");
      + int fits = HPy_TypeCheck(ctx, arg, type);
      + HPy_Close(ctx, type);
      + if (!fits)
          + return HPyErr_SetString(ctx, ctx->h_TypeError, "Small expected");
"""
for name, value in (
    ("built-in object", "5"),
    ("Python object", "type('Other', (), {})()"),
    ("other shape", "mod.Number(5)"),
    ("type itself", "mod.Small"),
):
    case(
        f"D037 {name}",
        small()
        + NUMBER
        + f"""
        FUNC_O(f)
        {{
            {CHECKED}
            long number = Small_AsStruct(ctx, arg)->number; /* HERE */
            return HPyLong_FromInt64_t(ctx, number);
        }}
        """,
        f"""
        - mod.f({value})
        + mod.f(mod.Small())
        + mod.f(type('Sub', (mod.Small,), {{}})())
        + raises(TypeError, mod.f, {value})
        """,
        "_HPy_AsStruct_Object",
    )
case(
    "D037 shape of the other",
    small()
    + NUMBER
    + """
    FUNC_O(f)
    {
      - long extra = Number_AsStruct(ctx, arg)->extra; /* HERE */
      + long extra = Small_AsStruct(ctx, arg)->number;
        return HPyLong_FromInt64_t(ctx, extra);
    }
    """,
    "mod.f(mod.Small())",
    "_HPy_AsStruct_Long",
)

# Nothing but the name of its struct tells them apart.
CIRCLE = type_source(
    "Circle", "double radius;", method("area", "return HPyFloat_FromDouble(ctx, Circle_AsStruct(ctx, self)->radius);")
)
SQUARE = type_source(
    "Square",
    "double side;",
    method("area", "return HPyFloat_FromDouble(ctx, Square_AsStruct(ctx, self)->side);", prefix="square_"),
)
CIRCLE_OR_SQUARE = (
    CIRCLE
    + SQUARE
    + """
    FUNC_O(f)
    {
      - double radius = Circle_AsStruct(ctx, arg)->radius; /* HERE */
      + double radius = Square_AsStruct(ctx, arg)->side;
        return HPyFloat_FromDouble(ctx, radius);
    }
    """
)
case(
    "D037 type of the same shape",
    CIRCLE_OR_SQUARE,
    """
    circle, square = mod.Circle(), mod.Square()
    circle.area(), square.area(), type("Sub", (mod.Square,), {})().area()
    mod.f(square)
    """,
    "_HPy_AsStruct_Object",
)
case(
    "D037 type of the same shape at first sight",
    CIRCLE_OR_SQUARE,
    "mod.f(mod.Square())",
    "_HPy_AsStruct_Object",
)

TOUCH = "FUNC_NOARGS(touch) { return NONE; }\n"
case(
    "D038 one of two",
    TOUCH + pair(visits="HPy_VISIT(&data->first);\n+ HPy_VISIT(&data->second);"),
    """
    import gc
    instance = mod.Pair()
    instance.first = instance.second = []
    gc.collect()
    mod.touch()
    del instance
    gc.collect()
    mod.touch()
    """,
)
case(
    "D038 none",
    TOUCH + pair(visits="+ HPy_VISIT(&data->first); HPy_VISIT(&data->second);"),
    """
    import gc
    instance = mod.Pair()
    instance.first = []
    gc.collect()
    mod.touch()
    del instance
    gc.collect()
    mod.touch()
    """,
)
case(
    "D038 attribute",
    TOUCH
    + type_source(
        "Single",
        "HPyField field; HPyField other;",
        'HPyDef_MEMBER(attribute, "attribute", HPyMember_OBJECT, offsetof(Single, other))\n',
        slot("tp_traverse", "Single *data = object;\nHPy_VISIT(&data->field);\n+ HPy_VISIT(&data->other);\nreturn 0;"),
        flags=GC,
    ),
    """
    import gc
    instance = mod.Single()
    instance.attribute = []
    gc.collect()
    mod.touch()
    """,
)
case(
    "D038 no tp_traverse",
    tuple(
        TOUCH + type_source("Single", "HPyField field;", field("Single", "field"), *parts)
        for parts in ([], [slot("tp_traverse", "HPy_VISIT(&((Single *)object)->field);\nreturn 0;")])
    ),
    """
    import gc
    instance = mod.Single()
    instance.field = []
    gc.collect()
    mod.touch()
    del instance
    gc.collect()
    mod.touch()
    """,
)

OWNERS = """
    instance = mod.Pair()
    instance.first = 'text'
    other = mod.Pair()
    instance.f(other)
"""
case(
    "D039 stored",
    pair(
        method(
            "f",
            """
            Pair *data = Pair_AsStruct(ctx, self);
          - HPyField_Store(ctx, arg, &data->second, ctx->h_True); /* HERE */
          + HPyField_Store(ctx, self, &data->second, ctx->h_True);
            return NONE;
            """,
            "O",
        )
    ),
    OWNERS,
    "HPyField_Store",
)
case(
    "D039 loaded",
    pair(
        method(
            "f",
            """
            Pair *data = Pair_AsStruct(ctx, self);
          - return HPyField_Load(ctx, arg, data->first); /* HERE */
          + return HPyField_Load(ctx, self, data->first);
            """,
            "O",
        )
    ),
    OWNERS,
    "HPyField_Load",
)
case(
    "D039 owner without a struct",
    pair(
        method(
            "f",
            """
            Pair *data = Pair_AsStruct(ctx, self);
          - HPyField_Store(ctx, ctx->h_None, &data->second, arg); /* HERE */
          + HPyField_Store(ctx, self, &data->second, arg);
            return NONE;
            """,
            "O",
        )
    ),
    OWNERS,
    "HPyField_Store",
)
case(
    "D039 field outside of any struct",
    pair(
        method(
            "f",
            """
          - static HPyField outside;
          - HPyField_Store(ctx, self, &outside, arg); /* HERE */
          + HPyField_Store(ctx, self, &Pair_AsStruct(ctx, self)->second, arg);
            return NONE;
            """,
            "O",
        )
    ),
    OWNERS,
    "HPyField_Store",
)

case(
    "D040 then stored",
    pair(
        method(
            "f",
            """
            Pair *data = Pair_AsStruct(ctx, self);
          - data->second = data->first;
          + HPy h = HPyField_Load(ctx, self, data->first);
          + HPyField_Store(ctx, self, &data->second, h);
          + HPy_Close(ctx, h);
            HPyField_Store(ctx, self, &data->second, ctx->h_True); /* HERE */
            return NONE;
            """,
        )
    ),
    """
    instance = mod.Pair()
    instance.first = 'text'
    instance.f()
    """,
    "HPyField_Store",
)
case(
    "D040 whole struct",
    pair(
        method(
            "f",
            """
            Pair *data = Pair_AsStruct(ctx, self), *other = Pair_AsStruct(ctx, arg);
          - *other = *data;
          + other->number = data->number;
          + HPy h = HPyField_Load(ctx, self, data->first);
          + HPyField_Store(ctx, arg, &other->first, h);
          + HPy_Close(ctx, h);
            return HPyField_Load(ctx, arg, other->first); /* HERE */
            """,
            "O",
        )
    ),
    OWNERS,
    "HPyField_Load",
)
case(
    "D040 then visited",
    TOUCH
    + pair(
        method(
            "f",
            """
            Pair *data = Pair_AsStruct(ctx, self);
          - data->second = data->first;
          + HPy h = HPyField_Load(ctx, self, data->first);
          + HPyField_Store(ctx, self, &data->second, h);
          + HPy_Close(ctx, h);
            return NONE;
            """,
        )
    ),
    """
    import gc
    instance = mod.Pair()
    instance.first = 'text'
    instance.f()
    gc.collect()
    mod.touch()
    """,
)
case(
    "D040 after the original was emptied",
    pair(
        method(
            "f",
            """
            Pair *data = Pair_AsStruct(ctx, self);
          - HPyField copy = data->first;
          + HPy copy = HPyField_Load(ctx, self, data->first);
            HPyField_Store(ctx, self, &data->first, HPy_NULL);
          - return HPyField_Load(ctx, self, copy); /* HERE */
          + return copy;
            """,
        )
    ),
    """
    instance = mod.Pair()
    instance.first = 'text'
    instance.f()
    """,
    "HPyField_Load",
)

case(
    "D041 stored",
    """
    - static HPyGlobal unlisted = { 0 };
    + static HPyGlobal listed;
    FUNC_O(f)
    {
      - HPyGlobal_Store(ctx, &unlisted, arg); /* HERE */
      + HPyGlobal_Store(ctx, &listed, arg);
        return NONE;
    }
    """,
    "mod.f('text')",
    "HPyGlobal_Store",
)

for name, visits, code in (
    ("copy", "- HPyField copy = data->first;\n- HPy_VISIT(&copy); /* HERE */\n+ HPy_VISIT(&data->first);", "[]"),
    ("static variable", "- HPy_VISIT(&outside); /* HERE */", "[]"),
    ("number", "- HPy_VISIT((HPyField *)&data->number); /* HERE */", "[]"),
):
    case(
        f"D042 {name}",
        TOUCH
        + ("- static HPyField outside = { 42 };\n" if name == "static variable" else "")
        + pair(
            method("f", "Pair_AsStruct(ctx, self)->number = 42; return NONE;"),
            visits=visits + ("" if name == "copy" else "\nHPy_VISIT(&data->first);") + "\nHPy_VISIT(&data->second);",
        ),
        f"""
        import gc
        instance = mod.Pair()
        instance.first = {code}
        instance.f()
        gc.collect()
        mod.touch()
        """,
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

# Data

for name, get, value, function in (
    ("str", "HPyUnicode_AsUTF8AndSize(ctx, h, NULL)", "'text'", "HPyUnicode_AsUTF8AndSize"),
    ("bytes", "HPyBytes_AsString(ctx, h)", "b'text'", "HPyBytes_AsString"),
    ("unchecked bytes", "HPyBytes_AS_STRING(ctx, h)", "b'text'", "HPyBytes_AS_STRING"),
    ("name of a type", "HPyType_GetName(ctx, h)", "int", "HPyType_GetName"),
):
    case(
        f"D050 {name} read by C code",
        f"""
        FUNC_O(f)
        {{
            HPy h = HPy_Dup(ctx, arg); /* OPENED */
            const char *data = {get};
          - HPy_Close(ctx, h); /* CLOSED */
            char first = data[0]; /* HERE */
          + HPy_Close(ctx, h);
            return HPyLong_FromInt64_t(ctx, first);
        }}
        """,
        f"mod.f({value})",
        seen=FATAL,
    )
    case(
        f"D050 {name} read by the API",
        f"""
        FUNC_O(f)
        {{
            HPy h = HPy_Dup(ctx, arg); /* OPENED */
            const char *data = {get};
          - HPy_Close(ctx, h); /* CLOSED */
            HPy result = HPyUnicode_FromString(ctx, data); /* HERE */
          + HPy_Close(ctx, h);
            return result;
        }}
        """,
        f"mod.f({value})",
        "HPyUnicode_FromString",
        crashes=True,
    )
    if name == "unchecked bytes":
        continue
    case(
        f"D051 {name}",
        f"""
        FUNC_O(f)
        {{
            const char *data = {get.replace("h)", "arg)").replace("h,", "arg,")};
          - ((char *)data)[1] = 'X'; /* HERE */
            return HPyLong_FromInt64_t(ctx, data[1]);
        }}
        """,
        f"mod.f({value})",
        seen=FATAL,
    )
case(
    "D050 of an argument after its call",
    """
    - static const char *kept;
    + static char kept[20];
    FUNC_O(keep)
    {
        const char *text = HPyUnicode_AsUTF8AndSize(ctx, arg, NULL);
      - kept = text;
      + strncpy(kept, text, sizeof(kept) - 1);
        return NONE;
    }
    FUNC_NOARGS(use)
    {
        char first = kept[0]; /* HERE */
        return HPyLong_FromInt64_t(ctx, first);
    }
    """,
    """
    mod.keep('text')
    mod.use()
    """,
    seen=FATAL,
)

for name, wrong, function in (
    ("size", "{}_Set(ctx, builder, 2, arg);", "Set"),
    ("negative", "{}_Set(ctx, builder, -1, arg);", "Set"),
    ("set twice", "{}_Set(ctx, builder, 0, arg);", "Set"),
):
    for kind in ("List", "Tuple"):
        builder = f"HPy{kind}Builder"
        case(
            f"D052 {name} {kind.lower()}",
            f"""
            FUNC_O(f)
            {{
                {builder} builder = {builder}_New(ctx, 2);
                {builder}_Set(ctx, builder, 0, arg);
                {builder}_Set(ctx, builder, 1, arg);
              - {wrong.format(builder)} /* HERE */
                return {builder}_Build(ctx, builder);
            }}
            """,
            "mod.f('text')",
            f"{builder}_{function}",
        )
case(
    "D052 never set",
    """
    FUNC_O(f)
    {
        HPyTupleBuilder builder = HPyTupleBuilder_New(ctx, 2);
        HPyTupleBuilder_Set(ctx, builder, 1, arg);
      + HPyTupleBuilder_Set(ctx, builder, 0, arg);
        return HPyTupleBuilder_Build(ctx, builder); /* HERE */
    }
    """,
    "mod.f('text')",
    "HPyTupleBuilder_Build",
)

case(
    "D053 question",
    r"""
    FUNC_O(f)
    {
      - int found = HPy_HasAttr_s(ctx, arg, "gr\xf6\xdf" "e"); /* HERE */
      + int found = HPy_HasAttr_s(ctx, arg, "gr\xc3\xb6\xc3\x9f" "e");
        return HPyBool_FromBool(ctx, found);
    }
    """,
    "mod.f('text')",
    "HPy_HasAttr_s",
)
case(
    "D053 exception",
    r"""
    FUNC_NOARGS(f)
    {
      - return HPyErr_SetString(ctx, ctx->h_ValueError, "gr\xf6\xdf" "e"); /* HERE */
      + return HPyErr_SetString(ctx, ctx->h_ValueError, "gr\xc3\xb6\xc3\x9f" "e");
    }
    """,
    "raises(ValueError, mod.f)",
    "HPyErr_SetString",
)

for name, use, function in (
    ("list", "return HPyList_New(ctx, size);", "HPyList_New"),
    ("bytes", 'return HPyBytes_FromStringAndSize(ctx, "text", size);', "HPyBytes_FromStringAndSize"),
    ("text", 'return HPyUnicode_DecodeLatin1(ctx, "text", size, NULL);', "HPyUnicode_DecodeLatin1"),
    ("tuple", "return HPyTuple_FromArray(ctx, &arg, size);", "HPyTuple_FromArray"),
    ("builder", "HPyListBuilder_Cancel(ctx, HPyListBuilder_New(ctx, size)); return NONE;", "HPyListBuilder_New"),
    (
        "tracker",
        "HPyTracker ht = HPyTracker_New(ctx, size); if (ht._i) HPyTracker_Close(ctx, ht); return NULL_IF(!ht._i);",
        "HPyTracker_New",
    ),
):
    case(
        f"D054 {name}",
        f"""
        FUNC_O(f)
        {{
            HPy_ssize_t size = HPyLong_AsSsize_t(ctx, arg);
            {use} /* HERE */
        }}
        """,
        """
        - mod.f(-2)
        + mod.f(1)
        """,
        function,
    )

ENUM = """
        - mod.f(77)
        + mod.f(2)
"""
for name, use, code, function in (
    ("comparison", "return HPy_RichCompare(ctx, arg, arg, (HPy_RichCmpOp)number);", ENUM, "HPy_RichCompare"),
    (
        "truth of a comparison",
        "return HPyBool_FromBool(ctx, HPy_RichCompareBool(ctx, arg, arg, (HPy_RichCmpOp)number) == 1);",
        ENUM,
        "HPy_RichCompareBool",
    ),
    ("source", 'return HPy_Compile_s(ctx, "1", "file", (HPy_SourceKind)number);', ENUM, "HPy_Compile_s"),
    (
        "part of a capsule",
        "HPy capsule = HPyCapsule_New(ctx, &spec, NULL, NULL);"
        " HPyCapsule_Get(ctx, capsule, (_HPyCapsule_key)number, NULL); HPy_Close(ctx, capsule);",
        ENUM,
        "HPyCapsule_Get",
    ),
    (
        "shape",
        "spec.builtin_shape = (HPyType_BuiltinShape)number; return HPyType_FromSpec(ctx, &spec, NULL);",
        ENUM.replace("2", "0"),
        "HPyType_FromSpec",
    ),
    (
        "parameter of a type",
        "HPyType_SpecParam params[] = { { (HPyType_SpecParam_Kind)number, ctx->h_LongType }, { 0, HPy_NULL } };"
        " return HPyType_FromSpec(ctx, &spec, params);",
        ENUM.replace("2", "1"),
        "HPyType_FromSpec",
    ),
):
    case(
        f"D055 {name}",
        f"""
        static HPyType_Spec spec = {{ .name = "mod.Made", .flags = HPy_TPFLAGS_DEFAULT }};
        FUNC_O(f)
        {{
            int number = HPyLong_AsInt32_t(ctx, arg);
            (void)spec;
            {use} /* HERE */
            return NULL_IF(HPyErr_Occurred(ctx));
        }}
        """,
        code,
        function,
    )

for name, value in (("list", "['key']"), ("str", "'key'"), ("tuple of int", "(1,)")):
    case(
        f"D056 {name}",
        """
        FUNC_VARARGS(f)
        {
            return HPy_Call(ctx, args[0], &args[1], 0, args[2]); /* HERE */
        }
        """,
        f"""
        - mod.f(dict, 'value', {value})
        + mod.f(dict, 'value', ('key',))
        """,
        "HPy_Call",
    )
case(
    "D056 method",
    """
    FUNC_VARARGS(f)
    {
        return HPy_CallMethod(ctx, args[0], &args[1], 1, args[3]); /* HERE */
    }
    """,
    """
    - mod.f('format', '{key}', 'value', ['key'])
    + mod.f('format', '{key}', 'value', ('key',))
    """,
    "HPy_CallMethod",
)

case(
    "D057 parsed arguments",
    """
    FUNC_VARARGS(f)
    {
        long number;
      - if (!HPyArg_Parse(ctx, NULL, args, nargs, "y", &number)) /* HERE */
      + if (!HPyArg_Parse(ctx, NULL, args, nargs, "l", &number))
            return HPy_NULL;
        return HPyLong_FromInt64_t(ctx, number);
    }
    """,
    "mod.f(5)",
)
case(
    "D057 parsed keywords",
    """
    FUNC_KEYWORDS(f)
    {
        static const char *names[] = { "number", NULL };
        long number;
      - if (!HPyArg_ParseKeywords(ctx, NULL, args, nargs, kwnames, "y", names, &number)) /* HERE */
      + if (!HPyArg_ParseKeywords(ctx, NULL, args, nargs, kwnames, "l", names, &number))
            return HPy_NULL;
        return HPyLong_FromInt64_t(ctx, number);
    }
    """,
    "mod.f(number=5)",
)
case(
    "D057 more units than keywords",
    """
    FUNC_KEYWORDS(f)
    {
        static const char *names[] = { "number", NULL };
        long number, other;
      - if (!HPyArg_ParseKeywords(ctx, NULL, args, nargs, kwnames, "l|l", names, &number, &other)) /* HERE */
      + if (!HPyArg_ParseKeywords(ctx, NULL, args, nargs, kwnames, "l", names, &number, &other))
            return HPy_NULL;
        return HPyLong_FromInt64_t(ctx, number);
    }
    """,
    "mod.f(number=5)",
)
case(
    "D057 built value",
    """
    FUNC_NOARGS(f)
    {
      - return HPy_BuildValue(ctx, "(ii", 1, 2); /* HERE */
      + return HPy_BuildValue(ctx, "(ii)", 1, 2);
    }
    """,
    "mod.f()",
)
case(
    "D057 text",
    """
    FUNC_NOARGS(f)
    {
      - return HPyUnicode_FromFormat(ctx, "%y", 1); /* HERE */
      + return HPyUnicode_FromFormat(ctx, "%d", 1);
    }
    """,
    "mod.f()",
)
case(
    "D057 exception",
    """
    FUNC_NOARGS(f)
    {
      - return HPyErr_Format(ctx, ctx->h_ValueError, "%5c", 1); /* HERE */
      + return HPyErr_Format(ctx, ctx->h_ValueError, "%5d", 1);
    }
    """,
    "raises(ValueError, mod.f)",
)

for name, made, asked in (("other", '"mod.name"', '"mod.other"'), ("none", "NULL", '"mod.name"'), ("null", '"mod.name"', "NULL")):
    case(
        f"D058 {name}",
        f"""
        static int number = 5;
        FUNC_NOARGS(make) {{ return HPyCapsule_New(ctx, &number, {made}, NULL); }}
        FUNC_O(use)
        {{
          + if (!HPyCapsule_IsValid(ctx, arg, {asked}))
              + return NONE;
            int *pointer = HPyCapsule_GetPointer(ctx, arg, {asked}); /* HERE */
            return pointer ? HPyLong_FromInt64_t(ctx, *pointer) : HPy_NULL;
        }}
        """,
        "mod.use(mod.make())",
        "HPyCapsule_Get",
    )

case(
    "D059 released twice",
    EXPORTER
    + """
    #include <Python.h>
    FUNC_O(f)
    {
        Py_buffer view, copy;
        PyObject *object = HPy_AsPyObject(ctx, arg);
        if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0) {
            Py_DECREF(object);
            return HPy_NULL;
        }
        copy = view;
        PyBuffer_Release(&view);
      - Py_INCREF(object); /* which the next line lets go */
      - PyBuffer_Release(&copy);
        Py_DECREF(object);
        return HPyLong_FromSsize_t(ctx, copy.len);
    }
    """,
    "mod.f(mod.Exporter())",
    abi="hybrid",
    seen=PRINTED,
)

case(
    "D062 legacy type",
    """
    #include <Python.h>
    typedef struct { PyObject_HEAD long number; } Old;
    static void Old_dealloc(PyObject *self)
    { /* HERE */
        PyTypeObject *type = Py_TYPE(self);
        type->tp_free(self);
      + Py_DECREF(type);
    }
    static PyType_Slot Old_slots[] = { { Py_tp_dealloc, (void *)Old_dealloc }, { 0, NULL } };
    static HPyType_Spec Old_spec = {
        .name = "mod.Old",
        .basicsize = sizeof(Old),
        .builtin_shape = HPyType_BuiltinShape_Legacy,
        .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_BASETYPE,
        .legacy_slots = Old_slots,
    };
    HPyDef_SLOT(add_Old, HPy_mod_exec)
    static int add_Old_impl(HPyContext *ctx, HPy module)
    {
        return HPyHelpers_AddType(ctx, module, "Old", &Old_spec, NULL) - 1;
    }
    EXPORT(add_Old)
    """,
    "for _ in range(20): mod.Old()",
    "mod.Old: tp_dealloc",
    abi="hybrid",
    seen=PRINTED,
)


def giving(wrong, right):
    """A type whose buffers are what they are whatever was asked for; the twin looks at the flags."""
    return type_source(
        "Exporter",
        "double data[8]; HPy_ssize_t shape[1], strides[1];",
        slot(
            "bf_getbuffer",
            f"""
            Exporter *data = Exporter_AsStruct(ctx, self);
          + if ({right}) {{
              + buffer->obj = HPy_NULL;
              + HPyErr_SetString(ctx, ctx->h_BufferError, "can't be given");
              + return -1;
          + }}
            data->shape[0] = data->strides[0] = 8;
            *buffer = (HPy_buffer){{ .buf = data->data, .obj = HPy_Dup(ctx, self), .len = 64, .itemsize = 8, .ndim = 1 }};
            {wrong}
            return 0;
            """,
        ),
    )


HASHED = """
    import hashlib
    - hashlib.md5(mod.Exporter())
    + raises(BufferError, hashlib.md5, mod.Exporter())
    memoryview(mod.Exporter()).release()
"""
case(
    "D061 read-only",
    giving("buffer->readonly = 1;", "flags & PyBUF_WRITABLE"),
    """
    import io
    - io.BytesIO(b"text").readinto(mod.Exporter())
    + raises((BufferError, TypeError), io.BytesIO(b"text").readinto, mod.Exporter())
    memoryview(mod.Exporter()).release()
    """,
    seen=PRINTED,
)
case(
    "D061 format",
    giving('buffer->format = "d";', "!(flags & PyBUF_FORMAT)"),
    HASHED,
)
case(
    "D061 strides",
    giving(
        "data->shape[0] = 4; data->strides[0] = 16; buffer->len = 32; buffer->shape = data->shape; buffer->strides = data->strides;",
        "(flags & PyBUF_STRIDES) != PyBUF_STRIDES",
    ),
    HASHED,
)
case(
    "D061 suboffsets",
    giving(
        "static HPy_ssize_t none[1] = { -1 }; buffer->shape = data->shape; buffer->strides = data->strides;"
        " buffer->suboffsets = none;",
        "(flags & PyBUF_INDIRECT) != PyBUF_INDIRECT",
    ),
    HASHED,
)

# Functions that do not look at the type of what they get, with something that is not of this type, and what is.
for name, use, wrong, right, function in (
    ("type to check with", "return HPyBool_FromBool(ctx, HPy_TypeCheck(ctx, self, arg));", "5", "int", "HPy_TypeCheck"),
    ("type with a name", "return HPyUnicode_FromString(ctx, HPyType_GetName(ctx, arg));", "5", "int", "HPyType_GetName"),
    (
        "derived type",
        "return HPyBool_FromBool(ctx, HPyType_IsSubtype(ctx, arg, ctx->h_LongType));",
        "5",
        "bool",
        "HPyType_IsSubtype",
    ),
    (
        "type derived from",
        "return HPyBool_FromBool(ctx, HPyType_IsSubtype(ctx, ctx->h_LongType, arg));",
        "5",
        "object",
        "HPyType_IsSubtype",
    ),
    ("str", "return HPyUnicode_Substring(ctx, arg, 0, 1);", "b'bytes'", "'text'", "HPyUnicode_Substring"),
    ("size of bytes", "return HPyLong_FromSsize_t(ctx, HPyBytes_GET_SIZE(ctx, arg));", "'text'", "b'text'", "HPyBytes_GET_SIZE"),
    (
        "contents of bytes",
        "const char *data = HPyBytes_AS_STRING(ctx, arg); return HPyBool_FromBool(ctx, data != NULL);",
        "5",
        "b'text'",
        "HPyBytes_AS_STRING",
    ),
    ("iterator", "return HPyIter_Next(ctx, arg);", "[5]", "iter([5])", "HPyIter_Next"),
    (
        "slice",
        "HPy_ssize_t part; if (HPySlice_Unpack(ctx, arg, &part, &part, &part) < 0) return HPy_NULL;",
        "5",
        "slice(5)",
        "HPySlice_Unpack",
    ),
    (
        "code",
        "HPy globals = HPyDict_New(ctx), result = HPy_EvalCode(ctx, arg, globals, HPy_NULL);"
        " HPy_Close(ctx, globals); return result;",
        "'1'",
        "compile('1', 'file', 'eval')",
        "HPy_EvalCode",
    ),
    ("type to instantiate", "void *data; return HPy_New(ctx, arg, &data);", "int", "mod.Small", "_HPy_New"),
):
    case(
        f"D060 {name}",
        small()
        + f"""
        FUNC_O(f)
        {{
            {use} /* HERE */
            return NONE;
        }}
        """,
        f"""
        - mod.f({wrong})
        + mod.f({right})
        """,
        function,
    )
