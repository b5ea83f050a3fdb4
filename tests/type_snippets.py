"""C source of types, made from short descriptions.

    POINT = type_source("Point", "long x;", slot("tp_repr", "return HPyUnicode_FromString(ctx, \"point\");"))

is a struct `Point` with its helpers, the slot's function, `Point_defines`, `Point_spec`, and an HPy_mod_exec slot that
adds the type to the module. Parts are C source: each HPyDef_* of a type that begins a line is listed in its defines.
"""

import gc
import re
import sys

_DEFINITION = re.compile(
    r"^[ \t]*HPyDef_(?:SLOT|METH|MEMBER|GET|SET|GETSET)(?:_IMPL)?\((\w+),(?!.*\bHPy_mod_)", re.MULTILINE
)

_UNARY = "HPy", "HPy self"
_BINARY = "HPy", "HPy self, HPy other"
_TERNARY = "HPy", "HPy self, HPy other, HPy third"
_SSIZE = "HPy", "HPy self, HPy_ssize_t index"
_ARGUMENTS = "const HPy *args, HPy_ssize_t nargs, HPy kw"

BINARY = (
    "add subtract multiply matrix_multiply true_divide floor_divide remainder divmod lshift rshift and or xor".split()
)
INPLACE = [name for name in BINARY if name != "divmod"]
UNARY = "negative positive absolute invert".split()
CONVERSIONS = "int float index".split()

# What the implementation of a slot returns and takes, but for the context.
SIGNATURES = {
    **{f"nb_{name}": _UNARY for name in UNARY + CONVERSIONS},
    **{f"nb_{name}": _BINARY for name in BINARY},
    **{f"nb_inplace_{name}": _BINARY for name in INPLACE},
    "nb_power": _TERNARY,
    "nb_inplace_power": _TERNARY,
    "nb_bool": ("int", "HPy self"),
    "mp_length": ("HPy_ssize_t", "HPy self"),
    "mp_subscript": _BINARY,
    "mp_ass_subscript": ("int", "HPy self, HPy key, HPy value"),
    "sq_length": ("HPy_ssize_t", "HPy self"),
    "sq_item": _SSIZE,
    "sq_ass_item": ("int", "HPy self, HPy_ssize_t index, HPy value"),
    "sq_contains": ("int", "HPy self, HPy other"),
    "sq_concat": _BINARY,
    "sq_inplace_concat": _BINARY,
    "sq_repeat": _SSIZE,
    "sq_inplace_repeat": _SSIZE,
    "tp_call": ("HPy", "HPy self, const HPy *args, size_t nargs, HPy kwnames"),
    "tp_descr_get": _TERNARY,
    "tp_hash": ("HPy_hash_t", "HPy self"),
    "tp_init": ("int", f"HPy self, {_ARGUMENTS}"),
    "tp_new": ("HPy", f"HPy type, {_ARGUMENTS}"),
    "tp_repr": _UNARY,
    "tp_str": _UNARY,
    "tp_richcompare": ("HPy", "HPy self, HPy other, HPy_RichCmpOp op"),
    "tp_finalize": ("void", "HPy self"),
    "bf_getbuffer": ("int", "HPy self, HPy_buffer *buffer, int flags"),
    "bf_releasebuffer": ("void", "HPy self, HPy_buffer *buffer"),
}
RAW_SIGNATURES = {
    "tp_traverse": ("int", "void *object, HPyFunc_visitproc visit, void *arg"),
    "tp_destroy": ("void", "void *object"),
}


def slot(name, body, prefix=""):
    """The slot HPy_{name} with the body of its function; a prefix tells the slots of several types apart."""
    if name in RAW_SIGNATURES:
        returns, parameters = RAW_SIGNATURES[name]
    else:
        returns, parameters = SIGNATURES[name]
        parameters = "HPyContext *ctx, " + parameters
    symbol = prefix + name
    return f"HPyDef_SLOT({symbol}, HPy_{name})\nstatic {returns} {symbol}_impl({parameters})\n{{\n{body}\n}}\n"


