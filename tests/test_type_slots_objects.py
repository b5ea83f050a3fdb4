"""Slots of any object: tp_new, tp_init, tp_repr, tp_str, tp_hash, tp_richcompare, tp_descr_get."""

import operator
import sys

import pytest
from type_snippets import assert_balanced, field, new, slot, traverse, type_source

# The arguments of a call as a tuple, or null.
ARGUMENTS = """
    static HPy arguments(HPyContext *ctx, const HPy *args, HPy_ssize_t nargs, HPy kw)
    {
        HPy positional = HPyTuple_FromArray(ctx, (HPy *)args, nargs), none = ctx->h_None;
        HPy result = HPy_BuildValue(ctx, "OO", positional, HPy_IsNull(kw) ? none : kw);
        HPy_Close(ctx, positional);
        return result;
    }
"""
# Instances keep what they were made and initialized with.
MADE = ARGUMENTS + type_source(
    "Made",
    "HPyField made; HPyField initialized; int times;",
    field("Made", "made"),
    field("Made", "initialized"),
    'HPyDef_MEMBER(Made_times, "times", HPyMember_INT, offsetof(Made, times))\n',
    traverse("Made", "made", "initialized"),
    slot(
        "tp_new",
        """
        Made *data;
        HPy result, value;
        if (nargs > 0 && HPy_Is(ctx, args[0], ctx->h_Ellipsis))
            return HPyErr_SetString(ctx, ctx->h_LookupError, "new");
        if (nargs > 0 && HPy_Is(ctx, args[0], ctx->h_None))
            return HPyLong_FromLong(ctx, 5);
        result = HPy_New(ctx, type, &data);
        if (HPy_IsNull(result))
            return HPy_NULL;
        value = arguments(ctx, args, nargs, kw);
        HPyField_Store(ctx, result, &data->made, value);
        HPy_Close(ctx, value);
        return result;
        """,
    ),
    slot(
        "tp_init",
        """
        Made *data = Made_AsStruct(ctx, self);
        if (!HPy_IsNull(kw)) {
            HPy fail = HPyUnicode_FromString(ctx, "fail");
            int found = HPy_Contains(ctx, kw, fail);
            HPy_Close(ctx, fail);
            if (found) {
                HPyErr_SetString(ctx, ctx->h_LookupError, "init");
                return -1;
            }
        }
        HPy value = arguments(ctx, args, nargs, kw);
        HPyField_Store(ctx, self, &data->initialized, value);
        HPy_Close(ctx, value);
        data->times++;
        return 0;
        """,
    ),
)


@pytest.fixture
def mod(snippet):
    return snippet(MADE)


def test_new_and_init_get_the_arguments(mod):
    instance = mod.Made(1, "2", key=3, other=None)
    assert instance.made == instance.initialized == ((1, "2"), {"key": 3, "other": None})
    assert mod.Made(1).made == ((1,), None)
    assert mod.Made(key=1).initialized == ((), {"key": 1})
    assert mod.Made().made == ((), None)
    assert mod.Made(*range(300)).made == (tuple(range(300)), None)
    assert instance.times == 1


def test_new_and_init_by_hand(mod):
    instance = mod.Made.__new__(mod.Made, 1, a=2)
    assert (instance.made, instance.initialized) == (((1,), {"a": 2}), None)
    assert instance.__init__(3) is None
    instance.__init__(4, b=5)
    assert (instance.made, instance.initialized, instance.times) == (((1,), {"a": 2}), ((4,), {"b": 5}), 2)
    with pytest.raises(TypeError):
        mod.Made.__new__(int)
    with pytest.raises(TypeError):
        mod.Made.__init__(5)


def test_init_is_skipped_when_new_returns_something_else(mod):
    assert mod.Made(None) == 5


def test_new_fails(mod):
    def fail():
        with pytest.raises(LookupError, match="new"):
            mod.Made(...)

    assert_balanced(fail, mod.Made)


