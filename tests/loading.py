"""Loading a test's binary, also in processes that have no pytest."""

import importlib.util

import hpy.universal


def load(name, path, mode="universal"):
    """Loads a binary without putting it into sys.modules. The mode "cpython" is for those that need no runtime."""
    spec = importlib.util.spec_from_file_location(name, str(path))
    if mode != "cpython":
        return hpy.universal.load(name, str(path), spec, mode=getattr(hpy.universal, f"MODE_{mode.upper()}"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
