"""The packages in ports/, built as their users do, and tested by their own tests."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from debugging import environment_with
from snippet import CACHE, REFERENCE, compile_file, make_importable, tools

PORTS = Path(__file__).parent.parent / "ports"
PICONUMPY = PORTS / "piconumpy"
ULTRAJSON = PORTS / "ultrajson"
sys.path.append(str(ULTRAJSON))
import library as ujson_library

PYPY = sys.implementation.name == "pypy"

pytestmark = pytest.mark.skipif(REFERENCE, reason="about our own ports")
on_cpython = pytest.mark.skipif(PYPY, reason="PyPy has modes, an ABI and build hooks of its own")


def run_tests(tests, folder, *options, may_skip=PYPY, **environment):
    """Runs tests with what lies in a folder."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(tests)],
        cwd=folder,
        env=environment_with({"PYTHONPATH": str(folder), **environment}),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=240,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout and ("skipped" not in run.stdout or may_skip)


def build(folder, *options, **environment):
    """Builds a package where it lies."""
    script = ["setup.py"] if (folder / "setup.py").exists() else ["-c", "import setuptools; setuptools.setup()"]
    command = [sys.executable, *script, "--quiet", *options, "build_ext", "--inplace"]
    run = subprocess.run(command, cwd=folder, env=environment_with(environment), capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stdout + run.stderr


def piconumpy_source(path):
    """A file of piconumpy with doubles.h put in: it is compiled elsewhere, and what is kept goes by its text."""
    header = (PICONUMPY / "src" / "doubles.h").read_text(encoding="utf-8")
    source = (PICONUMPY / path).read_text(encoding="utf-8")
    whole, count = re.subn(r'^#include ".*doubles\.h"$', lambda _: header, source, flags=re.MULTILINE)
    assert count == 1
    return whole


@pytest.fixture
def piconumpy(tmp_path):
    """A folder with the port's universal binary, which is the same for each interpreter."""
    make_importable(compile_file(piconumpy_source("src/piconumpy.c"), "piconumpy", extra_flags=["-O3"]), tmp_path)
    return tmp_path


def test_piconumpy(piconumpy):
    run_tests(PICONUMPY / "tests", piconumpy)
    assert run_sample(PICONUMPY, piconumpy).startswith("array([3.0, 5.0, 7.0]) array([3.0, 2.0, 1.0]) 2.0 array([0.84")


def run_sample(port, folder):
    """What the sample in a port's README prints."""
    (sample,) = re.findall(r"^```python\n(.*?)^```$", (port / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    command = [sys.executable, "-c", sample]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=True).stdout


@on_cpython
def test_piconumpy_in_debug_mode(piconumpy):
    run_tests(PICONUMPY / "tests", piconumpy, "--hpy-debug")


def test_the_twin_of_piconumpy(tmp_path):
    source = piconumpy_source("twin/piconumpy_capi.c")
    shutil.copy(compile_file(source, "piconumpy_capi", "cpython", extra_flags=["-O3"]), tmp_path)
    run_tests(PICONUMPY / "tests", tmp_path, PICONUMPY="piconumpy_capi")


@on_cpython
@pytest.mark.parametrize("abi", ["universal", "cpython"])
def test_piconumpy_is_a_package_like_any(tmp_path, abi):
    copied(PICONUMPY, tmp_path / "port")
    # It says itself that it is universal.
    build(tmp_path / "port", *([] if abi == "universal" else [f"--hpy-abi={abi}"]))
    run_tests(PICONUMPY / "tests", tmp_path / "port")


def copied(port, folder):
    return shutil.copytree(port, folder, ignore=shutil.ignore_patterns("build", "*.egg-info", "*.so", "__pycache__"))


@pytest.fixture
def ujson_source():
    """The source distribution whose library is bound, fetched once."""
    return ujson_library.fetch(CACHE / "sources")


def built_ultrajson(abi, source):
    """A folder with the port's binary, built once; one of the universal ABI is the same for each interpreter."""
    digest = hashlib.sha256(tools(abi)[2].encode())
    for path in sorted(path for path in ULTRAJSON.rglob("*") if path.suffix in (".c", ".h", ".py", ".toml", ".txt")):
        digest.update(path.read_bytes())
    folder = CACHE / f"ultrajson-{abi}-{digest.hexdigest()[:24]}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            port = copied(ULTRAJSON, Path(work, "port"))
            # It says itself that it is universal.
            build(port, *([] if abi == "universal" else [f"--hpy-abi={abi}"]), UJSON_SOURCE=str(source))
            Path(work, "made").mkdir()
            for path in port.glob("ujson*"):
                if path.suffix in (".so", ".pyd") or path.name == "ujson.py":
                    path.rename(Path(work, "made", path.name))
            try:
                os.replace(Path(work, "made"), folder)
            except OSError:
                # Another process was faster; what it made is the same.
                assert folder.exists()
    return folder


def run_ujson_tests(source, folder, *options, **environment):
    """Runs the tests of the source distribution, as they are, and those of the port."""
    # Not those that need a newer pytest for a setting of theirs.
    settings = ["-c", os.devnull, "--rootdir", str(source), "-W", "ignore::pytest.PytestUnknownMarkWarning"]
    if PYPY:
        # ujson takes nothing but bytes and bytearray there; the port takes what has a buffer.
        settings += ["-k", "not (test_loads_bytes_like and not refcounting)"]
    # One is for builds without a GIL.
    run_tests(source / "tests" / "test_ujson.py", folder, *settings, *options, may_skip=True, **environment)
    run_tests(ULTRAJSON / "tests", folder, *options, **environment)


def test_ultrajson(ujson_source):
    folder = built_ultrajson("universal", ujson_source)
    run_ujson_tests(ujson_source, folder)
    assert run_sample(ULTRAJSON, folder) == '{"a":[1,2.5,null,"\\u00e4"]}\n[1, 2.5, None, \'ä\']\n'


@on_cpython
def test_ultrajson_in_debug_mode(ujson_source):
    run_ujson_tests(ujson_source, built_ultrajson("universal", ujson_source), "--hpy-debug")


@on_cpython
@pytest.mark.skipif(sys.version_info[:2] not in ((3, 9), (3, 11), (3, 15)), reason="compiled for the oldest, the usual and the newest")
def test_ultrajson_in_the_cpython_abi(ujson_source):
    run_ujson_tests(ujson_source, built_ultrajson("cpython", ujson_source))
