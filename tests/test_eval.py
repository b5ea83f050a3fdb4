"""Compiling and running source code: spec/functions/eval.toml."""

import __future__

import builtins
import collections.abc
import gc
import os
import sys
import types

import pytest

EVAL = """
    static HPy_SourceKind kind_of(int number)
    {
        static const HPy_SourceKind kinds[] = { HPy_SourceKind_Expr, HPy_SourceKind_File, HPy_SourceKind_Single };
        return number >= 0 && number < 3 ? kinds[number] : (HPy_SourceKind)number;
    }
    /* compile_s(source, file name, kind) */
    FUNC_VARARGS(compile_s)
    {
        const char *source = HPyBytes_AsString(ctx, args[0]), *filename = HPyBytes_AsString(ctx, args[1]);
        return HPy_Compile_s(ctx, source, filename, kind_of(HPyLong_AsInt32_t(ctx, args[2])));
    }
    FUNC_NOARGS(compile_and_overwrite)
    {
        char source[] = "6 * 7", filename[] = "name";
        HPy code = HPy_Compile_s(ctx, source, filename, HPy_SourceKind_Expr);
        memset(source, '!', sizeof source - 1);
        memset(filename, '!', sizeof filename - 1);
        return code;
    }
    /* eval_code(code, globals[, locals]) */
    FUNC_VARARGS(eval_code) { return HPy_EvalCode(ctx, args[0], args[1], nargs > 2 ? args[2] : HPy_NULL); }
    FUNC_O(eval_with_our_builtins)
    {
        HPy names = HPyDict_New(ctx);
        if (HPy_IsNull(names))
            return HPy_NULL;
        HPy result = HPy_NULL;
        if (HPy_SetItem_s(ctx, names, "__builtins__", ctx->h_Builtins) == 0)
            result = HPy_EvalCode(ctx, arg, names, HPy_NULL);
        HPy_Close(ctx, names);
        return result;
    }
"""

EXPR, FILE, SINGLE = range(3)


@pytest.fixture
def mod(snippet):
    return snippet(EVAL)


def code_of(mod, source, kind=EXPR):
    return mod.compile_s(source.encode(), b"<test>", kind)


class Failure(Exception):
    pass


def test_compile_gives_a_code_object(mod):
    code = mod.compile_s(b"1 + 2", b"file.py", EXPR)
    assert type(code) is types.CodeType
    assert code.co_filename == "file.py"
    assert eval(code) == 3


@pytest.mark.parametrize("name", ["größe.py".encode(), b"not \xff utf-8", b"", b"<no file>"])
def test_file_name_is_decoded_as_the_file_system_does(mod, name):
    assert mod.compile_s(b"1", name, EXPR).co_filename == os.fsdecode(name)


def test_file_name_appears_in_tracebacks(mod):
    code = mod.compile_s(b"\n\n1 / 0", b"made up.py", EXPR)
    with pytest.raises(ZeroDivisionError) as info:
        mod.eval_code(code, {})
    last = info.traceback[-1].frame.code.raw
    assert last.co_filename == "made up.py"
    with pytest.raises(SyntaxError) as info:
        mod.compile_s(b"\n\n1 +", b"made up.py", EXPR)
    assert (info.value.filename, info.value.lineno) == ("made up.py", 3)


def test_expression_gives_its_value(mod):
    assert mod.eval_code(code_of(mod, "[a, 'é']"), {"a": 1}) == [1, "é"]


def test_file_gives_none_and_fills_the_names(mod):
    names = {"a": 1}
    assert mod.eval_code(code_of(mod, "b = a + 1\nc = b + 1\nc", FILE), names) is None
    assert (names["b"], names["c"]) == (2, 3)
    assert mod.eval_code(code_of(mod, "", FILE), names) is None


def test_single_statement_prints_an_expression_and_gives_none(mod, monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "displayhook", shown.append)
    names = {"a": 20}
    assert mod.eval_code(code_of(mod, "a + 1\n", SINGLE), names) is None
    assert mod.eval_code(code_of(mod, "b = 1\n", SINGLE), names) is None
    assert shown == [21]
    assert names["b"] == 1


@pytest.mark.parametrize(
    "kind, source",
    [
        (EXPR, "a = 1"),
        (EXPR, ""),
        (EXPR, "1; 2"),
        (EXPR, "1 +"),
        (FILE, "def"),
        (FILE, "return 1"),
        (SINGLE, "a = 1\nb = 2\n"),
    ],
)
def test_source_of_the_wrong_kind_is_a_syntax_error(mod, kind, source):
    with pytest.raises(SyntaxError):
        code_of(mod, source, kind)


@pytest.mark.parametrize("source, error", [("if 1:\na", IndentationError), ("if 1:\n\ta\n        b", TabError)])
def test_bad_indentation_is_a_subclass_of_syntax_error(mod, source, error):
    with pytest.raises(error):
        code_of(mod, source, FILE)


@pytest.mark.parametrize("kind", [3, -1, 256, 258])
@pytest.mark.misuse("numbers that the enum does not have")
def test_unknown_kind_is_a_system_error(mod, kind):
    with pytest.raises(SystemError):
        code_of(mod, "1", kind)


# Nested in front and behind.
DEEP = [
    "'-' * 200000 + 'a'",
    pytest.param(
        "'a' + '.a' * 200000", marks=pytest.mark.skipif(sys.version_info < (3, 10), reason="CPython 3.9 itself crashes")
    ),
]


