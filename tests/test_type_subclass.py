"""Subclasses in Python of types of extensions."""

import gc
import struct
import sys

import pytest
from type_snippets import GC, assert_balanced, field, method, slot, traverse, type_source

POINT = (
    type_source(
        "Point",
        "long x; long y; HPyField note;",
        slot(
            "tp_new",
            """
            Point *data;
            HPy result;
            long x = 0, y = 0;
            if (nargs > 0 && (x = HPyLong_AsLong(ctx, args[0])) == -1 && HPyErr_Occurred(ctx))
                return HPy_NULL;
            if (nargs > 1 && (y = HPyLong_AsLong(ctx, args[1])) == -1 && HPyErr_Occurred(ctx))
                return HPy_NULL;
            result = HPy_New(ctx, type, &data);
            if (!HPy_IsNull(result)) {
                data->x = x;
                data->y = y;
            }
            return result;
            """,
            "Point_",
        ),
        slot(
            "tp_init",
            """
            HPy positional = HPyTuple_FromArray(ctx, (HPy *)args, nargs);
            HPyField_Store(ctx, self, &Point_AsStruct(ctx, self)->note, positional);
            HPy_Close(ctx, positional);
            return 0;
            """,
            "Point_",
        ),
        traverse("Point", "note", prefix="Point_"),
        slot("tp_destroy", "Point *data = object;\nif (!HPyField_IsNull(data->note))\n    abort();", "Point_"),
        'HPyDef_MEMBER(Point_x, "x", HPyMember_LONG, offsetof(Point, x))\n',
        'HPyDef_MEMBER(Point_y, "y", HPyMember_LONG, offsetof(Point, y))\n',
        field("Point", "note"),
        method("sum", "Point *data = Point_AsStruct(ctx, self);\nreturn HPyLong_FromLong(ctx, data->x + data->y);"),
        flags=GC,
    )
    + type_source("Plain", "", method("plain", "return HPy_Dup(ctx, self);"))
    + """
    FUNC_O(sum_of)
    {
        Point *data = Point_AsStruct(ctx, arg);
        return HPyLong_FromLong(ctx, data->x + data->y);
    }
    """
).replace("typedef struct", "#include <stdlib.h>\ntypedef struct", 1)

pytestmark = pytest.mark.differs("0.9.0 takes the head of an instance of a Python subclass for its struct")


@pytest.fixture
def mod(snippet):
    return snippet(POINT)


def test_a_dict(mod):
    class Sub(mod.Point):
        shared = "shared"

        def own(self):
            return self.sum() * 2

    sub = Sub(3, 4)
    assert (sub.x, sub.y, sub.note, sub.shared) == (3, 4, (3, 4), "shared")
    assert (sub.own(), mod.sum_of(sub)) == (14, 7)
    sub.attribute = 5
    assert vars(sub) == {"attribute": 5}
    sub.x = 10
    assert sub.sum() == 14
    assert Sub.__base__ is mod.Point


def test_slots(mod):
    class Slots(mod.Point):
        __slots__ = "a", "b", "c"

    sub = Slots(1, 2)
    assert not hasattr(sub, "a")
    sub.a, sub.b, sub.c = "a", "b", "c"
    assert (sub.a, sub.b, sub.c, sub.sum(), sub.note) == ("a", "b", "c", 3, (1, 2))
    assert not hasattr(sub, "__dict__")
    with pytest.raises(AttributeError):
        sub.d = 5
    assert Slots.__basicsize__ == mod.Point.__basicsize__ + 3 * struct.calcsize("P")


def test_empty_slots(mod):
    class Slots(mod.Point):
        __slots__ = ()

    assert Slots(5).sum() == 5
    assert Slots.__basicsize__ == mod.Point.__basicsize__
    with pytest.raises(AttributeError):
        Slots().a = 5


def test_new_and_init_through_super(mod):
    class Sub(mod.Point):
        def __new__(cls, text, extra=None):
            self = super().__new__(cls, *map(int, text.split()))
            self.extra = extra
            return self

        def __init__(self, text, extra=None):
            super().__init__("init", text)

    sub = Sub("3 4", extra=5)
    assert (sub.x, sub.y, sub.note, sub.extra) == (3, 4, ("init", "3 4"), 5)
    assert type(sub) is Sub
    with pytest.raises(TypeError):
        Sub("1", no_such=2)
    # A failure between new and init leaves nothing either.
    with pytest.raises(ValueError):
        Sub("x")


def test_init_without_super(mod):
    class Sub(mod.Point):
        def __init__(self, *args):
            self.args = args

    sub = Sub(1, 2)
    assert (sub.note, sub.args, sub.sum()) == (None, (1, 2), 3)


