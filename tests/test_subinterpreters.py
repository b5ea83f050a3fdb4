"""Several interpreters in one process: docs/subinterpreters.md."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from snippet import compile_file, expand

pytestmark = [
    pytest.mark.newer,
    pytest.mark.skipif(
        not any(map(importlib.util.find_spec, ("_interpreters", "_xxsubinterpreters"))),
        reason="this Python has no module that makes interpreters",
    ),
]

SOURCE = """
    static HPyGlobal one;
    static HPyGlobal other;

    typedef struct { HPyField field; } Box;
    HPyType_HELPERS(Box)
    HPyDef_SLOT(Box_traverse, HPy_tp_traverse)
    static int Box_traverse_impl(void *self, HPyFunc_visitproc visit, void *arg)
    {
        HPy_VISIT(&((Box *)self)->field);
        return 0;
    }
    HPyDef_SLOT(Box_new, HPy_tp_new)
    static HPy Box_new_impl(HPyContext *ctx, HPy cls, const HPy *args, HPy_ssize_t nargs, HPy kw)
    {
        Box *data;
        HPy box = HPy_New(ctx, cls, &data);
        if (!HPy_IsNull(box) && nargs > 0)
            HPyField_Store(ctx, box, &data->field, args[0]);
        return box;
    }
    HPyDef_METH(Box_get, "get", HPyFunc_NOARGS)
    static HPy Box_get_impl(HPyContext *ctx, HPy self)
    {
        return HPyField_Load(ctx, self, Box_AsStruct(ctx, self)->field);
    }
    static HPyDef *Box_defines[] = { &Box_traverse, &Box_new, &Box_get, NULL };
    static HPyType_Spec Box_spec = {
        .name = "mod.Box",
        .basicsize = sizeof(Box),
        .builtin_shape = SHAPE(Box),
        .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_HAVE_GC,
        .defines = Box_defines,
    };
    HPyDef_SLOT(fill, HPy_mod_exec)
    static int fill_impl(HPyContext *ctx, HPy mod)
    {
        HPy type = HPyType_FromSpec(ctx, &Box_spec, NULL);
        if (HPy_IsNull(type))
            return -1;
        HPyGlobal_Store(ctx, &other, type);
        HPyGlobal_Store(ctx, &one, ctx->h_None);
        int failed = HPy_SetAttr_s(ctx, mod, "Box", type);
        HPy_Close(ctx, type);
        return failed;
    }
    FUNC_O(builtin) { return HPy_GetItem(ctx, ctx->h_Builtins, arg); }
    FUNC_O(put) { HPyGlobal_Store(ctx, &one, arg); return NONE; }
    FUNC_NOARGS(take) { return HPyGlobal_Load(ctx, one); }
    FUNC_O(is_box)
    {
        HPy type = HPyGlobal_Load(ctx, other);
        int is = HPy_TypeCheck(ctx, arg, type);
        HPy_Close(ctx, type);
        return HPyBool_FromBool(ctx, is);
    }
    FUNC_O(leak) { HPy_Dup(ctx, arg); return NONE; }
    FUNC_O(use_closed)
    {
        HPy h = HPy_Dup(ctx, arg);
        HPy_Close(ctx, h);
        return HPy_Repr(ctx, h);
    }
    FUNC_VARARGS(call) { return HPy_Call(ctx, args[0], args + 1, nargs - 1, HPy_NULL); }
"""

# LOAD is code that makes `mod` in an interpreter.
START = """
import sys
sys.path.append({tests!r})
from interpreting import Interpreter
from loading import load
def load_mod():
    return load("mod", {binary!r}, {mode!r})
