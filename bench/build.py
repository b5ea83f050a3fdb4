"""Builds the variants for the Python that runs this, and writes a plan: where each lies, and what was skipped, and why.

`cargo xtask bench` calls this. What is ours has to build; a peer that can't be had is skipped.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import machine
from variants import OURS, VARIANTS

HERE = Path(__file__).parent


class Skipped(Exception):
    """A peer can't be built here; says why."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the variants of this Python go")
    parser.add_argument("--shared", type=Path, required=True, help="where goes what is the same for every Python")
    parser.add_argument("--universal-python", required=True, help="a Python with hpy, for the universal binary")
    parser.add_argument("--reference-python", help="a Python with HPy 0.9.0 of this Python's version")
    parser.add_argument("--instructions", action="store_true", help="also build what counting instructions needs")
    parser.add_argument("--plan", type=Path, required=True, help="the JSON file to write")
    options = parser.parse_args()
    options.module, options.sources, options.crate = "ops", HERE / "variants", HERE / "variants/pyo3"
    options.packages = options.shared
    given = {name: str(value) for name, value in vars(options).items() if value}
    plan = {"variants": {}, "skipped": {}, "options": given}
    build_variants(options, plan)
    plan["compilers"] = compilers()
    if options.instructions:
        try:
            plan["counter"] = build_counter(options)
        except Skipped as reason:
            print(f"  counting instructions  skipped: {reason}", flush=True)
    options.plan.write_text(json.dumps(plan, indent=1), encoding="utf-8")


def build_variants(options, plan, wanted=None):
    """Builds a module in all variants, or in those that are wanted."""
    for variant in VARIANTS:
        if wanted is not None and variant.name not in wanted:
            continue
        start = time.perf_counter()
        try:
            place = BUILDERS[variant.name](options)
        except Skipped as reason:
            plan["skipped"][variant.name] = str(reason)
            print(f"  {variant.label:<22} skipped: {reason}", flush=True)
            continue
        plan["variants"][variant.name] = place
        print(f"  {variant.label:<22} {time.perf_counter() - start:.1f} s", flush=True)


def build_capi(options):
    folder = setuptools(options, options.folder / "capi", sys.executable, "capi")
    return place(folder, {"Python.h": machine.python()["version"]})


def build_abi3(options):
    if sys.implementation.name != "cpython":
        raise Skipped("the stable ABI is CPython's")
    if sys.version_info < (3, 11):
        raise Skipped("it is compiled for CPython 3.11 and newer")
    folder = setuptools(options, options.folder / "abi3", sys.executable, "abi3")
    return place(folder, {"Py_LIMITED_API": "3.11"})


def build_cpython(options):
    if sys.implementation.name != "cpython":
        raise Skipped("the CPython ABI is CPython's")
    folder = setuptools(options, options.folder / "cpython", sys.executable, "cpython", "--hpy-abi=cpython")
    return place(folder, {"hpy": version("hpy")})


def build_universal(options):
    folder = options.shared / "universal"
    folder = setuptools(options, folder, options.universal_python, "universal", "--hpy-abi=universal")
    return place(folder, {"hpy": version("hpy")})


def build_reference(options):
    if not options.reference_python:
        raise Skipped("HPy 0.9.0 works on CPython 3.9 to 3.12, and has to be in the package registry")
    folder = options.shared / "reference"
    folder = setuptools(options, folder, options.reference_python, "reference", "--hpy-abi=universal")
    question = "import hpy.universal; print(hpy.universal.__file__)"
    runtime = output([options.reference_python, "-c", question]).strip()
    return {**place(folder, {"hpy": "0.9.0"}), "runtime": runtime}


def build_nanobind(options):
    if sys.implementation.name != "cpython" or sys.version_info < (3, 10):
        raise Skipped("only compared on CPython 3.10 and newer")
    if not shutil.which(os.environ.get("CXX", "c++")):
        raise Skipped("there is no C++ compiler")
    package = options.packages / "nanobind-package"
    if not package.exists():
        install = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--target"]
        attempt([sys.executable, *install, package, "nanobind"], "pip can't get it")
    release = output([sys.executable, "-c", "import nanobind; print(nanobind.__version__)"], PYTHONPATH=package).strip()
    folder = setuptools(options, options.folder / f"nanobind-{release}", sys.executable, "nanobind", PYTHONPATH=package)
    return place(folder, {"nanobind": release})


