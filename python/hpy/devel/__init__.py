"""Building HPy extensions with setuptools.

In setup.py:

    from setuptools import Extension, setup

    setup(name="mypackage", hpy_ext_modules=[Extension("mypackage.mymodule", sources=["mymodule.c"])])

and in pyproject.toml `requires = ["setuptools>=68", "hpy"]` below [build-system]. The option --hpy-abi, before the command
(`python setup.py --hpy-abi=universal bdist_wheel`), chooses the ABI. Without a setup.py, see hpy.devel.pyproject.
"""

import logging
import os
import sys
from pathlib import Path
from sysconfig import get_config_var

# Before distutils' own: setuptools brings its version of it.
import setuptools.command.bdist_egg
import setuptools.command.build
import setuptools.command.build_ext
import setuptools.command.install_lib
from setuptools.errors import SetupError

from . import wheel
from .abitag import get_hpy_ext_suffix
from .stub import stub

DEFAULT_HPY_ABI = "cpython" if sys.implementation.name == "cpython" else "universal"

_ABIS = ("cpython", "universal", "hybrid")

logger = logging.getLogger(__name__)


class HPyDevel:
    """Where headers and libraries lie, and how setuptools is told to use them."""

    def __init__(self, base_dir=Path(__file__).parent):
        self.base_dir = Path(base_dir)
        self.include_dir = self.base_dir / "include"

    def get_extra_include_dirs(self):
        """Folders that every HPy extension needs on its include path."""
        return [str(self.include_dir)]

    def get_include_dir_forbid_python_h(self):
        """A folder to put first on the include path of universal builds: its Python.h is an error."""
        return self.include_dir / "hpy" / "forbid_python_h"

    def get_extra_sources(self):
        """C files to compile into every extension. There are none: what they held is in the static libraries."""
        return []

    def get_ctx_sources(self):
        """C files to compile into extensions of the CPython ABI. There are none."""
        return []

    def get_static_libs(self, hpy_abi):
        """The static libraries that an extension of an ABI is linked with, or None if there are none for it."""
        folder = self.base_dir / "lib" / hpy_abi
        libraries = sorted(str(path) for path in folder.glob("*") if path.is_file())
        return libraries or None

    def fix_distribution(self, dist):
        """Makes a distribution build its `hpy_ext_modules`: they join its other extensions, and its commands learn how."""
        if getattr(dist, "hpydevel", None) is None:
            dist.hpydevel = self
            dist.hpy_abi = getattr(dist, "hpy_abi", DEFAULT_HPY_ABI)
            mixins = {"build": _Build, "build_ext": _BuildExt, "bdist_egg": _BdistEgg, "install_lib": _InstallLib}
            for name, mixin in mixins.items():
                command = dist.get_command_class(name)
                if name == "build_ext" and not issubclass(command, setuptools.command.build_ext.build_ext):
                    raise SetupError(
                        f"cmdclass['build_ext'] is {command.__module__}.{command.__qualname__}, which does not inherit "
                        "from setuptools.command.build_ext.build_ext; hpy_ext_modules need one that does"
                    )
                dist.cmdclass[name] = type(command.__name__, (mixin, command), {})
            wheel.extend_commands(dist)
        # Again at each call: setuptools may have replaced the list by that of a configuration file.
        extensions = list(dist.ext_modules or [])
        for extension in dist.hpy_ext_modules or []:
            extension._hpy = True
            if extension not in extensions:
                extensions.append(extension)
        dist.ext_modules = extensions


def handle_hpy_ext_modules(dist, attr, hpy_ext_modules):
    """Called by setuptools for the keyword `hpy_ext_modules` of setup()."""
    if not all(isinstance(extension, setuptools.Extension) for extension in hpy_ext_modules or []):
        raise SetupError(f"{attr} has to be a list of setuptools.Extension instances")
    if getattr(dist, "hpydevel", None) is None:
        dist.hpy_use_static_libs = True
        dist.global_options = [
            *dist.global_options,
            ("hpy-abi=", None, f"the HPy ABI to build for: {', '.join(_ABIS)} (default: {DEFAULT_HPY_ABI})"),
            ("hpy-use-static-libs", None, "accepted for compatibility: static libraries are always used"),
        ]
    HPyDevel().fix_distribution(dist)


def is_hpy_extension(extension):
    """Whether setuptools got an extension from `hpy_ext_modules`."""
    return getattr(extension, "_hpy", False)


def _has_own_name(extension):
    """Whether an extension's binary is named, and loaded, by HPy and not by CPython."""
    return getattr(extension, "hpy_abi", "cpython") != "cpython"


class _Build:
    """For the command `build`."""

    def finalize_options(self):
        given = self.build_lib is not None
        super().finalize_options()
        abi = self.distribution.hpy_abi
        if abi != "cpython" and not given:
            # Objects and binaries of different ABIs must not be taken for each other.
            # Nor must the files of a wheel, which have names of their own.
            self.build_platlib += f"-hpy-{abi}" + ("-wheel" if wheel.is_being_made(self.distribution) else "")
            self.build_lib = self.build_platlib
            self.build_temp += f"-hpy-{abi}"


