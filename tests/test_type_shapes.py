"""Built-in shapes: what instances start with, where their struct is, and HPyType_GetBuiltinShape."""

import sys

import pytest
from type_snippets import GC, assert_balanced, field, method, slot, traverse, type_source

pytestmark = pytest.mark.differs("0.9.0 has no _HPyType_GetBuiltinShape in the CPython ABI", abis=["cpython"])

# Shape, its base, arguments for an instance and what that equals.
SHAPES = {
    "Long": (int, [(5,), (0,), (-1,), (10**18,)]),
    "Float": (float, [(1.5,), (-0.0,), ("inf",)]),
    "Unicode": (str, [("",), ("abc",), ("größer",), ("\N{GRINNING FACE}" * 50,)]),
    "Tuple": (tuple, [(), ([1],)]),
    "List": (list, [(), ([1, 2, 3],), (range(1000),)]),
    "Dict": (dict, [(), ({"a": 1},), ([(i, i) for i in range(100)],)]),
}
LARGE = {"Long": [(-(10**50),), (2**10000,)], "Tuple": [([1, 2],), (range(1000),)]}
NUMBERS = ["Legacy", "Object", "Type", "Long", "Float", "Unicode", "Tuple", "List", "Dict"]
MARKS = {"Dict": pytest.mark.newer}

# The struct is large enough to overwrite whatever it should not lie upon.
STRUCT = "long first; double middle[20]; long last;"


def accessors(name):
    return (
        method("fill", f"{name} *data = {name}_AsStruct(ctx, self);\ndata->first = data->last = 1;\n"
               "for (int i = 0; i < 20; i++)\n    data->middle[i] = i + 0.5;\nreturn NONE;", prefix=name)
        + method("filled", f"""
            {name} *data = {name}_AsStruct(ctx, self);
            int good = data->first == 1 && data->last == 1;
            for (int i = 0; i < 20; i++)
                good &= data->middle[i] == i + 0.5;
            return HPyBool_FromBool(ctx, good);""", prefix=name)
        + method("zero", f"""
            static const {name} zero;
            return HPyBool_FromBool(ctx, !memcmp({name}_AsStruct(ctx, self), &zero, sizeof(zero)));""", prefix=name)
        + method("aligned", f"""
            return HPyBool_FromBool(ctx, (uintptr_t){name}_AsStruct(ctx, self) % sizeof(void *) == 0);""", prefix=name)
        + f'HPyDef_MEMBER({name}_first, "first", HPyMember_LONG, offsetof({name}, first))\n'
        + f'HPyDef_MEMBER({name}_last, "last", HPyMember_LONG, offsetof({name}, last))\n'
    )


SHAPE_OF = """
    FUNC_O(shape_of)
    {
        int shape = _HPyType_GetBuiltinShape(ctx, arg);
        return HPyErr_Occurred(ctx) ? HPy_NULL : HPyLong_FromLong(ctx, shape);
    }
"""


def shaped(shape):
    """A type of the shape with a struct, and one that adds nothing to it."""
    return (
        type_source("T", STRUCT, accessors("T"), shape=shape, bases=[f"ctx->h_{shape}Type"])
        + type_source("Derived", "", shape=shape, bases=["T"])
        + SHAPE_OF
        + """
        FUNC_NOARGS(shape_of_struct) { return HPyLong_FromLong(ctx, SHAPE(T)); }
        FUNC_O(struct_after_close)
        {
            HPy other = HPy_Dup(ctx, arg);
            T *data = T_AsStruct(ctx, other);
            HPy_Close(ctx, other);
            return HPyBool_FromBool(ctx, data == T_AsStruct(ctx, arg) && data->first == 1 && data->last == 1);
        }
        FUNC_O(new_of)
        {
            T *data = NULL;
            HPy result = HPy_New(ctx, arg, &data);
            if (!HPy_IsNull(result) && data != T_AsStruct(ctx, result))
                HPyErr_SetString(ctx, ctx->h_AssertionError, "another struct");
            return HPyErr_Occurred(ctx) ? HPy_NULL : result;
        }
        """
    )


def cases(table, name, reason=None):
    for shape, arguments in table.items():
        for index, each in enumerate(arguments):
            marks = [MARKS[shape]] if shape in MARKS else []
            if reason:
                marks.append(pytest.mark.differs(reason))
            yield pytest.param(shape, each, marks=marks, id=f"{shape}-{name}-{index}")


