"""Every part of the API has a test in every ABI, as docs/conformance.md says; and how tests/conformance.py finds out."""

import sys
import textwrap

import conformance
import conftest
import pytest
from snippet import REFERENCE

pytestmark = [
    pytest.mark.skipif(sys.version_info < (3, 11), reason="the spec is TOML, which older Pythons can't read"),
    pytest.mark.skipif(REFERENCE, reason="about our own tests"),
]


@pytest.fixture(scope="module")
def table():
    return conformance.read()


def test_every_part_of_the_api_is_tested_in_every_abi(table):
    holes = [f"{name}: no test in {', '.join(abis)}" for name, abis in conformance.find_holes(*table)]
    if holes:
        pytest.fail("\n".join(holes), pytrace=False)


def test_the_page_is_up_to_date(table):
    if conformance.PAGE.read_text(encoding="utf-8") != conformance.render(*table):
        pytest.fail(f"docs/conformance.md is stale; run `{conformance.COMMAND}` and commit it", pytrace=False)


def test_the_abis_of_the_harness_are_those_that_tests_run_in(table):
    assert set(table[2]) == {variant.abi for variant in conftest.VARIANTS}


# A harness of two ABIs, and an API of a few names.
CONFTEST = """
VARIANTS = [Variant("universal", "universal"), Variant("cpython", "universal")]

@pytest.fixture
def snippet(variant):
    return lambda source: load("mod", compile_file(source, "mod", variant.abi))
"""
FUNCTIONS = ["HPy_Add", "HPy_Length", "HPyLong_FromLong", "HPyLong_AsLong", "_HPy_New"]
API = {
    "Functions": dict.fromkeys(FUNCTIONS, conformance.ABIS),
    "Slots": dict.fromkeys(["HPy_nb_add", "HPy_tp_repr"], conformance.ABIS),
}


def read_table(source, **modules):
    sources = {"conftest": CONFTEST, "test_it": source, **modules}
    sources = {name: textwrap.dedent(text) for name, text in sources.items()}
    return conformance.read_table(API, {"HPy_New": {"_HPy_New"}}, sources)


def uses(source, abi="universal", **modules):
    """What is used in an ABI, with the number of tests."""
    table, _ = read_table(source, **modules)
    numbers = {name: sum(abis[abi].values()) for name, abis in table.items()}
    return {name: number for name, number in numbers.items() if number}


@pytest.mark.parametrize(
    "source",
    [
        # In the test itself.
        """
        def test_it(snippet):
            snippet("FUNC_O(f) { return HPy_Add(ctx, arg, arg); }").f(1)
        """,
        # In a constant, and through a fixture.
        """
        SOURCE = "FUNC_O(f) { return HPy_Add(ctx, arg, arg); }"

        @pytest.fixture
        def mod(snippet):
            return snippet(SOURCE)

        def test_it(mod):
            assert mod.f(1) == 2
        """,
        # Through a helper that a helper calls, and in code that runs elsewhere.
        """
        def text(name):
            return "HPy_Add(ctx, arg, arg)"

        def whole():
            return "FUNC_O(f) { return " + text() + "; }"

        def test_it(snippet):
            snippet(whole(), "mod.f(1)")
        """,
        # As a word that completes a name.
        """
        SOURCE = "".join(f"FUNC_O({name}) {{ return HPy_{name}(ctx, arg, arg); }}" for name in ["Add", "Length"])

        @pytest.mark.parametrize("name", ["Add"])
        def test_it(snippet, name):
            getattr(snippet(SOURCE), name)(1)
        """,
        """
        @pytest.mark.parametrize("name", ["HPy_Add"])
        def test_it(snippet, name):
            snippet("FUNC_O(f) { return {name}(ctx, arg, arg); }".replace("{name}", name)).f(1)
        """,
        """
        def test_it(snippet):
            part = "Add"
            name = f"HPy_{part}"
            snippet(f"FUNC_O(f) {{ return {name}(ctx, arg, arg); }}").f(1)
        """,
        # In a directive, which belongs to no function.
        """
        SOURCE = '''
            #define TWICE(arg) \\
                HPy_Add(ctx, arg, arg)
            FUNC_O(f) { return TWICE(arg); }
        '''

        def test_it(snippet):
            snippet(SOURCE).f(1)
        """,
    ],
)
def test_what_a_test_uses(source):
    assert uses(source) == uses(source, "cpython") == {"HPy_Add": 1}
    assert uses(source, "hybrid") == {}


