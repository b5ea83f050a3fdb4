"""hpy.universal: loading, refusing, and modes."""

import importlib
import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import hpy.universal
import pytest
from loading import load
from hpy.devel.abitag import parse_ext_suffix
from snippet import REFERENCE, compile_file, expand

pytestmark = pytest.mark.skipif(REFERENCE, reason="0.9.0 crashes on some of these and helps with none")

EMPTY = expand("", "mod")

# The start of every message about a file that the system can't load.
CANT_LOAD = "Error during loading of the HPy extension module at path '{path}'. Error message from dlopen/WinAPI: "


def help_of(error):
    """What follows the text: a note, or in Pythons that have none the cause."""
    if hasattr(error, "__notes__"):
        (note,) = error.__notes__
        return note
    return str(error.__cause__)


def broken(text, **options):
    """The path of a binary with this C text."""
    return compile_file("#include <hpy.h>\n" + textwrap.dedent(text), "mod", **options)


def copied(tmp_path, binary, name=None):
    return Path(shutil.copy(binary, tmp_path / (name or binary.name)))


def without(*symbols):
    """An empty module whose macro does not define some of its functions."""
    text = EMPTY
    for symbol in symbols:
        text = text.replace("#line 1", f"#define {symbol}_mod hidden_{symbol}\n#line 1")
    return text


# Each makes a broken file and gives its path, the text of the error, and a part of the help.


def missing_file(tmp_path):
    path = tmp_path / "mod.hpy0.so"
    return path, CANT_LOAD + "{path}: cannot open shared object file: No such file or directory", "There is no such file"


def folder(tmp_path):
    path = tmp_path / "mod.hpy0.so"
    path.mkdir()
    return path, CANT_LOAD + "{path}: cannot read file data: Is a directory", "This is a folder"


def empty_file(tmp_path):
    path = tmp_path / "mod.hpy0.so"
    path.touch()
    return path, CANT_LOAD + "{path}: file too short", "The file is empty"


def text_file(tmp_path):
    path = tmp_path / "mod.hpy0.so"
    path.write_text("import this\n" * 100)
    return path, CANT_LOAD + "{path}: invalid ELF header", "This is not a shared library"


def truncated(tmp_path):
    path = copied(tmp_path, compile_file(EMPTY, "mod"))
    os.truncate(path, 4096)
    return path, CANT_LOAD + "{path}: file too short", "The file is truncated: it ends after 4096 bytes"


def truncated_in_its_headers(tmp_path):
    path = copied(tmp_path, compile_file(EMPTY, "mod"))
    os.truncate(path, 80)
    return path, CANT_LOAD + "{path}: file too short", "The file is truncated: it ends after 80 bytes"


def other_processor(tmp_path):
    path = copied(tmp_path, compile_file(EMPTY, "mod"))
    data = bytearray(path.read_bytes())
    aarch64, x86_64 = 183, 62
    machine = aarch64 if struct.unpack_from("<H", data, 18)[0] == x86_64 else x86_64
    struct.pack_into("<H", data, 18, machine)
    path.write_bytes(data)
    return path, CANT_LOAD + "{path}: ", "The binary is for the processor "


def undefined_symbol(tmp_path):
    text = EMPTY + "void nowhere(void);\n__attribute__((used)) void (*pointer)(void) = nowhere;\n"
    path = compile_file(text, "mod")
    return path, CANT_LOAD + "{path}: undefined symbol: nowhere", "The system can't load the library"


def not_hpy_at_all(tmp_path):
    path = compile_file("int x;", "mod")
    text = (
        "Error during loading of the HPy extension module at path '{path}'. Cannot locate the required minimal HPy versions "
        "as symbols 'get_required_hpy_minor_version_mod' and `get_required_hpy_major_version_mod`. Error message from "
        "dlopen/WinAPI: {path}: undefined symbol: get_required_hpy_m"
    )
    return path, text, "exports no HPyInit function"


def for_cpython(tmp_path):
    path = compile_file("void *PyInit_mod(void) { return 0; }", "mod")
    return path, not_hpy_at_all(tmp_path)[1], "an extension for CPython's own API (it has PyInit_mod)"