def test_a_subclass_of_a_subclass(mod):
    class First(mod.Point):
        __slots__ = ("first",)

        def sum(self):
            return super().sum() + 100

    class Second(First):
        def sum(self):
            return super().sum() + 1000

    class Third(Second):
        __slots__ = ("third",)

    third = Third(1, 2)
    third.first, third.third, third.attribute = 1, 3, "attribute"
    assert third.sum() == 1103
    assert (third.first, third.third, third.attribute, mod.sum_of(third)) == (1, 3, "attribute", 3)
    assert Third.__mro__ == (Third, Second, First, mod.Point, object)


def test_multiple_inheritance(mod):
    class Mixin:
        def mixed(self):
            return "mixed", self.sum()

    class MixinSlots:
        __slots__ = ()

        def sum(self):
            return super().sum() + 1

    class Last(mod.Point, Mixin):
        pass

    class First(Mixin, mod.Point):
        __slots__ = ("a",)

    class Both(MixinSlots, First, mod.Plain):
        pass

    class PlainFirst(mod.Plain, mod.Point):
        pass

    for cls in (Last, First, Both):
        instance = cls(3, 4)
        instance.a = instance.b = 5
        assert instance.mixed() == ("mixed", 8 if cls is Both else 7)
        assert instance.note == (3, 4)
    plain = PlainFirst(1, 2)
    assert (plain.plain(), plain.sum()) == (plain, 3)


def test_a_diamond(mod):
    class Left(mod.Point):
        def sum(self):
            return "left", super().sum()

    class Right(mod.Point):
        def sum(self):
            return "right", super().sum()

    class Bottom(Left, Right):
        pass

    assert Bottom(1, 2).sum() == ("left", ("right", 3))


def test_methods_of_the_type_check_their_instance(mod):
    class Sub(mod.Point):
        pass

    assert mod.Point.sum(Sub(1, 2)) == 3
    for wrong in (5, mod.Plain(), Sub):
        with pytest.raises(TypeError):
            mod.Point.sum(wrong)


def test_everything_goes_with_the_instance(mod):
    class Open(mod.Point):
        pass

    class Slots(mod.Point):
        __slots__ = "attribute", "__weakref__"

    class Both(Open):
        __slots__ = ("slot",)

    for cls in (Open, Slots, Both):
        value = object()

        def use():
            instance = cls(1)
            instance.note = instance.attribute = value

        assert_balanced(use, value, cls, mod.Point)


@pytest.mark.frees_classes
def test_classes_come_and_go(mod):
    before = len(mod.Point.__subclasses__())

    def use():
        class Sub(mod.Point):
            pass

        class Slots(Sub):
            __slots__ = ("slot",)

        instance = Slots(1, 2)
        instance.slot, instance.note = Sub(3), instance

    assert_balanced(use, mod.Point)
    gc.collect()
    assert len(mod.Point.__subclasses__()) == before


@pytest.mark.frees_classes
def test_instances_count_for_their_own_class(mod):
    class Sub(mod.Point):
        pass

    before = sys.getrefcount(Sub), sys.getrefcount(mod.Point)
    instances = [Sub() for _ in range(10)]
    assert (sys.getrefcount(Sub), sys.getrefcount(mod.Point)) == (before[0] + 10, before[1])
    del instances
    assert (sys.getrefcount(Sub), sys.getrefcount(mod.Point)) == before


def test_special_methods_in_python(mod):
    class Sub(mod.Point):
        def __eq__(self, other):
            return isinstance(other, mod.Point) and (self.x, self.y) == (other.x, other.y)

        def __hash__(self):
            return hash((self.x, self.y))

        def __add__(self, other):
            return type(self)(self.x + other.x, self.y + other.y)

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return (self.x, self.y)[index]

        def __call__(self, *args):
            return args

        def __getattr__(self, name):
            return name.upper()

    sub = Sub(1, 2)
    assert sub == mod.Point(1, 2)
    assert {sub: "found"}[Sub(1, 2)] == "found"
    assert (sub + sub).sum() == 6
    assert (len(sub), list(sub), sub(1, 2), sub.missing) == (2, [1, 2], (1, 2), "MISSING")


def test_a_type_of_another_module_below_a_python_class(snippet, mod):
    second = snippet(type_source("Made", "", method("made", "return HPy_Dup(ctx, self);"), make=True), "second")

    class Python(mod.Point):
        pass

    made = second.make_Made((Python,))

    class Last(made):
        __slots__ = ("slot",)

    for cls in (made, Last):
        instance = cls(3, 4)
        instance.attribute = 5
        assert (instance.made(), instance.sum(), instance.attribute, mod.sum_of(instance)) == (instance, 7, 5, 7)
    last = Last()
    last.slot = 1
    assert vars(last) == {}
