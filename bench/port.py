"""What the benchmarks of all ports need: building them, peers from the package registry, and tables."""

import importlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from document import code, table, time_cells
from summary import geomean
from variants import Variant

PORTS = Path(__file__).parent.parent / "ports"


@dataclass(frozen=True)
class Port:
    """A package in ports/ with its original, which is the variant `capi` and comes first."""

    name: str
    variants: list[Variant]
    operations: list
    # Builds and loads the variants, as far as there are such for this Python: their modules by their names.
    modules: Callable

    @property
    def readme(self):
        return PORTS / self.name / "README.md"


def build(port, folder, python, *options, inside=".", **environment):
    """Builds a copy of a port in a folder: the package there, or one that lies inside. Gives the package's folder."""
    print(f"  building {folder.name}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(port, folder, ignore=shutil.ignore_patterns("build", "*.egg-info", "*.so"))
    folder = folder / inside
    script = ["setup.py"] if (folder / "setup.py").exists() else ["-c", "import setuptools; setuptools.setup()"]
    command = [python, *script, "--quiet", *options, "build_ext", "--inplace"]
    run = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, encoding="utf-8", errors="replace"
    )
    if run.returncode != 0:
        sys.exit(f"{folder} can't be built:\n{run.stdout}{run.stderr}")
    return folder


def from_registry(requirement, folder, module):
    """A peer from the package registry, for scale; None without one for this Python."""
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--only-binary=:all:"]
        environment = {**os.environ, "PIP_NO_INPUT": "1"}
        run = subprocess.run([*command, "--target", str(folder), requirement], env=environment, capture_output=True)
        if run.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            print(f"  {requirement} can't be had, and is left out")
            return None
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(str(folder))


def in_result(port, result):
    """The variants that were measured, but for the original."""
    return [variant for variant in port.variants[1:] if variant.name in result["variants"]]


def means(port, result):
    """For each group of operations, what its mean is called, and the means of the variants."""
    groups = dict.fromkeys(each["group"] for each in result["operations"])
    for group in groups:
        chosen = {**result, "operations": [each for each in result["operations"] if each["group"] == group]}
        label = f"geometric mean of {group}" if group else "geometric mean"
        yield label, [geomean(chosen, variant.name) for variant in in_result(port, result)]


def show(port, result):
    variants = in_result(port, result)
    print(f"\n{result['python']['name']}: {port.name}; ratio of medians to the C API, and of minima\n")
    print(f"{'':<26}{'C API':>14}" + "".join(f"{variant.short:>18}" for variant in variants))
    for each in result["operations"]:
        base, *cells = time_cells(each, variants)
        print(f"{each['label']:<26}{base:>14}" + "".join(f"{cell:>18}" for cell in cells))
    for label, values in means(port, result):
        print(f"{label:<40}" + "".join(f"{value:>18.2f}" for value in values))


def markdown(port, result):
    variants = in_result(port, result)
    rows = [[code(each["label"]), *time_cells(each, variants)] for each in result["operations"]]
    rows += [[label, "", *(f"{value:.2f}" for value in values)] for label, values in means(port, result)]
    return table([result["python"]["name"], "C API", *(variant.label for variant in variants)], rows)
