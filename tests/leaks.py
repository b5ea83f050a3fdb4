"""Runs each test several times and fails it if references are left over each time: `python -m pytest -p leaks tests`, with this
folder on PYTHONPATH and a debug build of CPython, which counts all references there are.

A test that can't be run again is run once, and reported as such at the end.
"""

import contextvars
import gc
import sys

import pytest

WARM_UP, MEASURED = 2, 3

not_repeatable = []


def total():
    for _ in range(3):
        gc.collect()
    clear = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
    clear()
    return sys.gettotalrefcount()


def differences(function):
    # What is there already need not be gone through by each collection.
    gc.collect()
    gc.freeze()
    numbers = []
    for _ in range(MEASURED):
        before = total()
        function()
        numbers.append(total() - before)
    gc.unfreeze()
    return numbers


def pytest_configure(config):
    if not hasattr(sys, "gettotalrefcount"):
        raise pytest.UsageError(f"-p leaks needs a debug build of CPython, and {sys.executable} is none")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    if "run_snippet" in arguments:
        return None  # runs in a process of its own

    # What is raised again and again gets a longer traceback each time.
    exceptions = [each for each in gc.get_objects() if issubclass(type(each), BaseException)]

    def run():
        # Variables keep their values as long as the context that they were set in.
        contextvars.copy_context().run(pyfuncitem.obj, **arguments)
        if "monkeypatch" in arguments:
            arguments["monkeypatch"].undo()
        for exception in exceptions:
            exception.__traceback__ = exception.__context__ = None

    run()
    try:
        for _ in range(WARM_UP - 1):
            run()
    except Exception:
        not_repeatable.append(pyfuncitem.nodeid)
        return True
    # Keeping the numbers takes references, too.
    usual, left = max(differences(lambda: None)), differences(run)
    if min(left) > usual:
        pytest.fail(f"references left over by {MEASURED} more runs: {left}", pytrace=False)
    return True


def pytest_terminal_summary(terminalreporter):
    if not_repeatable:
        terminalreporter.write_line(f"{len(not_repeatable)} tests can't be repeated: {', '.join(not_repeatable[:5])} ...")
