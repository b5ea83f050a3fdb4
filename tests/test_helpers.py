"""Common steps of extensions: HPyHelpers_AddType and HPyHelpers_PackArgsAndKeywords (include/hpy/runtime/helpers.h)."""

import sys

import pytest
from raising import failure

PACKING = """
    static HPy pair(HPyContext *ctx, HPy first, HPy second)
    {
        HPy none = ctx->h_None;
        HPy result = HPy_BuildValue(ctx, "OO", HPy_IsNull(first) ? none : first, HPy_IsNull(second) ? none : second);
        HPy_Close(ctx, first);
        HPy_Close(ctx, second);
        return result;
    }
    FUNC_KEYWORDS(pack)
    {
        HPy positional, keywords;
        if (HPyHelpers_PackArgsAndKeywords(ctx, args, nargs, kwnames, &positional, &keywords) != 1)
            return HPy_NULL;
        return pair(ctx, positional, keywords);
    }
    /* Calls the first argument with the others. */
    FUNC_KEYWORDS(forward)
    {
        HPy positional, keywords, result;
        if (!HPyHelpers_PackArgsAndKeywords(ctx, args + 1, nargs - 1, kwnames, &positional, &keywords))
            return HPy_NULL;
        result = HPy_CallTupleDict(ctx, args[0], positional, keywords);
        HPy_Close(ctx, positional);
        HPy_Close(ctx, keywords);
        return result;
    }
    /* pack_by(names, arguments...), all positional ones but as many as there are names */
    FUNC_VARARGS(pack_by)
    {
        HPy positional, keywords;
        HPy_ssize_t names = HPy_Length(ctx, args[0]);
        if (!HPyHelpers_PackArgsAndKeywords(ctx, args + 1, nargs - 1 - (size_t)names, args[0], &positional, &keywords))
            return HPy_NULL;
        return pair(ctx, positional, keywords);
    }
    FUNC_NOARGS(pack_nothing)
    {
        HPy positional = ctx->h_None, keywords = ctx->h_None;
        if (!HPyHelpers_PackArgsAndKeywords(ctx, NULL, 0, HPy_NULL, &positional, &keywords))
            return HPy_NULL;
        return HPyBool_FromBool(ctx, HPy_IsNull(positional) && HPy_IsNull(keywords));
    }

    /* Returns null after a failure as it should be: 0, an exception, and results as they were. */
    static HPy failed(HPyContext *ctx, int result, HPy first, HPy second)
    {
        if (result == 0 && HPyErr_Occurred(ctx) && HPy_Is(ctx, first, ctx->h_True) && HPy_Is(ctx, second, ctx->h_True))
            return HPy_NULL;
        HPyErr_Clear(ctx);
        return NONE;
    }
    FUNC_VARARGS(no_positional)
    {
        HPy result = ctx->h_True;
        return failed(ctx, HPyHelpers_PackArgsAndKeywords(ctx, args, nargs, HPy_NULL, NULL, &result), result, result);
    }
    FUNC_VARARGS(no_keywords)
    {
        HPy result = ctx->h_True;
        return failed(ctx, HPyHelpers_PackArgsAndKeywords(ctx, args, nargs, HPy_NULL, &result, NULL), result, result);
    }
    FUNC_VARARGS(no_results)
    {
        int result = HPyHelpers_PackArgsAndKeywords(ctx, args, nargs, HPy_NULL, NULL, NULL);
        return failed(ctx, result, ctx->h_True, ctx->h_True);
    }
    FUNC_VARARGS(names_are)
    {
        HPy first = ctx->h_True, second = ctx->h_True;
        int result = HPyHelpers_PackArgsAndKeywords(ctx, args + 1, 1, args[0], &first, &second);
        return failed(ctx, result, first, second);
    }
"""


@pytest.fixture
def mod(snippet):
    return snippet(PACKING)


def test_arguments_become_a_tuple_and_a_dict(mod):
    assert mod.pack(1, "2", None, a="b", größe=None) == ((1, "2", None), {"a": "b", "größe": None})
    assert mod.pack(1) == ((1,), None)
    assert mod.pack(a=1) == (None, {"a": 1})
    assert mod.pack() == (None, None)
    assert list(mod.pack(z=1, a=2, m=3)[1]) == ["z", "a", "m"]
    assert mod.pack(*range(50), **{f"k{i}": i for i in range(50)}) == (
        tuple(range(50)),
        {f"k{i}": i for i in range(50)},
    )


