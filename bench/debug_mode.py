"""Times operations in debug mode, ours and that of HPy 0.9.0, against the C API, and writes what came out as JSON.

`cargo xtask bench --debug` calls this with a plan of the variants. Also measures what an open handle takes, and whether memory grows
while handles are opened and closed.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import machine
import measure
from operations import OPERATIONS
from summary import geomean
from variants import VARIANTS, Variant, find_binary, load, load_in_mode

# Calls of each kind, attributes, types, items, and what is done with the result.
NINE = ("noargs", "onearg", "threeargs", "method_noargs", "getter", "new_small", "list_index", "dict_lookup", "call_back")

DEBUG = [
    Variant("debug", "HPy, debug mode", "HPy debug"),
    Variant("reference_debug", "HPy 0.9.0, debug mode", "0.9 debug"),
]


def main():
    options = measure.make_parser(__doc__).parse_args()
    plan = measure.read(options.plan)
    with tempfile.TemporaryDirectory() as folder:
        modules = load_all(plan, folder)
        result = {"python": machine.python(), "rounds": options.rounds, "variants": list(modules), "operations": []}
        for operation in OPERATIONS:
            measure.progress(operation.label)
            times = measure.measure(operation, modules, options.rounds, {})
            entry = {"name": operation.name, "label": operation.label, "times": times}
            result["operations"].append(entry)
    measure.progress("")
    result["memory"] = memory(plan)
    measure.write(options.output, result)
    show(result)


def load_all(plan, folder):
    """The C API, and the universal binary in each of the modes. Each mode loads a file of its own."""
    modules = {name: load(name, plan["variants"][name]["folder"]) for name in ("capi", "universal")}
    return {**modules, **load_in_mode(plan, "debug", folder)}


MEMORY = """
import sys
sys.path[:0] = {paths!r}
from variants import load_with
import hpy.universal
ops = load_with(hpy.universal, {binary!r}, {{"HPY": "debug"}})
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
items = list(range(1000))
for _ in range(100):
    ops.list_index(items)
before = resident()
# Each item is a handle, and so are the function's own argument and result.
for _ in range(10_000):
    ops.list_index(items)
print(resident() - before)
"""


def memory(plan):
    """By how many bytes the process grows over ten million openings and closings."""
    if not Path("/proc/self/statm").exists():
        return None
    binary = str(find_binary(plan["variants"]["universal"]["folder"]))
    code = MEMORY.format(paths=[str(Path(__file__).parent)], binary=binary)
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8")
    return {"growth": int(run.stdout)}


def of_nine(result):
    return {**result, "operations": [each for each in result["operations"] if each["name"] in NINE]}


def labels(result):
    known = {variant.name: variant for variant in [*VARIANTS, *DEBUG]}
    return [known[name] for name in result["variants"] if name != "capi"]


def show(result):
    print(f"\n{result['python']['name']}: debug mode; time of an operation, net of the loop, as a ratio to the C API\n")
    variants = labels(result)
    print(f"{'':<36}{'C API':>10}" + "".join(f"{variant.short:>12}" for variant in variants))
    for operation in result["operations"]:
        base = operation["times"]["capi"]["median_ns"]
        cells = [operation["times"].get(variant.name, {}).get("median_ns") for variant in variants]
        ratios = "".join(f"{'-':>12}" if cell is None else f"{cell / base:>12.2f}" for cell in cells)
        mark = "*" if operation["name"] in NINE else " "
        print(f"{mark} {operation['label'][:33]:<34}{base:>10.1f}{ratios}")
    for text, chosen in (("geometric mean of the nine marked", of_nine(result)), ("geometric mean of all", result)):
        means = "".join(f"{geomean(chosen, variant.name):>12.2f}" for variant in variants)
        print(f"{text:<46}{means}")
    if result["memory"]:
        print(f"growth over 10 million openings and closings: {result['memory']['growth']:,} bytes\n")


if __name__ == "__main__":
    main()
