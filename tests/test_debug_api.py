"""How debug mode can be asked and told: hpy.universal._debug and hpy.debug. What it finds is in misuses/."""

import gc
import importlib
import re
import sys
import traceback

import hpy.universal
import pytest
from debugging import debugged, line_of, run
from hpy.debug import (
    HPyDebugError,
    HPyLeakError,
    LeakDetector,
    disable_handle_stack_traces,
    set_handle_stack_trace_limit,
)
from hpy.universal import _debug
from snippet import REFERENCE

pytestmark = pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has a debug mode of its own")


@pytest.fixture(scope="module")
def mod():
    return debugged()


@pytest.fixture
def generation():
    """What a test leaves open on purpose is closed after it."""
    number = _debug.new_generation()
    yield number
    for handle in _debug.get_open_handles(number):
        handle._force_close()


@pytest.fixture
def raising():
    before = _debug.override_action("raise")
    yield
    _debug.override_action(before)


def description(handle):
    """The part of a handle's repr() that shows its object."""
    return re.match(r"<DebugHandle 0x[0-9a-f]+ for (.*)>\n", repr(handle)).group(1)


# The module


@pytest.mark.newer
def test_the_module_is_found_in_both_ways():
    assert importlib.import_module("hpy.universal._debug") is _debug
    assert sys.modules["hpy.universal._debug"] is hpy.universal._debug


@pytest.mark.newer
def test_everything_has_a_docstring():
    for name in dir(_debug):
        if not name.startswith("_"):
            assert getattr(_debug, name).__doc__, name
    for name in dir(_debug.DebugHandle):
        if not name.startswith("__"):
            assert getattr(_debug.DebugHandle, name).__doc__, name


@pytest.mark.newer
@pytest.mark.parametrize(
    "function, argument, error",
    [
        ("get_open_handles", "1", TypeError),
        ("get_open_handles", 1 << 64, OverflowError),
        ("get_closed_handles", None, TypeError),
        ("set_closed_handles_queue_max_size", -1, OverflowError),
        ("set_closed_handles_queue_max_size", "1", TypeError),
        ("set_protected_raw_data_max_size", -1, OverflowError),
        ("set_handle_stack_trace_limit", -1, OverflowError),
        ("set_handle_stack_trace_limit", "1", TypeError),
        ("set_on_invalid_handle", 1, TypeError),
        ("set_on_invalid_builder_handle", "function", TypeError),
        ("override_action", "collect", ValueError),
        ("override_action", "Raise", ValueError),
        ("override_action", 1, TypeError),
        ("configure", None, TypeError),
        ("configure", "loud", ValueError),
        ("leaks", None, TypeError),
    ],
)
def test_wrong_arguments_are_errors(function, argument, error):
    with pytest.raises(error):
        getattr(_debug, function)(argument)


# Handles


def test_generations_count_up():
    first = _debug.new_generation()
    assert _debug.new_generation() > first


def test_open_handles_are_listed_from_a_generation_on(mod, generation):
    mod.leak("first")
    mod.leak("second")
    later = _debug.new_generation()
    mod.leak("third")
    assert [handle.obj for handle in _debug.get_open_handles(generation)] == ["first", "second", "third"]
    assert [handle.obj for handle in _debug.get_open_handles(later)] == ["third"]
    assert _debug.get_open_handles(_debug.new_generation()) == []


def test_a_clean_function_leaves_nothing_open(mod, generation):
    assert mod.clean("text") == ["text"]
    assert _debug.get_open_handles(generation) == []
    if not REFERENCE:
        assert _debug.leaks(generation) == []


def test_a_closed_handle_is_remembered(mod, generation):
    mod.leak("text")
    (handle,) = _debug.get_open_handles(generation)
    assert handle.is_closed is False
    assert handle not in _debug.get_closed_handles(generation)
    handle._force_close()
    assert handle.is_closed is True
    assert handle in _debug.get_closed_handles(generation)
    assert handle in _debug.get_closed_handles()
    assert _debug.get_open_handles(generation) == []
    assert repr(handle).startswith(f"<DebugHandle {handle.id:#x} CLOSED>\n")


@pytest.mark.newer
def test_a_closed_handle_shows_no_object_and_is_closed_once(mod, generation):
    mod.leak("text")
    (handle,) = _debug.get_open_handles(generation)
    handle._force_close()
    assert handle.obj is None
    with pytest.raises(ValueError, match="closed"):
        handle._force_close()


