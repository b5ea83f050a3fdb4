"""The C snippets of tests: made into a module, compiled once, kept by content.

A snippet is the body of a C file. Functions defined with FUNC_NOARGS(name), FUNC_O(name), FUNC_VARARGS(name) and
FUNC_KEYWORDS(name) become functions of the module; a line EXPORT(name) exports a definition made with HPyDef_METH; slots
HPy_mod_exec and HPy_mod_create and variables `static HPyGlobal name;` are listed too. A snippet with its own HPy_MODINIT is
compiled as it is.
"""

import functools
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from hpy.devel import HPyDevel
from hpy.devel.abitag import get_hpy_ext_suffix
from hpy.universal import get_version

CACHE = Path(os.environ.get("HPY_TEST_CACHE", Path(__file__).parent.parent / "target" / "test-cache"))

# The release that ours is compared with. What it can't do is skipped there, and its headers don't compile without warnings.
REFERENCE = get_version()[0] == "0.9.0"

# Functions that are called with each text that is compiled, or has been before.
LISTENERS = []

PRELUDE = """\
#include <hpy.h>
#define FUNC_NOARGS(NAME) \\
    HPyDef_METH(NAME, #NAME, HPyFunc_NOARGS) \\
    static HPy NAME##_impl(HPyContext *ctx, HPy self)
#define FUNC_O(NAME) \\
    HPyDef_METH(NAME, #NAME, HPyFunc_O) \\
    static HPy NAME##_impl(HPyContext *ctx, HPy self, HPy arg)
#define FUNC_VARARGS(NAME) \\
    HPyDef_METH(NAME, #NAME, HPyFunc_VARARGS) \\
    static HPy NAME##_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs)
#define FUNC_KEYWORDS(NAME) \\
    HPyDef_METH(NAME, #NAME, HPyFunc_KEYWORDS) \\
    static HPy NAME##_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
#define EXPORT(NAME)
/* What a function returns that has nothing to say, or that failed if the condition holds. */
#define NONE HPy_Dup(ctx, ctx->h_None)
#define NULL_IF(FAILED) ((FAILED) ? HPy_NULL : NONE)
#line 1 "snippet"
"""

EXPORTED = re.compile(
    r"^[ \t]*(?:(?:FUNC_(?:NOARGS|O|VARARGS|KEYWORDS)|EXPORT)\((\w+)\)|HPyDef_SLOT(?:_IMPL)?\((\w+),.*\bHPy_mod_\w+\))",
    re.MULTILINE,
)
GLOBAL = re.compile(r"^[ \t]*static HPyGlobal (\w+)(?:\[\d+\])?;", re.MULTILINE)


def expand(source, name):
    """The whole C file of a snippet that becomes the module `name`."""
    if "HPy_MODINIT(" in source:
        return PRELUDE + source
    defines = ["&" + (function or slot) for function, slot in EXPORTED.findall(source)]
    variables = ["&" + variable for variable in GLOBAL.findall(source)]
    creates = "HPy_mod_create" in source
    listed = f"static HPyGlobal *moduleglobals[] = {{ {', '.join([*variables, 'NULL'])} }};\n" if variables else ""
    return f"""{PRELUDE}{source}
static HPyDef *moduledefs[] = {{ {", ".join([*defines, "NULL"])} }};
{listed}static HPyModuleDef moduledef = {{
    .doc = {"NULL" if creates else '"a test"'},
    .defines = moduledefs,
    .globals = {"moduleglobals" if variables else "NULL"},
}};
HPy_MODINIT({name}, moduledef)
"""


@functools.lru_cache(maxsize=None)
def tools(abi):
    """The compiler's command for an ABI, files to link, and a digest of everything a binary depends on but its source.

    A universal binary depends on no interpreter: that which came first compiles it, and the others load the same file.
    """
    devel = HPyDevel()
    include_dirs = list(map(str, devel.get_extra_include_dirs()))
    command = shlex.split(os.environ.get("CC", "cc"))
    flags = ["-shared", "-fPIC", "-std=c11", "-g", "-DHPY", f"-DHPY_ABI_{abi.upper()}"]
    if not REFERENCE:
        flags += ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]
    if sys.platform == "darwin":
        flags += ["-undefined", "dynamic_lookup"]
    linked = list(map(str, devel.get_static_libs(abi) or devel.get_extra_sources()))

    digest = hashlib.sha256()
    version = subprocess.run([*command, "--version"], check=True, capture_output=True).stdout
    digest.update(version)
    digest.update(repr([command, *flags]).encode())
    for folder in devel.get_extra_include_dirs():
        for header in sorted(Path(folder).rglob("*.h")):
            digest.update(header.read_bytes())
    for path in linked:
        digest.update(Path(path).read_bytes())
    if abi == "universal":
        include_dirs.insert(0, str(devel.get_include_dir_forbid_python_h()))
    else:
        include_dirs.append(sysconfig.get_path("include"))
        digest.update(repr([sys.version, include_dirs]).encode())
    flags += [f"-I{folder}" for folder in include_dirs]
    header = Path(devel.get_extra_include_dirs()[0], "hpy.h")
    # Other compilers look for such a file only if it is named to them.
    can_find = b"Free Software Foundation" in version
    precompiled = precompile(header, [*command, *flags], CACHE / f"headers-{abi}-{digest.hexdigest()[:16]}") if can_find else []
    return [*command, *precompiled, *flags], linked, digest.hexdigest()


def precompile(header, command, folder):
    """Has the compiler read a header once, into this folder. Returns the flags to find it there; those who can't do without."""
    made = folder / f"{header.name}.gch"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as own:
            new = Path(own, made.name)
            flags = [flag for flag in command if flag != "-shared"]
            if subprocess.run([*flags, "-x", "c-header", str(header), "-o", str(new)], capture_output=True).returncode != 0:
                return []
            os.replace(new, made)
    return [f"-I{folder}"]


def compile_file(text, name, abi="universal", extra_flags=(), language="c"):
    """Compiles a whole C or C++ file into a binary of the module `name`, unless that has been done before."""
    for listener in LISTENERS:
        listener(text)
    command, linked, digest = tools(abi)
    command = [*command, *extra_flags]
    if language == "c++":
        command = [*shlex.split(os.environ.get("CXX", "c++")), *command[1:]]
        command[command.index("-std=c11")] = "-std=c++17"
    key = hashlib.sha256("\0".join([digest, name, abi, language, *extra_flags, text]).encode()).hexdigest()[:24]
    binary = CACHE / key / (name + get_hpy_ext_suffix(abi))
    if binary.exists():
        return binary
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        source = Path(folder, name + (".c" if language == "c" else ".cpp"))
        source.write_text(text, encoding="utf-8")
        made = Path(folder, binary.name)
        run = subprocess.run(
            [*command, "-o", str(made), str(source), *linked], capture_output=True, encoding="utf-8", errors="replace"
        )
        if run.returncode != 0:
            raise CompileError(run.stderr)
        binary.parent.mkdir(exist_ok=True)
        # Another process may have been faster; its file is the same.
        os.replace(made, binary)
    return binary


def make_importable(binary, folder):
    """Puts a binary into a folder, with the stub file beside it that hpy.devel writes."""
    from hpy.devel.stub import stub

    name = binary.name.split(".")[0]
    shutil.copy(binary, folder)
    Path(folder, f"{name}.py").write_text(stub(binary.name), encoding="utf-8")


class CompileError(Exception):
    """The compiler's messages."""
