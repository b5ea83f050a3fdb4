"""Builds the module ujson: the C library of the distribution ujson, as it is, and the binding in src/."""

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import ExecError

# Not so by itself, when pip runs this file.
sys.path.insert(0, str(Path(__file__).parent))
import library


class BuildWithLibrary(build_ext):
    """Gets the library when it is needed. It is no part of this package, nor of its source distribution."""

    def build_extension(self, ext):
        try:
            source = library.fetch(Path(self.build_temp).parent)
        except library.CantFetch as error:
            raise ExecError(str(error)) from None
        library.add_sources(ext, source)
        super().build_extension(ext)


setup(
    cmdclass={"build_ext": BuildWithLibrary},
    hpy_ext_modules=[
        Extension(
            "ujson",
            sources=["src/ujson.c", "src/encoder.c", "src/decoder.c"],
            depends=["src/binding.h"],
            extra_compile_args=["-O3"],
            language="c++",
        )
    ],
)
