"""Methods and computed attributes of types."""

import inspect
import sys

import pytest
from type_snippets import assert_balanced, method, new, traverse, slot, type_source

METHODS = type_source(
    "T",
    "long value;",
    method("nothing", "return HPy_Dup(ctx, self);", doc="nothing($self, /)\\n--\\n\\nNo arguments."),
    method("one", 'return HPy_BuildValue(ctx, "OO", self, arg);', "O", doc="One argument."),
    method("many", "return HPyTuple_FromArray(ctx, (HPy *)args, (HPy_ssize_t)nargs);", "VARARGS"),
    method(
        "keywords",
        """
        HPy positional, names, result, none = ctx->h_None;
        if (!HPyHelpers_PackArgsAndKeywords(ctx, args, nargs, kwnames, &positional, &names))
            return HPy_NULL;
        result = HPy_BuildValue(ctx, "OOO", self, HPy_IsNull(positional) ? none : positional,
                                HPy_IsNull(names) ? none : names);
        HPy_Close(ctx, positional);
        HPy_Close(ctx, names);
        return result;
        """,
        "KEYWORDS",
    ),
    method("failing", 'return HPyErr_SetString(ctx, ctx->h_LookupError, "method");'),
    method("__enter__", "return HPyLong_FromLong(ctx, 1);"),
    method("__exit__", "return HPyBool_FromBool(ctx, true);", "VARARGS"),
    'HPyDef_METH(T_foreign, "gr\\xc3\\xb6\\xc3\\x9f" "er", HPyFunc_NOARGS)\n'
    "static HPy T_foreign_impl(HPyContext *ctx, HPy self) { return HPyLong_FromLong(ctx, 3); }\n",
    'HPyDef_METH_IMPL(T_other, "other", another_name, HPyFunc_O)\n'
    "static HPy another_name(HPyContext *ctx, HPy self, HPy arg) { return HPy_Dup(ctx, arg); }\n",
)


@pytest.fixture
def cls(snippet):
    return snippet(METHODS).T


def test_no_arguments(cls):
    instance = cls()
    assert instance.nothing() is instance
    for arguments, keywords in (((1,), {}), ((None,), {}), ((), {"a": 1})):
        with pytest.raises(TypeError):
            instance.nothing(*arguments, **keywords)


def test_one_argument(cls):
    instance, argument = cls(), object()
    assert instance.one(argument) == (instance, argument)
    for arguments, keywords in (((), {}), ((1, 2), {}), ((1,), {"a": 1}), ((), {"a": 1})):
        with pytest.raises(TypeError):
            instance.one(*arguments, **keywords)


def test_positional_arguments(cls):
    instance = cls()
    assert instance.many() == ()
    assert instance.many(*range(100)) == tuple(range(100))
    with pytest.raises(TypeError):
        instance.many(a=1)


def test_keyword_arguments(cls):
    instance = cls()
    assert instance.keywords() == (instance, None, None)
    assert instance.keywords(1, 2) == (instance, (1, 2), None)
    assert instance.keywords(a=1) == (instance, None, {"a": 1})
    assert instance.keywords(1, b=2, **{"c d": 3}) == (instance, (1,), {"b": 2, "c d": 3})


def test_a_method_fails(cls):
    with pytest.raises(LookupError, match="method"):
        cls().failing()


def test_unbound_methods(cls):
    instance = cls()
    assert cls.one(instance, 5) == (instance, 5)
    assert cls.keywords(instance, a=5) == (instance, None, {"a": 5})
    for wrong in ((), (5,), (5, 5), (cls, 5)):
        with pytest.raises(TypeError):
            cls.one(*wrong)


def test_bound_methods(cls):
    instance = cls()
    bound = instance.many
    assert bound.__self__ is instance
    assert (bound.__name__, bound.__qualname__) == ("many", "T.many")
    assert list(map(bound, "ab")) == [("a",), ("b",)]
    assert cls.__dict__["many"].__objclass__ is cls


def test_names_and_docs(cls):
    assert cls.one.__doc__ == "One argument."
    assert cls.many.__doc__ is None
    assert cls.nothing.__doc__ == "No arguments."
    assert str(inspect.signature(cls.nothing)) == "(self, /)"
    assert cls().größer() == 3
    assert cls().other("x") == "x"


def test_special_methods_by_name(cls):
    with cls() as value:
        assert value == 1
        raise RuntimeError("swallowed")


def test_methods_are_inherited_and_overridden(cls):
    class Sub(cls):
        def many(self, *args):
            return "own", super().many(*args)

    sub = Sub()
    assert sub.nothing() is sub
    assert sub.many(1) == ("own", (1,))


def test_calls_stay_in_balance(cls):
    instance, argument = cls(), object()

    def use():
        instance.nothing()
        instance.one(argument)
        instance.many(argument, argument)
        instance.keywords(argument, name=argument)
        with pytest.raises(LookupError):
            instance.failing()

    assert_balanced(use, instance, argument, cls)


