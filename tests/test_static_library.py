"""What extensions link statically: small, hidden, free of Rust's panic machinery, and dependent on nothing."""

import re
import shutil
import subprocess
import sys

import pytest
from hpy.devel import HPyDevel
from snippet import REFERENCE, compile_file, tools
from test_headers import EVERYTHING

pytestmark = [
    pytest.mark.skipif(REFERENCE, reason="about our own library"),
    pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm"),
]

# Everything that the library may need from outside: libc has it everywhere; and the address of what each thread has for itself.
# dlsym, which was in a library of its own, is in every process that loads extensions. getenv is for the variable HPY.
LIBC = {"__tls_get_addr", "bcmp", "dlsym", "free", "getenv", "malloc", "memcpy", "memmove", "memset", "realloc", "strlen"}

ABIS = ["universal", "cpython"]


def symbols(path, *options):
    """(type, name) of each symbol."""
    lines = subprocess.run(["nm", *options, str(path)], check=True, capture_output=True, encoding="utf-8").stdout
    fields = [line.split() for line in lines.splitlines() if line.startswith((" ", "0"))]
    return [(line[-2], line[-1].split("@")[0]) for line in fields]


@pytest.fixture(params=ABIS, scope="module")
def abi(request):
    if HPyDevel().get_static_libs(request.param) is None:
        pytest.skip(f"{sys.implementation.name} does not have this ABI")
    return request.param


@pytest.fixture(scope="module")
def library(abi):
    (path,) = HPyDevel().get_static_libs(abi)
    return path


@pytest.fixture(scope="module")
def everything(abi):
    return compile_file(EVERYTHING.replace("@SLOTS@", ""), "everything", abi, extra_flags=("-O2",))


def is_pythons(name):
    return name.startswith(("Py", "_Py"))


def test_no_panic_can_be_reached(library):
    names = [name for _, name in symbols(library)]
    assert names
    assert not [name for name in names if "panic" in name or "unwind" in name.lower() or "_eh_personality" in name]


def test_nothing_runs_when_a_binary_is_loaded(library):
    sections = subprocess.run(["objdump", "-h", library], check=True, capture_output=True, encoding="utf-8").stdout
    assert ".text" in sections and ".init_array" not in sections


def test_nothing_but_libc_is_needed(library, abi):
    needed = {name for kind, name in symbols(library) if kind == "U"}
    if abi == "cpython":
        assert any(map(is_pythons, needed))
        needed = {name for name in needed if not is_pythons(name)}
    assert needed <= LIBC


def test_a_binary_exports_only_what_its_loader_looks_for(everything, abi):
    exported = {name for kind, name in symbols(everything, "-D", "--defined-only")}
    assert exported == {
        "universal": {
            "HPyInit_everything",
            "HPyInitGlobalContext_everything",
            "HPyInitShortcuts_everything",
            "get_required_hpy_major_version_everything",
            "get_required_hpy_minor_version_everything",
            "PyInit_everything",
        },
        "cpython": {"PyInit_everything"},
    }[abi]


@pytest.mark.skipif(sys.platform != "linux", reason="reads what GNU's objdump prints")
def test_no_binary_exports_what_it_does_not_call(library):
    """The compiler hides what a binary calls; the rest has to be hidden by itself."""
    table = subprocess.run(["objdump", "-t", library], check=True, capture_output=True, encoding="utf-8").stdout
    ours = [line for line in table.splitlines() if re.search(r" g .*\b_?HPy\w+$", line)]
    assert len(ours) > 10
    assert not [line for line in ours if ".hidden" not in line]


def test_a_binary_needs_nothing_of_ours(everything, abi):
    undefined = {name for kind, name in symbols(everything, "-D") if kind == "U"}
    assert not [name for name in undefined if name.startswith(("HPy", "_HPy")) or (abi == "universal" and is_pythons(name))]


def test_using_everything_adds_little(tmp_path, everything, library, abi):
    def size(path):
        """What of a file is loaded."""
        sections = subprocess.run(["size", path], check=True, capture_output=True, encoding="utf-8").stdout
        text, data, *_ = map(int, sections.splitlines()[1].split()[:3])
        return text + data

    # With symbols that do nothing instead of the library's, it is its author's alone: what the compiler made of it, and what
    # it calls by itself.
    source, stubs, without = (tmp_path / name for name in ("everything.c", "stubs.c", "without.so"))
    source.write_text(EVERYTHING.replace("@SLOTS@", ""))
    ours = [(kind, name) for kind, name in symbols(library) if kind.isupper() and kind != "U"]
    stubs.write_text("".join(f"void {name}(void) {{}}\n" if kind == "T" else f"char {name};\n" for kind, name in ours))
    subprocess.run([*tools(abi)[0], "-O2", "-fvisibility=hidden", "-o", str(without), str(source), str(stubs)], check=True)
    added = size(everything) - size(without)
    assert 10 * 1024 < added < 80 * 1024, added
