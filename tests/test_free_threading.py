"""HPY_MOD_GIL_NOT_USED, and extensions that many threads use at once: with the GIL, and in anger without it."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from snippet import CACHE, REFERENCE, compile_file, expand, make_importable

pytestmark = [
    pytest.mark.skipif(REFERENCE, reason="0.9.0 knows no CPython without the GIL"),
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="PyPy has a GIL"),
]

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
without_gil = pytest.mark.skipif(not FREE_THREADED, reason="this CPython always has its GIL")

DECLARED = ("-DHPY_MOD_GIL_NOT_USED",)
ABIS = ["universal", "hybrid", "cpython"]

# What a binary is called that CPython imports by its PyInit_NAME.
SUFFIX = "." + sysconfig.get_config_var("EXT_SUFFIX").rpartition(".")[2]

SIMPLE = "FUNC_NOARGS(answer) { return HPyLong_FromLong(ctx, 42); }"


def python(folder, code, *options, **environment):
    """Runs code in a process of its own, which says what became of the GIL."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHON_GIL", "HPY", "HPY_DEBUG")}
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        cwd=folder,
        env={**variables, **environment},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
    )


def place(folder, abi, how, flags=()):
    """Makes the module `mod` importable: by its own PyInit_mod, or with a stub file."""
    binary = compile_file(expand(SIMPLE, "mod"), "mod", abi, extra_flags=flags)
    if how == "stub":
        make_importable(binary, folder)
    else:
        shutil.copy(binary, Path(folder, "mod" + SUFFIX))


# CPython's warning says what it is on for.
NAMED = {"own": "mod", "stub": "mod._loaded_by_hpy"}
WAYS = [("universal", "own"), ("universal", "stub"), ("hybrid", "stub"), ("cpython", "own")]

IMPORT = """
    import sys
    import mod
    print(mod.answer(), getattr(sys, "_is_gil_enabled", lambda: "always")())
"""


@pytest.mark.parametrize("abi, how", WAYS)
@pytest.mark.parametrize("mode", ["", "debug", "trace"])
def test_a_module_that_declares_it_leaves_the_gil_off(tmp_path, abi, how, mode):
    place(tmp_path, abi, how, DECLARED)
    # The CPython ABI has no modes, and says so.
    quiet = ["-W", "error", "-W", "ignore:HPY="]
    run = python(tmp_path, IMPORT, *quiet, **({"HPY": mode} if mode else {}))
    expected = "False" if FREE_THREADED else run.stdout.split()[-1]
    assert (run.returncode, run.stdout.split()[:2], run.stderr) == (0, ["42", expected], ""), run.stderr


@without_gil
@pytest.mark.parametrize("abi, how", WAYS)
def test_a_module_that_does_not_turns_it_on(tmp_path, abi, how):
    place(tmp_path, abi, how)
    run = python(tmp_path, IMPORT)
    assert (run.returncode, run.stdout) == (0, "42 True\n")
    assert run.stderr.count("Warning") == 1
    assert f"RuntimeWarning: The global interpreter lock (GIL) has been enabled to load module '{NAMED[how]}'" in run.stderr


@without_gil
@pytest.mark.parametrize("abi, how", WAYS)
def test_who_treats_warnings_as_errors_gets_one(tmp_path, abi, how):
    place(tmp_path, abi, how)
    run = python(tmp_path, IMPORT, "-W", "error")
    assert run.returncode == 1 and run.stdout == ""
    assert f"RuntimeWarning: The global interpreter lock (GIL) has been enabled to load module '{NAMED[how]}'" in run.stderr


@without_gil
@pytest.mark.parametrize("abi, how", WAYS)
@pytest.mark.parametrize("setting, is_on", [("0", False), ("1", True)])
def test_the_user_decides(tmp_path, abi, how, setting, is_on):
    place(tmp_path, abi, how)
    run = python(tmp_path, IMPORT, "-W", "error", PYTHON_GIL=setting)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"42 {is_on}\n", "")


@without_gil
def test_one_warning_for_many_modules(tmp_path):
    place(tmp_path, "universal", "stub")
    code = """
        import importlib.machinery, sys
        import hpy.universal
        assert not sys._is_gil_enabled()
        spec = importlib.machinery.ModuleSpec("mod", None)
        for _ in range(3):
            module = hpy.universal.load("mod", "mod.hpy0.so", spec)
        print(module.answer(), sys._is_gil_enabled())
    """
    run = python(tmp_path, code)
    assert (run.returncode, run.stdout) == (0, "42 True\n")
    assert run.stderr.count("Warning") == 1


