"""Checks of the extension menagerie, whose binary is the same for all interpreters.

    python check_menagerie.py               imports menagerie from sys.path
    python check_menagerie.py BINARY        loads this file
    python check_menagerie.py ... check_... does some of the checks only

Needs nothing but the standard library. Prints how many checks passed, and what failed; exits with 1 if any did. With
the environment variable MENAGERIE_TIMES, it says how long each took.

What is only checked on CPython, PyPy's own runtime does in another way: see docs/interpreters.md.
"""

import abc
import array
import copy
import enum
import functools
import gc
import importlib.machinery
import inspect
import io
import json
import operator
import os
import pickle
import pydoc
import shutil
import struct
import sys
import tempfile
import threading
import time
import traceback
import typing
import warnings
import weakref

CPYTHON = sys.implementation.name == "cpython"
PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def load(path):
    """Loads a binary that has no stub beside it."""
    import hpy.universal

    spec = importlib.machinery.ModuleSpec("menagerie", None, origin=path)
    return hpy.universal.load("menagerie", path, spec, mode=hpy.universal.MODE_UNIVERSAL)


CHOSEN = [argument for argument in sys.argv[1:] if argument.startswith("check_")]
BINARY = next((argument for argument in sys.argv[1:] if argument not in CHOSEN), None)
if BINARY is not None:
    # Pickle looks there.
    zoo = sys.modules["menagerie"] = load(BINARY)
else:
    import menagerie as zoo

    BINARY = zoo.__spec__.origin


def collect():
    """Some collectors need several rounds for finalizers and what hangs on them."""
    for _ in range(3):
        gc.collect()


KINDS = "Specimen Animal Bird Node Cage Weight Parrot Tank Tally Reading Label Pair Flock Genus Crate".split()
# Elsewhere, the HPy_tp_destroy of types with a built-in shape is never called.
UNCOUNTED = () if CPYTHON else ("Tally", "Reading", "Label", "Pair", "Flock", "Genus")
# What a check that failed has left alive.
LEFT = dict.fromkeys(KINDS, 0)


def alive():
    """The kinds of which there are instances, and how many."""
    return {name: count - LEFT[name] for name, count in zip(KINDS, zoo.survey()) if count != LEFT[name]}


def left():
    """What is still alive after a check, though nothing should be."""
    return {name: count for name, count in alive().items() if name not in UNCOUNTED}


def raises(error, function, *args, **kwargs):
    """The exception of a call, which has to be one of these."""
    try:
        function(*args, **kwargs)
    except error as caught:
        return caught.with_traceback(None)
    raise AssertionError(f"{function} raised nothing")


class Open(zoo.Node):
    """A subclass with a dict, which can have weak references."""


class Slots(zoo.Node):
    # Elsewhere, all types have weak references.
    __slots__ = ("slot", "__weakref__") if CPYTHON else ("slot",)


class Further(Open):
    """A subclass of a subclass, with a dict and a slot."""

    __slots__ = ("slot",)


class Finalized(Further):
    log = []

    def __del__(self):
        self.log.append(self.value)


NODES = zoo.Node, Open, Slots, Further


def refer_to_itself(instance):
    """Makes a cycle with all fields, slots and attributes."""
    names = [name for name in ("friend", "nest", "value", "next", "keeper", "slot") if name in dir(type(instance))]
    for name in names + ["attribute"] * hasattr(instance, "__dict__"):
        setattr(instance, name, instance)
        assert getattr(instance, name) is instance, name


# Members and attributes


def check_integer_members():
    kinds = {"short": "h", "int": "i", "long": "l", "longlong": "q", "byte": "b", "size": "n"}
    unsigned = {"ushort": "H", "uint": "I", "ulong": "L", "ulonglong": "Q", "ubyte": "B"}
    specimen = zoo.Specimen()
    for name, code in {**kinds, **unsigned}.items():
        name = "an_" + name if name == "int" else "a_" + name
        bits = 8 * struct.calcsize(code)
        least, greatest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if code in kinds.values() else (0, 2**bits - 1)
        if not CPYTHON:
            greatest = min(greatest, 2**63 - 1)
        assert getattr(specimen, name) == 0
        for value in (least, greatest, 1):
            setattr(specimen, name, value)
            assert getattr(specimen, name) == value, (name, value)
        raises(OverflowError, setattr, specimen, name, 2**64)
        raises(TypeError, setattr, specimen, name, "1")
        raises(TypeError, delattr, specimen, name)
        setattr(specimen, name, 1)
    # No member lies upon another.
    assert all(getattr(specimen, "an_int" if name == "int" else "a_" + name) == 1 for name in [*kinds, *unsigned])
    assert specimen.frozen == specimen.a_long == 1
    raises(AttributeError, setattr, specimen, "frozen", 5)


def check_other_members():
    specimen = zoo.Specimen()
    assert (specimen.latin, specimen.tag, specimen.nothing) == ("B\xe6stia", "in place", None)
    assert (specimen.a_float, specimen.a_double, specimen.a_bool) == (0.0, 0.0, False)
    specimen.a_float, specimen.a_double, specimen.a_bool, specimen.a_char = 0.5, 1e300, True, "x"
    assert (specimen.a_float, specimen.a_double, specimen.a_bool, specimen.a_char) == (0.5, 1e300, True, "x")
    for name, value in (("latin", "x"), ("tag", "x"), ("a_bool", 1), ("a_char", "xy"), ("a_double", "1.5")):
        raises(TypeError, setattr, specimen, name, value)
    raises(AttributeError, getattr, specimen, "an_object_ex")
    assert specimen.an_object is None
    value = []
    specimen.an_object = specimen.an_object_ex = value
    assert specimen.an_object is specimen.an_object_ex is value
    del specimen.an_object, specimen.an_object_ex
    assert specimen.an_object is None
    raises(AttributeError, getattr, specimen, "an_object_ex")
    if CPYTHON:
        raises(AttributeError, delattr, specimen, "an_object_ex")
    specimen.an_object = specimen.an_object_ex = specimen
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        specimen.a_ubyte = 200


