"""Turns the GIL of a free-threaded CPython on, for an extension that does not say that it needs none.

Only CPython's own import of an extension module can do that, and a binary that a stub file loads is none. So a module of the
runtime's is imported in its place, in which nothing is but that it does not say so either.
"""

import sys
import warnings
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location

NAME = "_hpy_uses_gil"


def turn_on(name):
    """Turn the GIL on to load the module of this name, and warn of it."""
    from hpy import universal

    was_on = sys._is_gil_enabled()
    # CPython would name the module that it sees.
    warnings.filterwarnings("ignore", message=f".*'{NAME}'", category=RuntimeWarning)
    loader = ExtensionFileLoader(NAME, universal.__file__)
    module_from_spec(spec_from_file_location(NAME, universal.__file__, loader=loader))
    if not was_on and sys._is_gil_enabled():
        # It starts as CPython's does, so that filters know it.
        warnings.warn(
            f"The global interpreter lock (GIL) has been enabled to load module '{name}', an HPy extension that does not "
            "define HPY_MOD_GIL_NOT_USED. PYTHON_GIL=0 or -X gil=0 keeps the GIL off, at your own risk.",
            RuntimeWarning,
            stacklevel=2,
        )