@without_gil
def test_the_runtime_and_its_tools_leave_it_off(tmp_path):
    code = """
        import sys
        import hpy.universal, hpy.debug, hpy.trace, hpy.devel
        from hpy.debug import LeakDetector
        with LeakDetector():
            pass
        print(sys._is_gil_enabled())
    """
    run = python(tmp_path, code, "-W", "error")
    assert (run.returncode, run.stdout, run.stderr) == (0, "False\n", "")


@without_gil
def test_a_binary_from_before_turns_it_on(tmp_path):
    """One whose entry ends where the runtime looks for the declaration."""
    source = expand(SIMPLE, "mod").replace(
        "#include <hpy.h>\n",
        "#include <hpy.h>\n#undef _HPy_WITHOUT_GIL\n"
        "#define _HPy_WITHOUT_GIL(name) (void (*)(const _HPyThreading *))1\n"
        "#define sizeof(type) offsetof(type, set_threading)\n",
    )
    shutil.copy(compile_file(source, "mod"), tmp_path / ("mod" + SUFFIX))
    run = python(tmp_path, IMPORT)
    assert (run.returncode, run.stdout) == (0, "42 True\n"), run.stderr
    assert "'mod'" in run.stderr


# A type with fields and a member, globals, and functions that use them, all without a lock of their own.
SHARED = """
    typedef struct { HPyField value; HPyField other; long count; } Box;
    HPyType_HELPERS(Box)
    static HPyGlobal global;
    static HPyGlobal type;

    HPyDef_SLOT(Box_new, HPy_tp_new)
    static HPy Box_new_impl(HPyContext *ctx, HPy cls, const HPy *args, HPy_ssize_t nargs, HPy kw)
    {
        Box *box;
        HPy h = HPy_New(ctx, cls, &box);
        if (HPy_IsNull(h))
            return HPy_NULL;
        box->count = 7;
        HPyField_Store(ctx, h, &box->value, nargs > 0 ? args[0] : ctx->h_None);
        return h;
    }

    HPyDef_SLOT(Box_traverse, HPy_tp_traverse)
    static int Box_traverse_impl(void *self, HPyFunc_visitproc visit, void *arg)
    {
        Box *box = self;
        HPy_VISIT(&box->value);
        HPy_VISIT(&box->other);
        return 0;
    }

    HPyDef_METH(Box_load, "load", HPyFunc_NOARGS)
    static HPy Box_load_impl(HPyContext *ctx, HPy self)
    {
        return HPyField_Load(ctx, self, Box_AsStruct(ctx, self)->value);
    }

    HPyDef_METH(Box_store, "store", HPyFunc_O)
    static HPy Box_store_impl(HPyContext *ctx, HPy self, HPy arg)
    {
        HPyField_Store(ctx, self, &Box_AsStruct(ctx, self)->value, arg);
        return NONE;
    }

    HPyDef_METH(Box_empty, "empty", HPyFunc_NOARGS)
    static HPy Box_empty_impl(HPyContext *ctx, HPy self)
    {
        HPyField_Store(ctx, self, &Box_AsStruct(ctx, self)->value, HPy_NULL);
        return NONE;
    }

    HPyDef_METH(Box_get, "get", HPyFunc_KEYWORDS)
    static HPy Box_get_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
    {
        static const char *names[] = { "default", NULL };
        HPy fallback = ctx->h_None;
        HPyTracker tracker;
        if (!HPyArg_ParseKeywords(ctx, &tracker, args, nargs, kwnames, "|O", names, &fallback))
            return HPy_NULL;
        HPy h = HPyField_Load(ctx, self, Box_AsStruct(ctx, self)->value);
        if (HPy_IsNull(h))
            h = HPy_Dup(ctx, fallback);
        HPyTracker_Close(ctx, tracker);
        return h;
    }

    HPyDef_MEMBER(Box_value, "value", HPyMember_OBJECT, offsetof(Box, value))
    HPyDef_MEMBER(Box_value_ex, "value_ex", HPyMember_OBJECT_EX, offsetof(Box, value))
    HPyDef_MEMBER(Box_count, "count", HPyMember_LONG, offsetof(Box, count), .readonly = 1)

    static HPyDef *Box_defines[] = {
        &Box_new, &Box_traverse, &Box_load, &Box_store, &Box_empty, &Box_get, &Box_value, &Box_value_ex, &Box_count,
        NULL
    };
    static HPyType_Spec Box_spec = {
        .name = "mod.Box",
        .basicsize = sizeof(Box),
        .builtin_shape = SHAPE(Box),
        .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_BASETYPE | HPy_TPFLAGS_HAVE_GC,
        .defines = Box_defines,
    };

    HPyDef_SLOT(init, HPy_mod_exec)
    static int init_impl(HPyContext *ctx, HPy module)
    {
        HPy cls = HPyType_FromSpec(ctx, &Box_spec, NULL);
        if (HPy_IsNull(cls))
            return -1;
        HPyGlobal_Store(ctx, &type, cls);
        HPyGlobal_Store(ctx, &global, ctx->h_None);
        int result = HPy_SetAttr_s(ctx, module, "Box", cls);
        HPy_Close(ctx, cls);
        return result;
    }

    FUNC_NOARGS(make_type) { return HPyType_FromSpec(ctx, &Box_spec, NULL); }

    FUNC_NOARGS(load_global) { return HPyGlobal_Load(ctx, global); }

    FUNC_O(store_global)
    {
        HPyGlobal_Store(ctx, &global, arg);
        return NONE;
    }

    FUNC_O(make_box)
    {
        HPy cls = HPyGlobal_Load(ctx, type);
        HPy box = HPy_CallTupleDict(ctx, cls, HPy_NULL, HPy_NULL);
        HPy_Close(ctx, cls);
        if (!HPy_IsNull(box) && HPy_SetAttr_s(ctx, box, "value", arg) < 0) {
            HPy_Close(ctx, box);
            return HPy_NULL;
        }
        return box;
    }

    /* The items of a list, and another one in each place; null where another thread has made the list shorter. */
    FUNC_VARARGS(exchange)
    {
        HPy_ssize_t count = HPy_Length(ctx, args[0]);
        HPyListBuilder builder = HPyListBuilder_New(ctx, count);
        for (HPy_ssize_t i = 0; i < count; i++) {
            HPy item = HPy_GetItem_i(ctx, args[0], i);
            if (HPy_IsNull(item) || HPy_SetItem_i(ctx, args[0], i, args[1]) < 0) {
                HPyErr_Clear(ctx);
                HPy_Close(ctx, item);
                item = NONE;
            }
            HPyListBuilder_Set(ctx, builder, i, item);
            HPy_Close(ctx, item);
        }
        return HPyListBuilder_Build(ctx, builder);
    }

    FUNC_O(fail)
    {
        HPyErr_Format(ctx, ctx->h_LookupError, "no %R", arg);
        return HPy_NULL;
    }
"""