def check_attributes():
    specimen = zoo.Specimen()
    specimen.length, specimen.width, specimen.height = 2, 3.5, 4
    assert (specimen.length, specimen.width, specimen.height, specimen.volume) == (2.0, 3.5, 4.0, 28.0)
    raises(TypeError, setattr, specimen, "width", "wide")
    del specimen.width
    assert "not known" in str(raises(AttributeError, getattr, specimen, "width"))
    assert not hasattr(specimen, "width") and hasattr(specimen, "height")
    specimen.width = 1
    raises(AttributeError, setattr, specimen, "volume", 5)
    raises(AttributeError, delattr, specimen, "volume")
    raises(AttributeError, setattr, specimen, "unheard_of", 5)
    raises(TypeError, zoo.Specimen.length.__get__, 5)
    assert zoo.Specimen.length.__doc__ == "in metres"


def check_methods():
    specimen = zoo.Specimen()
    assert specimen.measure() == [0.0, 0.0, 0.0]
    assert specimen.resize(1, 2) is specimen
    assert specimen.resize(1, 2, 3).measure() == [1.0, 2.0, 3.0]
    assert specimen.adjust(5).adjust(width=6, height=7).measure() == [5.0, 6.0, 7.0]
    assert specimen.adjust(length=1.5, **{"height": 2}).measure() == [1.5, 6.0, 2.0]
    assert specimen.same(specimen) is True and specimen.same(zoo.Specimen()) is False
    for function, args, kwargs in (
        (specimen.measure, (1,), {}),
        (specimen.measure, (), {"x": 1}),
        (specimen.same, (), {}),
        (specimen.same, (1, 2), {}),
        (specimen.resize, (1,), {}),
        (specimen.resize, (1, 2, 3, 4), {}),
        (specimen.resize, (1, 2), {"height": 3}),
        (specimen.resize, ("a", 2), {}),
        (specimen.adjust, (1, 2), {}),
        (specimen.adjust, (), {"width": "wide"}),
        (zoo.Specimen.measure, (), {}),
        (zoo.Specimen.measure, (5,), {}),
    ):
        raises(TypeError, function, *args, **kwargs)
    bound = specimen.resize
    del specimen
    assert bound(7, 8, 9).measure() == [7.0, 8.0, 9.0]
    assert list(map(zoo.Specimen.measure, [bound.__self__])) == [[7.0, 8.0, 9.0]]


def check_documentation():
    assert zoo.__doc__ == "Types of every kind."
    assert zoo.Specimen.__doc__ == "Something to be measured."
    assert zoo.Bird.__doc__ is None
    assert zoo.Specimen.frozen.__doc__ == "a_long"
    assert zoo.Specimen.__module__ == zoo.Escape.__module__ == zoo.Survey.__module__ == "menagerie"
    if CPYTHON:
        assert zoo.Specimen.measure.__name__ == "measure"
        assert zoo.Specimen.measure.__doc__ == "Returns a list of all sizes."
        assert str(inspect.signature(zoo.Specimen.measure)) == "(self, /)"
    text = pydoc.plain(pydoc.render_doc(zoo))
    assert "class Penguin(Bird, Swimmer)" in text and "in metres" in text
    for value in vars(zoo).values():
        if isinstance(value, type):
            assert repr(value) == f"<class 'menagerie.{value.__name__}'>"
            assert len(inspect.getmembers(value)) > 10
    assert "friend" in dir(zoo.Penguin() if CPYTHON else zoo.Animal())


# Types that derive from each other


def check_derived_types():
    penguin, swimmer = zoo.Penguin(), zoo.Swimmer()
    assert zoo.Penguin.__mro__ == (zoo.Penguin, zoo.Bird, zoo.Animal, zoo.Swimmer, object)
    assert (zoo.Animal().legs, zoo.Bird().legs, penguin.legs, penguin.swim()) == (4, 2, 2, 2)
    assert isinstance(penguin, zoo.Animal) and isinstance(penguin, zoo.Swimmer) and not isinstance(swimmer, zoo.Animal)
    raises(AttributeError, swimmer.swim)
    penguin.legs, penguin.friend, penguin.nest = 3, swimmer, [penguin]
    assert (penguin.swim(), penguin.friend, penguin.nest) == (3, swimmer, [penguin])
    raises(TypeError, zoo.Bird.nest.__get__, zoo.Animal())
    assert alive() == {"Animal": 1, "Bird": 1}
    if CPYTHON:
        assert zoo.Swimmer.__basicsize__ == object.__basicsize__
        assert zoo.Penguin.__basicsize__ == zoo.Bird.__basicsize__ > zoo.Animal.__basicsize__


def check_structs_that_do_not_go_together():
    for bases in ((zoo.Bird, zoo.Node), (zoo.Tally, zoo.Animal), (zoo.Flock, zoo.Pair), (zoo.Animal, int)):
        raises(TypeError, type, "Chimera", bases, {})
        raises(TypeError, zoo.breed, bases, type, True)


def check_a_subclass_of_several_types():
    class Duck(zoo.Swimmer, zoo.Bird):
        def swim(self):
            return "paddles with", super().swim()

    class Plain:
        plain = 5

    class Decoy(Plain, Duck):
        __slots__ = ("slot",)

    class Model(Plain, zoo.Penguin):
        pass

    for cls in (Duck, Decoy, Model):
        duck = cls()
        duck.nest = duck.attribute = duck
        assert duck.nest.attribute is duck
        assert duck.swim() == (2 if cls is Model else ("paddles with", 2))
    assert Decoy.plain == Model().plain == 5


# Subclasses in Python


def check_subclasses():
    for cls in NODES:
        node = cls("value", next=[1])
        assert (node.value, node.next, type(node)) == ("value", [1], cls)
        node.__init__(5)
        assert (node.value, node.next) == (5, None)
        assert cls.__new__(cls, "ignored").value is None
        assert hasattr(node, "__dict__") == (cls in (Open, Further))
        if cls in (Open, Further):
            node.attribute = 5
            assert vars(node) == {"attribute": 5}
            node.__dict__ = {"other": 6}
            assert node.other == 6 and not hasattr(node, "attribute")
        else:
            raises(AttributeError, setattr, node, "attribute", 5)
        if cls in (Slots, Further):
            raises(AttributeError, getattr, node, "slot")
            node.slot = node
            assert node.slot is node and node.value == 5
            del node.slot