class _BdistEgg:
    """For the command `bdist_egg`, which `setup.py install` of older releases of setuptools runs."""

    def finalize_options(self):
        super().finalize_options()
        if self.distribution.hpy_abi != "cpython":
            # A binary can't be loaded out of an archive.
            self.distribution.zip_safe = False

    def get_ext_outputs(self):
        all_outputs, ext_outputs = super().get_ext_outputs()
        if self.distribution.hpy_abi != "cpython":
            # For those that are listed our base writes stubs of its own, over ours.
            suffix = get_hpy_ext_suffix(self.distribution.hpy_abi)
            ext_outputs = [name for name in ext_outputs if not name.endswith(suffix)]
        return all_outputs, ext_outputs


class _InstallLib:
    """For the command `install_lib`, which `setup.py install` runs."""

    def install(self):
        installed = super().install()
        build_ext = self.get_finalized_command("build_ext")
        for ext in filter(_has_own_name, build_ext.extensions or []):
            build_ext.make_way_for_stub(os.path.join(self.install_dir, *ext._full_name.split(".")[:-1]), ext)
        return installed


class _BuildExt:
    """For the command `build_ext`."""

    def finalize_options(self):
        for extension in filter(is_hpy_extension, self.distribution.ext_modules or []):
            if not hasattr(extension, "hpy_abi"):
                self._configure(extension)
        super().finalize_options()
        for extension in filter(_has_own_name, self.extensions):
            extension._needs_stub = True
            # Set by our base before it could know.
            extension._file_name = self._hpy_file_name(extension._full_name)

    def _configure(self, extension):
        """Adds to an extension what its ABI needs."""
        devel, abi = self.distribution.hpydevel, self.distribution.hpy_abi
        if abi not in _ABIS:
            raise SetupError(f"--hpy-abi: unknown HPy ABI {abi!r}; choose one of {', '.join(_ABIS)}")
        libraries = devel.get_static_libs(abi)
        if libraries is None and not devel.get_extra_sources():
            raise SetupError(
                f"this installation of hpy has no library for the HPy ABI {abi!r} in {devel.base_dir / 'lib'}, which "
                f"extension {extension.name!r} has to be linked with; install hpy again"
            )
        extension.hpy_abi = abi
        extension.include_dirs += devel.get_extra_include_dirs()
        extension.define_macros += [("HPY", None), (f"HPY_ABI_{abi.upper()}", None)]
        if libraries is None:
            extension.sources += devel.get_extra_sources()
        else:
            extension.extra_objects += libraries
            extension.depends += libraries
        if abi == "universal":
            extension.include_dirs.insert(0, str(devel.get_include_dir_forbid_python_h()))

    def _hpy_file_name(self, full_name):
        suffix = wheel.suffix(self.distribution) or get_hpy_ext_suffix(self.distribution.hpy_abi)
        return os.path.join(*full_name.split(".")) + suffix

    def _find(self, full_name):
        """The extension of a full name, if its binary has a name of ours."""
        return next((ext for ext in filter(_has_own_name, self.extensions) if ext._full_name == full_name), None)

    def get_ext_filename(self, fullname):
        if self._find(fullname):
            return self._hpy_file_name(fullname)
        return super().get_ext_filename(fullname)

    def get_ext_fullpath(self, ext_name):
        # Our base passes only the last part of the name to get_ext_filename, which may be that of two extensions.
        folder = os.path.dirname(super().get_ext_fullpath(ext_name))
        return os.path.join(folder, os.path.basename(self.get_ext_filename(self.get_ext_fullname(ext_name))))

    def get_export_symbols(self, ext):
        # Only used on Windows. HPy_MODINIT marks what it exports, and there is no PyInit function.
        if _has_own_name(ext):
            return ext.export_symbols
        return super().get_export_symbols(ext)

    def write_stub(self, output_dir, ext, compile=False):
        if not _has_own_name(ext):
            super().write_stub(output_dir, ext, compile)
            return
        self._write_hpy_stub(os.path.join(output_dir, *ext._full_name.split(".")) + ".py", ext)

    def copy_extensions_to_source(self):
        ours = [ext for ext in filter(_has_own_name, self.extensions) if ext._needs_stub]
        for ext in ours:
            # Our base would write a stub of its own kind.
            ext._needs_stub = False
        try:
            super().copy_extensions_to_source()
        finally:
            for ext in ours:
                ext._needs_stub = True
        build_py = self.get_finalized_command("build_py")
        for ext in ours:
            package = ".".join(ext._full_name.split(".")[:-1])
            folder = build_py.get_package_dir(package)
            self._write_hpy_stub(os.path.join(folder, ext._full_name.split(".")[-1] + ".py"), ext)
            self.make_way_for_stub(folder, ext)

    def make_way_for_stub(self, folder, ext):
        """Removes from a folder what was built of the same module in the CPython ABI: Python would import it instead of the stub."""
        name = ext._full_name.split(".")[-1] + get_config_var("EXT_SUFFIX")
        stale = os.path.join(folder, name)
        if os.path.exists(stale):
            logger.info("removing %s, which would be imported instead of the binary of the %s ABI", stale, ext.hpy_abi)
            os.remove(stale)

    def _write_hpy_stub(self, path, ext):
        logger.info("writing HPy stub loader for %s to %s", ext._full_name, path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(stub(os.path.basename(ext._file_name)))