def other_module(tmp_path):
    path = compile_file(expand("", "other"), "mod")
    return path, not_hpy_at_all(tmp_path)[1], "holds the HPy module 'other', not 'mod'"


def no_versions(tmp_path):
    path = compile_file(without("get_required_hpy_major_version", "get_required_hpy_minor_version"), "mod")
    return path, not_hpy_at_all(tmp_path)[1], "not the version functions"


def other_major_version(tmp_path):
    path = compile_file(EMPTY.replace("#line 1", "#undef HPY_ABI_VERSION\n#define HPY_ABI_VERSION 999\n#line 1"), "mod")
    text = (
        "HPy extension module 'mod' requires unsupported version of the HPy runtime. Requested version: 999.0. Current HPy "
        "version: 0.0."
    )
    return path, text, "built for HPy ABI 999.0; hpy 0.10.0 offers 0.0. Update with: pip install -U hpy"


def too_new(tmp_path):
    minor = "#undef HPY_ABI_VERSION_MINOR\n#define HPY_ABI_VERSION_MINOR 7\n#line 1"
    path = compile_file(EMPTY.replace("#line 1", minor), "mod")
    text = (
        "HPy extension module 'mod' requires unsupported version of the HPy runtime. Requested version: 0.7. Current HPy "
        "version: 0.0."
    )
    return path, text, "built for HPy ABI 0.7; hpy 0.10.0 offers 0.0"


def tag_of_another_version(tmp_path):
    path = copied(tmp_path, compile_file(EMPTY, "mod"), "mod.hpy42.so")
    text = (
        "HPy extension module 'mod' at path '{path}': mismatch between the HPy ABI tag encoded in the filename and the major "
        "version requested by the HPy extension itself. Major version tag parsed from filename: 42. Requested version: 0.0."
    )
    return path, text, "a file named mod.hpy0.so"


def no_tag(tmp_path):
    path = copied(tmp_path, compile_file(EMPTY, "mod"), "mod.so")
    text = (
        "HPy extension module 'mod' at path '{path}': could not find HPy ABI tag encoded in the filename. The extension "
        "claims to be compiled with HPy ABI version: 0.0."
    )
    return path, text, "Name the file mod.hpy0.so"


def no_init(tmp_path):
    path = compile_file(without("HPyInit"), "mod")
    text = (
        "Error during loading of the HPy extension module at path '{path}' while trying to find symbol 'HPyInit_mod'. Did you "
        "usethe HPy_MODINIT macro to register your module? Error message from dlsym/WinAPI: {path}: undefined symbol: "
        "HPyInit_mod"
    )
    return path, text, "does not export HPyInit_mod"


def no_context_init(tmp_path):
    path = compile_file(without("HPyInitGlobalContext"), "mod")
    return path, no_init(tmp_path)[1].replace("HPyInit_mod", "HPyInitGlobalContext_mod"), "does not export HPyInitGlobalC"


def init_that_returns_null(tmp_path):
    text = EMPTY.replace("HPy_MODINIT(mod, moduledef)", "HPy_MODINIT(mod, *(HPyModuleDef *)((void)moduledef.doc, NULL))")
    path = compile_file(text, "mod")
    text = "Error during loading of the HPy extension module at path '{path}'. Function 'HPyInit_mod' returned NULL."
    return path, text, "the address of a static HPyModuleDef"


def hybrid_for_another_python(tmp_path):
    path = copied(tmp_path, compile_file(EMPTY, "mod"), "mod.hpy0-cp37.so")
    version = "{}.{}{}".format(*sys.version_info[:2], getattr(sys, "abiflags", ""))
    text = f"'mod.hpy0-cp37.so' is a hybrid build for CPython 3.7, but this is CPython {version}."
    return path, text, "fit one version only"


BROKEN = [
    missing_file,
    folder,
    empty_file,
    text_file,
    truncated,
    truncated_in_its_headers,
    other_processor,
    undefined_symbol,
    not_hpy_at_all,
    for_cpython,
    other_module,
    no_versions,
    other_major_version,
    too_new,
    tag_of_another_version,
    no_tag,
    no_init,
    no_context_init,
    init_that_returns_null,
    hybrid_for_another_python,
]