# An attribute in a field, and one for each way to define an attribute.
ATTRIBUTES = type_source(
    "T",
    "HPyField field; long deleted;",
    new("T"),
    traverse("T", "field"),
    """
    static HPy get_field(HPyContext *ctx, HPy self, void *closure)
    {
        T *data = T_AsStruct(ctx, self);
        if (HPyField_IsNull(data->field))
            return HPyErr_SetString(ctx, ctx->h_LookupError, "empty");
        return HPyField_Load(ctx, self, data->field);
    }
    HPyDef_GETSET(T_value, "value", .doc = "a value")
    static HPy T_value_get(HPyContext *ctx, HPy self, void *closure)
    {
        return get_field(ctx, self, closure);
    }
    static int T_value_set(HPyContext *ctx, HPy self, HPy value, void *closure)
    {
        T *data = T_AsStruct(ctx, self);
        if (HPy_Is(ctx, value, ctx->h_Ellipsis)) {
            HPyErr_SetString(ctx, ctx->h_LookupError, "set");
            return -1;
        }
        data->deleted += HPy_IsNull(value);
        HPyField_Store(ctx, self, &data->field, value);
        return 0;
    }
    HPyDef_GET(T_only_get, "only_get", .doc = "only read")
    static HPy T_only_get_get(HPyContext *ctx, HPy self, void *closure)
    {
        return closure ? HPyErr_SetString(ctx, ctx->h_SystemError, "closure") : HPyLong_FromLong(ctx, 5);
    }
    HPyDef_SET(T_only_set, "only_set", .doc = "only written")
    static int T_only_set_set(HPyContext *ctx, HPy self, HPy value, void *closure)
    {
        HPyField_Store(ctx, self, &T_AsStruct(ctx, self)->field, value);
        return closure ? -1 : 0;
    }
    static const char first[] = "first", second[] = "second";
    HPyDef_GET_IMPL(T_first, "first", get_closure, .closure = (void *)first)
    static HPy get_closure(HPyContext *ctx, HPy self, void *closure)
    {
        return HPyUnicode_FromString(ctx, closure);
    }
    HPyDef_GETSET_IMPL(T_second, "second", get_second, set_second, .closure = (void *)second)
    static HPy get_second(HPyContext *ctx, HPy self, void *closure)
    {
        return HPyUnicode_FromString(ctx, closure);
    }
    static int set_second(HPyContext *ctx, HPy self, HPy value, void *closure)
    {
        HPy text = HPyUnicode_FromString(ctx, closure);
        HPyField_Store(ctx, self, &T_AsStruct(ctx, self)->field, text);
        HPy_Close(ctx, text);
        return 0;
    }
    HPyDef_SET_IMPL(T_third, "third", set_third, .closure = (void *)7)
    static int set_third(HPyContext *ctx, HPy self, HPy value, void *closure)
    {
        HPyErr_SetString(ctx, closure == (void *)7 ? ctx->h_LookupError : ctx->h_SystemError, "third");
        return -1;
    }
    """,
    method("deletions", "return HPyLong_FromLong(ctx, T_AsStruct(ctx, self)->deleted);"),
)


@pytest.fixture
def attributes(snippet):
    return snippet(ATTRIBUTES).T


def test_an_attribute_is_read_written_and_deleted(attributes):
    instance, value = attributes(), object()
    instance.value = value
    assert instance.value is value
    instance.value = None
    assert (instance.value, instance.deletions()) == (None, 0)
    del instance.value
    assert instance.deletions() == 1
    with pytest.raises(LookupError, match="empty"):
        instance.value


def test_a_setter_fails(attributes):
    instance = attributes()
    instance.value = 5
    with pytest.raises(LookupError, match="set"):
        instance.value = ...
    assert instance.value == 5


def test_an_attribute_that_can_only_be_read(attributes):
    instance = attributes()
    assert instance.only_get == 5
    with pytest.raises(AttributeError):
        instance.only_get = 5
    with pytest.raises(AttributeError):
        del instance.only_get


def test_an_attribute_that_can_only_be_written(attributes):
    instance = attributes()
    instance.only_set = 7
    assert instance.value == 7
    with pytest.raises(AttributeError):
        instance.only_set
    del instance.only_set
    with pytest.raises(LookupError):
        instance.value


def test_closures(attributes):
    instance = attributes()
    assert (instance.first, instance.second) == ("first", "second")
    instance.second = 5
    assert instance.value == "second"
    with pytest.raises(LookupError, match="third"):
        instance.third = 5


def test_attributes_are_descriptors(attributes):
    instance = attributes()
    assert (attributes.value.__name__, attributes.value.__doc__) == ("value", "a value")
    assert attributes.first.__doc__ is None
    attributes.value.__set__(instance, 6)
    assert attributes.value.__get__(instance) == 6
    with pytest.raises(TypeError):
        attributes.value.__get__(5)


