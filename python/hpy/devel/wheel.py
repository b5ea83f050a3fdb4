"""Wheels: one for every Python, if all extensions of a package are universal.

Such a wheel has the tag py3-none-PLATFORM. Each module in it is one binary and a stub: `mod.so` (`mod.pyd` on Windows), which
CPython imports as it is, whatever its version, with and without the GIL; and `mod.py` for implementations that take no such file
for a module, as PyPy, and load it with their own runtime. Where both are there, CPython prefers the binary.

`mod.hpy0.so`, as `build_ext --inplace` names it, needs the stub everywhere. `mod.abi3.so` is not taken by a CPython without the
GIL, and its like with the tag of a version only by that version.
"""

import logging
import re
import sys

RUNTIME = "hpy"
# The first release whose runtime knows binaries that are imported without a stub. PyPy has its own.
REQUIREMENT = "hpy>=0.10; platform_python_implementation == 'CPython'"

logger = logging.getLogger(__name__)


def extend_commands(dist):
    """Lets the commands that make wheels and metadata know."""
    for name, mixin in (("bdist_wheel", _BdistWheel), ("egg_info", _EggInfo)):
        try:
            command = dist.get_command_class(name)
        except Exception as error:  # of setuptools or of distutils, depending on the release
            if name != "bdist_wheel" or "invalid command" not in str(error):
                raise
            # An old setuptools without the package wheel.
            continue
        dist.cmdclass[name] = type(command.__name__, (mixin, command), {})


def is_for_every_python(dist):
    """Whether nothing in a distribution is bound to a version of Python."""
    ours = {id(extension) for extension in dist.hpy_ext_modules or []}
    # One without a name only makes setuptools run build_ext, which will know better.
    others = [ext for ext in dist.ext_modules or [] if id(ext) not in ours and getattr(ext, "name", True)]
    return bool(ours) and not others and not getattr(dist, "rust_extensions", None) and dist.hpy_abi == "universal"


def is_being_made(dist):
    """Whether such a wheel is what is built for. Not so if it only points to binaries that are built in place."""
    made = "bdist_wheel" in dist.command_obj and "editable_wheel" not in dist.commands
    return made and is_for_every_python(dist)


def suffix(dist):
    """What the names of binaries end in, in the wheel that is being made; None if they have their usual names."""
    if not is_being_made(dist):
        return None
    return ".pyd" if sys.platform == "win32" else ".so"


class _BdistWheel:
    """For the command `bdist_wheel`."""

    def get_tag(self):
        python, abi, platform = super().get_tag()
        if is_for_every_python(self.distribution):
            python, abi = "py3", "none"
        return python, abi, platform


class _EggInfo:
    """For the command `egg_info`, which writes the metadata of wheels, too."""

    def finalize_options(self):
        _require_runtime(self.distribution)
        super().finalize_options()


def _require_runtime(dist):
    """Makes a distribution of universal extensions depend on the runtime, unless its author has said so."""
    if not is_for_every_python(dist):
        return
    for each in map(str, dist.install_requires or []):
        name, specifiers = re.match(r"\s*([A-Za-z0-9._-]*)([^;]*)", each).groups()
        if name.lower() != RUNTIME:
            continue
        if re.search(r"==|~=", specifiers):
            logger.warning(
                "the dependency %r binds a wheel for every Python to some releases of the runtime; a lower bound is all it "
                "needs: 'hpy>=0.10'",
                each,
            )
        return
    dist.install_requires = [*(dist.install_requires or []), REQUIREMENT]
    # Where it goes from there differs between the releases of setuptools; this is how it tells itself.
    dist._finalize_requires()
