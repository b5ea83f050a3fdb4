"""Members: attributes that lie in the struct, of each HPyMember_FieldType."""

import math
import struct
import sys

import pytest
from type_snippets import assert_balanced, method, new, traverse, type_source


def bits(size, signed):
    return (-(2 ** (size - 1)), 2 ** (size - 1) - 1) if signed else (0, 2**size - 1)


LONG = 8 * struct.calcsize("l")
# Name, C type, least and greatest value.
INTEGERS = {
    "SHORT": ("short", *bits(16, True)),
    "INT": ("int", *bits(32, True)),
    "LONG": ("long", *bits(LONG, True)),
    "BYTE": ("signed char", *bits(8, True)),
    "UBYTE": ("unsigned char", *bits(8, False)),
    "USHORT": ("unsigned short", *bits(16, False)),
    "UINT": ("unsigned int", *bits(32, False)),
    "ULONG": ("unsigned long", *bits(LONG, False)),
    "LONGLONG": ("long long", *bits(64, True)),
    "ULONGLONG": ("unsigned long long", *bits(64, False)),
    "HPYSSIZET": ("HPy_ssize_t", -sys.maxsize - 1, sys.maxsize),
}
NARROW = [name for name, (_, _, greatest) in INTEGERS.items() if greatest < bits(LONG, True)[1]]
OTHERS = {"FLOAT": "float", "DOUBLE": "double", "BOOL": "char", "CHAR": "char", "STRING": "const char *"}
OBJECTS = ["OBJECT", "OBJECT_EX"]
FIELDS = {**{name: values[0] for name, values in INTEGERS.items()}, **OTHERS}


def member(owner, kind, extra="", suffix=""):
    name = f"{kind.lower()}{suffix}"
    return f'HPyDef_MEMBER({owner}_{name}, "{name}", HPyMember_{kind}, offsetof({owner}, f_{kind.lower()}){extra})\n'


# A byte between two fields each, so that a write at the wrong place or of the wrong size shows up in `intact`.
STRUCT = "char guard_first;" + "".join(
    f" {c_type} f_{name.lower()}; char guard_{name.lower()};" for name, c_type in FIELDS.items()
)
STRUCT += " char f_string_inplace[16]; char guard_last;"
GUARDS = ["guard_first", *(f"guard_{name.lower()}" for name in FIELDS), "guard_last"]
KINDS = [*FIELDS, "STRING_INPLACE"]
MEMBERS = type_source(
    "Members",
    STRUCT,
    *(member("Members", kind) for kind in KINDS),
    *(member("Members", kind, ', .readonly = 1, .doc = "only read"', "_readonly") for kind in KINDS),
    'HPyDef_MEMBER(Members_none, "none", HPyMember_NONE, 0)\n',
    'HPyDef_MEMBER(Members_none_readonly, "none_readonly", HPyMember_NONE, 0, .readonly = 1)\n',
    method("fill", """
        Members *data = Members_AsStruct(ctx, self);
        data->f_float = 0.5f;
        data->f_double = -1e300;
        data->f_bool = 1;
        data->f_char = 'x';
        data->f_string = "gr\\xc3\\xb6\\xc3\\x9f" "er";
        memcpy(data->f_string_inplace, "in place", 9);
        data->f_int = -7;
        data->f_ulonglong = ULLONG_MAX;
        return NONE;
    """),
    method(
        "intact",
        f"Members *data = Members_AsStruct(ctx, self);\n"
        f"return HPyBool_FromBool(ctx, !({' || '.join('data->' + guard for guard in GUARDS)}));",
    ),
).replace("HPyType_HELPERS", "#include <limits.h>\nHPyType_HELPERS", 1)