LOAD = f"import sys; sys.path[:] = {{sys.path!r}}; from loading import load; mod = load('mod', {binary!r}, {mode!r})"
"""


@pytest.fixture
def run(variant):
    """Runs Python code in a process of its own, behind START."""

    def run(code, source=SOURCE, **environment):
        binary = str(compile_file(expand(textwrap.dedent(source), "mod"), "mod", variant.abi))
        start = START.format(tests=str(Path(__file__).parent), binary=binary, mode=variant.mode)
        process = subprocess.run(
            [sys.executable, "-c", start + textwrap.dedent(code)],
            env={**os.environ, **environment},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
        )
        assert process.returncode == 0, process.stderr
        return process

    return run


FIRST = pytest.mark.parametrize("first", ["main", "other"])


@FIRST
def test_each_has_its_own_builtins(run, first):
    run(f"""
        first = {first!r}
        if first == "main":
            mod = load_mod()
        with Interpreter(LOAD) as other:
            assert other.ask('''
                import builtins
                builtins.only_here = "other"
                tell((mod.builtin("only_here"), mod.builtin("len") is len, mod.builtin("len")([1, 2])))
            ''') == ("other", True, 2)
            if first != "main":
                mod = load_mod()
            try:
                mod.builtin("only_here")
            except KeyError:
                pass
            else:
                raise SystemExit("builtins are shared")
        # Now it has ended.
        assert mod.builtin("len") is len
    """)


@FIRST
def test_a_create_slot_has_the_interpreter_s_own_builtins(run, first):
    create = """
        HPyDef_SLOT(create, HPy_mod_create)
        static HPy create_impl(HPyContext *ctx, HPy spec)
        {
            return HPy_GetItem_s(ctx, ctx->h_Builtins, "only_here");
        }
    """
    run(
        f"""
        import builtins
        builtins.only_here = ["main's"]
        in_other = "import builtins; builtins.only_here = ['other']\\n" + LOAD + "\\nassert mod == ['other'], mod"
        if {first!r} == "main":
            assert load_mod() == ["main's"]
        with Interpreter(in_other):
            assert load_mod() == ["main's"]
        assert load_mod() == ["main's"]
        """,
        create,
    )


@FIRST
def test_each_has_its_own_globals(run, first):
    run(f"""
        first = {first!r}
        if first == "main":
            mod = load_mod()
            mod.put("main's")
        other = Interpreter(LOAD)
        other.run("assert mod.take() is None; mod.put(['the other one'])")
        if first != "main":
            mod = load_mod()
            assert mod.take() is None
            mod.put("main's")
        assert mod.take() == "main's"
        box = mod.Box(5)
        assert mod.is_box(box) and not mod.is_box(5) and box.get() == 5
        other.run("assert mod.take() == ['the other one'] and mod.is_box(mod.Box(1))")
        mod.put("changed")
        other.run("assert mod.take() == ['the other one']; mod.put('changed, too')")
        assert mod.take() == "changed"
        third = Interpreter(LOAD)
        third.run("assert mod.take() is None; mod.put(3)")
        other.run("assert mod.take() == 'changed, too'")
        other.end()
        third.run("assert mod.take() == 3 and mod.Box(7).get() == 7")
        third.end()
        assert mod.take() == "changed" and mod.is_box(mod.Box(1))
    """)


def test_what_a_global_held_goes_in_its_own_interpreter(run):
    run("""
        import os
        mod = load_mod()
        reading, writing = os.pipe()
        SAYS = (
            "import os\\n"
            "class Says:\\n"
            "    def __init__(self, text): self.text = text\\n"
            f"    def __del__(self, write=os.write): write({writing}, f'{{where}}: {{self.text}}. '.encode())\\n"
        )
        where = "main"
        exec(SAYS)
        other = Interpreter(LOAD)
        other.run(SAYS + "where = 'other'\\nmod.put(Says('1'))")
        mod.put(Says("2"))
        other.run("mod.put(Says('3'))")
        mod.put(None)
        other.run("mod.put(None)")
        other.end()
        assert os.read(reading, 1000).decode() == "other: 1. main: 2. other: 3. "
    """)


def test_what_a_global_holds_goes_with_its_interpreter(run):
    run("""
        import os
        mod = load_mod()
        reading, writing = os.pipe()
        other = Interpreter(LOAD)
        other.run(f'''
            import os
            class Says:
                def __del__(self, write=os.write): write({writing}, b"gone")
            mod.put(Says())
        ''')
        other.end()
        assert os.read(reading, 1000) == b"gone"
    """)


def test_interpreters_come_and_go(run):
    run("""
        for index in range(30):
            with Interpreter(LOAD) as other:
                other.run(f"mod.put([{index}]); box = mod.Box(mod.take()); assert box.get() == [{index}]")
        mod = load_mod()
        assert mod.take() is None and mod.builtin("len") is len
        mod.put([1])
        for index in range(30):
            with Interpreter(LOAD) as other:
                other.run("assert mod.take() is None and mod.builtin('len') is len; mod.put(mod.Box)")
        assert mod.take() == [1]
    """)


def test_calls_through_several_interpreters_on_one_thread(run):
    run("""
        mod = load_mod()
        mod.put("main's")
        other = Interpreter(LOAD)
        other.run("mod.put('other')")
        def inside(value):
            other.run("assert mod.call(lambda value: value + mod.take(), 'from ') == 'from other'")
            assert mod.take() == "main's"
            return mod.call(lambda value: [value, mod.take()], value)
        assert mod.call(inside, "x") == ["x", "main's"]
        other.end()
        assert mod.call(inside.__name__.upper) == "INSIDE"
    """)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="before 3.12 all interpreters share one GIL")
@pytest.mark.skipif(sys.platform == "win32" and sys.version_info < (3, 13), reason="nobody tells there whose GIL it is")
@pytest.mark.parametrize("check", [True, False])
def test_one_with_a_gil_of_its_own_is_refused(run, check):
    if not check and sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("without the GIL, CPython has no way around its own check")
    process = run(f"""
        from interpreting import interpreters
        other = interpreters.create()
        code = LOAD if {check} else "import _imp; _imp._override_multi_interp_extensions_check(-1)\\n" + LOAD
        code = code.replace("'''", "")
        raised = None
        try:
            raised = interpreters.run_string(other, code)
        except Exception as error:
            raised = error
        print(raised)
    """)
    assert "ImportError" in process.stdout and "SystemError" not in process.stdout, process.stdout
    if not check:
        assert "GIL of its own" in process.stdout


                # Debug mode



def only_in(variant, mode):
    if mode not in variant.mode:
        pytest.skip(f"about {mode} mode")


def test_debug_mode_shows_an_interpreter_its_own_handles(run, variant):
    only_in(variant, "debug")
    run("""
        from hpy.universal import _debug
        mod = load_mod()
        other = Interpreter(LOAD)
        generation = _debug.new_generation()
        other.run("mod.leak(['other'])")
        assert _debug.get_open_handles(generation) == []
        mod.leak("main's")
        assert [handle.obj for handle in _debug.get_open_handles(generation)] == ["main's"]
        assert len(_debug.leaks(generation)) == 1
        assert not any(handle.obj == ["other"] for handle in _debug.get_closed_handles())
        other.run(f'''
            from hpy.universal import _debug
            assert [handle.obj for handle in _debug.get_open_handles({generation})] == [["other"]]
            _debug.get_open_handles({generation})[0]._force_close()
        ''')
        other.end()
        _debug.get_open_handles(generation)[0]._force_close()
    """)


def test_debug_mode_calls_an_interpreter_s_own_callback(run, variant):
    only_in(variant, "debug")
    run("""
        from hpy.universal import _debug
        mod = load_mod()
        seen = []
        _debug.set_on_invalid_handle(lambda: seen.append("main"))
        other = Interpreter(LOAD)
        other.run('''
            from hpy.universal import _debug
            seen = []
            _debug.set_on_invalid_handle(lambda: seen.append("other"))
            mod.use_closed("text")
            assert seen == ["other"]
        ''')
        mod.use_closed("text")
        assert seen == ["main"]
        other.run("assert seen == ['other']")
        other.end()
        mod.use_closed("text")
        assert seen == ["main", "main"]
    """)


def test_debug_mode_tells_each_interpreter_s_leaks_at_its_end(run, variant):
    only_in(variant, "debug")
    for first in ("main", "other"):
        process = run(f"""
            import sys
            if {first!r} == "main":
                mod = load_mod()
            with Interpreter(LOAD) as other:
                other.run("mod.leak('text'); mod.leak('text')")
            print("the other has ended", file=sys.stderr)
            if {first!r} == "other":
                mod = load_mod()
            mod.leak("text")
        """)
        others, mains = process.stderr.split("the other has ended")
        assert "HPY-D001 leaked handle: 2 times, first in mod.leak" in others
        assert "HPY-D001 leaked handle: once, in mod.leak" in mains


def test_trace_mode_tells_an_interpreter_s_own_functions(run, variant):
    only_in(variant, "trace")
    run("""
        from hpy.universal import _trace
        mod = load_mod()
        seen = []
        _trace.set_trace_functions(on_enter=seen.append)
        other = Interpreter(LOAD)
        other.run('''
            from hpy.universal import _trace
            seen = []
            _trace.set_trace_functions(on_enter=seen.append)
            mod.take()
            assert seen == ["ctx_Global_Load"]
        ''')
        assert seen == []
        mod.take()
        assert seen == ["ctx_Global_Load"]
        other.end()
        mod.take()
        assert seen == ["ctx_Global_Load"] * 2
    """)
