"""Context variables: spec/functions/contextvar.toml."""

import contextvars
import gc
import sys

import pytest

VARIABLES = """
    /* new(name[, default]) */
    FUNC_VARARGS(new)
    {
        const char *name = HPyBytes_AsString(ctx, args[0]);
        return HPyContextVar_New(ctx, name, nargs > 1 ? args[1] : HPy_NULL);
    }
    /* get(variable[, default]): the value, or Ellipsis when there is none. */
    FUNC_VARARGS(get)
    {
        HPy result = ctx->h_False;
        int32_t status = HPyContextVar_Get(ctx, args[0], nargs > 1 ? args[1] : HPy_NULL, &result);
        if (status == -1)
            return HPy_NULL;
        if (status != 0 || HPyErr_Occurred(ctx))
            return HPyErr_SetString(ctx, ctx->h_AssertionError, "a status of its own, or an exception");
        return HPy_IsNull(result) ? HPy_Dup(ctx, ctx->h_Ellipsis) : result;
    }
    FUNC_VARARGS(set) { return HPyContextVar_Set(ctx, args[0], args[1]); }
"""


@pytest.fixture
def mod(snippet):
    return snippet(VARIABLES)


def test_new_variable_is_one_of_the_module_contextvars(mod):
    variable = mod.new("größe".encode())
    assert type(variable) is contextvars.ContextVar
    assert variable.name == "größe"
    with pytest.raises(LookupError):
        variable.get()


@pytest.mark.parametrize("default", [None, 0, [1]])
def test_new_variable_can_have_any_default(mod, default):
    variable = mod.new(b"v", default)
    assert variable.get() is default
    assert mod.get(variable) is default


def test_variables_of_one_name_are_different(mod):
    one, other = mod.new(b"v"), mod.new(b"v")
    assert one is not other
    mod.set(one, 1)
    assert mod.get(other) is ...


def test_name_has_to_be_utf8(mod):
    with pytest.raises(UnicodeDecodeError):
        mod.new(b"\xff")


def test_get_prefers_the_value_then_the_argument_then_the_default(mod):
    variable = mod.new(b"v", "own")
    assert mod.get(variable) == "own"
    assert mod.get(variable, "given") == "given"
    assert mod.get(variable, None) is None
    mod.set(variable, "value")
    assert mod.get(variable) == "value"
    assert mod.get(variable, "given") == "value"


def test_nothing_to_get_is_null_without_an_exception(mod):
    variable = mod.new(b"v")
    assert mod.get(variable) is ...
    assert mod.get(variable, "given") == "given"
    mod.set(variable, None)
    assert mod.get(variable) is None


def test_variables_of_python_work_too(mod):
    variable = contextvars.ContextVar("v", default="own")
    assert mod.get(variable) == "own"
    token = mod.set(variable, "value")
    assert variable.get() == "value"
    variable.reset(token)
    assert mod.get(variable) == "own"


def test_token_of_set_takes_the_change_back(mod):
    variable = mod.new(b"v")
    first = mod.set(variable, 1)
    second = mod.set(variable, 2)
    assert type(first) is contextvars.Token
    assert first.var is variable
    assert first.old_value is contextvars.Token.MISSING
    assert second.old_value == 1
    variable.reset(second)
    assert mod.get(variable) == 1
    variable.reset(first)
    assert mod.get(variable) is ...


def test_each_context_has_its_own_value(mod):
    variable = mod.new(b"v", "own")
    context = contextvars.copy_context()
    context.run(mod.set, variable, "inside")
    assert context.run(mod.get, variable) == "inside"
    assert context[variable] == "inside"
    assert mod.get(variable) == "own"


@pytest.mark.parametrize("value", [None, 42, "v", contextvars.copy_context()])
def test_other_objects_are_no_variables(mod, value):
    with pytest.raises(TypeError):
        mod.get(value)
    with pytest.raises(TypeError):
        mod.get(value, "given")
    with pytest.raises(TypeError):
        mod.set(value, 1)


def test_references_to_values_are_neither_lost_nor_leaked(mod):
    default, given, value = object(), object(), object()
    before = [sys.getrefcount(each) for each in (default, given, value)]

    def use():
        for _ in range(50):
            variable = mod.new(b"v", default)
            assert mod.get(variable) is default
            assert mod.get(variable, given) is given
            token = mod.set(variable, value)
            assert mod.get(variable, given) is value
            mod.set(variable, given)
            variable.reset(token)
            with pytest.raises(TypeError):
                mod.set(default, value)

    contextvars.copy_context().run(use)
    gc.collect()
    after = [sys.getrefcount(each) for each in (default, given, value)]
    assert after == before