def method(name, body, signature="NOARGS", prefix="", doc=None):
    """A method of a type."""
    parameters = {
        "NOARGS": "HPy self",
        "O": "HPy self, HPy arg",
        "VARARGS": "HPy self, const HPy *args, size_t nargs",
        "KEYWORDS": "HPy self, const HPy *args, size_t nargs, HPy kwnames",
    }[signature]
    symbol = f"{prefix}method_{name}"
    extra = f', .doc = "{doc}"' if doc else ""
    return (
        f'HPyDef_METH({symbol}, "{name}", HPyFunc_{signature}{extra})\n'
        f"static HPy {symbol}_impl(HPyContext *ctx, {parameters})\n{{\n{body}\n}}\n"
    )


def new(name, prefix=""):
    """A tp_new that makes an instance of the struct `name` and ignores the arguments."""
    return slot("tp_new", f"{name} *data;\nreturn HPy_New(ctx, type, &data);", prefix)


def traverse(name, *fields, prefix=""):
    """A tp_traverse that visits fields of the struct `name`."""
    visits = "".join(f"HPy_VISIT(&data->{field});\n" for field in fields)
    return slot("tp_traverse", f"{name} *data = object;\n{visits}return 0;", prefix)


def field(struct, name):
    """An attribute for the HPyField `name` of the struct. HPyMember_OBJECT would do, were it not for a bug of
    HPy 0.9.0: each type that is made there moves such members of its spec.
    """
    symbol = f"{struct}_{name}_attribute"
    return f"""
HPyDef_GETSET({symbol}, "{name}")
static HPy {symbol}_get(HPyContext *ctx, HPy self, void *closure)
{{
    {struct} *data = {struct}_AsStruct(ctx, self);
    return HPyField_IsNull(data->{name}) ? HPy_Dup(ctx, ctx->h_None) : HPyField_Load(ctx, self, data->{name});
}}
static int {symbol}_set(HPyContext *ctx, HPy self, HPy value, void *closure)
{{
    HPyField_Store(ctx, self, &{struct}_AsStruct(ctx, self)->{name}, value);
    return 0;
}}
"""


DEFAULT = "HPy_TPFLAGS_DEFAULT"
BASETYPE = "HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_BASETYPE"
GC = "HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_BASETYPE | HPy_TPFLAGS_HAVE_GC"


def spec_source(name, /, *parts, flags=BASETYPE, shape=None, **fields):
    """Definitions and `{name}_spec`, and nothing that uses it; `fields` are C expressions for fields of the spec."""
    body = "\n".join(parts)
    initializers = {"name": f'"mod.{name}"', "flags": flags, "builtin_shape": shape or "HPyType_BuiltinShape_Object"}
    defined = _DEFINITION.findall(body)
    if defined:
        body += f"\nstatic HPyDef *{name}_defines[] = {{ {', '.join('&' + symbol for symbol in defined)}, NULL }};"
        initializers["defines"] = f"{name}_defines"
    initializers.update(fields)
    initializers = "".join(f"    .{field} = {value},\n" for field, value in initializers.items())
    return f"{body}\nstatic HPyType_Spec {name}_spec = {{\n{initializers}}};\n"


def type_source(name, struct, /, *parts, shape="Object", bases=(), metaclass=None, make=False, **fields):
    """A type whose instances have the struct with these members, or none of its own if that is empty.

    Bases and metaclass are C expressions of borrowed handles, or names of things in the module. With `make` the type
    isn't added to the module; its function make_{name}(bases=None, metaclass=None) makes a new one at each call.
    """
    source = []
    if struct:
        source.append(f"typedef struct {{ {struct} }} {name};")
        source.append(f"HPyType_HELPERS({name}, HPyType_BuiltinShape_{shape})")
        fields.setdefault("basicsize", f"sizeof({name})")
    source.append(spec_source(name, *parts, shape=f"HPyType_BuiltinShape_{shape}", **fields))
    source.append(_MAKE.replace("TYPE", name) if make else _exec(name, bases, metaclass))
    return "\n".join(source)


