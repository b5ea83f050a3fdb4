"""The fixture `hpy_debug`. hpy.debug.plugin, which pytest loads by itself, has it too."""

import contextlib

import pytest

from .leakdetector import LeakDetector

# The name under which plugin.py registers what checks all tests.
CHECKS = "hpy_debug_checks"

ALLOW_LEAKS = "hpy_allow_leaks"


@contextlib.contextmanager
def raising():
    """Makes misuses raise HPyDebugError, whatever the environment variable HPY_DEBUG says of them."""
    from hpy.universal import _debug

    before = _debug.override_action("raise")
    try:
        yield
    finally:
        _debug.override_action(before)


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
