"""Callable instances: HPy_tp_call, HPy_SetCallFunction, __vectorcalloffset__."""

import functools

import pytest
from raising import failure
from type_snippets import BASETYPE, DEFAULT, assert_balanced, method, new, slot, type_source

# What a call returns: who was called, and how.
DESCRIBE = """
    static HPy describe(HPyContext *ctx, const char *by, HPy self, const HPy *args, size_t nargs, HPy kwnames)
    {
        HPy positional, keywords, result, none = ctx->h_None;
        if (nargs > 0 && HPy_Is(ctx, args[0], ctx->h_Ellipsis))
            return HPyErr_SetString(ctx, ctx->h_LookupError, by);
        if (!HPyHelpers_PackArgsAndKeywords(ctx, args, nargs, kwnames, &positional, &keywords))
            return HPy_NULL;
        result = HPy_BuildValue(ctx, "sOOO", by, self, HPy_IsNull(positional) ? none : positional,
                                HPy_IsNull(keywords) ? none : keywords);
        HPy_Close(ctx, positional);
        HPy_Close(ctx, keywords);
        return result;
    }
    HPyDef_CALL_FUNCTION(other_function)
    static HPy other_function_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs, HPy kwnames)
    {
        return describe(ctx, "other", self, args, nargs, kwnames);
    }
"""


def called(name, letter):
    return slot("tp_call", f'return describe(ctx, "{letter}", self, args, nargs, kwnames);', prefix=name)


LONG = "long first; long last;"
CALLS = (
    DESCRIBE
    + type_source("Plain", "long value;")
    + type_source("Simple", LONG, called("Simple", "simple"))
    + type_source("Structless", "", called("Structless", "structless"))
    + type_source(
        "Made",
        LONG,
        called("Made", "made"),
        new("Made", "Made_"),
        'HPyDef_MEMBER(Made_first, "first", HPyMember_LONG, offsetof(Made, first))\n',
        'HPyDef_MEMBER(Made_last, "last", HPyMember_LONG, offsetof(Made, last))\n',
    )
    + type_source(
        "Switching",
        "char odd[3];",
        called("Switching", "slot"),
        slot(
            "tp_new",
            """
            Switching *data;
            HPy result = HPy_New(ctx, type, &data);
            if (!HPy_IsNull(result) && nargs > 0 && HPy_SetCallFunction(ctx, result, &other_function) < 0) {
                HPy_Close(ctx, result);
                return HPy_NULL;
            }
            memset(data->odd, 0xFF, sizeof(data->odd));
            return result;
            """,
            "Switching_",
        ),
        method("switch_over", "return NULL_IF(HPy_SetCallFunction(ctx, self, &other_function) < 0);"),
    )
    + type_source("Derived", "Simple base; long more[4];", bases=["Simple"])
    + type_source("Inheriting", "", bases=["Simple"])
    + type_source("Overriding", "Simple base; long more[4];", called("Overriding", "overriding"), bases=["Simple"])
    + type_source("Final", LONG, called("Final", "final"), flags=DEFAULT)
    + type_source("ListOfCalls", LONG, called("List", "list"), shape="List", bases=["ctx->h_ListType"])
    + type_source(
        "Explicit",
        "long first; void *function; long last;",
        'HPyDef_MEMBER(Explicit_offset, "__vectorcalloffset__", HPyMember_HPYSSIZET, offsetof(Explicit, function),\n'
        "              .readonly = 1)\n",
        slot(
            "tp_new",
            """
            Explicit *data;
            HPy result = HPy_New(ctx, type, &data);
            if (nargs == 0 && HPy_SetCallFunction(ctx, result, &other_function) < 0)
                return HPy_NULL;
            return result;
            """,
            "Explicit_",
        ),
        flags=f"{BASETYPE} | HPy_TPFLAGS_HAVE_VECTORCALL",
    )
    + """
    FUNC_O(set_function) { return NULL_IF(HPy_SetCallFunction(ctx, arg, &other_function) < 0); }
    FUNC_KEYWORDS(call) { return HPy_Call(ctx, args[0], args + 1, nargs - 1, kwnames); }
    FUNC_VARARGS(call_tuple_dict) { return HPy_CallTupleDict(ctx, args[0], args[1], args[2]); }
    FUNC_O(call_without_arguments) { return HPy_Call(ctx, arg, NULL, 0, HPy_NULL); }
    FUNC_O(check) { return HPyBool_FromBool(ctx, HPyCallable_Check(ctx, arg)); }
    """
)
CALLABLE = {
    "Simple": "simple",
    "Structless": "structless",
    "Made": "made",
    "Switching": "slot",
    "Derived": "simple",
    "Inheriting": "simple",
    "Overriding": "overriding",
    "Final": "final",
    "Explicit": "other",
}
DERIVED = pytest.mark.differs("0.9.0: the function lies upon the struct of a derived type; or there is none")
NAMES = [
    pytest.param(name, marks=DERIVED if name in ("Derived", "Inheriting", "Overriding") else ()) for name in CALLABLE
]


