"""The fixture `hpy_debug`. hpy.debug.plugin, which pytest loads by itself, has it too."""

import contextlib
import threading

import pytest

from .leakdetector import LeakDetector, take_expected

# The name under which plugin.py registers what checks all tests.
CHECKS = "hpy_debug_checks"

ALLOW_LEAKS = "hpy_allow_leaks"

# What a test's own part raised, kept by plugin.py.
RAISED_BY_CALL = "_hpy_raised_by_call"


class _Raising:
    """Whose tests are under way: they may run in several threads, and what misuses do is one setting for all."""

    lock = threading.Lock()
    count = 0
    before = None


@contextlib.contextmanager
def raising():
    """Makes misuses raise HPyDebugError, whatever the environment variable HPY_DEBUG says of them."""
    from hpy.universal import _debug

    with _Raising.lock:
        if _Raising.count == 0:
            _Raising.before = _debug.override_action("raise")
        _Raising.count += 1
    try:
        yield
    finally:
        with _Raising.lock:
            _Raising.count -= 1
            if _Raising.count == 0:
                _debug.override_action(_Raising.before)


def swallowed(exception):
    """The reports of misuses that were raised since this was last asked, but for those in an exception and what it came from.

    None are left if a function that has called knows of HPyDebugError, as one with `pytest.raises(HPyDebugError)` does.
    """
    from hpy.universal import _debug

    reports, expected = _debug.raised(), take_expected()
    seen, rest = set(), [exception]
    while rest:
        each = rest.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            report = getattr(each, "report", None)
            reports = [raised for raised in reports if raised != report]
            rest += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
    return [] if expected else reports


SWALLOWED = "raised as HPyDebugError, which something has caught:"


@pytest.fixture
def hpy_debug(request):
    """Checks one test: misuses in modules that run in debug mode raise HPyDebugError, and leaks are an error at its end. So are misuses
    whose exception something has caught that did not ask for it.

    The value is the LeakDetector.
    """
    detector = LeakDetector()
    checked_anyway = request.config.pluginmanager.hasplugin(CHECKS)
    with raising():
        if not checked_anyway:
            swallowed(None)
        detector.start()
        yield detector
        if checked_anyway:
            return
        reports = swallowed(getattr(request.node, RAISED_BY_CALL, None))
        if reports:
            pytest.fail("\n\n".join([SWALLOWED, *reports]), pytrace=False)
        if request.node.get_closest_marker(ALLOW_LEAKS) is None:
            detector.stop()
