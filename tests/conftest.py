"""Fixtures of the conformance suite. A test is a C snippet and Python assertions in one place:

    def test_adds(snippet):
        mod = snippet('''
            FUNC_O(f) { return HPy_Add(ctx, arg, arg); }
        ''')
        assert mod.f(21) == 42

It runs once for each ABI and mode in VARIANTS.
"""

import collections
import gc
import os
import subprocess
import sys
import sysconfig
import textwrap
import weakref
from pathlib import Path

import pytest
from loading import load
from snippet import REFERENCE, compile_file, expand

if sys.implementation.name == "pypy":
    import pypy_differences

    pypy_differences.prepare()
else:
    pypy_differences = None

# Those of other releases and of PyPy are others.
HAS_LAYERS = not REFERENCE and not pypy_differences

IS_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

PLAIN_MODES = ("universal", "cpython")

Variant = collections.namedtuple("Variant", "abi mode")

VARIANTS = [
    Variant("universal", "universal"),
    Variant("universal", "debug"),
    # Trace mode over debug mode: what either does wrong shows here.
    Variant("universal", "debug_trace"),
    Variant("cpython", "cpython"),
    Variant("hybrid", "universal"),
    Variant("hybrid", "debug"),
]

# With --mode trace, for tests/recording.py.
TRACED = [Variant("universal", "trace"), Variant("hybrid", "trace")]


def pytest_addoption(parser):
    parser.addoption(
        "--mode",
        default=",".join(sorted({variant.mode for variant in VARIANTS})),
        help="comma-separated modes for the tests that run in each of them; trace is one more (default: %(default)s)",
    )
    parser.addoption(
        "--abi",
        default=",".join(sorted({variant.abi for variant in VARIANTS})),
        help="comma-separated ABIs for the tests that run in each of them (default: %(default)s)",
    )


def pytest_generate_tests(metafunc):
    if "variant" in metafunc.fixturenames:
        abis = metafunc.config.getoption("--abi").split(",")
        modes = metafunc.config.getoption("--mode").split(",")
        marker = metafunc.definition.get_closest_marker("abis")
        chosen = [variant for variant in VARIANTS + TRACED if variant.abi in abis and variant.mode in modes]
        chosen = [variant for variant in chosen if not marker or variant.abi in marker.args]
        chosen = [variant for variant in chosen if variant.mode in PLAIN_MODES or HAS_LAYERS]
        if not marker or "universal" in marker.args:
            # Debug mode does the same over both kinds of binaries.
            chosen = [variant for variant in chosen if variant != Variant("hybrid", "debug")]
        metafunc.parametrize("variant", chosen, ids=lambda variant: f"{variant.abi}-{variant.mode}")


def mode_of(item):
    variant = getattr(item, "callspec", None) and item.callspec.params.get("variant")
    return variant and variant.mode


def pytest_configure(config):
    config.addinivalue_line("markers", "abis(abi, ...): makes sense in these ABIs only")
    config.addinivalue_line("markers", "misuse(reason): does what debug mode reports, to see what happens without it")
    config.addinivalue_line("markers", "frees_classes: sees classes go, which CPython 3.13 without the GIL keeps once a thread has run")
    config.addinivalue_line("markers", "newer: uses what HPy 0.9.0 does not have")
    config.addinivalue_line("markers", "differs(reason, abis=None): 0.9.0 does something else here, in some ABIs or all; ours is on purpose")


def pytest_collection_modifyitems(config, items):
    # Debug mode finds what these do, which is for its own tests to see.
    misuses = [item for item in items if item.get_closest_marker("misuse") and "debug" in (mode_of(item) or "")]
    if misuses:
        config.hook.pytest_deselected(items=misuses)
        left_out = set(misuses)
        items[:] = [item for item in items if item not in left_out]
    if pypy_differences:
        pypy_differences.mark(items)
    if not REFERENCE:
        return
    for item in items:
        if item.get_closest_marker("newer"):
            item.add_marker(pytest.mark.skip(reason="HPy 0.9.0 does not have it"))
        variant = getattr(item, "callspec", None) and item.callspec.params.get("variant")
        for differs in item.iter_markers("differs"):
            abis = differs.kwargs.get("abis")
            if abis is None or variant is None or variant.abi in abis:
                item.add_marker(pytest.mark.skip(reason=differs.args[0]))


def pytest_collection_finish(session):
    """Many tests collect garbage, and would go through all the tests there are each time."""
    if hasattr(gc, "freeze"):  # not in PyPy
        gc.collect()
        gc.freeze()


def classes_are_freed():
    class Probe:
        pass

    alive = weakref.ref(Probe)
    del Probe
    gc.collect()
    return alive() is None


def pytest_runtest_setup(item):
    if IS_FREE_THREADED and item.get_closest_marker("frees_classes") and not classes_are_freed():
        # Where there is no thread, there is no excuse.
        say = pytest.fail if "HPY_TEST_CLASSES" in os.environ else pytest.skip
        say("without the GIL, CPython 3.13 keeps all classes once a second thread has run")


@pytest.fixture
def clean(variant):
    """Sees to it that debug mode finds nothing."""
    if "debug" not in variant.mode:
        yield
        return
    from hpy.debug import LeakDetector
    from hpy.universal import _debug

    before = _debug.override_action("raise")
    try:
        with LeakDetector():
            yield
    finally:
        _debug.override_action(before)
        reports = _debug.reports()
    assert not reports, "\n".join(reports)


@pytest.fixture
def snippet(variant, clean):
    """snippet(source, name="mod"): the module of a C snippet."""

    def make(source, name="mod"):
        return load(name, compile_file(expand(textwrap.dedent(source), name), name, variant.abi), variant.mode)

    return make


@pytest.fixture
def run_snippet(variant):
    """run_snippet(source, code): runs Python code in a process of its own, where `mod` is the snippet's module."""

    def run(source, code):
        binary = compile_file(expand(textwrap.dedent(source), "mod"), "mod", variant.abi)
        start = textwrap.dedent(f"""
            import sys
            sys.path.append({str(Path(__file__).parent)!r})
            from loading import load
            mod = load("mod", {str(binary)!r}, {variant.mode!r})
        """)
        return subprocess.run(
            [sys.executable, "-c", start + textwrap.dedent(code)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
        )

    return run