def check_kinds_of_subclasses():
    T = typing.TypeVar("T")
    made = []

    class Box(zoo.Node, typing.Generic[T]):
        def __init_subclass__(cls, **kwargs):
            made.append((cls.__name__, kwargs))

        @functools.cached_property
        def doubled(self):
            return self.value * 2

        @property
        def next(self):
            return "overridden"

    class Sub(Box[int], option=5):
        def __init__(self, value):
            super().__init__(value, next=self)

    class Abstract(zoo.Swimmer, abc.ABC):
        @abc.abstractmethod
        def name(self): ...

    class Concrete(Abstract, zoo.Animal):
        def name(self):
            return "concrete"

    sub = Sub(21)
    assert made == [("Sub", {"option": 5})]
    assert (sub.doubled, sub.doubled, sub.next, zoo.Node.next.__get__(sub)) == (42, 42, "overridden", sub)
    raises(TypeError, Abstract)
    assert Concrete().name() == "concrete"


def check_the_class_of_an_instance_changes():
    class Other(zoo.Node):
        pass

    node = Open(1)
    node.attribute = 2
    node.__class__ = Other
    assert (type(node), node.value, node.attribute) == (Other, 1, 2)
    raises(TypeError, setattr, node, "__class__", Slots)
    raises(TypeError, setattr, node, "__class__", zoo.Animal)


def check_the_bases_of_a_class_change():
    class First(zoo.Node):
        pass

    class Second(zoo.Node):
        def second(self):
            return "second", self.value

    class Sub(First):
        pass

    sub = Sub(5)
    Sub.__bases__ = (Second,)
    assert sub.second() == ("second", 5)
    raises(TypeError, setattr, Sub, "__bases__", (zoo.Animal,))


def check_new_is_asked_for_another_type():
    for cls, other in ((zoo.Node, zoo.Animal), (zoo.Bird, zoo.Animal), (zoo.Node, int), (zoo.Node, 5)):
        raises(TypeError, cls.__new__, other)
    raises(TypeError, zoo.Node.__init__, zoo.Weight())
    if CPYTHON:
        # The struct of a Bird would not be counted.
        raises(TypeError, zoo.Animal.__new__, zoo.Bird)
        raises(TypeError, object.__new__, zoo.Node)


def check_types_can_be_changed():
    node = Open(1)
    zoo.Node.extra, zoo.Node.__len__ = 5, lambda self: 7
    try:
        assert (zoo.Node().extra, node.extra, len(zoo.Node()), len(node)) == (5, 5, 7, 7)
    finally:
        del zoo.Node.extra, zoo.Node.__len__
    raises(TypeError, len, node)
    assert not hasattr(node, "extra")


# Fields, cycles, finalizers, weak references


def check_cycles_through_fields():
    for cls in (*NODES, zoo.breed((object,), type, False), zoo.breed((Open,), type, True)):
        node = cls(1)
        node.next = cls(2, [node, {"key": node}])
        if hasattr(cls, "slot"):
            node.slot = node.next
        del node
        collect()
        assert alive() == {}, cls


def check_what_is_reachable_survives():
    kept = Open([1])
    kept.next = kept
    unrelated = [kept.value]
    penguin = zoo.Penguin()
    penguin.friend, penguin.nest = [kept], penguin
    friend = penguin.friend
    del penguin
    collect()
    # Only the penguin went, though the friend was in a field of its base.
    assert (friend, kept.value, kept.next, unrelated) == ([kept], [1], kept, [[1]])
    assert alive() == {"Node": 1}


def check_the_collector_sees_each_field_once():
    if not CPYTHON:
        return
    values = [object() for _ in range(4)]
    node, penguin = Further(values[0], values[1]), zoo.Penguin()
    node.slot, node.attribute = values[2], values[3]
    penguin.friend, penguin.nest = values[0], values[1]
    for owner, expected in ((node, values[:3]), (penguin, values[:2])):
        referents = gc.get_referents(owner)
        assert [sum(each is value for each in referents) for value in expected] == [1] * len(expected), owner
        assert gc.is_tracked(owner)
    assert not gc.is_tracked(zoo.Weight())


def check_finalizers():
    log = []
    for cls in (*NODES, zoo.breed((Slots,), type, True)):
        node = cls(cls)
        node.on_finalize = lambda each: log.append(each.value)
        del node
        collect()
        assert log == [cls]
        node = cls(cls)
        node.next, node.on_finalize = node, lambda each: log.append(each.next.value)
        del node
        collect()
        assert log == [cls, cls]
        log.clear()
    for cls in (Finalized, type("Sub", (Finalized,), {}), zoo.breed((Finalized,), type, True)):
        cls("python")
        cycle = cls("cycle")
        cycle.next = cycle
        del cycle
        collect()
        assert sorted(Finalized.log) == ["cycle", "python"], cls
        Finalized.log.clear()


def check_finalizers_that_save_their_node():
    saved = []
    for cls in NODES:
        for in_cycle in (False, True):
            node = cls("value")
            node.on_finalize = saved.append
            if in_cycle:
                node.next = node
            del node
            collect()
            (node,) = saved
            saved.clear()
            assert (type(node), node.value, node.next) == (cls, "value", node if in_cycle else None)
            assert alive() == {"Node": 1}
            del node
            collect()
            # Python's finalizers run once, and so do those of HPy for what the collector knows.
            assert (saved, alive()) == ([], {}), (cls, in_cycle)

    class Lazarus(zoo.Node):
        def __del__(self):
            saved.append(self)

    Lazarus(5)
    collect()
    assert saved.pop().value == 5
    collect()


def check_finalizers_that_fail():
    caught = []
    sys.unraisablehook, hook = lambda args: caught.append((args.exc_type, callable(args.object))), sys.unraisablehook
    try:
        node = zoo.Node()
        node.on_finalize = lambda each: 1 // 0
        del node
        collect()
    finally:
        sys.unraisablehook = hook
    assert caught == [(ZeroDivisionError, CPYTHON)]


