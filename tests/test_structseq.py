"""Struct sequences: HPyStructSequence_NewType and HPyStructSequence_New (include/hpy/runtime/structseq.h)."""

import sys

import pytest
from raising import failure

STRUCTSEQ = """
    static const char *text_of(HPyContext *ctx, HPy h)
    {
        return HPy_Is(ctx, h, ctx->h_None) ? NULL : HPyBytes_AsString(ctx, h);
    }
    static HPy_ssize_t unpack(HPyContext *ctx, HPy tuple, HPy *items)
    {
        HPy_ssize_t n = HPy_Length(ctx, tuple);
        for (HPy_ssize_t i = 0; i < n; i++)
            items[i] = HPy_GetItem_i(ctx, tuple, i);
        return n;
    }
    static void close_all(HPyContext *ctx, HPy *items, HPy_ssize_t n)
    {
        while (n > 0)
            HPy_Close(ctx, items[--n]);
    }
    #define MOST 40

    /* new_type(name, doc, names of fields), where the name None is that of an unnamed field */
    FUNC_VARARGS(new_type)
    {
        HPy names[MOST], result;
        HPy_ssize_t n = unpack(ctx, args[2], names);
        HPyStructSequence_Field fields[MOST + 1] = { { NULL, NULL } };
        HPyStructSequence_Desc desc = { text_of(ctx, args[0]), text_of(ctx, args[1]), fields };
        for (HPy_ssize_t i = 0; i < n; i++) {
            const char *name = text_of(ctx, names[i]);
            fields[i].name = name ? name : HPyStructSequence_UnnamedField;
            fields[i].doc = i % 2 ? "a field" : NULL;
        }
        result = HPyStructSequence_NewType(ctx, &desc);
        close_all(ctx, names, n);
        return result;
    }

    /* new(type, items) */
    FUNC_VARARGS(new)
    {
        HPy items[MOST], result;
        HPy_ssize_t n = unpack(ctx, args[1], items);
        result = HPyStructSequence_New(ctx, args[0], n, n ? items : NULL);
        close_all(ctx, items, n);
        return result;
    }
    FUNC_O(new_with_negative_count)
    {
        HPy items[] = { arg };
        return HPyStructSequence_New(ctx, arg, -1, items);
    }
"""


@pytest.fixture
def mod(snippet):
    return snippet(STRUCTSEQ)


@pytest.fixture
def new_type(mod):
    """new_type("module.Name", "field", None, ..., doc="text"): a type; None is an unnamed field."""

    def new_type(name, *fields, doc=None):
        return mod.new_type(*(it if it is None else it.encode() for it in (name, doc)), tuple(
            it if it is None else it.encode() for it in fields))  # fmt: skip

    return new_type


def test_type_has_its_name_and_module(new_type):
    for full_name, module, name in (
        ("mytest.Point", "mytest", "Point"),
        ("my.own.test.Point", "my.own.test", "Point"),
        ("größe.Länge", "größe", "Länge"),
        (".Point", "", "Point"),
    ):
        made = new_type(full_name, "x", "y")
        assert (made.__module__, made.__name__, made.__qualname__) == (module, name, name)
    assert new_type("Point", "x").__name__ == "Point"
    assert new_type("Point", "x").__qualname__ == "Point"


def test_type_has_its_docstring_or_none(new_type):
    assert new_type("mytest.Point", "x", doc="a größe\nof two lines").__doc__ == "a größe\nof two lines"
    assert new_type("mytest.Point", "x", doc="").__doc__ == ""
    assert new_type("mytest.Point", "x").__doc__ is None


@pytest.mark.differs("0.9.0 makes a type of CPython's own kind in the CPython ABI only", abis=["cpython"])
def test_type_is_a_tuple_that_knows_its_fields(new_type):
    made = new_type("mytest.Point", "x", "y", "größe")
    assert isinstance(made, type) and issubclass(made, tuple)
    assert made.n_fields == 3
    assert made._fields == ("x", "y", "größe")
    assert new_type("mytest.Empty").n_fields == 0


def test_each_call_makes_a_type_of_its_own(new_type):
    assert new_type("mytest.Point", "x") is not new_type("mytest.Point", "x")


def test_instance_has_items_by_index_and_by_name(mod, new_type):
    made = new_type("mytest.Point", "x", "y")
    items = [object(), object()]
    point = mod.new(made, tuple(items))
    assert type(point) is made
    assert point == tuple(items)
    assert point.x is point[0] is items[0]
    assert point.y is point[1] is items[1]
    with pytest.raises(AttributeError):
        point.x = 1


def test_many_fields(mod, new_type):
    made = new_type("mytest.Many", *(f"field{i}" for i in range(40)))
    assert made.n_fields == 40
    many = mod.new(made, tuple(range(40)))
    assert [getattr(many, f"field{i}") for i in range(40)] == list(range(40))


def test_no_fields(mod, new_type):
    made = new_type("mytest.Empty")
    assert mod.new(made, ()) == ()
    assert type(mod.new(made, ())) is made