@pytest.fixture
def mod(snippet):
    return snippet(CALLS)


@pytest.mark.parametrize("name", NAMES)
def test_calls(mod, name):
    instance, by = getattr(mod, name)(), CALLABLE[name]
    assert instance() == (by, instance, None, None)
    assert instance(1, "2") == (by, instance, (1, "2"), None)
    assert instance(a=1) == (by, instance, None, {"a": 1})
    assert instance(1, *"23", b=2, **{"c d": 3}) == (by, instance, (1, "2", "3"), {"b": 2, "c d": 3})
    assert instance(*range(100)) == (by, instance, tuple(range(100)), None)
    assert instance.__call__(1, a=2) == (by, instance, (1,), {"a": 2})
    assert getattr(mod, name).__call__(instance, 1) == (by, instance, (1,), None)


@pytest.mark.parametrize("name", NAMES)
def test_calls_from_c(mod, name):
    instance, by = getattr(mod, name)(), CALLABLE[name]
    assert mod.call(instance) == mod.call_without_arguments(instance) == (by, instance, None, None)
    assert mod.call(instance, 1, a=2) == (by, instance, (1,), {"a": 2})
    assert mod.call_tuple_dict(instance, (1, 2), {"a": 3}) == (by, instance, (1, 2), {"a": 3})
    assert mod.check(instance) is True


@pytest.mark.parametrize("name", NAMES)
def test_calls_from_the_library(mod, name):
    instance, by = getattr(mod, name)(), CALLABLE[name]
    assert list(map(instance, [1])) == [(by, instance, (1,), None)]
    assert functools.partial(instance, 1, a=2)(3) == (by, instance, (1, 3), {"a": 2})
    assert sorted([1, 2], key=instance.__call__) == [1, 2]


@pytest.mark.parametrize("name", NAMES)
def test_a_call_fails(mod, name):
    instance = getattr(mod, name)()
    for call in (instance, instance.__call__, functools.partial(mod.call, instance)):
        with pytest.raises(LookupError, match=CALLABLE[name]):
            call(...)


@pytest.mark.parametrize("name", NAMES)
def test_calls_stay_in_balance(mod, name):
    instance, argument = getattr(mod, name)(), object()

    def use():
        instance(argument, a=argument)
        mod.call(instance, argument)
        with pytest.raises(LookupError):
            instance(..., argument)
        getattr(mod, name)()

    assert_balanced(use, instance, argument, getattr(mod, name))


def test_what_has_no_slot_cannot_be_called(mod):
    assert mod.check(mod.Plain()) is False
    for call in (mod.Plain(), functools.partial(mod.call, mod.Plain())):
        with pytest.raises(TypeError, match="not callable"):
            call()


def test_where_the_function_lies_is_not_in_the_struct(mod):
    made = mod.Made()
    made.first = made.last = -1
    assert made(1) == ("made", made, (1,), None)
    assert (made.first, made.last) == (-1, -1)


def test_a_function_for_a_single_object(mod):
    first, second = mod.Switching(), mod.Switching(1)
    assert first(1) == ("slot", first, (1,), None)
    assert second(1, a=2) == ("other", second, (1,), {"a": 2})
    assert mod.call(second, 1) == ("other", second, (1,), None)
    first.switch_over()
    assert first(1) == ("other", first, (1,), None)
    # The next one has that of the slot again.
    assert mod.Switching()()[0] == "slot"


@pytest.mark.parametrize("name", NAMES)
def test_functions_can_be_set_from_outside(mod, name):
    instance, other = getattr(mod, name)(), getattr(mod, name)()
    mod.set_function(instance)
    assert instance(1) == ("other", instance, (1,), None)
    assert other(1) == (CALLABLE[name], other, (1,), None)


