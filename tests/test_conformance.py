"""Tests use every part of the API in every ABI, as docs/conformance.md says; and how tests/conformance.py finds out."""

import re
import sys
import textwrap

import conformance
import conftest
import pytest
from conformance import ABIS, Api, Use
from snippet import REFERENCE

pytestmark = [
    pytest.mark.skipif(sys.version_info < (3, 11), reason="the spec is TOML, which older Pythons can't read"),
    pytest.mark.skipif(REFERENCE, reason="about our own tests"),
]


@pytest.fixture(scope="module")
def api():
    return conformance.read_api()


@pytest.fixture(scope="module")
def page():
    return conformance.PAGE.read_text(encoding="utf-8")


def test_every_part_of_the_api_is_used_in_every_abi(api, page):
    holes = list(conformance.find_holes(api, conformance.read_page(page)))
    if holes:
        advice = f"write tests of what is new, and have `{conformance.COMMAND}` record them"
        pytest.fail("\n".join([*holes, advice]), pytrace=False)


def test_the_page_is_as_it_is_written(api, page):
    if page != conformance.render(api, conformance.read_page(page)):
        pytest.fail(f"docs/conformance.md is stale; run `{conformance.COMMAND}` and commit it", pytrace=False)


def test_the_files_on_the_page_are_there(page):
    files = {file for use in conformance.read_page(page).values() for file in use.files}
    missing = sorted(file for file in files if not (conformance.TESTS / f"{file}.py").exists())
    assert not missing, f"run `{conformance.COMMAND}`"


def test_the_abis_are_those_that_tests_run_in():
    assert set(ABIS) == {variant.abi for variant in conftest.VARIANTS}


# Recording

SUITE = '''
import pytest

SOURCE = """
    FUNC_O(add) { return HPy_Add(ctx, arg, arg); }
    FUNC_O(subtract) { return HPy_Subtract(ctx, arg, arg); }
    /* HPy_CallMethodTupleDict */
    FUNC_NOARGS(text) { return HPyUnicode_FromString(ctx, "HPy_BuildValue"); }
    FUNC_O(none) { return HPyTuple_Pack(ctx, 0); } // HPy_DelAttr
"""

def test_calls_one(snippet):
    assert snippet(SOURCE).add(1) == 2

def test_fails(snippet):
    assert snippet(SOURCE + "FUNC_O(h) { return HPy_Negative(ctx, arg); }").h(1) == 1

def test_skips(snippet):
    snippet(SOURCE + "FUNC_O(h) { return HPy_Positive(ctx, arg); }").h(1)
    pytest.skip("after the call")

@pytest.mark.abis("universal")
def test_in_one_abi(snippet):
    snippet(SOURCE + "FUNC_O(h) { return HPy_Invert(ctx, arg); }").h(1)

def test_fails_in_one_abi(snippet, variant):
    snippet(SOURCE + "FUNC_O(h) { return HPy_Long(ctx, arg); }").h(1)
    assert variant.abi != "cpython"

def test_has_other_c_in_each_abi(snippet, variant):
    getattr(snippet(SOURCE + f"FUNC_O({variant.abi}) {{ return HPy_Absolute(ctx, arg); }}"), variant.abi)(1)

def test_in_another_process(run_snippet):
    assert run_snippet(SOURCE, "mod.subtract(1)").returncode == 0

def test_without_abi():
    from loading import load
    from snippet import compile_file, expand

    load("mod", compile_file(expand(SOURCE, "mod"), "mod"), "trace").subtract(1)
'''


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has a trace mode of its own")
def test_recording(tmp_path, monkeypatch, capfd, api):
    suite = tmp_path / "test_suite.py"
    suite.write_text(SUITE, encoding="utf-8")
    # The suite is elsewhere, and would have no fixtures.
    monkeypatch.setenv("PYTEST_PLUGINS", "conftest")
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "1")
    page = conformance.PAGE.read_bytes()
    assert conformance.main(["--record", str(suite)]) == 1
    assert conformance.PAGE.read_bytes() == page
    output = capfd.readouterr().out
    used = {name: tuple(abis.split(", ")) for name, abis in re.findall(r"^(\w+): ([a-z, ]+)$", output, re.MULTILINE)}
    assert {name: abis for name, abis in used.items() if name in api.members} == {
        "HPy_Add": ABIS,
        "HPy_Absolute": ("universal", "hybrid"),
        "HPy_Invert": ("universal",),
        "HPy_Long": ("universal", "hybrid"),
    }
    assert {name: abis for name, abis in used.items() if name not in api.members} == {
        "HPyTuple_Pack": ABIS,
        "HPy_MODINIT": ABIS,
    }
    failed = output.partition("tests failed, and are not recorded:\n")[2].splitlines()
    assert [test.rpartition("::")[2] for test in failed] == [
        "test_fails[cpython-cpython]",
        "test_fails[hybrid-trace]",
        "test_fails[universal-trace]",
        "test_fails_in_one_abi[cpython-cpython]",
    ]


# The page

TOY = Api(
    functions={"Functions": {"HPy_Add": ABIS, "HPy_Legacy": ABIS[1:], "HPy_FatalError": ABIS}},
    others={"Slots": {"HPy_nb_add": ABIS}},
    members={"HPy_Add": "ctx_Add", "HPy_Legacy": "ctx_Legacy"},
)


