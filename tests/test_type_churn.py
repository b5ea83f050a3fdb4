"""Types and objects by the thousand."""

import sys

import pytest
from test_type_gc import NODES, SUBCLASSES, TYPES

MEMORY = """
    import gc

    def memory():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    def types(count):
        for index in range(count):
            cls = make()
            instance = cls()
            instance.value = index
            cls.attribute = index
            if index % 50 == 0:
                gc.collect()

    types(1000)
    before = memory()
    types(10_000)
    print((memory() - before) // 10_000)
"""


@pytest.mark.differs("0.9.0 leaks the definitions of each type")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
@pytest.mark.parametrize("make", ["mod.make_Made", "mod.make_Simple", "lambda: mod.make_Simple(None, Meta)"])
def test_thousands_of_types_leave_nothing(run_snippet, make):
    run = run_snippet(TYPES, f"class Meta(type): pass\nmake = {make}\n" + MEMORY.replace("\n    ", "\n"))
    assert run.stderr == ""
    # Bytes for each type; the leanest definition of one would be more.
    assert int(run.stdout) < 64


CROWD = """
    import gc

    class Open(mod.Node):
        pass

    class Slots(mod.Node):
        __slots__ = "slot", "__weakref__"

    class Further(Open):
        def __del__(self):
            self.field

    def crowd(count):
        previous = None
        for index in range(count // 5):
            nodes = mod.Node(), Open(), Slots(), Further(), mod.Leaf()
            nodes[0].field, nodes[1].field, nodes[2].field = nodes[1], nodes[2], nodes[0]
            nodes[1].attribute, nodes[2].slot = nodes, previous
            nodes[3].field = nodes[3].attribute = nodes[index % 5]
            previous = nodes[3]

    for _ in range(20):
        crowd(10_000)
        gc.collect()
        assert mod.count() == 0, mod.count()
"""


@SUBCLASSES
def test_rounds_of_thousands_of_objects(run_snippet):
    run = run_snippet(NODES, CROWD)
    assert (run.returncode, run.stderr) == (0, "")