# Lets functions run in many threads at once, for a while and once in each at least. Things are counted.
ANGER = """
    import faulthandler, gc, sys, threading, time
    faulthandler.dump_traceback_later(200, exit=True)
    sys.setswitchinterval(1e-5)
    import mod

    class Thing:
        alive = 0
        # A collection can come while it is held.
        lock = threading.RLock()
        def __init__(self, name=None):
            self.name = name
            with Thing.lock:
                Thing.alive += 1
        def __del__(self):
            with Thing.lock:
                Thing.alive -= 1

    def run(*functions, threads=8, seconds=SECONDS):
        barrier = threading.Barrier(threads)
        errors = []
        def work(number):
            function = functions[number % len(functions)]
            barrier.wait()
            end = time.monotonic() + seconds
            try:
                while True:
                    function(number)
                    if time.monotonic() > end or errors:
                        break
            except BaseException as error:
                errors.append(error)
                raise
        started = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        assert not errors, errors
"""

END = """
    gc.collect()
    print(Thing.alive, getattr(sys, "_is_gil_enabled", lambda: True)())
"""


@pytest.fixture(params=[("universal", ""), ("universal", "debug"), ("universal", "debug+trace"), ("cpython", "")], ids="-".join)
def in_anger(request, tmp_path):
    """in_anger(code): runs code with `mod` in a process of its own; everything of class Thing has to be gone in the end."""
    abi, mode = request.param

    def check(code):
        shutil.copy(compile_file(expand(textwrap.dedent(SHARED), "mod"), "mod", abi, DECLARED), tmp_path / ("mod" + SUFFIX))
        seconds = 2 if FREE_THREADED else 0.3
        start = textwrap.dedent(ANGER).replace("SECONDS", str(seconds))
        whole = start + textwrap.dedent(code) + textwrap.dedent(END)
        environment = {"HPY": mode, "HPY_DEBUG": "raise"} if mode else {}
        run = python(tmp_path, whole, "-X", "faulthandler", **environment)
        expected = f"0 {not FREE_THREADED}\n"
        assert (run.returncode, run.stdout, run.stderr) == (0, expected, ""), run.stdout + run.stderr

    return check


