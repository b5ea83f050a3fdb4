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


# More definitions, all of them in use, than there are places in the table that recognises them.
MANY = """
    FUNC_O(make)
    {
        HPyType_Spec spec = {
            .name = "mod.Made", .basicsize = 16 + HPyLong_AsLong(ctx, arg), .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_BASETYPE,
            .builtin_shape = HPyType_BuiltinShape_Object,
        };
        return HPyType_FromSpec(ctx, &spec, NULL);
    }
    FUNC_O(fill)
    {
        void *data;
        HPy instance = HPy_New(ctx, arg, &data);
        if (!HPy_IsNull(instance))
            *(long *)data = 7;
        return instance;
    }
    FUNC_O(filled) { return HPyLong_FromLong(ctx, *(long *)_HPy_AsStruct_Object(ctx, arg)); }
"""


def test_thousands_of_definitions_at_once(snippet):
    mod = snippet(MANY)
    types = [mod.make(8 * number) for number in range(3000)]
    for cls in types:
        instance, derived = mod.fill(cls), mod.fill(type("Derived", (cls,), {}))
        assert (type(instance), mod.filled(instance), mod.filled(derived)) == (cls, 7, 7)
    for cls in types[::100]:
        assert mod.fill(type("Late", (cls,), {"__slots__": ()})).__class__.__base__ is cls
