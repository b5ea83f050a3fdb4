"""Calls: spec/functions/call.toml. HPy_SetCallFunction needs a type of one's own: see test_type.py."""

import functools
import sys

import pytest

# The keyword arguments of these functions go on as they came, so the values follow the positional ones in one array.
CALLS = """
    FUNC_O(callable_check) { return HPyLong_FromInt32_t(ctx, HPyCallable_Check(ctx, arg)); }

    static HPy optional(HPyContext *ctx, HPy h) { return HPy_Is(ctx, h, ctx->h_None) ? HPy_NULL : h; }
    FUNC_VARARGS(call_tuple_dict)
    {
        return HPy_CallTupleDict(ctx, args[0], optional(ctx, args[1]), optional(ctx, args[2]));
    }

    FUNC_KEYWORDS(call) { return HPy_Call(ctx, args[0], args + 1, nargs - 1, kwnames); }
    FUNC_O(call_without_array) { return HPy_Call(ctx, arg, NULL, 0, HPy_NULL); }
    FUNC_VARARGS(call_with_names) { return HPy_Call(ctx, args[0], NULL, 0, args[1]); }

    FUNC_KEYWORDS(call_method) { return HPy_CallMethod(ctx, args[0], args + 1, nargs - 1, kwnames); }

    FUNC_VARARGS(arrays_stay_the_same)
    {
        HPy array[5] = { ctx->h_True, args[0], args[1], ctx->h_None, ctx->h_False };
        HPy copy[5];
        memcpy(copy, array, sizeof array);
        HPy result = HPy_Call(ctx, args[2], array + 1, 1, args[3]);
        if (HPy_IsNull(result))
            return HPy_NULL;
        HPy_Close(ctx, result);
        result = HPy_CallMethod(ctx, args[4], array + 1, 1, args[3]);
        if (HPy_IsNull(result))
            return HPy_NULL;
        HPy_Close(ctx, result);
        return HPyBool_FromBool(ctx, memcmp(copy, array, sizeof array) == 0);
    }
"""


@pytest.fixture
def mod(snippet):
    return snippet(CALLS)


class Callable:
    def __call__(self, *args, **kwargs):
        return self, args, kwargs

    def method(self, *args, **kwargs):
        return self, args, kwargs

    @classmethod
    def of_class(cls, *args):
        return cls, args

    @staticmethod
    def static(*args):
        return args


class NotCallableAfterAll:
    __call__ = None


def echo(*args, **kwargs):
    return args, kwargs


class Failure(Exception):
    pass


FAILURE = Failure()


def fail(*args, **kwargs):
    raise FAILURE


@pytest.mark.parametrize("value", [echo, len, int, Callable, Callable(), "".join, functools.partial(echo)])
def test_callables(mod, value):
    assert mod.callable_check(value) == 1


@pytest.mark.parametrize("value", [None, 42, "len", object(), [echo]])
def test_what_is_not_callable(mod, value):
    assert mod.callable_check(value) == 0


def test_callable_check_looks_at_the_type_only(mod):
    instance = Failure()
    instance.__call__ = echo
    assert mod.callable_check(instance) == 0
    refusing = NotCallableAfterAll()
    assert mod.callable_check(refusing) == 1
    with pytest.raises(TypeError):
        mod.call(refusing)


@pytest.mark.parametrize(
    "args, kw, expected",
    [
        ((1, "b"), {"c": 3, "d": 4}, ((1, "b"), {"c": 3, "d": 4})),
        ((1,), None, ((1,), {})),
        ((1,), {}, ((1,), {})),
        (None, {"a": 1}, ((), {"a": 1})),
        ((), {"a": 1}, ((), {"a": 1})),
        (None, {}, ((), {})),
        ((), None, ((), {})),
        (None, None, ((), {})),
    ],
)
def test_tuple_and_dict_are_both_optional(mod, args, kw, expected):
    assert mod.call_tuple_dict(echo, args, kw) == expected


def test_tuple_and_dict_may_be_of_subclasses(mod):
    class Tuple(tuple):
        pass

    class Dict(dict):
        pass

    assert mod.call_tuple_dict(echo, Tuple((1, 2)), Dict(a=3)) == ((1, 2), {"a": 3})
    assert mod.call_tuple_dict(echo, None, Dict(a=3)) == ((), {"a": 3})


