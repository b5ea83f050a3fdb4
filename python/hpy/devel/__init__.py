"""Building HPy extensions with setuptools.

In setup.py:

    from setuptools import Extension, setup

    setup(name="mypackage", hpy_ext_modules=[Extension("mypackage.mymodule", sources=["mymodule.c"])])

and in pyproject.toml `requires = ["setuptools>=68", "hpy"]` below [build-system]. The option --hpy-abi, before the command
(`python setup.py --hpy-abi=universal bdist_wheel`), chooses the ABI. Without a setup.py, see hpy.devel.pyproject.
"""

import contextlib
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
from distutils.command.build_ext import build_ext as _distutils_build_ext
from setuptools.errors import ModuleError, SetupError

from . import pyproject, wheel
from .abitag import get_hpy_ext_suffix
from .stub import remove_if_alone, stub

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
        dist.hpydevel = self
        build_ext = dist.get_command_class("build_ext")
        if not issubclass(build_ext, _BuildExt):
            dist.hpy_abi = getattr(dist, "hpy_abi", DEFAULT_HPY_ABI)
            dist.cmdclass["build_ext"] = type(build_ext.__name__, (_BuildExt, *_bases(build_ext)), {})
            mixins = {"build": _Build, "bdist_egg": _BdistEgg, "develop": _Develop, "install_lib": _InstallLib}
            for name, mixin in mixins.items():
                try:
                    command = dist.get_command_class(name)
                except ModuleError:
                    # Old commands leave setuptools one by one.
                    continue
                dist.cmdclass[name] = type(command.__name__, (mixin, command), {})
            wheel.extend_commands(dist)
        # Again at each call: setuptools may have replaced the list by that of a configuration file.
        _join_extensions(dist)


def _join_extensions(dist, known=()):
    """Puts HPy extensions among those that setuptools builds, but for the known ones: their absence is meant."""
    extensions = dist.ext_modules = _each_once(dist.ext_modules)
    for extension in dist.hpy_ext_modules or []:
        extension._hpy = True
        if extension not in extensions and extension not in known:
            extensions.append(extension)
    return extensions


def _each_once(extensions):
    # There may be tuples of an older kind among them, which can't be hashed.
    return [extension for index, extension in enumerate(extensions or []) if extension not in extensions[:index]]


def _refuse(build_ext):
    raise SetupError(
        f"cmdclass['build_ext'] is {build_ext.__module__}.{build_ext.__qualname__}, which does not inherit "
        "from setuptools.command.build_ext.build_ext; hpy_ext_modules need one that does"
    )


def _bases(build_ext):
    """What a command build_ext for HPy derives from, given the one that a project has chosen."""
    ours = setuptools.command.build_ext.build_ext
    if issubclass(build_ext, ours):
        return (build_ext,)
    if issubclass(ours, build_ext):
        # That of distutils, or of Cython where it is installed.
        return (ours,)
    if issubclass(build_ext, _distutils_build_ext):
        return (build_ext, ours)
    _refuse(build_ext)


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
    (getattr(dist, "hpydevel", None) or HPyDevel()).fix_distribution(dist)


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


class _Develop:
    """For the command `develop`, which older releases of pip run for editable installs."""

    def run(self):
        # From setuptools 80 on it has pip build the project in an environment of its own. Where the project does not say what has to be
        # there, hpy is not: setuptools would pass over hpy_ext_modules, and nothing would be built.
        builds_itself = hasattr(self, "install_for_development")
        if builds_itself or pyproject.has_requirements() or "PIP_NO_BUILD_ISOLATION" in os.environ:
            super().run()
            return
        # pip reads it the other way round: this switches isolation off.
        os.environ["PIP_NO_BUILD_ISOLATION"] = "0"
        try:
            super().run()
        finally:
            del os.environ["PIP_NO_BUILD_ISOLATION"]


class _InstallLib:
    """For the command `install_lib`, which `setup.py install` runs."""

    def install(self):
        installed = super().install()
        build_ext = self.get_finalized_command("build_ext")
        for ext in filter(_has_own_name, build_ext.extensions or []):
            build_ext.make_way_for_stub(os.path.join(self.install_dir, *ext._full_name.split(".")[:-1]), ext)
        return installed


