"""Fixtures of the conformance suite. A test is a C snippet and Python assertions in one place:

    def test_adds(snippet):
        mod = snippet('''
            FUNC_O(f) { return HPy_Add(ctx, arg, arg); }
        ''')
        assert mod.f(21) == 42

It runs once for each ABI and mode in VARIANTS.
"""

import collections
import importlib.util
import subprocess
import sys
import textwrap

import hpy.universal
import pytest
from snippet import REFERENCE, compile_file, expand

Variant = collections.namedtuple("Variant", "abi mode")

VARIANTS = [Variant("universal", "universal")]


def pytest_configure(config):
    config.addinivalue_line("markers", "newer: uses what HPy 0.9.0 does not have")
    config.addinivalue_line("markers", "differs(reason): 0.9.0 does something else here, on purpose")


def pytest_collection_modifyitems(items):
    if not REFERENCE:
        return
    for item in items:
        if item.get_closest_marker("newer"):
            item.add_marker(pytest.mark.skip(reason="HPy 0.9.0 does not have it"))
        differs = item.get_closest_marker("differs")
        if differs:
            item.add_marker(pytest.mark.skip(reason=differs.args[0]))


@pytest.fixture(params=VARIANTS, ids=lambda variant: f"{variant.abi}-{variant.mode}")
def variant(request):
    return request.param


def load(name, path, mode="universal"):
    """Loads a binary without putting it into sys.modules."""
    spec = importlib.util.spec_from_file_location(name, str(path))
    return hpy.universal.load(name, str(path), spec, mode=getattr(hpy.universal, f"MODE_{mode.upper()}"))


@pytest.fixture
def snippet(variant):
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
            import importlib.util, hpy.universal
            spec = importlib.util.spec_from_file_location("mod", {str(binary)!r})
            mod = hpy.universal.load("mod", {str(binary)!r}, spec, mode=hpy.universal.MODE_{variant.mode.upper()})
        """)
        return subprocess.run(
            [sys.executable, "-c", start + textwrap.dedent(code)],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
        )

    return run