def test_functions_need_the_protocol(mod):
    assert failure(mod.set_function, mod.Plain()) == (
        TypeError,
        "type 'mod.Plain does not implement the HPy call protocol",
    )
    for value in (5, object(), [], type("Python", (), {"__call__": print})()):
        with pytest.raises(TypeError, match="does not implement the HPy call protocol"):
            mod.set_function(value)


def test_an_explicit_offset_without_a_function(mod):
    with pytest.raises(TypeError, match="Explicit"):
        mod.Explicit(1)()


def test_callable_lists(mod):
    instance = mod.ListOfCalls([1, 2])
    for _ in range(20):
        instance.append(3)
    assert instance(1, a=2) == ("list", instance, (1,), {"a": 2})
    assert len(instance) == 22


SUBCLASSES = pytest.mark.differs("0.9.0: instances of Python subclasses have no function and can't be called")


@SUBCLASSES
@pytest.mark.parametrize("name", [name for name in CALLABLE if name not in ("Final",)])
def test_subclasses_in_python(mod, name):
    class Open(getattr(mod, name)):
        pass

    class Slots(getattr(mod, name)):
        __slots__ = "a", "b"

    class Further(Open):
        __slots__ = ("c",)

    for cls in (Open, Slots, Further):
        instance, by = cls(), CALLABLE[name]
        instance.a = 5
        assert instance(1, a=2) == (by, instance, (1,), {"a": 2})
        assert mod.call(instance, 1, a=2) == (by, instance, (1,), {"a": 2})
        assert instance.__call__() == (by, instance, None, None)
        assert instance.a == 5
        assert_balanced(lambda: cls()(1), cls)


@SUBCLASSES
def test_a_function_for_an_object_of_a_subclass(mod):
    class Sub(mod.Switching):
        pass

    first, second = Sub(), Sub(1)
    assert (first()[0], second()[0]) == ("slot", "other")
    mod.set_function(first)
    assert first()[0] == "other"


@SUBCLASSES
def test_a_subclass_in_python_overrides_the_call(mod):
    class Sub(mod.Simple):
        def __call__(self, *args, **kwargs):
            return "python", args, kwargs

    for call in (Sub(), functools.partial(mod.call, Sub())):
        assert call(1, a=2) == ("python", (1,), {"a": 2})


@SUBCLASSES
def test_super_call(mod):
    class Sub(mod.Simple):
        def __call__(self, *args, **kwargs):
            return "python", super().__call__(*args, **kwargs)

    sub = Sub()
    assert sub(1, a=2) == ("python", ("simple", sub, (1,), {"a": 2}))


@SUBCLASSES
def test_a_call_given_to_a_class_later(mod):
    class Sub(mod.Simple):
        pass

    sub = Sub()
    assert sub()[0] == "simple"
    Sub.__call__ = lambda self: "later"
    assert sub() == mod.call(sub) == "later"
    del Sub.__call__
    assert sub()[0] == mod.call(sub)[0] == "simple"


@pytest.mark.differs("0.9.0 lets the struct overlap the hidden field")
def test_a_struct_goes_on_behind_that_of_a_callable_base(snippet):
    """The hidden field has to move behind it, whether the call is inherited, overridden or replaced for one object."""
    mod = snippet(
        DESCRIBE
        + type_source("Base", "long first;", called("Base", "base"))
        + type_source(
            "Wide",
            "long first; long wide[4];",
            'HPyDef_MEMBER(Wide_first, "wide_first", HPyMember_LONG, offsetof(Wide, first))\n',
            *(
                f'HPyDef_MEMBER(Wide_{index}, "wide{index}", HPyMember_LONG, offsetof(Wide, wide[{index}]))\n'
                for index in range(4)
            ),
            make=True,
        )
        + """
        FUNC_O(set_other)
        {
            return NULL_IF(HPy_SetCallFunction(ctx, arg, &other_function) < 0);
        }
        """
    )

    class Overrides(mod.Base):
        __slots__ = ()

        def __call__(self, *args):
            return "python", super().__call__(*args)

    names = ["wide_first", *(f"wide{index}" for index in range(4))]

    def filled(cls):
        wide = cls()
        for value, name in enumerate(names, start=-3):
            setattr(wide, name, value)
        return wide

    def content(wide):
        return [getattr(wide, name) for name in names]

    inherits = mod.make_Wide((mod.Base,))
    overridden = mod.make_Wide((Overrides,))
    for cls in (inherits, type("Python", (inherits,), {})):
        wide = filled(cls)
        assert wide(1) == ("base", wide, (1,), None)
        mod.set_other(wide)
        assert wide(2) == ("other", wide, (2,), None)
        assert content(wide) == [-3, -2, -1, 0, 1]
    for cls in (overridden, type("Python", (overridden,), {})):
        wide = filled(cls)
        assert wide(1) == ("python", ("base", wide, (1,), None))
        assert content(wide) == [-3, -2, -1, 0, 1]


