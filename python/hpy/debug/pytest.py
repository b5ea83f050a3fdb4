"""The fixture `hpy_debug`. hpy.debug.plugin, which pytest loads by itself, has it too."""

import contextlib
import threading

import pytest

from .leakdetector import LeakDetector

# The name under which plugin.py registers what checks all tests.
CHECKS = "hpy_debug_checks"

ALLOW_LEAKS = "hpy_allow_leaks"


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


@pytest.fixture
def hpy_debug(request):
    """Checks one test: misuses in modules that run in debug mode raise HPyDebugError, and leaks are an error at its end.

    The value is the LeakDetector.
    """
    detector = LeakDetector()
    with raising():
        detector.start()
        yield detector
        checked_anyway = request.config.pluginmanager.hasplugin(CHECKS)
        if not checked_anyway and request.node.get_closest_marker(ALLOW_LEAKS) is None:
            detector.stop()
