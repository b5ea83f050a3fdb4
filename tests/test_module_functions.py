"""Functions of modules: the four kinds of HPyDef_METH, what they get and how they are described."""

import sys

import pytest

KINDS = """
    static HPy pack(HPyContext *ctx, const HPy *args, size_t nargs)
    {
        return HPyTuple_FromArray(ctx, (HPy *)args, (HPy_ssize_t)nargs);
    }
    FUNC_NOARGS(noargs) { return HPy_Dup(ctx, self); }
    FUNC_O(o) { return HPy_Dup(ctx, arg); }
    FUNC_O(o_self) { return HPy_Dup(ctx, self); }
    FUNC_VARARGS(varargs) { return pack(ctx, args, nargs); }
    FUNC_VARARGS(varargs_self) { return HPy_Dup(ctx, self); }
    /* (positional arguments, keyword values, their names) */
    FUNC_KEYWORDS(keywords)
    {
        size_t count = HPy_IsNull(kwnames) ? 0 : (size_t)HPy_Length(ctx, kwnames);
        HPy parts[] = {
            pack(ctx, args, nargs),
            pack(ctx, args + nargs, count),
            HPy_IsNull(kwnames) ? NONE : HPy_Dup(ctx, kwnames),
        };
        HPy result = HPyTuple_FromArray(ctx, parts, 3);
        for (int i = 0; i < 3; i++)
            HPy_Close(ctx, parts[i]);
        return result;
    }
    FUNC_KEYWORDS(keywords_self) { return HPy_Dup(ctx, self); }

    FUNC_NOARGS(null_without_exception) { return HPy_NULL; }
    FUNC_NOARGS(result_with_exception)
    {
        HPyErr_SetString(ctx, ctx->h_KeyError, "ignored");
        return NONE;
    }
"""


@pytest.fixture
def mod(snippet):
    return snippet(KINDS)


def test_self_is_the_module(mod):
    assert mod.noargs() is mod
    assert mod.o_self(1) is mod
    assert mod.varargs_self(1) is mod
    assert mod.keywords_self(1, a=2) is mod
    # Also without the module at hand.
    function = mod.o_self
    assert function(1) is mod


@pytest.mark.parametrize("args, kwargs", [((1,), {}), ((1, 2), {}), ((), {"a": 1})])
def test_noargs_takes_nothing(mod, args, kwargs):
    with pytest.raises(TypeError):
        mod.noargs(*args, **kwargs)


@pytest.mark.parametrize("args, kwargs", [((), {}), ((1, 2), {}), ((), {"arg": 1}), ((1,), {"arg": 1})])
def test_o_takes_one_positional_argument(mod, args, kwargs):
    value = object()
    assert mod.o(value) is value
    with pytest.raises(TypeError):
        mod.o(*args, **kwargs)


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_varargs_takes_any_number_of_positional_arguments(mod, count):
    args = tuple(object() for _ in range(count))
    assert mod.varargs(*args) == args


@pytest.mark.parametrize("args", [(), (1,)])
def test_varargs_takes_no_keywords(mod, args):
    with pytest.raises(TypeError):
        mod.varargs(*args, a=1)


def test_keyword_values_follow_the_positional_ones(mod):
    assert mod.keywords(1, 2, b=3, a=4) == ((1, 2), (3, 4), ("b", "a"))
    assert mod.keywords(b=3, a=4) == ((), (3, 4), ("b", "a"))
    many = {f"k{number}": object() for number in range(300)}
    assert mod.keywords(1, **many) == ((1,), tuple(many.values()), tuple(many))


def test_names_are_null_without_keywords(mod):
    assert mod.keywords() == ((), (), None)
    assert mod.keywords(1, 2) == ((1, 2), (), None)
    assert mod.keywords(*[1], **{}) == ((1,), (), None)


def test_keyword_values_may_have_any_names(mod):
    assert mod.keywords(**{"not a name": 1, "größe": 2, "": 3}) == ((), (1, 2, 3), ("not a name", "größe", ""))
    with pytest.raises(TypeError):
        mod.keywords(**{1: 2})


