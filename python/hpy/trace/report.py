"""Recordings as text."""

import textwrap

from .advice import advice
from .rows import OUTSIDE, rows

WIDTH = 110


def duration(nanoseconds):
    """ "1.23 ms" """
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            number = nanoseconds / size
            return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f} {unit}"
    return f"{nanoseconds:.0f} ns"


SORT_KEYS = {
    "self": lambda row: row.self_time,
    "total": lambda row: row.total_time,
    "calls": lambda row: row.calls,
}


def in_columns(header, lines, left):
    """Lines of a table; the last `left` columns are text."""
    widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
    texts = []
    for line in [header, *lines]:
        cells = [
            cell.ljust(width) if column >= len(header) - left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ]
        texts.append("  ".join(cells).rstrip())
    return texts


def table(recording, kind, sort, limit):
    found = sorted(rows(recording, kind), key=SORT_KEYS[sort], reverse=True)
    is_function = kind == "function"
    header = ["calls", "total", "self", "per call", "raised", *(["left open"] if is_function else []), "function", "called from"]
    lines = []
    for row in found[:limit]:
        per_call = duration(row.total_time / row.calls) if row.calls else ""
        numbers = [f"{row.calls:,}", duration(row.total_time), duration(row.self_time), per_call, f"{row.raised:,}"]
        lines.append([*numbers, *([f"{row.left_open:,}"] if is_function else []), row.name, row.called_from])
    texts = in_columns(header, lines, left=2)
    if len(found) > limit:
        texts.append(f"... and {len(found) - limit} more (--limit)")
    return texts


def tree(recording, share=0.005):
    """The call tree, without what takes less than this share of the time."""
    least = recording.time * share
    lines = []

    def add(entry, depth):
        if entry.total_time < least:
            return
        label = f"{entry.label}, from {entry.python_line}" if entry.line else entry.label
        lines.append([duration(entry.total_time), duration(entry.self_time), f"{entry.calls:,}", "  " * depth + label])
        for child in sorted(entry.children, key=lambda child: child.total_time, reverse=True):
            add(child, depth + 1)

    for call in sorted(recording.calls, key=lambda call: call.total_time, reverse=True):
        add(call, 0)
    return in_columns(["total", "self", "calls", "function"], lines, left=1)


def summary(recording):
    parts = [recording.data.get("command") or "the program"]
    if recording.data.get("time"):
        parts.append(f"{duration(recording.data['time'])}, of which {duration(recording.time)} in extensions")
    else:
        parts.append(f"{duration(recording.time)} in extensions")
    return f"{': '.join(parts)}; {recording.api_calls:,} calls of the API"


def report(recording, sort="self", limit=20, with_tree=False, with_advice=True):
    """The whole report, a str."""
    if not recording.calls:
        return (
            f"{summary(recording)}\n\nNo function of a traced extension was called. Only universal and hybrid modules can be traced, "
            "and only those that are imported after tracing has begun.\n"
        )
    lines = [summary(recording), "", "Functions of extensions", "", *table(recording, "function", sort, limit)]
    lines += ["", "Functions of the API", "", *table(recording, "api", sort, limit)]
    if with_tree:
        lines += ["", "Calls", "", *tree(recording)]
    found = advice(recording) if with_advice else []
    if found:
        lines += ["", "Advice"]
        for each in found:
            site = f"{each.site.name} in {each.site.called_from}"
            text = f"{site}, {each.site.calls:,} calls, {duration(each.time)}: {each.text}"
            lines += ["", *textwrap.wrap(text, WIDTH, initial_indent="- ", subsequent_indent="  ")]
    return "\n".join(lines) + "\n"


def compared(before, after, limit=20):
    """What changed from one recording to another, a str: the greatest changes first."""
    found = {}
    for which, recording in enumerate((before, after)):
        for kind in ("function", "api"):
            for row in rows(recording, kind):
                # Lines change when a program does.
                caller = (row.caller or OUTSIDE) if kind == "api" else ""
                calls, time = found.setdefault((row.name, caller), ([0, 0], [0, 0]))
                calls[which] += row.calls
                time[which] += row.self_time
    changes = [(key, calls, time) for key, (calls, time) in found.items()]
    changes.sort(key=lambda each: abs(each[2][1] - each[2][0]), reverse=True)
    lines = []
    for (name, caller), calls, time in changes[:limit]:
        difference = time[1] - time[0]
        change = ("+" if difference >= 0 else "-") + duration(abs(difference))
        ratio = f"{time[1] / time[0]:.2f}" if time[0] else ""
        ratio = "new" if not calls[0] else "gone" if not calls[1] else ratio
        lines.append(
            [f"{calls[0]:,}", f"{calls[1]:,}", duration(time[0]), duration(time[1]), change, ratio, name, caller]
        )
    header = ["calls", "after", "self", "after", "change", "ratio", "function", "called from"]
    texts = [f"before: {summary(before)}", f"after:  {summary(after)}", "", *in_columns(header, lines, left=2)]
    if len(changes) > limit:
        texts.append(f"... and {len(changes) - limit} more (--limit)")
    return "\n".join(texts) + "\n"
