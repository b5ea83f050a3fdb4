"""Exceptions: spec/functions/error.toml. See also test_error_classes.py and test_error_reports.py."""

import errno
import gc
import os
import signal
import sys

import pytest

SETTING = r"""
    #include <errno.h>
    #include <signal.h>

    FUNC_O(set_string) { return HPyErr_SetString(ctx, arg, "gr\xc3\xbc\xc3\x9f dich"); }
    FUNC_NOARGS(set_string_and_overwrite_it)
    {
        char text[] = "copied";
        HPyErr_SetString(ctx, ctx->h_ValueError, text);
        memset(text, 'x', sizeof text - 1);
        return HPy_NULL;
    }
    FUNC_VARARGS(set_object) { return HPyErr_SetObject(ctx, args[0], nargs > 1 ? args[1] : HPy_NULL); }
    FUNC_O(replace_by_string)
    {
        HPyErr_SetObject(ctx, ctx->h_KeyError, arg);
        return HPyErr_SetString(ctx, ctx->h_ValueError, "second");
    }
    FUNC_O(replace_by_object)
    {
        HPyErr_SetString(ctx, ctx->h_KeyError, "first");
        return HPyErr_SetObject(ctx, ctx->h_ValueError, arg);
    }
    FUNC_NOARGS(no_memory) { return HPyErr_NoMemory(ctx); }
    FUNC_NOARGS(replace_by_no_memory)
    {
        HPyErr_SetString(ctx, ctx->h_KeyError, "first");
        return HPyErr_NoMemory(ctx);
    }

    FUNC_VARARGS(from_errno)
    {
        const char *filename = nargs > 2 ? HPyBytes_AsString(ctx, args[2]) : NULL;
        int number = HPyLong_AsInt32_t(ctx, args[1]);
        errno = number;
        return HPyErr_SetFromErrnoWithFilename(ctx, args[0], filename);
    }
    FUNC_VARARGS(from_errno_objects)
    {
        int number = HPyLong_AsInt32_t(ctx, args[1]);
        HPy first = nargs > 2 ? args[2] : HPy_NULL, second = nargs > 3 ? args[3] : HPy_NULL;
        errno = number;
        return HPyErr_SetFromErrnoWithFilenameObjects(ctx, args[0], first, second);
    }
    FUNC_NOARGS(interrupted)
    {
        raise(SIGINT);
        errno = EINTR;
        return HPyErr_SetFromErrnoWithFilename(ctx, ctx->h_OSError, NULL);
    }
    FUNC_NOARGS(interrupted_objects)
    {
        raise(SIGINT);
        errno = EINTR;
        return HPyErr_SetFromErrnoWithFilenameObjects(ctx, ctx->h_OSError, HPy_NULL, HPy_NULL);
    }
"""


def raised(function, *args):
    """The exception of a call. Were the result not null, CPython would make it a SystemError."""
    with pytest.raises(BaseException) as info:
        function(*args)
    return info.value


class Custom(Exception):
    pass


class Pair(Exception):
    def __init__(self, first, second):
        super().__init__(second, first)


@pytest.mark.parametrize("cls", [ValueError, KeyboardInterrupt, Custom])
def test_set_string_raises_with_the_text(snippet, cls):
    error = raised(snippet(SETTING).set_string, cls)
    assert type(error) is cls
    assert error.args == ("grüß dich",)


def test_set_string_copies_the_text(snippet):
    assert raised(snippet(SETTING).set_string_and_overwrite_it).args == ("copied",)


@pytest.mark.parametrize("cls", [int, object, 42, "text", None])
def test_only_exception_classes_can_be_raised(snippet, cls):
    mod = snippet(SETTING)
    assert type(raised(mod.set_string, cls)) is SystemError
    assert type(raised(mod.set_object, cls, "value")) is SystemError


@pytest.mark.parametrize(
    "value, args",
    [(42, (42,)), ([1, 2], ([1, 2],)), ((), ()), ((1, 2), (1, 2)), (((1, 2),), ((1, 2),)), (None, ())],
)
def test_set_object_makes_the_value_the_arguments(snippet, value, args):
    error = raised(snippet(SETTING).set_object, Custom, value)
    assert type(error) is Custom
    assert error.args == args


def test_set_object_without_a_value(snippet):
    error = raised(snippet(SETTING).set_object, Custom)
    assert type(error) is Custom
    assert error.args == ()