_MAKE = """
FUNC_VARARGS(make_TYPE)
{
    HPyType_SpecParam params[3] = { { (HPyType_SpecParam_Kind)0, HPy_NULL } };
    int count = 0;
    if (nargs > 0 && !HPy_Is(ctx, args[0], ctx->h_None))
        params[count++] = (HPyType_SpecParam){ HPyType_SpecParam_BasesTuple, args[0] };
    if (nargs > 1 && !HPy_Is(ctx, args[1], ctx->h_None))
        params[count++] = (HPyType_SpecParam){ HPyType_SpecParam_Metaclass, args[1] };
    return HPyType_FromSpec(ctx, &TYPE_spec, count ? params : NULL);
}
"""


def _exec(name, bases, metaclass):
    lines, params, owned = [], [], []
    for kind, value in [*(("Base", base) for base in bases), *([("Metaclass", metaclass)] if metaclass else [])]:
        if value.isidentifier():
            lines.append(f'HPy owned{len(owned)} = HPy_GetAttr_s(ctx, module, "{value}");')
            value = f"owned{len(owned)}"
            owned.append(value)
        params.append(f"{{ HPyType_SpecParam_{kind}, {value} }}")
    if params:
        sentinel = "{ (HPyType_SpecParam_Kind)0, HPy_NULL }"
        lines.append(f"HPyType_SpecParam params[] = {{ {', '.join([*params, sentinel])} }};")
    added = f'HPyHelpers_AddType(ctx, module, "{name}", &{name}_spec, {"params" if params else "NULL"})'
    if owned:
        present = " && ".join(f"!HPy_IsNull({value})" for value in owned)
        added = f"{present} && {added}"
    lines.append(f"int done = {added};")
    lines += [f"HPy_Close(ctx, {value});" for value in owned]
    lines.append("return done ? 0 : -1;")
    body = "\n    ".join(lines)
    return (
        f"HPyDef_SLOT({name}_exec, HPy_mod_exec)\n"
        f"static int {name}_exec_impl(HPyContext *ctx, HPy module)\n{{\n    {body}\n}}\n"
    )


def assert_balanced(function, *watched):
    """Calls of the function leave the reference counts of the watched objects as they were."""

    def counts():
        for _ in range(20):
            function()
        gc.collect()
        return [sys.getrefcount(each) for each in watched]

    before = counts()
    after = counts()
    assert after == before, f"reference counts: {before}, then {after}"


# A text that grows by a letter with each event. No function of the API is needed to write it.
LOG = """
    static char log_text[100000];
    static size_t log_length;
    static void log_event(char event)
    {
        if (log_length < sizeof(log_text) - 1)
            log_text[log_length++] = event;
    }
    FUNC_NOARGS(take_log)
    {
        log_text[log_length] = 0;
        log_length = 0;
        return HPyUnicode_FromString(ctx, log_text);
    }
"""


def logged(name, letter, fields=("field",), base=None, finalize=True, destroy=True, flags=GC):
    """A type with fields that logs its letter: as a capital in tp_finalize, and in tp_destroy as a small one, or `!`
    if a field is not empty there."""
    parts = [field(name, each) for each in fields]
    if fields:
        parts.append(traverse(name, *fields, prefix=name))
    empty = " && ".join(f"HPyField_IsNull(data->{each})" for each in fields) or "1"
    if finalize:
        parts.append(
            slot("tp_finalize", f"(void){name}_AsStruct(ctx, self);\nlog_event('{letter.upper()}');", prefix=name)
        )
    if destroy:
        body = f"{name} *data = object;\n(void)data;\nlog_event({empty} ? '{letter}' : '!');"
        parts.append(slot("tp_destroy", body, prefix=name))
    # With the number before them, no field lies where a mistake would find a reference count.
    struct = f"{base + ' base;' if base else ''} long number; {' '.join(f'HPyField {each};' for each in fields)}"
    return type_source(name, struct, *parts, bases=[base] if base else [], flags=flags)
