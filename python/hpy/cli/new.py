"""Makes a package with an HPy extension in C, which builds, passes its tests, and has one wheel for every Python."""

import keyword
import re
import sys
from pathlib import Path

FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools>=68", "hpy>=0.10"]
build-backend = "setuptools.build_meta"

[project]
name = "@DISTRIBUTION@"
version = "0.1.0"
description = "What it does, in a line"
readme = "README.md"
requires-python = ">=3.9"
# PyPy brings a runtime of its own.
dependencies = ["hpy>=0.10; platform_python_implementation == 'CPython'"]

[project.optional-dependencies]
test = ["pytest"]

[tool.setuptools]
packages = ["@NAME@"]
package-dir = { "" = "python" }

[tool.hpy]
abi = "universal"

[[tool.hpy.ext-modules]]
name = "@NAME@._@NAME@"
sources = ["src/@NAME@.c"]

[tool.pytest.ini_options]
testpaths = ["tests"]
""",
    "README.md": """\
# @DISTRIBUTION@

    pip install --editable '.[test]'    # builds the extension in place
    pytest                              # runs the tests
    pytest --hpy-debug                  # in debug mode: finds leaked handles and misuse
    pip wheel --no-deps .               # one wheel, for every Python
""",
    ".gitignore": """\
/build/
/dist/
*.egg-info/
*.whl
*.so
*.pyd
__pycache__/
# Written by the build, beside the binary.
/python/@NAME@/_@NAME@.py
""",
    "python/@NAME@/__init__.py": '''\
"""What it does, in a line."""

from @NAME@._@NAME@ import add

__all__ = ["add"]
''',
    "src/@NAME@.c": """\
/* All that a call changes is its own, so several threads may be in here at once, and where there is no GIL, none is needed.
   Remove this when it is no longer true. */
#define HPY_MOD_GIL_NOT_USED
#include <hpy.h>

/* Called with the arguments and their number. Gives a new handle, which the caller closes, or HPy_NULL after an exception. */
HPyDef_METH(add, "add", HPyFunc_VARARGS, .doc = "add(a, b, /)\\n--\\n\\nReturn the sum of two numbers.")
static HPy add_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
{
    (void)self;
    HPy a, b;
    if (!HPyArg_Parse(ctx, NULL, args, nargs, "OO:add", &a, &b))
        return HPy_NULL;
    return HPy_Add(ctx, a, b);
}

static HPyDef *defines[] = { &add, NULL };

static HPyModuleDef module = {
    .doc = "What it does, in a line.",
    .defines = defines,
};

/* The last part of the module's name. */
HPy_MODINIT(_@NAME@, module)
""",
    "tests/test_@NAME@.py": """\
import pytest
from @NAME@ import add


def test_numbers_are_added():
    assert add(20, 22) == 42
    assert add(0.5, 1) == 1.5


def test_what_can_not_be_added():
    with pytest.raises(TypeError):
        add(1, "2")
    with pytest.raises(TypeError):
        add(1)
""",
}


def add_arguments(parser):
    parser.add_argument("name", metavar="NAME", help="the package's name, such as my-package")
    parser.add_argument("--folder", metavar="FOLDER", type=Path, help="where it goes (default: ./NAME, which must not exist or be empty)")


def run(options):
    folder = options.folder or Path(options.name)
    problem = wrong_with(options.name, folder)
    if problem:
        print(f"hpy new: {problem}", file=sys.stderr)
        return 2
    values = {"@NAME@": module_name(options.name), "@DISTRIBUTION@": options.name}
    try:
        for path, content in FILES.items():
            for mark, value in values.items():
                path, content = path.replace(mark, value), content.replace(mark, value)
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
    except OSError as error:
        print(f"hpy new: {error.filename or folder}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(f"{folder}: a package with the module {values['@NAME@']}. Next:\n\n    cd {folder}\n    pip install --editable '.[test]'\n    pytest")
    return 0


def module_name(name):
    return re.sub(r"[-.]+", "_", name).lower()


def wrong_with(name, folder):
    """Why there can't be such a package; None if there can."""
    module = module_name(name)
    if not re.fullmatch(r"[A-Za-z]([A-Za-z0-9._-]*[A-Za-z0-9])?", name) or not module.isidentifier():
        return f"{name!r} can't be a package's name: it needs letters, digits, '-', '_' and '.', with a letter in front"
    if keyword.iskeyword(module) or module in getattr(sys, "stdlib_module_names", ()):
        return f"{name!r} is taken: Python has a {'word' if keyword.iskeyword(module) else 'module'} {module!r}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return f"{folder} is there already; choose another place with --folder"
    return None
