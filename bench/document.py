"""Writes results into docs/performance.md, between the lines that mark where, and the charts into docs/charts/.

What stands outside of the marks is written by hand. A section for which nothing was measured stays as it is.
"""

import argparse
import json
import re
from pathlib import Path

import debug_mode
import trace_mode
from chart import draw
from summary import compared, extra, geomean, missed_entries, ratio, targets, worst
from variants import BASE, VARIANTS

COUNTS_OF_TYPES = "types of one spec, each"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("docs", type=Path)
    parser.add_argument("results", type=Path, help="the folder with the results")
    parser.add_argument("tags", nargs="+", help="the interpreters, such as cp311")
    options = parser.parse_args()
    results = {tag: read(options.results / f"results-{tag}.json") for tag in options.tags}
    costs = {tag: read(options.results / f"costs-{tag}.json") for tag in options.tags}
    page = options.docs / "performance.md"
    text = page.read_text(encoding="utf-8")
    for prefix, suffix in (("cp", ""), ("pypy", "-pypy")):
        measured = {tag: result for tag, result in results.items() if result and tag.startswith(prefix)}
        for tag, result in measured.items():
            (options.docs / "charts").mkdir(exist_ok=True)
            (options.docs / f"charts/performance-{prefix_name(tag)}.svg").write_text(draw(result), encoding="utf-8")
        if measured:
            for name, make in SECTIONS.items():
                text = replaced(text, name + suffix, make(measured))
        in_debug = [read(options.results / f"debug-{tag}.json") for tag in options.tags if tag.startswith(prefix)]
        if any(in_debug):
            text = replaced(text, "debug" + suffix, "\n\n".join(debug_table(each) for each in in_debug if each))
        traced = [read(options.results / f"trace-{tag}.json") for tag in options.tags if tag.startswith(prefix)]
        if any(traced):
            text = replaced(text, "trace" + suffix, "\n\n".join(trace_table(each) for each in traced if each))
        also = [costs[tag] for tag in measured if costs[tag]]
        if also:
            text = replaced(text, "costs" + suffix, "\n\n".join(map(costs_table, also)))
    page.write_text(text, encoding="utf-8")
    print(f"written: {page}")


def debug_table(result):
    """The nine operations in debug mode, and the means."""
    variants, nine = debug_mode.labels(result), debug_mode.of_nine(result)

    def row(text, first, figures):
        return [text, first, *("" if figure is None else f"{figure:.2f}" for figure in figures)]

    rows = []
    for operation in nine["operations"]:
        base = f"{operation['times'][BASE.name]['median_ns']:.1f} ns"
        rows.append(row(code(operation["label"]), base, [ratio(operation, variant.name) for variant in variants]))
    for text, chosen in (("geometric mean of these", nine), (f"of all {len(result['operations'])} operations", result)):
        rows.append(row(text, "", [geomean(chosen, variant.name) for variant in variants]))
    lines = table([result["python"]["name"], "C API", *(variant.label for variant in variants)], rows)
    if result["memory"]:
        lines += f"\n\nOver ten million openings and closings of handles the process grows by {result['memory']['growth']:,} bytes."
    return lines


def trace_table(result):
    """What trace mode adds in the nine operations, in loops, and at most."""

    def number(figure):
        return "" if figure is None else f"{figure:.1f}"

    def row(operation):
        times = [f"{operation['times'][name]['median_ns']:.1f} ns" for name in ("universal", "trace")]
        per_call = [operation[which][0] if operation.get(which) else None for which in ("added", "added_reference")]
        return [code(operation["label"]), f"{operation['calls']:.0f}", *times, *map(number, per_call)]

    rows = [row(operation) for operation in trace_mode.of_nine(result)]
    means = [number(trace_mode.in_loops(result, which)) for which in ("added", "added_reference")]
    rows.append([f"median of those with {trace_mode.LOOP} calls or more", "", "", "", *means])
    worst = trace_mode.worst(result)
    rows.append([f"most: {code(worst['label'])}", *row(worst)[1:]])
    head = ["API calls in it", "universal", "trace mode", "added per API call, ns", "by 0.9.0, ns"]
    return table([result["python"]["name"], *head], rows)


