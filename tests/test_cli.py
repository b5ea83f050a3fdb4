"""The command `hpy`: `python -m hpy`."""

import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from snippet import CACHE, REFERENCE, compile_file, expand

pytestmark = pytest.mark.skipif(REFERENCE, reason="0.9.0 has no such command")
on_cpython = pytest.mark.skipif(sys.implementation.name != "cpython", reason="what looks into binaries is part of our runtime")

CPYTHON = "CPython {}.{}".format(*sys.version_info) + (" without the GIL" if sys.abiflags == "t" else "")

C_API = """
#include <Python.h>
static PyModuleDef moduledef = { PyModuleDef_HEAD_INIT, "old", NULL, 0, NULL, NULL, NULL, NULL, NULL };
PyMODINIT_FUNC PyInit_old(void) { return PyModuleDef_Init(&moduledef); }
"""


def hpy(*arguments, status=0, cwd=None):
    command = [sys.executable, "-m", "hpy", *map(str, arguments)]
    run = subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", errors="replace")
    assert run.returncode == status, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    return run.stdout + run.stderr


def check(*files, status=0):
    """The reports about files, and that the text has something to say of each."""
    reports = json.loads(hpy("check", "--json", *files, status=status))
    text = hpy("check", *files, status=status)
    assert all(str(file) in text for file in files)
    assert [line.split(None, 1)[1] for line in text.splitlines() if "PROBLEM" in line] == [
        problem for report in reports for problem in report["problems"]
    ]
    return reports


def only(*reports):
    (report,) = reports
    return report


def universal(name="mod", source="FUNC_O(same) { return HPy_Dup(ctx, arg); }", **settings):
    return compile_file(expand(source, name), name, **settings)


def place(binary, folder, name):
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(binary, folder / name))


# ---- hpy check ----


@on_cpython
def test_universal_binaries(tmp_path):
    with_stub = universal()
    as_it_is = place(with_stub, tmp_path, "mod.so")
    for report, how in zip(check(with_stub, as_it_is), ("by a stub", "as it is")):
        assert (report["abi"], report["module"], report["hpy_version"]) == ("universal", "mod", "0.0")
        assert report["system"] == "Linux" and report["processor"] == os.uname().machine.replace("amd64", "x86_64")
        assert how in report["loads_on"][0] and not report["problems"] and not report["foreign_symbols"]
        assert any("every implementation" in line for line in report["loads_on"])


@on_cpython
def test_what_becomes_of_the_gil():
    without = universal(extra_flags=("-DHPY_MOD_GIL_NOT_USED",))
    assert [report["gil_not_used"] for report in check(universal(), without)] == [False, True]
    assert "\n  GIL       stays off in a free-threaded CPython\n" in hpy("check", without)


@on_cpython
@pytest.mark.parametrize("flags", [["-O0"], ["-O2"], ["-O2", "-fcf-protection=full"]], ids=" ".join)
def test_versions_are_read_from_code(flags):
    assert only(*check(universal(extra_flags=tuple(flags))))["hpy_version"] == "0.0"
    source = "#undef HPY_ABI_VERSION_MINOR\n#define HPY_ABI_VERSION_MINOR 300\nFUNC_NOARGS(f) { return NONE; }"
    report = only(*check(universal("newer", source, extra_flags=tuple(flags)), status=1))
    assert report["hpy_version"] == "0.300" and "it needs ABI 0.300 of HPy" in report["problems"][0]


@on_cpython
def test_a_hybrid_binary():
    source = "FUNC_NOARGS(f) { PyErr_Clear(); return NONE; }"
    report = only(*check(compile_file(expand(source, "mixed"), "mixed", "hybrid")))
    assert report["abi"] == "hybrid" and "PyErr_Clear" in report["foreign_symbols"]
    assert report["loads_on"] == [f"{CPYTHON}, by a stub"]


@on_cpython
def test_the_cpython_abi_and_the_c_api(tmp_path):
    ours = compile_file(expand("FUNC_NOARGS(f) { return NONE; }", "direct"), "direct", "cpython")
    plain = compile_file(C_API, "old", "cpython")
    first, second = check(ours, plain)
    assert (first["abi"], first["made_with"], first["module"]) == ("cpython", "HPy", "direct")
    assert (second["abi"], second["made_with"], second["module"]) == ("c-api", "", "old")
    assert first["loads_on"] == second["loads_on"] == [CPYTHON]
    limited = place(plain, tmp_path, "old.abi3.so")
    assert only(*check(limited))["abi"] == "abi3"


