"""Memory that instances export: HPy_bf_getbuffer and HPy_bf_releasebuffer."""

import gc
import sys

import pytest
from type_snippets import assert_balanced, method, slot, type_source

FILL = """
    {name} *data = {name}_AsStruct(ctx, self);
    static HPy_ssize_t itemsize = sizeof(short);
    if (data->refuse) {{
        HPyErr_SetString(ctx, ctx->h_BufferError, "refused");
        return -1;
    }}
    data->flags = flags;
    data->exports++;
    buffer->buf = data->items;
    buffer->obj = HPy_Dup(ctx, self);
    buffer->len = sizeof(data->items);
    buffer->itemsize = itemsize;
    buffer->readonly = data->readonly;
    buffer->ndim = 2;
    buffer->format = flags & PyBUF_FORMAT ? "h" : NULL;
    buffer->shape = data->shape;
    buffer->strides = data->strides;
    buffer->suboffsets = NULL;
    buffer->internal = data;
    data->shape[0] = 2;
    data->shape[1] = 3;
    data->strides[0] = 3 * sizeof(short);
    data->strides[1] = sizeof(short);
    return 0;
"""
RELEASE = """
    {name} *data = {name}_AsStruct(ctx, self);
    if (buffer->internal == data && buffer->buf == data->items && HPy_Is(ctx, buffer->obj, self))
        data->releases++;
"""


def exporter(name, *parts, **fields):
    return type_source(
        name,
        "short items[6]; HPy_ssize_t shape[2]; HPy_ssize_t strides[2]; int exports; int releases; int flags;"
        " char readonly; char refuse;",
        slot("bf_getbuffer", FILL.format(name=name), name),
        *(
            f'HPyDef_MEMBER({name}_{member}, "{member}", HPyMember_{kind}, offsetof({name}, {member}))\n'
            for member, kind in (
                ("exports", "INT"),
                ("releases", "INT"),
                ("flags", "INT"),
                ("readonly", "BOOL"),
                ("refuse", "BOOL"),
            )
        ),
        method("first", f"return HPyLong_FromLong(ctx, {name}_AsStruct(ctx, self)->items[0]);", prefix=name),
        *parts,
        **fields,
    )


BUFFERS = (
    exporter("Full", slot("bf_releasebuffer", RELEASE.format(name="Full"), "Full"))
    + exporter("Unreleased")
    + type_source("Derived", "", bases=["Full"])
    + type_source(
        "Bytes",
        "long unused;",
        slot(
            "bf_getbuffer",
            """
            static char bytes[] = "some bytes";
            buffer->buf = bytes;
            buffer->obj = HPy_Dup(ctx, self);
            buffer->len = sizeof(bytes) - 1;
            buffer->itemsize = 1;
            buffer->readonly = 1;
            buffer->ndim = 1;
            buffer->format = NULL;
            buffer->shape = NULL;
            buffer->strides = NULL;
            buffer->suboffsets = NULL;
            buffer->internal = NULL;
            return 0;
            """,
            "Bytes",
        ),
    )
    + type_source(
        "Failing",
        "",
        slot("bf_getbuffer", 'HPyErr_SetString(ctx, ctx->h_LookupError, "own error");\nreturn -1;', "Failing"),
        slot("bf_releasebuffer", "abort();", "Failing"),
    ).replace("HPyDef_SLOT(Failing", "#include <stdlib.h>\nHPyDef_SLOT(Failing", 1)
)
BOTH = pytest.mark.parametrize("name", ["Full", "Derived", "Unreleased"])
PyBUF_SIMPLE, PyBUF_FULL_RO = 0, 0x011C


@pytest.fixture
def mod(snippet):
    return snippet(BUFFERS)


