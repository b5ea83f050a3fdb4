"""Whose struct it is, and the fields in it."""

from misuses.case import case
from misuses.types import pair, small
from type_snippets import GC, field, method, slot, type_source

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
