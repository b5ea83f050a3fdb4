"""Measures what a module costs beside its calls: import time, sizes of files, memory, and types in great numbers.

Each figure is taken in fresh processes, the variants in turn. Memory is what malloc has given out (glibc only), with
Python's own allocator turned off, so that whatever the runtime allocates is counted too.
"""

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import build
import generate
import machine
from variants import VARIANTS, find_binary, load

COUNTS = (10, 100, 1000, 10_000)
INSTANCES = 20_000
ROUNDS = 15
# Those whose modules are made of generated C.
GENERATED = ("capi", "abi3", "cpython", "universal", "reference")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--child", nargs=4, help="used by this script itself: kind, module, variant, number")
    options = parser.parse_args()
    plan = json.loads(options.plan.read_text(encoding="utf-8"))
    if options.child:
        kind, module, variant, number = options.child
        place = plan["costs"].get(module, plan["variants"])[variant]
        print(json.dumps(CHILDREN[kind](place, module, variant, int(number))))
        return
    plan["costs"] = {"many": build_module(plan, "many", GENERATED), "minimal": build_module(plan, "minimal")}
    extended = options.output.with_suffix(".plan.json")
    extended.write_text(json.dumps(plan), encoding="utf-8")
    run = Runner(extended, options.output)
    result = {
        "python": machine.python(),
        "machine": machine.machine(),
        "import": import_times(run, plan),
        "sizes": {name: sizes(plan, name) for name in ("minimal", "many", "ops")},
        "types": types(run, plan),
        "instances": instances(run, plan),
    }
    extended.unlink()
    options.output.write_text(json.dumps(result, indent=1), encoding="utf-8")
    show(result)
    print(f"all figures: {options.output}")


def build_module(plan, name, wanted=None):
    """Builds a generated module in the variants that there are; gives where they lie."""
    options = argparse.Namespace(**plan["options"])
    options.packages = Path(options.packages)
    options.folder = Path(options.folder) / "costs" / name
    options.shared = options.folder
    options.sources = Path(plan["options"]["folder"]) / "costs/sources"
    options.crate = generate.write_sources(options.sources)
    options.module = name
    options.reference_python = plan["options"].get("reference_python")
    built = {"variants": {}, "skipped": {}}
    print(f" building {name}", flush=True)
    build.build_variants(options, built, [name for name in plan["variants"] if wanted is None or name in wanted])
    return built["variants"]


class Runner:
    """Starts this script for one figure."""

    def __init__(self, plan, output):
        self.command = [sys.executable, __file__, str(plan), str(output), "--child"]

    def __call__(self, kind, module, variant, number=0, **variables):
        environment = {**os.environ, "PYTHONHASHSEED": "0", **variables}
        command = [*self.command, kind, module, variant, str(number)]
        run = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True)
        return json.loads(run.stdout)


# ---- What runs in a process of its own ----


def child_import(place, module, variant, _):
    """Seconds that the runtime's import and the module's take."""
    start = time.perf_counter()
    if variant == "universal":
        import hpy.universal  # noqa: F401
    between = time.perf_counter()
    load(variant, place["folder"], place.get("runtime"), module)
    return [between - start, time.perf_counter() - between]


def child_types(place, module, variant, count):
    """Seconds and bytes for a number of types of the same spec."""
    make = load(variant, place["folder"], place.get("runtime"), module).make_type
    kept = [make()] + [None] * count
    used = allocated()
    start = time.perf_counter()
    for index in range(count):
        kept[index] = make()
    taken = time.perf_counter() - start
    return [taken, allocated() - used if used is not None else None]


def child_instances(place, module, variant, count):
    """Bytes for one instance of each type, with the garbage collector's part."""
    loaded = load(variant, place["folder"], place.get("runtime"), module)
    result = {}
    for name, arguments in (("Small", ()), ("Node", (0,))):
        make = getattr(loaded, name)
        kept = [make(*arguments)] * count
        used = allocated()
        for index in range(count):
            kept[index] = make(*arguments)
        result[name] = round((allocated() - used) / count, 1) if used is not None else None
        del kept
    return result