@pytest.mark.differs("0.9.0 refuses such an object")
def test_a_function_for_an_object_whose_class_overrides_the_call(mod):
    class Overrides(mod.Switching):
        def __call__(self, *args):
            return "python", super().__call__(*args)

    # Its tp_new sets another function if it gets an argument.
    for arguments, by in (((), "slot"), ((1,), "other")):
        instance = Overrides(*arguments)
        assert instance(2) == ("python", (by, instance, (2,), None))


@pytest.mark.differs("0.9.0, before CPython 3.12: goes on calling the slot")
@pytest.mark.parametrize("name", ["Simple", "Structless", "Made", "Switching", "Overriding"])
def test_a_call_is_set_on_the_type_itself(mod, name):
    cls, by = getattr(mod, name), CALLABLE[name]
    instance, before = cls(), cls.__dict__["__call__"]
    special = cls(1) if name == "Switching" else None
    assert instance() == (by, instance, None, None)
    try:
        cls.__call__ = lambda self, *args, **kwargs: ("patched", self, args, kwargs)
        for each in filter(None, (instance, cls(), special)):
            assert each(1, a=2) == ("patched", each, (1,), {"a": 2})
            assert mod.call(each, 1, a=2) == ("patched", each, (1,), {"a": 2})
            assert mod.call_tuple_dict(each, (1,), {"a": 2}) == ("patched", each, (1,), {"a": 2})
        # What was there before can be called by what has come.
        cls.__call__ = lambda self, *args, **kwargs: ["around", before(self, *args, **kwargs)]
        assert instance(1, b=3, c=4) == ["around", (by, instance, (1,), {"b": 3, "c": 4})]
        if special:
            assert special(2) == ["around", ("other", special, (2,), None)]
        with pytest.raises(LookupError):
            instance(...)
        del cls.__call__
        if cls.__base__ is object:
            with pytest.raises(TypeError, match=f"'mod.{name}' object is not callable"):
                instance()
    finally:
        cls.__call__ = before
    assert instance(7, d=1) == (by, instance, (7,), {"d": 1})


@SUBCLASSES
def test_a_call_set_on_a_base(mod):
    class Sub(mod.Simple):
        pass

    derived, sub, before = mod.Inheriting(), Sub(), mod.Simple.__dict__["__call__"]
    try:
        mod.Simple.__call__ = lambda self: "patched"
        assert (derived(), sub(), mod.Overriding()()[0]) == ("patched", "patched", "overriding")
    finally:
        mod.Simple.__call__ = before
    assert (derived()[0], sub()[0]) == ("simple", "simple")


def test_special_methods_of_the_making_are_set_and_deleted(snippet):
    mod = snippet(
        type_source(
            "Initialized",
            "long value;",
            slot("tp_init", "Initialized_AsStruct(ctx, self)->value = (long)nargs; return 0;"),
            'HPyDef_MEMBER(Initialized_value, "value", HPyMember_LONG, offsetof(Initialized, value))\n',
        )
    )
    cls = mod.Initialized
    assert cls(1, 2).value == 2
    before = cls.__dict__["__init__"]
    cls.__init__ = lambda self, *args: setattr(self, "value", 70 + len(args))
    assert cls(1).value == 71
    del cls.__init__
    assert cls().value == 0
    for arguments in ((1, 2), (1,)):
        with pytest.raises(TypeError):
            cls(*arguments)
    with pytest.raises(TypeError):
        cls(a=1)
    cls.__init__ = before
    assert cls(1, 2, 3).value == 3
    cls.__new__ = lambda cls, *args: "another object"
    assert cls(1) == "another object"
