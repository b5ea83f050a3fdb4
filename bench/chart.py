"""Draws a result as an SVG: for each operation a group of bars, the ratio of each variant's time to the C API's."""

from html import escape

from summary import compared, geomean, ratio
from variants import BASE

# Told apart by readers who don't see all colours, on white and on black.
COLOURS = {
    "abi3": "#999999",
    "cpython": "#009e73",
    "universal": "#0072b2",
    "reference": "#56b4e9",
    "nanobind": "#d55e00",
    "pyo3": "#e69f00",
}
STYLE = """
.paper { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #59636e }
.grid { stroke: #d1d9e0; stroke-width: 1 } .one { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117 } .ink { fill: #f0f6fc } .faint { fill: #9198a1 }
  .grid { stroke: #3d444d } .one { stroke: #f0f6fc }
}
text { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 12px }
.title { font-size: 18px; font-weight: 600 } .group { font-weight: 600 } .value { font-size: 8px }
""".strip()

WIDTH, LEFT, RIGHT, TOP = 920, 250, 60, 150
BAR, GAP, HEADING = 8, 9, 26
# The ratios that the axis shows; longer bars are cut and say how long they would be.
LIMIT = 3.0


def draw(result):
    variants = [variant for variant in compared(result) if geomean(result, variant.name)]
    operations = [op for op in result["operations"] if any(ratio(op, variant.name) for variant in variants)]
    row = BAR * len(variants) + GAP
    groups = len(dict.fromkeys(op["group"] for op in operations))
    bottom = TOP + row * len(operations) + HEADING * groups
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 60}" '
        f'viewBox="0 0 {WIDTH} {bottom + 60}" role="img">',
        f"<title>{escape(title(result))}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{bottom + 60}"/>',
        text(20, 34, title(result), "ink title"),
        text(20, 56, f"Time of one operation, net of the loop around it, against the same in the {BASE.label}. "
             "Shorter is faster; 1.0 is as fast.", "faint"),
        text(20, 74, f"Medians of {result['rounds']} interleaved rounds; {result['machine']['processor']}.", "faint"),
    ]  # fmt: skip
    parts += legend(result, variants)
    parts += axis(bottom)
    y, group = TOP, None
    for operation in operations:
        if operation["group"] != group:
            group = operation["group"]
            parts.append(text(20, y + 17, group, "ink group"))
            y += HEADING
        parts.append(text(LEFT - 10, y + BAR * len(variants) / 2 + 4, operation["label"], "ink", "end"))
        for index, variant in enumerate(variants):
            parts += bar(y + BAR * index, variant, operation)
        y += row
    parts.append(f'<line class="one" x1="{at(1)}" y1="{TOP - 6}" x2="{at(1)}" y2="{bottom}"/>')
    return "\n".join([*parts, "</svg>", ""])


def title(result):
    return f"HPy against the C API, {result['python']['name']}"


def at(value):
    """The x of a ratio."""
    return round(LEFT + (WIDTH - LEFT - RIGHT) * min(value, LIMIT) / LIMIT, 1)


def text(x, y, words, style, anchor="start"):
    return f'<text class="{style}" x="{x}" y="{round(y, 1)}" text-anchor="{anchor}">{escape(words)}</text>'


def legend(result, variants):
    parts = []
    for index, variant in enumerate(variants):
        x, y = 20 + 290 * (index % 3), 96 + 20 * (index // 3)
        parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{COLOURS[variant.name]}"/>')
        parts.append(text(x + 18, y, f"{variant.label} (geometric mean {geomean(result, variant.name):.2f})", "ink"))
    return parts


def axis(bottom):
    parts = []
    for step in range(int(LIMIT * 2) + 1):
        value = step / 2
        x = at(value)
        parts.append(f'<line class="grid" x1="{x}" y1="{TOP - 6}" x2="{x}" y2="{bottom}"/>')
        for y in (TOP - 10, bottom + 16):
            parts.append(text(x, y, f"{value:.1f}", "faint", "middle"))
    parts.append(text(at(LIMIT / 2), bottom + 38, f"time, as a multiple of the {BASE.label}'s", "ink", "middle"))
    return parts


def bar(y, variant, operation):
    value = ratio(operation, variant.name)
    if value is None:
        return []
    width = round(at(value) - LEFT, 1)
    hint = escape(f"{variant.label}: {operation['label']}: {value:.2f}")
    colour = COLOURS[variant.name]
    parts = [
        f'<rect x="{LEFT}" y="{y}" width="{width}" height="{BAR - 1}" fill="{colour}"><title>{hint}</title></rect>'
    ]
    if value > LIMIT:
        parts.append(text(at(LIMIT) + 4, y + BAR - 1.5, f"{value:.1f} →", "ink value"))
    return parts