def check_finalizers_while_an_exception_is_on_its_way():
    log = []

    def fails():
        node = zoo.Node()
        node.on_finalize = lambda each: log.append(len(str(each)))
        raise LookupError("the original")

    def leaves_early():
        for _ in generator():
            raise KeyError("in a loop")

    def generator():
        node = zoo.Node()
        node.on_finalize = lambda each: log.append(len(str(each)))
        yield node

    assert str(raises(LookupError, fails)) == "the original"
    assert str(raises(KeyError, leaves_early)) == "'in a loop'"
    collect()
    assert len(log) == 2


def check_finalizers_while_an_exception_goes_through_c():
    log = []

    class Failing(zoo.Node):
        # Without a frame of Python's, which would hold the instance.
        __init__ = staticmethod(int)

        def __new__(cls, text):
            self = super().__new__(cls)
            self.on_finalize = lambda each: log.append((each.value, sum(range(3))))
            return self

    assert "invalid literal" in str(raises(ValueError, Failing, "not a number"))
    collect()
    assert log == [(None, 3)]


def check_weak_references():
    log = []
    for cls in (Open, Slots, Further, zoo.breed((Open,), type, True)):
        node = cls(cls)
        plain, called = weakref.ref(node), weakref.ref(node, lambda each: log.append(each()))
        assert plain() is called() is node and weakref.getweakrefcount(node) == 2
        node.next = node
        del node
        collect()
        assert (plain(), called(), log) == (None, None, [None])
        log.clear()
    names, node = weakref.WeakValueDictionary(), Open(1)
    names["node"] = node
    assert names["node"] is node
    del node
    collect()
    assert not names
    if CPYTHON:
        raises(TypeError, weakref.ref, zoo.Node())


def check_instances_go_at_once():
    if not CPYTHON:
        return
    gc.disable()
    try:
        for cls in (*NODES, Finalized):
            node = cls(cls(1), cls(2))
            node.on_finalize = print
            del node.on_finalize, node
            Finalized.log.clear()
            assert alive() == {}, cls
    finally:
        gc.enable()


def check_collections_at_each_allocation():
    if not CPYTHON:
        return
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for index in range(50):

            class Species(zoo.Penguin, metaclass=zoo.Genus):
                __slots__ = ("slot",)

            for cls in (*NODES, Species, zoo.Flock, zoo.breed((Open,), zoo.Genus, True)):
                refer_to_itself(cls())
            node = Further(index, next=zoo.Flock([Open(index)]))
            assert node.value == node.next[0].value == index
    finally:
        gc.set_threshold(*threshold)


def check_instances_whose_init_fails():
    for function, args in (
        (zoo.Weight, ("heavy",)),
        (zoo.Weight, (2**63,)),
        (zoo.Tank, ()),
        (zoo.Flock, (5,)),
        (zoo.Tally, ("five",)),
    ):
        raises((TypeError, OverflowError, ValueError), function, *args)
    raises(BufferError, zoo.Tank, 0)
    assert bytes(zoo.Tank.__new__(zoo.Tank)) == b""


# Sequences and mappings


def check_sequence():
    cage = zoo.Cage()
    assert len(cage) == 0 and not cage and list(cage) == []
    cage += ["cat", "dog"]
    cage += ("emu",)
    assert isinstance(cage, zoo.Cage) and len(cage) == 3
    assert (cage[0], cage[-1], list(cage), list(reversed(cage))) == ("cat", "emu", ["cat", "dog", "emu"], [*cage][::-1])
    assert "dog" in cage and "gnu" not in cage
    cage[1] = cage
    assert cage[1] is cage
    del cage[1], cage[-1]
    assert list(cage) == ["cat"]
    assert cage + ["dog"] == ["cat", "dog"] and cage * 2 == ["cat", "cat"] and cage * -1 == []
    if CPYTHON:
        assert 2 * cage == ["cat", "cat"]
    same = cage
    cage *= 3
    assert same is cage and [*cage] == ["cat"] * 3
    first, *rest = cage
    assert (first, rest, sorted(cage), max(cage), cage.__len__()) == ("cat", ["cat"] * 2, ["cat"] * 3, "cat", 3)
    for error, function, *args in (
        (IndexError, operator.getitem, cage, 3),
        (IndexError, operator.getitem, cage, -4),
        (IndexError, operator.setitem, cage, 3, 1),
        (IndexError, operator.delitem, cage, 3),
        (TypeError, operator.getitem, cage, "cat"),
        (TypeError, operator.add, cage, 5),
        (TypeError, operator.iadd, cage, 5),
        (TypeError, operator.mul, cage, "x"),
    ):
        raises(error, function, *args)


def check_mapping():
    aviary = zoo.Aviary()
    aviary += range(10)
    assert (len(aviary), aviary[3], aviary[2:8:3], aviary[-1]) == (10, 3, [2, 5], 9)
    aviary[1:9] = [aviary]
    assert aviary[1] is aviary and len(aviary) == 3
    del aviary[:2]
    assert (list(aviary), 9 in aviary, aviary + [1]) == ([9], True, [9, 1])
    raises(TypeError, operator.getitem, aviary, "key")
    raises(IndexError, operator.delitem, aviary, 1)


def check_slots_that_python_overrides():
    class Loud(zoo.Cage):
        def __len__(self):
            return super().__len__() + 100

        def __getitem__(self, index):
            return "loud", super().__getitem__(index)

        def __contains__(self, item):
            return item == "anything" or super().__contains__(item)

        def __iadd__(self, other):
            return super().__iadd__(list(other) * 2)

    loud = Loud()
    loud += "ab"
    assert (len(loud), loud[0], list(loud)[-1]) == (104, ("loud", "a"), ("loud", "b"))
    assert "anything" in loud and "a" in loud and "x" not in loud


# Numbers