def test_init_fails_and_the_instance_goes(mod):
    value = object()

    def fail():
        with pytest.raises(LookupError, match="init"):
            mod.Made(value, fail=1)

    assert_balanced(fail, mod.Made, value)


def test_arguments_are_borrowed(mod):
    value = object()
    assert_balanced(lambda: mod.Made(value, key=value), mod.Made, value)


@pytest.mark.differs("0.9.0 takes the head of an instance of a Python subclass for its struct")
def test_new_makes_instances_of_subclasses(mod):
    class Sub(mod.Made):
        pass

    instance = Sub(1)
    assert type(instance) is Sub
    assert instance.made == ((1,), None)


TEXTS = "".join(
    [
        type_source(
            "Both",
            "",
            slot("tp_repr", 'return HPyUnicode_FromString(ctx, "repr");', "Both_"),
            slot("tp_str", 'return HPyUnicode_FromString(ctx, "str");', "Both_"),
        ),
        type_source("Repr", "", slot("tp_repr", 'return HPyUnicode_FromString(ctx, "repr");', "Repr_")),
        type_source(
            "Wrong",
            "",
            slot("tp_repr", "return HPyLong_FromLong(ctx, 1);", "Wrong_"),
            slot("tp_str", "return HPyLong_FromLong(ctx, 1);", "Wrong_"),
        ),
        type_source(
            "Failing",
            "",
            slot("tp_repr", 'return HPyErr_SetString(ctx, ctx->h_LookupError, "repr");', "Failing_"),
            slot("tp_str", 'return HPyErr_SetString(ctx, ctx->h_LookupError, "str");', "Failing_"),
            slot("tp_hash", 'HPyErr_SetString(ctx, ctx->h_LookupError, "hash");\nreturn -1;', "Failing_"),
        ),
        type_source(
            "Hashed",
            "HPy_hash_t hash;",
            'HPyDef_MEMBER(hash, "hash", HPyMember_HPYSSIZET, 0)\n',
            slot("tp_hash", "return Hashed_AsStruct(ctx, self)->hash;", "Hashed_"),
        ),
    ]
)


def test_repr_and_str(snippet):
    mod = snippet(TEXTS)
    assert (repr(mod.Both()), str(mod.Both()), f"{mod.Both()}") == ("repr", "str", "str")
    assert (repr(mod.Repr()), str(mod.Repr())) == ("repr", "repr")
    assert mod.Both.__repr__(mod.Both()) == "repr"


def test_repr_and_str_are_strings(snippet):
    mod = snippet(TEXTS)
    for function in (repr, str):
        with pytest.raises(TypeError, match="int"):
            function(mod.Wrong())


@pytest.mark.parametrize("function", [repr, str, hash])
def test_texts_and_hashes_fail(snippet, function):
    with pytest.raises(LookupError, match=function.__name__):
        function(snippet(TEXTS).Failing())


def test_hash(snippet):
    hashed = snippet(TEXTS).Hashed()
    for value in (0, 1, -2, sys.maxsize, -sys.maxsize - 1):
        hashed.hash = value
        assert hash(hashed) == value
        assert hashed.__hash__() == value
    assert {hashed: 1}[hashed] == 1


COMPARED = "".join(
    [
        type_source(
            "Compared",
            "",
            slot(
                "tp_richcompare",
                """
                if (HPy_Is(ctx, other, ctx->h_None))
                    return HPy_Dup(ctx, ctx->h_NotImplemented);
                if (HPy_Is(ctx, other, ctx->h_Ellipsis))
                    return HPyErr_SetString(ctx, ctx->h_LookupError, "comparison");
                return HPy_BuildValue(ctx, "OOi", self, other, (int)op);
                """,
                "Compared_",
            ),
        ),
        type_source(
            "Hashable",
            "",
            slot("tp_richcompare", "return HPy_Dup(ctx, ctx->h_NotImplemented);", "Hashable_"),
            slot("tp_hash", "return 7;", "Hashable_"),
        ),
        type_source("Plain", ""),
    ]
)
COMPARISONS = ["lt", "le", "eq", "ne", "gt", "ge"]
SWAPPED = {"lt": "gt", "le": "ge", "eq": "eq", "ne": "ne", "gt": "lt", "ge": "le"}


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(snippet, name):
    mod = snippet(COMPARED)
    function, compared, number = getattr(operator, name), mod.Compared(), COMPARISONS.index(name)
    assert function(compared, 5) == (compared, 5, number)
    assert function(5, compared) == (compared, 5, COMPARISONS.index(SWAPPED[name]))
    assert getattr(compared, f"__{name}__")(5) == (compared, 5, number)
    assert getattr(compared, f"__{name}__")(None) is NotImplemented
    with pytest.raises(LookupError, match="comparison"):
        function(compared, ...)


