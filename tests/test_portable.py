"""portable/menagerie.c, an extension full of types: one binary for all interpreters, by our headers or those of 0.9."""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from snippet import CACHE, REFERENCE, compile_file, make_importable

pytestmark = pytest.mark.skipif(REFERENCE, reason="0.9.0 crashes on most of it")

FOLDER = Path(__file__).parent / "portable"
SOURCE = FOLDER / "menagerie.c"

CHECKS = re.findall(r"^def (check_\w+)", (FOLDER / "check_menagerie.py").read_text(encoding="utf-8"), re.MULTILINE)

# A Python that has the release of 0.9.0, whose headers and sources are used. It need not be of the running version.
BUILDER = os.environ.get("HPY_TEST_REFERENCE")

BUILD_WITH = """
import json
from hpy.devel import HPyDevel, version
devel = HPyDevel()
include_dirs = [devel.get_include_dir_forbid_python_h(), *devel.get_extra_include_dirs()]
print(json.dumps([version.__version__, [*map(str, include_dirs)], [*map(str, devel.get_extra_sources())]]))
"""


def run_checks(*arguments, **variables):
    """Runs the script in a process of its own; each check that fails has its traceback in the output."""
    run = subprocess.run(
        [sys.executable, str(FOLDER / "check_menagerie.py"), *map(str, arguments)],
        env={**os.environ, **variables},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
    )
    assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr
    assert re.fullmatch(r"\d+ checks passed\n", run.stdout)


# Elsewhere, a check may end the process, so that each has its own.
@pytest.mark.parametrize("check", ["all"] if sys.implementation.name == "cpython" else CHECKS)
def test_built_with_our_headers(tmp_path, check):
    make_importable(compile_file(SOURCE.read_text(encoding="utf-8"), "menagerie"), tmp_path)
    run_checks(*([] if check == "all" else [check]), PYTHONPATH=str(tmp_path))


@pytest.mark.skipif(not BUILDER, reason="HPY_TEST_REFERENCE does not name a Python with hpy 0.9.0")
def test_built_with_the_headers_of_the_reference():
    run_checks(built_with_the_reference())


def built_with_the_reference():
    """The binary that somebody has made with 0.9.0, compiled unless that has been done before."""
    asked = subprocess.run([BUILDER, "-W", "ignore", "-c", BUILD_WITH], check=True, stdout=subprocess.PIPE)
    version, include_dirs, sources = json.loads(asked.stdout)
    assert version == "0.9.0"
    # Its headers want alloca of GNU C, and don't compile without warnings.
    command = [*shlex.split(os.environ.get("CC", "cc")), "-shared", "-fPIC", "-std=gnu11", "-g", "-w"]
    command += ["-DHPY", "-DHPY_ABI_UNIVERSAL", *(f"-I{folder}" for folder in include_dirs)]
    if sys.platform == "darwin":
        command += ["-undefined", "dynamic_lookup"]

    digest = hashlib.sha256(repr(command).encode())
    digest.update(subprocess.run([command[0], "--version"], check=True, capture_output=True).stdout)
    headers = [path for folder in include_dirs for path in sorted(Path(folder).rglob("*.h"))]
    for path in [SOURCE, *headers, *map(Path, sources)]:
        digest.update(path.read_bytes())
    binary = CACHE / digest.hexdigest()[:24] / "menagerie.hpy0.so"
    if not binary.exists():
        binary.parent.mkdir(parents=True, exist_ok=True)
        # Another process may be at it too.
        made = binary.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, "-o", str(made), str(SOURCE), *sources], check=True)
        os.replace(made, binary)
    return binary