def test_closing_a_leaked_handle_lets_its_object_go(mod, generation):
    class Object:
        def __del__(self):
            gone.append(1)

    gone = []
    mod.leak(Object())
    gc.collect()
    assert gone == []
    (handle,) = _debug.get_open_handles(generation)
    handle._force_close()
    assert gone == [1]


def test_the_number_of_remembered_handles_can_be_set(mod):
    before = _debug.get_closed_handles_queue_max_size()
    assert before > 0
    try:
        _debug.set_closed_handles_queue_max_size(before + 5)
        assert _debug.get_closed_handles_queue_max_size() == before + 5
    finally:
        _debug.set_closed_handles_queue_max_size(before)


def test_the_size_of_the_data_that_is_kept_can_be_set():
    before = _debug.get_protected_raw_data_max_size()
    assert before > 0
    try:
        _debug.set_protected_raw_data_max_size(100)
        assert _debug.get_protected_raw_data_max_size() == 100
    finally:
        _debug.set_protected_raw_data_max_size(before)


def test_a_handle_knows_the_size_of_its_text(mod, generation):
    mod.leak("text")
    mod.leak_with_text("text")
    assert [handle.raw_data_size for handle in _debug.get_open_handles(generation)] == [-1, 5]


def test_instances_for_the_same_handle_are_equal(mod, generation):
    mod.leak("same")
    mod.leak("same")
    first, second = _debug.get_open_handles(generation)
    again, _ = _debug.get_open_handles(generation)
    assert first is not again
    assert first == again and not first != again
    assert first != second and not first == second
    assert first.id == again.id != second.id
    assert first.obj is second.obj
    assert first != "same" and not first == first.id


@pytest.mark.newer
def test_instances_can_be_put_into_a_set(mod, generation):
    mod.leak("same")
    mod.leak("same")
    listed = _debug.get_open_handles(generation)
    assert len({*listed, *_debug.get_open_handles(generation)}) == 2


@pytest.mark.parametrize("compare", ["__lt__", "__le__", "__gt__", "__ge__"])
def test_handles_have_no_order(mod, generation, compare):
    mod.leak("text")
    (handle,) = _debug.get_open_handles(generation)
    assert getattr(handle, compare)(handle) is NotImplemented


@pytest.mark.newer
def test_instances_come_from_the_lists_only(mod, generation):
    with pytest.raises(TypeError):
        _debug.DebugHandle()
    with pytest.raises(TypeError):
        object.__new__(_debug.DebugHandle)
    with pytest.raises(TypeError):
        type("Derived", (_debug.DebugHandle,), {})
    mod.leak("text")
    (handle,) = _debug.get_open_handles(generation)
    for attribute in ("obj", "id", "is_closed", "raw_data_size"):
        with pytest.raises(AttributeError):
            setattr(handle, attribute, 1)


def test_the_repr_shows_the_object(mod, generation):
    mod.leak("hello")
    (handle,) = _debug.get_open_handles(generation)
    assert repr(handle).startswith(f"<DebugHandle {handle.id:#x} for 'hello'>\n")


@pytest.mark.newer
def test_the_repr_shows_where_the_handle_was_opened(mod, generation):
    mod.leak("hello")
    mod.leak_elsewhere("hello")
    for handle, function in zip(_debug.get_open_handles(generation), ["leak", "leak_elsewhere"]):
        place = repr(handle).partition("\n")[2]
        assert "HPy_Dup" in place and f"mod.{function}" in place
        assert f"snippet:{line_of(f'FUNC_O({function})') + 2}" in place


@pytest.mark.newer
def test_the_repr_of_a_closed_handle_shows_where_it_was_closed(mod, generation):
    mod.clean("text")
    texts = map(repr, _debug.get_closed_handles(generation))
    assert any(f"snippet:{line_of('HPy_Close(ctx, h)')}" in text for text in texts)


