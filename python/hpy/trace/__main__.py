"""python -m hpy.trace: runs a program in trace mode and shows where the time went."""

import argparse
import atexit
import os
import runpy
import sys
import threading
import time

from hpy.universal import _trace

from .recording import Recording, recording
from .report import SORT_KEYS, compared, report

DESCRIPTION = """\
Runs a Python program in trace mode, and shows what its HPy extensions did with the API: how often, how long, and from where. Modules of
the universal and the hybrid ABI are traced as they are; the CPython ABI has nothing to look at. The report goes to stderr."""

EXAMPLES = """\
examples:
  python -m hpy.trace app.py input.txt
  python -m hpy.trace --flame-graph out.svg -m package.tool --option
  python -m hpy.trace --json before.json app.py
  python -m hpy.trace --compare before.json after.json"""

#: Seconds before the first live line, and between two of them.
PATIENCE = 2.0
INTERVAL = 0.5


def make_parser():
    parser = argparse.ArgumentParser(
        prog="python -m hpy.trace",
        usage="python -m hpy.trace [options] script.py [arguments]\n"
        "       python -m hpy.trace [options] -m module [arguments]\n"
        "       python -m hpy.trace --compare BEFORE.json AFTER.json",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-m", dest="is_module", action="store_true", help="run a module, as python -m does")
    parser.add_argument("--modules", metavar="NAME,...", help="trace only these modules (default: all)")
    parser.add_argument("--json", metavar="FILE", help="write everything that was counted, for --compare and for programs")
    parser.add_argument("--folded", metavar="FILE", help="write folded stacks, which flame graph tools read")
    parser.add_argument("--flame-graph", metavar="FILE", help="write a flame graph as SVG")
    parser.add_argument("--timeline", metavar="FILE", help="write each call with its time, for Perfetto and speedscope")
    parser.add_argument(
        "--events", type=int, default=1_000_000, metavar="N", help="at most so many calls in the timeline (default: %(default)s)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to a file instead of stderr")
    parser.add_argument("--sort", choices=SORT_KEYS, default="self", help="what the tables are ordered by (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many lines in a table (default: %(default)s)")
    parser.add_argument("--tree", action="store_true", help="show the call tree, too")
    parser.add_argument("--no-advice", dest="advice", action="store_false", help="leave out what could be done better")
    parser.add_argument("--no-live", dest="live", action="store_false", help="show nothing while the program runs")
    parser.add_argument(
        "--compare", nargs=2, metavar=("BEFORE", "AFTER"), help="show what changed between two files written by --json"
    )
    parser.add_argument("program", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


class LiveLine:
    """A line on the terminal that shows that something is going on, if there is a terminal."""

    def __init__(self, wanted):
        self.is_wanted = wanted and sys.stderr is not None and sys.stderr.isatty()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, name="hpy.trace", daemon=True)

    def start(self):
        if self.is_wanted:
            self.thread.start()

    def end(self):
        self.ended.set()
        if self.is_wanted:
            self.thread.join(timeout=1)

    def run(self):
        start, wait, before, then = time.monotonic(), PATIENCE, 0, time.monotonic()
        width = 0
        while not self.ended.wait(wait):
            calls, now = _trace.count(), time.monotonic()
            text = f"hpy.trace: {now - start:.0f} s, {calls:,} calls of the API, {(calls - before) / (now - then):,.0f} a second"
            print(f"\r{text:<{width}}", end="", file=sys.stderr, flush=True)
            width, wait, before, then = len(text), INTERVAL, calls, now
        if width:
            print(f"\r{'':<{width}}\r", end="", file=sys.stderr, flush=True)


def run(program, is_module):
    """Runs the program as Python would, and gives its exit status."""
    sys.argv[:] = program
    try:
        if is_module:
            runpy.run_module(program[0], run_name="__main__", alter_sys=True)
        else:
            if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
                sys.path[0] = os.path.dirname(os.path.realpath(program[0]))
            runpy.run_path(program[0], run_name="__main__")
    except SystemExit as exit:
        if exit.code is None or isinstance(exit.code, int):
            return exit.code or 0
        print(exit.code, file=sys.stderr)
        return 1
    except BaseException as error:
        error = error.with_traceback(without_own_frames(error.__traceback__))
        sys.excepthook(type(error), error, error.__traceback__)
        # What shells say of a program that SIGINT has ended.
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def without_own_frames(entry):
    """The part of a traceback that is the program's."""
    own = (globals(), vars(runpy))
    while entry is not None and any(entry.tb_frame.f_globals is each for each in own):
        entry = entry.tb_next
    return entry


OUTPUTS = ("output", "json", "folded", "flame_graph", "timeline")


def check_files(options):
    """Says before a long run that a file can't be written, and not after it. Raises OSError."""
    for name in OUTPUTS:
        path = getattr(options, name)
        if path:
            # The program may go to another folder.
            path = os.path.abspath(path)
            setattr(options, name, path)
            with open(path, "a", encoding="utf-8"):
                pass


def trace(options):
    check_files(options)
    if options.timeline:
        _trace.start_timeline(options.events)
    _trace.begin([name.strip() for name in options.modules.split(",")] if options.modules else None)
    live = LiveLine(options.live)
    start, process = time.perf_counter_ns(), os.getpid()
    command = ("-m " if options.is_module else "") + " ".join(options.program)

    def finish():
        live.end()
        # A copy of the process that was made by fork() is not the program.
        if os.getpid() == process:
            write_all(recording(command, time.perf_counter_ns() - start), options)

    # After all that the program has registered itself, and when its threads have ended.
    atexit.register(finish)
    live.start()
    return run(options.program, options.is_module)


def write_all(found, options):
    text = report(found, options.sort, options.limit, options.tree, options.advice)
    try:
        write_files(found, options)
        if options.output:
            write(options.output, text)
    except OSError as error:
        say(f"hpy.trace: {error}")
    if not options.output:
        say(f"\n{text}".rstrip("\n"))


def write_files(found, options):
    if options.json:
        found.save(options.json)
    if options.folded:
        write(options.folded, found.folded())
    if options.flame_graph:
        if found.calls:
            write(options.flame_graph, found.flame_graph())
        else:
            os.unlink(options.flame_graph)
            say(f"hpy.trace: nothing was called, so there is no {options.flame_graph}")
    if options.timeline:
        kept, dropped = _trace.write_timeline(options.timeline)
        if dropped:
            say(f"hpy.trace: {options.timeline} has the first {kept:,} calls that returned; there were {dropped:,} more (--events)")


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def say(text):
    """Prints to stderr, if the program has left it open."""
    if sys.stderr is not None and not sys.stderr.closed:
        print(text, file=sys.stderr)


def main():
    parser = make_parser()
    options = parser.parse_args()
    try:
        if options.compare:
            before, after = map(Recording.load, options.compare)
            print(compared(before, after, options.limit), end="")
            return 0
        if not options.program:
            parser.error("which program? Give a script, or -m and a module")
        if not options.is_module and not os.path.exists(options.program[0]):
            parser.error(f"there is no file {options.program[0]!r} (for a module, give -m)")
        return trace(options)
    except (OSError, ValueError) as error:
        print(f"hpy.trace: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
