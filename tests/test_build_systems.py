"""CMake, Meson and pkg-config: the examples, built as their users build them."""

import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hpy.devel import HPyDevel
from snippet import CACHE, REFERENCE

EXAMPLES = Path(__file__).parent.parent / "examples"
SHARED = Path(HPyDevel().base_dir)
# One source is built for each of these, in one go.
ABIS = ["universal", "hybrid", "cpython"]
PACKAGES = ["cmake", "ninja", "meson", "pkgconf", "scikit-build-core>=0.10", "meson-python>=0.15", 'tomli; python_version < "3.11"']

pytestmark = [
    pytest.mark.skipif(REFERENCE, reason="0.9.0 has nothing for other build systems"),
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="the examples are for the three ABIs, and PyPy has no library for one"),
]


@pytest.fixture(scope="session")
def tools():
    """An environment with the build systems, fetched once for each Python, which some are for."""
    folder = CACHE / "build-systems-{}{}".format(*sys.version_info)
    if not folder.exists():
        unfinished = folder.with_name(f"{folder.name}-{os.getpid()}")
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--target", str(unfinished)]
        subprocess.run([*command, *PACKAGES], check=True)
        try:
            unfinished.rename(folder)
        except OSError:
            shutil.rmtree(unfinished)
            assert folder.exists(), "another process has fetched it meanwhile"
    scripts = Path(sys.executable).parent
    return {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PATH": os.pathsep.join([str(folder / "bin"), str(scripts), os.environ["PATH"]]),
    }


def run(command, folder, environment, check=True):
    run = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, encoding="utf-8", errors="replace"
    )
    assert run.returncode == 0 or not check, run.stdout + run.stderr
    return run if not check else run.stdout


def copied(name, tmp_path):
    return shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "build"))


def check_modules(folder):
    """Imports what has been built for each ABI; the stub of the universal one works as well."""
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1])\n"
        f"import fibonacci; modules = [__import__('fibonacci._' + abi, fromlist=['']) for abi in {ABIS!r}]\n"
        "print(json.dumps([[m.__doc__, m.fibonacci(50), m.__file__] for m in modules]), fibonacci.fibonacci(10))"
    )
    said = run([sys.executable, "-c", code, folder], "/", os.environ)
    modules, number = re.fullmatch(r"(.*\]) (\d+)\n", said).groups()
    assert number == "55"
    suffixes = [".so", ".hpy0-cp{}{}{}.so".format(*sys.version_info[:2], sys.abiflags), ".cpython-"]
    for (doc, value, file), abi, suffix in zip(json.loads(modules), ABIS, suffixes):
        assert (doc, value) == (f"built for {abi}", 12586269025) and f"_{abi}{suffix}" in file
    stubs = sorted(path.name for path in (folder / "fibonacci").glob("_[!_]*.py"))
    assert stubs == ["_hybrid.py", "_universal.py"]
    (folder / "fibonacci" / "_universal.so").rename(folder / "fibonacci" / "renamed.so")
    stub = (folder / "fibonacci" / "_universal.py").read_text()
    assert "'_universal.so'" in stub and "_universal.hpy0.so" in stub


def build_wheel(backend, folder, tmp_path, environment):
    (folder / "dist").mkdir()
    code = f"import {backend} as backend; backend.build_wheel('dist')"
    run([sys.executable, "-c", code], folder, environment)
    (wheel,) = (folder / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    return wheel


def test_a_package_of_scikit_build_core(tools, tmp_path):
    folder = copied("cmake", tmp_path)
    wheel = build_wheel("scikit_build_core.build", folder, tmp_path, tools)
    assert "-cp{0}{1}-cp{0}{1}{2}-".format(*sys.version_info[:2], sys.abiflags) in wheel.name
    check_modules(tmp_path / "installed")


def test_its_wheel_is_for_every_python_if_its_modules_are(tools, tmp_path):
    folder = copied("cmake", tmp_path)
    lists = folder / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("universal hybrid cpython)", "universal)"))
    with open(folder / "pyproject.toml", "a") as file:
        file.write('wheel.py-api = "py3"\n')
    wheel = build_wheel("scikit_build_core.build", folder, tmp_path, tools)
    assert "-py3-none-" in wheel.name
    report = json.loads(run([sys.executable, "-m", "hpy", "check", "--json", wheel], tmp_path, os.environ))
    assert [each["abi"] for each in report] == ["wheel", "universal"] and not any(each["problems"] for each in report)


