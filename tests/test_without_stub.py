"""Universal binaries that CPython imports by their own PyInit_NAME, without a stub file."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from debugging import environment_with
from snippet import REFERENCE, compile_file, expand, make_importable

pytestmark = [
    pytest.mark.skipif(REFERENCE, reason="0.9.0 needs a stub file"),
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="others take no such file for a module; the stub is for them"),
]

# `.so`, or `.pyd`: the one suffix that every CPython takes.
SUFFIX = "." + sysconfig.get_config_var("EXT_SUFFIX").rpartition(".")[2]

MODULE = """
    static HPyGlobal answer;

    FUNC_NOARGS(get) { return HPyGlobal_Load(ctx, answer); }
    FUNC_O(leak) { return HPy_Dup(ctx, HPy_Dup(ctx, arg)); }

    HPyDef_SLOT(init, HPy_mod_exec)
    static int init_impl(HPyContext *ctx, HPy module)
    {
        HPy name = HPy_GetAttr_s(ctx, module, "__name__");
        if (HPy_IsNull(name))
            return -1;
        HPyGlobal_Store(ctx, &answer, name);
        HPy_Close(ctx, name);
        if (!HPy_HasAttr_s(ctx, module, "count"))
            HPy_SetAttr_s(ctx, module, "count", ctx->h_True);
        return 0;
    }
"""

# A module object of its own, that is none of Python's.
CREATED = """
    HPyDef_SLOT(create, HPy_mod_create)
    static HPy create_impl(HPyContext *ctx, HPy spec) { return HPy_GetAttr_s(ctx, spec, "name"); }
"""

FAILING = """
    HPyDef_SLOT(fail, HPy_mod_exec)
    static int fail_impl(HPyContext *ctx, HPy module)
    {
        HPyErr_SetString(ctx, ctx->h_LookupError, "not today");
        return -1;
    }
