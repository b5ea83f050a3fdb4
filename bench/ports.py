"""Builds the ports in ports/, times them against their originals, and writes what came out as JSON.

`cargo xtask bench ports` calls this. Each README of a port has its tables, which `--document` writes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import machine
import measure
from document import code, replaced, table, time_cells
from operations import Operation
from summary import geomean
from variants import VARIANTS as KNOWN, Variant, load

PORTS = Path(__file__).parent.parent / "ports"
PICONUMPY = PORTS / "piconumpy"

VARIANTS = [variant for variant in KNOWN if variant.name in ("capi", "cpython", "universal")]
VARIANTS.append(Variant("numpy", "numpy", "numpy"))


def on_array(name, label, statement, size, unroll=10):
    """An operation on arrays `a` and `b` of a size; `np` is the module."""
    values = f"[index * 0.25 for index in range({size})]"
    variables = {"np": "ops", "values": values, "a": f"ops.array({values})", "b": f"ops.array({values})"}
    return Operation(name, label, "", variables, statement, "len(a) == len(values)", unroll)


OPERATIONS = [
    Operation(
        "simulation",
        "simulation, a step",
        "",
        {"np": "ops", "step": "__import__('cart_pole').step", "state": "ops.array([0.0, 0.0, 0.2, 0.0])"},
        "step(np, state, 10.0, 0.01)",
        "len(step(np, state, 10.0, 0.01)) == 4",
        5,
    ),
    on_array("from_list", "np.array(list of 4)", "np.array(values)", 4),
    on_array("empty", "np.empty(4)", "np.empty(4)", 4),
    on_array("add", "a + b, of 4", "a + b", 4),
    on_array("scale", "a * 2.5, of 4", "a * 2.5", 4),
    on_array("get", "a[1]", "a[1]", 4),
    on_array("set", "a[1] = 2.5", "a[1] = 2.5", 4),
    on_array("slice", "a[1:3]", "a[1:3]", 4),
    on_array("length", "len(a)", "len(a)", 4),
    on_array("sin", "np.sin(0.5)", "np.sin(0.5)", 4),
    on_array("iterate", "sum(a), of 100", "sum(a)", 100, 5),
    on_array("tolist", "a.tolist(), of 100", "a.tolist()", 100, 5),
    # With many more items, it is the system's allocator that is measured.
    on_array("add_many", "a + b, of 100", "a + b", 100),
    on_array("exp_many", "np.exp(a), of 100", "np.exp(a)", 100),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="the file to write")
    parser.add_argument("--folder", type=Path, required=True, help="where what is built for this Python goes")
    parser.add_argument("--shared", type=Path, required=True, help="where goes what is the same for every Python")
    parser.add_argument("--universal-python", required=True, help="a Python with hpy, for the universal binary")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--document", action="store_true", help="write the tables into the READMEs of the ports")
    options = parser.parse_args()
    sys.path.insert(0, str(PICONUMPY / "bench"))
    modules = piconumpy(options)
    result = {"python": machine.python(), "rounds": options.rounds, "variants": list(modules), "operations": []}
    for operation in OPERATIONS:
        measure.progress(operation.label)
        times = measure.measure(operation, modules, options.rounds, {})
        result["operations"].append({"name": operation.name, "label": operation.label, "times": times})
    measure.progress("")
    options.output.write_text(json.dumps(result, indent=1), encoding="utf-8")
    show(result)
    if options.document:
        readme = PICONUMPY / "README.md"
        prefix = "pypy" if sys.implementation.name == "pypy" else f"cp{sys.version_info[0]}{sys.version_info[1]}"
        readme.write_text(replaced(readme.read_text(encoding="utf-8"), prefix, markdown(result)), encoding="utf-8")
        print(f"written: {readme}")


def build(port, folder, python, *options):
    """Builds a copy of a package in a folder, which it gives."""
    print(f"  building {folder.name}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(port, folder, ignore=shutil.ignore_patterns("build", "*.egg-info", "*.so"))
    script = ["setup.py"] if (folder / "setup.py").exists() else ["-c", "import setuptools; setuptools.setup()"]
    command = [python, *script, "--quiet", *options, "build_ext", "--inplace"]
    run = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
    if run.returncode != 0:
        sys.exit(f"{folder} can't be built:\n{run.stdout}{run.stderr}")
    return folder


def piconumpy(options):
    twin = build(PICONUMPY / "twin", options.folder / "piconumpy-capi", sys.executable)
    universal = build(PICONUMPY, options.shared / "piconumpy", options.universal_python, "--hpy-abi=universal")
    modules = {
        "capi": load("capi", twin, name="piconumpy_capi"),
        "universal": load("universal", universal, name="piconumpy"),
    }
    if sys.implementation.name == "cpython":
        folder = build(PICONUMPY, options.folder / "piconumpy-cpython", sys.executable, "--hpy-abi=cpython")
        modules["cpython"] = load("cpython", folder, name="piconumpy")
    numpy = find_numpy(options.folder / "numpy")
    if numpy:
        modules["numpy"] = numpy
    return {variant.name: modules[variant.name] for variant in VARIANTS if variant.name in modules}


def find_numpy(folder):
    """numpy from the package registry, for scale; None without one for this Python."""
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--only-binary=:all:"]
        environment = {**os.environ, "PIP_NO_INPUT": "1"}
        run = subprocess.run([*command, "--target", str(folder), "numpy"], env=environment, capture_output=True)
        if run.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            print("  numpy can't be had, and is left out")
            return None
    sys.path.append(str(folder))
    import numpy

    return numpy


def variants_of(result):
    return [variant for variant in VARIANTS[1:] if variant.name in result["variants"]]


def show(result):
    variants = variants_of(result)
    print(f"\n{result['python']['name']}: piconumpy; ratio of medians to the C API, and of minima\n")
    print(f"{'':<26}{'C API':>12}" + "".join(f"{variant.short:>18}" for variant in variants))
    for each in result["operations"]:
        base, *cells = time_cells(each, variants)
        print(f"{each['label']:<26}{base:>12}" + "".join(f"{cell:>18}" for cell in cells))
    print(f"{'geometric mean':<38}" + "".join(f"{geomean(result, variant.name):>18.2f}" for variant in variants))


def markdown(result):
    variants = variants_of(result)
    rows = [[code(each["label"]), *time_cells(each, variants)] for each in result["operations"]]
    rows.append(["geometric mean", "", *(f"{geomean(result, variant.name):.2f}" for variant in variants)])
    return table([result["python"]["name"], "C API", *(variant.label for variant in variants)], rows)


if __name__ == "__main__":
    main()
