"""Builds the package: the Python files, the runtime (crates/loader), and beside hpy.devel the headers and the static
libraries that extensions are linked with."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools_rust import Binding, RustExtension

ROOT = Path(__file__).parent

# Everything that building leaves behind goes to target/, as with cargo.
BUILD_BASE = Path("target", "python-build")
(ROOT / BUILD_BASE).mkdir(parents=True, exist_ok=True)


def git_revision():
    try:
        return subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


class build_py_with_devel(build_py):
    """Also lays out what hpy.devel hands to compilers."""

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
        library = build_helpers()
        for abi in ("universal", "hybrid"):
            folder = devel / "lib" / abi
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, folder)


def build_helpers():
    """Builds the static library of crates/helpers and gives its path."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    # With any other crate type beside it, the archive would hold LLVM's code and not the processor's.
    command = ["cargo", "rustc", "--release", "--package", "hpy-helpers", "--crate-type", "staticlib"]
    subprocess.run([*command, "--target-dir", str(target)], cwd=ROOT, check=True)
    names = [target / "release" / name for name in ("libhpyhelpers.a", "hpyhelpers.lib")]
    library = next(path for path in names if path.exists())
    archiver = shutil.which(os.environ.get("AR", "ar"))
    if library.suffix == ".a" and archiver:
        # Rust puts all of its support library in. Ours is one object that needs none of it.
        slim = target / "hpy-helpers" / library.name
        slim.parent.mkdir(exist_ok=True)
        shutil.copy2(library, slim)
        members = subprocess.run([archiver, "t", slim], check=True, capture_output=True, text=True).stdout.split()
        surplus = [member for member in members if not member.startswith("hpyhelpers-")]
        subprocess.run([archiver, "d", slim, *surplus], check=True)
        return slim
    return library


setup(
    rust_extensions=[RustExtension("hpy.universal", "crates/loader/Cargo.toml", binding=Binding.NoBinding, debug=False)],
    cmdclass={"build_py": build_py_with_devel},
    options={"build": {"build_base": str(BUILD_BASE)}, "egg_info": {"egg_base": str(BUILD_BASE)}},
    zip_safe=False,
)