@pytest.mark.parametrize("args", [[1], "ab", 7, {}])
def test_positional_arguments_have_to_be_a_tuple(mod, args):
    with pytest.raises(TypeError, match="tuple"):
        mod.call_tuple_dict(echo, args, None)
    with pytest.raises(TypeError, match="tuple"):
        mod.call_tuple_dict(echo, args, {"a": 1})


@pytest.mark.parametrize("kw", [[("a", 1)], (), "a", 7])
def test_keyword_arguments_have_to_be_a_dict(mod, kw):
    with pytest.raises(TypeError, match="dict"):
        mod.call_tuple_dict(echo, (1,), kw)
    with pytest.raises(TypeError, match="dict"):
        mod.call_tuple_dict(echo, None, kw)


@pytest.mark.parametrize("args", [None, (), (1,)])
def test_keys_of_the_dict_have_to_be_str(mod, args):
    with pytest.raises(TypeError):
        mod.call_tuple_dict(echo, args, {1: 2})


@pytest.mark.parametrize("args, kw", [(None, None), ((1,), None), (None, {"a": 1}), ((1,), {"a": 1})])
def test_call_with_tuple_and_dict_fails_as_the_callable_does(mod, args, kw):
    with pytest.raises(Failure) as info:
        mod.call_tuple_dict(fail, args, kw)
    assert info.value is FAILURE
    with pytest.raises(TypeError):
        mod.call_tuple_dict(42, args, kw)


def test_the_callable_gets_a_dict_of_its_own(mod):
    def change(**kwargs):
        kwargs["b"] = 2
        del kwargs["a"]

    for args in (None, ()):
        kw = {"a": 1}
        mod.call_tuple_dict(change, args, kw)
        assert kw == {"a": 1}


def test_call_passes_keyword_values_behind_positional_ones(mod):
    assert mod.call(echo) == ((), {})
    assert mod.call(echo, 1, 2, 3) == ((1, 2, 3), {})
    assert mod.call(echo, 1, 2, b=3, a=4) == ((1, 2), {"b": 3, "a": 4})
    assert list(mod.call(echo, b=3, a=4)[1]) == ["b", "a"]


def test_call_takes_a_null_array_without_arguments(mod):
    assert mod.call_without_array(echo) == ((), {})
    assert mod.call_without_array(dict) == {}
    assert mod.call_with_names(echo, ()) == ((), {})


def test_call_takes_any_kind_of_callable(mod):
    instance = Callable()
    assert mod.call(instance, 1, a=2) == (instance, (1,), {"a": 2})
    assert mod.call(instance.method, 1, a=2) == (instance, (1,), {"a": 2})
    assert mod.call(functools.partial(echo, 0, z=26), 1, a=2) == ((0, 1), {"z": 26, "a": 2})
    assert mod.call(dict, [("a", 1)], b=2) == {"a": 1, "b": 2}
    assert mod.call(int, "ff", base=16) == 255
    assert mod.call(max, "aa", "b", key=len) == "aa"
    assert mod.call(type, "T", (Callable,), {}).__mro__[1] is Callable


def test_call_takes_many_arguments(mod):
    args = tuple(range(300))
    kwargs = {f"k{number}": number for number in range(300)}
    assert mod.call(echo, *args, **kwargs) == (args, kwargs)


def test_call_fails_as_the_callable_does(mod):
    with pytest.raises(Failure) as info:
        mod.call(fail, 1, a=2)
    assert info.value is FAILURE


def one(a):
    return a


@pytest.mark.parametrize("args, kwargs", [((), {}), ((1, 2), {}), ((1,), {"a": 2}), ((1,), {"wrong": 2})])
def test_arguments_that_do_not_fit_are_a_type_error(mod, args, kwargs):
    with pytest.raises(TypeError):
        mod.call(one, *args, **kwargs)


@pytest.mark.parametrize("value", [None, 42, object()])
def test_calling_what_is_not_callable_is_a_type_error(mod, value):
    with pytest.raises(TypeError, match="not callable"):
        mod.call(value, 1)
    with pytest.raises(TypeError, match="not callable"):
        mod.call_without_array(value)


