"""Shows a result of measure.py on the terminal, in 120 columns, and draws it as a chart."""

import argparse
import json
from pathlib import Path

from chart import draw
from summary import compared, extra, geomean, missed_entries, ratio, targets, worst
from variants import BASE

LABEL = 36


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--chart", type=Path, help="where to write the chart (SVG)")
    options = parser.parse_args()
    result = json.loads(options.result.read_text(encoding="utf-8"))
    show_times(result)
    if any("instructions" in operation for operation in result["operations"]):
        show_instructions(result)
    show_left_out(result)
    show_targets(result)
    if options.chart:
        options.chart.write_text(draw(result), encoding="utf-8")
        print(f"chart: {options.chart}")
    print(f"all figures: {options.result}")


def head(text, variants, width, base):
    print(f"{text:<{LABEL}}{base:>10}" + "".join(f"{variant.short:>{width}}" for variant in variants))


def grouped(result):
    """Operations with a heading before each group."""
    group = None
    for operation in result["operations"]:
        if operation["group"] != group:
            group = operation["group"]
            print(group)
        yield operation, f"  {operation['label']}"[: LABEL - 1]


def show_times(result):
    variants = compared(result)
    print(f"\n{result['python']['name']}: time of an operation, net of the loop; {result['rounds']} rounds")
    print(f"The first column is nanoseconds, the others are ratios to {BASE.label}: of medians, of minima.\n")
    head("", variants, 12, BASE.short)
    for operation, label in grouped(result):
        cells = ""
        for variant in variants:
            middle, least = ratio(operation, variant.name), ratio(operation, variant.name, "min_ns")
            cells += f"{'-':>12}" if middle is None else f"{middle:>6.2f}{least:>6.2f}"
        print(f"{label:<{LABEL}}{operation['times'][BASE.name]['median_ns']:>10.1f}{cells}")
    for text, figure in (("geometric mean", geomean), ("worst", lambda *arguments: worst(*arguments)[1])):
        cells = ""
        for variant in variants:
            middle, least = figure(result, variant.name), figure(result, variant.name, "min_ns")
            cells += f"{'-':>12}" if middle is None else f"{middle:>6.2f}{least:>6.2f}"
        print(f"{text:<{LABEL}}{'':>10}{cells}")


def show_instructions(result):
    variants = compared(result)
    print(f"\n{result['python']['name']}: instructions of an operation, net of the loop ({result['valgrind']})")
    print("The first column is a number, the others are what comes to it.\n")
    head("", variants, 12, BASE.short)
    for operation, label in grouped(result):
        base = operation.get("instructions", {}).get(BASE.name)
        if base is not None:
            values = [extra(operation, variant.name) for variant in variants]
            cells = "".join(f"{'-':>12}" if value is None else f"{round(value):>+12,}" for value in values)
            print(f"{label:<{LABEL}}{round(base):>10,}{cells}")


def show_left_out(result):
    for name, reason in result["skipped"].items():
        print(f"\n{name} is not among them: {reason}", end="")
    for name, operations in result["left_out"].items():
        print(f"\nleft out of {name}: {', '.join(f'{op} ({reason})' for op, reason in operations.items())}", end="")
    print("\n")


def show_targets(result):
    lines = targets(result)
    if not lines:
        return
    print(f"{'target':<45}{'wanted':>8}  measured")
    for variant, what, wanted, measured, met in lines:
        print(f"{variant.label + ': ' + what:<45}{wanted:>8}  {measured}: {'met' if met else 'missed'}")
        if what.startswith("instructions") and not met:
            missed, counted = missed_entries(result, variant.name)
            print(f"{'':<55}{missed} of {counted} kinds of calls and slots are above it")
    print()


if __name__ == "__main__":
    main()
