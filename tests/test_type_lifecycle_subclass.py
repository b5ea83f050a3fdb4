"""What is called, how often and in which order, when an instance of a subclass or of a derived type goes."""

import gc
import weakref

import pytest
from type_snippets import BASETYPE, LOG, assert_balanced, logged, slot, type_source

SIMPLE = LOG + logged("Both", "b") + logged("Quiet", "q", fields=(), flags=BASETYPE)
SUBCLASSES = pytest.mark.differs("0.9.0 takes the head of an instance of a Python subclass for its struct")
BASES = pytest.mark.differs("0.9.0 runs deallocators of bases that free the object or the type twice")


@pytest.fixture
def mod(snippet):
    return snippet(SIMPLE)


@SUBCLASSES
def test_instances_of_subclasses_are_destroyed_once(mod):
    class Open(mod.Both):
        pass

    class Slots(mod.Both):
        __slots__ = "a", "__weakref__"

    class Further(Open):
        __slots__ = ("b",)

    class Simple(mod.Quiet):
        pass

    for cls in (Open, Slots, Further, Simple):
        value = object()

        def use():
            instance = cls()
            if cls is not Simple:
                instance.field = value
            instance.a = value
            mod.take_log()
            del instance
            assert mod.take_log() == ("Qq" if cls is Simple else "Bb")

        assert_balanced(use, value, cls, mod.Both, mod.Quiet)


@SUBCLASSES
def test_finalizers_of_subclasses_in_python(mod):
    class Sub(mod.Both):
        def __del__(self):
            events.append((mod.take_log(), self.field, self.attribute))

    class Delegating(mod.Both):
        def __del__(self):
            events.append(mod.take_log())
            super().__del__()

    events = []
    instance = Sub()
    instance.field, instance.attribute = 1, 2
    mod.take_log()
    del instance
    assert (events, mod.take_log()) == ([("", 1, 2)], "b")
    events.clear()
    Delegating()
    assert (events, mod.take_log()) == ([""], "Bb")


@SUBCLASSES
def test_resurrection_in_python(mod):
    saved = []

    class Sub(mod.Both):
        def __del__(self):
            saved.append(self)

    instance = Sub()
    instance.field = 5
    mod.take_log()
    del instance
    gc.collect()
    assert mod.take_log() == ""
    assert saved[0].field == 5
    saved.clear()
    assert mod.take_log() == "b"


@SUBCLASSES
def test_weak_references_to_subclasses(mod):
    class Sub(mod.Both):
        pass

    events = []
    instance = Sub()
    instance.field = 5
    alive = weakref.ref(instance, lambda _: events.append(mod.take_log()))
    assert alive() is instance
    mod.take_log()
    del instance
    assert alive() is None
    assert events in ([""], ["B"])
    assert "".join(events) + mod.take_log() == "Bb"


CHAIN = (
    LOG
    + logged("First", "f", fields=("first",))
    + logged("Second", "s", fields=("second",), base="First", finalize=False)
    + logged("Third", "t", fields=(), base="Second", finalize=False, destroy=False, flags=BASETYPE)
    + logged("Fourth", "v", fields=("fourth",), base="Third", finalize=True)
)


@BASES
@pytest.mark.parametrize(
    "name, expected", [("First", "Ff"), ("Second", "Fsf"), ("Third", "Fsf"), ("Fourth", "Vvsf")]
)
def test_the_structs_of_all_bases_are_destroyed_once(snippet, name, expected):
    mod = snippet(CHAIN)
    cls, value = getattr(mod, name), object()
    sub = type("Sub", (type("Sub", (cls,), {}),), {"__slots__": ("slot",)})
    for each in (cls, sub):

        def use():
            instance = each()
            for attribute in ("first", "second", "fourth"):
                if hasattr(cls, attribute):
                    setattr(instance, attribute, value)
            mod.take_log()
            del instance
            assert mod.take_log() == expected

        assert_balanced(use, value, each, mod.First, mod.Second, mod.Third, mod.Fourth)


@BASES
def test_a_type_of_another_module_in_the_middle(snippet):
    """Type, Python subclass, type of another module, Python subclass: each does its part once."""
    first = snippet(LOG + logged("Base", "b"), "first")
    second = snippet(
        LOG
        + type_source(
            "Made",
            "",
            slot("tp_finalize", "log_event('M');"),
            slot("tp_destroy", "log_event('m');"),
            make=True,
        ),
        "second",
    )

    class Python(first.Base):
        pass

    cls = second.make_Made((Python,))

    class Last(cls):
        __slots__ = ("slot",)

    value = object()
    for each in (cls, Last):

        def use():
            instance = each()
            instance.field = instance.attribute = value
            first.take_log(), second.take_log()
            del instance
            assert (first.take_log(), second.take_log()) == ("b", "Mm")

        assert_balanced(use, value, each, cls, Python, first.Base)


@BASES
def test_the_class_of_an_instance_changes(mod):
    class First(mod.Both):
        pass

    class Second(mod.Both):
        pass

    def use():
        instance = First()
        instance.field = instance.attribute = 5
        instance.__class__ = Second
        assert (instance.field, instance.attribute) == (5, 5)
        mod.take_log()
        del instance
        assert mod.take_log() == "Bb"

    assert_balanced(use, First, Second, mod.Both)


@SUBCLASSES
def test_long_chains_go_without_deep_recursion(run_snippet):
    run = run_snippet(
        SIMPLE,
        """
        class Sub(mod.Both):
            pass

        for cls in (mod.Both, Sub):
            chain = None
            for _ in range(200_000):
                link = cls()
                link.field = chain
                chain = link
            del link
            del chain
        """,
    )
    assert (run.returncode, run.stderr) == (0, "")
