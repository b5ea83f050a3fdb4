"""Runs the Python code of misuses/, in processes that have no pytest."""

import shutil
import tempfile
import threading
from pathlib import Path

from loading import load


def attempt(binary, code, mode="debug", detect=False):
    """Runs code where `mod` is the module of the binary, if wanted in a LeakDetector. The result is None, or what was raised: a
    dictionary with the kind, identifier and text of the exception."""
    names = {"binary": binary, "again": again, "in_interpreter": in_interpreter, "in_thread": in_thread, "raises": raises}
    try:
        names["mod"] = load("mod", binary, mode)
        if detect:
            from hpy.debug import LeakDetector

            with LeakDetector():
                exec(code, names)
        else:
            exec(code, names)
    except RaisedElsewhere as error:
        return error.told
    except BaseException as error:
        return {"kind": type(error).__name__, "identifier": getattr(error, "identifier", None), "text": str(error)}
    return None


# What the code can use


def raises(kind, function, *args):
    """Calls a function that may raise this."""
    try:
        function(*args)
    except kind:
        pass


def in_thread(function, *args):
    """The result of a call on a thread of its own."""
    results, errors = [], []

    def run():
        try:
            results.append(function(*args))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert results or errors, "the thread does not come to an end"
    if errors:
        raise errors[0]
    return results[0]


class RaisedElsewhere(Exception):
    """What was raised in another interpreter."""

    def __init__(self, told):
        super().__init__(told["text"])
        self.told = told


def in_interpreter(binary, code, mode="debug"):
    """Runs code in another interpreter, where `mod` is the module of this binary."""
    from interpreting import Interpreter

    with Interpreter() as other:
        told = other.ask(f"""
import sys
sys.path.append({str(Path(__file__).parent)!r})
from attempting import attempt
tell(attempt({binary!r}, {code!r}, {mode!r}) or "nothing")
""")
    if told is None:
        told = {"kind": "nothing", "identifier": None, "text": "the code did not run"}
    if told != "nothing":
        raise RaisedElsewhere(told)


def again(binary, mode):
    """Another module of the same binary, loaded in another mode; its static variables are its own."""
    folder = tempfile.mkdtemp()
    try:
        return load("mod", shutil.copy(binary, folder), mode)
    finally:
        shutil.rmtree(folder)