ALL = [pytest.param(shape, marks=MARKS.get(shape, ())) for shape in SHAPES]
SMALL = list(cases({shape: arguments for shape, (_, arguments) in SHAPES.items()}, "small"))
OVERLAP = list(cases(LARGE, "large", "0.9.0: the struct lies upon the digits or items"))


@pytest.mark.parametrize("shape, arguments", SMALL + OVERLAP)
def test_value_and_struct_do_not_meet(snippet, shape, arguments):
    base, mod = SHAPES[shape][0], snippet(shaped(shape))
    expected = base(*arguments)
    instances = [mod.T(*arguments) for _ in range(20)]
    for instance in instances:
        assert instance.zero()
        assert instance.aligned()
        instance.fill()
        assert instance == expected
        assert type(instance) is mod.T
    for instance in instances:
        assert instance.filled()
        assert instance == expected
        assert repr(instance) == repr(expected)


@pytest.mark.parametrize("shape, arguments", SMALL + OVERLAP)
def test_members_lie_in_the_struct(snippet, shape, arguments):
    base, mod = SHAPES[shape][0], snippet(shaped(shape))
    instance = mod.T(*arguments)
    instance.fill()
    assert (instance.first, instance.last) == (1, 1)
    instance.first = instance.last = 7
    assert not instance.filled()
    instance.first = instance.last = 1
    assert instance.filled()
    assert instance == base(*arguments)


@pytest.mark.parametrize("shape, arguments", SMALL + OVERLAP)
def test_subclasses_in_python_keep_the_struct(snippet, shape, arguments):
    base, mod = SHAPES[shape][0], snippet(shaped(shape))

    class Open(mod.T):
        pass

    class Further(Open):
        pass

    for cls in (Open, Further):
        instance = cls(*arguments)
        assert instance.zero()
        instance.attribute = value = object()
        instance.fill()
        assert instance.filled()
        assert instance.attribute is value
        assert instance == base(*arguments)


@pytest.mark.parametrize("shape, arguments", SMALL)
def test_slots_of_subclasses_in_python(snippet, shape, arguments):
    base, mod = SHAPES[shape][0], snippet(shaped(shape))
    if base in ((int,) if sys.version_info >= (3, 15) else (int, tuple)):
        with pytest.raises(TypeError, match="__slots__"):
            type("Sub", (mod.T,), {"__slots__": ("a",)})
        Sub = type("Sub", (mod.T,), {"__slots__": ()})
    else:
        Sub = type("Sub", (mod.T,), {"__slots__": ("a", "b")})
    instance = Sub(*arguments)
    instance.fill()
    if base not in ((int,) if sys.version_info >= (3, 15) else (int, tuple)):
        instance.a, instance.b = "a", "b"
        assert (instance.a, instance.b) == ("a", "b")
    assert instance.filled()
    assert instance == base(*arguments)
    assert not hasattr(instance, "__dict__")


@pytest.mark.parametrize("shape, arguments", SMALL)
def test_a_derived_type_without_a_struct_has_that_of_its_base(snippet, shape, arguments):
    mod = snippet(shaped(shape))
    instance = mod.Derived(*arguments)
    instance.fill()
    assert instance.filled()
    assert instance == SHAPES[shape][0](*arguments)
    assert mod.Derived.__basicsize__ == mod.T.__basicsize__


@pytest.mark.parametrize("shape", ALL)
def test_shape_of_types(snippet, shape):
    mod = snippet(shaped(shape))
    assert mod.shape_of(mod.T) == mod.shape_of(mod.Derived) == NUMBERS.index(shape) - 1
    assert mod.shape_of(SHAPES[shape][0]) == mod.shape_of(object) == mod.shape_of(type) == -1


@pytest.mark.parametrize("shape", ALL)
def test_shape_of_a_struct(snippet, shape):
    assert snippet(shaped(shape)).shape_of_struct() == NUMBERS.index(shape) - 1


@pytest.mark.parametrize("shape", ALL)
def test_a_struct_stays_when_the_handle_is_closed(snippet, shape):
    mod = snippet(shaped(shape))
    instance = mod.T()
    instance.fill()
    assert mod.struct_after_close(instance) is True