def check_number():
    operators = "add sub mul floordiv mod lshift rshift and_ or_ xor matmul pow".split()
    for name in operators:
        plain = getattr(operator, name if name != "matmul" else "mul")
        function = getattr(operator, name)
        for left, right in ((13, 4), (-13, 3), (0, 1)):
            expected = plain(left, right)
            operands = [(zoo.Weight(left), zoo.Weight(right)), (zoo.Weight(left), right)]
            for x, y in operands + [(left, zoo.Weight(right))] * CPYTHON:
                result = function(x, y)
                assert type(result) is zoo.Weight and int(result) == expected, (name, x, y, result)
            weight = same = zoo.Weight(left)
            weight = getattr(operator, "i" + name.strip("_"))(weight, right)
            assert weight is same and int(weight) == expected, name
    weight = zoo.Weight(7)
    assert (weight / 2, divmod(weight, 2)) == (3.5, (3, 1))
    if CPYTHON:
        assert (7 / zoo.Weight(2), divmod(7, zoo.Weight(2)), sum([zoo.Weight(1), zoo.Weight(2)])) == (3.5, (3, 1), 3)
    weight /= 2
    assert weight == 3.5
    assert (bool(zoo.Weight()), bool(zoo.Weight(1)), float(zoo.Weight(3))) == (False, True, 3.0)
    unary = -zoo.Weight(5), +zoo.Weight(5), abs(zoo.Weight(-5)), ~zoo.Weight(5)
    assert unary == (-5, 5, 5, -6) and {type(each) for each in unary} == {zoo.Weight}
    assert (hex(zoo.Weight(255)), operator.index(zoo.Weight(-5)), round(zoo.Weight(5).__float__())) == ("0xff", -5, 5)
    assert ([1, 2, 3][zoo.Weight(1)], "abc"[zoo.Weight(1) :], list(range(zoo.Weight(2)))) == (2, "bc", [0, 1])
    assert sum([zoo.Weight(1), zoo.Weight(2)], zoo.Weight()) == 3
    assert (repr(zoo.Weight(-5)), str(zoo.Weight(5)), f"{zoo.Weight(5)!s:>5}") == ("Weight(-5)", "5 g", "  5 g")


def check_numbers_that_do_not_go_together():
    weight = zoo.Weight(2**62)
    for error, function, *args in (
        (TypeError, operator.add, weight, 1.5),
        (TypeError, operator.add, "1", weight),
        (TypeError, operator.isub, weight, None),
        (TypeError, pow, weight, 2, 3),
        (TypeError, operator.lt, weight, "x"),
        (ZeroDivisionError, operator.floordiv, weight, 0),
        (ZeroDivisionError, operator.imod, weight, zoo.Weight(0)),
        (OverflowError, operator.mul, weight, 4),
        (OverflowError, operator.ilshift, weight, 4),
        (ValueError, operator.lshift, weight, -1),
    ):
        raises(error, function, *args)
    assert weight == 2**62


def check_comparisons_and_hashes():
    one, two = zoo.Weight(1), zoo.Weight(2)
    assert one < two and one <= two and one != two and two > one and two >= one and one == zoo.Weight(1) == 1 != two
    assert 1 == one and 1 < two and 3 > two and not one == "1" and one != None  # noqa: E711
    assert sorted([two, one, 0]) == [0, 1, 2] and max(one, two) is two
    assert hash(one) == hash(1) and hash(zoo.Weight(-1)) == hash(-1)
    assert {one: "one", two: "two"}[zoo.Weight(2)] == "two" and len({one, zoo.Weight(1), 1}) == 1


def check_numbers_that_python_overrides():
    class Heavy(zoo.Weight):
        def __add__(self, other):
            return "Heavy+", super().__add__(other)

        def __radd__(self, other):
            return "+Heavy", super().__radd__(other)

        def __eq__(self, other):
            return "equal"

    assert Heavy(1) + 2 == ("Heavy+", 3) and 2 + Heavy(1) == ("+Heavy", 3)
    # The subclass's reflected method goes first.
    assert zoo.Weight(2) + Heavy(1) == ("+Heavy", 3)
    assert type(Heavy(5) - 1) is zoo.Weight
    assert (Heavy(1) == 5, 5 == Heavy(1), Heavy(1) != 5) == ("equal", "equal", True)
    raises(TypeError, hash, Heavy(1))


# Calls, buffers, capsules, globals, exceptions, struct sequences


def check_calls():
    parrot, loud = zoo.Parrot(), zoo.Parrot("loud")
    assert (parrot(), parrot(1, 2), loud(1)) == (("says", 0, None), ("says", 2, None), ("SHOUTS", 1))
    assert parrot(1, a=2, b=3) == ("says", 1, ("a", "b"))
    assert parrot(*[1] * 50, **{"x": 1}) == ("says", 50, ("x",))
    assert parrot.__call__(1, a=2) == ("says", 1, ("a",))
    assert (list(map(parrot, "ab")), functools.partial(loud, 1)(2)) == ([("says", 1, None)] * 2, ("SHOUTS", 2))

    class Plain(zoo.Parrot):
        method = parrot

    # An instance is no descriptor.
    assert (Plain()(1), Plain(1)(1), Plain().method(1)) == (("says", 1, None), ("SHOUTS", 1), ("says", 1, None))
    assert callable(parrot) and not callable(zoo.Node())


def check_calls_that_python_overrides():
    class Quiet(zoo.Parrot):
        def __call__(self, *args):
            return "whispers", super().__call__(*args)

    for cls in (Quiet, type("Sub", (Quiet,), {}), zoo.breed((Quiet,), type, True)):
        assert cls()(1, 2) == ("whispers", ("says", 2, None))
        # What C has set for the instance is what C's __call__ does.
        assert cls("loud")(1, 2) == ("whispers", ("SHOUTS", 2))


