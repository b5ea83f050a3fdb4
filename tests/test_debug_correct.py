"""Programs that are right, in ways that are easily taken for wrong: debug and trace mode say nothing, and do not stand in the way."""

import os
import subprocess
import sys
import textwrap

import pytest
from debugging import environment_with
from snippet import REFERENCE, compile_file, expand, make_importable
from type_snippets import GC, field, slot, type_source

pytestmark = pytest.mark.skipif(
    REFERENCE or sys.implementation.name == "pypy", reason="about our own debug mode, which is for CPython"
)

EACH_MODE = pytest.mark.parametrize("mode", ["universal", "debug", "trace", "debug+trace"])

SOURCE = (
    type_source(
        "Four",
        "double items[4]; HPy_ssize_t shape[1], strides[1];",
        slot(
            "bf_getbuffer",
            """
            Four *data = Four_AsStruct(ctx, self);
            data->shape[0] = 4;
            data->strides[0] = sizeof(double);
            *buffer = (HPy_buffer){
                .buf = data->items,
                .obj = HPy_Dup(ctx, self),
                .len = sizeof data->items,
                .itemsize = sizeof(double),
                .ndim = 1,
                .format = "d",
                .shape = data->shape,
                .strides = data->strides,
            };
            return 0;
            """,
        ),
        slot("bf_releasebuffer", ""),
    )
    + """
    typedef struct { HPyField field; } Kept;
    HPyType_HELPERS(Kept)
    HPyDef_SLOT(Kept_traverse, HPy_tp_traverse)
    static int Kept_traverse_impl(void *self, HPyFunc_visitproc visit, void *arg)
    {
        HPy_VISIT(&((Kept *)self)->field);
        return 0;
    }
    static HPyDef *Kept_defines[] = { &Kept_traverse, NULL };
    static HPyType_Spec Kept_spec = {
        .name = "mod.Kept",
        .basicsize = sizeof(Kept),
        .builtin_shape = SHAPE(Kept),
        .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_HAVE_GC,
        .defines = Kept_defines,
    };
    FUNC_NOARGS(make_type) { return HPyType_FromSpec(ctx, &Kept_spec, NULL); }

    /* Each with a function of its own, in memory of its own. */
    #define MANY 1100
    static HPyType_Spec specs[MANY];
    static HPyDef *defines_of_each[MANY][2];
    FUNC_O(make_types)
    {
        for (int i = 0; i < MANY; i++) {
            specs[i] = Kept_spec;
            defines_of_each[i][0] = &Kept_traverse;
            specs[i].defines = defines_of_each[i];
            HPy type = HPyType_FromSpec(ctx, &specs[i], NULL);
            HPy done = HPy_IsNull(type) ? HPy_NULL : HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL);
            Kept *data;
            HPy instance = HPy_IsNull(done) ? HPy_NULL : HPy_New(ctx, type, &data);
            if (HPy_IsNull(instance))
                return HPy_NULL;
            HPyField_Store(ctx, instance, &data->field, done);
            HPy_Close(ctx, instance);
            HPy_Close(ctx, done);
            HPy_Close(ctx, type);
        }
        return NONE;
    }

    FUNC_O(call)
    {
        HPy result = HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL);
        if (HPy_IsNull(result))
            return result;
        HPy text = HPy_Repr(ctx, result);
        HPy_Close(ctx, result);
        return text;
    }
    """
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("correct")
    make_importable(compile_file(expand(textwrap.dedent(SOURCE), "mod"), "mod"), folder)
    return folder


@pytest.fixture
def run(folder):
    """Runs a program with the extension `mod`, and gives what it printed to stderr."""

    def run(program, mode, timeout=120):
        process = subprocess.run(
            [sys.executable, "-c", "import mod\n" + textwrap.dedent(program)],
            cwd=folder,
            env=environment_with({"HPY": mode}),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
        )
        assert process.returncode == 0, (process.returncode, process.stderr[-3000:])
        return process.stderr

    return run


@EACH_MODE
def test_greenlets_are_resumed_in_any_order(run, mode):
    pytest.importorskip("greenlet")
    program = """
        from greenlet import getcurrent, greenlet

        main = getcurrent()

        def calling(value):
            def inside():
                main.switch()
                return value
            return greenlet(lambda: mod.call(inside))

        first, second, third = calling(1), calling(2), calling(3)
        first.switch(), second.switch(), third.switch()
        assert (first.switch(), third.switch(), second.switch()) == ("1", "3", "2")

        # One that is given up ends inside the call.
        given_up = calling(4)
        given_up.switch()
        del given_up
        assert mod.call(list) == "[]"

        # From a destructor, in the middle of another call.
        class Switching:
            def __del__(self):
                waiting.switch()

        waiting = calling(5)
        assert mod.call(lambda: [Switching()] and 6) == "6"
        assert waiting.switch() == "5"
    """
    assert run(program, mode) == ""


@EACH_MODE
def test_nested_calls_end_in_a_recursion_error(run, mode):
    program = """
        import sys
        sys.setrecursionlimit(200_000)

        def nest():
            return mod.call(nest)

        try:
            nest()
        except (RecursionError, MemoryError) as error:
            assert isinstance(error, RecursionError)
        assert mod.call(list) == "[]"
    """
    if mode == "universal" and sys.version_info < (3, 12):
        pytest.skip("before 3.12 the limit is all that keeps CPython's own calls from the end of the stack")
    run(program, mode)


def test_more_types_than_any_program_has(run):
    assert run("mod.make_types(list)", "debug") == ""


def test_many_types_of_one_spec(run):
    assert run("kept = [mod.make_type() for _ in range(1500)]\nfor each in kept: each()", "debug") == ""


@pytest.mark.parametrize(
    "program",
    [
        "view = memoryview(mod.Four())",
        "import sys; sys.kept = memoryview(mod.Four())[1:]",
        "class Own: pass\nown = Own(); own.own = own; own.view = memoryview(mod.Four())",
        "import builtins; builtins.kept = [memoryview(memoryview(mod.Four())) for _ in range(3)]",
    ],
    ids=["global", "slice", "cycle", "builtins"],
)
def test_a_memoryview_that_is_alive_at_exit(run, program):
    assert run(program, "debug") == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("mode", ["debug", "trace", "debug+trace"])
def test_a_fork_while_threads_come_and_go(run, mode):
    program = """
        import os, threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        going = True

        def churn():
            while going:
                threads = [threading.Thread(target=mod.call, args=(list,)) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        churning = threading.Thread(target=churn)
        churning.start()
        for _ in range(60):
            child = os.fork()
            if child == 0:
                thread = threading.Thread(target=mod.call, args=(list,))
                thread.start()
                thread.join()
                os._exit(mod.call(list) != "[]")
            assert os.waitpid(child, 0)[1] == 0
        going = False
        churning.join()
    """
    run(program, mode)
