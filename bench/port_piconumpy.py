"""piconumpy, against its twin in the C API."""

import sys

from operations import Operation
from port import PORTS, Port, build, from_registry
from variants import VARIANTS, Variant, load

FOLDER = PORTS / "piconumpy"


def on_array(name, label, statement, size, unroll=10):
    """An operation on arrays `a` and `b` of a size; `np` is the module."""
    values = f"[index * 0.25 for index in range({size})]"
    variables = {"np": "ops", "values": values, "a": f"ops.array({values})", "b": f"ops.array({values})"}
    # Without its collector, PyPy would never free an array.
    return Operation(name, label, "", variables, statement, "len(a) == len(values)", unroll, collects=True)


OPERATIONS = [
    Operation(
        "simulation",
        "simulation, a step",
        "",
        {"np": "ops", "step": "__import__('cart_pole').step", "state": "ops.array([0.0, 0.0, 0.2, 0.0])"},
        "step(np, state, 10.0, 0.01)",
        "len(step(np, state, 10.0, 0.01)) == 4",
        5,
        collects=True,
    ),
    on_array("from_list", "np.array(list of 4)", "np.array(values)", 4),
    on_array("empty", "np.empty(4)", "np.empty(4)", 4),
    on_array("add", "a + b, of 4", "a + b", 4),
    on_array("scale", "a * 2.5, of 4", "a * 2.5", 4),
    on_array("get", "a[1]", "a[1]", 4),
    on_array("set", "a[1] = 2.5", "a[1] = 2.5", 4),
    on_array("slice", "a[1:3]", "a[1:3]", 4),
    on_array("length", "len(a)", "len(a)", 4),
    on_array("sin", "np.sin(0.5)", "np.sin(0.5)", 4),
    on_array("iterate", "sum(a), of 100", "sum(a)", 100, 5),
    on_array("tolist", "a.tolist(), of 100", "a.tolist()", 100, 5),
    # With many more items, it is the system's allocator that is measured.
    on_array("add_many", "a + b, of 100", "a + b", 100),
    on_array("exp_many", "np.exp(a), of 100", "np.exp(a)", 100),
]


def modules(options):
    # For the operation that is a simulation.
    sys.path.insert(0, str(FOLDER / "bench"))
    twin = build(FOLDER, options.folder / "piconumpy-capi", sys.executable, inside="twin")
    universal = build(FOLDER, options.shared / "piconumpy", options.universal_python, "--hpy-abi=universal")
    found = {
        "capi": load("capi", twin, name="piconumpy_capi"),
        "universal": load("universal", universal, name="piconumpy"),
    }
    if sys.implementation.name == "cpython":
        folder = build(FOLDER, options.folder / "piconumpy-cpython", sys.executable, "--hpy-abi=cpython")
        found["cpython"] = load("cpython", folder, name="piconumpy")
    numpy = from_registry("numpy", options.folder / "numpy", "numpy")
    if numpy:
        found["numpy"] = numpy
    return found


PORT = Port(
    name="piconumpy",
    variants=[
        *(variant for variant in VARIANTS if variant.name in ("capi", "cpython", "universal")),
        Variant("numpy", "numpy", "numpy"),
    ],
    operations=OPERATIONS,
    modules=modules,
)