def check_buffers():
    class Sub(zoo.Tank):
        pass

    for cls in (zoo.Tank, Sub) if CPYTHON else (zoo.Tank,):
        tank = cls(4)
        with memoryview(tank) as view:
            assert (view.format, view.shape, view.itemsize, view.readonly) == ("d", (4,), 8, False)
            view[1] = 2.5
            view[2:] = array.array("d", [3, 4])
            assert view.tolist() == [0, 2.5, 3, 4] and view.obj is (tank if CPYTHON else None)
            assert tank.exports == 1
            assert "1 exports" in str(raises(BufferError, tank.__init__, 5))
        collect()
        assert tank.exports == 0
        assert bytes(tank) == struct.pack("4d", 0, 2.5, 3, 4)
        assert io.BytesIO(struct.pack("d", 7)).readinto(tank) == 8
        assert memoryview(tank).cast("B")[:8] == struct.pack("d", 7)
        if not CPYTHON:
            collect()
        tank.__init__(2)
        view = memoryview(tank)
        del tank
        view[0] = 5
        assert view.tolist() == [5, 0]
        view.release()
    raises(TypeError, memoryview, zoo.Parrot())


def check_capsules():
    crates = [zoo.pack() for _ in range(10)]
    assert zoo.unpack(crates[0]) == 10
    node = zoo.Node(crates.pop())
    node.next = node
    del node, crates
    collect()
    assert alive() == {}
    raises(ValueError, zoo.unpack, 5)
    import datetime

    if CPYTHON:
        raises(ValueError, zoo.unpack, datetime.datetime_CAPI)


def check_globals():
    assert zoo.keep(zoo.Node("kept")) is None
    collect()
    assert alive() == {"Node": 1}
    assert zoo.keep(None).value == "kept"


def check_exceptions():
    def fails(error):
        raise error

    assert zoo.attempt(lambda: 5) == 5
    assert zoo.attempt(functools.partial(fails, zoo.Escape("gone"))) is ...
    assert zoo.attempt(functools.partial(fails, type("Sub", (zoo.Escape,), {})())) is ...
    error = ValueError("other")
    assert raises(ValueError, zoo.attempt, functools.partial(fails, error)) is error
    raises(TypeError, zoo.attempt, 5)
    assert issubclass(zoo.Escape, RuntimeError) and zoo.Escape("a", 1).args == ("a", 1)
    # Each goes through C twice.
    depth = functools.reduce(lambda inner, _: functools.partial(zoo.attempt, inner), range(50), fails)
    raises(TypeError, depth)


def check_struct_sequences():
    before, node = zoo.survey(), zoo.Node()
    survey = zoo.survey()
    assert isinstance(survey, tuple) and type(survey) is zoo.Survey and zoo.Survey.__name__ == "Survey"
    assert survey.Node == before.Node + 1 == survey[3] and sum(survey) == sum(before) + 1 and len(survey) == len(KINDS)
    assert survey[4:] == before[4:] and survey != before
    assert f"Node={survey.Node}" in repr(survey)
    assert pickle.loads(pickle.dumps(survey)) == survey == copy.copy(survey)
    raises(AttributeError, setattr, survey, "Node", 5)
    del node


# Shapes


SHAPES = {
    zoo.Tally: (int, [0, 5, -1, 2**30, 10**50, -(2**1000)]),
    zoo.Reading: (float, [0.0, -1.5, 1e300]),
    zoo.Label: (str, ["", "abc", "gr\xf6\xdfer", "\N{GRINNING FACE}" * 50]),
    zoo.Pair: (tuple, [(), (1,), (1, 2), tuple(range(1000))]),
    zoo.Flock: (list, [[], [1, 2, 3], list(range(1000))]),
}


def check_values_and_structs_of_shapes():
    for cls, (base, values) in SHAPES.items():
        open_class = type("Open", (cls,), {})
        further = type("Further", (open_class,), {"__slots__": ()})
        for each in (cls, open_class, further):
            instances = [each(value) for value in values]
            for index, instance in enumerate(instances):
                assert (instance.mark, instance.keeper) == (0, None)
                instance.mark, instance.keeper = -index, instances
                if each is not cls:
                    instance.attribute = index
            for index, (instance, value) in enumerate(zip(instances, values)):
                assert type(instance) is each and isinstance(instance, base)
                assert instance == value and repr(instance) == repr(value) and str(instance) == str(value)
                assert (instance.mark, instance.keeper) == (-index, instances)
                assert getattr(instance, "attribute", index) == index
                if base is not list:
                    assert hash(instance) == hash(value) and {instance: 1}[value] == 1
                if base is not float:
                    assert json.loads(json.dumps(instance)) == json.loads(json.dumps(value))
            del instances, instance
            collect()
            assert alive() == {}, each


def check_what_built_in_bases_can_do():
    assert (zoo.Tally(5) + 1, zoo.Tally(5).bit_length(), zoo.Tally("ff", 16), range(10)[zoo.Tally(3)]) == (6, 3, 255, 3)
    assert (zoo.Reading("1.5") * 2, zoo.Reading(2.0).is_integer()) == (3.0, True)
    assert (zoo.Label("a") + "b", zoo.Label("abc").upper(), "".join([zoo.Label("x")] * 3)) == ("ab", "ABC", "xxx")
    assert (zoo.Pair("ab") + (1,), zoo.Pair([3, 1]).index(1), zoo.Label(5)) == (("a", "b", 1), 1, "5")
    flock = zoo.Flock("cab")
    flock.sort()
    flock += flock
    flock.append(flock.pop(0))
    flock[1:3] = []
    assert (flock, len(flock), flock.count("a")) == (["b", "b", "c", "a"], 4, 1)
    flock.__init__([1])
    assert flock == [1] and alive()["Flock"] == 1
    first, second = zoo.Pair([flock, 2])
    assert first is flock and second == 2
    if not CPYTHON:
        return

    class Colour(zoo.Tally, enum.Enum):
        RED = 1
        BLUE = 2

    assert Colour(2) is Colour.BLUE and Colour.RED + 1 == 2 and Colour.RED.mark == 0


def check_cycles_through_shapes():
    for cls in SHAPES:
        for each in (cls, type("Open", (cls,), {})):
            instance = each()
            instance.keeper = instance
            del instance
            flock = zoo.Flock([each()])
            flock[0].keeper = flock
            pair = zoo.Pair([zoo.Flock()])
            pair[0].append(pair)
            del flock, pair
            collect()
            assert alive() == {}, each