def test_call_method_gets_the_receiver_first(mod):
    receiver = Callable()
    assert mod.call_method("method", receiver) == (receiver, (), {})
    assert mod.call_method("method", receiver, 1, 2) == (receiver, (1, 2), {})
    assert mod.call_method("method", receiver, 1, b=2, a=3) == (receiver, (1,), {"b": 2, "a": 3})
    assert mod.call_method("upper", "ab") == "AB"
    assert mod.call_method("split", "a,b,c", sep=",", maxsplit=1) == ["a", "b,c"]


def test_call_method_does_what_getting_the_attribute_and_calling_does(mod):
    class Dynamic(Callable):
        @property
        def computed(self):
            return echo

        def __getattr__(self, name):
            return lambda *args: (name, args)

    receiver = Dynamic()
    assert mod.call_method("of_class", receiver, 1) == (Dynamic, (1,))
    assert mod.call_method("static", receiver, 1) == (1,)
    assert mod.call_method("computed", receiver, 1, a=2) == ((1,), {"a": 2})
    assert mod.call_method("made_up", receiver, 1) == ("made_up", (1,))
    receiver.method = echo
    assert mod.call_method("method", receiver, 1) == ((1,), {})
    assert mod.call_method("of_class", Dynamic, 1) == (Dynamic, (1,))
    assert mod.call_method("method", Callable, "self", 1) == ("self", (1,), {})


def test_call_method_without_such_a_method_is_an_attribute_error(mod):
    with pytest.raises(AttributeError, match="missing"):
        mod.call_method("missing", Callable(), 1)


def test_call_method_fails_as_the_method_does(mod):
    receiver = Callable()
    receiver.failing, receiver.number = fail, 42
    with pytest.raises(Failure) as info:
        mod.call_method("failing", receiver, 1)
    assert info.value is FAILURE
    with pytest.raises(TypeError, match="not callable"):
        mod.call_method("number", receiver)
    with pytest.raises(TypeError):
        mod.call_method("upper", "ab", 1)
    with pytest.raises(TypeError):
        mod.call_method("upper", "ab", a=1)


def test_the_array_of_arguments_is_not_changed(mod):
    class Receiver:
        def method(self, a=None):
            return Callable()

    receiver, value = Receiver(), object()
    assert mod.arrays_stay_the_same(receiver, value, Receiver.method, ("a",), "method") is True
    assert mod.arrays_stay_the_same(receiver, value, Callable(), ("a",), "method") is True


@pytest.mark.parametrize("count", [1, 50])
def test_calls_keep_the_references_of_arguments_and_give_away_the_result(mod, count):
    class Receiver:
        def give(self, *args, **kwargs):
            return result

    receiver, argument, result, names = Receiver(), object(), object(), {"a": None}
    positional, keywords = (argument,), {"a": argument}
    objects = [receiver, argument, result, positional, keywords, names]
    before = [sys.getrefcount(each) for each in objects]
    for _ in range(count):
        assert mod.call(receiver.give, argument, a=argument) is result
        assert mod.call_method("give", receiver, argument, a=argument) is result
        assert mod.call_tuple_dict(receiver.give, positional, keywords) is result
        assert mod.call_tuple_dict(receiver.give, None, keywords) is result
        with pytest.raises(TypeError):
            mod.call(argument, argument, a=argument)
        with pytest.raises(TypeError):
            mod.call_tuple_dict(argument, positional, keywords)
    assert [sys.getrefcount(each) for each in objects] == before


def test_the_callable_may_drop_what_it_was_called_through(mod):
    class Once:
        def __call__(self, argument):
            holder.clear()
            return argument

    argument = object()
    holder = [Once()]
    assert mod.call(holder[0], argument) is argument
    holder = [Once()]
    assert mod.call_method("__call__", holder[0], argument) is argument
    assert holder == []


@pytest.mark.abis("universal", "hybrid")  # elsewhere trampolines do without the runtime
def test_a_trampoline_of_unknown_signature_is_a_fatal_error(run_snippet):
    run = run_snippet(
        """
        static HPy never_impl(HPyContext *ctx, HPy self) { return HPy_NULL; }
        FUNC_NOARGS(f)
        {
            _HPy_CallRealFunctionFromTrampoline(ctx, (HPyFunc_Signature)999, (HPyCFunction)never_impl, NULL);
            return NONE;
        }
        """,
        "mod.f(); print('survived')",
    )
    assert run.returncode != 0
    assert "Fatal Python error" in run.stderr
    assert run.stdout == ""
