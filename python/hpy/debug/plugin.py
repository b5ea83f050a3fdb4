"""The plugin for pytest: with `--hpy-debug`, each test fails for wrong uses of HPy's API.

- HPy extensions that are imported from then on run in debug mode (the environment variable HPY, if set, decides instead).
- Misuses raise HPyDebugError in the test. Where that can't be, or where something catches it that did not ask for it, they are an error
  at the test's end. HPY_DEBUG can say something else of single misuses.
- So are handles, builders and trackers that the test leaves open. The marker `hpy_allow_leaks` is for tests that have to.

Without the option, and without HPY=debug, nothing of hpy is imported but the two small modules here. With HPY=debug, the report that a
process ends with is written where people see it, and not where pytest captures it.

 Loaded by the entry point `hpy_debug`; where plugins
are not loaded by themselves, with `-p hpy_debug`.
"""

import gc
import os

import pytest

from .._stub import is_stub
from .leakdetector import HPyLeakError, find_leaks
from .pytest import ALLOW_LEAKS, CHECKS, RAISED_BY_CALL, SWALLOWED, hpy_debug, raising, swallowed

__all__ = ["hpy_debug"]


def pytest_addoption(parser):
    group = parser.getgroup("hpy", "HPy")
    group.addoption(
        "--hpy-debug",
        action="store_true",
        help="load HPy extensions in debug mode, and fail tests for misuses of the API and for leaks",
    )
    group.addoption(
        "--hpy-debug-traces",
        type=int,
        metavar="N",
        help="with up to N C frames of where each handle was opened and closed; turns on --hpy-debug",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    # Before anything of the project is imported. Not called for plugins that a conftest names.
    start(early_config, early_config.known_args_namespace)


def pytest_configure(config):
    config.addinivalue_line("markers", f"{ALLOW_LEAKS}: --hpy-debug does not look for what this test leaves open")
    start(config, config.option)
    if "debug" in os.environ.get("HPY", "").lower():
        config.pluginmanager.register(DebugMode(), "hpy_debug_mode")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    outcome = yield
    setattr(item, RAISED_BY_CALL, outcome.excinfo[1] if outcome.excinfo else None)


class DebugMode:
    """What is done wherever extensions run in debug mode."""

    def __init__(self):
        try:
            from hpy.universal import _debug
        except ImportError:
            # For the extension's import to report.
            self.debug = None
            return
        self.debug = _debug
        # While tests run, pytest has something else in the place of stderr, which ends with the process. As of now it has not.
        try:
            self.descriptor = os.dup(2)
        except OSError:
            self.descriptor = -1
        _debug.set_last_words(self.descriptor)

    def pytest_unconfigure(self):
        if self.debug is not None and self.descriptor >= 0:
            self.debug.set_last_words(-1)
            os.close(self.descriptor)

    def pytest_terminal_summary(self, terminalreporter):
        distributed = getattr(terminalreporter.config.option, "dist", "no") != "no"
        if self.debug is not None and not distributed and not self.debug.loaded():
            terminalreporter.write_line(
                "hpy: no extension was loaded in debug mode. One that is built for the CPython ABI has none: build it with "
                "--hpy-abi=universal.",
                yellow=True,
            )


def start(config, options):
    """Begins to check, if the options say so."""
    traces = getattr(options, "hpy_debug_traces", None)
    if not getattr(options, "hpy_debug", False) and traces is None:
        return
    if not config.pluginmanager.hasplugin(CHECKS):
        config.pluginmanager.register(Checks(traces), CHECKS)


# Older releases have another parameter.
if hasattr(pytest, "version_tuple"):

    def pytest_ignore_collect(collection_path):
        # With --doctest-modules every file is imported. For the stub of an extension that ends in a mismatch.
        if collection_path.suffix == ".py" and is_stub(collection_path):
            return True
        return None


class Checks:
    """What is done for each test, and around all of them."""

    def __init__(self, traces):
        if traces is not None and traces < 0:
            raise pytest.UsageError("--hpy-debug-traces: the number of frames is 0 or more")
        self.sets_variable = "HPY" not in os.environ
        if self.sets_variable:
            # Processes that tests start inherit it.
            os.environ["HPY"] = "debug"
        try:
            from hpy.universal import _debug
        except ImportError as error:
            raise pytest.UsageError(f"--hpy-debug: the runtime can't be imported: {error}") from error
        self.debug = _debug
        self.traces = traces
        if traces is not None:
            _debug.set_handle_stack_trace_limit(traces)
        # What is imported by conftest files and while tests are collected is not part of a test.
        self.raising = raising()
        self.raising.__enter__()
        self.outside = []
        self.swallowed = []
        self.generation = _debug.new_generation()

    def pytest_report_header(self):
        mode = os.environ.get("HPY", "")
        if "debug" not in mode.lower():
            return f"hpy: --hpy-debug finds nothing, because HPY={mode} keeps modules out of debug mode"
        traces = f"stack traces of {self.traces} frames" if self.traces else "no stack traces (--hpy-debug-traces=16 for some)"
        return f"hpy: HPY={mode}, {traces}"

    def pytest_unconfigure(self):
        self.raising.__exit__(None, None, None)
        if self.traces is not None:
            self.debug.set_handle_stack_trace_limit(None)
        if self.sets_variable:
            os.environ.pop("HPY", None)

    def findings(self):
        """What has been found since this was last asked: leaks, and reports of misuses that could not raise."""
        leaks = find_leaks(self.generation)
        if leaks:
            # Buffers may be held by objects that wait for the collector.
            gc.collect()
            leaks = find_leaks(self.generation)
        self.generation = self.debug.new_generation()
        return leaks, self.debug.reports()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self):
        self.outside += texts(*self.findings())
        swallowed(None)
        with raising():
            outcome = yield
        self.swallowed = swallowed(outcome.excinfo[1] if outcome.excinfo else None)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self):
        with raising():
            outcome = yield
        self.swallowed += swallowed(outcome.excinfo[1] if outcome.excinfo else None)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item):
        with raising():
            outcome = yield
        leaks, reports = self.findings()
        self.swallowed += swallowed(outcome.excinfo[1] if outcome.excinfo else None)
        if self.swallowed:
            reports = [SWALLOWED, *self.swallowed, *reports]
            self.swallowed = []
        if item.get_closest_marker(ALLOW_LEAKS) is not None:
            leaks = []
        found = texts(leaks, reports)
        if self.outside:
            found += ["Before this test, while modules were imported or between tests:", *self.outside]
            self.outside = []
        if not found:
            return
        text = "\n\n".join(found)
        if outcome.excinfo is not None:
            # It keeps its own error, with ours below it.
            item.add_report_section("teardown", "hpy debug", text)
            return
        error = pytest.fail.Exception(text, pytrace=False)
        if not hasattr(outcome, "force_exception"):
            # In old releases of pluggy, what the outermost wrapper raises is the result.
            raise error
        outcome.force_exception(error)


def texts(leaks, reports):
    """Leaks and reports as people read them."""
    return ([str(HPyLeakError(leaks))] if leaks else []) + list(reports)