@pytest.mark.newer
def test_any_object_can_be_shown(mod, generation):
    class Failing:
        def __repr__(self):
            raise ValueError("no")

    class Lines:
        def __repr__(self):
            return "one\n    two\x1b[31m"

    class NoText:
        def __repr__(self):
            return 1

    class Nested:
        def __repr__(self):
            (handle,) = [handle for handle in _debug.get_open_handles(generation) if handle.obj is self]
            return f"(({handle!r}))"

    def shown(obj):
        mod.leak(obj)
        *_, handle = _debug.get_open_handles(generation)
        return description(handle)

    assert re.fullmatch(r"Failing object at 0x[0-9a-f]+ \(its repr\(\) raises ValueError\)", shown(Failing()))
    assert re.fullmatch(r"NoText object at 0x[0-9a-f]+ \(its repr\(\) raises TypeError\)", shown(NoText()))
    assert shown(Lines()) == "one two [31m"
    assert "Nested object at 0x" in shown(Nested())
    assert shown([1, 2]) == "[1, 2]"
    assert shown(list(range(1000))) == "<list of 1000 items>"
    assert shown("\ud800") == r"'\ud800'"
    for long in ("x" * 1000000, b"x" * 1000000):
        assert len(shown(long)) == 200 and shown(long).endswith("xxx...")


# Stack traces


@pytest.mark.newer
def test_stack_traces_show_the_way_to_the_place(mod, generation):
    set_handle_stack_trace_limit(8)
    try:
        mod.leak("with")
    finally:
        disable_handle_stack_traces()
    mod.leak("without")
    with_trace, without = map(repr, _debug.get_open_handles(generation))
    assert len(with_trace.splitlines()) > len(without.splitlines())
    assert "leak_impl" in with_trace


@pytest.mark.newer
def test_stack_traces_end_where_the_interpreter_begins(mod, generation):
    def depth_of_trace(calls_within_calls):
        def call():
            calls.append(None)
            return mod.leak("here") if len(calls) == calls_within_calls else sorted([1], key=lambda _: call() or 0)

        calls = []
        since = _debug.new_generation()
        call()
        return len(repr(_debug.get_open_handles(since)[0]).splitlines())

    set_handle_stack_trace_limit(200)
    try:
        shallow, deep = depth_of_trace(1), depth_of_trace(10)
    finally:
        disable_handle_stack_traces()
    # But for the lines of Python, which have an end of their own, what calls the interpreter's first functions is left out.
    assert 1 < shallow <= deep < shallow + 5


# Callbacks


@pytest.fixture
def captured():
    """Counts what is reported, in place of reports."""

    class Captured:
        handles = builders = 0

        def count_handle(self):
            self.handles += 1

        def count_builder(self):
            self.builders += 1

    found = Captured()
    _debug.set_on_invalid_handle(found.count_handle)
    _debug.set_on_invalid_builder_handle(found.count_builder)
    yield found
    _debug.set_on_invalid_handle(None)
    _debug.set_on_invalid_builder_handle(None)


def test_a_callback_is_called_in_place_of_a_report(mod, captured):
    mod.clean("text")
    assert (captured.handles, captured.builders) == (0, 0)
    mod.close_twice("text")
    assert (captured.handles, captured.builders) == (1, 0)
    with pytest.raises(MemoryError):
        mod.build_twice("text")
    assert (captured.handles, captured.builders) == (1, 1)


@pytest.mark.newer
def test_a_callback_is_kept_and_released(mod, captured):
    class Callback:
        def __call__(self):
            called.append(1)

        def __del__(self):
            called.append("gone")

    called = []
    _debug.set_on_invalid_handle(Callback())
    mod.close_twice("text")
    assert called == [1]
    _debug.set_on_invalid_handle(None)
    assert called == [1, "gone"]


# What happens with a misuse


@pytest.mark.newer
def test_a_misuse_can_be_raised(mod, raising):
    with pytest.raises(HPyDebugError) as caught:
        mod.use_closed("text")
    error = caught.value
    assert error.identifier == "HPY-D006"
    assert error.report == str(error)
    assert error.report.startswith("HPY-D006 use after close")
    assert f"snippet:{line_of('HPy_Length(ctx, h)')}" in error.report
    here = f"{__file__}:{error.__traceback__.tb_lineno} in test_a_misuse_can_be_raised"
    assert here in error.report
    assert error.__context__ is None


@pytest.mark.newer
def test_a_raised_misuse_keeps_what_was_pending(mod, raising):
    with pytest.raises(HPyDebugError) as caught:
        mod.call_with_an_exception_pending("text")
    assert caught.value.identifier == "HPY-D030"
    context = caught.value.__context__
    assert type(context) is LookupError and str(context) == "pending"