class _BuildExt:
    """For the command `build_ext`. What 0.9 has under these names is for the project's own build_ext, which this one derives from:
    `hpydevel`, `_extensions`, `_finalize_hpy_ext`, and of extensions `hpy_abi` and `_hpy_needs_stub`."""

    def initialize_options(self):
        super().initialize_options()
        self._check_base(hasattr(self, "ext_map"))
        self.hpydevel = self.distribution.hpydevel

    def _check_base(self, is_there):
        if not is_there:
            # The project's command derives from that of distutils, and has called its method and not super().
            _refuse(type(self).__mro__[2])

    @property
    def _extensions(self):
        """What is going to be built: that of the distribution, until a base takes it over."""
        return self.distribution.ext_modules if self.extensions is None else self.extensions

    @_extensions.setter
    def _extensions(self, extensions):
        self.distribution.ext_modules = _each_once(extensions)
        if self.extensions is not None:
            self.extensions = self.distribution.ext_modules

    def finalize_options(self):
        for extension in filter(is_hpy_extension, _join_extensions(self.distribution)):
            self._finalize_hpy_ext(extension)
        self._known = list(self.distribution.hpy_ext_modules or [])
        super().finalize_options()
        self._check_base(all(hasattr(extension, "_full_name") for extension in self.extensions))
        for extension in filter(_has_own_name, self.extensions):
            extension._needs_stub = extension._hpy_needs_stub
            # Set by our base before it could know.
            extension._file_name = self._hpy_file_name(extension._full_name)

    def check_extensions_list(self, extensions):
        super().check_extensions_list(extensions)
        if not self.finalized:
            # Between what a project's finalize_options has done to the lists, and what our base makes of them.
            self.extensions = _join_extensions(self.distribution, self._known)
            for extension in filter(is_hpy_extension, self.extensions):
                self._finalize_hpy_ext(extension)

    def _finalize_hpy_ext(self, extension):
        """Adds to an extension what its ABI needs, unless it has it."""
        if hasattr(extension, "hpy_abi"):
            return
        devel, abi = self.hpydevel, self.distribution.hpy_abi
        if abi not in _ABIS:
            raise SetupError(f"--hpy-abi: unknown HPy ABI {abi!r}; choose one of {', '.join(_ABIS)}")
        libraries = devel.get_static_libs(abi)
        if libraries is None and not devel.get_extra_sources():
            raise SetupError(
                f"this installation of hpy has no library for the HPy ABI {abi!r} in {devel.base_dir / 'lib'}, which "
                f"extension {extension.name!r} has to be linked with; install hpy again"
            )
        extension._hpy = True
        extension.hpy_abi = abi
        extension._hpy_needs_stub = abi != "cpython"
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

    def _find(self, name):
        """The extension of a full name, or else of the last part of one, if its binary has a name of ours."""
        found = [ext for ext in self.extensions if ext._full_name == name]
        found = found or [ext for ext in self.extensions if ext._full_name.rpartition(".")[2] == name]
        return next(filter(_has_own_name, found), None)

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

    # Our base has stubs, too, of another kind and with other ideas of where they lie.

    @contextlib.contextmanager
    def _no_stubs_of_ours(self):
        ours = [ext for ext in filter(_has_own_name, self.extensions) if ext._needs_stub]
        for ext in ours:
            ext._needs_stub = False
        try:
            yield ours
        finally:
            for ext in ours:
                ext._needs_stub = True

    def write_stub(self, output_dir, ext, compile=False):
        if not _has_own_name(ext):
            super().write_stub(output_dir, ext, compile)
            return
        self._write_hpy_stub(os.path.join(output_dir, *ext._full_name.split(".")) + ".py", ext)

    def copy_extensions_to_source(self):
        with self._no_stubs_of_ours():
            super().copy_extensions_to_source()

    def get_outputs(self):
        if self.inplace:
            return super().get_outputs()  # from the next method
        with self._no_stubs_of_ours() as ours:
            outputs = super().get_outputs()
        return sorted([*outputs, *(os.path.join(self.build_lib, *ext._full_name.split(".")) + ".py" for ext in ours)])

    def get_output_mapping(self):
        with self._no_stubs_of_ours() as ours:
            mapping = super().get_output_mapping()
        if self.inplace:
            build_py = self.get_finalized_command("build_py")
            for ext in filter(is_hpy_extension, self.extensions):
                placed, built = self._get_inplace_equivalent(build_py, ext)
                if ext.optional and not os.path.exists(placed):
                    mapping.pop(built, None)
                elif ext in ours:
                    mapping[self._get_equivalent_stub(ext, built)] = self._get_equivalent_stub(ext, placed)
        return mapping

    def run(self):
        super().run()
        build_py = self.get_finalized_command("build_py")
        for ext in filter(is_hpy_extension, self.extensions):
            placed, built = self._get_inplace_equivalent(build_py, ext)
            self._settle_stub(ext, built)
            if self.inplace:
                self._settle_stub(ext, placed)
                if _has_own_name(ext):
                    self.make_way_for_stub(os.path.dirname(placed), ext)

    def _settle_stub(self, ext, binary):
        """Writes the stub beside a binary that needs one. Without a binary there is none: an optional extension may have failed, and
        the stub be there from another time, or copied from the source tree by build_py."""
        path = self._get_equivalent_stub(ext, binary)
        if ext._needs_stub and os.path.exists(binary):
            self._write_hpy_stub(path, ext)
        else:
            remove_if_alone(path)

    def make_way_for_stub(self, folder, ext):
        """Removes from a folder what was built of the same module in the CPython ABI: Python would import it instead of the stub
        and its binary, if they are there."""
        name = ext._full_name.split(".")[-1] + get_config_var("EXT_SUFFIX")
        stale = os.path.join(folder, name)
        if os.path.exists(stale) and os.path.exists(os.path.join(folder, os.path.basename(ext._file_name))):
            logger.info("removing %s, which would be imported instead of the binary of the %s ABI", stale, ext.hpy_abi)
            os.remove(stale)

    def _write_hpy_stub(self, path, ext):
        text = stub(os.path.basename(ext._file_name))
        path = Path(path)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
        logger.info("writing HPy stub loader for %s to %s", ext._full_name, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