@pytest.mark.misuse("results that do not agree with exceptions")
def test_result_and_exception_of_a_function_have_to_agree(mod):
    with pytest.raises(SystemError):
        mod.null_without_exception()
    with pytest.raises(SystemError):
        mod.result_with_exception()


def test_arguments_keep_their_references_and_results_are_given_away(mod):
    value, keywords = object(), {"a": None}
    keywords["a"] = value
    before = sys.getrefcount(value), sys.getrefcount(mod)
    for _ in range(50):
        assert mod.o(value) is value
        assert mod.varargs(value, value) == (value, value)
        assert mod.keywords(value, **keywords) == ((value,), (value,), ("a",))
        assert mod.noargs() is mod
    after = sys.getrefcount(value), sys.getrefcount(mod)
    assert after == before


DESCRIBED = """
    HPyDef_METH(documented, "documented", HPyFunc_O, .doc = "Gibt zurück, was es bekommt.")
    static HPy documented_impl(HPyContext *ctx, HPy self, HPy arg) { return HPy_Dup(ctx, arg); }
    EXPORT(documented)

    HPyDef_METH(with_signature, "with_signature", HPyFunc_O,
                .doc = "with_signature($module, value, /)\\n--\\n\\nSays how.")
    static HPy with_signature_impl(HPyContext *ctx, HPy self, HPy arg) { return HPy_Dup(ctx, arg); }
    EXPORT(with_signature)

    HPyDef_METH(symbol, "another name", HPyFunc_NOARGS)
    static HPy symbol_impl(HPyContext *ctx, HPy self) { return NONE; }
    EXPORT(symbol)

    HPyDef_METH_IMPL(alias, "alias", implementation, HPyFunc_O)
    static HPy implementation(HPyContext *ctx, HPy self, HPy arg) { return HPy_Dup(ctx, arg); }
    EXPORT(alias)
"""


@pytest.mark.differs("a second definition with the same implementation does not compile with 0.9.0's headers")
def test_functions_can_share_an_implementation(snippet):
    mod = snippet("""
        FUNC_O(identity) { return HPy_Dup(ctx, arg); }
        HPyDef_METH_IMPL(same, "same", identity_impl, HPyFunc_O, .doc = "By another name.")
        EXPORT(same)
    """)
    assert (mod.identity(1), mod.same(2), mod.same.__doc__) == (1, 2, "By another name.")


def test_functions_are_described(snippet):
    mod = snippet(DESCRIBED)
    function = mod.documented
    assert (function.__name__, function.__qualname__, function.__module__) == ("documented", "documented", "mod")
    assert function.__doc__ == "Gibt zurück, was es bekommt."
    assert mod.alias.__doc__ is None
    assert mod.with_signature.__doc__ == "Says how."
    assert mod.with_signature.__text_signature__ == "($module, value, /)"


def test_name_and_implementation_need_not_be_named_as_the_definition(snippet):
    mod = snippet(DESCRIBED)
    assert not hasattr(mod, "symbol")
    assert getattr(mod, "another name")() is None
    assert mod.alias(42) == 42


@pytest.mark.differs("0.9.0 lets libc take over such names, and silently loses the function")
@pytest.mark.abis("universal")  # Python.h includes the header that declares them
def test_a_definition_may_be_called_like_a_function_of_libc(snippet):
    mod = snippet(
        """
        FUNC_O(dup) { return HPy_Dup(ctx, arg); }
        FUNC_O(warn) { return HPy_Dup(ctx, arg); }
        FUNC_O(index) { return HPy_Dup(ctx, arg); }
        """
    )
    assert mod.dup(1) == mod.warn(1) == mod.index(1) == 1


@pytest.mark.abis("universal")
def test_thousands_of_functions(run_snippet):
    # The runtime has short ways into 2048 functions of a kind; the others are called by the binary's trampolines.
    functions = (f"FUNC_NOARGS(f{i}) {{ return HPyLong_FromLong(ctx, {i}); }}" for i in range(2200))
    ran = run_snippet(
        "\n".join(functions),
        """
        for _ in range(2):
            assert [getattr(mod, f"f{i}")() for i in range(2200)] == list(range(2200))
        """,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
