"""Builds the package: the Python files, the runtime (crates/loader), and beside hpy.devel the headers and the static
libraries that extensions are linked with."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py
from setuptools_rust import Binding, RustExtension

ROOT = Path(__file__).parent

# PyPy brings a runtime of its own, with the tools that go with it. There, this package is hpy.devel and the command hpy.
PYPY = sys.implementation.name == "pypy"

# Everything that building leaves behind goes to target/, as with cargo.
BUILD_BASE = Path("target", "python-build")
(ROOT / BUILD_BASE).mkdir(parents=True, exist_ok=True)


# A wheel is for the Python that builds it, whichever one is set for other work.
os.environ["PYO3_PYTHON"] = sys.executable
# An extension module finds Python's symbols in the process, and is not linked with libpython.
os.environ.setdefault("PYO3_BUILD_EXTENSION_MODULE", "1")

if sys.version_info[:2] == (3, 13) and sysconfig.get_config_var("Py_GIL_DISABLED"):
    # PyO3 no longer accepts 3.13 without the GIL; pyo3-ffi still has its structs, and there is no other use of PyO3 here.
    os.environ.setdefault("UNSAFE_PYO3_SKIP_VERSION_CHECK", "1")


def git_revision():
    """The commit, if these sources are a checkout and not merely lie in one."""

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).samefile(ROOT):
            return git("rev-parse", "--short", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        pass
    return "unknown"


class build_py_with_devel(build_py):
    """Also lays out what hpy.devel hands to compilers."""

    def finalize_options(self):
        super().finalize_options()
        if PYPY:
            self.packages = ["hpy", "hpy.cli", "hpy.devel", "hpy.devel.cmake"]

    def run(self):
        super().run()
        devel = Path(self.build_lib, "hpy", "devel")
        shutil.rmtree(devel / "include", ignore_errors=True)
        shutil.copytree(ROOT / "include", devel / "include")
        version = devel / "include" / "hpy" / "version.h"
        text = version.read_text(encoding="utf-8")
        version.write_text(
            re.sub(r'(HPY_GIT_REVISION) ".*"', rf'\1 "{git_revision()}"', text), encoding="utf-8"
        )
        for abi, options in LIBRARIES.items():
            folder = devel / "lib" / abi
            folder.mkdir(parents=True, exist_ok=True)
            slim(build_library(options), folder, unwinds=abi != "cpython")


# How the static library of each ABI is built.
LIBRARIES = {
    "universal": ["--release"],
    "hybrid": ["--release"],
}
if not PYPY:
    LIBRARIES["cpython"] = ["--profile", "small", "--features", "cpython"]


def build_library(options):
    """Builds the static library of crates/helpers and gives its path."""
    # With any other crate type beside it, the archive would hold LLVM's code and not the processor's.
    command = ["cargo", "rustc", "--package", "hpy-helpers", "--crate-type", "staticlib", *options]
    messages = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    artifacts = [message for message in map(json.loads, messages.splitlines()) if "filenames" in message]
    return next(Path(item["filenames"][0]) for item in artifacts if item["target"]["name"] == "hpyhelpers")


def slim(library, folder, unwinds):
    """Puts into `folder` a copy of the library without what no extension can reach: Rust adds all of its support library."""
    tools = {name: shutil.which(name) for name in ("ar", "cc", "nm", "objcopy")}
    if library.suffix != ".a" or not sys.platform.startswith("linux") or not all(tools.values()):
        # It works as it is; linkers take less out of it if they are told to drop unused sections.
        shutil.copy2(library, folder)
        return

    def run(tool, *arguments):
        command = [tools[tool], *map(str, arguments)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    with tempfile.TemporaryDirectory() as temporary:
        whole, reachable = Path(temporary, "whole.a"), Path(temporary, "hpyhelpers.o")
        # What runs by itself when a binary is loaded (for Rust programs, about their arguments). Where size counts, the tables
        # for unwinding as well, which are a tenth of it: nothing here unwinds, but debug mode looks through frames.
        unwanted = [".init_array*"] if unwinds else [".init_array*", ".eh_frame"]
        run("objcopy", *(f"--remove-section={section}" for section in unwanted), library, whole)
        names = [line.split()[-1] for line in run("nm", "--defined-only", "--extern-only", whole).splitlines() if line]
        roots = [f"-Wl,--undefined={name}" for name in names if name.startswith(("HPy", "_HPy"))]
        run("cc", "-r", "-nostdlib", "-Wl,--gc-sections", *roots, "-o", reachable, whole)
        run("objcopy", "--strip-unneeded", reachable)
        slimmed = folder / library.name
        slimmed.unlink(missing_ok=True)
        run("ar", "rcsD", slimmed, reachable)


class PlatformDistribution(Distribution):
    """Has static libraries, so it is for one platform even without an extension module."""

    def has_ext_modules(self):
        return True

    def parse_config_files(self, *arguments, **keywords):
        super().parse_config_files(*arguments, **keywords)
        if PYPY:
            # Its own hpy.debug has no plugin for pytest, which would look for it at each start.
            self.entry_points.pop("pytest11", None)


RUNTIME = RustExtension("hpy.universal", "crates/loader/Cargo.toml", binding=Binding.NoBinding, debug=False)

setup(
    distclass=PlatformDistribution,
    rust_extensions=[] if PYPY else [RUNTIME],
    cmdclass={"build_py": build_py_with_devel},
    options={"build": {"build_base": str(BUILD_BASE)}, "egg_info": {"egg_base": str(BUILD_BASE)}},
    zip_safe=False,
)
