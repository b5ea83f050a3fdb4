"""The constant handles of the context: spec/constants.toml."""

import ast
import builtins
import datetime
from pathlib import Path

import pytest


def read_constants():
    """The tables of the file, which has values of one line only. Python literals are written as TOML's are."""
    tables = []
    path = Path(__file__).parent.parent / "spec" / "constants.toml"
    for line in path.read_text(encoding="utf-8").splitlines():
        if line == "[[constant]]":
            tables.append({})
        elif line and not line.startswith("#"):
            key, value = line.split(" = ", 1)
            tables[-1][key] = ast.literal_eval(value)
    return tables


CONSTANTS = read_constants()


@pytest.mark.parametrize("since", ["0.9.0", pytest.param("0.9-head", marks=pytest.mark.newer)])
def test_each_constant_is_the_object_that_python_names(snippet, since):
    constants = [constant for constant in CONSTANTS if constant["since"] == since]
    handles = ", ".join(f"ctx->{constant['name']}" for constant in constants)
    mod = snippet(f"""
        FUNC_NOARGS(constants)
        {{
            HPy all[] = {{ {handles} }};
            return HPyTuple_FromArray(ctx, all, sizeof all / sizeof all[0]);
        }}
    """)
    values = mod.constants()
    assert len(values) == len(constants) > 0
    for constant, value in zip(constants, values):
        expected = eval(constant["python"], {"builtins": builtins, "datetime": datetime})
        assert value is expected, constant["name"]


def test_every_version_of_constants_is_tested():
    assert {constant["since"] for constant in CONSTANTS} == {"0.9.0", "0.9-head"}


def test_capsules_are_of_the_type_of_capsules(snippet):
    mod = snippet("""
        static int anything;
        FUNC_NOARGS(capsule) { return HPyCapsule_New(ctx, &anything, NULL, NULL); }
        FUNC_NOARGS(capsule_type) { return HPy_Dup(ctx, ctx->h_CapsuleType); }
    """)
    assert type(mod.capsule()) is mod.capsule_type()