def test_one_field(in_anger):
    in_anger("""
        box = mod.Box(Thing())
        def store(number):
            box.store(Thing(number))
        def load(number):
            assert type(box.load()) is Thing
        run(store, load, load, load)
        run(store)
        del box
    """)


def test_a_field_that_is_emptied(in_anger):
    in_anger("""
        box = mod.Box(Thing())
        def change(number):
            box.store(Thing(number))
            box.empty()
        def load(number):
            assert type(box.get()) in (Thing, type(None))
            assert type(box.get(default=box)) in (Thing, mod.Box)
        run(change, load, load, load)
        del box
    """)


@pytest.mark.parametrize("member", ["value", "value_ex"])
def test_a_field_that_is_a_member(in_anger, member):
    in_anger("""
        box = mod.Box(Thing())
        def store(number):
            box.store(Thing(number))
        def load(number):
            assert type(box.load()) is Thing
        def set_attribute(number):
            box.value = Thing(number)
        def get_attribute(number):
            assert type(box.value) is Thing and box.count == 7
        run(store, load, set_attribute, get_attribute)
        del box
    """.replace(".value", "." + member))


def test_one_global(in_anger):
    in_anger("""
        mod.store_global(Thing())
        def store(number):
            mod.store_global(Thing(number))
        def load(number):
            assert type(mod.load_global()) is Thing
        run(store, load, load, load)
        run(store)
        # A finalizer that comes back to the same global.
        class Stores:
            def __del__(self):
                mod.store_global(Thing())
        run(lambda number: mod.store_global(Stores()))
        mod.store_global(None)
        gc.collect()
        mod.store_global(None)
    """)


def test_types(in_anger):
    in_anger("""
        def types(number):
            cls = mod.make_type()
            box = cls(Thing(number))
            class Derived(cls):
                def load(self):
                    return super().load(), self.value
            derived = Derived(box)
            first, second = derived.load()
            assert first is second is box and box.load().name == number
            # A cycle through the class.
            cls.instance = derived
            derived.store(derived)
        run(types)
        gc.collect()
    """)


def test_instances_and_collections(in_anger):
    in_anger("""
        def chains(number):
            box = mod.Box(Thing(number))
            for _ in range(100):
                box = mod.Box(box)
            box = mod.make_box(box)
            first = box
            while type(box) is mod.Box:
                box = box.load()
            assert box.name == number
        def cycles(number):
            boxes = [mod.Box(Thing(number)) for _ in range(50)]
            for box, other in zip(boxes, boxes[1:] + boxes[:1]):
                box.value = (other, Thing(number))
        def collect(number):
            gc.collect()
        run(chains, cycles, chains, collect)
    """)


def test_one_list(in_anger):
    in_anger("""
        items = [Thing() for _ in range(50)]
        def exchange(number):
            for item in mod.exchange(items, Thing(number)):
                assert item is None or type(item) is Thing
        def change(number):
            for _ in range(20):
                items.pop()
            items.extend(Thing(number) for _ in range(20))
        run(exchange, exchange, change)
        del items
    """)


def test_errors(in_anger):
    in_anger("""
        def fail(number):
            try:
                mod.fail(number)
            except LookupError as error:
                assert error.args == (f"no {number}",)
            else:
                assert False
        run(fail)
    """)


@pytest.mark.parametrize("traces", [0, 8])
def test_debug_mode_looks_on(tmp_path, traces):
    """What debug mode tells of handles, while other threads open and close them."""
    shutil.copy(compile_file(expand(textwrap.dedent(SHARED), "mod"), "mod", "universal", DECLARED), tmp_path / ("mod" + SUFFIX))
    code = textwrap.dedent(ANGER).replace("SECONDS", "2" if FREE_THREADED else "0.5") + textwrap.dedent("""
        from hpy.debug import LeakDetector
        from hpy.universal import _debug
        def use(number):
            box = mod.make_box(Thing(number))
            assert type(box.load()) is Thing
            mod.exchange([Thing(number)] * 10, box)
        def look(number):
            for handle in _debug.get_open_handles(0) + _debug.get_closed_handles(0):
                assert repr(handle) and handle.id and handle.raw_data_size
                handle.obj
            assert not _debug.leaks(0)
            with LeakDetector():
                pass
        def callbacks(number):
            _debug.set_on_invalid_handle(lambda: None)
        run(use, look, use, callbacks)
        assert not _debug.leaks(0)
    """) + textwrap.dedent(END)
    run = python(tmp_path, code, "-X", "faulthandler", HPY="debug", HPY_DEBUG=f"raise,traces={traces}")
    assert (run.returncode, run.stdout, run.stderr) == (0, f"0 {not FREE_THREADED}\n", ""), run.stderr


