"""HPyField: HPyField_Store, HPyField_Load, HPyField_IsNull, HPy_VISIT."""

import gc
import sys

import pytest
from type_snippets import GC, assert_balanced, field, method, new, slot, traverse, type_source

FIELDS = (
    type_source(
        "Pair",
        "HPyField first; HPyField second;",
        new("Pair", "Pair_"),
        traverse("Pair", "first", "second", prefix="Pair_"),
        field("Pair", "first"),
        field("Pair", "second"),
        method(
            "null",
            "Pair *data = Pair_AsStruct(ctx, self);\n"
            'return HPy_BuildValue(ctx, "ii", HPyField_IsNull(data->first), HPyField_IsNull(data->second));',
        ),
        method(
            "load_many",
            """
            Pair *data = Pair_AsStruct(ctx, self);
            HPyTracker tracker = HPyTracker_New(ctx, 0);
            for (int i = 0; i < 100; i++)
                HPyTracker_Add(ctx, tracker, HPyField_Load(ctx, self, data->first));
            HPyTracker_Close(ctx, tracker);
            return NONE;
            """,
        ),
        method(
            "swap",
            """
            Pair *data = Pair_AsStruct(ctx, self);
            HPy first = HPyField_Load(ctx, self, data->first), second = HPyField_Load(ctx, self, data->second);
            HPyField_Store(ctx, self, &data->first, second);
            HPyField_Store(ctx, self, &data->second, first);
            HPy_Close(ctx, first);
            HPy_Close(ctx, second);
            return NONE;
            """,
        ),
        method(
            "move_with_exception",
            """
            Pair *data = Pair_AsStruct(ctx, self);
            HPyErr_SetString(ctx, ctx->h_LookupError, "pending");
            HPy first = HPyField_Load(ctx, self, data->first);
            HPyField_Store(ctx, self, &data->second, first);
            HPyField_Store(ctx, self, &data->first, HPy_NULL);
            HPy_Close(ctx, first);
            return HPy_NULL;
            """,
        ),
        # The first field has been something else before.
        method(
            "start_again",
            """
            Pair *data = Pair_AsStruct(ctx, self);
            HPyField_Store(ctx, self, &data->first, HPy_NULL);
            memset(&data->first, 0x55, sizeof(data->first));
            int was_null = HPyField_IsNull(data->first);
            data->first = HPyField_NULL;
            return HPy_BuildValue(ctx, "ii", was_null, HPyField_IsNull(data->first));
            """,
        ),
        method(
            "store_loaded",
            """
            Pair *data = Pair_AsStruct(ctx, self);
            HPy first = HPyField_Load(ctx, self, data->first);
            HPyField_Store(ctx, self, &data->first, first);
            HPy_Close(ctx, first);
            return NONE;
            """,
        ),
        flags=GC,
    )
    # Fields in the middle of the struct, in an array, and not known to the collector.
    + type_source(
        "Array",
        "long before; int used; HPyField items[8]; long after;",
        slot(
            "tp_traverse",
            "Array *data = object;\nfor (int i = 0; i < data->used; i++)\n    HPy_VISIT(&data->items[i]);\nreturn 0;",
            "Array_",
        ),
        method(
            "append",
            "Array *data = Array_AsStruct(ctx, self);\n"
            "HPyField_Store(ctx, self, &data->items[data->used++], arg);\nreturn NONE;",
            "O",
        ),
        method(
            "clear",
            """
            Array *data = Array_AsStruct(ctx, self);
            while (data->used > 0)
                HPyField_Store(ctx, self, &data->items[--data->used], HPy_NULL);
            return NONE;
            """,
        ),
        method(
            "intact",
            "Array *data = Array_AsStruct(ctx, self);\nreturn HPyLong_FromLong(ctx, data->before | data->after);",
        ),
        slot("sq_item", "return HPyField_Load(ctx, self, Array_AsStruct(ctx, self)->items[index]);", "Array_"),
    )
)


@pytest.fixture
def mod(snippet):
    return snippet(FIELDS)


def test_a_field_keeps_an_object(mod):
    pair, value = mod.Pair(), object()
    assert pair.null() == (1, 1)
    pair.first = value
    assert pair.null() == (0, 1)
    assert pair.first is value
    pair.second = value
    pair.first = None
    assert (pair.first, pair.second) == (None, value)
    assert pair.null() == (0, 0)


def test_null_empties_a_field(mod):
    pair, value = mod.Pair(), object()
    before = sys.getrefcount(value)
    pair.first = value
    assert sys.getrefcount(value) == before + 1
    del pair.first
    assert sys.getrefcount(value) == before
    assert pair.null() == (1, 1)
    del pair.first
    assert pair.null() == (1, 1)


