"""Records what tests use: `python -m pytest -p recording --record FILE --mode trace,cpython tests`, with this folder on PYTHONPATH.

It runs the tests that run once for each ABI. Those that pass are recorded:

- Functions of the context that a test has called. Trace mode counts calls, and these counts rose during the test. In the CPython
  ABI calls can't be counted. What a test called elsewhere counts there as well, if it passed there with the same C.
- Words in the C that a test had compiled, but for comments, strings and the harness's own prelude.

Calls in other processes are not seen.

FILE becomes an object with `calls` and `words`, {name: {ABI: {test file: number of tests}}}, and `failed`, the tests that failed.
tests/conformance.py runs this, and makes a page of it.
"""

import collections
import gc
import hashlib
import json
import re
import sys
from pathlib import Path

import pytest
import snippet

IGNORED = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)

compiled = []


def words_in(text):
    return set(re.findall(r"[A-Za-z_]\w*", IGNORED.sub(" ", text.replace(snippet.PRELUDE, ""))))


def variant_of(item):
    callspec = getattr(item, "callspec", None)
    return callspec and callspec.params.get("variant")


def pytest_addoption(parser):
    parser.addoption("--record", required=True, help="the file that says what tests use", metavar="FILE")


def pytest_configure(config):
    if sys.implementation.name != "cpython" or snippet.REFERENCE:
        raise pytest.UsageError("-p recording needs the trace mode of this repository, over CPython")
    snippet.LISTENERS.append(compiled.append)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Record(Path(config.getoption("--record"))))


def pytest_collection_modifyitems(config, items):
    config.hook.pytest_deselected(items=[item for item in items if not variant_of(item)])
    items[:] = [item for item in items if variant_of(item)]


@pytest.fixture(autouse=True)
def recorded(request):
    """Adds to a test's report what it used."""
    from hpy.trace import get_call_counts

    compiled.clear()
    # What is there already need not be gone through by each collection, which would take most of the time.
    gc.freeze()
    before = get_call_counts()
    yield
    # What is called when the test's objects go is the test's, not the next one's.
    gc.collect()
    calls = [member for member, count in get_call_counts().items() if count > before[member]]
    variant = variant_of(request.node)
    use = {
        "test": request.node.nodeid.replace(f"{variant.abi}-{variant.mode}", ""),
        "abi": variant.abi,
        "source": hashlib.sha256("\0".join(compiled).encode()).hexdigest(),
        "calls": calls,
        "words": sorted(set().union(*map(words_in, compiled))),
    }
    request.node.user_properties.append(("use", use))


class Record:
    """Puts together what the reports say, which come from all workers."""

    def __init__(self, path):
        self.path, self.uses, self.failed, self.left_out = path, [], set(), set()

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.add(report.nodeid)
        if not report.passed:
            self.left_out.add(report.nodeid)
        # The reports before the last one have nothing yet.
        if report.when == "teardown" and report.nodeid not in self.left_out:
            self.uses += [use for name, use in report.user_properties if name == "use"]

    def pytest_sessionfinish(self):
        tests = {kind: collections.defaultdict(set) for kind in ("calls", "words")}
        inline = {(use["test"], use["source"]) for use in self.uses if use["abi"] == "cpython"}
        for use in self.uses:
            test = use["test"].partition("[")[0]
            for member in use["calls"]:
                tests["calls"][member, use["abi"]].add(test)
                if (use["test"], use["source"]) in inline:
                    tests["calls"][member, "cpython"].add(test)
            for word in use["words"]:
                tests["words"][word, use["abi"]].add(test)
        record = {kind: collections.defaultdict(dict) for kind in tests}
        for kind, of_kind in tests.items():
            for (name, abi), found in of_kind.items():
                record[kind][name][abi] = collections.Counter(Path(test.partition("::")[0]).stem for test in found)
        self.path.write_text(json.dumps({**record, "failed": sorted(self.failed)}), encoding="utf-8")