def check_slots_beside_shapes():
    for cls in (zoo.Reading, zoo.Label, zoo.Flock):

        class Sub(cls):
            __slots__ = "first", "second"

        instance = Sub()
        instance.first, instance.second, instance.mark, instance.keeper = 1, instance, 3, 4
        assert (instance.first, instance.second is instance, instance.mark, instance.keeper) == (1, True, 3, 4)
        raises(AttributeError, setattr, instance, "third", 3)
        assert instance == cls()


# Metaclasses and new types


def check_metaclass():
    class Species(metaclass=zoo.Genus):
        pass

    class Sub(zoo.Penguin, metaclass=zoo.Genus):
        __slots__ = "slot", "__dict__"

    class Latin(zoo.Genus):
        def __new__(meta, name, bases, namespace, **kwargs):
            return super().__new__(meta, name.lower(), bases, namespace)

        def __init__(cls, name, bases, namespace, **kwargs):
            super().__init__(name, bases, namespace)
            cls.options = kwargs

        def __call__(cls, *args):
            return "called", super().__call__(*args)

    class Felis(Sub, metaclass=Latin, option=5):
        pass

    assert (type(Species), type(Sub), type(Felis), Felis.__name__, Felis.options) == (
        zoo.Genus,
        zoo.Genus,
        Latin,
        "felis",
        {"option": 5},
    )
    for mark, cls in enumerate((Species, Sub, Felis)):
        cls.mark, cls.keeper, cls.attribute = mark, cls, [cls]
    for mark, cls in enumerate((Species, Sub, Felis)):
        assert (cls.mark, cls.keeper, cls.attribute) == (mark, cls, [cls])
    called, felis = Felis()
    felis.slot = felis.nest = felis.attribute = felis
    assert called == "called" and felis.slot.nest.attribute is felis
    # On the instance there is no `mark`, as that is the type's attribute.
    raises(AttributeError, getattr, felis, "mark")
    assert alive() == {"Animal": 1, "Bird": 1, "Genus": 3}
    raises(TypeError, type, "Mixed", (Species, abc.ABC), {})


def check_types_made_by_c():
    class Python:
        plain = 5

    class Meta(type):
        pass

    for metaclass in (type, Meta, zoo.Genus):
        for bases in ((object,), (zoo.Penguin,), (Open,), (Further, Python), (Python, zoo.Swimmer), (Python,)):
            cls = zoo.breed(bases, metaclass, True)
            assert (type(cls), cls.__bases__, cls.__name__, cls.__module__) == (metaclass, bases, "Hybrid", "menagerie")
            sub = type(cls)("Sub", (cls,), {"__slots__": ("own",)})
            for each in (cls, sub):
                instance = each()
                assert isinstance(instance, bases)
                if each is sub:
                    instance.own = instance
                refer_to_itself(instance)
            if metaclass is zoo.Genus:
                cls.mark, cls.keeper = 5, cls
                assert (cls.mark, cls.keeper) == (5, cls)
        cls = zoo.breed((object,), metaclass, False)
        raises(TypeError, zoo.Node.next.__get__, cls())
        node, cls = cls(1, 2), weakref.ref(cls)
        collect()
        # The instance keeps its type.
        assert node.next == 2 and type(node) is cls() and not isinstance(node, zoo.Node)
        del node
        collect()
        assert cls() is None
    if CPYTHON:
        raises(TypeError, zoo.breed, (object,), abc.ABCMeta, True)
    raises(TypeError, zoo.breed, (object,), 5, True)
    raises(TypeError, zoo.breed, (5,), type, True)


def check_thousands_of_types():
    def make(count):
        for index in range(count):
            cls = zoo.breed((object,), (type, zoo.Genus)[index % 2], False)
            hybrid = zoo.breed((cls, zoo.Swimmer), type(cls), True)
            sub = type(hybrid)("Sub", (hybrid,), {"made": index})
            node = sub(cls(), hybrid())
            node.attribute = cls.attribute = node
            types.add(cls)
            types.add(sub)
            if index % 250 == 0:
                gc.collect()
        del cls, hybrid, sub, node
        collect()

    types, subclasses = weakref.WeakSet(), zoo.Swimmer.__subclasses__()
    make(500)
    assert (len(types), alive()) == (0, {})
    before = blocks()
    make(1000)
    assert (len(types), alive()) == (0, {})
    assert blocks() - before < 200
    assert zoo.Swimmer.__subclasses__() == subclasses


def blocks():
    """The memory in use, in blocks of CPython's allocator."""
    collect()
    return sys.getallocatedblocks() if CPYTHON else 0


# Copies and pickles


def check_copies():
    for cls in NODES:
        node = cls([1], next={"key": []})
        if cls in (Open, Further):
            node.attribute = [2]
        shallow, deep = copy.copy(node), copy.deepcopy(node)
        assert type(shallow) is type(deep) is cls
        assert shallow.value is node.value and shallow.next is node.next
        assert deep.value == [1] and deep.value is not node.value and deep.next == {"key": []}
        if cls in (Open, Further):
            assert shallow.attribute is node.attribute != [] and deep.attribute == [2] is not node.attribute
        ring = cls()
        ring.next, ring.value = cls(next=ring), ring
        copied = copy.deepcopy(ring)
        assert copied.next.next is copied.value is copied is not ring
    for value in (zoo.Tally(5), zoo.Reading(1.5), zoo.Label("x"), zoo.Pair("ab"), zoo.Flock([[1]])):
        for copied in (copy.copy(value), copy.deepcopy(value)):
            assert type(copied) is type(value) and copied == value
    assert copy.deepcopy(zoo.Node) is zoo.Node
    raises(TypeError, copy.copy, zoo.Weight(5))


