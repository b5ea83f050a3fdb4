"""Turns the GIL of a free-threaded CPython on, for an extension that does not say that it needs none."""

from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location


def turn_on(name):
    """Turn the GIL on to load the module of this name. CPython warns, unless it is on already or the user has decided on it.

    Only CPython's own import of an extension module can do that, and a binary that a stub file loads is none. So a module of the
    runtime's, in which nothing is but that it does not say so either, is imported in its place. Its name is what the warning tells.
    """
    from hpy import universal

    stand_in = f"{name}._loaded_by_hpy"
    loader = ExtensionFileLoader(stand_in, universal.__file__)
    module_from_spec(spec_from_file_location(stand_in, universal.__file__, loader=loader))
