"""Times each operation in each variant, all in this process, and writes what came out as JSON.

`cargo xtask bench` builds the variants and calls this with a plan of them; see docs/performance.md for the method.
"""

import argparse
import gc
import json
import sys
import time
from statistics import median, quantiles

import machine
from operations import OPERATIONS, make_empty_loop, make_loop, of_all_sizes, select
from variants import BASE, OURS, VARIANTS, load

# What one round of one variant should take: short, so that a disturbance spoils few rounds, and long against the clock.
ROUND_NS = 400_000


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--only", default="", help="only operations with this in their name, label or group")
    options = parser.parse_args()
    plan = read(options.plan)
    operations = select(options.only)
    if not operations:
        sys.exit(f"no operation has {options.only!r} in its name; there are: {', '.join(op.name for op in OPERATIONS)}")
    modules = load_all(plan)
    result = {
        "python": machine.python(),
        "machine": machine.machine(),
        "variants": {name: plan["variants"][name]["versions"] for name in modules},
        "compilers": plan["compilers"],
        "skipped": plan["skipped"],
        "left_out": {},
        "rounds": options.rounds,
        "operations": [],
    }
    for index, operation in enumerate(operations):
        progress(f"[{index + 1}/{len(operations)}] {operation.label}")
        times = measure(operation, modules, options.rounds, result["left_out"])
        result["operations"].append(
            {
                "name": operation.name,
                "label": operation.label,
                "group": operation.group,
                "statement": operation.statement,
                "entry": operation.entry,
                "unroll": operation.unroll,
                "times": times,
            }
        )
    progress("")
    write(options.output, result)


def make_parser(doc):
    """The arguments of all scripts that measure variants."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("plan", help="JSON: which variants there are, where they lie, and what is known about them")
    parser.add_argument("output", help="the file to write")
    parser.add_argument("--rounds", type=int, default=100)
    return parser


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(path, result):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)


def load_all(plan):
    modules = {}
    for variant in VARIANTS:
        place = plan["variants"].get(variant.name)
        if not place:
            continue
        try:
            modules[variant.name] = load(variant.name, place["folder"], place.get("runtime"))
        except ImportError as error:
            if variant.name in OURS:
                raise
            plan["skipped"][variant.name] = f"it can't be loaded: {error}"
    if BASE.name not in modules:
        sys.exit(f"no binary of {BASE.label}: there is nothing to compare with")
    return modules


def progress(text):
    """One line that the next one replaces, if somebody is looking."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def loops_for(operation, modules, left_out):
    """A loop for each variant that can do the operation. Those that can't are noted, with the reason."""
    loops = {}
    for name, module in modules.items():
        if operation.needs and not hasattr(module, operation.needs):
            left_out.setdefault(name, {})[operation.name] = "the module has none"
            continue
        try:
            loops[name] = make_loop(operation, module)
        except Exception as error:
            if name in OURS:
                raise
            left_out.setdefault(name, {})[operation.name] = f"{type(error).__name__}: {error}"
    return loops


def measure(operation, modules, rounds, left_out):
    """Nanoseconds of one statement, net of the loop, for each variant: quartiles and minimum over the rounds."""
    clock = time.perf_counter_ns
    loops = loops_for(operation, modules, left_out)
    empty = make_empty_loop()
    count = calibrate(loops[BASE.name], clock)
    for loop in [empty, *loops.values()]:
        warm_up(loop, count, clock)
    order = list(loops)
    times = {name: [] for name in order}
    bare, kept = [], []
    gc.collect()
    if not operation.collects:
        gc.disable()
    try:
        for index in range(rounds):
            kept.append(of_all_sizes())
            bare.append(empty(count, clock))
            # Each goes first in turn, so that none always comes after the same other one.
            start = index % len(order)
            for name in order[start:] + order[:start]:
                times[name].append(loops[name](count, clock))
    finally:
        gc.enable()
    statements = count * operation.unroll
    result = {}
    for name, taken in times.items():
        low, middle, high = quantiles(taken, n=4)
        typical, least = median(bare), min(bare)
        result[name] = {
            "median_ns": round((middle - typical) / statements, 3),
            "min_ns": round((min(taken) - least) / statements, 3),
            "quartiles_ns": [round((low - typical) / statements, 3), round((high - typical) / statements, 3)],
        }
    return result


def calibrate(loop, clock):
    """How many turns of the loop a round should have."""
    count = 1
    while True:
        warm_up(loop, count, clock, turns=2)
        taken = loop(count, clock)
        if taken >= ROUND_NS / 4:
            return max(1, round(count * ROUND_NS / taken))
        count *= 2


def warm_up(loop, count, clock, turns=5):
    """Lets the interpreter adapt the loop's code, or compile it."""
    if sys.implementation.name == "pypy":
        deadline = clock() + 50_000_000
        while clock() < deadline:
            loop(count, clock)
    for _ in range(turns):
        loop(count, clock)


if __name__ == "__main__":
    main()