@pytest.mark.parametrize("source", DEEP)
def test_source_that_is_nested_too_deeply_is_an_error(run_snippet, source):
    run = run_snippet(
        EVAL,
        f"""
        try:
            mod.compile_s(({source}).encode(), b"f", 0)
        except (RecursionError, MemoryError):
            print("refused")
        """,
    )
    assert (run.stdout, run.stderr, run.returncode) == ("refused\n", "", 0)


def test_source_is_utf8_unless_a_comment_says_otherwise(mod):
    assert mod.eval_code(mod.compile_s("'grün'".encode(), b"f", EXPR), {}) == "grün"
    names = {}
    mod.eval_code(mod.compile_s(b"# coding: latin-1\ncolour = 'gr\xfcn'", b"f", FILE), names)
    assert names["colour"] == "grün"
    mod.eval_code(mod.compile_s(b"# first\n# -*- coding: cp1251 -*-\ncolour = '\xe1'", b"f", FILE), names)
    assert names["colour"] == "б"


@pytest.mark.parametrize("source", [b"'gr\xfcn'", b"# coding: no-such-encoding\n1"])
def test_source_that_cannot_be_decoded_is_a_syntax_error(mod, source):
    with pytest.raises(SyntaxError):
        mod.compile_s(source, b"f", FILE)


def test_future_imports_of_the_caller_are_not_inherited(mod):
    caller = compile("from __future__ import annotations\nmade = make(b'1', b'f', 1)", "caller", "exec")
    names = {"make": mod.compile_s}
    exec(caller, names)
    flag = __future__.annotations.compiler_flag
    assert caller.co_flags & flag
    assert not names["made"].co_flags & flag


def test_strings_are_not_needed_after_the_call(mod):
    code = mod.compile_and_overwrite()
    assert mod.eval_code(code, {}) == 42
    assert code.co_filename == "name"


def test_null_locals_are_the_globals(mod):
    names = {"__builtins__": builtins}
    mod.eval_code(code_of(mod, "a = 1\nsame = globals() is locals()", FILE), names)
    assert names["a"] == 1
    assert names["same"] is True


def test_locals_come_before_globals_and_get_the_assignments(mod):
    global_names, local_names = {"a": "global", "b": "global"}, {"a": "local"}
    mod.eval_code(code_of(mod, "c = a, b\nglobal d\nd = 1", FILE), global_names, local_names)
    assert local_names == {"a": "local", "c": ("local", "global")}
    assert global_names["d"] == 1
    assert "c" not in global_names


class Upper(collections.abc.MutableMapping):
    """Knows all names that start with x, and writes down what is assigned."""

    def __init__(self):
        self.assigned = {}

    def __getitem__(self, name):
        if name == "failing":
            raise Failure
        if name.startswith("x"):
            return name.upper()
        raise KeyError(name)

    def __setitem__(self, name, value):
        self.assigned[name] = value

    def __delitem__(self, name):
        del self.assigned[name]

    def __iter__(self):
        return iter(self.assigned)

    def __len__(self):
        return len(self.assigned)


def test_locals_can_be_any_mapping(mod):
    names = Upper()
    assert mod.eval_code(code_of(mod, "xa + xb + g"), {"g": "!"}, names) == "XAXB!"
    mod.eval_code(code_of(mod, "y = xyz", FILE), {}, names)
    assert names.assigned == {"y": "XYZ"}
    with pytest.raises(Failure):
        mod.eval_code(code_of(mod, "failing"), {}, names)


def test_eval_fails_as_the_code_does(mod):
    failure = Failure()
    with pytest.raises(Failure) as info:
        mod.eval_code(code_of(mod, "raise failure", FILE), {"failure": failure})
    assert info.value is failure
    with pytest.raises(NameError):
        mod.eval_code(code_of(mod, "no_such_name"), {"__builtins__": builtins})
    with pytest.raises(SystemExit):
        mod.eval_code(code_of(mod, "raise SystemExit", FILE), {"__builtins__": builtins})


def test_eval_does_not_add_builtins(mod):
    names = {"a": 1}
    assert mod.eval_code(code_of(mod, "a"), names) == 1
    assert names == {"a": 1}


def test_builtins_can_be_given(mod):
    assert mod.eval_code(code_of(mod, "only"), {"__builtins__": {"only": "this"}}) == "this"
    assert mod.eval_with_our_builtins(code_of(mod, "len([1, 2])")) == 2


@pytest.mark.skipif(sys.version_info < (3, 10), reason="there, only None is known without builtins")
def test_builtins_are_the_callers_by_default(mod):
    names = {"__builtins__": {"marker": "the caller's"}, "run": mod.eval_code, "code": code_of(mod, "marker")}
    exec("result = run(code, {})", names)
    assert names["result"] == "the caller's"


def test_code_that_runs_can_compile_and_run_more(mod):
    names = {"mod": mod, "depth": 0, "__builtins__": builtins}
    source = """
depth += 1
if depth < 20:
    mod.eval_code(mod.compile_s(source, b"again", 1), globals())
"""
    names["source"] = source.encode()
    mod.eval_code(code_of(mod, source, FILE), names)
    assert names["depth"] == 20


def test_references_are_neither_lost_nor_leaked(mod):
    value, failure = object(), Failure()
    global_names, local_names = {"value": value}, {"local": value, "failure": failure}
    code = code_of(mod, "value if local is value else None")
    failing = code_of(mod, "raise failure", FILE)
    objects = [value, code, global_names, local_names, failing]
    before = [sys.getrefcount(each) for each in objects]
    for _ in range(50):
        assert mod.eval_code(code, global_names, local_names) is value
        with pytest.raises(Failure):
            mod.eval_code(failing, global_names, local_names)
        failure.__traceback__ = None
    gc.collect()
    after = [sys.getrefcount(each) for each in objects]
    assert after == before
