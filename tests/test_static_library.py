"""What extensions link statically: small, hidden, free of Rust's panic machinery, and dependent on nothing."""

import os
import shutil
import subprocess

import pytest
from hpy.devel import HPyDevel
from snippet import REFERENCE, compile_file, expand
from test_headers import EVERYTHING

pytestmark = [
    pytest.mark.skipif(REFERENCE, reason="about our own library"),
    pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm"),
]

# Everything that the library may need from outside: libc has it everywhere.
LIBC = {"free", "malloc", "memcpy", "memmove", "memset", "realloc", "strlen"}


def symbols(path, *options):
    """(type, name) of each symbol."""
    lines = subprocess.run(["nm", *options, str(path)], check=True, capture_output=True, encoding="utf-8").stdout
    fields = [line.split() for line in lines.splitlines() if line.startswith((" ", "0"))]
    return [(line[-2], line[-1].split("@")[0]) for line in fields]


@pytest.fixture(scope="module")
def library():
    (path,) = HPyDevel().get_static_libs("universal")
    return path


@pytest.fixture(scope="module")
def everything():
    return compile_file(EVERYTHING.replace("@SLOTS@", ""), "everything", extra_flags=("-O2",))


def test_no_panic_can_be_reached(library):
    names = [name for _, name in symbols(library)]
    assert names
    assert not [name for name in names if "panic" in name or "unwind" in name or "_eh_personality" in name]


def test_nothing_but_libc_is_needed(library):
    needed = {name for kind, name in symbols(library) if kind == "U"}
    assert needed <= LIBC


def test_a_binary_exports_only_what_its_loader_looks_for(everything):
    exported = {name for kind, name in symbols(everything, "-D", "--defined-only")}
    assert exported == {
        "HPyInit_everything",
        "HPyInitGlobalContext_everything",
        "get_required_hpy_major_version_everything",
        "get_required_hpy_minor_version_everything",
    }


def test_a_binary_needs_nothing_of_python(everything):
    undefined = {name for kind, name in symbols(everything, "-D") if kind == "U"}
    assert not [name for name in undefined if name.startswith(("Py", "_Py", "HPy", "_HPy"))]


def test_using_everything_adds_little(tmp_path):
    def stripped_size(text, name):
        path = shutil.copy(compile_file(text, name, extra_flags=("-O2",)), tmp_path)
        subprocess.run(["strip", path], check=True)
        return os.path.getsize(path)

    added = stripped_size(EVERYTHING.replace("@SLOTS@", ""), "everything") - stripped_size(expand("", "empty"), "empty")
    assert added < 60 * 1024