@pytest.fixture
def members(snippet):
    instance = snippet(MEMBERS).Members()
    yield instance
    assert instance.intact()


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers(members, kind):
    _, least, greatest = INTEGERS[kind]
    name = kind.lower()
    assert getattr(members, name) == 0
    for value in (least, greatest, 1, 0, greatest // 3):
        setattr(members, name, value)
        assert getattr(members, name) == getattr(members, name + "_readonly") == value
        assert type(getattr(members, name)) is int
    setattr(members, name, True)
    assert getattr(members, name) == 1


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_too_large_for_c(members, kind):
    name = kind.lower()
    for value in (2**64, -(2**64)):
        # What is in the member afterwards is CPython's secret.
        with pytest.raises(OverflowError):
            setattr(members, name, value)


@pytest.mark.parametrize("kind", NARROW)
def test_integers_too_large_for_the_member_are_cut_off_with_a_warning(members, kind):
    _, least, greatest = INTEGERS[kind]
    with pytest.warns(RuntimeWarning):
        setattr(members, kind.lower(), greatest + 1)
    assert getattr(members, kind.lower()) == least


@pytest.mark.parametrize("kind", [*INTEGERS, "FLOAT", "DOUBLE", "BOOL"])
def test_numbers_are_type_checked(members, kind):
    for value in ("1", None, [], object()):
        with pytest.raises(TypeError):
            setattr(members, kind.lower(), value)


@pytest.mark.parametrize("kind", [*FIELDS, "STRING_INPLACE"])
def test_what_is_no_object_cannot_be_deleted(members, kind):
    members.fill()
    value = getattr(members, kind.lower())
    with pytest.raises(TypeError):
        delattr(members, kind.lower())
    assert getattr(members, kind.lower()) == value


@pytest.mark.parametrize("kind", [*FIELDS, "STRING_INPLACE", "NONE"])
def test_readonly(members, kind):
    members.fill()
    name = f"{kind.lower()}_readonly"
    value = getattr(members, name)
    with pytest.raises(AttributeError):
        setattr(members, name, value)
    with pytest.raises(AttributeError):
        delattr(members, name)
    assert getattr(members, name) == value


def test_floats(members):
    members.double = 0.1
    members.float = 0.1
    assert members.double == 0.1
    assert members.float == struct.unpack("f", struct.pack("f", 0.1))[0]
    members.double = -3
    assert (members.double, type(members.double)) == (-3.0, float)
    members.double = math.inf
    members.float = -math.inf
    assert (members.double, members.float) == (math.inf, -math.inf)
    members.float = 1e300
    assert members.float == math.inf
    members.double = math.nan
    assert math.isnan(members.double)


def test_booleans(members):
    assert members.bool is False
    members.bool = True
    assert members.bool is True
    for value in (1, 0, None):
        with pytest.raises(TypeError):
            members.bool = value
    assert members.bool is True


def test_characters(members):
    assert members.char == "\0"
    members.char = "~"
    assert members.char == "~"
    for value in ("", "ab", 65, b"a", None, "\N{EURO SIGN}"):
        with pytest.raises(TypeError):
            members.char = value
    assert members.char == "~"


def test_strings(members):
    assert members.string is None
    assert members.string_inplace == ""
    members.fill()
    assert members.string == "größer"
    assert members.string_inplace == "in place"
    for name in ("string", "string_inplace"):
        for value in ("new", None):
            with pytest.raises(TypeError):
                setattr(members, name, value)


def test_none(members):
    assert members.none is None
    with pytest.raises((TypeError, SystemError)):
        members.none = None
    with pytest.raises(TypeError):
        del members.none


def test_what_c_wrote_is_read(members):
    members.fill()
    assert (members.float, members.double, members.bool, members.char) == (0.5, -1e300, True, "x")
    assert (members.int, members.ulonglong) == (-7, 2**64 - 1)


def test_members_are_descriptors(members):
    cls = type(members)
    descriptor = cls.int
    members.int = 5
    assert descriptor.__get__(members) == 5
    descriptor.__set__(members, 6)
    assert members.int == 6
    assert descriptor.__name__ == "int"
    assert (descriptor.__doc__, cls.int_readonly.__doc__) == (None, "only read")
    with pytest.raises(TypeError):
        descriptor.__get__(5)
    with pytest.raises(TypeError):
        descriptor.__set__(5, 5)


def test_each_instance_has_its_own(members):
    other = type(members)()
    members.int, other.int = 1, 2
    assert (members.int, other.int) == (1, 2)


def objects(kind, name):
    """A type with two object members, one of them readonly. HPy 0.9.0 can make it once for a binary, thus the name."""
    return type_source(
        name,
        "long before; HPyField field; long after;",
        new(name),
        traverse(name, "field"),
        f'HPyDef_MEMBER(value, "value", HPyMember_{kind}, offsetof({name}, field), .doc = "an object")\n',
        f'HPyDef_MEMBER(readonly, "readonly", HPyMember_{kind}, offsetof({name}, field), .readonly = 1)\n',
        method(
            "intact",
            f"{name} *data = {name}_AsStruct(ctx, self);\nreturn HPyBool_FromBool(ctx, !data->before && !data->after);",
        ),
        method("load", f"return HPyField_Load(ctx, self, {name}_AsStruct(ctx, self)->field);"),
    )


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_are_kept(snippet, kind):
    instance, value = snippet(objects(kind, "Kept")).Kept(), object()
    instance.value = value
    assert instance.value is instance.readonly is instance.load() is value
    instance.value = None
    assert instance.value is instance.load() is None
    assert instance.intact()


def test_an_empty_object_reads_as_none(snippet):
    instance = snippet(objects("OBJECT", "Empty")).Empty()
    assert instance.value is None
    instance.value = 5
    del instance.value
    assert instance.value is None
    assert instance.intact()


def test_an_empty_object_ex_is_no_attribute(snippet):
    instance = snippet(objects("OBJECT_EX", "Empty")).Empty()
    for name in ("value", "readonly"):
        with pytest.raises(AttributeError, match=name):
            getattr(instance, name)
    instance.value = 5
    del instance.value
    assert not hasattr(instance, "value")
    assert instance.intact()


@pytest.mark.parametrize("kind", OBJECTS)
def test_readonly_objects(snippet, kind):
    instance = snippet(objects(kind, "ReadOnly")).ReadOnly()
    instance.value = 5
    with pytest.raises(AttributeError):
        instance.readonly = 6
    with pytest.raises(AttributeError):
        del instance.readonly
    assert instance.value == 5


@pytest.mark.parametrize("kind", OBJECTS)
def test_objects_are_counted(snippet, kind):
    cls, value = snippet(objects(kind, "Counted")).Counted, object()

    def use():
        instance = cls()
        instance.value = value
        instance.value = value
        assert instance.value is value
        del instance.value
        instance.value = value

    assert_balanced(use, value, cls)


@pytest.mark.parametrize("kind", OBJECTS)
def test_an_old_value_may_look_at_the_member_while_it_goes(snippet, kind):
    instance, seen = snippet(objects(kind, "Looking")).Looking(), []

    class Watching:
        def __del__(self):
            seen.append(getattr(instance, "value", "nothing"))

    instance.value = Watching()
    instance.value = 5
    instance.value = Watching()
    del instance.value
    assert seen == [5, None if kind == "OBJECT" else "nothing"]


def test_object_members_are_descriptors(snippet):
    cls = snippet(objects("OBJECT", "Described")).Described
    assert (cls.value.__name__, cls.value.__doc__) == ("value", "an object")
    with pytest.raises(TypeError):
        cls.value.__get__(5)


@pytest.mark.differs("0.9.0 moves the object members of a spec each time")
@pytest.mark.parametrize("kind", OBJECTS)
def test_a_spec_with_object_members_serves_again(snippet, kind):
    for _ in range(3):
        instance = snippet(objects(kind, "Again")).Again()
        instance.value = 5
        assert instance.value == 5
        assert instance.intact()
