"""Bases and metaclasses of types."""

import abc
import collections.abc
import gc
import sys

import pytest
from type_snippets import BASETYPE, assert_balanced, method, slot, type_source

POINTS = (
    type_source(
        "Point",
        "long x; long y;",
        'HPyDef_MEMBER(Point_x, "x", HPyMember_LONG, offsetof(Point, x))\n',
        'HPyDef_MEMBER(Point_y, "y", HPyMember_LONG, offsetof(Point, y))\n',
        method("sum", "Point *data = Point_AsStruct(ctx, self);\nreturn HPyLong_FromLong(ctx, data->x + data->y);"),
        slot("tp_repr", 'return HPyUnicode_FromString(ctx, "point");', "Point_"),
    )
    + type_source(
        "Point3",
        "Point base; long z;",
        'HPyDef_MEMBER(Point3_z, "z", HPyMember_LONG, offsetof(Point3, z))\n',
        method("product", """
            Point3 *data = Point3_AsStruct(ctx, self);
            return HPyLong_FromLong(ctx, data->base.x * data->base.y * data->z);"""),
        bases=["Point"],
    )
    + type_source("Same", "", slot("tp_str", 'return HPyUnicode_FromString(ctx, "same");', "Same_"), bases=["Point3"])
    + type_source("Mixin", "", method("mixed", "return HPyLong_FromLong(ctx, 11);"))
    + type_source("Mixed", "Point base; long w;", bases=["Point", "Mixin"])
    + type_source("MixinFirst", "", bases=["Mixin", "Point"])
    + type_source("Other", "long many[9];")
    + type_source("Made", "Point base; long made;", make=True)
    + type_source("MadeWithout", "", make=True)
    + type_source("Summing", "", method("sum", "return HPyLong_FromLong(ctx, 5);", prefix="Summing_"), make=True)
)


@pytest.fixture
def mod(snippet):
    return snippet(POINTS)


def test_a_struct_that_begins_with_that_of_the_base(mod):
    point = mod.Point3()
    point.x, point.y, point.z = 2, 3, 7
    assert (point.sum(), point.product()) == (5, 42)
    assert repr(point) == "point"
    assert mod.Point3.__mro__ == (mod.Point3, mod.Point, object)
    assert mod.Point3.__base__ is mod.Point
    assert isinstance(point, mod.Point)


def test_no_struct_of_its_own(mod):
    same = mod.Same()
    same.x, same.y, same.z = 2, 3, 7
    assert (same.sum(), same.product(), str(same), repr(same)) == (5, 42, "same", "point")
    assert mod.Same.__basicsize__ == mod.Point3.__basicsize__


def test_several_bases(mod):
    assert mod.Mixed.__bases__ == (mod.Point, mod.Mixin)
    mixed = mod.Mixed()
    mixed.x = 5
    assert (mixed.sum(), mixed.mixed()) == (5, 11)
    assert mod.MixinFirst.__mro__ == (mod.MixinFirst, mod.Mixin, mod.Point, object)
    first = mod.MixinFirst()
    first.y = 6
    assert (first.sum(), first.mixed()) == (6, 11)


def test_a_tuple_of_bases(mod):
    cls = mod.make_Made((mod.Point, mod.Mixin))
    assert cls.__bases__ == (mod.Point, mod.Mixin)
    instance = cls()
    instance.x = 7
    assert (instance.sum(), instance.mixed()) == (7, 11)


def test_parameters_are_borrowed(mod):
    bases = (mod.Point, mod.Mixin)
    assert_balanced(lambda: mod.make_Made(bases), bases, mod.Point, mod.Mixin)