def test_a_field_holds_one_reference(mod):
    pair, value = mod.Pair(), object()
    before = sys.getrefcount(value)
    for _ in range(20):
        pair.first = value
        assert sys.getrefcount(value) == before + 1
    for _ in range(20):
        pair.store_loaded()
        pair.load_many()
        assert sys.getrefcount(value) == before + 1
    pair.second = value
    assert sys.getrefcount(value) == before + 2
    del pair
    assert sys.getrefcount(value) == before


def test_fields_change_places(mod):
    pair, first, second = mod.Pair(), object(), object()
    pair.first, pair.second = first, second
    pair.swap()
    assert (pair.first, pair.second) == (second, first)
    assert_balanced(pair.swap, first, second)


def test_the_old_value_goes_after_the_new_one_is_in_place(mod):
    pair, seen = mod.Pair(), []

    class Watching:
        def __del__(self):
            seen.append(pair.first)

    pair.first = Watching()
    pair.first = 5
    pair.first = Watching()
    del pair.first
    assert seen == [5, None]


def test_fields_can_be_used_while_an_exception_is_pending(mod):
    pair, value, seen = mod.Pair(), object(), []

    class Watching:
        def __del__(self):
            with pytest.raises(ZeroDivisionError):
                raise ZeroDivisionError
            seen.append(pair.second)

    pair.first, pair.second = value, Watching()
    with pytest.raises(LookupError, match="^pending$"):
        pair.move_with_exception()
    assert seen == [value]
    assert pair.second is value
    assert pair.null() == (1, 0)


def test_other_memory_becomes_an_empty_field(mod):
    pair, value = mod.Pair(), object()
    pair.first = object()
    assert pair.start_again() == (0, 1)
    pair.first = value
    assert pair.first is value
    assert_balanced(pair.start_again, value, mod.Pair)


def test_a_finalizer_may_store_again(mod):
    pair = mod.Pair()

    class Storing:
        def __del__(self):
            pair.first = "stored"

    pair.first = Storing()
    pair.first = 5
    assert pair.first == "stored"


def test_a_type_needs_no_collector_to_release_its_fields(mod):
    value = object()

    def use():
        array = mod.Array()
        for _ in range(8):
            array.append(value)
        assert array[7] is value
        assert array.intact() == 0
        array.clear()
        array.append(value)

    assert_balanced(use, value, mod.Array)
    assert not gc.is_tracked(mod.Array())


def test_an_object_that_holds_itself(mod):
    def use():
        pair = mod.Pair()
        pair.first = pair.second = pair
        assert pair.first is pair

    before = sum(type(each) is mod.Pair for each in gc.get_objects())
    assert_balanced(use, mod.Pair)
    assert sum(type(each) is mod.Pair for each in gc.get_objects()) == before


def test_the_collector_sees_what_fields_hold(mod):
    pair, first, second = mod.Pair(), [], []
    pair.first, pair.second = first, second
    # The type, which only the collector itself needs to see, is none of them.
    assert sorted(map(id, gc.get_referents(pair))) == sorted([id(first), id(second)])
    assert pair in gc.get_referrers(first)


# The base visits its fields, the derived type its own, and a type between them has none.
DERIVED = (
    type_source(
        "Base",
        "HPyField base;",
        traverse("Base", "base", prefix="Base_"),
        field("Base", "base"),
        flags=GC,
    )
    + type_source("Between", "Base base; long number;", bases=["Base"])
    + type_source(
        "Derived",
        "Between between; HPyField derived;",
        traverse("Derived", "derived", prefix="Derived_"),
        field("Derived", "derived"),
        bases=["Between"],
        flags=GC,
    )
    + type_source("Last", "", bases=["Derived"])
)
BASES = pytest.mark.differs("0.9.0 visits only the fields of the type that is nearest, and releases the type twice")


@BASES
def test_fields_of_all_bases_are_visited(snippet):
    mod = snippet(DERIVED)
    for cls, names in ((mod.Between, ["base"]), (mod.Derived, ["base", "derived"]), (mod.Last, ["base", "derived"])):
        instance, values = cls(), [[name] for name in names]
        for name, value in zip(names, values):
            setattr(instance, name, value)
        referents = gc.get_referents(instance)
        for value in values:
            assert sum(each is value for each in referents) == 1


@BASES
def test_fields_of_all_bases_are_released(snippet):
    mod = snippet(DERIVED)
    value = object()
    classes = [mod.Between, mod.Derived, mod.Last, type("Sub", (mod.Last,), {})]

    def use():
        for cls in classes:
            instance = cls()
            instance.base = value
            if cls is not mod.Between:
                instance.derived = value

    assert_balanced(use, value, mod.Base, *classes)


@BASES
def test_cycles_through_fields_of_all_bases_are_found(snippet):
    mod = snippet(DERIVED)
    value = object()
    classes = [mod.Derived, mod.Last, type("Sub", (mod.Last,), {})]

    def use():
        for cls in classes:
            for name in ("base", "derived"):
                instance = cls()
                instance.base = instance.derived = value
                setattr(instance, name, (instance, value))

    assert_balanced(use, value, mod.Base, *classes)
