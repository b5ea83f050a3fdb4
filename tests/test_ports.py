"""The packages in ports/, built as their users do, and tested by their own tests."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from debugging import environment_with
from snippet import REFERENCE, compile_file, make_importable

PORTS = Path(__file__).parent.parent / "ports"
PICONUMPY = PORTS / "piconumpy"

pytestmark = pytest.mark.skipif(REFERENCE, reason="about our own ports")
on_cpython = pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has modes, an ABI and build hooks of its own")


def run_tests(port, folder, *options, **environment):
    """Runs a port's tests with what lies in a folder."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(port / "tests")],
        cwd=folder,
        env=environment_with({"PYTHONPATH": str(folder), **environment}),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=240,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout and ("skipped" not in run.stdout or sys.implementation.name == "pypy")


@pytest.fixture
def piconumpy(tmp_path):
    """A folder with the port's universal binary, which is the same for each interpreter."""
    source = (PICONUMPY / "src" / "piconumpy.c").read_text(encoding="utf-8")
    make_importable(compile_file(source, "piconumpy", extra_flags=["-O3"]), tmp_path)
    return tmp_path


def test_piconumpy(piconumpy):
    run_tests(PICONUMPY, piconumpy)
    (sample,) = re.findall(r"^```python\n(.*?)^```$", (PICONUMPY / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    run = subprocess.run([sys.executable, "-c", sample], cwd=piconumpy, capture_output=True, encoding="utf-8", check=True)
    assert run.stdout.startswith("array([3.0, 5.0, 7.0]) array([3.0, 2.0, 1.0]) 2.0 array([0.84")


@on_cpython
def test_piconumpy_in_debug_mode(piconumpy):
    run_tests(PICONUMPY, piconumpy, "--hpy-debug")


def test_the_twin_of_piconumpy(tmp_path):
    source = (PICONUMPY / "twin" / "piconumpy_capi.c").read_text(encoding="utf-8")
    shutil.copy(compile_file(source, "piconumpy_capi", "cpython", extra_flags=["-O3"]), tmp_path)
    run_tests(PICONUMPY, tmp_path, PICONUMPY="piconumpy_capi")


@on_cpython
@pytest.mark.parametrize("abi", ["universal", "cpython"])
def test_piconumpy_is_a_package_like_any(tmp_path, abi):
    shutil.copytree(PICONUMPY, tmp_path / "port", ignore=shutil.ignore_patterns("build", "*.egg-info", "*.so"))
    # It says itself that it is universal.
    chosen = [] if abi == "universal" else [f"--hpy-abi={abi}"]
    command = [sys.executable, "-c", "import setuptools; setuptools.setup()", *chosen, "build_ext", "--inplace"]
    run = subprocess.run(command, cwd=tmp_path / "port", capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stdout + run.stderr
    run_tests(PICONUMPY, tmp_path / "port")
