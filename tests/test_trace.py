"""Trace mode: what it counts, and whom it charges with it."""

import collections
import sys
import threading
import time

import pytest
from debugging import line_of
from snippet import REFERENCE
from tracing import entries, entry, traced
from type_snippets import method, new, slot, type_source

pytestmark = pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has a trace mode of its own")
if sys.implementation.name != "pypy":
    from hpy.trace import get_call_counts, get_durations, get_frequency, set_trace_functions

# The tests down to "Attribution" hold for 0.9.0 as well.
newer = pytest.mark.skipif(REFERENCE, reason="0.9.0 counts per function only")

BOTH_MODES = pytest.mark.parametrize("mode", ["trace", pytest.param("debug_trace", marks=newer)])

COUNTED = """
    FUNC_O(sum)
    {
        HPy_ssize_t length = HPy_Length(ctx, arg);
        if (length < 0)
            return HPy_NULL;
        HPy total = HPyLong_FromLong(ctx, 0);
        for (HPy_ssize_t i = 0; i < length; i++) {
            HPy item = HPy_GetItem_i(ctx, arg, i);
            HPy next = HPy_Add(ctx, total, item);
            HPy_Close(ctx, item);
            HPy_Close(ctx, total);
            if (HPy_IsNull(next))
                return HPy_NULL;
            total = next;
        }
        return total;
    }
    FUNC_O(call) { return HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL); }
"""


def counter():
    return collections.Counter(get_call_counts())


@pytest.fixture(autouse=True)
def no_trace_functions():
    yield
    set_trace_functions(on_enter=None, on_exit=None)


def expected_for_sum(length):
    """What the C code says."""
    expected = {"ctx_Length": 1, "ctx_Long_FromInt64_t": 1}
    if length:
        expected.update({"ctx_GetItem_i": length, "ctx_Add": length, "ctx_Close": 2 * length})
    return collections.Counter(expected)


@BOTH_MODES
def test_counts_are_exact(mode):
    mod = traced(COUNTED, mode)
    before = counter()
    assert mod.sum([1, 2, 3]) == 6
    assert counter() - before == expected_for_sum(3)
    assert mod.sum([]) == 0
    assert mod.sum(range(1000)) == 499500
    assert counter() - before == expected_for_sum(3) + expected_for_sum(0) + expected_for_sum(1000)