@pytest.mark.newer
def test_a_raised_misuse_keeps_what_is_being_handled(mod, raising):
    with pytest.raises(HPyDebugError) as caught:
        try:
            raise KeyError("handled")
        except KeyError:
            mod.use_closed("text")
    assert repr(caught.value.__context__) == "KeyError('handled')"
    assert "KeyError: 'handled'" in "".join(traceback.format_exception(type(caught.value), caught.value, None))


@pytest.mark.newer
def test_a_misuse_can_be_a_warning(mod, capsys):
    before = _debug.override_action("warn")
    try:
        mod.close_twice("text")
    finally:
        _debug.override_action(before)
    assert capsys.readouterr().err.startswith("HPY-D007 closed twice")


@pytest.mark.newer
@pytest.mark.parametrize("stderr", ["None", "object()", "Failing()", "deleted"])
def test_a_warning_that_python_can_not_print_is_printed_all_the_same(stderr):
    result = run(f"""
        class Failing:
            def write(self, text):
                raise ZeroDivisionError
        _debug.override_action("warn")
        {"del sys.stderr" if stderr == "deleted" else f"sys.stderr = {stderr}"}
        mod.close_twice("text")
        sys.stderr = sys.__stderr__
        print("went on")
    """)
    assert (result.returncode, result.stdout) == (0, "went on\n")
    assert "HPY-D007 closed twice" in result.stderr
    assert "ZeroDivisionError" not in result.stderr


@pytest.mark.newer
def test_a_misuse_can_be_ignored(mod, capfd):
    before = _debug.override_action("ignore")
    try:
        mod.close_twice("text")
    finally:
        _debug.override_action(before)
    assert capfd.readouterr() == ("", "")


@pytest.mark.newer
@pytest.mark.parametrize("override", [False, True])
def test_a_misuse_aborts_if_nothing_else_is_said(override):
    result = run(f"""
        if {override}:
            _debug.override_action("abort")
        mod.close_twice("text")
    """)
    assert result.returncode != 0
    assert "HPY-D007 closed twice" in result.stderr


@pytest.mark.newer
def test_overriding_gives_what_was_before():
    first = _debug.override_action("warn")
    try:
        assert _debug.override_action("raise") == "warn"
        assert _debug.override_action(None) == "raise"
        assert _debug.override_action(None) is None
    finally:
        _debug.override_action(first)


@pytest.mark.newer
def test_configure_takes_what_the_variable_does():
    result = run("""
        _debug.configure("D007=raise")
        try:
            mod.close_twice("text")
        except HPyDebugError as error:
            print(error.identifier)
        _debug.configure("suppress=mod.*")
        mod.close_twice("text")
        print("went on")
    """)
    assert (result.returncode, result.stdout) == (0, "HPY-D007\nwent on\n")


@pytest.mark.newer
def test_configure_says_what_is_wrong():
    with pytest.raises(ValueError, match="item 2, 'D006=explode'"):
        _debug.configure("warn,D006=explode")


@pytest.mark.newer
def test_an_error_that_can_not_be_made_is_another_one():
    result = run("""
        _debug.override_action("raise")
        sys.modules["hpy.debug"] = None
        try:
            mod.close_twice("text")
        except RuntimeError as error:
            print(str(error).partition(":")[0])
    """)
    assert (result.returncode, result.stdout) == (0, "HPY-D007 closed twice\n")


@pytest.mark.newer
def test_what_can_not_be_raised_is_kept_until_somebody_asks(mod, raising):
    _debug.reports()
    capsule = mod.capsule()
    assert _debug.reports() == []
    del capsule
    (report,) = _debug.reports()
    assert report.startswith("HPY-D034 ") and "HPy_Close" in report
    assert _debug.reports() == []


@pytest.mark.newer
def test_leaks_are_told_with_their_identifiers(mod, generation):
    text = "".join(["a ", "text"])
    mod.leak(text)
    mod.leak_builder(text)
    mod.leak_tracker()
    leaks = _debug.leaks(generation)
    assert sorted(identifier for identifier, _, _ in leaks) == ["HPY-D001", "HPY-D002", "HPY-D003"]
    for identifier, report, obj in leaks:
        assert report.startswith(f"{identifier} leaked ")
        assert re.search(r"snippet:\d+", report)
        assert obj is (text if identifier == "HPY-D001" else None)


