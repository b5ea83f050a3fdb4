"""Extensions that stand in pyproject.toml, for projects without a setup.py:

    [tool.hpy]
    abi = "universal"

    [[tool.hpy.ext-modules]]
    name = "mypackage.mymodule"
    sources = ["mymodule.c"]

Each has the parameters of setuptools.Extension, with dashes or underscores.
"""

import inspect
from pathlib import Path

import setuptools
from setuptools.errors import SetupError

_PARAMETERS = {
    name for cls in setuptools.Extension.__mro__[:-1] for name in inspect.signature(cls.__init__).parameters
} - {"self", "args", "kw"}


def add_extensions(dist):
    """Called by setuptools for every distribution in an environment with hpy."""
    path = Path("pyproject.toml")
    if getattr(dist, "_hpy_pyproject", False) or not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    # Most projects have nothing to do with hpy.
    if "tool" not in text or "hpy" not in text:
        return
    dist._hpy_pyproject = True
    table = _parse(text, path).get("tool", {}).get("hpy")
    if table is None:
        return
    if not isinstance(table, dict):
        raise SetupError(f"{path}: tool.hpy has to be a table")
    unknown = sorted(table.keys() - {"abi", "ext-modules"})
    if unknown:
        raise SetupError(f"{path}: unknown key {unknown[0]!r} in [tool.hpy]; there are 'abi' and 'ext-modules'")
    tables = table.get("ext-modules", [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise SetupError(f"{path}: tool.hpy.ext-modules has to be an array of tables: [[tool.hpy.ext-modules]]")
    extensions = [_extension(path, each) for each in tables]
    if extensions:
        dist.hpy_ext_modules = [*(getattr(dist, "hpy_ext_modules", None) or []), *extensions]
    if "abi" in table:
        # An option of the command line or of setup.cfg is read later, and wins.
        dist.hpy_abi = table["abi"]


# Before setuptools looks at the keywords of setup(), of which this is one.
add_extensions.order = -100


def has_requirements():
    """Whether the project in the current folder says what it needs to be built."""
    path = Path("pyproject.toml")
    if not path.is_file():
        return False
    table = _parse(path.read_text(encoding="utf-8"), path).get("build-system")
    return isinstance(table, dict) and "requires" in table


def _parse(text, path):
    try:
        import tomllib
    except ModuleNotFoundError:  # before Python 3.11
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path}: {error}") from None


def _extension(path, table):
    name = table.get("name")
    what = f"extension {name!r}" if name else "an extension of tool.hpy.ext-modules"
    values = {key.replace("-", "_"): value for key, value in table.items()}
    for key in ("name", "sources"):
        if key not in values:
            raise SetupError(f"{path}: {what} has no {key!r}")
    unknown = sorted(values.keys() - _PARAMETERS)
    if unknown:
        raise SetupError(f"{path}: {what} has an unknown key {unknown[0].replace('_', '-')!r}")
    for key in ("define_macros", "undef_macros"):
        if key in values:
            values[key] = [tuple(each) if isinstance(each, list) else each for each in values[key]]
    if "define_macros" in values:
        # TOML has no None: a macro without a value is an array of one.
        values["define_macros"] = [(each + (None,))[:2] for each in values["define_macros"]]
    return setuptools.Extension(**values)
