"""Macros of extensions (include/hpy/macros.h). HPy_BEGIN_LEAVE_PYTHON is in test_thread.py."""

import math
import operator
import os

import pytest

# In the order of HPy_LT to HPy_GE.
OPERATORS = [operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge]

COMPARING = """
    static HPy_RichCmpOp op(HPyContext *ctx, HPy h) { return (HPy_RichCmpOp)HPyLong_AsLong(ctx, h); }

    FUNC_VARARGS(doubles)
    {
        double a = HPyFloat_AsDouble(ctx, args[0]), b = HPyFloat_AsDouble(ctx, args[1]);
        HPy_RETURN_RICHCOMPARE(ctx, a, b, op(ctx, args[2]));
    }
    FUNC_VARARGS(signed_ints)
    {
        long a = HPyLong_AsLong(ctx, args[0]), b = HPyLong_AsLong(ctx, args[1]);
        HPy_RETURN_RICHCOMPARE(ctx, a, b, op(ctx, args[2]));
    }
    FUNC_VARARGS(unsigned_ints)
    {
        unsigned long long a = HPyLong_AsUnsignedLongLong(ctx, args[0]), b = HPyLong_AsUnsignedLongLong(ctx, args[1]);
        HPy_RETURN_RICHCOMPARE(ctx, a, b, op(ctx, args[2]));
    }
    FUNC_VARARGS(pointers)
    {
        const char text[10] = "";
        const char *a = text + HPyLong_AsLong(ctx, args[0]), *b = text + HPyLong_AsLong(ctx, args[1]);
        HPy_RETURN_RICHCOMPARE(ctx, a, b, op(ctx, args[2]));
    }
    /* With an expression that binds less than a comparison does. */
    FUNC_VARARGS(low_bits)
    {
        long a = HPyLong_AsLong(ctx, args[0]), b = HPyLong_AsLong(ctx, args[1]);
        HPy_RETURN_RICHCOMPARE(ctx, a & 1, b & 1, op(ctx, args[2]));
    }
    /* As the branch of an if, with operands that are evaluated once; else how often they were. */
    static long evaluated;
    static long count(long value) { evaluated++; return value; }
    FUNC_VARARGS(once)
    {
        if (nargs == 3)
            HPy_RETURN_RICHCOMPARE(ctx, count(HPyLong_AsLong(ctx, args[0])), count(HPyLong_AsLong(ctx, args[1])),
                                   op(ctx, args[2]));
        else
            return HPyLong_FromLong(ctx, evaluated);
    }
"""


@pytest.fixture
def comparing(snippet):
    return snippet(COMPARING)


def check(compare, values):
    for a in values:
        for b in values:
            for op, expected in enumerate(OPERATORS):
                assert compare(a, b, op) is expected(a, b)


def test_comparing_returns_a_bool(comparing):
    check(comparing.doubles, [0.0, -0.0, 1.5, -1.5, math.inf, -math.inf, math.nan])
    check(comparing.signed_ints, [0, 1, -1, 2**31 - 1, -(2**31)])
    check(comparing.unsigned_ints, [0, 1, 2**63, 2**64 - 1])
    check(comparing.pointers, [0, 1, 10])


def test_operands_of_a_comparison_may_be_any_expressions(comparing):
    for a in range(4):
        for b in range(4):
            for op, expected in enumerate(OPERATORS):
                assert comparing.low_bits(a, b, op) is expected(a & 1, b & 1)


def test_operands_of_a_comparison_are_evaluated_once(comparing):
    before = comparing.once()
    check(comparing.once, [1, 2])
    assert comparing.once() - before == 2 * 4 * len(OPERATORS)


@pytest.mark.differs("0.9.0: compares a variable of its own")
def test_operands_of_a_comparison_may_have_any_names(snippet):
    mod = snippet("""
        FUNC_VARARGS(f)
        {
            long result = HPyLong_AsLong(ctx, args[0]), holds = HPyLong_AsLong(ctx, args[1]);
            HPy_RETURN_RICHCOMPARE(ctx, result, holds, HPy_LT);
        }
    """)
    assert mod.f(1, 2) is True
    assert mod.f(7, 2) is False


@pytest.mark.parametrize("op", [-1, 6, 100])
def test_comparing_by_another_operator_is_fatal(run_snippet, op):
    run = run_snippet(COMPARING, f"mod.signed_ints(1, 2, {op})")
    assert run.returncode != 0
    assert "Invalid value for HPy_RichCmpOp" in run.stderr


@pytest.fixture
def pids(snippet):
    return snippet("""
        FUNC_O(there_and_back)
        {
            long value = HPyLong_AsPid(ctx, arg);
            return value == -1 && HPyErr_Occurred(ctx) ? HPy_NULL : HPyLong_FromPid(ctx, value);
        }
        FUNC_VARARGS(parse)
        {
            int pid;
            return HPyArg_Parse(ctx, NULL, args, nargs, _HPy_PARSE_PID, &pid) ? HPyLong_FromPid(ctx, pid) : HPy_NULL;
        }
    """)


def test_process_ids(pids):
    for function in (pids.there_and_back, pids.parse):
        for value in (os.getpid(), 0, 1, -1, 2**31 - 1):
            assert function(value) == value
        with pytest.raises(OverflowError):
            function(2**64)
        with pytest.raises(TypeError):
            function("1")
