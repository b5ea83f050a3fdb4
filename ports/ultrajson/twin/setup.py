"""Builds ujson itself, library and binding to the C API, with the flags of the port. For comparison only."""

import sys
from pathlib import Path

from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import library

source = library.fetch("build")
extension = Extension("ujson", sources=[], extra_compile_args=["-O3"], language="c++")
library.add_sources(extension, source, source / "src" / "ujson" / "python")
setup(name="ujson-capi", packages=[], py_modules=[], ext_modules=[extension])