@BOTH
def test_the_description_arrives(mod, name):
    instance = getattr(mod, name)()
    with memoryview(instance) as view:
        assert (view.format, view.itemsize, view.ndim, view.nbytes) == ("h", 2, 2, 12)
        assert (view.shape, view.strides, view.suboffsets) == ((2, 3), (6, 2), ())
        assert (view.readonly, view.contiguous, view.obj) == (False, True, instance)
        assert instance.flags == PyBUF_FULL_RO


@BOTH
def test_memory_is_shared(mod, name):
    instance = getattr(mod, name)()
    with memoryview(instance) as view:
        assert view.tolist() == [[0, 0, 0], [0, 0, 0]]
        view[0, 0] = -5
        assert instance.first() == -5
        assert view.tolist()[0] == [-5, 0, 0]


@BOTH
def test_readonly_memory(mod, name):
    instance = getattr(mod, name)()
    instance.readonly = True
    with memoryview(instance) as view:
        assert view.readonly
        with pytest.raises(TypeError):
            view[0, 0] = 1
    assert instance.first() == 0


def test_each_buffer_is_released_once(mod):
    for cls in (mod.Full, mod.Derived, type("Sub", (mod.Full,), {})):
        instance = cls()
        first, second = memoryview(instance), memoryview(instance)
        assert (instance.exports, instance.releases) == (2, 0)
        # A view of a view is not another export.
        third = first[:1]
        assert instance.exports == 2
        third.release()
        first.release()
        assert instance.releases == 1
        del second
        gc.collect()
        assert (instance.exports, instance.releases) == (2, 2)


def test_bytes_are_copied(mod):
    instance = mod.Full()
    assert bytes(instance) == bytes(12)
    assert bytearray(instance) == bytes(12)
    assert b"".join([b"<", instance, b">"]) == b"<" + bytes(12) + b">"
    assert instance.exports == instance.releases > 2


def test_fields_that_nobody_asked_for_may_be_null(mod):
    instance = mod.Bytes()
    assert bytes(instance) == b"some bytes"
    with memoryview(instance) as view:
        assert (view.format, view.itemsize, view.shape, view.strides) == ("B", 1, (10,), (1,))
        assert view[5:].tobytes() == b"bytes"


def test_a_buffer_is_refused(mod):
    instance = mod.Full()
    instance.refuse = True
    for function in (memoryview, bytes):
        with pytest.raises(BufferError, match="refused"):
            function(instance)
    assert (instance.exports, instance.releases) == (0, 0)


def test_what_failed_is_not_released(mod):
    def use():
        with pytest.raises(LookupError, match="own error"):
            memoryview(mod.Failing())

    assert_balanced(use, mod.Failing)


def test_a_view_holds_the_exporter(mod):
    instance = mod.Full()
    before = sys.getrefcount(instance)
    view = memoryview(instance)
    assert sys.getrefcount(instance) == before + 1
    view.release()
    assert sys.getrefcount(instance) == before
    view = memoryview(mod.Full())
    assert view.obj.exports == 1
    view[1, 2] = 7
    assert view.tolist() == [[0, 0, 0], [0, 0, 7]]


@BOTH
def test_buffers_stay_in_balance(mod, name):
    cls = getattr(mod, name)
    instance = cls()

    def use():
        memoryview(instance).release()
        bytes(instance)
        memoryview(cls())
        instance.refuse = True
        with pytest.raises(BufferError):
            bytes(instance)
        instance.refuse = False

    assert_balanced(use, instance, cls)


@BOTH
def test_subclasses_in_python(mod, name):
    class Sub(getattr(mod, name)):
        pass

    instance = Sub()
    instance.attribute = 5
    with memoryview(instance) as view:
        assert view.obj is instance
        view[0, 0] = 9
    assert (instance.first(), instance.exports) == (9, 1)
    assert_balanced(lambda: memoryview(Sub()), Sub)


def test_without_the_slot_there_is_no_buffer(snippet):
    mod = snippet(type_source("Plain", "long value;"))
    with pytest.raises(TypeError, match="bytes-like"):
        memoryview(mod.Plain())
