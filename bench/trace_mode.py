"""Times operations in trace mode, ours and that of HPy 0.9.0, against universal mode, and writes what came out as JSON.

`cargo xtask bench --trace` calls this with a plan of the variants. What trace mode adds is divided by the calls of the API in an
operation, which trace mode counts itself.
"""

import tempfile
import time
from statistics import median

import machine
import measure
from debug_mode import NINE
from operations import OPERATIONS, make_loop
from variants import load, load_in_mode

# So many calls of the API in one operation, and the way into the function does not matter any more.
LOOP = 50


def main():
    options = measure.make_parser(__doc__).parse_args()
    plan = measure.read(options.plan)
    with tempfile.TemporaryDirectory() as folder:
        modules = load_all(plan, folder)
        result = {"python": machine.python(), "rounds": options.rounds, "operations": []}
        for operation in OPERATIONS:
            measure.progress(operation.label)
            left_out = {}
            times = measure.measure(operation, modules, options.rounds, left_out)
            entry = {"name": operation.name, "label": operation.label, "times": times, "calls": count(operation, modules["trace"])}
            entry["added"] = added(times, entry["calls"], "universal", "trace")
            if "reference_trace" in times:
                entry["added_reference"] = added(times, entry["calls"], "reference", "reference_trace")
            result["operations"].append(entry)
    measure.progress("")
    measure.write(options.output, result)
    show(result)


def load_all(plan, folder):
    """The C API, and the universal binaries with and without trace mode."""
    places = plan["variants"]
    names = [name for name in ("capi", "universal", "reference") if name in places]
    modules = {name: load(name, places[name]["folder"], places[name].get("runtime")) for name in names}
    return {**modules, **load_in_mode(plan, "trace", folder)}


def count(operation, module):
    """How many calls of the API are in one operation."""
    from hpy.trace import get_call_counts

    loop = make_loop(operation, module, unroll=1)
    before = sum(get_call_counts().values())
    loop(10, time.perf_counter_ns)
    return (sum(get_call_counts().values()) - before) / 10


def added(times, calls, without, with_mode):
    """Nanoseconds that a mode adds for each call of the API: of the medians, and of the minima."""
    if not calls:
        return None
    return [round((times[with_mode][which] - times[without][which]) / calls, 2) for which in ("median_ns", "min_ns")]


def in_loops(result, which="added"):
    """What is added where the API is called in a loop: the median over these operations."""
    found = [each[which][0] for each in result["operations"] if each["calls"] >= LOOP and each.get(which)]
    return median(found) if found else None


def of_nine(result):
    return [each for each in result["operations"] if each["name"] in NINE]


def worst(result):
    return max((each for each in result["operations"] if each.get("added")), key=lambda each: each["added"][0])


def show(result):
    print(f"\n{result['python']['name']}: trace mode; nanoseconds that are added for each call of the API\n")
    print(f"{'':<36}{'API calls':>10}{'universal':>12}{'trace':>12}{'added':>10}{'(minima)':>10}{'0.9 adds':>10}")
    for each in result["operations"]:
        times = each["times"]
        without, with_mode = times["universal"]["median_ns"], times["trace"]["median_ns"]
        per_call = "".join(f"{number:>10.1f}" for number in each["added"]) if each["added"] else f"{'-':>10}" * 2
        reference = each.get("added_reference")
        mark = "*" if each["name"] in NINE else " "
        print(
            f"{mark} {each['label'][:33]:<34}{each['calls']:>10.0f}{without:>9.1f} ns{with_mode:>9.1f} ns{per_call}"
            f"{reference[0] if reference else float('nan'):>10.1f}"
        )
    reference = in_loops(result, "added_reference")
    beside = f"; 0.9.0: {reference:.1f}" if reference is not None else ""
    print(f"\nin loops ({LOOP} calls of the API or more in an operation): {in_loops(result):.1f}{beside}")
    print(f"at most: {worst(result)['added'][0]:.1f}, {worst(result)['label']}\n")


if __name__ == "__main__":
    main()
