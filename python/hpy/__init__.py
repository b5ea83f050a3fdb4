"""HPy: a better C API for Python.

`hpy.universal` is the runtime, which loads universal and hybrid binaries; `hpy.devel` builds them.
"""
