"""What a misuse consists of."""

import re
import textwrap
from typing import NamedTuple

# How a misuse is told when the action is "raise".
RAISED = "raised"  # by an exception out of the Python code
LEFT = "left"  # when asked what is left: by LeakDetector, and at exit whatever the action is
PRINTED = "printed"  # there may be nobody to raise to: by an exception, or on stderr
FATAL = "fatal"  # the processor finds it: by the end of the process


class Case(NamedTuple):
    identifier: str
    name: str
    source: str
    clean_source: str
    code: str
    clean_code: str
    function: str
    abi: str
    seen: str
    # Whether going on after the report may crash, as it may without debug mode.
    crashes: bool
    # Of what is left: whether it is still left when the process ends.
    at_exit: bool

    def line(self, marker):
        """The line of the snippet with the marker in a comment, or None."""
        for number, line in enumerate(self.source.splitlines(), 1):
            comment = re.search(r"/\*([A-Z ]+)\*/", line)
            if comment and marker in comment[1].split():
                return number
        return None


CASES = []


def split(text):
    """The text with the lines marked `-`, and with those marked `+`."""
    lines = textwrap.dedent(text).strip("\n").splitlines()

    def without(mark):
        kept = [line for line in lines if not re.match(rf"[ \t]*\{mark} ", line)]
        return "".join(re.sub(r"^([ \t]*)[-+] ", r"\1", line) + "\n" for line in kept)

    return without("+"), without("-")


def case(name, source, code, function="", *, abi="universal", seen=RAISED, crashes=False, at_exit=True):
    identifier = "HPY-" + name.split()[0]
    texts = *(source if isinstance(source, tuple) else split(source)), *split(code)
    CASES.append(Case(identifier, name.replace(" ", "-"), *texts, function, abi, seen, crashes, at_exit))
