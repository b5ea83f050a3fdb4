"""Names of binaries: which HPy ABI, and for hybrid ones which Python, they are for."""

import sysconfig

# The same numbers stand in hpy.h and in the runtime.
HPY_ABI_VERSION = 0
HPY_ABI_VERSION_MINOR = 0
HPY_ABI_TAG = f"hpy{HPY_ABI_VERSION}"

# How many dashed parts of an interpreter's tag are about its ABI; the others are about the platform.
_ABI_PARTS = {"cpython": 2, "cp": 1, "pypy": 2, "graalpy": 3}


def parse_ext_suffix(ext_suffix=None):
    """Split a suffix of extension modules into the interpreter's ABI tag and the file name extension.

    >>> parse_ext_suffix('.cpython-310-x86_64-linux-gnu.so')
    ('cp310', 'so')

    Without an argument, the suffix of the running interpreter is taken.
    """
    if ext_suffix is None:
        ext_suffix = sysconfig.get_config_var("EXT_SUFFIX")
    try:
        empty, tag, extension = ext_suffix.split(".")
        if empty:
            raise ValueError
    except ValueError:
        raise ValueError(f"{ext_suffix!r} is not a suffix such as '.cpython-310-x86_64-linux-gnu.so'") from None
    parts = tag.split("-")
    count = next((count for name, count in _ABI_PARTS.items() if parts[0].startswith(name)), len(parts))
    # As in the names of wheels, and as on Windows anyway.
    return "-".join(parts[:count]).replace("cpython-", "cp"), extension


def get_hpy_ext_suffix(hpy_abi, ext_suffix=None):
    """The suffix of extension modules of an ABI: 'universal' gives '.hpy0.so', 'hybrid' '.hpy0-cp310.so', and 'cpython'
    the interpreter's own."""
    if hpy_abi == "cpython":
        return ext_suffix or sysconfig.get_config_var("EXT_SUFFIX")
    tag, extension = parse_ext_suffix(ext_suffix)
    if hpy_abi == "universal":
        return f".{HPY_ABI_TAG}.{extension}"
    if hpy_abi == "hybrid":
        return f".{HPY_ABI_TAG}-{tag}.{extension}"
    raise ValueError(f"unknown HPy ABI {hpy_abi!r}: expected 'cpython', 'universal' or 'hybrid'")
