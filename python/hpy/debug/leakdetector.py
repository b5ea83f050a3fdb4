"""LeakDetector: what is open after a block of code that was not open before it."""

import collections
import sys


class HPyDebugError(Exception):
    """A wrong use of the API that debug mode has found.

    `identifier` names the kind, such as "HPY-D006"; `report` is the whole report. Both are None if there is no report.
    """

    identifier = None
    report = None
    _expected = False

    def __init__(self, *arguments):
        super().__init__(*arguments)
        HPyDebugError._expected |= _is_expected(sys._getframe(1))


def _is_expected(frame):
    """Whether one of the functions that are running knows of HPyDebugError, such as a test with `pytest.raises(HPyDebugError)`."""
    while frame is not None:
        names = frame.f_code.co_names
        if "HPyDebugError" in names or any(value is HPyDebugError for value in frame.f_locals.values()):
            return True
        if any(frame.f_globals.get(name) is HPyDebugError for name in names):
            return True
        frame = frame.f_back
    return False


def take_expected():
    """Whether one has been raised below such a function since this was last asked."""
    expected, HPyDebugError._expected = HPyDebugError._expected, False
    return expected


class HPyLeakError(HPyDebugError):
    """Something was left open. `leaks` lists it: handles as instances of `DebugHandle`, anything else as instances of `Leak`."""

    def __init__(self, leaks):
        super().__init__(leaks)
        self.leaks = leaks

    def __str__(self):
        lines = []
        for kind, leaks in _by_kind(self.leaks).items():
            lines.append(f"{len(leaks)} unclosed {kind}{'s' if len(leaks) != 1 else ''}:")
            lines += ["    " + line for line in _texts(leaks)]
            if kind == "handle":
                lines.append(f"    {LEAKED_HANDLE}, see docs/debug-mode.md#{LEAKED_HANDLE.lower()}")
        return "\n".join(lines)


class Leak:
    """A builder, a tracker or the like that was left open.

    `identifier` names the kind, `obj` is the object that belongs to it, or None, and repr() is the report.
    """

    def __init__(self, identifier, text, obj=None):
        self.identifier = identifier
        self.text = text
        self.obj = obj

    def __repr__(self):
        return self.text


SHOWN_OF_A_PLACE = 10

LEAKED_HANDLE = "HPY-D001"
KINDS = {"HPY-D002": "builder", "HPY-D003": "tracker", "HPY-D004": "buffer"}


def _by_kind(leaks):
    kinds = {}
    for leak in leaks:
        kind = KINDS.get(leak.identifier, "resource") if isinstance(leak, Leak) else "handle"
        kinds.setdefault(kind, []).append(leak)
    # Handles come first, whatever else there is.
    return dict(sorted(kinds.items(), key=lambda item: item[0] != "handle"))


def _texts(leaks):
    """The lines of all leaks, but not of more than a few that were opened in the same place."""
    places = collections.Counter()
    for leak in leaks:
        first, *place = repr(leak).splitlines()
        # A report's lines below its first one are indented already.
        indent = "" if isinstance(leak, Leak) else "  "
        place = tuple(indent + line for line in place)
        places[place] += 1
        if places[place] <= SHOWN_OF_A_PLACE:
            yield from (first, *place)
    for place, count in places.items():
        if count > SHOWN_OF_A_PLACE:
            yield from (f"... and {count - SHOWN_OF_A_PLACE} more:", *place)


def find_leaks(generation):
    """What this generation and later ones left open, in the form that `HPyLeakError.leaks` has."""
    from hpy.universal import _debug

    others = [Leak(*leak) for leak in _debug.leaks(generation) if leak[0] != LEAKED_HANDLE]
    return [*_debug.get_open_handles(generation), *others]


class LeakDetector:
    """Raises HPyLeakError if handles, builders or trackers of debug mode stay open that were opened after its start.

    As a context manager it checks the block:

        with LeakDetector():
            function_of_an_extension()
    """

    def __init__(self):
        self.generation = None

    def start(self):
        """Whatever is opened from here on has to be closed. ValueError if that has begun before."""
        if self.generation is not None:
            raise ValueError("LeakDetector already started")
        from hpy.universal import _debug

        self.generation = _debug.new_generation()

    def stop(self):
        """Raises HPyLeakError if something is open. ValueError if the detector was not started."""
        if self.generation is None:
            raise ValueError("LeakDetector not started yet")
        leaks = find_leaks(self.generation)
        if leaks:
            raise HPyLeakError(leaks)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, exc_type, exc_value, traceback):
        self.stop()