# LeakDetector


def test_a_detector_raises_for_what_its_block_leaves_open(mod, generation):
    with pytest.raises(HPyLeakError) as caught:
        with LeakDetector():
            mod.leak("one of them")
    assert isinstance(caught.value, HPyDebugError)
    assert [handle.obj for handle in caught.value.leaks] == ["one of them"]
    assert str(caught.value).startswith("1 unclosed handle:\n")
    assert "for 'one of them'>" in str(caught.value)


def test_a_detector_counts(mod, generation):
    mod.leak("before")
    with pytest.raises(HPyLeakError) as caught:
        with LeakDetector():
            mod.leak("first")
            mod.leak("second")
            mod.clean("clean")
    assert str(caught.value).startswith("2 unclosed handles:\n")
    assert "'first'" in str(caught.value) and "'second'" in str(caught.value)
    assert "'before'" not in str(caught.value) and "'clean'" not in str(caught.value)


def test_a_detector_is_silent_if_all_is_closed(mod):
    with LeakDetector():
        mod.clean("text")


def test_a_detector_is_started_once(mod):
    detector = LeakDetector()
    with pytest.raises(ValueError, match="^LeakDetector not started yet$"):
        detector.stop()
    detector.start()
    with pytest.raises(ValueError, match="^LeakDetector already started$"):
        detector.start()
    detector.stop()


def test_the_value_of_the_block_is_the_detector():
    with LeakDetector() as detector:
        assert isinstance(detector, LeakDetector)


def test_a_leak_does_not_hide_what_the_block_raised(mod, generation):
    with pytest.raises(HPyLeakError) as caught:
        with LeakDetector():
            mod.leak("text")
            raise KeyError("first")
    assert repr(caught.value.__context__) == "KeyError('first')"


@pytest.mark.newer
def test_a_detector_finds_builders_and_trackers(mod, generation):
    with pytest.raises(HPyLeakError) as caught:
        with LeakDetector():
            mod.leak_tracker()
            mod.leak_builder("text")
            mod.leak_builder("text")
            mod.leak("text")
    text = str(caught.value)
    headings = [line for line in text.splitlines() if not line.startswith(" ")]
    assert headings[0] == "1 unclosed handle:"
    assert sorted(headings[1:]) == ["1 unclosed tracker:", "2 unclosed builders:"]
    assert f"snippet:{line_of('HPyTracker_New')}" in text
    kinds = [getattr(leak, "identifier", "handle") for leak in caught.value.leaks]
    assert sorted(kinds) == ["HPY-D002", "HPY-D002", "HPY-D003", "handle"]


@pytest.mark.newer
def test_a_detector_finds_builders_alone(mod):
    with pytest.raises(HPyLeakError) as caught:
        with LeakDetector():
            mod.leak_builder("text")
    assert str(caught.value).startswith("1 unclosed builder:\n    HPY-D002 leaked builder")


@pytest.mark.newer
def test_many_leaks_of_one_place_are_told_once(mod, generation):
    with pytest.raises(HPyLeakError) as caught:
        with LeakDetector():
            for _ in range(1000):
                mod.leak("from the loop")
            mod.leak_elsewhere("from elsewhere")
    text = str(caught.value)
    assert text.startswith("1001 unclosed handles:\n")
    assert text.count("from the loop") == 10 and "... and 990 more:" in text
    assert "from elsewhere" in text
    assert len(caught.value.leaks) == 1001


# Subinterpreters


@pytest.mark.newer
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="each interpreter has a GIL of its own by default")
def test_each_interpreter_has_a_module_of_its_own():
    result = run("""
        import _xxsubinterpreters as interpreters
        other = interpreters.create()
        interpreters.run_string(other, '''if True:
            import hpy.universal
            from hpy.universal import _debug
            print(id(_debug) != %d, _debug.get_open_handles(_debug.new_generation()))
        ''' % id(_debug))
        interpreters.destroy(other)
        generation = _debug.new_generation()
        mod.leak("text")
        (handle,) = _debug.get_open_handles(generation)
        print(handle.obj)
    """)
    assert (result.returncode, result.stdout) == (0, "True []\ntext\n"), result.stderr
