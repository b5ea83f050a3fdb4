"""Booleans: spec/functions/bool.toml."""

import sys

import pytest

SNIPPET = """
    FUNC_NOARGS(yes) { return HPyBool_FromBool(ctx, true); }
    FUNC_NOARGS(no) { return HPyBool_FromBool(ctx, false); }

    /* In C, what is not zero converts to true, also when its low byte is zero. */
    FUNC_NOARGS(low_byte_is_zero) { return HPyBool_FromBool(ctx, 256); }
    FUNC_NOARGS(half) { return HPyBool_FromBool(ctx, 0.5); }

    FUNC_O(is_constant) {
        int wanted = HPy_IsTrue(ctx, arg);
        HPy made = HPyBool_FromBool(ctx, wanted);
        int result = HPy_Is(ctx, made, wanted ? ctx->h_True : ctx->h_False);
        HPy_Close(ctx, made);
        return HPyLong_FromInt32_t(ctx, result);
    }

    FUNC_O(make_many) {
        for (int32_t i = HPyLong_AsInt32_t(ctx, arg); i > 0; i--) {
            HPy_Close(ctx, HPyBool_FromBool(ctx, true));
            HPy_Close(ctx, HPyBool_FromBool(ctx, false));
        }
        return NONE;
    }
"""


def test_gives_true_and_false(snippet):
    mod = snippet(SNIPPET)
    assert mod.yes() is True
    assert mod.no() is False


def test_takes_any_c_value_for_its_truth(snippet):
    mod = snippet(SNIPPET)
    assert mod.low_byte_is_zero() is True
    assert mod.half() is True


def test_gives_the_objects_of_the_context(snippet):
    mod = snippet(SNIPPET)
    assert mod.is_constant(True) == 1
    assert mod.is_constant(False) == 1


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="immortal")
@pytest.mark.parametrize("value", [True, False])
def test_each_handle_is_a_reference_of_its_own(snippet, value):
    mod = snippet(SNIPPET)
    before = sys.getrefcount(value)
    mod.make_many(10000)
    assert abs(sys.getrefcount(value) - before) < 1000
    kept = [mod.yes() if value else mod.no() for _ in range(10000)]
    assert sys.getrefcount(value) - before > 9000
    del kept