def test_there_need_be_no_arguments(mod):
    assert mod.pack_nothing() is True
    assert mod.pack_by((), 1) == ((1,), None)
    assert mod.pack_by(()) == (None, None)


def test_packed_arguments_can_be_called_with(mod):
    assert mod.forward(dict, [("a", 1)], b=2) == {"a": 1, "b": 2}
    assert mod.forward(sorted, [2, 3, 1], reverse=True) == [3, 2, 1]
    assert mod.forward(dict, b=2) == {"b": 2}
    assert mod.forward(dict) == {}


def test_names_may_be_any_objects(mod):
    assert mod.pack_by(("a", 2), 1, "x", "y") == ((1,), {"a": "x", 2: "y"})
    assert mod.pack_by(["a"], "x") == (None, {"a": "x"})
    assert mod.pack_by(("a", "a"), "x", "y") == (None, {"a": "y"})


def test_results_have_to_be_wanted(mod):
    no_positional = (SystemError, "argument 'out_pos_args' must not be NULL")
    assert failure(mod.no_positional, 1) == no_positional
    assert failure(mod.no_keywords, 1) == (SystemError, "argument 'out_kwd' must not be NULL")
    assert failure(mod.no_results, 1) == no_positional


class Unfriendly:
    """A sequence of names that fails at one of its two items."""

    def __init__(self, position):
        self.position = position

    def __len__(self):
        return 2

    def __getitem__(self, index):
        if index == self.position:
            raise LookupError(f"at {index}")
        return f"name {index}"


def test_failures_leave_the_results_alone(mod):
    with pytest.raises(TypeError):
        mod.names_are(5, 1, 2, 3)
    with pytest.raises(TypeError):
        mod.names_are(([],), 1, 2)
    assert failure(mod.names_are, Unfriendly(0), 1, 2, 3) == (LookupError, "at 0")
    assert failure(mod.names_are, Unfriendly(1), 1, 2, 3) == (LookupError, "at 1")


def test_packing_keeps_no_reference(mod):
    things = [object(), object(), object()]
    calls = [Unfriendly(1), ("a", []), ("a", "b"), ()]
    before = [sys.getrefcount(it) for it in things]
    for names in calls * 50:
        mod.pack(*things[:2], a=things[2], b=things[0])
        try:
            mod.pack_by(names, *things)
        except (LookupError, TypeError):
            pass
    assert [sys.getrefcount(it) for it in things] == before


ADD_TYPE = """
    static HPyType_Spec good = { .name = "mytest.Thing" };
    static HPyType_Spec bad = { .name = "mytest.Thing", .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_HAVE_GC };
    /* The result of HPyHelpers_AddType, if that is 1 or comes with an exception. */
    static HPy added(HPyContext *ctx, int result)
    {
        if (result == 0)
            return HPy_NULL;
        return HPyErr_Occurred(ctx) ? NONE : HPyLong_FromInt32_t(ctx, result);
    }
    FUNC_O(add) { return added(ctx, HPyHelpers_AddType(ctx, arg, "Thing", &good, NULL)); }
    FUNC_O(add_bad) { return added(ctx, HPyHelpers_AddType(ctx, arg, "Thing", &bad, NULL)); }
    FUNC_O(add_derived)
    {
        HPyType_SpecParam params[] = { { HPyType_SpecParam_Base, ctx->h_LongType }, { (HPyType_SpecParam_Kind)0, HPy_NULL } };
        return added(ctx, HPyHelpers_AddType(ctx, arg, "Thing", &good, params));
    }
    FUNC_O(make_bad) { return HPyType_FromSpec(ctx, &bad, NULL); }
"""


class Module:
    pass


def test_adding_a_type_sets_an_attribute(snippet):
    mod = snippet(ADD_TYPE)
    module = Module()
    assert mod.add(module) == 1
    assert module.Thing.__name__ == "Thing"
    assert module.Thing.__module__ == "mytest"
    assert module.Thing.__mro__ == (module.Thing, object)
    assert mod.add_derived(module) == 1
    assert module.Thing.__mro__ == (module.Thing, int, object)


def test_adding_a_type_fails_as_creating_it_does(snippet):
    mod = snippet(ADD_TYPE)
    module = Module()
    assert failure(mod.add_bad, module) == failure(mod.make_bad, module)
    assert failure(mod.add_bad, module)[0] is ValueError
    assert vars(module) == {}


def test_adding_a_type_fails_where_the_attribute_cannot_be_set(snippet):
    mod = snippet(ADD_TYPE)
    assert failure(mod.add, object())[0] is AttributeError
