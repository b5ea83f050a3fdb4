"""HPy: a better C API for Python.

`hpy.universal` is the runtime, which loads universal and hybrid binaries; `hpy.devel` builds them.
"""

import sys

if sys.implementation.name == "pypy":
    # PyPy has a runtime of its own, in a folder of its library that a package of this name would hide.
    from pkgutil import extend_path

    __path__ = extend_path(__path__, __name__)
