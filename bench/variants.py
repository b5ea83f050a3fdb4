"""The variants of the module `ops`, and how each is loaded: all into one process, under the same name."""

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from importlib.machinery import ExtensionFileLoader
from pathlib import Path


@dataclass(frozen=True)
class Variant:
    name: str
    label: str
    # Short enough for the head of a column.
    short: str


# The first is what the others are measured by.
VARIANTS = [
    Variant("capi", "C API", "C API"),
    Variant("abi3", "C API, abi3", "abi3"),
    Variant("cpython", "HPy, CPython ABI", "HPy cpy"),
    Variant("universal", "HPy, universal", "HPy univ"),
    Variant("reference", "HPy 0.9.0, universal", "HPy 0.9"),
    Variant("nanobind", "nanobind", "nanobind"),
    Variant("pyo3", "PyO3", "PyO3"),
]
BASE = VARIANTS[0]
# These have to build, load and work. The others are peers, which are left out if they don't.
OURS = ("capi", "cpython", "universal")


def find_binary(folder, name="ops"):
    """The binary of a module in a folder."""
    found = [path for path in sorted(Path(folder).glob(f"{name}.*")) if path.suffix in (".so", ".pyd")]
    if len(found) != 1:
        raise FileNotFoundError(f"{len(found)} binaries of {name} in {folder}")
    return found[0]


def load(variant, folder, runtime=None, name="ops"):
    """Loads a variant's module from its folder. Nothing is put into sys.modules.

    runtime is the path of another hpy.universal, for the variant that has one of its own.
    """
    path = find_binary(folder, name)
    if variant not in ("universal", "reference"):
        return load_extension(name, path)
    if runtime:
        loader = load_extension("universal", runtime)
    else:
        import hpy.universal as loader
    return load_with(loader, path, os.environ, name)


def load_with(runtime, path, environment, name="ops"):
    """Loads a universal binary with a runtime, in the mode that the environment says."""
    spec = importlib.util.spec_from_file_location(name, path, loader=ExtensionFileLoader(name, str(path)))
    return runtime._load_bootstrap(name, name, None, str(path), spec.loader, spec, environment)


def load_in_mode(plan, mode, folder):
    """The universal binary in a mode of ours, and that of 0.9.0 in its own, if it is there, by their variants' names.

    A file has one mode in a process, so these are copies of their own, in the folder.
    """
    import hpy.universal

    environment = {"HPY": mode}
    places = plan["variants"]
    runtimes = {"universal": hpy.universal}
    if "reference" in places:
        runtimes["reference"] = load_extension("universal", places["reference"]["runtime"])
    modules = {}
    for variant, runtime in runtimes.items():
        own = Path(folder) / variant
        own.mkdir()
        binary = shutil.copy(find_binary(places[variant]["folder"]), own)
        modules[mode if variant == "universal" else f"{variant}_{mode}"] = load_with(runtime, binary, environment)
    return modules


def load_extension(name, path):
    """Loads a module of the old kind."""
    spec = importlib.util.spec_from_file_location(name, path, loader=ExtensionFileLoader(name, str(path)))
    before = sys.modules.get(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Modules of the old kind register themselves.
    if before is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = before
    return module