def build_pyo3(options):
    if sys.implementation.name != "cpython":
        raise Skipped("only compared on CPython")
    crate = options.crate
    # What PyO3 itself compiles to is the same for all modules.
    tag = f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}"
    target = options.packages.resolve() / "pyo3-target" / tag
    cargo = ["cargo", "build", "--quiet", "--release", "--locked", "--target-dir", target]
    command = [*cargo, "--manifest-path", crate / "Cargo.toml"]
    attempt(command, "cargo can't build it", PYO3_PYTHON=sys.executable, PYO3_BUILD_EXTENSION_MODULE="1")
    folder = options.folder / "pyo3"
    folder.mkdir(exist_ok=True)
    names = [form.format(options.module) for form in ("lib{}.so", "lib{}.dylib", "{}.dll")]
    built = [target / "release" / name for name in names]
    found = next((path for path in built if path.exists()), None)
    if not found:
        raise Skipped(f"cargo left no library in {target / 'release'}")
    shutil.copy(found, folder / f"{options.module}{'.pyd' if found.suffix == '.dll' else '.so'}")
    release = re.search(r'name = "pyo3"\nversion = "(.+)"', (crate / "Cargo.lock").read_text(encoding="utf-8"))
    return place(folder, {"pyo3": release[1]})


def build_counter(options):
    if sys.implementation.name != "cpython":
        raise Skipped("what a JIT compiler makes differs from run to run")
    if not shutil.which("valgrind"):
        raise Skipped("there is no valgrind")
    return str(setuptools(options, options.folder / "counter", sys.executable, "counter"))


def setuptools(options, folder, python, variant, *arguments, **variables):
    """Runs setup.py for a variant; gives the folder with the binary. Only nanobind's takes long enough to keep."""
    if variant != "nanobind" and folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    command = [python, "setup.py", "--quiet", *arguments, "egg_info", "--egg-base", folder]
    command += ["build", "--build-base", folder / "build", "--build-lib", folder / "lib"]
    variables.update(BENCH_VARIANT=variant, BENCH_MODULE=options.module, BENCH_SOURCES=options.sources)
    attempt(command, "it does not compile", must=variant in OURS, **variables)
    # HPy 0.9.0 adds the ABI to the folder's name.
    return next(path for path in (folder / "lib", folder / "lib-hpy-universal") if path.exists())


def attempt(command, problem, must=False, **variables):
    """Runs a command; if it fails, the variant is skipped, unless it must not fail."""
    try:
        output(command, **variables)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        if must:
            sys.exit(f"{' '.join(map(str, command))}:\n{said}")
        lines = [line.strip() for line in said.splitlines() if "error" in line.lower()] or said.splitlines()
        raise Skipped(f"{problem}: {lines[0] if lines else error}") from None


def output(command, **variables):
    variables = {name: str(value) for name, value in variables.items()}
    command = list(map(str, command))
    run = subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8", cwd=HERE, env={**os.environ, **variables}
    )
    return run.stdout


def place(folder, versions):
    return {"folder": str(folder), "versions": versions}


def compilers():
    """The first line that each says of itself."""
    found = {}
    for name in (os.environ.get("CC", "cc"), os.environ.get("CXX", "c++"), "rustc"):
        try:
            found[name] = output([name, "--version"]).splitlines()[0]
        except (OSError, subprocess.CalledProcessError, IndexError):
            continue
    return found


BUILDERS = {
    "capi": build_capi,
    "abi3": build_abi3,
    "cpython": build_cpython,
    "universal": build_universal,
    "reference": build_reference,
    "nanobind": build_nanobind,
    "pyo3": build_pyo3,
}


if __name__ == "__main__":
    main()
