"""Calling a type: which of HPy_tp_new and HPy_tp_init gets what, however the type and its instances are changed."""

import pytest
from type_snippets import assert_balanced, slot, type_source

RECORD = """
    static HPyGlobal notes;
    static int note(HPyContext *ctx, const char *who, const HPy *args, HPy_ssize_t nargs, HPy kw)
    {
        HPy list = HPyGlobal_Load(ctx, notes);
        HPyTupleBuilder values = HPyTupleBuilder_New(ctx, nargs);
        for (HPy_ssize_t i = 0; i < nargs; i++)
            HPyTupleBuilder_Set(ctx, values, i, args[i]);
        HPy tuple = HPyTupleBuilder_Build(ctx, values);
        HPy name = HPyUnicode_FromString(ctx, who);
        HPy parts[] = { name, tuple, HPy_IsNull(kw) ? ctx->h_None : kw };
        HPy entry = HPyTuple_FromArray(ctx, parts, 3);
        int result = HPyList_Append(ctx, list, entry);
        HPy_Close(ctx, entry);
        HPy_Close(ctx, name);
        HPy_Close(ctx, tuple);
        HPy_Close(ctx, list);
        return result;
    }
    FUNC_O(log_to) { HPyGlobal_Store(ctx, &notes, arg); return NONE; }
"""

NEW_BODY = """
    Data *data;
    if (note(ctx, "new", args, nargs, kw) < 0)
        return HPy_NULL;
    if (nargs > 0 && HPyUnicode_Check(ctx, args[0]))
        return HPy_Dup(ctx, args[0]);
    if (nargs > 0 && HPyCallable_Check(ctx, args[0]))
        return HPy_CallTupleDict(ctx, args[0], HPy_NULL, HPy_NULL);
    return HPy_New(ctx, type, &data);
"""
INIT_BODY = """
    if (note(ctx, "init", args, nargs, kw) < 0)
        return -1;
    if (nargs > 1) {
        HPyErr_SetString(ctx, ctx->h_ValueError, "too many");
        return -1;
    }
    return 0;
"""

SOURCE = (
    "typedef struct { long value; } Data;\n"
    + RECORD
    + type_source("Both", "long value;", slot("tp_new", NEW_BODY, "Both_"), slot("tp_init", INIT_BODY, "Both_"))
    + type_source("New", "long value;", slot("tp_new", NEW_BODY, "New_"))
    + type_source("Init", "long value;", slot("tp_init", INIT_BODY, "Init_"))
)


@pytest.fixture
def mod(snippet):
    mod = snippet(SOURCE)
    mod.log = []
    mod.log_to(mod.log)
    return mod


def calls(mod, function, *args, **kwargs):
    """What a call has noted, and gave."""
    mod.log.clear()
    result = function(*args, **kwargs)
    return [(name, values, kw or None) for name, values, kw in mod.log], result


ARGUMENTS = [((), {}), ((1,), {}), ((1,), {"a": 2}), ((), {"a": 2, "b": [3]})]


@pytest.mark.parametrize("args, kwargs", ARGUMENTS)
def test_both_get_the_same_arguments(mod, args, kwargs):
    for name, expected in (("Both", ["new", "init"]), ("New", ["new"]), ("Init", ["init"])):
        cls = getattr(mod, name)
        entry = (args, kwargs or None)
        for call in (lambda: cls(*args, **kwargs), lambda: type.__call__(cls, *args, **kwargs)):
            noted, instance = calls(mod, call)
            assert noted == [(each, *entry) for each in expected]
            assert type(instance) is cls