@pytest.mark.differs("0.9.0 makes a type of CPython's own kind in the CPython ABI only", abis=["cpython"])
def test_unnamed_field_is_reached_by_index(mod, new_type):
    made = new_type("mytest.Point", "x", None, "z", None)
    assert made.n_fields == 4
    point = mod.new(made, (1, 2, 3, 4))
    assert point == (1, 2, 3, 4)
    assert (point.x, point.z) == (1, 3)
    assert made._fields == ("x", "_1", "z", "_3")


@pytest.mark.differs("0.9.0: it is no constant")
def test_unnamed_field_in_a_static_description(snippet):
    mod = snippet("""
        static HPyStructSequence_Field fields[] = {
            { HPyStructSequence_UnnamedField, NULL }, { .name = "x" }, { NULL, NULL }
        };
        static HPyStructSequence_Desc desc = { .name = "mytest.Point", .fields = fields };
        FUNC_NOARGS(f) { return HPyStructSequence_NewType(ctx, &desc); }
    """)
    assert mod.f()._fields == ("_0", "x")


@pytest.mark.differs("0.9.0 makes a type of CPython's own kind in the CPython ABI only", abis=["cpython"])
def test_names_that_python_has_not_are_replaced(mod, new_type):
    made = new_type("mytest.Point", "class", "x", "x", "1st", "", "_hidden", "a b")
    assert made._fields == ("_0", "x", "_2", "_3", "_4", "_5", "_6")
    assert mod.new(made, tuple(range(7))) == tuple(range(7))


@pytest.mark.differs("0.9.0 makes a type of CPython's own kind in the CPython ABI only", abis=["cpython"])
def test_missing_items_are_none(mod, new_type):
    made = new_type("mytest.Point", "x", None, "z")
    assert mod.new(made, ()) == (None, None, None)
    assert mod.new(made, (1, 2)) == (1, 2, None)


def test_too_many_items(mod, new_type):
    with pytest.raises(TypeError):
        mod.new(new_type("mytest.Point", "x", "y"), (1, 2, 3))
    with pytest.raises(TypeError):
        mod.new(new_type("mytest.Empty"), (1,))


@pytest.mark.differs("0.9.0 makes a type of CPython's own kind in the CPython ABI only", abis=["cpython"])
@pytest.mark.misuse("a negative size, or no UTF-8")
def test_negative_number_of_items(mod, new_type):
    with pytest.raises(SystemError):
        mod.new_with_negative_count(new_type("mytest.Point", "x"))


@pytest.mark.differs("0.9.0 makes a type of CPython's own kind in the CPython ABI only", abis=["cpython"])
def test_type_that_is_no_struct_sequence(mod):
    for other in (str, tuple, type("Other", (), {})):
        expected = (TypeError, f"object '{other!r}' does not look like a struct sequence type ")
        assert failure(mod.new, other, (1,)) == expected
        assert failure(mod.new, other, ()) == expected


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_looking_for_the_fields_leaves_no_exception(mod):
    class Meta(type):
        def __getattr__(cls, name):
            raise ZeroDivisionError

    class Other(metaclass=Meta):
        pass

    assert failure(mod.new, Other, ())[0] is TypeError


def test_description_without_a_name(new_type):
    expected = (SystemError, "Struct sequence descriptor does not define the name field.")
    assert failure(new_type, None, "x") == expected
    assert failure(new_type, None) == expected


@pytest.mark.differs("0.9.0: crashes")
def test_no_description_and_no_fields(snippet):
    mod = snippet("""
        FUNC_NOARGS(no_desc) { return HPyStructSequence_NewType(ctx, NULL); }
        FUNC_NOARGS(no_fields)
        {
            HPyStructSequence_Desc desc = { .name = "mytest.Point" };
            return HPyStructSequence_NewType(ctx, &desc);
        }
    """)
    assert failure(mod.no_desc)[0] is SystemError
    assert failure(mod.no_fields)[0] is SystemError


@pytest.mark.parametrize(
    "name, doc, fields",
    [
        (b"mytest.\xff", None, (b"x",)),
        (b"\xff.Point", None, (b"x",)),
        (b"mytest.Point", b"\xff", (b"x",)),
        (b"mytest.Point", None, (b"x", b"\xff")),
        (b"mytest.Point", None, (b"\xed\xa0\x80", b"x")),
    ],
)
@pytest.mark.misuse("a negative size, or no UTF-8")
def test_description_that_is_not_utf8(mod, name, doc, fields):
    with pytest.raises(UnicodeDecodeError):
        mod.new_type(name, doc, fields)


def test_items_and_types_are_not_kept(mod, new_type):
    made = new_type("mytest.Point", "x", "y")
    items = [object(), object(), object()]
    calls = [tuple(items[:2]), tuple(items[2:]), (), tuple(items)]
    before = [sys.getrefcount(it) for it in (*items, made)]
    for args in calls * 50:
        try:
            mod.new(made, args)
        except TypeError:
            pass
    args = None
    assert [sys.getrefcount(it) for it in (*items, made)] == before


@pytest.mark.frees_classes
def test_types_end_with_their_last_reference(new_type):
    import gc
    import weakref

    types = [weakref.ref(new_type("mytest.Point", "x", None, "y", doc="text")) for _ in range(5)]
    gc.collect()
    assert [ref() for ref in types] == [None] * 5
