"""Other interpreters of a process, for code that has no pytest."""

import ast
import os
import textwrap

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters


class Interpreter:
    """One that shares the GIL: one with a lock of its own does not take extensions of HPy."""

    def __init__(self, start=""):
        """Runs a program to start with."""
        try:
            self.number = interpreters.create("legacy")
        except TypeError:
            self.number = interpreters.create(isolated=False)
        # 3.13 refuses a program without a line.
        if start:
            self.run(start)

    def run(self, program):
        # 3.13 and later return what was raised.
        raised = interpreters.run_string(self.number, textwrap.dedent(program))
        if raised is not None:
            raise RuntimeError(raised.formatted)

    def ask(self, program):
        """What the program passes to `tell(value)`, a value that can be written in Python; None if it does not."""
        reading, writing = os.pipe()
        telling = f"import os\ndef tell(value):\n    os.write({writing}, ascii(value).encode())\n"
        try:
            self.run(telling + textwrap.dedent(program))
        finally:
            os.close(writing)
            with open(reading, encoding="utf-8") as pipe:
                told = pipe.read()
        return ast.literal_eval(told or "None")

    def end(self):
        interpreters.destroy(self.number)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.end()