@pytest.mark.parametrize("args, kwargs", ARGUMENTS)
def test_subclasses_in_python(mod, args, kwargs):
    class Sub(mod.Both):
        pass

    class WithInit(mod.New):
        def __init__(self, *args, **kwargs):
            self.seen = args, kwargs

    class WithNew(mod.Init):
        def __new__(cls, *args, **kwargs):
            instance = super().__new__(cls)
            instance.seen = args, kwargs
            return instance

    entry = (args, kwargs or None)
    noted, instance = calls(mod, Sub, *args, **kwargs)
    assert noted == [("new", *entry), ("init", *entry)] and type(instance) is Sub
    noted, instance = calls(mod, WithInit, *args, **kwargs)
    assert noted == [("new", *entry)] and instance.seen == (args, kwargs)
    noted, instance = calls(mod, WithNew, *args, **kwargs)
    assert noted == [("init", *entry)] and instance.seen == (args, kwargs)


def test_an_init_that_fails(mod):
    mod.log.clear()
    for cls in (mod.Both, mod.Init):
        with pytest.raises(ValueError, match="too many"):
            cls(1, 2)
        with pytest.raises(ValueError, match="too many"):
            cls(1, 2, a=3)


def test_a_new_that_gives_something_else_is_not_followed_by_init(mod):
    noted, result = calls(mod, mod.Both, "text", a=1)
    assert result == "text" and noted == [("new", ("text",), {"a": 1})]
    noted, result = calls(mod, mod.Both, mod.New)
    assert type(result) is mod.New
    assert noted == [("new", (mod.New,), None), ("new", (), None)]


def test_a_new_that_gives_an_instance_of_a_subclass(mod):
    class Sub(mod.Both):
        def __init__(self, *args, **kwargs):
            self.seen = args, kwargs

    class Same(mod.Both):
        pass

    noted, instance = calls(mod, mod.Both, make := lambda: Sub.__new__(Sub), a=1)
    assert type(instance) is Sub and instance.seen == ((make,), {"a": 1})
    assert noted == [("new", (make,), {"a": 1}), ("new", (), None)]
    noted, instance = calls(mod, mod.Both, make := lambda: Same.__new__(Same), a=1)
    assert type(instance) is Same
    assert noted == [("new", (make,), {"a": 1}), ("new", (), None), ("init", (make,), {"a": 1})]


def test_a_new_that_fails_is_not_followed_by_init(mod):
    def fail():
        raise KeyError("failed")

    with pytest.raises(KeyError, match="failed"):
        mod.Both(fail)
    assert [name for name, *_ in mod.log] == ["new"]


def test_methods_that_are_set_later_are_called(mod):
    for cls in (mod.Both, mod.New, mod.Init):
        cls()
        init, new = vars(cls).get("__init__"), vars(cls).get("__new__")
        cls.__init__ = lambda self, *args, **kwargs: seen.append((args, kwargs))
        seen = []
        assert type(cls(1, a=2)) is cls
        assert seen == [((1,), {"a": 2})]
        cls.__new__ = lambda cls, *args, **kwargs: seen.append((args, kwargs))
        assert cls(1, b=2) is None
        assert seen == [((1,), {"a": 2}), ((1,), {"b": 2})]
        del cls.__init__
        if init is not None:
            cls.__init__ = init
        if new is not None:
            cls.__new__ = new


def test_a_class_that_is_made_abstract_later(mod):
    mod.log.clear()
    mod.Init.__abstractmethods__ = {"method"}
    with pytest.raises(TypeError, match="abstract"):
        mod.Init()
    del mod.Init.__abstractmethods__
    assert type(mod.Init()) is mod.Init


def test_a_metaclass_decides_first(mod):
    class Meta(type):
        def __call__(cls, *args):
            return "called", args

    class Sub(mod.Both, metaclass=Meta):
        pass

    assert Sub(1) == ("called", (1,))


def test_balance(mod):
    arguments = [object()], {"a": object()}

    def call():
        for cls in (mod.Both, mod.New, mod.Init):
            cls(*arguments[0])
            cls(**arguments[1])
            cls(*arguments[0], **arguments[1])
        mod.Both("text", b=arguments)
        with pytest.raises(ValueError):
            mod.Init(1, 2, c=arguments)
        mod.log.clear()

    assert_balanced(call, *arguments[0], *arguments[1].values(), mod.Both, mod.New, mod.Init)
