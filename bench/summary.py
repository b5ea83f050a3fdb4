"""What the measurements come to: ratios, their geometric mean, the worst, and how that compares with the targets."""

from math import exp, log

from variants import BASE, VARIANTS

# For each variant with targets: geometric mean and worst ratio of times, and instructions above the C API for an entry.
TARGETS = {
    "universal": {"geomean": 1.02, "worst": 1.15, "instructions": 8},
    "cpython": {"geomean": 1.00, "worst": None, "instructions": 2},
}
# Ratios that are told apart from a target: what is within is noise.
TOLERANCE = 0.005


def compared(result):
    """The variants in a result beside the C API, in order."""
    return [variant for variant in VARIANTS[1:] if variant.name in result["variants"]]


def ratio(operation, variant, figure="median_ns"):
    """Of an operation's time in a variant to that in the C API; None if it was left out."""
    times = operation["times"]
    if variant not in times:
        return None
    # Net of the loop, next to nothing can be left of an operation; or less than that, by chance.
    return max(times[variant][figure], 0.01) / max(times[BASE.name][figure], 0.01)


def extra(operation, variant):
    """Instructions above the C API; None if they were not counted."""
    counts = operation.get("instructions", {})
    if variant not in counts or BASE.name not in counts:
        return None
    return counts[variant] - counts[BASE.name]


def ratios(result, variant, figure="median_ns"):
    found = ((operation, ratio(operation, variant, figure)) for operation in result["operations"])
    return [(operation, value) for operation, value in found if value is not None]


def geomean(result, variant, figure="median_ns"):
    values = [value for _, value in ratios(result, variant, figure)]
    return exp(sum(map(log, values)) / len(values)) if values else None


def worst(result, variant, figure="median_ns"):
    """The operation with the highest ratio, and the ratio."""
    return max(ratios(result, variant, figure), key=lambda pair: pair[1], default=(None, None))


def worst_entry(result, variant):
    """The call into the extension with most instructions above the C API, and how many; None if not counted."""
    counted = [(op, extra(op, variant)) for op in result["operations"] if op["entry"]]
    counted = [(op, value) for op, value in counted if value is not None]
    return max(counted, key=lambda pair: pair[1]) if counted else None


def targets(result):
    """For each target a line: variant, what, target, measured, whether it is met."""
    lines = []
    if result["python"]["implementation"] != "cpython":
        # There the C API is what is emulated.
        return lines
    for variant in compared(result):
        goal = TARGETS.get(variant.name)
        if not goal or not ratios(result, variant.name):
            continue
        mean = geomean(result, variant.name)
        met = mean <= goal["geomean"] + TOLERANCE
        lines.append((variant, "time, geometric mean", f"{goal['geomean']:.2f}", f"{mean:.2f}", met))
        operation, value = worst(result, variant.name)
        if goal["worst"]:
            said = f"{value:.2f}, {operation['label']}"
            met = value <= goal["worst"] + TOLERANCE
            lines.append((variant, "time, worst operation", f"{goal['worst']:.2f}", said, met))
        entry = worst_entry(result, variant.name)
        if entry:
            operation, value = entry
            said = f"{value:+.0f}, {operation['label']}"
            met = is_few(value, variant.name)
            lines.append((variant, "instructions, worst call", f"+{goal['instructions']}", said, met))
    return lines


def is_few(extra_instructions, variant):
    """Whether a call takes no more instructions than the target allows, to the precision of the counts."""
    return extra_instructions <= TARGETS[variant]["instructions"] + 0.5


def missed_entries(result, variant):
    """How many of the calls into the extension take more instructions than the target allows, and of how many."""
    counted = [extra(op, variant) for op in result["operations"] if op["entry"]]
    counted = [value for value in counted if value is not None]
    return sum(not is_few(value, variant) for value in counted), len(counted)