@pytest.mark.parametrize(
    "source",
    [
        """
        def test_it(snippet):
            "HPy_Add"
            snippet("FUNC_O(f) { return NONE; }").f(1)  # HPy_Add
        """,
        """
        def test_it(snippet):
            snippet('''
                /* HPy_Add
                   HPy_Add(ctx, arg, arg) */
                FUNC_O(f) { return NONE; } // HPy_Add
            ''').f(1)
        """,
        """
        def test_it(snippet):
            snippet('FUNC_O(f) { return HPyErr_SetString(ctx, ctx->h_ValueError, "HPy_Add"); }').f(1)
        """,
        """
        def test_it(snippet):
            snippet("FUNC_O(f) { return HPy_AddMore(ctx, MyHPy_Add, arg); }").f(1)
        """,
        """
        @pytest.mark.differs("HPy_Add crashes")
        def test_it(snippet):
            with pytest.raises(ValueError, match="HPy_Add"):
                snippet("FUNC_O(f) { return NONE; }").f(1)
        """,
        # Nobody calls the function.
        """
        def test_it(snippet):
            snippet("FUNC_O(f) { return NONE; } FUNC_O(g) { return HPy_Add(ctx, arg, arg); }").f(1)
        """,
        # Nothing is run.
        """
        def test_it(tmp_path):
            compile_file("HPy f(HPyContext *ctx, HPy arg) { return HPy_Add(ctx, arg, arg); }", "mod")
        """,
        # A variable of the test that is called like something of the module.
        """
        SOURCE = "FUNC_O(f) { return HPy_Add(ctx, arg, arg); }"

        def test_it(snippet):
            for SOURCE in ["FUNC_O(f) { return NONE; }"]:
                snippet(SOURCE).f(1)
        """,
    ],
)
def test_what_does_not_count(source):
    assert uses(source) == {}


HELPER = """
ALL = {"nb_add": "HPy self, HPy other", "tp_repr": "HPy self"}

def slot(name, body):
    return f"HPyDef_SLOT({name}, HPy_{name}) static HPy {name}_impl(HPyContext *ctx, {ALL[name]}) {{ {body} }}"
"""


def test_a_helper_of_another_module():
    source = """
        from helper import slot

        @pytest.mark.parametrize("name", ["add"])
        def test_it(snippet, name):
            snippet(slot(f"nb_{name}", "return HPyLong_FromLong(ctx, 1);"))
    """
    # The helper's own table says nothing about the test.
    assert uses(source, helper=HELPER) == {"HPy_nb_add": 1, "HPyLong_FromLong": 1}


@pytest.mark.parametrize("use, name", [("{{ HPy_{part}(ctx, arg); }}", "HPy_Add"), ("SLOT(HPy_{part})", "HPy_nb_add")])
def test_functions_are_called_and_slots_are_not(use, name):
    source = f"""
        def test_it(snippet):
            for part in ["Add", "nb_add"]:
                snippet(f"{use}")
    """
    assert uses(source) == {name: 1}


def test_internal_functions_come_with_what_extensions_say():
    assert uses("def test_it(snippet):\n    snippet('{ HPy_New(ctx, type, &data); }')") == {"_HPy_New": 1}