CHILDREN = {"import": child_import, "types": child_types, "instances": child_instances}


def allocated():
    """Bytes that malloc has given out, or None where it does not tell."""

    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"

    class Information(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError, TypeError):
        return None
    mallinfo2.restype = Information
    information = mallinfo2()
    return information.uordblks + information.hblkhd


# ---- The figures ----


def import_times(run, plan):
    """Milliseconds for the module with many functions and types."""
    taken = {variant: [] for variant in plan["costs"]["many"]}
    for number in range(ROUNDS + 1):
        for variant, times in taken.items():
            pair = run("import", "many", variant)
            if number:  # The first reads the file from the disk.
                times.append(pair)
    result = {
        "functions": generate.FUNCTIONS,
        "types": generate.TYPES,
        "variants": {
            variant: {"median_ms": milliseconds(times, 1, median), "min_ms": milliseconds(times, 1, min)}
            for variant, times in taken.items()
        },
    }
    if "universal" in taken:
        result["runtime_ms"] = milliseconds(taken["universal"], 0, median)
    return result


def milliseconds(pairs, place, pick):
    return round(pick(pair[place] for pair in pairs) * 1000, 3)


def sizes(plan, module):
    """Bytes of each variant's binary, without symbols if there is a program that takes them away."""
    places = plan["costs"].get(module, plan["variants"])
    found = {}
    for variant, place in places.items():
        path = find_binary(place["folder"], module)
        copy = path.with_name(path.name + ".stripped")
        shutil.copy(path, copy)
        if shutil.which("strip"):
            subprocess.run(["strip", str(copy)], check=True)
        found[variant] = copy.stat().st_size
        copy.unlink()
    return found


def has_malloc_figures():
    return sys.implementation.name == "cpython" and allocated() is not None


def types(run, plan):
    """For each variant and number of types: microseconds and bytes of each."""
    found = {}
    for variant in plan["costs"]["many"]:
        found[variant] = []
        for count in COUNTS:
            times = [run("types", "many", variant, count)[0] for _ in range(3)]
            row = {"count": count, "us_per_type": round(min(times) / count * 1e6, 2)}
            if has_malloc_figures():
                row["bytes_per_type"] = round(run("types", "many", variant, count, PYTHONMALLOC="malloc")[1] / count)
            found[variant].append(row)
    return found


def instances(run, plan):
    if not has_malloc_figures():
        return {}
    return {variant: run("instances", "ops", variant, INSTANCES, PYTHONMALLOC="malloc") for variant in plan["variants"]}


# ---- On the terminal ----


def show(result):
    def line(label, values, form="{:,}"):
        cells = "".join(f"{'-' if value is None else form.format(value):>11}" for value in values)
        print(f"{label:<42}{cells}")

    shown = [variant for variant in VARIANTS if any(variant.name in sizes for sizes in result["sizes"].values())]
    print(f"\n{result['python']['name']}\n{'':<42}" + "".join(f"{variant.short:>11}" for variant in shown))
    imports = result["import"]
    times = [imports["variants"].get(variant.name, {}).get("median_ms") for variant in shown]
    line(f"import, {imports['functions']} functions, {imports['types']} types (ms)", times, "{:.2f}")
    if "runtime_ms" in imports:
        only = [imports["runtime_ms"] if variant.name == "universal" else None for variant in shown]
        line("import of the runtime, once (ms)", only, "{:.2f}")
    for module, found in result["sizes"].items():
        line(f"size of the module {module} (bytes)", [found.get(variant.name) for variant in shown])
    for kind in ("Small", "Node"):
        if result["instances"]:
            line(f"an instance of {kind} (bytes)", [result["instances"].get(v.name, {}).get(kind) for v in shown])
    for index, count in enumerate(COUNTS):
        rows = [result["types"].get(variant.name, [{}] * len(COUNTS))[index] for variant in shown]
        line(f"each of {count:,} types (us)", [row.get("us_per_type") for row in rows], "{:.1f}")
        if any("bytes_per_type" in row for row in rows):
            line(f"each of {count:,} types (bytes)", [row.get("bytes_per_type") for row in rows])
    print()


if __name__ == "__main__":
    main()
