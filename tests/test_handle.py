"""Handles: spec/functions/handle.toml."""

import sys
import weakref

import pytest

SNIPPET = """
    FUNC_O(dup_arg) { return HPy_Dup(ctx, arg); }

    FUNC_NOARGS(dup_null) { return HPyBool_FromBool(ctx, HPy_IsNull(HPy_Dup(ctx, HPy_NULL))); }

    FUNC_NOARGS(close_null) {
        HPy_Close(ctx, HPy_NULL);
        return NONE;
    }

    FUNC_NOARGS(constant) { return HPy_Dup(ctx, ctx->h_ValueError); }

    /* Calls args[1] while args[2] more handles of args[0] exist. */
    FUNC_VARARGS(call_with_dups) {
        HPy dups[100];
        int32_t count = HPyLong_AsInt32_t(ctx, args[2]);
        for (int32_t i = 0; i < count; i++)
            dups[i] = HPy_Dup(ctx, args[0]);
        HPy result = HPy_CallTupleDict(ctx, args[1], HPy_NULL, HPy_NULL);
        for (int32_t i = 0; i < count; i++)
            HPy_Close(ctx, dups[i]);
        return result;
    }

    /* Two handles of what args[0]() returns, the first one closed first; after each, calls args[1](). */
    FUNC_VARARGS(close_both) {
        HPy first = HPy_CallTupleDict(ctx, args[0], HPy_NULL, HPy_NULL);
        if (HPy_IsNull(first))
            return HPy_NULL;
        HPy second = HPy_Dup(ctx, first);
        HPy_Close(ctx, first);
        HPy called = HPy_CallTupleDict(ctx, args[1], HPy_NULL, HPy_NULL);
        HPy_Close(ctx, second);
        if (HPy_IsNull(called))
            return HPy_NULL;
        HPy_Close(ctx, called);
        return HPy_CallTupleDict(ctx, args[1], HPy_NULL, HPy_NULL);
    }

    /* All that is allowed with an exception pending, on what arg() returns, which is destroyed meanwhile. */
    FUNC_O(with_exception) {
        HPy victim = HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL);
        if (HPy_IsNull(victim))
            return HPy_NULL;
        HPyErr_SetString(ctx, ctx->h_LookupError, "pending");
        HPy other = HPy_Dup(ctx, victim);
        int same = HPy_Is(ctx, victim, other);
        HPy_Close(ctx, other);
        HPy_Close(ctx, victim);
        HPy_Close(ctx, HPy_NULL);
        if (!same || !HPy_IsNull(HPy_Dup(ctx, HPy_NULL)))
            HPyErr_SetString(ctx, ctx->h_SystemError, "wrong result");
        return HPy_NULL;
    }

    FUNC_VARARGS(same) { return HPyLong_FromInt32_t(ctx, HPy_Is(ctx, args[0], args[1])); }

    FUNC_O(is_its_dup) {
        HPy dup = HPy_Dup(ctx, arg);
        int result = HPy_Is(ctx, arg, dup);
        HPy_Close(ctx, dup);
        return HPyLong_FromInt32_t(ctx, result);
    }

    /* A handle that is kept as a pointer from one call to the next. */
    static void *kept;
    FUNC_O(keep)
    {
        kept = HPy_AsVoidP(HPy_Dup(ctx, arg));
        return HPyBool_FromBool(ctx, kept != NULL);
    }
    FUNC_NOARGS(give_back) { return HPy_FromVoidP(kept); }
    FUNC_NOARGS(null_as_pointer)
    {
        return HPyBool_FromBool(ctx, HPy_AsVoidP(HPy_NULL) == NULL && HPy_IsNull(HPy_FromVoidP(NULL)));
    }

    FUNC_O(is_none) { return HPyLong_FromInt32_t(ctx, HPy_Is(ctx, arg, ctx->h_None)); }
"""


class Thing:
    pass


def test_dup_gives_the_same_object(snippet):
    mod = snippet(SNIPPET)
    thing = Thing()
    assert mod.dup_arg(thing) is thing


def test_dup_of_a_constant_can_be_returned(snippet):
    assert snippet(SNIPPET).constant() is ValueError


def test_dup_of_null_is_null(snippet):
    assert snippet(SNIPPET).dup_null() is True


def test_closing_null_does_nothing(snippet):
    assert snippet(SNIPPET).close_null() is None


def test_each_dup_is_one_reference_and_each_close_ends_one(snippet):
    mod = snippet(SNIPPET)
    thing = Thing()
    before = sys.getrefcount(thing)
    without = mod.call_with_dups(thing, lambda: sys.getrefcount(thing), 0)
    assert mod.call_with_dups(thing, lambda: sys.getrefcount(thing), 100) == without + 100
    assert sys.getrefcount(thing) == before


def test_object_lives_until_its_last_handle_is_closed(snippet):
    mod = snippet(SNIPPET)
    made = []
    alive = []

    def make():
        thing = Thing()
        made.append(weakref.ref(thing))
        return thing

    mod.close_both(make, lambda: alive.append(made[0]() is not None))
    assert alive == [True, False]


def test_close_can_run_code_that_uses_the_module_again(snippet):
    mod = snippet(SNIPPET)
    events = []

    class Last:
        def __init__(self, depth):
            self.depth = depth

        def __del__(self):
            events.append(self.depth)
            if self.depth:
                mod.close_both(lambda: Last(self.depth - 1), lambda: None)

    mod.close_both(lambda: Last(3), lambda: None)
    assert events == [3, 2, 1, 0]


def test_pending_exception_survives_dup_is_and_close(snippet):
    mod = snippet(SNIPPET)
    events = []

    class Noisy:
        def __del__(self):
            try:
                raise KeyError("handled")
            except KeyError:
                events.append("destroyed")

    with pytest.raises(LookupError, match="^pending$"):
        mod.with_exception(Noisy)
    assert events == ["destroyed"]


def test_is_compares_identity_and_not_equality(snippet):
    mod = snippet(SNIPPET)
    one, other = [1], [1]
    assert mod.same(one, one) == 1
    assert mod.same(one, other) == 0
    assert mod.same(True, 1) == 0


def test_is_runs_no_python_code(snippet):
    class Never:
        def __eq__(self, other):
            raise AssertionError("asked")

        __hash__ = None

    mod = snippet(SNIPPET)
    never = Never()
    assert mod.same(never, never) == 1
    assert mod.same(never, Never()) == 0


def test_is_sees_one_object_behind_different_handles(snippet):
    mod = snippet(SNIPPET)
    assert mod.is_its_dup(Thing()) == 1
    assert mod.is_none(None) == 1
    assert mod.is_none(0) == 0


def test_a_handle_can_be_kept_as_a_pointer(snippet):
    mod = snippet(SNIPPET)
    thing = Thing()
    before = sys.getrefcount(thing)
    assert mod.keep(thing) is True
    assert sys.getrefcount(thing) == before + 1
    assert mod.give_back() is thing
    assert sys.getrefcount(thing) == before


def test_the_null_handle_is_the_null_pointer(snippet):
    assert snippet(SNIPPET).null_as_pointer() is True
