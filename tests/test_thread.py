"""Leaving and re-entering Python: spec/functions/thread.toml."""

import threading

import pytest

# Waiting in C ends after some seconds, so that a runtime that does not let other threads run fails instead of hanging.
LEAVING = """
    #include <stdatomic.h>
    #include <time.h>

    static atomic_int arrived, opened;

    static bool wait_for(atomic_int *counter, int value)
    {
        time_t start = time(NULL);
        while (atomic_load(counter) < value)
            if (time(NULL) - start > 20)
                return false;
        return true;
    }

    FUNC_NOARGS(reset)
    {
        atomic_store(&arrived, 0);
        atomic_store(&opened, 0);
        return NONE;
    }
    FUNC_NOARGS(open_gate) { atomic_fetch_add(&opened, 1); return NONE; }
    FUNC_NOARGS(count_arrived) { return HPyLong_FromInt32_t(ctx, atomic_load(&arrived)); }

    FUNC_NOARGS(wait_at_gate)
    {
        bool passed;
        HPy_BEGIN_LEAVE_PYTHON(ctx);
        atomic_fetch_add(&arrived, 1);
        passed = wait_for(&opened, 1);
        HPy_END_LEAVE_PYTHON(ctx);
        return HPyBool_FromBool(ctx, passed);
    }
    FUNC_O(wait_at_gate_by_functions)
    {
        HPyThreadState state = HPy_LeavePythonExecution(ctx);
        atomic_fetch_add(&arrived, 1);
        bool passed = wait_for(&opened, 1);
        HPy_ReenterPythonExecution(ctx, state);
        return passed ? HPy_Dup(ctx, arg) : HPy_NULL;
    }
    FUNC_O(meet)
    {
        int others = HPyLong_AsInt32_t(ctx, arg);
        bool met;
        HPy_BEGIN_LEAVE_PYTHON(ctx);
        atomic_fetch_add(&arrived, 1);
        met = wait_for(&arrived, others);
        HPy_END_LEAVE_PYTHON(ctx);
        return HPyBool_FromBool(ctx, met);
    }
    FUNC_VARARGS(meet_while_raising)
    {
        int others = HPyLong_AsInt32_t(ctx, args[0]);
        HPyErr_SetObject(ctx, ctx->h_KeyError, args[1]);
        HPy_BEGIN_LEAVE_PYTHON(ctx);
        atomic_fetch_add(&arrived, 1);
        wait_for(&arrived, others);
        HPy_END_LEAVE_PYTHON(ctx);
        return HPy_NULL;
    }
    FUNC_VARARGS(read_text_outside)
    {
        HPy_ssize_t size;
        const char *text = HPyUnicode_AsUTF8AndSize(ctx, args[0], &size);
        if (text == NULL)
            return HPy_NULL;
        int64_t sum = 0;
        HPy_BEGIN_LEAVE_PYTHON(ctx);
        atomic_fetch_add(&arrived, 1);
        wait_for(&opened, 1);
        for (HPy_ssize_t i = 0; i < size; i++)
            sum += (unsigned char)text[i];
        HPy_END_LEAVE_PYTHON(ctx);
        return HPyLong_FromInt64_t(ctx, sum);
    }
    FUNC_O(leave_often)
    {
        HPy result = HPyLong_FromInt32_t(ctx, 0);
        for (int i = 0; i < 1000 && !HPy_IsNull(result); i++) {
            HPy_BEGIN_LEAVE_PYTHON(ctx);
            atomic_fetch_add(&arrived, 1);
            HPy_END_LEAVE_PYTHON(ctx);
            HPy sum = HPy_Add(ctx, result, arg);
            HPy_Close(ctx, result);
            result = sum;
        }
        return result;
    }
"""


@pytest.fixture
def mod(snippet):
    mod = snippet(LEAVING)
    mod.reset()
    return mod


class Thread(threading.Thread):
    """Keeps what its function returned or raised."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.call = function, args
        self.result = self.error = None
        self.start()

    def run(self):
        function, args = self.call
        try:
            self.result = function(*args)
        except BaseException as error:
            self.error = error

    def wait(self):
        self.join(60)
        assert not self.is_alive()
        return self


def wait_until_arrived(mod, count):
    """Runs Python code all the while."""
    patience = threading.Event()
    for _ in range(2000):
        if mod.count_arrived() >= count:
            return
        patience.wait(0.01)
    raise AssertionError("a thread has not left Python")


def test_python_runs_while_a_thread_has_left(mod):
    thread = Thread(mod.wait_at_gate)
    wait_until_arrived(mod, 1)
    assert thread.is_alive()
    assert sum(range(1000)) == 499500
    mod.open_gate()
    assert thread.wait().result is True


def test_functions_do_what_the_macros_do(mod):
    value = object()
    thread = Thread(mod.wait_at_gate_by_functions, value)
    wait_until_arrived(mod, 1)
    mod.open_gate()
    assert thread.wait().result is value


def test_main_thread_can_leave_too(mod):
    def open_when_arrived():
        wait_until_arrived(mod, 1)
        mod.open_gate()

    thread = Thread(open_when_arrived)
    assert mod.wait_at_gate() is True
    assert thread.wait().error is None


def test_several_threads_are_outside_at_once(mod):
    threads = [Thread(mod.meet, 4) for _ in range(4)]
    assert [thread.wait().result for thread in threads] == [True] * 4


def test_pending_exception_of_each_thread_is_the_same_as_before(mod):
    keys = [object() for _ in range(4)]
    threads = [Thread(mod.meet_while_raising, 4, key) for key in keys]
    errors = [thread.wait().error for thread in threads]
    assert [type(error) for error in errors] == [KeyError] * 4
    for error, key in zip(errors, keys):
        assert error.args == (key,)


def test_memory_of_an_open_handle_can_be_read_outside(mod):
    text = "größe" * 1000
    thread = Thread(mod.read_text_outside, text)
    wait_until_arrived(mod, 1)
    expected = sum(text.encode())
    del text
    mod.open_gate()
    assert thread.wait().result == expected


def test_many_threads_leave_again_and_again(mod):
    threads = [Thread(mod.leave_often, number) for number in range(1, 9)]
    assert [thread.wait().result for thread in threads] == [1000 * number for number in range(1, 9)]
    assert mod.count_arrived() == 8000