@newer
@BOTH_MODES
def test_counts_are_exact_with_threads(mode):
    mod = traced(COUNTED, mode)
    before = counter()
    start = threading.Barrier(4)

    def work(length):
        start.wait()
        for _ in range(200):
            mod.sum(range(length))

    threads = [threading.Thread(target=work, args=[length]) for length in (10, 20, 30, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = collections.Counter()
    for length in (10, 20, 30, 40):
        for _ in range(200):
            expected += expected_for_sum(length)
    assert counter() - before == expected
    # Those of threads that have ended are still there.
    assert sum(each.calls for each in entries(mod) if each.kind == "function") == 800


@newer
def test_threads_come_and_go():
    mod = traced(COUNTED)
    before = counter()
    for _ in range(50):
        thread = threading.Thread(target=mod.sum, args=[[1]])
        thread.start()
        thread.join()
    expected = expected_for_sum(1)
    assert counter() - before == {name: 50 * count for name, count in expected.items()}


def test_counts_are_by_member_and_have_all_of_them():
    counts, durations = get_call_counts(), get_durations()
    assert counts.keys() == durations.keys()
    assert {"ctx_Dup", "ctx_Add", "ctx_CallTupleDict", "ctx_Tracker_New"} <= counts.keys()
    assert not any(name.startswith("h_") for name in counts)
    assert all(type(value) is int for value in [*counts.values(), *durations.values()])


def test_durations_are_nanoseconds_with_what_is_called():
    mod = traced(COUNTED)
    before = get_durations()
    start = time.perf_counter_ns()
    mod.call(lambda: time.sleep(0.05))
    took = time.perf_counter_ns() - start
    changed = {name: time - before[name] for name, time in get_durations().items() if time != before[name]}
    assert changed.keys() == {"ctx_CallTupleDict"}
    assert 50e6 <= changed["ctx_CallTupleDict"] <= took * 1.01


def test_the_frequency_is_in_hertz():
    assert 1_000_000 <= get_frequency() <= 1_000_000_000


# Python functions that are told


def test_functions_are_called_before_and_after():
    mod = traced(COUNTED)
    told = []
    set_trace_functions(lambda name: told.append(("enter", name)), on_exit=lambda name: told.append(("exit", name)))
    mod.sum([1])
    names = ["ctx_Length", "ctx_Long_FromInt64_t", "ctx_GetItem_i", "ctx_Add", "ctx_Close", "ctx_Close"]
    assert told == [(when, name) for name in names for when in ("enter", "exit")]


def test_an_argument_that_is_left_out_changes_nothing():
    mod = traced("FUNC_O(f) { return HPy_Add(ctx, arg, arg); }")
    entered, left = [], []
    set_trace_functions(on_enter=entered.append)
    mod.f(1)
    set_trace_functions(on_exit=left.append)
    mod.f(1)
    assert (entered, left) == (["ctx_Add"] * 2, ["ctx_Add"])
    set_trace_functions(on_enter=None)
    mod.f(1)
    assert (entered, left) == (["ctx_Add"] * 2, ["ctx_Add"] * 2)
    set_trace_functions()
    mod.f(1)
    assert (entered, left) == (["ctx_Add"] * 2, ["ctx_Add"] * 3)


def test_only_callables_can_be_told():
    told = []
    set_trace_functions(told.append)
    with pytest.raises(TypeError):
        set_trace_functions(1)
    with pytest.raises(TypeError):
        set_trace_functions(None, on_exit=1)
    traced("FUNC_O(f) { return HPy_Add(ctx, arg, arg); }").f(1)
    # Of the second call nothing was done.
    assert told == ["ctx_Add"] or REFERENCE


@newer
@BOTH_MODES
def test_an_exception_in_a_function_is_reported_and_ends_it(mode, monkeypatch):
    mod = traced("FUNC_O(f) { return HPy_Add(ctx, arg, arg); }", mode)
    reported, told = [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda problem: reported.append((problem.exc_value, problem.object)))

    def fails(name):
        told.append(name)
        raise KeyError(name)

    set_trace_functions(on_enter=fails, on_exit=told.append)
    assert mod.f(1) == 2
    assert mod.f(2) == 4
    assert [type(value) for value, _ in reported] == [KeyError] and reported[0][1] is fails
    # The other one goes on.
    assert told == ["ctx_Add"] * 3


@newer
def test_a_pending_exception_is_kept():
    mod = traced("""
        FUNC_O(f)
        {
            HPyErr_SetString(ctx, ctx->h_LookupError, "pending");
            HPyErr_Occurred(ctx);
            return HPy_NULL;
        }
    """)
    seen = []
    set_trace_functions(on_enter=lambda name: seen.append(sys.exc_info()), on_exit=lambda name: seen.append(int("1")))
    with pytest.raises(LookupError, match="^pending$"):
        mod.f(1)
    assert seen == [(None, None, None), 1] * 2


@newer
def test_functions_are_not_told_of_what_they_cause():
    mod = traced("FUNC_O(f) { return HPy_Add(ctx, arg, arg); }")
    told = []

    def tell(name):
        told.append(name)
        assert mod.f(3) == 6

    set_trace_functions(on_enter=tell)
    before = get_call_counts()["ctx_Add"]
    mod.f(1)
    assert told == ["ctx_Add"]
    # It is counted all the same.
    assert get_call_counts()["ctx_Add"] - before == 2


@newer
def test_functions_take_nobodys_time():
    mod = traced("""
        FUNC_O(f) { return HPy_Add(ctx, arg, arg); }
        FUNC_O(g) { return HPy_Add(ctx, arg, arg); }
    """)

    def tell(name):
        time.sleep(0.05)
        mod.g(1)
        time.sleep(0.05)

    set_trace_functions(on_enter=tell, on_exit=tell)
    mod.f(1)
    set_trace_functions(on_enter=None, on_exit=None)
    f, inside = entry(mod, "f"), [each for each in entries(mod) if each.name.endswith(".g")]
    assert f.total_time < 100e6 and f.self_time < 100e6
    # They are no children of what the function was told of.
    assert sum(each.calls for each in inside) == 2 and all(each.parent is None for each in inside)


@newer
def test_a_function_may_replace_itself():
    mod = traced("FUNC_O(f) { return HPy_Add(ctx, arg, arg); }")
    told = []

    def first(name):
        set_trace_functions(on_enter=told.append)
        raise ValueError("this one is gone already")

    set_trace_functions(on_enter=first)
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        mod.f(1)
    finally:
        sys.unraisablehook = hook
    mod.f(1)
    assert told == ["ctx_Add"]


@newer
def test_nothing_is_told_outside_of_python_execution():
    mod = traced("""
        FUNC_NOARGS(f)
        {
            HPyThreadState state = HPy_LeavePythonExecution(ctx);
            HPy_ReenterPythonExecution(ctx, state);
            return NONE;
        }
    """)
    entered, left = [], []
    set_trace_functions(entered.append, left.append)
    mod.f()
    assert entered == ["ctx_LeavePythonExecution", "ctx_Dup"]
    assert left == ["ctx_ReenterPythonExecution", "ctx_Dup"]


# Attribution

TYPE = type_source(
    "Traced",
    "long value;",
    new("Traced"),
    method("up", "return HPyLong_FromLong(ctx, ++Traced_AsStruct(ctx, self)->value);"),
    """
    HPyDef_GET(Traced_value, "value")
    static HPy Traced_value_get(HPyContext *ctx, HPy self, void *closure)
    {
        (void)closure;
        return HPyLong_FromLong(ctx, Traced_AsStruct(ctx, self)->value);
    }
    """,
    slot("nb_add", "return HPy_Dup(ctx, ctx->h_NotImplemented);"),
)


def find(name):
    from hpy.trace import recording

    return [each for each in recording().walk() if each.name == name]


@newer
def test_calls_are_charged_to_methods_getters_and_slots():
    mod = traced(TYPE)
    instance = mod.Traced()
    assert instance.up() == instance.value == 1
    with pytest.raises(TypeError):
        instance + 1
    called = {
        "mod.Traced: HPy_tp_new": {"HPy_New"},
        "mod.Traced.up": {"HPyLong_FromInt64_t"},
        "mod.Traced.value: getter": {"HPyLong_FromInt64_t"},
        "mod.Traced: HPy_nb_add": {"HPy_Dup"},
    }
    for name, functions in called.items():
        children = {child.name for each in find(name) for child in each.children}
        assert functions <= children, (name, children)


@newer
def test_a_total_is_not_that_of_another_function():
    from hpy.trace.rows import rows
    from hpy.trace import recording

    outer, inner = traced(COUNTED), traced(COUNTED)
    outer.call(lambda: inner.call(lambda: time.sleep(0.01)))
    found = {row.called_from.split(" ")[0]: row for row in rows(recording(), "api") if row.name == "HPy_CallTupleDict"}
    assert all(found[f"{mod.__name__}.call"].total_time >= 10e6 for mod in (outer, inner))


@newer
def test_code_that_is_made_anew_each_time_is_one_line():
    mod = traced(COUNTED)
    code = [eval("lambda: mod.sum([1])", {"mod": mod}) for _ in range(20)]
    for function in code:
        function()
    for _ in range(20):
        eval("mod.sum([1])", {"mod": mod})
    lines = {each.line["function"]: each.calls for each in entries(mod) if each.kind == "function"}
    assert lines == {"<lambda>": 20, "<module>": 20}


@newer
def test_what_a_module_does_at_its_import_is_charged_to_its_slot():
    mod = traced("""
        HPyDef_SLOT(exec, HPy_mod_exec)
        static int exec_impl(HPyContext *ctx, HPy mod)
        {
            return HPy_SetAttr_s(ctx, mod, "made", ctx->h_True);
        }
    """)
    assert mod.made is True
    (slot,) = [each for each in entries(mod) if each.kind == "function"]
    assert slot.name == f"{mod.__name__}: HPy_mod_exec"
    assert [(child.name, child.text) for child in slot.children] == [("HPy_SetAttr_s", "made")]


@newer
@BOTH_MODES
def test_lines_of_python_and_of_c_are_told_apart(mode):
    mod = traced(COUNTED, mode)
    first = sys._getframe().f_lineno + 1
    mod.sum([1])
    for _ in range(3):
        mod.sum([1, 2])
    lines = {each.line["line"]: each for each in entries(mod) if each.name.endswith(".sum")}
    assert {line: each.calls for line, each in lines.items()} == {first: 1, first + 2: 3}
    here = lines[first + 2]
    assert here.line["file"] == __file__ and here.line["function"] == "test_lines_of_python_and_of_c_are_told_apart"
    closes = {each.place: each.calls for each in here.children if each.name == "HPy_Close"}
    line_of_item = line_of("HPy_Close(ctx, item)", COUNTED)
    assert closes == {f"snippet:{line_of_item}": 6, f"snippet:{line_of_item + 1}": 6}


@newer
@BOTH_MODES
def test_what_python_calls_meanwhile_is_below(mode):
    mod = traced(COUNTED, mode)

    def inner():
        return mod.sum([1])

    mod.call(inner)
    call = entry(mod, "call")
    (api,) = call.children
    (below,) = api.children
    assert (api.name, below.name) == ("HPy_CallTupleDict", f"{mod.__name__}.sum")
    assert below.line["function"] == "inner" and below.caller is below and api.caller is call
    assert call.total_time >= api.total_time >= below.total_time > 0


@newer
def test_times_add_up():
    mod = traced(COUNTED)
    for _ in range(20):
        mod.call(lambda: mod.sum(range(50)))
    for each in entries(mod):
        below = sum(child.total_time for child in each.children)
        # Each time is rounded to nanoseconds by itself.
        assert each.total_time == pytest.approx(each.self_time + below, abs=2 + len(each.children)), each


@newer
@BOTH_MODES
def test_recursion_is_seen_once(mode):
    mod = traced(COUNTED, mode)

    def down(depth):
        if depth:
            mod.call(lambda: down(depth - 1))

    down(30)
    (first,) = [each for each in entries(mod) if each.kind == "function"]
    (api,) = first.children
    assert (first.calls, api.calls, api.children) == (30, 30, [])
    assert first.total_time >= api.total_time
    assert first.total_time == pytest.approx(first.self_time + api.self_time, rel=0.001, abs=10)


@newer
@BOTH_MODES
def test_handles_that_are_left_open(mode):
    mod = traced(
        """
        FUNC_O(clean)
        {
            HPyTracker ht = HPyTracker_New(ctx, 0);
            HPyTracker_Add(ctx, ht, HPy_Dup(ctx, arg));
            HPyTracker_Add(ctx, ht, HPy_Dup(ctx, arg));
            HPy_Close(ctx, HPy_Dup(ctx, arg));
            HPyTracker_Close(ctx, ht);
            return HPy_Dup(ctx, arg);
        }
        FUNC_O(forgets)
        {
            HPyTracker ht = HPyTracker_New(ctx, 0);
            HPyTracker_Add(ctx, ht, HPy_Dup(ctx, arg));
            HPyTracker_Add(ctx, ht, HPy_Dup(ctx, arg));
            HPyTracker_Add(ctx, ht, HPy_NULL);
            HPyTracker_ForgetAll(ctx, ht);
            HPyTracker_Close(ctx, ht);
            return NONE;
        }
        FUNC_O(leaks)
        {
            HPy_Dup(ctx, arg);
            HPy_Length(ctx, arg);
            HPyErr_Clear(ctx);
            return HPyLong_FromLong(ctx, 1);
        }
        """,
        mode,
    )
    for _ in range(5):
        mod.clean(1), mod.forgets(1), mod.leaks(1)
    counts = {name: entry(mod, name) for name in ("clean", "forgets", "leaks")}
    assert {name: (each.opened, each.closed) for name, each in counts.items()} == {
        "clean": (20, 20),
        "forgets": (25, 15),
        "leaks": (10, 5),
    }


@newer
@BOTH_MODES
def test_exceptions_are_charged_to_who_raises_them(mode):
    mod = traced(
        """
        FUNC_O(f)
        {
            HPy item = HPy_GetItem_i(ctx, arg, 5);
            if (HPy_IsNull(item))
                return HPy_NULL;
            return item;
        }
        FUNC_O(minus_one)
        {
            long value = HPyLong_AsLong(ctx, arg);
            return value == -1 && HPyErr_Occurred(ctx) ? HPy_NULL : HPyLong_FromLong(ctx, value);
        }
        FUNC_O(own)
        {
            (void)arg;
            HPyErr_SetString(ctx, ctx->h_ValueError, "own");
            return HPy_NULL;
        }
        """,
        mode,
    )
    for argument in ([1], list(range(6)), []):
        try:
            mod.f(argument)
        except IndexError:
            pass
    assert mod.minus_one(-1) == -1
    with pytest.raises(TypeError):
        mod.minus_one("text")
    with pytest.raises(ValueError):
        mod.own(1)
    raised = collections.Counter()
    for each in entries(mod):
        raised[each.name.replace(f"{mod.__name__}.", "")] += each.raised
    expected = {"f": 2, "HPy_GetItem_i": 2, "minus_one": 1, "HPyLong_AsInt64_t": 1, "own": 1, "HPyErr_SetString": 1}
    assert +raised == expected


@newer
def test_an_end_of_iteration_is_no_exception():
    mod = traced("""
        FUNC_O(f)
        {
            HPy it = HPy_GetIter(ctx, arg), item;
            while (!HPy_IsNull(item = HPyIter_Next(ctx, it)))
                HPy_Close(ctx, item);
            HPy_Close(ctx, it);
            return NONE;
        }
    """)
    mod.f([1, 2])
    assert (entry(mod, "HPyIter_Next").calls, entry(mod, "HPyIter_Next").raised) == (3, 0)


@newer
def test_debug_mode_below_finds_what_it_finds_alone():
    source = """
        FUNC_O(leak)
        {
            HPy_Dup(ctx, arg);
            return NONE;
        }
        FUNC_O(close_twice)
        {
            HPy h = HPy_Dup(ctx, arg);
            HPy_Close(ctx, h);
            HPy_Close(ctx, h);
            return NONE;
        }
    """
    from hpy.debug import HPyDebugError, HPyLeakError, LeakDetector
    from hpy.universal import _debug

    mod = traced(source, "debug_trace")
    before = _debug.override_action("raise")
    try:
        with pytest.raises(HPyDebugError) as caught:
            mod.close_twice("text")
        with pytest.raises(HPyLeakError) as leaked, LeakDetector():
            mod.leak("left")
    finally:
        _debug.override_action(before)
    report = str(caught.value)
    assert "HPY-D007" in report and f"{mod.__name__}.close_twice" in report
    line = line_of("HPy h =", source)
    assert all(f"snippet:{number}" in report for number in (line, line + 1, line + 2)), report
    assert f"snippet:{line_of('HPy_Dup', source)}" in str(leaked.value) and f"{mod.__name__}.leak" in str(leaked.value)
    # What debug mode did to find it is not counted.
    names = [each.name for each in entries(mod) if each.kind == "api"]
    assert sorted(set(names)) == ["HPy_Close", "HPy_Dup"]


@newer
def test_debug_mode_below_is_not_asked_by_trace_mode(monkeypatch):
    from hpy.universal import _debug

    mod = traced(
        """
        FUNC_NOARGS(leaves)
        {
            HPy_LeavePythonExecution(ctx);
            return HPy_NULL;
        }
        """,
        "debug_trace",
    )
    before = _debug.override_action("raise")
    try:
        with pytest.raises(Exception) as caught:
            mod.leaves()
    finally:
        _debug.override_action(before)
    assert "HPY-D036" in str(caught.value) or "unbalanced" in str(caught.value), caught.value
    assert "HPyErr_Occurred" not in str(caught.value)


@newer
def test_a_buffer_and_a_call_function_have_names():
    mod = traced(
        """
        HPyDef_CALL_FUNCTION(Shared_call)
        static HPy Shared_call_impl(HPyContext *ctx, HPy callable, const HPy *args, size_t nargs, HPy kwnames)
        {
            return HPyLong_FromSize_t(ctx, nargs);
        }
        """
        + type_source(
            "Shared",
            "char data[4];",
            slot("tp_call", "return HPy_Dup(ctx, ctx->h_None);"),
            slot(
                "tp_new",
                """
                Shared *data;
                HPy result = HPy_New(ctx, type, &data);
                if (!HPy_IsNull(result))
                    HPy_SetCallFunction(ctx, result, &Shared_call);
                return result;
                """,
            ),
            slot(
                "bf_getbuffer",
                """
                char *data = Shared_AsStruct(ctx, self)->data;
                *buffer = (HPy_buffer){ .buf = data, .obj = HPy_Dup(ctx, self), .len = 4, .itemsize = 1, .ndim = 1 };
                return 0;
                """,
            ),
            slot("bf_releasebuffer", ""),
        )
    )
    shared = mod.Shared()
    assert shared(1, 2, 3) == 3
    assert bytes(memoryview(shared)) == bytes(4)
    for name in ("mod.Shared: HPy_tp_new", "mod.Shared: HPy_bf_getbuffer", "call function set by mod.Shared: HPy_tp_new"):
        counted = [(each.calls, each.opened, each.closed) for each in find(name)]
        assert counted and all(opened == closed == calls for calls, opened, closed in counted), (name, counted)
    assert find("mod.Shared: HPy_bf_releasebuffer")
