"""Texts, buffers and arguments."""

from misuses.case import FATAL, PRINTED, case
from misuses.types import EXPORTER, small
from type_snippets import slot, type_source

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