def test_set_object_raises_an_instance_itself(snippet):
    mod = snippet(SETTING)
    error = Custom("own", 1)
    assert raised(mod.set_object, Custom, error) is error
    assert raised(mod.set_object, Exception, error) is error
    assert type(error) is Custom


def test_set_object_wraps_an_instance_of_another_class(snippet):
    other = KeyError("other")
    error = raised(snippet(SETTING).set_object, Custom, other)
    assert type(error) is Custom
    assert error.args == (other,)


def test_set_object_calls_the_constructor(snippet):
    mod = snippet(SETTING)
    assert raised(mod.set_object, Pair, (1, 2)).args == (2, 1)
    assert type(raised(mod.set_object, Pair, 1)) is TypeError


def test_setting_replaces_the_pending_exception(snippet):
    mod = snippet(SETTING)
    for error in (raised(mod.replace_by_string, object()), raised(mod.replace_by_object, "second")):
        assert type(error) is ValueError
        assert error.args == ("second",)
        assert error.__context__ is None
    assert type(raised(mod.replace_by_no_memory)) is MemoryError


def test_setting_keeps_the_callers_reference_only(snippet):
    class Own(Exception):
        pass

    mod = snippet(SETTING)
    value, instance = object(), Own()
    before = sys.getrefcount(value), sys.getrefcount(instance), sys.getrefcount(Own)
    for _ in range(50):
        raised(mod.set_string, Own)
        raised(mod.set_object, Own, value)
        raised(mod.set_object, Own, instance)
        raised(mod.set_object, Own, (value, instance))
        raised(mod.replace_by_string, value)
        raised(mod.replace_by_object, value)
        raised(mod.set_object, int, value)
        instance.__traceback__ = None
    gc.collect()
    assert (sys.getrefcount(value), sys.getrefcount(instance), sys.getrefcount(Own)) == before


def test_no_memory(snippet):
    assert type(raised(snippet(SETTING).no_memory)) is MemoryError


@pytest.mark.parametrize(
    "number, cls",
    [
        (errno.ENOENT, FileNotFoundError),
        (errno.EEXIST, FileExistsError),
        (errno.EACCES, PermissionError),
        (errno.ENOSPC, OSError),
    ],
)
def test_errno_picks_the_subclass_of_os_error(snippet, number, cls):
    mod = snippet(SETTING)
    for error in (raised(mod.from_errno, OSError, number), raised(mod.from_errno_objects, OSError, number)):
        assert type(error) is cls
        assert error.args == (number, os.strerror(number))
        assert (error.errno, error.filename, error.filename2) == (number, None, None)


@pytest.mark.parametrize("name", [b"plain", "größer".encode(), b"not \xff utf-8", b""])
def test_file_name_of_an_errno_is_decoded_as_the_file_system_does(snippet, name):
    error = raised(snippet(SETTING).from_errno, OSError, errno.ENOENT, name)
    assert type(error) is FileNotFoundError
    assert error.filename == os.fsdecode(name)
    assert error.filename2 is None


def test_file_names_of_an_errno_can_be_any_objects(snippet):
    mod = snippet(SETTING)
    first, second = object(), b"bytes"
    error = raised(mod.from_errno_objects, OSError, errno.ENOENT, first, second)
    assert type(error) is FileNotFoundError
    assert error.filename is first and error.filename2 is second
    error = raised(mod.from_errno_objects, OSError, errno.ENOENT, first)
    assert error.filename is first and error.filename2 is None


def test_errno_exceptions_keep_no_reference_to_the_file_names(snippet):
    mod = snippet(SETTING)
    first, second = object(), object()
    before = sys.getrefcount(first), sys.getrefcount(second)
    for _ in range(50):
        raised(mod.from_errno_objects, OSError, errno.ENOENT, first, second)
        raised(mod.from_errno_objects, OSError, errno.ENOENT, first)
    gc.collect()
    assert (sys.getrefcount(first), sys.getrefcount(second)) == before


def test_errno_calls_the_constructor_of_the_class(snippet):
    class Recording(Exception):
        def __init__(self, *args):
            self.given = args

    class Refusing(Exception):
        def __init__(self, *args):
            raise Custom(*args)

    mod = snippet(SETTING)
    number, text = errno.ENOENT, os.strerror(errno.ENOENT)
    assert raised(mod.from_errno, Recording, number).given == (number, text)
    assert raised(mod.from_errno, Recording, number, b"name").given == (number, text, "name")
    assert raised(mod.from_errno_objects, Recording, number, "a").given == (number, text, "a")
    assert raised(mod.from_errno_objects, Recording, number, "a", "b").given == (number, text, "a", 0, "b")
    assert type(raised(mod.from_errno, Refusing, number)) is Custom
    assert type(raised(mod.from_errno_objects, Refusing, number, "a")) is Custom


