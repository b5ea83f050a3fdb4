"""Garbage: cycles through fields, types and dicts, and types by the thousand."""

import gc
import weakref

import pytest
from type_snippets import GC, assert_balanced, field, method, new, slot, traverse, type_source

NODES = (
    """
    static long alive, visits;
    FUNC_NOARGS(count) { return HPyLong_FromLong(ctx, alive); }
    FUNC_NOARGS(take_visits)
    {
        long result = visits;
        visits = 0;
        return HPyLong_FromLong(ctx, result);
    }
    """
    + type_source(
        "Node",
        "HPyField field; HPyField other;",
        slot(
            "tp_new",
            "Node *data;\nHPy result = HPy_New(ctx, type, &data);\nalive += !HPy_IsNull(result);\nreturn result;",
            "Node_",
        ),
        slot(
            "tp_traverse",
            "Node *data = object;\nvisits++;\nHPy_VISIT(&data->field);\nHPy_VISIT(&data->other);\nreturn 0;",
            "Node_",
        ),
        slot("tp_destroy", "alive--;", "Node_"),
        field("Node", "field"),
        field("Node", "other"),
        flags=GC,
    )
    # Nothing in the struct: only a Python subclass can be part of a cycle.
    + type_source(
        "Leaf",
        "long value;",
        slot(
            "tp_new",
            "Leaf *data;\nHPy result = HPy_New(ctx, type, &data);\nalive += !HPy_IsNull(result);\nreturn result;",
            "Leaf_",
        ),
        slot("tp_destroy", "alive--;", "Leaf_"),
    )
    + type_source("Untracked", "HPyField field;", traverse("Untracked", "field"), field("Untracked", "field"))
)
SUBCLASSES = pytest.mark.differs("0.9.0 takes the head of an instance of a Python subclass for its struct")


@pytest.fixture
def mod(snippet):
    gc.collect()
    mod = snippet(NODES)
    before = mod.count()
    yield mod
    gc.collect()
    assert mod.count() == before


def made_in(mod, function):
    """How many nodes are left of those that a function makes, before and after a collection."""
    before = mod.count()
    gc.disable()
    try:
        function()
        left = mod.count() - before
        gc.collect()
        return left, mod.count() - before
    finally:
        gc.enable()


def test_an_instance_that_holds_itself(mod):
    def use():
        node = mod.Node()
        node.field = node.other = node

    assert made_in(mod, use) == (1, 0)


def test_instances_that_hold_each_other(mod):
    def use():
        nodes = [mod.Node() for _ in range(10)]
        for index, node in enumerate(nodes):
            node.field, node.other = nodes[index - 1], nodes

    assert made_in(mod, use) == (10, 0)


def test_cycles_through_python_objects(mod):
    class Python:
        pass

    def use():
        node, python = mod.Node(), Python()
        node.field, python.node = {"key": [python]}, node

    assert made_in(mod, use) == (1, 0)


def test_what_can_be_reached_stays(mod):
    keep = mod.Node()

    def use():
        node = mod.Node()
        node.field = node
        node.other = keep.field = mod.Node()

    assert made_in(mod, use) == (2, 1)
    assert type(keep.field) is mod.Node


def test_the_collector_visits_the_instances(mod):
    nodes = [mod.Node() for _ in range(5)]
    mod.take_visits()
    gc.collect()
    assert mod.take_visits() >= 5
    assert len(nodes) == 5


def test_only_types_with_the_flag_are_tracked(mod):
    assert gc.is_tracked(mod.Node())
    assert not gc.is_tracked(mod.Untracked())
    assert not gc.is_tracked(mod.Leaf())


def test_without_the_flag_fields_are_released(mod):
    value = object()

    def use():
        mod.Untracked().field = value

    assert_balanced(use, value, mod.Untracked)


@pytest.mark.parametrize("name", [pytest.param("Node", marks=SUBCLASSES), "Leaf"])
def test_cycles_through_the_dict_of_a_subclass(mod, name):
    class Sub(getattr(mod, name)):
        pass

    class Further(Sub):
        __slots__ = ("slot",)

    def use():
        for cls in (Sub, Further):
            instance = cls()
            instance.attribute = instance
            other = cls()
            instance.other_one = [other]
            other.other_one = instance
        further = Further()
        further.slot = further

    assert made_in(mod, use) == (5, 0)


@SUBCLASSES
def test_cycles_through_the_field_of_a_subclass(mod):
    class Sub(mod.Node):
        __slots__ = ("slot",)

    def use():
        instance = Sub()
        instance.field = instance.slot = instance

    assert made_in(mod, use) == (1, 0)


@SUBCLASSES
def test_the_collector_sees_dict_and_fields_of_a_subclass(mod):
    class Sub(mod.Node):
        pass

    instance, in_dict, in_field = Sub(), [], []
    instance.attribute, instance.field = in_dict, in_field
    seen = gc.get_referents(instance)
    seen += [each for referent in seen if type(referent) is dict for each in referent.values()]
    for value in (in_dict, in_field):
        assert any(each is value for each in seen)


@pytest.mark.frees_classes
@SUBCLASSES
def test_a_class_that_holds_its_instance(mod):
    def use():
        class Sub(mod.Node):
            pass

        Sub.instance = Sub()
        Sub.instance.field = Sub

    assert made_in(mod, use) == (1, 0)


