"""Counts the instructions of each operation under valgrind's callgrind, and adds them to the result of measure.py.

Each variant runs in a valgrind of its own. A loop is run with two numbers of turns, and the difference is what the
turns between them cost, whatever comes before and after; that of the empty loop is taken off. Nothing here depends on
the machine's load, and little on the machine.
"""

import argparse
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from operations import OPERATIONS, make_empty_loop, make_loop, of_all_sizes
from variants import VARIANTS, find_binary, load, load_extension

FEW, MANY = 50, 250
WARM_UP = 200
# Each with the allocator in another state; the least counts.
REPETITIONS = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan")
    parser.add_argument("result", help="what measure.py has written; the counts are added to it")
    parser.add_argument("--variant", help="used by this script itself, inside of valgrind")
    options = parser.parse_args()
    plan = json.loads(Path(options.plan).read_text(encoding="utf-8"))
    result = json.loads(Path(options.result).read_text(encoding="utf-8"))
    names = [operation["name"] for operation in result["operations"]]
    if options.variant:
        left_out = result["left_out"].get(options.variant, ())
        run_loops(plan, options.variant, [op for op in OPERATIONS if op.name in names and op.name not in left_out])
        return
    if "counter" not in plan:
        print("  instructions are not counted here", flush=True)
        return
    for variant in VARIANTS:
        if variant.name not in result["variants"]:
            continue
        start = time.perf_counter()
        try:
            counts = count(options, variant.name)
        except subprocess.CalledProcessError as error:
            lines = (error.stderr or "").strip().splitlines() or [str(error)]
            print(f"  {variant.label:<22} skipped: {lines[-1]}", flush=True)
            continue
        empty = counts.pop("", 0.0)
        for operation in result["operations"]:
            if operation["name"] in counts:
                turn = counts[operation["name"]] - empty
                operation.setdefault("instructions", {})[variant.name] = round(turn / operation["unroll"], 2)
        print(f"  {variant.label:<22} {time.perf_counter() - start:.1f} s", flush=True)
    result["valgrind"] = subprocess.run(["valgrind", "--version"], capture_output=True, text=True).stdout.strip()
    Path(options.result).write_text(json.dumps(result, indent=1), encoding="utf-8")


def count(options, variant):
    """Instructions of one turn of each operation's loop, by name; those of the empty loop under no name."""
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out"]
        # Addresses that are the same each time, and hashes too.
        command = [*valgrind, sys.executable, __file__, options.plan, options.result, "--variant", variant]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(command, check=True, capture_output=True, encoding="utf-8", errors="replace", env=environment)
        totals = {}
        for path in Path(folder).iterdir():
            text = path.read_text(encoding="utf-8", errors="replace")
            name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.MULTILINE)
            total = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
            if name and total:
                totals[name[1]] = int(total[1])
    names = {key.split(":")[0] for key in totals} - {"skip"}

    def turn(name, repetition):
        return (totals[f"{name}:{repetition}:{MANY}"] - totals[f"{name}:{repetition}:{FEW}"]) / (MANY - FEW)

    return {name: min(turn(name, repetition) for repetition in range(REPETITIONS)) for name in names}


def run_loops(plan, variant, operations):
    """What runs inside of valgrind."""
    counter = load_extension("counter", find_binary(plan["counter"], "counter"))
    place = plan["variants"][variant]
    module = load(variant, place["folder"], place.get("runtime"))
    clock = time.perf_counter_ns
    loops = {"": make_empty_loop()}
    for operation in operations:
        loops[operation.name] = make_loop(operation, module)
    gc.collect()
    gc.disable()
    for loop in loops.values():
        loop(WARM_UP, clock)
    counter.start()
    kept = []
    for name, loop in loops.items():
        for repetition in range(REPETITIONS):
            kept.append(of_all_sizes())
            # Leaves free lists and the like as the loop needs them, whatever ran before.
            loop(WARM_UP // 10, clock)
            counter.dump("skip:")
            for turns in (FEW, MANY):
                loop(turns, clock)
                counter.dump(f"{name}:{repetition}:{turns}")


if __name__ == "__main__":
    main()
