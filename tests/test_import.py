"""Importing: spec/functions/import.toml."""

import builtins
import importlib
import os.path
import sys
import types
import xml.dom.minidom

import pytest


@pytest.fixture
def mod(snippet):
    return snippet("""
        FUNC_O(load) { return HPyImport_ImportModule(ctx, HPyBytes_AsString(ctx, arg)); }
    """)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """package(name=source, ...): writes modules of a new package `hpytestpkg`, which is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "hpytestpkg"
    folder.mkdir()

    def write(**sources):
        for name, source in {"__init__": "", **sources}.items():
            (folder / f"{name}.py").write_text(source, encoding="utf-8")
        importlib.invalidate_caches()

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == "hpytestpkg"]:
        del sys.modules[name]


def test_module_is_the_one_in_sys_modules(mod):
    assert mod.load(b"sys") is sys
    assert mod.load(b"os") is os


def test_dotted_name_gives_the_submodule(mod):
    assert mod.load(b"os.path") is os.path
    assert mod.load(b"xml.dom.minidom") is xml.dom.minidom


def test_module_is_imported_with_its_package(mod, package):
    package(one="value = 1")
    one = mod.load(b"hpytestpkg.one")
    assert one.value == 1
    assert one.__name__ == "hpytestpkg.one"
    assert sys.modules["hpytestpkg"].one is one


def test_code_of_a_module_runs_at_the_first_import_only(mod, package, monkeypatch):
    log = []
    monkeypatch.setattr(sys, "hpy_test_log", log, raising=False)
    package(one="import sys; sys.hpy_test_log.append(__name__)")
    first = mod.load(b"hpytestpkg.one")
    before = sys.getrefcount(first)
    for _ in range(100):
        assert mod.load(b"hpytestpkg.one") is first
    assert log == ["hpytestpkg.one"]
    assert sys.getrefcount(first) == before


def test_name_may_have_any_characters(mod, package):
    package(**{"caf\xe9": "value = 2"})
    assert mod.load("hpytestpkg.caf\xe9".encode()).value == 2


@pytest.mark.parametrize("name", [b"no_such_module_at_all", b"os.no_such_module", b"os.path.", b"no_such_package.sys"])
def test_missing_module_is_a_module_not_found_error(mod, name):
    with pytest.raises(ModuleNotFoundError):
        mod.load(name)


def test_empty_name_is_a_value_error(mod):
    with pytest.raises(ValueError):
        mod.load(b"")


@pytest.mark.parametrize("name", [b"\xff", b"os\xe9", b"os.\xed\xa0\x80"])
@pytest.mark.misuse("no UTF-8")
def test_name_that_is_not_utf8_is_a_decode_error(mod, name):
    with pytest.raises(UnicodeDecodeError):
        mod.load(name)


def test_relative_name_does_not_work(mod, package, monkeypatch):
    monkeypatch.setattr(sys, "hpy_test_load", mod.load, raising=False)
    package(one="import sys; sys.hpy_test_load(b'.two')", two="")
    with pytest.raises(ModuleNotFoundError):
        mod.load(b"hpytestpkg.one")


@pytest.mark.parametrize("error", ["ZeroDivisionError", "KeyboardInterrupt", "SyntaxError"])
def test_what_the_code_raises_is_passed_on_and_the_module_forgotten(mod, package, error):
    package(one=f"raise {error}")
    for _ in range(2):
        with pytest.raises(getattr(builtins, error)):
            mod.load(b"hpytestpkg.one")
        assert "hpytestpkg.one" not in sys.modules


def test_module_may_import_itself_while_it_runs(mod, package, monkeypatch):
    monkeypatch.setattr(sys, "hpy_test_load", mod.load, raising=False)
    package(one="import sys; early = 1; itself = sys.hpy_test_load(b'hpytestpkg.one'); seen = dir(itself); late = 2")
    one = mod.load(b"hpytestpkg.one")
    assert one.itself is one
    assert "early" in one.seen and "late" not in one.seen


def test_whatever_is_in_sys_modules_is_returned(mod, monkeypatch):
    stranger = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "hpytestpkg", stranger)
    assert mod.load(b"hpytestpkg") is stranger


def test_none_in_sys_modules_blocks_the_import(mod, monkeypatch):
    monkeypatch.setitem(sys.modules, "hpytestpkg", None)
    with pytest.raises(ModuleNotFoundError):
        mod.load(b"hpytestpkg")


def test_import_goes_through_the_import_function(mod, monkeypatch):
    calls, original = [], builtins.__import__

    def hook(name, *args):
        calls.append((name, args[3:]))
        if name == "hpytestpkg":
            raise ZeroDivisionError
        return original(name, *args)

    monkeypatch.setattr(builtins, "__import__", hook)
    assert mod.load(b"os.path") is os.path
    with pytest.raises(ZeroDivisionError):
        mod.load(b"hpytestpkg")
    # The last argument is the level: never relative to a package.
    assert calls == [("os.path", (0,)), ("hpytestpkg", (0,))]


def test_import_function_has_to_register_the_module(mod, monkeypatch):
    module = types.ModuleType("hpytestpkg")
    monkeypatch.setattr(builtins, "__import__", lambda *args: module)
    with pytest.raises(KeyError):
        mod.load(b"hpytestpkg")
    monkeypatch.setitem(sys.modules, "hpytestpkg", module)
    assert mod.load(b"hpytestpkg") is module