"""


def binary(name="direct", source=MODULE, **defined):
    flags = tuple(f"-D{key}={value}" for key, value in defined.items())
    return compile_file(expand(source, name), name, extra_flags=flags)


@pytest.fixture
def folder(tmp_path):
    """Has the module `direct`, and a package with a module in it."""
    place(binary(), tmp_path)
    place(binary(), tmp_path / "package", "direct")
    (tmp_path / "package" / "__init__.py").touch()
    return tmp_path


def place(file, folder, name=None):
    folder.mkdir(exist_ok=True)
    shutil.copy(file, folder / ((name or file.name.split(".")[0]) + SUFFIX))


def python(folder, *arguments, check=True, **environment):
    command = [sys.executable, *(arguments if arguments[0].startswith("-") else ("-c", *arguments))]
    run = subprocess.run(
        command, cwd=folder, env=environment_with(environment), capture_output=True, encoding="utf-8", errors="replace"
    )
    assert run.returncode == 0 or not check, run.stdout + run.stderr
    return run if not check else run.stdout


def test_it_is_a_module_like_any(folder):
    out = python(
        folder,
        "import pickle, importlib, sys\n"
        "import direct, package.direct as inner\n"
        "for module in direct, inner:\n"
        "    spec = module.__spec__\n"
        "    print(module.__name__, module.__package__, module.__doc__, module.get(), module.get.__module__)\n"
        "    print(spec.origin == module.__file__, spec.loader is module.__loader__, type(spec.loader).__name__)\n"
        "    print(pickle.loads(pickle.dumps(module.get)) is module.get, sys.modules[module.__name__] is module, type(module))\n"
        "    module.count = 2; print(importlib.reload(module) is module, module.count)\n"
        "del sys.modules['direct']; import direct as again; print(again is direct, again.get(), again.count)",
    )
    assert out.splitlines() == [
        "direct  a test direct direct",
        "True True ExtensionFileLoader",
        "True True <class 'module'>",
        "True 2",
        "package.direct package a test package.direct package.direct",
        "True True ExtensionFileLoader",
        "True True <class 'module'>",
        "True 2",
        # As any module of several phases.
        "False direct True",
    ]


def test_namespace_packages_and_parents_in_a_zip(folder):
    place(binary(), folder / "namespace")
    with zipfile.ZipFile(folder / "parents.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", f"__path__.append({str(folder / 'namespace')!r})")
    out = python(
        folder,
        "import sys; sys.path.append('parents.zip')\n"
        "import namespace.direct, zipped.direct\n"
        "print(namespace.direct.get(), zipped.direct.get(), zipped.direct.__file__ == namespace.direct.__file__)",
    )
    assert out == "namespace.direct zipped.direct True\n" or out == "zipped.direct zipped.direct True\n"


def test_a_package_runs_as_a_program(folder):
    (folder / "package" / "__main__.py").write_text("from . import direct; print(direct.get())")
    assert python(folder, "-m", "package") == "package.direct\n"
    run = python(folder, "-m", "direct", check=False)
    # As any extension.
    assert run.returncode != 0 and "No code object available for direct" in run.stderr


def test_it_needs_no_stub_but_likes_one(folder):
    """What wheels hold: CPython takes the binary, whatever lies beside it."""
    (folder / "direct.py").write_text("raise AssertionError")
    assert python(folder, "import direct; print(direct.get())") == "direct\n"


def test_the_same_file_loads_with_a_stub(folder):
    make_importable(binary(), folder / "package")
    (folder / "package" / f"direct{SUFFIX}").unlink()
    assert python(folder, "import package.direct as d; print(d.get(), d.__file__[-14:])") == f"package.direct direct.hpy0{SUFFIX}\n"


@pytest.mark.parametrize("mode", ["debug", "direct:debug", "trace", "debug+trace"])
def test_modes(folder, mode):
    out = python(
        folder,
        "import package.direct as d, hpy.debug, hpy.trace\n"
        "try:\n"
        "    with hpy.debug.LeakDetector(): d.leak([])\n"
        "except hpy.debug.HPyLeakError: print('leak')\n"
        "print(hpy.trace.get_call_counts().get('ctx_Dup', 0))",
        HPY=mode,
        HPY_LOG="1",
    )
    lines = out.splitlines()
    assert lines[0].startswith("Loading 'direct' in HPy universal mode with a ")
    assert ("leak" in lines) == ("debug" in mode)
    assert (lines[-1] != "0") == ("trace" in mode)


def test_traced_by_its_full_name(folder):
    (folder / "program.py").write_text("import direct, package.direct; direct.get(); package.direct.leak(1)")
    run = python(folder, "-m", "hpy.trace", "--modules", "package.direct", "program.py", check=False)
    assert run.returncode == 0 and "direct.leak" in run.stderr and "direct.get" not in run.stderr


def test_an_own_kind_of_module(tmp_path):
    place(binary("created", CREATED), tmp_path)
    assert python(tmp_path, "import created; print(repr(created))") == "'created'\n"


def test_what_the_module_raises(tmp_path):
    place(binary("failing", FAILING), tmp_path)
    run = python(tmp_path, "import failing", check=False)
    assert "LookupError: not today" in run.stderr
    run = python(tmp_path, "import failing", check=False, HPY="nonsense")
    assert "ValueError: invalid HPy mode: nonsense" in run.stderr


def refusal(folder, prepare="", module="direct", **environment):
    """What an import that is refused says."""
    code = (
        f"import sys\n{prepare}\n"
        f"try: import {module}\n"
        "except ImportError as error: print(type(error).__name__, error.name, error, *getattr(error, '__notes__', [error.__cause__]), sep='|')"
    )
    return python(folder, code, **environment)


def test_no_runtime(folder):
    said = refusal(folder, "sys.modules['hpy'] = None")
    assert said.startswith("ImportError|direct|Cannot import 'direct': it is an HPy extension, and no HPy runtime is installed for")
    assert sys.executable in said and "Install one with: pip install hpy" in said
    # The package is there, but not the runtime.
    assert "no HPy runtime" in refusal(folder, "import hpy; sys.modules['hpy.universal'] = None")


def test_a_runtime_that_lacks_something_itself(folder):
    said = refusal(
        folder,
        "import importlib.abc\n"
        "class Broken(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'hpy.universal': raise ModuleNotFoundError('No module named libfoo', name='libfoo')\n"
        "sys.meta_path.insert(0, Broken())",
    )
    assert said.startswith("ModuleNotFoundError|libfoo|No module named libfoo")


def test_too_old_a_runtime(folder):
    # 0.9.0 has no such function, and nothing else that a binary could ask.
    said = refusal(folder, "import types; import hpy; hpy.universal = sys.modules['hpy.universal'] = types.ModuleType('hpy.universal')")
    assert said.startswith("ImportError|direct|Cannot import 'direct': it needs the HPy runtime 0.10 or newer")
    assert "pip install -U hpy" in said


@pytest.mark.parametrize(
    "versions, text, help",
    [
        ((1, 0), "Requested version: 1.0. Current HPy version: 0.0.", "Update with: pip install -U hpy"),
        ((0, 7), "Requested version: 0.7. Current HPy version: 0.0.", "Update with: pip install -U hpy"),
    ],
)
def test_another_version_of_the_abi(tmp_path, versions, text, help):
    major, minor = versions
    source = "#undef HPY_ABI_VERSION\n#undef HPY_ABI_VERSION_MINOR\n" + MODULE
    source = source.replace("MINOR\n", f"MINOR\n#define HPY_ABI_VERSION {major}\n#define HPY_ABI_VERSION_MINOR {minor}\n", 1)
    place(binary("future", source), tmp_path)
    said = refusal(tmp_path, module="future")
    assert said.startswith("LoadError|future|HPy extension module 'future' requires unsupported version of the HPy runtime.")
    assert text in said and help in said


def test_where_there_is_no_python(tmp_path):
    """The file loads in a process without CPython; nothing of that is linked."""
    host = tmp_path / "host.c"
    host.write_text(
        "#include <dlfcn.h>\n#include <stdio.h>\n"
        "int main(int argc, char **argv) {\n"
        "    void *library = dlopen(argv[1], RTLD_NOW);\n"
        "    if (!library) { puts(dlerror()); return 1; }\n"
        '    void *(*init)(void) = (void *(*)(void))dlsym(library, "PyInit_direct");\n'
        "    return init == NULL || init() != NULL;\n"
        "}\n"
    )
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-o", str(tmp_path / "host"), str(host), "-ldl"], check=True)
    run = subprocess.run([str(tmp_path / "host"), str(Path(binary()))], capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("mode", ["universal", "debug", "trace", "debug+trace"])
def test_in_another_interpreter_first(folder, mode):
    # From 3.13 on CPython runs PyInit in the main interpreter, and the module is made in the other.
    out = python(
        folder,
        "import sys\n"
        f"sys.path.append({str(Path(__file__).parent)!r})\n"
        "from interpreting import Interpreter\n"
        "start = f'import sys; sys.path[:] = {sys.path!r}'\n"
        "Interpreter(start).run('import direct; print(direct.get(), flush=True)')",
        HPY=mode,
    )
    assert out.splitlines() == ["direct"]