def test_cmake_alone(tools, tmp_path):
    folder = copied("cmake", tmp_path)
    options = [f"-DCMAKE_PREFIX_PATH={SHARED / 'cmake'}", f"-DPython_EXECUTABLE={sys.executable}", "-GNinja"]
    run(["cmake", "-S", ".", "-B", "build", *options], folder, tools)
    run(["cmake", "--build", "build"], folder, tools)
    run(["cmake", "--install", "build", "--prefix", tmp_path / "installed"], folder, tools)
    shutil.copy(folder / "fibonacci" / "__init__.py", tmp_path / "installed" / "fibonacci")
    check_modules(tmp_path / "installed")


@pytest.mark.parametrize(
    "text, message",
    [
        ("find_package(HPy REQUIRED CONFIG)", "call find_package(Python COMPONENTS Interpreter Development.Module) before"),
        ("find_package(Python REQUIRED COMPONENTS Interpreter)\nfind_package(HPy 1.0 REQUIRED CONFIG)", "0.10.0"),
        (
            "find_package(Python REQUIRED COMPONENTS Interpreter)\nfind_package(HPy REQUIRED CONFIG)\n"
            "hpy_add_module(x ABI universl src/fibonacci.c)",
            "there is no ABI 'universl' here; choose universal, hybrid or cpython",
        ),
        (
            "find_package(Python REQUIRED COMPONENTS Interpreter)\nfind_package(HPy REQUIRED CONFIG)\n"
            "hpy_add_module(x ABI cpython src/fibonacci.c)",
            "the ABI cpython needs find_package(Python COMPONENTS Development.Module)",
        ),
    ],
)
def test_misuse_of_cmake_is_explained(tools, tmp_path, text, message):
    folder = copied("cmake", tmp_path)
    (folder / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.18)\nproject(x LANGUAGES C)\n{text}\n")
    options = [f"-DCMAKE_PREFIX_PATH={SHARED / 'cmake'}", f"-DPython_EXECUTABLE={sys.executable}", "-GNinja"]
    failed = run(["cmake", "-S", ".", "-B", "build", *options], folder, tools, check=False)
    assert failed.returncode != 0
    # CMake breaks lines.
    assert message in " ".join((failed.stdout + failed.stderr).split())


def test_a_package_of_meson_python(tools, tmp_path):
    folder = copied("meson", tmp_path)
    build_wheel("mesonpy", folder, tmp_path, tools)
    check_modules(tmp_path / "installed")


@pytest.mark.parametrize("abi", ABIS)
def test_pkg_config(tools, tmp_path, abi):
    folder = run([sys.executable, "-m", "hpy", "info", "--pkgconfig"], tmp_path, os.environ).strip()
    environment = {**tools, "PKG_CONFIG_PATH": folder}
    flags = shlex.split(run(["pkgconf", "--cflags", "--libs", f"hpy-{abi}"], tmp_path, environment))
    # The library has to come behind the source.
    libraries = [flag for flag in flags if not flag.startswith("-")]
    import sysconfig

    python = [] if abi == "universal" else [f"-I{sysconfig.get_path('include')}"]
    source = EXAMPLES / "cmake" / "src" / "fibonacci.c"
    suffix = run([sys.executable, "-m", "hpy", "info", "--abi", abi, "--suffix"], tmp_path, os.environ).strip()
    options = ["-shared", "-fPIC", *[flag for flag in flags if flag not in libraries], *python, "-DMODULE=built"]
    binary = f"built{suffix}" if abi != "universal" else "built.so"
    run(["cc", *options, "-o", binary, source, *libraries], tmp_path, tools)
    stub = run([sys.executable, "-m", "hpy", "info", "--stub", binary], tmp_path, os.environ)
    if abi != "cpython":
        (tmp_path / "built.py").write_text(stub)
    said = run([sys.executable, "-c", "import built; print(built.__doc__, built.fibonacci(10))"], tmp_path, os.environ)
    assert said == f"built for {abi} 55\n"
    assert run(["pkgconf", "--modversion", f"hpy-{abi}"], tmp_path, environment).strip() == importlib.metadata.version("hpy")


def test_both_examples_have_the_same_source():
    first, second = (EXAMPLES / name / "src" / "fibonacci.c" for name in ("cmake", "meson"))
    assert first.read_bytes() == second.read_bytes()
    text = (SHARED / "cmake" / "HPyConfigVersion.cmake").read_text()
    assert f'set(PACKAGE_VERSION "{importlib.metadata.version("hpy")}")' in text