@on_cpython
def test_a_binary_of_pyo3(tmp_path):
    """One of the package registry, as its users have it."""
    folder = CACHE / "rpds"
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--only-binary=:all:"]
        temporary = tmp_path / "rpds"
        subprocess.run([*command, "--python-version=3.11", f"--target={temporary}", "rpds-py"], check=True)
        try:
            temporary.rename(folder)
        except OSError:
            shutil.copytree(temporary, folder, dirs_exist_ok=True)
    (binary,) = folder.rglob("*.so")
    report = only(*check(binary))
    assert (report["abi"], report["made_with"], report["loads_on"]) == ("c-api", "PyO3", ["CPython 3.11"])


@on_cpython
def test_a_binary_of_the_old_hpy():
    python = os.environ.get("HPY_TEST_REFERENCE")
    if not python:
        pytest.skip("no HPy 0.9.0 to build with")
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from snippet import compile_file, expand\n"
        "print(compile_file(expand('FUNC_NOARGS(f) { return NONE; }', 'older'), 'older'))"
    )
    run = subprocess.run([python, "-c", script], check=True, capture_output=True, encoding="utf-8")
    report = only(*check(run.stdout.strip()))
    assert (report["abi"], report["hpy_version"], report["module"]) == ("universal", "0.0", "older")
    assert any("no PyInit function" in line for line in report["not_on"])


@on_cpython
def test_a_universal_binary_that_is_none():
    source = "extern void PyErr_Clear(void);\nFUNC_NOARGS(f) { PyErr_Clear(); return NONE; }"
    report = only(*check(universal("foreign", source), status=1))
    assert report["foreign_symbols"] == ["PyErr_Clear"] and "uses 1 function of the old C API (PyErr_Clear)" in report["problems"][0]


