"""Warnings, unraisable exceptions and the end of the process: the rest of spec/functions/error.toml."""

import gc
import os
import signal
import sys
import warnings

import pytest

WARN = """
    FUNC_VARARGS(issue)
    {
        HPy category = HPy_Is(ctx, args[0], ctx->h_None) ? HPy_NULL : args[0];
        const char *message = HPyBytes_AsString(ctx, args[1]);
        HPy_ssize_t level = nargs > 2 ? HPyLong_AsSsize_t(ctx, args[2]) : 1;
        int result = HPyErr_WarnEx(ctx, category, message, level);
        return result == -1 ? HPy_NULL : HPyLong_FromInt32_t(ctx, result);
    }
"""


class OwnWarning(UserWarning):
    pass


class Failure(Exception):
    pass


@pytest.fixture
def caught():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


@pytest.mark.parametrize(
    "category, expected",
    [(None, RuntimeWarning), (DeprecationWarning, DeprecationWarning), (OwnWarning, OwnWarning)],
)
def test_warning_is_issued(snippet, caught, category, expected):
    assert snippet(WARN).issue(category, "zu heiß".encode()) == 0
    (warning,) = caught
    assert warning.category is expected
    assert type(warning.message) is expected
    assert warning.message.args == ("zu heiß",)


def test_stack_level_of_a_warning_counts_python_frames(snippet, caught):
    mod = snippet(WARN)

    def inner(level):
        return mod.issue(OwnWarning, b"text", level), sys._getframe().f_lineno

    def outer(level):
        return inner(level), sys._getframe().f_lineno

    (result, inner_line), outer_line = outer(1)
    outer(2)
    assert result == 0
    assert [warning.filename for warning in caught] == [__file__, __file__]
    assert [warning.lineno for warning in caught] == [inner_line, outer_line]


def test_hidden_warning_is_no_failure(snippet, caught):
    warnings.simplefilter("ignore")
    assert snippet(WARN).issue(OwnWarning, b"text") == 0
    assert caught == []


def test_warning_fails_when_a_filter_makes_it_an_error(snippet, caught):
    warnings.simplefilter("error")
    with pytest.raises(OwnWarning) as info:
        snippet(WARN).issue(OwnWarning, b"text")
    assert info.value.args == ("text",)
    with pytest.raises(RuntimeWarning):
        snippet(WARN).issue(None, b"text")
    assert caught == []


def test_warning_fails_when_its_hook_does(snippet):
    def refuse(*args, **kwargs):
        raise Failure

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = refuse
        with pytest.raises(Failure):
            snippet(WARN).issue(OwnWarning, b"text")


@pytest.mark.misuse("no UTF-8")
def test_warning_of_text_that_is_not_utf8_fails(snippet, caught):
    with pytest.raises(UnicodeDecodeError):
        snippet(WARN).issue(OwnWarning, b"\xff")
    assert caught == []


UNRAISABLE = """
    /* unraisable(exception's value[, object]): whether an exception is pending afterwards. */
    FUNC_VARARGS(unraisable)
    {
        HPyErr_SetObject(ctx, ctx->h_KeyError, args[0]);
        HPyErr_WriteUnraisable(ctx, nargs > 1 ? args[1] : HPy_NULL);
        return HPyBool_FromBool(ctx, HPyErr_Occurred(ctx) != 0);
    }
"""


def test_unraisable_exception_goes_to_the_hook(snippet, monkeypatch):
    calls = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda args: calls.append((args.exc_type, args.exc_value.args, args.object))
    )
    mod = snippet(UNRAISABLE)
    where, value = object(), object()
    assert mod.unraisable(value, where) is False
    assert mod.unraisable(value) is False
    assert calls == [(KeyError, (value,), where), (KeyError, (value,), None)]


def test_unraisable_exception_is_let_go(snippet, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda args: None)
    mod = snippet(UNRAISABLE)
    where, value = object(), object()
    before = sys.getrefcount(where), sys.getrefcount(value)
    for _ in range(50):
        mod.unraisable(value, where)
    gc.collect()
    assert (sys.getrefcount(where), sys.getrefcount(value)) == before


def test_unraisable_exception_is_printed_with_where_it_happened(run_snippet):
    run = run_snippet(
        UNRAISABLE,
        """
        class Place:
            def __repr__(self):
                return "<right here>"

        mod.unraisable("the key", Place())
        print("went on")
        """,
    )
    assert run.returncode == 0
    assert run.stdout == "went on\n"
    assert "<right here>" in run.stderr
    assert "KeyError: 'the key'" in run.stderr


def test_errors_of_the_hook_are_printed_and_dropped(snippet, monkeypatch, capsys):
    def refuse(args):
        raise Failure("by the hook")

    monkeypatch.setattr(sys, "unraisablehook", refuse)
    assert snippet(UNRAISABLE).unraisable("the key") is False
    assert "by the hook" in capsys.readouterr().err


FATAL = """
    FUNC_NOARGS(die) { HPy_FatalError(ctx, "all is lost"); return NONE; }
    FUNC_O(die_with_an_exception)
    {
        HPyErr_SetObject(ctx, ctx->h_KeyError, arg);
        HPy_FatalError(ctx, "all is lost");
        return HPy_NULL;
    }
"""


def check_aborted(run):
    if os.name == "posix":
        assert run.returncode == -signal.SIGABRT
    else:
        assert run.returncode != 0
    assert "all is lost" in run.stderr


def test_fatal_error_ends_the_process_without_cleanup(run_snippet):
    run = run_snippet(
        FATAL,
        """
        import atexit
        atexit.register(print, "atexit", flush=True)
        try:
            mod.die()
        finally:
            print("finally", flush=True)
        """,
    )
    check_aborted(run)
    assert run.stdout == ""


def test_fatal_error_shows_the_stack_and_the_pending_exception(run_snippet):
    run = run_snippet(
        FATAL,
        """
        def where_it_happened():
            mod.die_with_an_exception("the key")
        where_it_happened()
        """,
    )
    check_aborted(run)
    assert "the key" in run.stderr
    assert "where_it_happened" in run.stderr