def test_functions_are_used_by_calls_and_all_else_by_words():
    universal = {"test_number": 2, "test_a": 2, "test_b": 1, "test_list": 3}
    record = {
        "calls": {"ctx_Add": {"universal": universal, "hybrid": {"test_c": 1}}},
        "words": {
            "HPy_Legacy": {"hybrid": {"test_legacy": 1}},
            "HPy_FatalError": {"universal": {"test_error": 1}},
            "HPy_nb_add": {"cpython": {"test_type": 1}},
            "int": {"cpython": {"test_type": 1}},
        },
    }
    assert conformance.find_uses(TOY, record) == {
        "HPy_Add": Use(["universal", "hybrid"], ["test_a", "test_list", "test_number"]),
        "HPy_Legacy": Use([], []),
        "HPy_FatalError": Use(["universal"], ["test_error"]),
        "HPy_nb_add": Use(["cpython"], ["test_type"]),
    }


def test_holes_are_found():
    uses = {"HPy_Add": Use(ABIS, []), "HPy_Legacy": Use(["hybrid"], []), "HPy_nb_add": Use(ABIS, []), "HPy_Gone": Use(ABIS, [])}
    assert list(conformance.find_holes(TOY, uses)) == [
        "HPy_Legacy: no test in cpython",
        "HPy_FatalError: no test in universal, cpython, hybrid",
        "HPy_Gone: not in the API",
    ]


def test_the_page_can_be_read_again():
    uses = {
        "HPy_Add": Use(["universal", "cpython", "hybrid"], ["test_list", "test_number"]),
        "HPy_Legacy": Use(["hybrid"], ["test_legacy"]),
        "HPy_FatalError": Use(["universal", "cpython", "hybrid"], ["test_error"]),
        "HPy_nb_add": Use([], []),
    }
    page = conformance.render(TOY, uses)
    assert "| `HPy_Legacy` | - | **no** | yes | [legacy](../tests/test_legacy.py) |" in page
    assert "| `HPy_FatalError` | read | read | read | [error](../tests/test_error.py) |" in page
    assert conformance.read_page(page) == uses


def test_the_api_is_read_from_spec_and_headers(tmp_path):
    for path, text in {
        "spec/functions/long.toml": """
            [family]
            title = "Numbers"
            [[function]]
            name = "HPyLong_FromInt64_t"
            member = "ctx_Long_FromInt64_t"
            fails = "null"
            [[function]]
            name = "_HPy_New"
            member = "ctx_New"
            fails = "null"
            [[function]]
            name = "_HPy_Trampoline"
            member = "ctx_Trampoline"
            fails = "never"
            runtime_only = true
            [[function]]
            name = "HPy_FatalError"
            member = "ctx_FatalError"
            fails = "aborts"
        """,
        "spec/functions/legacy.toml": """
            [family]
            title = "Bridge"
            [[function]]
            name = "HPy_AsPyObject"
            member = "ctx_AsPyObject"
            fails = "null"
        """,
        "spec/slots.toml": """
            [[slot]]
            name = "HPy_nb_add"
            [[slot]]
            name = "HPy_tp_iter"
            reserved = true
        """,
        "spec/enums.toml": """
            [[enum]]
            name = "HPy_Kind"
            values = [{ name = "HPy_Kind_One" }, { name = "_HPy_Hidden" }]
            [[flag]]
            name = "HPy_FLAG"
        """,
        "include/hpy.h": """
            #define HPY_VERSION 1
            #define HPyAPI_FUNC static inline
            #define HPy_NULL _hconv(0)
            #define HPyLong_FromPid HPyLong_FromLong
            /* #define HPy_Forgotten(x) x */
            #  define HPy_New(ctx, type, data) \\
                _HPy_NewInto(ctx, type, data)
            #define _HPy_INTERNAL(x) x
        """,
        "include/hpy/functions.h": """
            HPyAPI_FUNC HPy HPyLong_FromInt64_t(HPyContext *ctx, int64_t v) { return ctx->ctx_FromInt64(ctx, v); }
            HPyAPI_FUNC _HPY_LEGACY cpy_PyObject *HPy_AsPyObject(HPyContext *ctx, HPy h)
            {
                return ctx->ctx_AsPyObject(ctx, h);
            }
            HPyAPI_FUNC HPy HPyLong_FromLong(HPyContext *ctx, long v)
            {
                if (v) {
                    return HPyLong_FromInt64_t(ctx, v);
                }
            }
            HPyAPI_FUNC HPy _HPy_NewInto(HPyContext *ctx, HPy type, void *data) { return _HPy_New(ctx, type, data); }
            HPyAPI_HELPER int HPyHelpers_AddType(HPyContext *ctx, HPy obj,
                                                 const char *name);
        """,
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(textwrap.dedent(text))
    legacy = ("cpython", "hybrid")
    assert conformance.read_api(tmp_path) == Api(
        functions={
            "Bridge": {"HPy_AsPyObject": legacy},
            "Numbers": {
                "HPyLong_FromInt64_t": ABIS,
                "_HPy_New": ABIS,
                "_HPy_Trampoline": ("universal", "hybrid"),
                "HPy_FatalError": ABIS,
            },
        },
        others={
            "Slots": {"HPy_nb_add": ABIS},
            "Values of HPy_Kind": {"HPy_Kind_One": ABIS},
            "Type flags": {"HPy_FLAG": ABIS},
            "Macros": dict.fromkeys(["HPyLong_FromPid", "HPy_NULL", "HPy_New"], ABIS),
            "Helpers": dict.fromkeys(["HPyHelpers_AddType", "HPyLong_FromLong"], ABIS),
        },
        members={
            "HPy_AsPyObject": "ctx_AsPyObject",
            "HPyLong_FromInt64_t": "ctx_Long_FromInt64_t",
            "_HPy_New": "ctx_New",
        },
    )
