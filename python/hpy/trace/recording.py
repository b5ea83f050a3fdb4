"""What trace mode has counted, as Python objects and as a file."""

import json
import os
import platform

FORMAT = 1


class Entry:
    """Calls of one function from one place. Times are in nanoseconds."""

    def __init__(self, data, parent=None):
        #: "function" for one of an extension, "api" for one of the API
        self.kind = data["kind"]
        #: "wordcount.count", "HPy_Add"
        self.name = data["name"]
        #: where an extension's function is called from: {"file": ..., "line": ..., "function": ...}, or None
        self.line = data.get("line")
        #: where the API is called from in C: "wordcount.c:17", or None
        self.place = data.get("place")
        #: the name that a function of the API was given in C at the first call, or None
        self.text = data.get("text")
        self.calls = data["calls"]
        #: in the function itself
        self.self_time = data["self"]
        #: with what it called
        self.total_time = data["total"]
        #: calls that ended with an exception
        self.raised = data["raised"]
        #: handles that the API gave to an extension's function, and those that it closed, returned or handed over
        self.opened = data.get("opened", 0)
        self.closed = data.get("closed", 0)
        self.parent = parent
        self.children = [Entry(child, self) for child in data.get("children", ())]

    def __repr__(self):
        return f"<{self.label} calls={self.calls}>"

    @property
    def label(self):
        """The function, and for one of the API its place: "HPy_Add (wordcount.c:17)"."""
        return f"{self.name} ({self.place})" if self.place else self.name

    @property
    def python_line(self):
        """Where Python called: "app.py:12 in main", or None."""
        if not self.line:
            return None
        return f"{shortened(self.line['file'])}:{self.line['line']} in {self.line['function']}"

    @property
    def caller(self):
        """The extension's function that this is charged to: itself, or the one that called the API. None outside of functions."""
        return next((entry for entry in (self, *self.outer) if entry.kind == "function"), None)

    @property
    def outer(self):
        """What this is below of, the nearest first."""
        entry = self.parent
        while entry is not None:
            yield entry
            entry = entry.parent

    def walk(self):
        """This one and all below."""
        yield self
        for child in self.children:
            yield from child.walk()


class Recording:
    """The calls of a program: `calls` is a list of `Entry`, those that no other one is below of."""

    def __init__(self, data):
        if not isinstance(data, dict) or data.get("hpy_trace") != FORMAT:
            raise ValueError(f"no recording of trace mode (a JSON object with \"hpy_trace\": {FORMAT})")
        self.data = data
        self.calls = [Entry(call) for call in data["calls"]]

    @classmethod
    def load(cls, path):
        """Reads a file that `save` or `python -m hpy.trace --json` wrote. Raises ValueError if it is something else."""
        with open(path, encoding="utf-8") as file:
            try:
                return cls(json.load(file))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}: {error}") from error

    def save(self, path):
        """Writes it as JSON."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.data, file)

    def walk(self):
        for call in self.calls:
            yield from call.walk()

    @property
    def time(self):
        """How long extensions ran, with the API and with what Python did for them, in nanoseconds."""
        return sum(call.total_time for call in self.calls)

    @property
    def api_calls(self):
        return sum(entry.calls for entry in self.walk() if entry.kind == "api")

    def folded(self):
        """Folded stacks, as flame graphs are made of: "app.py:12 in main;mod.f;HPy_Add (mod.c:17) 250", in nanoseconds."""
        lines = []

        def add(entry, outer):
            frames = [entry.python_line, entry.label] if entry.line else [entry.label]
            # What separates frames, and frames from their time.
            stack = outer + [frame.replace(";", ",").replace("\n", " ") for frame in frames]
            if entry.self_time:
                lines.append(f"{';'.join(stack)} {entry.self_time}")
            for child in entry.children:
                add(child, stack)

        for call in self.calls:
            add(call, [])
        return "\n".join(lines) + "\n" if lines else ""

    def flame_graph(self):
        """A flame graph, as SVG. Raises ValueError if nothing was called."""
        from hpy.universal import _trace

        title = self.data.get("command") or "trace"
        return _trace.flame_graph(self.folded(), title, "time in extensions: each function lies on the one that called it")


def recording(command=None, time=None):
    """What has been counted until now. `command` and `time`, in nanoseconds, go into the recording as they are."""
    import hpy.universal

    version, _revision = hpy.universal.get_version()
    if command is not None:
        # Arguments may be bytes that are no UTF-8.
        command = command.encode("utf-8", "backslashreplace").decode("utf-8")
    return Recording(
        {
            "hpy_trace": FORMAT,
            "hpy": version,
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "command": command,
            "time": time,
            "calls": json.loads(hpy.universal._trace.calls()),
        }
    )


def shortened(path):
    """A path below this folder without the way to it, and others without their folders."""
    if not os.path.isabs(path):
        return path
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        # There is no current folder any more, or it is on another drive.
        return os.path.basename(path)
    return os.path.basename(path) if relative.startswith(os.pardir) else relative