def check_pickles():
    for protocol in PROTOCOLS:
        for cls in NODES:
            node = cls([1])
            node.next = cls([node], {"key": node})
            if cls in (Open, Further):
                node.attribute = node
            copied = pickle.loads(pickle.dumps(node, protocol))
            assert type(copied) is type(copied.next) is cls
            assert copied.value == [1] and copied.next.value[0] is copied.next.next["key"] is copied is not node
            assert cls not in (Open, Further) or copied.attribute is copied
        for value in (zoo.Tally(5), zoo.Reading(1.5), zoo.Label("x"), zoo.Pair("ab"), zoo.Flock([[1]]), zoo.Escape(5)):
            copied = pickle.loads(pickle.dumps(value, protocol))
            assert type(copied) is type(value) and (copied == value or copied.args == (5,))
        for cls in (zoo.Node, zoo.Penguin, zoo.Genus, Further):
            assert pickle.loads(pickle.dumps(cls, protocol)) is cls
        raises(TypeError, pickle.dumps, zoo.Weight(5), protocol)


# Numbers of objects


def check_long_chains():
    class Nested(zoo.Pair):
        pass

    def linked(cls, name):
        chain = None
        for _ in range(100_000):
            link = cls()
            setattr(link, name, chain)
            chain = link
        return chain

    hybrid = zoo.breed((Open,), type, True)
    for cls, name in (
        (zoo.Node, "next"),
        (Open, "next"),
        (Open, "attribute"),
        (Further, "slot"),
        (hybrid, "attribute"),
        (zoo.Penguin, "friend"),
        (zoo.Flock, "keeper"),
    ):
        chain = linked(cls, name)
        del chain
        collect()
        assert alive() == {}, (cls, name)
    for wrap in (zoo.Flock, zoo.Pair, Nested, lambda items: Open(zoo.Pair([zoo.Flock(items)]))):
        chain = []
        for _ in range(100_000 if wrap is not Nested else 30_000):
            chain = wrap([chain])
        del chain
        collect()
        assert alive() == {}
    # A ring, which the collector has to open.
    ring = last = zoo.Node()
    for _ in range(100_000):
        ring = zoo.Node(next=ring)
    last.next = ring
    del ring, last
    collect()


def check_thousands_of_objects():
    hybrid = zoo.breed((Open, zoo.Swimmer), type, True)

    class Fluffy(zoo.Flock):
        pass

    def crowd(count):
        previous = None
        for index in range(count // 9):
            nodes = zoo.Node(), Open(), Slots(), Further(index), hybrid()
            for node, following in zip(nodes, nodes[1:]):
                node.next = following
            nodes[-1].next = nodes[index % 5]
            nodes[1].attribute, nodes[2].slot, nodes[4].attribute = nodes, previous, [previous]
            penguin = zoo.Penguin()
            penguin.friend, penguin.nest = zoo.Weight(index), penguin
            flock = Fluffy(nodes)
            flock.keeper = zoo.Tally(index)
            flock.attribute = flock
            previous = nodes[3] if index % 20 else None

    before = None
    for index in range(20):
        crowd(10_000)
        collect()
        assert alive() == {}, (index, alive())
        if index == 4:
            before = blocks()
    assert blocks() - before < 200


def check_threads():
    errors = []

    def work(number):
        try:
            for index in range(200):
                nodes = [cls(index) for cls in NODES * 5]
                for node in nodes:
                    node.next = nodes
                nodes[0].on_finalize = lambda node: node.value
                weight = zoo.Weight(index)
                weight += sum(nodes[i].value for i in range(3))
                assert weight == 4 * index
                assert zoo.graze(1000 * number) == 1000 * number
                if index % 50 == 0:
                    cls = zoo.breed((Open,), zoo.Genus, True)
                    cls.attribute = cls().next = cls
                    gc.collect()
        except BaseException:
            errors.append(traceback.format_exc())

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def check_a_second_copy_of_the_module():
    """The types of two modules, as if two extensions had been built apart."""
    with tempfile.TemporaryDirectory() as folder:
        twin = load(shutil.copy(BINARY, os.path.join(folder, os.path.basename(BINARY))))
        assert twin.Node is not zoo.Node and not isinstance(twin.Node(), zoo.Node)

        class Both(zoo.Swimmer, twin.Bird):
            pass

        class Mixed(Both, zoo.breed((zoo.Swimmer,), type, True)):
            __slots__ = ("slot",)

        for cls in (Both, Mixed, zoo.breed((twin.Penguin,), type, True), twin.breed((Further,), type, True)):
            refer_to_itself(cls())
            instance = cls()
            if isinstance(instance, zoo.Swimmer):
                assert instance.swim() == 2
        raises(TypeError, type, "Chimera", (zoo.Animal, twin.Animal), {})
        raises(TypeError, zoo.Node.next.__get__, twin.Node())
        assert type(zoo.Weight(2) + twin.Weight(3)) is zoo.Weight
        assert type(twin.Weight(2) + zoo.Weight(3)) is twin.Weight
        raises(ZeroDivisionError, zoo.attempt, lambda: twin.attempt(lambda: 1 // 0))
        raises(twin.Escape, zoo.attempt, functools.partial(exec, "raise error", {"error": twin.Escape}))
        del Both, Mixed, cls, instance
        collect()
        assert sum(twin.survey()) == 0


def main():
    names = CHOSEN or [name for name in globals() if name.startswith("check_")]
    checks = [globals()[name] for name in names]
    passed = 0
    for check in checks:
        start = time.perf_counter()
        try:
            check()
            collect()
            assert left() == {}, f"left alive: {left()}"
            passed += 1
        except Exception:
            print(f"{check.__name__}:", file=sys.stderr)
            traceback.print_exc()
        collect()
        LEFT.update(zip(KINDS, zoo.survey()))
        if "MENAGERIE_TIMES" in os.environ:
            print(f"{time.perf_counter() - start:.3f} {check.__name__}", file=sys.stderr)
    failed = len(checks) - passed
    print(f"{passed} checks passed" + (f", {failed} failed" if failed else ""))
    if CPYTHON:
        # What is left when the interpreter ends must not disturb that.
        zoo.left = Finalized(Open())
        zoo.left.next, zoo.left.on_finalize, zoo.left.attribute = zoo.left, lambda node: node.value, zoo.Cage()
        zoo.left.attribute += [zoo.left, zoo.Penguin()]
        zoo.keep(zoo.left)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
