"""Extensions in trace mode, for the tests of what it counts and shows."""

import itertools
import textwrap

from loading import load
from snippet import compile_file, expand

NUMBERS = itertools.count()


def traced(source, mode="trace"):
    """The module of a snippet, in trace mode, under a name that no other one has: counts are for the whole process."""
    name = f"mod{next(NUMBERS)}"
    return load(name, compile_file(expand(textwrap.dedent(source), name), name), mode)


def entries(mod):
    """What has been recorded of the functions of a module, and of what they called."""
    from hpy.trace import recording

    found = [entry for entry in recording().walk() if entry.caller is not None]
    return [entry for entry in found if entry.caller.name.split(".")[0].split(":")[0] == mod.__name__]


def entry(mod, name, **attributes):
    """The only one with this name: "f" for a function of the module, "HPy_Add" for one of the API."""
    full = name if name.startswith("HPy") else f"{mod.__name__}.{name}"
    same = [each for each in entries(mod) if each.name == full]
    for attribute, value in attributes.items():
        same = [each for each in same if getattr(each, attribute) == value]
    assert len(same) == 1, same
    return same[0]