@pytest.mark.differs("0.9.0 has the dict of the first base lie upon the object, as PyType_FromSpecWithBases does")
def test_a_base_made_in_python_with_a_dict(run_snippet):
    run = run_snippet(
        POINTS,
        """
        class Python:
            def python(self):
                return "python", self.sum()

        for bases in ((Python, mod.Point), (mod.Point, Python)):
            for make in (mod.make_Made, mod.make_MadeWithout):
                cls = make(bases)
                instances = [cls() for _ in range(10)]
                for number, instance in enumerate(instances):
                    instance.x, instance.y = number, 1
                assert [instance.python() for instance in instances] == [("python", number + 1) for number in range(10)]
        """,
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.differs("0.9.0 has the dict of the first base lie upon the object, as PyType_FromSpecWithBases does")
def test_a_base_whose_own_base_has_a_dict(run_snippet):
    run = run_snippet(
        POINTS,
        """
        import gc

        class Python:
            pass

        for bases in ((Python, mod.Point), (mod.Point, Python)):
            for make in (mod.make_Made, mod.make_MadeWithout):
                cls = mod.make_MadeWithout((make(bases),))
                instances = [cls() for _ in range(10)]
                for number, instance in enumerate(instances):
                    instance.x, instance.y = number, 1
                    try:
                        instance.other = [instance]
                    except AttributeError:
                        assert cls.__dictoffset__ == 0, cls.__dictoffset__
                gc.collect()
                assert [instance.sum() for instance in instances] == list(range(1, 11))
                del instance, instances
                gc.collect()
        """,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_a_base_made_in_python_without_a_dict(mod):
    class Python:
        __slots__ = ()

        def python(self):
            return "python", self.sum()

    instance = mod.make_MadeWithout((Python, mod.Point))()
    instance.x = 3
    assert instance.python() == ("python", 3)


def test_a_base_made_in_python_from_a_type(mod):
    class Python(mod.Point):
        def __repr__(self):
            return "python " + super().__repr__()

    cls = mod.make_MadeWithout((Python,))
    instance = cls()
    instance.x = instance.attribute = 3
    assert (repr(instance), instance.sum(), instance.attribute) == ("python point", 3, 3)

    class Further(cls):
        __slots__ = ("slot",)

    further = Further()
    further.x = further.slot = further.attribute = 4
    assert (repr(further), further.sum(), further.slot, further.attribute) == ("python point", 4, 4, 4)


@pytest.mark.differs("0.9.0 lets the struct and the slots overlap")
def test_a_struct_cannot_go_on_behind_slots_of_a_python_class(mod):
    class Slots(mod.Point):
        __slots__ = ("one",)

    with pytest.raises(TypeError) as error:
        mod.make_Made((Slots,))
    assert str(error.value).startswith("HPyType_Spec.basicsize of 'mod.Made' has to be 0: its base 'Slots' has memory")
    instance = mod.make_MadeWithout((Slots,))()
    instance.x, instance.one = 1, 2
    assert (instance.sum(), instance.one) == (1, 2)


def test_structs_that_do_not_go_together(mod):
    for bases in ((mod.Point, mod.Other), (mod.Other, mod.Mixed), (mod.Point, dict), (list, mod.Other)):
        with pytest.raises(TypeError, match="lay-?out conflict"):
            type("Sub", bases, {})
        with pytest.raises(TypeError, match="lay-?out conflict"):
            mod.make_MadeWithout(bases)


def test_an_exception_as_base(mod):
    cls = mod.make_MadeWithout((ValueError,))
    with pytest.raises(ValueError, match="text") as info:
        raise cls("text")
    assert type(info.value) is cls


def test_built_in_bases_without_a_struct(mod):
    # Of shape Object, but without access to a struct there is nothing to get wrong.
    assert mod.make_MadeWithout((int,))(10**50) == 10**50
    assert mod.make_MadeWithout((tuple,))("abc") == tuple("abc")
    assert mod.make_MadeWithout((dict,))(a=1) == {"a": 1}
    assert mod.make_MadeWithout((list, mod.Mixin))([1]).mixed() == 11


def test_bases_know_their_subclasses(mod):
    cls = mod.make_Made((mod.Point,))
    assert cls in mod.Point.__subclasses__()
    assert mod.Point3 in mod.Point.__subclasses__()


class Meta(type):
    @property
    def attribute(cls):
        return "of the metaclass", cls.__name__

    def __call__(cls, *args):
        return [super().__call__(*args)]


def test_a_metaclass(mod):
    cls = mod.make_Made((mod.Point,), Meta)
    assert type(cls) is Meta
    assert cls.attribute == ("of the metaclass", "Made")
    [instance] = cls()
    assert type(instance) is cls
    instance.x = 5
    assert instance.sum() == 5
    assert (cls.__name__, cls.__module__) == ("Made", "mod")
    assert type(mod.make_Made((mod.Point,), type)) is type


def test_subclasses_get_the_metaclass(mod):
    class Sub(mod.make_Made((mod.Point,), Meta)):
        pass

    assert type(Sub) is Meta
    assert Sub.attribute == ("of the metaclass", "Sub")


@pytest.mark.differs("0.9.0 takes `type` before Python 3.12")
def test_without_a_metaclass_there_is_that_of_the_bases(mod):
    class Python(metaclass=Meta):
        pass

    assert type(mod.make_MadeWithout((Python,))) is Meta
    assert type(mod.make_MadeWithout((mod.Point, Python))) is Meta


def test_an_abstract_class(mod):
    class Abstract(metaclass=abc.ABCMeta):
        @abc.abstractmethod
        def sum(self): ...

    Abstract.register(mod.Point)
    assert isinstance(mod.Point3(), Abstract)


@pytest.mark.frees_classes
def test_a_metaclass_is_held(mod):
    class Local(type):
        pass

    before = sys.getrefcount(Local)
    cls = mod.make_Made((mod.Point,), Local)
    assert sys.getrefcount(Local) > before
    assert type(cls) is Local


@pytest.mark.differs("0.9.0 leaks on 3.11: the type it copies and more")
def test_a_metaclass_stays_in_balance(mod):
    class Local(type):
        pass

    assert_balanced(lambda: mod.make_Made((mod.Point,), Local), Local, mod.Point)


def test_a_base_in_another_module(snippet):
    base = snippet(POINTS.replace("mod.", "first."), "first")
    derived = snippet(
        "typedef struct { long x; long y; } Point;\n"
        + type_source(
            "Wide",
            "Point base; long width;",
            'HPyDef_MEMBER(Wide_width, "width", HPyMember_LONG, offsetof(Wide, width))\n',
            method("size", """
                Wide *data = Wide_AsStruct(ctx, self);
                return HPyLong_FromLong(ctx, data->base.x * data->width);
            """),
            make=True,
            flags=BASETYPE,
        ),
        "second",
    )
    cls = derived.make_Wide((base.Point,))

    class Python(cls):
        def size(self):
            return -super().size()

    for each in (cls, Python):
        instance = each()
        instance.x, instance.y, instance.width = 2, 3, 5
        assert (instance.sum(), abs(instance.size()), repr(instance)) == (5, 10, "point")
    assert Python.__mro__ == (Python, cls, base.Point, object)


# Metaclasses that make their classes in their own way


class Abstract(abc.ABC):
    @abc.abstractmethod
    def sum(self):
        """Missing."""


class Registering(type):
    """Knows its classes, and takes `super().__new__` for what makes them."""

    known = []

    def __new__(meta, name, bases, namespace, **keywords):
        cls = super().__new__(meta, name, bases, namespace, **keywords)
        meta.known.append((cls, name, bases))
        cls.registered = True
        return cls


class Registered(metaclass=Registering):
    pass


OWN_WAY = pytest.mark.differs("0.9.0: the metaclass is `type`, or the type is refused")


@OWN_WAY
@pytest.mark.parametrize("base", [abc.ABC, collections.abc.Sequence, Abstract, Registered], ids=lambda base: base.__name__)
def test_the_metaclass_of_a_base_makes_classes_in_its_own_way(mod, base):
    made = mod.make_MadeWithout((base,))
    assert type(made) is type(base) and made.__base__ is base and made.__mro__[0] is made
    assert issubclass(made, base) and made.__name__ == "MadeWithout" and made.__module__ == "mod"

    class Sub(made):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return "item"

        def sum(self):
            return 5

    assert type(Sub) is type(base) and isinstance(Sub(), base)


@OWN_WAY
def test_abstract_methods_are_known(mod):
    made = mod.make_MadeWithout((collections.abc.Sequence,))
    assert made.__abstractmethods__ == {"__len__", "__getitem__"}
    with pytest.raises(TypeError, match="abstract"):
        made()
    # A method of the type is one that is there.
    complete = mod.make_Summing((Abstract,))
    assert complete.__abstractmethods__ == frozenset() and complete().sum() == 5
    assert mod.make_MadeWithout((Abstract,)).__abstractmethods__ == {"sum"}
    made.register(int)
    assert isinstance(5, made) and issubclass(int, made) and not isinstance("5", made)


@OWN_WAY
def test_the_metaclass_gets_the_type(mod):
    Registering.known.clear()
    made = mod.make_MadeWithout((Registered,))
    assert Registering.known == [(made, "MadeWithout", (Registered,))] and made.registered
    derived = mod.make_MadeWithout((made,))
    assert Registering.known[1][0] is derived and type(derived) is Registering
    Registering.known.clear()


@OWN_WAY
def test_a_struct_beside_such_a_base(mod):
    made = mod.make_Made((mod.Point, Abstract))
    assert type(made) is abc.ABCMeta and made.__bases__ == (mod.Point, Abstract)
    point = made()
    point.x, point.y = 2, 3
    assert point.sum() == 5


@pytest.mark.newer
def test_a_metaclass_whose_classes_are_others(mod):
    class Own(type):
        def __new__(meta, name, bases, namespace):
            return type.__new__(meta, name, bases, namespace)

    class Base(metaclass=Own):
        pass

    class Failing(type):
        def __new__(meta, name, bases, namespace):
            if name == "MadeWithout":
                raise LookupError("not today")
            return super().__new__(meta, name, bases, namespace)

    class Other(metaclass=Failing):
        pass

    with pytest.raises(TypeError, match="'mod.MadeWithout' can't have the metaclass 'Own' of its base"):
        mod.make_MadeWithout((Base,))
    with pytest.raises(LookupError, match="not today"):
        mod.make_MadeWithout((Other,))


@OWN_WAY
@pytest.mark.frees_classes
def test_types_with_such_a_metaclass_go(mod):
    def types():
        gc.collect()
        return sum(isinstance(each, type) for each in gc.get_objects())

    for base in (collections.abc.Sequence, Registered):
        mod.make_MadeWithout((base,))
        Registering.known.clear()
        before = types()
        for _ in range(10):
            mod.make_MadeWithout((base,))
        Registering.known.clear()
        assert types() == before