@pytest.mark.parametrize("function", ["interrupted", "interrupted_objects"])
def test_signal_handlers_run_first_after_eintr(snippet, function):
    def refuse(number, frame):
        raise Custom("from the handler")

    mod = snippet(SETTING)
    before = signal.signal(signal.SIGINT, refuse)
    try:
        error = raised(getattr(mod, function))
        signal.signal(signal.SIGINT, lambda number, frame: None)
        assert type(raised(getattr(mod, function))) is InterruptedError
    finally:
        signal.signal(signal.SIGINT, before)
    assert type(error) is Custom
    assert error.__context__ is None


ASKING = """
    FUNC_O(occurred)
    {
        int before = HPyErr_Occurred(ctx);
        HPy result = HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL);
        int after = HPyErr_Occurred(ctx);
        if (!HPy_IsNull(result))
            HPy_Close(ctx, result);
        HPyErr_Clear(ctx);
        return HPyLong_FromInt32_t(ctx, 100 * before + 10 * after + HPyErr_Occurred(ctx));
    }
    FUNC_VARARGS(matches)
    {
        HPy result = HPy_CallTupleDict(ctx, args[0], HPy_NULL, HPy_NULL);
        int found = HPyErr_ExceptionMatches(ctx, args[1]);
        if (!HPy_IsNull(result))
            HPy_Close(ctx, result);
        HPyErr_Clear(ctx);
        return HPyLong_FromInt32_t(ctx, found);
    }
    FUNC_O(ask_and_go_on_raising)
    {
        HPyErr_SetObject(ctx, ctx->h_KeyError, arg);
        if (HPyErr_Occurred(ctx) != 1 || HPyErr_ExceptionMatches(ctx, ctx->h_LookupError) != 1
            || HPyErr_ExceptionMatches(ctx, ctx->h_ValueError) != 0)
            return NONE;
        return HPy_NULL;
    }
    FUNC_O(set_and_clear)
    {
        HPyErr_Clear(ctx);
        HPyErr_SetObject(ctx, ctx->h_KeyError, arg);
        HPyErr_Clear(ctx);
        return NONE;
    }
"""


def raising(error):
    def function():
        raise error

    return function


def test_occurred_and_clear(snippet):
    mod = snippet(ASKING)
    assert mod.occurred(raising(Custom())) == 10
    assert mod.occurred(raising(KeyboardInterrupt())) == 10
    assert mod.occurred(list) == 0


class ClaimsSubclasses(type):
    def __subclasscheck__(cls, other):
        return True


class Claiming(Exception, metaclass=ClaimsSubclasses):
    pass


@pytest.mark.parametrize(
    "error, expected, answer",
    [
        (KeyError(), KeyError, 1),
        (KeyError(), LookupError, 1),
        (KeyError(), BaseException, 1),
        (LookupError(), KeyError, 0),
        (KeyError(), ValueError, 0),
        (KeyboardInterrupt(), Exception, 0),
        (KeyError(), (ValueError, LookupError), 1),
        (KeyError(), (ValueError, (OSError, (KeyError,))), 1),
        (KeyError(), (ValueError, OSError), 0),
        (KeyError(), (), 0),
        (KeyError(), Claiming, 0),
    ],
)
def test_exception_matches_as_except_does(snippet, error, expected, answer):
    assert snippet(ASKING).matches(raising(error), expected) == answer


@pytest.mark.parametrize("expected", [BaseException, (KeyError, BaseException), ()])
def test_nothing_matches_when_nothing_is_pending(snippet, expected):
    assert snippet(ASKING).matches(list, expected) == 0


def test_asking_keeps_the_exception_pending(snippet):
    key = object()
    error = raised(snippet(ASKING).ask_and_go_on_raising, key)
    assert type(error) is KeyError
    assert error.args == (key,)


def test_clear_drops_the_exception(snippet):
    mod = snippet(ASKING)
    key = object()
    before = sys.getrefcount(key)
    for _ in range(50):
        assert mod.set_and_clear(key) is None
        assert mod.matches(raising(KeyError(key)), KeyError) == 1
    gc.collect()
    assert sys.getrefcount(key) == before