@pytest.mark.differs("0.9.0 takes it for legacy")
@pytest.mark.parametrize("shape", ALL)
def test_shape_of_subclasses_in_python(snippet, shape):
    mod = snippet(shaped(shape))
    sub = type("Sub", (mod.T,), {})
    assert mod.shape_of(sub) == mod.shape_of(type("Further", (sub,), {})) == mod.shape_of(mod.T)


def test_shapes_of_objects_and_metaclasses(snippet):
    mod = snippet(METACLASS + SHAPE_OF)
    assert mod.shape_of(mod.T) == NUMBERS.index("Object") - 1
    assert mod.shape_of(mod.Meta) == NUMBERS.index("Type") - 1


def test_only_types_have_shapes(snippet):
    mod = snippet(shaped("List"))
    for value in (5, [], mod.T()):
        with pytest.raises(TypeError, match="arg must be a type"):
            mod.shape_of(value)


@pytest.mark.differs("0.9.0 leaves what is before the struct uninitialized")
@pytest.mark.parametrize("shape", ["List", "Float"])
def test_new_zeroes_what_is_before_the_struct_too(snippet, shape):
    mod = snippet(shaped(shape))
    for cls in (mod.T, mod.Derived, type("Sub", (mod.T,), {})):
        for _ in range(20):
            instance = mod.new_of(cls)
            assert type(instance) is cls
            assert instance == SHAPES[shape][0]()
            assert instance.zero()
            instance.fill()
            assert instance == SHAPES[shape][0]()


@pytest.mark.differs("0.9.0 leaves what is before the struct uninitialized")
def test_a_new_list_is_a_list(snippet):
    mod = snippet(shaped("List"))
    instance = mod.new_of(mod.T)
    instance.fill()
    instance.extend(range(100))
    assert instance == list(range(100))
    assert instance.filled()


def test_items_are_counted(snippet):
    cls, value = snippet(shaped("List")).T, object()

    def use():
        instance = cls([value, value])
        instance.fill()
        instance.append(value)

    assert_balanced(use, value, cls)


# What a list holds is visited by the list, the field by the type.
FIELDS = type_source(
    "T",
    "long before; HPyField field; long after;",
    field("T", "field"),
    traverse("T", "field"),
    shape="List",
    bases=["ctx->h_ListType"],
    flags=GC,
)


@pytest.mark.differs("0.9.0 does not run the dealloc of the built-in base")
def test_fields_of_a_list(snippet):
    cls, value = snippet(FIELDS).T, object()

    def use():
        instance = cls([value])
        instance.field = value
        assert instance.field is instance[0]
        cycle = cls([value])
        cycle.append(cycle)
        cycle.field = cycle
        other = cls()
        other.append(other)
        other.field = value

    assert_balanced(use, value, cls)


METACLASS = type_source("Meta", STRUCT, accessors("Meta"), shape="Type", bases=["ctx->h_TypeType"]) + type_source(
    "T", "long value;", slot("nb_int", "return HPyLong_FromLong(ctx, T_AsStruct(ctx, self)->value);"), metaclass="Meta"
)


def test_types_of_a_metaclass_have_a_struct(snippet):
    mod = snippet(METACLASS)
    assert type(mod.T) is mod.Meta
    assert mod.T.zero()
    mod.T.fill()
    assert mod.T.filled()
    assert int(mod.T()) == 0
    assert mod.T.first == 1


def test_classes_of_a_metaclass_have_a_struct(snippet):
    mod = snippet(METACLASS)

    class Plain(metaclass=mod.Meta):
        def method(self):
            return 5

    class Slots(metaclass=mod.Meta):
        __slots__ = "a", "b", "c"

    class Sub(mod.T, Plain):
        pass

    for cls in (Plain, Slots, Sub):
        assert type(cls) is mod.Meta
        assert cls.zero()
        cls.fill()
        instance = cls()
        instance.a = 5
        assert (instance.a, cls.filled()) == (5, True)
    assert Plain().method() == 5
    assert int(Sub()) == 0


def test_a_metaclass_made_in_python_from_one_with_a_struct(snippet):
    mod = snippet(METACLASS)

    class Derived(mod.Meta):
        def __call__(cls):
            return "called", super().__call__()

    class Plain(metaclass=Derived):
        __slots__ = "a", "b"

    Plain.fill()
    called, instance = Plain()
    assert called == "called"
    instance.a = 5
    assert (instance.a, Plain.filled()) == (5, True)
