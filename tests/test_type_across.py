"""Types of one binary that derive from types of another, whatever the ABI of each."""

import gc
import itertools
import weakref

import pytest
from conftest import VARIANTS
from loading import load
from snippet import REFERENCE, compile_file, expand
from type_snippets import GC, field, slot, traverse, type_source

pytestmark = pytest.mark.skipif(REFERENCE, reason="0.9.0 lets the struct overlap the hidden field of HPy_tp_call")

COUNTER = """
    static long gone;
    FUNC_NOARGS(count_gone) { return HPyLong_FromLong(ctx, gone); }
"""

BASE = COUNTER + type_source(
    "Node",
    "HPyField next; long id;",
    'HPyDef_MEMBER(Node_id, "id", HPyMember_LONG, offsetof(Node, id))\n',
    field("Node", "next"),
    traverse("Node", "next"),
    slot("tp_destroy", "gone++;"),
    slot("tp_call", "return HPyLong_FromLong(ctx, Node_AsStruct(ctx, self)->id);"),
    flags=GC,
)

DERIVED = (
    COUNTER
    + "typedef struct { HPyField next; long id; } Node;\n"
    + type_source(
        "Wide",
        "Node base; HPyField other; long width;",
        'HPyDef_MEMBER(Wide_width, "width", HPyMember_LONG, offsetof(Wide, width))\n',
        field("Wide", "other"),
        traverse("Wide", "other"),
        slot("tp_destroy", "gone += ((Wide *)object)->width;"),
        make=True,
        flags=GC,
    )
)


@pytest.fixture(params=itertools.product(VARIANTS, repeat=2), ids=lambda pair: f"{pair[0].abi}-{pair[1].abi}")
def modules(request):
    if not {variant.abi for variant in request.param} <= set(request.config.getoption("--abi").split(",")):
        pytest.skip("not for the ABIs chosen with --abi")

    def make(source, name, variant):
        return load(name, compile_file(expand(source, name), name, variant.abi), variant.mode)

    return make(BASE, "base", request.param[0]), make(DERIVED, "derived", request.param[1])


def test_structs_fields_and_ends_of_both(modules):
    base, derived = modules
    Wide = derived.make_Wide((base.Node,))

    class Class(Wide):
        pass

    class Slotted(Class):
        __slots__ = ("slot",)

    for cls in (Wide, Class, Slotted):
        gone = base.count_gone(), derived.count_gone()
        one = cls()
        one.id, one.width = 42, 7
        one.next, one.other = base.Node(), cls()
        # Cycles through the field of each.
        one.next.next = one
        one.other.other = one
        assert (one.id, one(), one.width) == (42, 42, 7)
        if cls is not Wide:
            one.attribute = one
            alive = weakref.ref(one)
        del one
        gc.collect()
        assert (base.count_gone() - gone[0], derived.count_gone() - gone[1]) == (3, 7)
        assert cls is Wide or alive() is None


def test_what_is_wrong_across_binaries_is_refused(modules):
    base, derived = modules
    Wide = derived.make_Wide((base.Node,))
    with pytest.raises(TypeError, match="does not fit its base 'int'"):
        derived.make_Wide((Wide, base.Node, int))
    with pytest.raises(TypeError, match="lay-?out conflict"):
        type("Both", (Wide, derived.make_Wide((base.Node,))), {})


@pytest.mark.frees_classes
def test_types_come_and_go(modules):
    base, derived = modules
    before = len(base.Node.__subclasses__())
    for _ in range(200):
        cls = derived.make_Wide((base.Node,))
        instance = cls()
        instance.other = cls
        instance.next = instance
        del cls, instance
    gc.collect()
    assert len(base.Node.__subclasses__()) == before