def test_comparisons_that_both_sides_decline(snippet):
    mod = snippet(COMPARED)
    compared = mod.Compared()
    assert (compared == None, compared != None) == (False, True)  # noqa: E711
    for name in ("lt", "le", "gt", "ge"):
        with pytest.raises(TypeError, match="not supported between"):
            getattr(operator, name)(compared, None)


def test_comparison_takes_the_hash_away(snippet):
    mod = snippet(COMPARED)
    with pytest.raises(TypeError, match="unhashable"):
        hash(mod.Compared())
    assert mod.Compared.__hash__ is None
    assert hash(mod.Hashable()) == 7
    assert isinstance(hash(mod.Plain()), int)


def test_a_subclass_in_python_compares_in_its_own_way(snippet):
    mod = snippet(COMPARED)

    class Sub(mod.Compared):
        def __eq__(self, other):
            return "own", super().__eq__(other)

        __hash__ = object.__hash__

    sub = Sub()
    assert (sub == 5) == ("own", (sub, 5, 2))
    assert (sub < 5) == (sub, 5, 0)
    assert hash(sub) == object.__hash__(sub)


DESCRIPTORS = (
    type_source(
        "Descriptor",
        "",
        slot(
            "tp_descr_get",
            """
            HPy none = ctx->h_None;
            if (HPy_Is(ctx, other, ctx->h_Ellipsis))
                return HPyErr_SetString(ctx, ctx->h_LookupError, "descriptor");
            return HPy_BuildValue(ctx, "OOO", self, HPy_IsNull(other) ? none : other, HPy_IsNull(third) ? none : third);
            """,
        ),
    )
    + type_source("Plain", "")
)


@pytest.mark.newer
def test_descriptors(snippet):
    descriptor = snippet(DESCRIPTORS).Descriptor()

    class Owner:
        attribute = descriptor

    class Derived(Owner):
        pass

    owner = Owner()
    assert owner.attribute == (descriptor, owner, Owner)
    assert Owner.attribute == (descriptor, None, Owner)
    derived = Derived()
    assert derived.attribute == (descriptor, derived, Derived)
    assert descriptor.__get__(5, int) == (descriptor, 5, int)
    assert descriptor.__get__(5) == (descriptor, 5, None)
    assert descriptor.__get__(None, int) == (descriptor, None, int)
    with pytest.raises(LookupError, match="descriptor"):
        descriptor.__get__(..., int)
    # Not a data descriptor: instances may have their own.
    owner.attribute = 5
    assert owner.attribute == 5


@pytest.mark.newer
def test_descriptors_borrow_what_they_get(snippet):
    descriptor = snippet(DESCRIPTORS).Descriptor()

    class Owner:
        attribute = descriptor

    owner = Owner()
    assert_balanced(lambda: (owner.attribute, Owner.attribute), descriptor, owner, Owner)


def test_new_without_init_takes_no_notice_of_arguments(snippet):
    mod = snippet(type_source("Quiet", "int unused;", new("Quiet")))
    assert type(mod.Quiet()) is mod.Quiet
    # object.__init__ does not mind when only __new__ is overridden.
    assert type(mod.Quiet(1, a=2)) is mod.Quiet
