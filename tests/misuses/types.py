"""Types that several misuses are about."""

from type_snippets import GC, field, slot, type_source

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


def small(*parts):
    """A type whose struct is a number."""
    return type_source("Small", "long number;", *parts)