def test_a_subclass_shadows_and_delegates(attributes):
    class Sub(attributes):
        __slots__ = ()

        @property
        def only_get(self):
            return super().only_get + 1

    assert Sub.only_get.fget(Sub.__new__(Sub)) == 6


def test_attributes_stay_in_balance(attributes):
    instance, value = attributes(), object()

    def use():
        instance.value = value
        assert instance.value is value
        with pytest.raises(LookupError):
            instance.value = ...
        del instance.value
        with pytest.raises(LookupError):
            instance.value

    assert_balanced(use, instance, value, attributes)
    assert sys.getrefcount(value) == 2


# Special methods that are given as methods


SPECIAL = {
    "iter": ("NOARGS", "return HPy_Dup(ctx, self);"),
    "next": (
        "NOARGS",
        """
        if (Special_AsStruct(ctx, self)->number++ < 3)
            return HPyLong_FromLong(ctx, 7);
        return HPyErr_SetObject(ctx, ctx->h_StopIteration, ctx->h_None);
        """,
    ),
    "len": ("NOARGS", "return HPyLong_FromLong(ctx, 3);"),
    "getitem": ("O", 'return HPyUnicode_FromFormat(ctx, "item %R", arg);'),
    "setitem": ("VARARGS", "return HPyErr_SetObject(ctx, ctx->h_KeyError, args[1]);"),
    "contains": ("O", "return HPyBool_FromBool(ctx, HPyNumber_Check(ctx, arg));"),
    "getattr": ("O", 'return HPyUnicode_FromFormat(ctx, "attribute %S", arg);'),
    "add": ("O", 'return HPyUnicode_FromFormat(ctx, "sum with %R", arg);'),
    "radd": ("O", 'return HPyUnicode_FromFormat(ctx, "sum of %R", arg);'),
    "eq": ("O", "return HPyBool_FromBool(ctx, HPyUnicode_Check(ctx, arg));"),
    "bool": ("NOARGS", "return HPyBool_FromBool(ctx, false);"),
    "repr": ("NOARGS", 'return HPyUnicode_FromString(ctx, "special");'),
    "call": ("KEYWORDS", "return HPyLong_FromLong(ctx, (long)nargs);"),
    "enter": ("NOARGS", "return HPyLong_FromLong(ctx, 1);"),
    "exit": ("VARARGS", "return NONE;"),
    "init": ("KEYWORDS", "Special_AsStruct(ctx, self)->number = (long)nargs; return NONE;"),
    "format": ("O", "return HPy_Dup(ctx, arg);"),
}


@pytest.mark.differs("0.9.0: nobody calls them")
def test_special_methods_that_are_methods(snippet):
    mod = snippet(
        type_source("Special", "long number;", *(method(f"__{name}__", body, kind) for name, (kind, body) in SPECIAL.items()))
        + type_source("Derived", "", method("__len__", "return HPyLong_FromLong(ctx, 5);", prefix="D"), bases=["Special"])
        + type_source("Both", "", method("__repr__", "return NONE;", prefix="B"), slot("tp_repr", 'return HPyUnicode_FromString(ctx, "slot");', "B"))
    )
    special = mod.Special()
    assert list(special) == [7, 7, 7] and len(special) == 3
    assert (special[5], special["x"]) == ("item 5", "item 'x'")
    with pytest.raises(KeyError, match="value"):
        special[1] = "value"
    assert 5 in special and "5" not in special
    assert special.anything == "attribute anything"
    assert (special + 1, 1 + special) == ("sum with 1", "sum of 1")
    assert special == "text" and special != 5
    assert not special and repr(special) == "special" and format(special, "x") == "x"
    assert special(1, 2, a=3) == 2
    with special as value:
        assert value == 1
    assert list(mod.Special(1, 2)) == [7]
    with pytest.raises(TypeError):
        hash(special)
    derived = mod.Derived()
    assert len(derived) == 5 and derived[1] == "item 1" and repr(derived) == "special"
    assert repr(mod.Both()) == "slot"

    class Sub(mod.Special):
        def __len__(self):
            return 9

    assert len(Sub()) == 9 and Sub()[2] == "item 2"


@pytest.mark.differs("0.9.0: nobody calls them")
@pytest.mark.parametrize(
    "name, instead",
    [("__new__", "HPy_tp_new"), ("__buffer__", "HPy_bf_getbuffer"), ("__release_buffer__", "HPy_bf_releasebuffer")],
)
def test_special_methods_that_can_only_be_slots(snippet, name, instead):
    mod = snippet(type_source("Wrong", "", method(name, "return NONE;", "VARARGS"), make=True))
    with pytest.raises(TypeError, match=f"'mod.Wrong': '{name}' can't be a method; use the slot {instead}"):
        mod.make_Wrong()