@pytest.mark.parametrize("make", BROKEN, ids=lambda make: make.__name__)
def test_a_broken_binary_is_refused_with_its_own_message(tmp_path, make):
    path, text, help = make(tmp_path)
    with pytest.raises(hpy.universal.LoadError) as caught:
        load("mod", path)
    assert str(caught.value).startswith(text.format(path=path)), str(caught.value)
    assert help in help_of(caught.value)
    assert caught.value.path == str(path)
    assert caught.value.name == "mod"


def test_section_headers_do_not_matter(tmp_path):
    """Tools that make binaries small leave them out or wrong; the system's loader does not read them."""
    path = copied(tmp_path, compile_file(EMPTY, "mod"))
    data = bytearray(path.read_bytes())
    is_64_bit = data[4] == 2
    struct.pack_into("<Q" if is_64_bit else "<I", data, 40 if is_64_bit else 32, len(data) * 2)
    path.write_bytes(data)
    assert load("mod", path).__name__ == "mod"


def test_the_runtime_is_not_linked_with_a_library_of_python():
    """A Python that was built without one could not load it, and another would have two interpreters."""
    readelf = shutil.which("readelf")
    if readelf is None:
        pytest.skip("needs readelf")
    dynamic = subprocess.run([readelf, "-d", hpy.universal.__file__], check=True, capture_output=True, encoding="utf-8")
    assert "NEEDED" in dynamic.stdout
    assert "libpython" not in dynamic.stdout


def test_no_two_broken_binaries_get_the_same_help(tmp_path):
    helps = set()
    for number, make in enumerate(BROKEN):
        folder_of_its_own = tmp_path / str(number)
        folder_of_its_own.mkdir()
        with pytest.raises(hpy.universal.LoadError) as caught:
            load("mod", make(folder_of_its_own)[0])
        helps.add((str(caught.value).split("'")[0], help_of(caught.value)))
    assert len(helps) == len(BROKEN)


def test_load_errors_are_import_errors_and_runtime_errors():
    assert issubclass(hpy.universal.LoadError, ImportError)
    assert issubclass(hpy.universal.LoadError, RuntimeError)