TYPES = type_source(
    "Made",
    "HPyField field; long value;",
    new("Made"),
    traverse("Made", "field"),
    slot("tp_destroy", ""),
    slot("tp_call", "return HPy_Dup(ctx, self);"),
    field("Made", "field"),
    method("itself", "return HPy_Dup(ctx, self);", doc="Returns itself."),
    'HPyDef_MEMBER(Made_value, "value", HPyMember_LONG, offsetof(Made, value))\n',
    make=True,
    flags=GC,
    doc='"A type."',
) + type_source(
    "Simple",
    "long value;",
    method("simple", "return HPy_Dup(ctx, self);"),
    'HPyDef_MEMBER(Simple_value, "value", HPyMember_LONG, offsetof(Simple, value))\n',
    make=True,
)


def types_named(name):
    gc.collect()
    return sum(cls.__name__ == name for cls in object.__subclasses__())


@pytest.mark.frees_classes
@pytest.mark.parametrize("name", ["Made", "Simple"])
def test_types_are_collected(snippet, name):
    make = getattr(snippet(TYPES), f"make_{name}")
    before = types_named(name)
    types = [make() for _ in range(100)]
    references = [weakref.ref(cls) for cls in types]
    assert types_named(name) == before + 100
    assert all(type(cls()) is cls for cls in types)
    types.clear()
    assert types_named(name) == before
    assert not any(reference() for reference in references)


@pytest.mark.frees_classes
@pytest.mark.differs("0.9.0 does not visit the type of an instance")
def test_a_type_that_holds_its_instance_is_collected(snippet):
    make = snippet(TYPES).make_Made
    before = types_named("Made")
    for _ in range(10):
        cls = make()
        cls.instance = cls()
        cls.instance.field = cls.instance
    del cls
    assert types_named("Made") == before


@pytest.mark.frees_classes
@pytest.mark.differs("0.9.0 does not visit the type of an instance")
def test_an_instance_that_holds_its_type_is_collected(snippet):
    make = snippet(TYPES).make_Made
    before = types_named("Made")
    for _ in range(10):
        cls = make()
        cls.instance = instance = cls()
        instance.field = [cls, cls.itself]
    del cls, instance
    assert types_named("Made") == before


@pytest.mark.frees_classes
def test_bases_and_subclasses_are_collected(snippet):
    make = snippet(TYPES).make_Simple
    before = types_named("Simple")
    base = make()
    derived = make((base,))
    sub = type("Sub", (derived,), {})
    alive = [weakref.ref(cls) for cls in (base, derived, sub)]
    assert type(sub()) is sub
    del base, derived, sub
    assert types_named("Simple") == before
    assert not any(reference() for reference in alive)


def test_a_method_holds_no_instance_longer_than_needed(snippet):
    cls = snippet(TYPES).make_Made()

    def use():
        instance = cls()
        instance.field = instance.itself
        assert instance.itself() is instance() is instance

    assert_balanced(use, cls)


DERIVED = type_source(
    "Base", "HPyField field;", traverse("Base", "field", prefix="Base_"), field("Base", "field"), flags=GC
) + "".join(
    type_source(
        name,
        "Base base; HPyField other;",
        traverse(name, *fields, prefix=name),
        field(name, "other"),
        make=True,
        flags=GC,
    )
    # The function of a derived type may leave the fields of the base's struct to the base, or not.
    for name, fields in (("Own", ["other"]), ("All", ["base.field", "other"]))
)


@pytest.mark.differs("0.9.0 leaves the fields of a base to the derived type alone")
@pytest.mark.parametrize("name", ["Own", "All"])
def test_a_derived_type_may_visit_the_fields_of_its_base(snippet, name):
    mod = snippet(DERIVED)
    made = getattr(mod, f"make_{name}")((mod.Base,))
    further = getattr(mod, f"make_{name}")((made,))
    for cls in (made, further, type("Python", (further,), {}), type("Slots", (made,), {"__slots__": ("slot",)})):
        instance, kept, other = cls(), ["kept"], object()
        instance.field, instance.other = kept, other
        for value in (kept, other):
            assert [each is value for each in gc.get_referents(instance)].count(True) == 1
        instance.other = instance
        alive = weakref.ref(instance) if hasattr(instance, "__weakref__") else lambda: None
        del instance
        gc.collect()
        assert kept == ["kept"]
        assert alive() is None


@pytest.mark.differs("0.9.0 does not see them")
@pytest.mark.parametrize("below", [False, True])
def test_attributes_of_a_base_written_in_python_are_seen_once(snippet, below):
    mod = snippet(type_source("Made", "", make=True))

    class Plain:
        pass

    cls = mod.make_Made((Plain,))
    if below:
        cls = type("Below", (cls,), {})

    def referents(instance, value):
        found = gc.get_referents(instance)
        # The value, or the dictionary with it.
        return [each is value or (isinstance(each, dict) and value in each.values()) for each in found].count(True)

    for materialized in (False, True):
        instance, value = cls(), ["kept"]
        instance.attribute = value
        if materialized:
            assert vars(instance) == {"attribute": value}
        assert referents(instance, value) == 1
        instance.itself = instance
        alive = weakref.ref(instance)
        gc.collect()
        assert value == ["kept"] and alive() is instance
        del instance
        gc.collect()
        assert value == ["kept"] and alive() is None