def read(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def prefix_name(tag):
    """The name of an interpreter's chart: PyPy's is always the same, as the page has but one."""
    return "pypy" if tag.startswith("pypy") else tag


def replaced(text, name, content):
    """The text with a section's content replaced; unchanged if it has no such section."""
    pattern = re.compile(rf"(\[//\]: # \(begin {name}\)\n).*?(\n\[//\]: # \(end {name}\))", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}\n{content}\n{match[2]}", text)


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(measured):
    lines = []
    for result in measured.values():
        where, python = result["machine"], result["python"]
        built = f", built with {python['compiler']}" if python["compiler"] else ""
        lines.append(f"- {python['name']}{built}; {result['rounds']} rounds.")
    first = next(iter(measured.values()))
    versions = {name: release for found in first["variants"].values() for name, release in found.items()}
    peers = ", ".join(f"{name} {versions[name]}" for name in ("nanobind", "pyo3") if name in versions)
    compilers = "; ".join(first.get("compilers", {}).values())
    lines.append(f"- {where['processor']}, {where['cores']} cores, {where['system'].split()[0]}.")
    lines += [f"- Peers: {peers}."] if peers else []
    lines += [f"- Compilers: {compilers}."] if compilers else []
    return "\n".join(lines)


def overview(measured):
    head, rows = [f"time against the {BASE.label}"], []
    for result in measured.values():
        head += [f"{result['python']['name']}, geometric mean", "worst operation"]
    for variant in VARIANTS[1:]:
        cells = []
        for result in measured.values():
            operation, value = worst(result, variant.name)
            if operation is None:
                cells += ["", ""]
            else:
                cells += [f"{geomean(result, variant.name):.2f}", f"{value:.2f}, {code(operation['label'])}"]
        if any(cells):
            rows.append([variant.label, *cells])
    return table(head, rows)


def code(label):
    """A label, as code if it is some."""
    return f"`{label}`" if re.search(r"^[^,]*[^\w ,]", label) and not label.startswith("sum") else label


def goals(measured):
    parts = []
    for result in measured.values():
        rows = []
        for variant, what, wanted, found, met in targets(result):
            said = "met" if met else "**missed**"
            if what.startswith("instructions") and not met:
                missed, counted = missed_entries(result, variant.name)
                said += f", by {missed} of {counted}"
            figure, _, label = found.partition(", ")
            found = f"{figure}, {code(label)}" if label else figure
            rows.append([f"{variant.label}: {what}", wanted, found, said])
        if rows:
            parts.append(table([result["python"]["name"], "target", "measured", ""], rows))
    return "\n\n".join(parts)


def charts(measured):
    links = []
    for tag, result in measured.items():
        name = result["python"]["name"]
        links.append(
            f"![Bars: time of each operation in each variant against the {BASE.label}, {name}]"
            f"(charts/performance-{prefix_name(tag)}.svg)"
        )
    return "\n\n".join(links)


def time_cells(operation, variants):
    """The time in the C API, and for each variant the ratio of medians, and of minima."""
    cells = [f"{operation['times'][BASE.name]['median_ns']:.1f} ns"]
    for variant in variants:
        middle, least = ratio(operation, variant.name), ratio(operation, variant.name, "min_ns")
        cells.append("" if middle is None else f"{middle:.2f} ({least:.2f})")
    return cells


def times(measured):
    parts = []
    for result in measured.values():
        variants = compared(result)
        rows = [[code(operation["label"]), *time_cells(operation, variants)] for operation in result["operations"]]
        head = [result["python"]["name"], BASE.label, *(variant.label for variant in variants)]
        parts.append(table(head, rows))
    return "\n\n".join(parts)


def instructions(measured):
    parts = []
    for result in measured.values():
        variants = compared(result)
        rows = []
        for operation in result["operations"]:
            base = operation.get("instructions", {}).get(BASE.name)
            if base is not None:
                values = [extra(operation, variant.name) for variant in variants]
                cells = ["" if value is None else f"{round(value):+,}" for value in values]
                label = code(operation["label"]) + (" \\*" if operation["entry"] else "")
                rows.append([label, f"{round(base):,}", *cells])
        if rows:
            head = [result["python"]["name"], BASE.label, *(variant.label for variant in variants)]
            parts.append(table(head, rows))
    return "\n\n".join(parts) or "Not counted."


def costs_table(result):
    shown = [variant for variant in VARIANTS if any(variant.name in sizes for sizes in result["sizes"].values())]
    rows = []

    def row(label, values, form="{:,}"):
        rows.append([label, *("" if value is None else form.format(value) for value in values)])

    imports = result["import"]
    found = [imports["variants"].get(variant.name, {}).get("median_ms") for variant in shown]
    row(f"import: {imports['functions']} functions, {imports['types']} types (ms)", found, "{:.2f}")
    if "runtime_ms" in imports:
        row(
            "import of the runtime, once (ms)",
            [imports["runtime_ms"] if v.name == "universal" else None for v in shown],
            "{:.2f}",
        )
    names = {"minimal": "one function", "many": "those functions and types", "ops": "the operations of this page"}
    for module, sizes in result["sizes"].items():
        row(f"file, {names[module]} (bytes)", [sizes.get(variant.name) for variant in shown])
    for kind, said in (("Small", "two doubles"), ("Node", "one object, collected")):
        if result["instances"]:
            row(f"instance, {said} (bytes)", [result["instances"].get(variant.name, {}).get(kind) for variant in shown])
    for figure, unit, form in (("us_per_type", "µs", "{:.1f}"), ("bytes_per_type", "bytes", "{:,}")):
        for index, line in enumerate(result["types"][BASE.name]):
            if figure in line:
                found = [result["types"].get(variant.name, {}) for variant in shown]
                values = [lines[index][figure] if lines else None for lines in found]
                row(f"{line['count']:,} {COUNTS_OF_TYPES} ({unit})", values, form)
    return table([result["python"]["name"], *(variant.label for variant in shown)], rows)


SECTIONS = {
    "machine": machine,
    "overview": overview,
    "targets": goals,
    "charts": charts,
    "times": times,
    "instructions": instructions,
}


if __name__ == "__main__":
    main()