def test_tests_are_counted():
    source = """
        SOURCE = "FUNC_O(f) { return HPy_Add(ctx, arg, arg); } FUNC_O(g) { return HPyLong_FromLong(ctx, 1); }"

        def test_f(snippet):
            snippet(SOURCE).f(1)

        def test_both(snippet):
            mod = snippet(SOURCE)
            mod.f(mod.g(1))
    """
    assert uses(source) == {"HPy_Add": 2, "HPyLong_FromLong": 1}


def test_tests_that_choose_their_abi():
    source = """
        def test_it():
            load("mod", compile_file("{ HPy_Add(ctx, arg, arg); }", "mod", ABI))
    """
    assert uses(source.replace("ABI", 'abi="hybrid"'), "hybrid") == {"HPy_Add": 1}
    assert uses(source.replace("ABI", '"hybrid"'), "universal") == {}
    assert uses(source.replace(", ABI", ""), "universal") == {"HPy_Add": 1}
    source = """
        pytestmark = pytest.mark.abis("cpython", "hybrid")

        def test_it(snippet):
            snippet("{ HPy_Add(ctx, arg, arg); }")

        @pytest.mark.abis("universal")
        def test_other(snippet):
            snippet("{ HPy_Length(ctx, arg); }")
    """
    # The toy harness has no hybrid ABI.
    assert [abi for abi in conformance.ABIS if uses(source, abi) == {"HPy_Add": 1}] == ["cpython"]
    assert [abi for abi in conformance.ABIS if uses(source, abi) == {"HPy_Length": 1}] == ["universal"]


def test_holes_are_found():
    source = """
        def test_it(snippet):
            snippet("{ HPy_Add(ctx, arg, arg); HPyLong_FromLong(ctx, 1); }")
    """
    legacy = """
        def test_it():
            load("mod", compile_file("{ HPy_Length(ctx, arg); }", "mod", "hybrid"))
    """
    table, harness = read_table(source, test_other=legacy)
    assert harness == ["universal", "cpython"]

    def holes(**names):
        return list(conformance.find_holes({"Functions": names}, table, harness))

    assert holes(HPy_Add=conformance.ABIS, HPyLong_FromLong=conformance.ABIS) == []
    assert holes(HPy_Length=conformance.ABIS) == [("HPy_Length", ["universal", "cpython"])]
    assert holes(HPy_Length=("cpython", "hybrid")) == [("HPy_Length", ["cpython"])]
    assert holes(HPy_Length=("hybrid",), HPyLong_AsLong=("hybrid",)) == [("HPyLong_AsLong", ["hybrid"])]
    page = conformance.render({"Functions": {"HPy_Length": ("cpython", "hybrid")}}, table, harness)
    assert "| `HPy_Length` | - | **no** | yes | [other](../tests/test_other.py) |" in page


def test_the_api_is_read_from_spec_and_headers(tmp_path):
    for path, text in {
        "spec/functions/long.toml": """
            [family]
            title = "Numbers"
            [[function]]
            name = "HPyLong_FromInt64_t"
            [[function]]
            name = "_HPy_New"
        """,
        "spec/functions/legacy.toml": """
            [family]
            title = "Bridge"
            [[function]]
            name = "HPy_AsPyObject"
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
    api, comes_with = conformance.read_api(tmp_path)
    everywhere, legacy = conformance.ABIS, ("cpython", "hybrid")
    assert api == {
        "Bridge": {"HPy_AsPyObject": legacy},
        "Numbers": {"HPyLong_FromInt64_t": everywhere, "_HPy_New": everywhere},
        "Slots": {"HPy_nb_add": everywhere},
        "Values of HPy_Kind": {"HPy_Kind_One": everywhere},
        "Type flags": {"HPy_FLAG": everywhere},
        "Macros": dict.fromkeys(["HPyLong_FromPid", "HPy_NULL", "HPy_New"], everywhere),
        "Helpers": dict.fromkeys(["HPyHelpers_AddType", "HPyLong_FromLong"], everywhere),
    }
    assert comes_with["HPy_New"] == {"_HPy_New"}
    assert comes_with["HPyLong_FromLong"] == set()