@pytest.mark.parametrize("how", ["own", "stub"])
def test_loading_at_once(tmp_path, how):
    """The same binary is loaded by many threads, in several modes, while it is used."""
    binary = compile_file(expand(textwrap.dedent(SHARED), "mod"), "mod", "universal", DECLARED)
    if how == "stub":
        make_importable(binary, tmp_path)
    else:
        shutil.copy(binary, tmp_path / ("mod" + SUFFIX))
    code = textwrap.dedent(ANGER).replace("SECONDS", "2" if FREE_THREADED else "0.5") + textwrap.dedent(f"""
        import importlib.util, hpy.universal as universal
        path = {str(binary)!r}
        spec = importlib.util.spec_from_file_location("mod", path)
        def load(number):
            module = universal.load("mod", path, spec, mode=number % 2)
            box = module.Box(Thing())
            assert type(box.load()) is Thing and type(module.make_box(3)) is not None
        def again(number):
            fresh = importlib.util.module_from_spec(mod.__spec__)
            mod.__spec__.loader.exec_module(fresh)
        run(load, load, again if mod.__file__.endswith({SUFFIX!r}) else load)
    """) + textwrap.dedent(END)
    run = python(tmp_path, code)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"0 {not FREE_THREADED}\n", ""), run.stderr


@pytest.mark.parametrize("abi", ABIS)
def test_what_the_macros_do_elsewhere(tmp_path, abi):
    """With a GIL as well: loads, stores, and empty fields."""
    binary = compile_file(expand(textwrap.dedent(SHARED), "mod"), "mod", abi, DECLARED)
    if abi == "cpython":
        shutil.copy(binary, tmp_path / ("mod" + SUFFIX))
    else:
        make_importable(binary, tmp_path)
    code = """
        import mod
        box = mod.Box(1)
        assert box.load() == 1
        box.store("two")
        assert (box.load(), box.value) == ("two", "two")
        box.empty()
        assert box.get() is None and box.get(default=3) == 3
        mod.store_global(box)
        assert mod.load_global() is box
        mod.store_global(None)
        assert mod.load_global() is None
    """
    run = python(tmp_path, code, "-W", "error")
    assert (run.returncode, run.stderr) == (0, ""), run.stderr


@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.parametrize("language", ["c", "c++"])
def test_both_languages(abi, language):
    """The headers with the declaration compile, without a warning."""
    source = """
        #include <hpy.h>
        typedef struct { HPyField field; } Data;
        HPyGlobal global;
        HPy use(HPyContext *ctx, HPy owner, Data *data, HPyGlobal *globals);
        HPy use(HPyContext *ctx, HPy owner, Data *data, HPyGlobal *globals)
        {
            HPy h = HPyField_Load(ctx, owner, data->field);
            HPyField_Store(ctx, owner, &data->field, h);
            HPyGlobal_Store(ctx, &global, h);
            HPyGlobal_Store(ctx, globals + 1, HPy_NULL);
            HPy_Close(ctx, h);
            return HPyGlobal_Load(ctx, globals[0]);
        }
        static HPyModuleDef moduledef = { .size = 0 };
        HPy_MODINIT(mod, moduledef)
    """
    if language == "c++":
        source = source.replace("{ .size = 0 }", "{}")
    compile_file(textwrap.dedent(source), "mod", abi, DECLARED, language)


def test_files_of_a_binary_share_what_the_runtime_hands_over(tmp_path):
    second = "#include <hpy.h>\nint second(void);\nint second(void) { return _HPy_threading != NULL; }\n"
    path = CACHE / f"second-{hashlib.sha256(second.encode()).hexdigest()[:16]}.c"
    path.write_text(second)
    source = expand(
        'int second(void);\nFUNC_NOARGS(both) { return HPy_BuildValue(ctx, "ii", _HPy_threading != NULL, second()); }', "mod"
    )
    binary = compile_file(source, "mod", "universal", (*DECLARED, str(path)))
    for how in ("own", "stub"):
        folder = tmp_path / how
        folder.mkdir()
        if how == "own":
            shutil.copy(binary, folder / ("mod" + SUFFIX))
        else:
            make_importable(binary, folder)
        run = python(folder, "import mod; print(*mod.both())", "-W", "error")
        assert (run.returncode, run.stdout, run.stderr) == (0, f"{int(FREE_THREADED)} {int(FREE_THREADED)}\n", "")