@pytest.mark.parametrize("size", [16, 64, 120, 500, 1000, 4000, 5000, 8000, 10000, 12000, 14000])
def test_no_truncation_crashes(tmp_path, size):
    path = copied(tmp_path, compile_file(EMPTY, "mod"))
    if size >= path.stat().st_size:
        pytest.skip("the file is shorter than that")
    os.truncate(path, size)
    # What a missing tail does depends on what is in it: section headers are not needed to run.
    code = f"from loading import load\ntry:\n    load('mod', {str(path)!r})\nexcept ImportError:\n    pass"
    run = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "name",
    [
        "mod.hpy0-cp\u00e91.so",
        "mod.hpy\u00e9.so",
        "mod.hpy\U0001f40d0.so",
        "mod.hpy0-.so",
        "mod.hpy.so",
        "mod.hpy99999999999999999999.so",
        "mod.hpy0-cp99999999999999999999.so",
        "\U0001f40d.hpy0-cp311.so",
        "\udcff.hpy0\udcff.so",
        ".hpy0.so",
        "mod.so\u00e9",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("content", [b"no shared object", None], ids=["text", "binary"])
def test_odd_file_names_are_no_trouble(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(compile_file(EMPTY, "mod").read_bytes() if content is None else content)
    code = f"from loading import load\ntry:\n    load('mod', {str(path)!r})\nexcept ImportError:\n    pass"
    command = [sys.executable, "-c", code.encode("ascii", "backslashreplace").decode()]
    run = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ["package.deeply.nested.mod", "with-dash", "package.with-dash", "mod"])
def test_dots_and_dashes_in_names(tmp_path, name):
    symbol = name.split(".")[-1].replace("-", "_")
    mod = load(name, compile_file(expand("", symbol), symbol))
    assert mod.__name__ == name


def test_a_name_that_no_symbol_can_have_is_refused():
    with pytest.raises(UnicodeEncodeError) as caught:
        load("módulo", compile_file(EMPTY, "mod"))
    assert "has to be ASCII" in help_of(caught.value)


@pytest.mark.parametrize("name", ["", "package."])
def test_an_empty_name_is_refused(name):
    with pytest.raises(hpy.universal.LoadError, match="get_required_hpy_minor_version_'") as caught:
        load(name, compile_file(EMPTY, "mod"))
    assert "can't be the last part of an HPy module's name" in help_of(caught.value)


def test_a_path_may_be_a_path_object_and_relative(tmp_path, monkeypatch):
    binary = copied(tmp_path, compile_file(EMPTY, "mod"))
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("mod", str(binary))
    assert hpy.universal.load("mod", Path(binary.name), spec).__name__ == "mod"


@pytest.mark.parametrize(
    "args, error",
    [
        ((), TypeError),
        (("mod",), TypeError),
        ((1, "mod.hpy0.so", None), TypeError),
        (("mod", 1, None), TypeError),
        (("mod", "a\0b.hpy0.so", None), ValueError),
        (("mod", "mod.hpy0.so", None, False, "debug"), TypeError),
        (("mod", "mod.hpy0.so", None, False, 9), ValueError),
    ],
)
def test_wrong_arguments_are_errors(args, error):
    with pytest.raises(error):
        hpy.universal.load(*args)


def test_a_spec_that_is_none_is_an_error():
    with pytest.raises(AttributeError):
        hpy.universal.load("mod", str(compile_file(EMPTY, "mod")), None)


NAMED = expand("FUNC_NOARGS(context) { return HPyUnicode_FromString(ctx, ctx->name); }", "mod")


OWN_MODES = pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has modes of its own, which stay with a binary")


@OWN_MODES
def test_the_mode_is_a_number_or_the_old_flag():
    path = compile_file(NAMED, "mod")
    spec = importlib.util.spec_from_file_location("mod", str(path))

    def context(**mode):
        return hpy.universal.load("mod", str(path), spec, **mode).context()

    assert context().startswith("HPy Universal ABI")
    assert context(mode=hpy.universal.MODE_DEBUG).startswith("HPy Debug Mode ABI")
    assert context(debug=True).startswith("HPy Debug Mode ABI")
    # A mode above 0 overrides debug, 0 does not.
    assert context(debug=True, mode=hpy.universal.MODE_UNIVERSAL).startswith("HPy Debug Mode ABI")
    assert context(debug=True, mode=hpy.universal.MODE_TRACE).startswith("HPy Trace Mode ABI")


def test_the_modes_have_their_published_numbers():
    modes = hpy.universal.MODE_UNIVERSAL, hpy.universal.MODE_DEBUG, hpy.universal.MODE_TRACE
    assert modes == (0, 1, 2)


@pytest.mark.newer
@OWN_MODES
def test_both_layers_are_a_mode_too():
    assert hpy.universal.MODE_DEBUG_TRACE == hpy.universal.MODE_DEBUG | hpy.universal.MODE_TRACE


def test_get_version_takes_no_argument():
    with pytest.raises(TypeError):
        hpy.universal.get_version(1)


def bootstrap(env, name="mod"):
    source = """
        FUNC_NOARGS(f) { return NONE; }
        FUNC_NOARGS(context) { return HPyUnicode_FromString(ctx, ctx->name); }
    """
    path = str(compile_file(expand(source, name), name))
    spec = importlib.util.spec_from_file_location(f"package.{name}", path)
    loader = object()
    mod = hpy.universal._load_bootstrap(name, f"package.{name}", "package", path, loader, spec, env)
    return mod, path, spec, loader


def test_the_bootstrap_sets_what_an_imported_module_has():
    mod, path, spec, loader = bootstrap({})
    assert mod.__name__ == "package.mod"
    assert mod.__package__ == "package"
    assert mod.__file__ == path == spec.origin
    assert mod.__loader__ is loader
    assert mod.__spec__ is spec
    assert mod.f() is None


def test_the_log_names_what_is_loaded(capsys):
    bootstrap({"HPY_LOG": "1"})
    assert capsys.readouterr().out == "Loading 'mod' in HPy universal mode\n"
    bootstrap({})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value", ["universal", "UNIVERSAL", "", "mod:universal", "other:debug", "other:trace,mod:universal"])
def test_hpy_chooses_universal_mode(value):
    assert bootstrap({"HPY": value})[0].f() is None


@OWN_MODES
@pytest.mark.parametrize(
    "value, mode, log",
    [
        ("debug", "Debug", "a debug"),
        ("Trace", "Trace", "a trace"),
        ("mod:debug", "Debug", "a debug"),
        ("other:debug,mod:trace", "Trace", "a trace"),
        pytest.param("debug+trace", "Trace", "a debug and a trace", marks=pytest.mark.newer),
        pytest.param("trace+debug", "Trace", "a debug and a trace", marks=pytest.mark.newer),
        pytest.param("other:trace, mod:Debug+Trace", "Trace", "a debug and a trace", marks=pytest.mark.newer),
    ],
)
def test_hpy_chooses_other_modes(value, mode, log, capsys):
    assert bootstrap({"HPY": value, "HPY_LOG": "1"})[0].context().startswith(f"HPy {mode} Mode ABI")
    assert capsys.readouterr().out == f"Loading 'mod' in HPy universal mode with {log} context\n"


@pytest.mark.parametrize(
    "value", ["nonsense", "mod:nonsense", "mod:", "mod:debug,other", "debug,trace", "debug+", "debug+nonsense", "mod:debug+trace+"]
)
def test_a_malformed_hpy_is_an_error_that_shows_the_grammar(value):
    with pytest.raises(ValueError, match=f"^invalid HPy mode: {re.escape(value)}(?:\n|$)") as caught:
        bootstrap({"HPY": value})
    assert "mymodule:debug,other:trace" in help_of(caught.value)


def test_the_environment_may_be_any_mapping():
    class Environment:
        def __init__(self, error):
            self.error = error

        def __getitem__(self, key):
            raise self.error

    assert bootstrap(Environment(KeyError()))[0].f() is None
    with pytest.raises(ZeroDivisionError):
        bootstrap(Environment(ZeroDivisionError()))
    with pytest.raises(TypeError):
        bootstrap({"HPY": 1})


def test_a_module_can_be_loaded_twice(snippet):
    source = "static HPyGlobal g;\nFUNC_O(store) { HPyGlobal_Store(ctx, &g, arg); return NONE; }"
    first, second = snippet(source), snippet(source)
    assert first is not second
    assert first.store is not second.store
    assert first.store(1) is second.store(2) is None


def test_one_binary_serves_every_interpreter():
    """The cache's key does not hold the interpreter: what one has compiled, the next one loads."""
    source = expand("FUNC_O(f) { return HPy_Add(ctx, arg, arg); }", "mod")
    path = compile_file(source, "mod")
    assert load("mod", path).f(21) == 42
    assert re.search(r"\.hpy0\.\w+$", path.name)


@pytest.mark.skipif(not sysconfig.get_config_var("INCLUDEPY"), reason="needs CPython's headers")
def test_a_hybrid_binary_of_this_interpreter_uses_both_apis():
    source = """
    static PyObject *legacy(PyObject *self, PyObject *arg) { return PyNumber_Negative(arg); }
    static PyMethodDef legacy_methods[] = { { "legacy", legacy, METH_O, NULL }, { NULL, NULL, 0, NULL } };
    HPyDef_METH(both, "both", HPyFunc_O)
    static HPy both_impl(HPyContext *ctx, HPy self, HPy arg)
    {
        PyObject *object = HPy_AsPyObject(ctx, arg);
        PyObject *doubled = PyNumber_Add(object, object);
        Py_DECREF(object);
        HPy result = HPy_FromPyObject(ctx, doubled);
        Py_XDECREF(doubled);
        return result;
    }
    static HPyDef *defines[] = { &both, NULL };
    static HPyModuleDef moduledef = { .legacy_methods = legacy_methods, .defines = defines };
    HPy_MODINIT(mod, moduledef)
    """
    tag = parse_ext_suffix()[0]
    path = compile_file("#include <hpy.h>\n" + source, "mod", abi="hybrid")
    assert path.name == f"mod.hpy0-{tag}.so"
    mod = load("mod", path)
    assert mod.legacy(21) == -21
    assert mod.both(21) == 42
    item = [object()]
    before = sys.getrefcount(item)
    for _ in range(100):
        mod.both(item)
    assert sys.getrefcount(item) == before