@on_cpython
def test_files_that_are_wrong(tmp_path):
    whole = universal().read_bytes()
    files = {
        "truncated.hpy0.so": (whole[: len(whole) // 2], "truncated"),
        "text.so": (b"This is no binary.\n" * 20, "no kind of binary"),
        "empty.so": (b"", "no kind of binary"),
        "other.hpy0.so": (whole, "the file is called other, but holds the module mod"),
        "mod.cpython-311-x86_64-linux-gnu.so": (whole, "its name is that of a binary for CPython 3.11"),
        "mod.hpy7.so": (whole, "its name says hpy7, but it needs ABI 0.0"),
        "library.so": (compile_file("int f(void);\nint f(void) { return 1; }\n", "library").read_bytes(), "no entry point for Python"),
    }
    for name, (content, problem) in files.items():
        (tmp_path / name).write_bytes(content)
        report = only(*check(tmp_path / name, status=1))
        assert any(problem in said for said in report["problems"]), (name, report["problems"])
    assert "can't be read" in only(*check(tmp_path / "missing.so", status=1))["problems"][0]
    # The others are told of all the same.
    assert len(check(tmp_path / "missing.so", universal(), status=1)) == 2


@on_cpython
def test_another_processors_binary(tmp_path):
    """Its head says AArch64, and its functions are such that return a number."""
    whole = bytearray(universal("mod", "FUNC_NOARGS(f) { return NONE; }", extra_flags=("-O2",)).read_bytes())
    # e_machine
    struct.pack_into("<H", whole, 18, 183)
    (tmp_path / "mod.hpy0.so").write_bytes(whole)
    report = only(*check(tmp_path / "mod.hpy0.so"))
    assert (report["abi"], report["processor"]) == ("universal", "aarch64")


@on_cpython
def test_no_damage_crashes(tmp_path):
    whole = universal().read_bytes()
    for cut in range(0, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "mod.hpy0.so").write_bytes(whole[:cut])
        hpy("check", tmp_path / "mod.hpy0.so", status=1 if cut < len(whole) * 3 // 4 else json.loads(status_of(tmp_path)))


def status_of(folder):
    """Sections that nobody loads may be missing without harm."""
    command = [sys.executable, "-m", "hpy", "check", str(folder / "mod.hpy0.so")]
    return str(subprocess.run(command, capture_output=True).returncode)


def write_wheel(folder, name, metadata="Requires-Dist: hpy>=0.10\n", **files):
    path = folder / name
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in files.items():
            wheel.writestr(file.replace("__", "/").replace("_dot_", "."), content)
        wheel.writestr("p-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: p\nVersion: 1\n{metadata}")
    return path


@on_cpython
def test_wheels(tmp_path):
    binary = universal().read_bytes()
    good = write_wheel(tmp_path, "p-1-py3-none-linux_x86_64.whl", p__mod_dot_so=binary, p__mod_dot_py=b"")
    whole, inside = check(good)
    assert whole["loads_on"] == ["every Python"] and inside["file"].endswith("p/mod.so") and inside["abi"] == "universal"

    def problems(name, **files):
        return [problem for report in check(write_wheel(tmp_path, name, **files), status=1) for problem in report["problems"]]

    assert "no p/mod.py beside p/mod.so" in problems("p-1-py3-none-linux_x86_64.whl", p__mod_dot_so=binary)[0]
    assert "binds it to one Python" in problems("p-1-cp311-cp311-linux_x86_64.whl", mod_dot_so=binary, mod_dot_py=b"")[0]
    assert "does not depend on hpy" in problems("p-1-py3-none-a.whl", metadata="", mod_dot_so=binary, mod_dot_py=b"")[0]
    old = compile_file(C_API, "old", "cpython")
    files = {old.name.replace(".", "_dot_"): old.read_bytes()}
    assert "its tag says every Python, but old." in problems("p-1-py3-none-linux_x86_64.whl", **files)[0]
    (tmp_path / "no.whl").write_bytes(b"none")
    assert "it is no wheel" in only(*check(tmp_path / "no.whl", status=1))["problems"][0]


# ---- hpy info ----


def test_info(tmp_path):
    found = json.loads(hpy("info", "--json"))
    assert found["abi"] == "0.0" and Path(found["include"], "hpy.h").exists()
    assert found["executable"] == sys.executable and Path(found["abis"]["universal"]["library"]).exists()
    assert hpy("info", "--include").strip() == found["include"]
    assert hpy("info", "--suffix") == ".hpy0.so\n" and hpy("info", "--definitions") == "HPY HPY_ABI_UNIVERSAL\n"
    text = hpy("info", "--pythons")
    assert found["python"] in text and found["include"] in text
    if sys.implementation.name == "cpython":
        assert found["runtime"]["version"] == "0.10.0" and "debug+trace" in found["runtime"]["modes"]
        # What it says is enough to build with.
        source = tmp_path / "built.c"
        source.write_text('#include <hpy.h>\nstatic HPyModuleDef def = { .doc = "built" };\nHPy_MODINIT(built, def)\n')
        defined = [f"-D{name}" for name in found["abis"]["universal"]["definitions"]]
        command = ["cc", "-shared", "-fPIC", *defined, f"-I{found['include']}", "-o", "built.so", str(source)]
        subprocess.run([*command, found["abis"]["universal"]["library"]], cwd=tmp_path, check=True)
        run = subprocess.run([sys.executable, "-c", "import built; print(built.__doc__)"], cwd=tmp_path, capture_output=True, check=True)
        assert run.stdout == b"built\n"


# ---- hpy new ----


@on_cpython
def test_new_builds_tests_and_makes_a_wheel(tmp_path):
    said = hpy("new", "My-Package", cwd=tmp_path)
    assert "cd My-Package" in said and "module my_package" in said
    folder = tmp_path / "My-Package"
    build = "import setuptools; setuptools.setup()"
    subprocess.run([sys.executable, "-c", build, "-q", "build_ext", "--inplace"], cwd=folder, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(folder / "python")}
    for options in ([], ["--hpy-debug"]):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")
        assert run.returncode == 0 and "2 passed" in run.stdout, run.stdout + run.stderr
    code = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("my_package-0.1.0-py3-none-*.whl")
    assert not any(report["problems"] for report in check(wheel))


@pytest.mark.parametrize("name", ["1st", "a b", "../up", "", "class", "json", "-x", "ä"])
def test_names_that_no_package_can_have(tmp_path, name):
    said = hpy("new", "--", name, cwd=tmp_path, status=2) if not (name == "json" and sys.version_info < (3, 10)) else repr(name)
    assert repr(name) in said and not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    assert "is there already" in hpy("new", "mine", cwd=tmp_path, status=2)


def test_misuse():
    assert "usage: python -m hpy" in hpy("nonsense", status=2)
    assert "new" in hpy("--help") and "check" in hpy("--help") and "info" in hpy("--help")
    assert "--json" in hpy("check", "--help")
