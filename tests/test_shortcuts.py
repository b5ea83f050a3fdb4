"""Shortcuts: what a binary does itself, as the runtime would. include/hpy/shortcuts.h; in the functions' specs, `shortcut`."""

import subprocess
import sys
import sysconfig
import weakref

import pytest
from debugging import environment_with
from loading import load
from snippet import REFERENCE, compile_file, expand

# Without the GIL, other threads change the counts; debug builds count all references as well.
HAS_SHORTCUTS = (
    not sysconfig.get_config_var("Py_GIL_DISABLED")
    and not hasattr(sys, "gettotalrefcount")
    and sys.maxsize > 2**32
    and sys.byteorder == "little"
)

pytestmark = [
    pytest.mark.skipif(REFERENCE, reason="0.9.0 has none"),
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="they are about CPython's objects"),
]

# Each function gets as its first argument whether the call goes through a copy of the context: that is another one, so there are no
# shortcuts, and the table does it all.
MODULE = """
    static HPyContext copy;
    static HPyGlobal box_type;

    static HPyContext *choose(HPyContext *ctx, const HPy *args)
    {
        copy = *ctx;
        return HPy_Is(ctx, args[0], ctx->h_True) ? &copy : ctx;
    }
    #define WAY(NAME) \\
        static HPy NAME##_way(HPyContext *ctx, const HPy *args, size_t nargs); \\
        HPyDef_METH(NAME, #NAME, HPyFunc_VARARGS) \\
        static HPy NAME##_impl(HPyContext *ctx, HPy self, const HPy *args, size_t nargs) \\
        { return NAME##_way(choose(ctx, args), args, nargs); } \\
        static HPy NAME##_way(HPyContext *ctx, const HPy *args, size_t nargs)

    FUNC_NOARGS(are_in_use)
    {
        int counts = (_HPy_shortcuts.half_counts == ctx) + (_HPy_shortcuts.word_counts == ctx);
        return HPyLong_FromLong(ctx, _HPy_shortcuts.objects == ctx ? counts : -1);
    }

    EXPORT(dup_one)
    WAY(dup_one) { return HPy_Dup(ctx, args[1]); }
    EXPORT(dup_null)
    WAY(dup_null) { return HPyBool_FromBool(ctx, HPy_IsNull(HPy_Dup(ctx, HPy_NULL))); }
    EXPORT(constants)
    WAY(constants)
    {
        /* Many, so that it shows if what is immortal is counted. */
        for (int i = 0; i < 100; i++)
            HPy_Close(ctx, HPy_Dup(ctx, ctx->h_None));
        HPy_Close(ctx, HPyBool_FromBool(ctx, true));
        return HPyTuple_Pack(ctx, 3, ctx->h_None, ctx->h_True, ctx->h_ValueError);
    }
    EXPORT(close_last)
    WAY(close_last)
    {
        HPy made = HPy_Call(ctx, args[1], NULL, 0, HPy_NULL);
        if (HPy_IsNull(made))
            return HPy_NULL;
        HPy again = HPy_Dup(ctx, made);
        HPy_Close(ctx, made);
        HPy alive = HPy_Call(ctx, args[2], NULL, 0, HPy_NULL);
        HPy_Close(ctx, again);
        HPy_Close(ctx, HPy_NULL);
        return alive;
    }
    EXPORT(is_same)
    WAY(is_same) { return HPyBool_FromBool(ctx, HPy_Is(ctx, args[1], args[2])); }
    EXPORT(is_instance)
    WAY(is_instance) { return HPyBool_FromBool(ctx, HPy_TypeCheck(ctx, args[1], args[2])); }
    EXPORT(get_item)
    WAY(get_item)
    {
        HPy_ssize_t index = HPyLong_AsSsize_t(ctx, args[2]);
        return HPyErr_Occurred(ctx) ? HPy_NULL : HPy_GetItem_i(ctx, args[1], index);
    }
    EXPORT(as_double)
    WAY(as_double)
    {
        double value = HPyFloat_AsDouble(ctx, args[1]);
        return HPyErr_Occurred(ctx) ? HPy_NULL : HPyFloat_FromDouble(ctx, value);
    }
    #define INTEGER(NAME, TYPE, FUNCTION) \\
        WAY(NAME) \\
        { \\
            TYPE value = FUNCTION(ctx, args[1]); \\
            return HPyErr_Occurred(ctx) ? HPy_NULL : HPyLong_FromLongLong(ctx, value); \\
        }
    EXPORT(as_int32)
    INTEGER(as_int32, int32_t, HPyLong_AsInt32_t)
    EXPORT(as_int64)
    INTEGER(as_int64, int64_t, HPyLong_AsInt64_t)
    EXPORT(as_ssize)
    INTEGER(as_ssize, HPy_ssize_t, HPyLong_AsSsize_t)
    EXPORT(of_null)
    WAY(of_null)
    {
        long which = HPyLong_AsLong(ctx, args[1]);
        HPy dict = HPyDict_New(ctx);
        if (which == 0)
            HPyLong_AsInt32_t(ctx, HPy_NULL);
        else if (which == 1)
            HPyLong_AsInt64_t(ctx, HPy_NULL);
        else if (which == 2)
            HPyLong_AsSsize_t(ctx, HPy_NULL);
        else if (which == 3)
            HPyFloat_AsDouble(ctx, HPy_NULL);
        else
            HPy_SetItem(ctx, which == 4 ? HPy_NULL : dict, which == 5 ? HPy_NULL : args[0], which == 6 ? HPy_NULL : args[0]);
        HPy_Close(ctx, dict);
        return HPyErr_Occurred(ctx) ? HPy_NULL : HPy_Dup(ctx, ctx->h_None);
    }
    EXPORT(kinds)
    WAY(kinds)
    {
        return HPyLong_FromLong(ctx, HPyBytes_Check(ctx, args[1]) | HPyUnicode_Check(ctx, args[1]) << 1 |
                                     HPyDict_Check(ctx, args[1]) << 2 | HPyList_Check(ctx, args[1]) << 3 |
                                     HPyTuple_Check(ctx, args[1]) << 4);
    }
    EXPORT(build_list)
    WAY(build_list)
    {
        HPyListBuilder builder = HPyListBuilder_New(ctx, 2);
        HPyListBuilder_Set(ctx, builder, 0, args[2]);
        HPyListBuilder_Set(ctx, builder, 1, ctx->h_None);
        /* Out of range: nothing happens. */
        HPyListBuilder_Set(ctx, builder, 2, args[1]);
        HPyListBuilder_Set(ctx, builder, -1, args[1]);
        return HPyListBuilder_Build(ctx, builder);
    }
    EXPORT(build_tuple)
    WAY(build_tuple)
    {
        HPyTupleBuilder builder = HPyTupleBuilder_New(ctx, 2);
        HPyTupleBuilder_Set(ctx, builder, 0, args[2]);
        HPyTupleBuilder_Set(ctx, builder, 1, ctx->h_None);
        HPyTupleBuilder_Set(ctx, builder, 2, args[1]);
        HPyTupleBuilder_Set(ctx, builder, -1, args[1]);
        return HPyTupleBuilder_Build(ctx, builder);
    }
    EXPORT(parse)
    HPyDef_METH(parse, "parse", HPyFunc_KEYWORDS)
    static HPy parse_impl(HPyContext *given, HPy self, const HPy *args, size_t nargs, HPy kwnames)
    {
        static const char *names[] = { "", "first", "second", "third", NULL };
        HPyContext *ctx = choose(given, args);
        HPy way, one, two, three = ctx->h_Ellipsis;
        HPyTracker tracker;
        if (!HPyArg_ParseKeywords(ctx, &tracker, args, nargs, kwnames, "OOO|$O:parse", names, &way, &one, &two, &three))
            return HPy_NULL;
        HPy result = HPyTuple_Pack(ctx, 3, one, two, three);
        HPyTracker_Close(ctx, tracker);
        return result;
    }

    typedef struct { HPyField field; double number; } Box;
    HPyType_HELPERS(Box)
    HPyDef_SLOT(Box_new, HPy_tp_new)
    static HPy Box_new_impl(HPyContext *ctx, HPy cls, const HPy *args, HPy_ssize_t nargs, HPy kw)
    {
        Box *box;
        return HPy_New(ctx, cls, &box);
    }
    HPyDef_SLOT(Box_traverse, HPy_tp_traverse)
    static int Box_traverse_impl(void *self, HPyFunc_visitproc visit, void *arg)
    {
        HPy_VISIT(&((Box *)self)->field);
        return 0;
    }
    HPyDef_MEMBER(Box_number, "number", HPyMember_DOUBLE, offsetof(Box, number))
    static HPyDef *Box_defines[] = { &Box_new, &Box_traverse, &Box_number, NULL };
    static HPyType_Spec Box_spec = {
        .name = "mod.Box", .basicsize = sizeof(Box), .builtin_shape = SHAPE(Box),
        .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_BASETYPE | HPy_TPFLAGS_HAVE_GC, .defines = Box_defines,
    };
    HPyDef_SLOT(fill, HPy_mod_exec)
    static int fill_impl(HPyContext *ctx, HPy mod)
    {
        if (!HPyHelpers_AddType(ctx, mod, "Box", &Box_spec, NULL))
            return -1;
        HPy type = HPy_GetAttr_s(ctx, mod, "Box");
        HPyGlobal_Store(ctx, &box_type, type);
        HPy_Close(ctx, type);
        return 0;
    }
    EXPORT(type_of_box)
    WAY(type_of_box) { return HPyGlobal_Load(ctx, box_type); }
    EXPORT(store)
    WAY(store)
    {
        Box *box = Box_AsStruct(ctx, args[1]);
        box->number += 1.5;
        HPyField_Store(ctx, args[1], &box->field, nargs > 2 ? args[2] : HPy_NULL);
        return NONE;
    }
    EXPORT(fetch)
    WAY(fetch)
    {
        Box *box = Box_AsStruct(ctx, args[1]);
        return HPyField_IsNull(box->field) ? NONE : HPyField_Load(ctx, args[1], box->field);
    }
"""


@pytest.fixture(scope="module", params=["universal -O0", "universal -O2", "hybrid -O2"])
def mod(request):
    abi, optimised = request.param.split()
    return load("mod", compile_file(expand(MODULE, "mod"), "mod", abi, extra_flags=(optimised,)))


@pytest.fixture(params=[False, True], ids=["shortcut", "table"])
def way(request):
    return request.param


class Object:
    pass


def test_they_are_in_use(mod):
    assert mod.are_in_use() == (1 if HAS_SHORTCUTS else -1)


@pytest.mark.parametrize("mode", ["debug", "trace", "debug_trace"])
def test_not_in_a_mode(mode):
    path = compile_file(expand(MODULE, "mod") + f"/* {mode} */", "mod")
    assert load("mod", path, mode).are_in_use() == -1


def test_in_a_binary_that_is_imported_without_a_stub(tmp_path):
    suffix = "." + sysconfig.get_config_var("EXT_SUFFIX").rpartition(".")[2]
    (tmp_path / f"mod{suffix}").write_bytes(compile_file(expand(MODULE, "mod"), "mod").read_bytes())

    def in_use(**environment):
        return subprocess.run(
            [sys.executable, "-c", "import mod; print(mod.are_in_use(), mod.dup_one(False, 7))"],
            check=True, cwd=tmp_path, capture_output=True, encoding="utf-8",
            env=environment_with(environment),
        ).stdout

    assert in_use() == ("1 7\n" if HAS_SHORTCUTS else "-1 7\n")
    assert in_use(HPY="debug") == "-1 7\n"


def test_references(mod, way):
    value = Object()
    before = sys.getrefcount(value)
    kept = [mod.dup_one(way, value) for _ in range(10)]
    assert all(each is value for each in kept)
    assert sys.getrefcount(value) == before + 10
    del kept
    assert sys.getrefcount(value) == before
    assert mod.dup_null(way) is True


def test_constants(mod, way):
    before = [sys.getrefcount(value) for value in (None, True, ValueError)]
    for _ in range(100):
        assert mod.constants(way) == (None, True, ValueError)
    after = [sys.getrefcount(value) for value in (None, True, ValueError)]
    assert all(abs(one - other) < 50 for one, other in zip(before, after))


def test_the_last_reference(mod, way):
    made = []

    def make():
        value = Object()
        made.append(weakref.ref(value))
        return value

    assert mod.close_last(way, make, lambda: made[0]() is not None) is True
    assert made[0]() is None


def test_identity(mod, way):
    for value in (None, 0, 10**20, "text", Object()):
        assert mod.is_same(way, value, value)
        assert not mod.is_same(way, value, Object())


def test_types(mod, way):
    for value in (True, 1, 1.5, "text", b"", [], (), {}, int, Object()):
        for kind in (int, bool, float, str, object, type, Object):
            assert mod.is_instance(way, value, kind) is isinstance(value, kind)


class List(list):
    def __getitem__(self, index):
        return "overridden"


class Tuple(tuple):
    pass


ITEMS = ["one", 10**20, None]


@pytest.mark.parametrize("index", [-4, -3, -1, 0, 1, 2, 3, sys.maxsize, -sys.maxsize - 1])
def test_items(mod, way, index):
    def outcome(function):
        try:
            return function()
        except Exception as error:
            return type(error)

    for container in (ITEMS, tuple(ITEMS), List(ITEMS), Tuple(ITEMS), {0: "zero", 3: "three"}, "one", None):
        assert outcome(lambda: mod.get_item(way, container, index)) == outcome(lambda: container[index])


def test_items_are_counted(mod, way):
    value = Object()
    for container in ([value], (value,)):
        before = sys.getrefcount(value)
        kept = [mod.get_item(way, container, 0) for _ in range(10)]
        assert sys.getrefcount(value) == before + 10
        del kept
    with pytest.raises(IndexError):
        mod.get_item(way, [], 0)
    with pytest.raises(IndexError):
        mod.get_item(way, (), 0)


class Int(int):
    pass


class Index:
    def __index__(self):
        return 77


DIGIT = 1 << sys.int_info.bits_per_digit
INTS = [0, 1, -1, 255, -256, 257, DIGIT - 1, 1 - DIGIT, DIGIT, -DIGIT, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**63, 2**200]


@pytest.mark.parametrize("bits, name", [(32, "as_int32"), (64, "as_int64"), (64, "as_ssize")])
def test_ints(mod, way, bits, name):
    function = getattr(mod, name)
    for value in INTS:
        for given in (value, Int(value)):
            if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
                assert function(way, given) == value
            else:
                with pytest.raises(OverflowError):
                    function(way, given)


def test_what_is_no_int(mod, way):
    assert mod.as_int64(way, True) == 1
    assert mod.as_int64(way, False) == 0
    assert mod.as_int64(way, Index()) == 77
    # 3.9 takes the int() of a float.
    for value in ("1", None, b"1"):
        with pytest.raises(TypeError):
            mod.as_int64(way, value)


class Float(float):
    pass


def test_floats(mod, way):
    for value in (0.0, -0.0, 1.5, -1.0, 1e308, float("inf"), 7, 10**20, True, Float(2.5)):
        assert repr(mod.as_double(way, value)) == repr(float(value))


def test_what_is_no_float(mod, way):
    for value in ("1.5", None, 1j):
        with pytest.raises(TypeError):
            mod.as_double(way, value)


def test_what_raises_for_null_still_does(mod, way):
    for which in range(7):
        # 3.9 takes null for no real number.
        with pytest.raises((SystemError, TypeError)):
            mod.of_null(way, which)
    assert mod.of_null(way, 7) is None


class Str(str):
    pass


class Bytes(bytes):
    pass


class Dict(dict):
    pass


def test_kinds(mod, way):
    for value in (b"", Bytes(), "", Str(), {}, Dict(), [], List(), (), Tuple(), None, 1, 1.5, bytearray(), set(), Object(), list):
        kinds = [isinstance(value, kind) for kind in (bytes, str, dict, list, tuple)]
        assert mod.kinds(way, value) == sum(is_one << bit for bit, is_one in enumerate(kinds))


@pytest.mark.parametrize("kind", [list, tuple])
def test_builders(mod, way, kind):
    build = getattr(mod, f"build_{kind.__name__}")
    first, second = Object(), Object()
    before = sys.getrefcount(first), sys.getrefcount(second)
    built = build(way, first, second)
    assert type(built) is kind
    assert built == kind([second, None])
    assert (sys.getrefcount(first), sys.getrefcount(second)) == (before[0], before[1] + 1)
    del built
    assert sys.getrefcount(second) == before[1]
    # The second one's only reference is the one in the builder.
    assert type(build(way, first, Object())[0]) is Object


def test_fields_and_structs(mod, way):
    box = mod.type_of_box(way)()
    first, second = Object(), Object()
    before = sys.getrefcount(first), sys.getrefcount(second)
    assert mod.fetch(way, box) is None
    mod.store(way, box, first)
    assert mod.fetch(way, box) is first
    mod.store(way, box, first)
    assert (sys.getrefcount(first), sys.getrefcount(second)) == (before[0] + 1, before[1])
    mod.store(way, box, second)
    assert mod.fetch(way, box) is second
    assert (sys.getrefcount(first), sys.getrefcount(second)) == (before[0], before[1] + 1)
    mod.store(way, box)
    assert mod.fetch(way, box) is None
    assert (sys.getrefcount(first), sys.getrefcount(second)) == before
    for value in (None, True, None, first):
        mod.store(way, box, value)
        assert mod.fetch(way, box) is value
    del value
    assert box.number == 1.5 * 8
    assert sys.getrefcount(first) == before[0] + 1
    del box
    assert sys.getrefcount(first) == before[0]


def test_a_field_lets_go_of_the_last_reference(mod, way):
    box = mod.Box()
    mod.store(way, box, Object())
    gone = weakref.ref(mod.fetch(way, box))
    looked = []
    # What it finds in the field is the new value.
    weakref.finalize(gone(), lambda: looked.append(mod.fetch(way, box)))
    mod.store(way, box, "new")
    assert gone() is None
    assert looked == ["new"]


def test_a_global(mod, way):
    before = sys.getrefcount(mod.Box)
    kept = [mod.type_of_box(way) for _ in range(10)]
    after = sys.getrefcount(mod.Box)
    assert after == before + 10
    assert kept == [mod.Box] * 10


def test_keyword_arguments(mod, way):
    one, two, three = Object(), Object(), Object()
    before = [sys.getrefcount(value) for value in (one, two, three)]
    everything = (one, two, three)
    for _ in range(10):
        assert mod.parse(way, one, two) == (one, two, ...)
        assert mod.parse(way, one, second=two) == (one, two, ...)
        assert mod.parse(way, first=one, second=two, third=three) == everything
        assert mod.parse(way, third=three, second=two, first=one) == everything
        # Names that no parameter has are ignored.
        assert mod.parse(way, one, two, ünknown=1, third=three, other=2, thir=3, thirdly=4) == everything
        assert mod.parse(way, one, two, **{"": 1, "third\0": 2, "\ud800": 3}, third=three) == everything
        for wrong in ({}, {"second": two}, {"first": one}, {"first": one, "seconds": two}):
            with pytest.raises(TypeError, match=r"parse\(\) no value for required argument"):
                mod.parse(way, **wrong)
        with pytest.raises(TypeError, match="keyword only"):
            mod.parse(way, one, two, three)
    del everything, wrong
    assert [sys.getrefcount(value) for value in (one, two, three)] == before


# A runtime that knows less, or more.
SIZES = """
    FUNC_O(tell)
    {
        HPy_ssize_t size = HPyLong_AsSsize_t(ctx, arg);
        _HPyShortcuts told[2];
        memcpy(&told[0], &_HPy_shortcuts, sizeof(_HPyShortcuts));
        memset(&told[1], 0xff, sizeof(_HPyShortcuts));
        told[0].size = (uint32_t)size;
        memset(&_HPy_shortcuts, 0, sizeof(_HPyShortcuts));
        HPyInitShortcuts_mod(told);
        return HPyLong_FromLong(ctx, (_HPy_shortcuts.objects != NULL) + (_HPy_shortcuts.track != NULL)
                                       + (_HPy_shortcuts.parse_objects != NULL));
    }
    FUNC_KEYWORDS(parse)
    {
        static const char *names[] = { "first", "second", NULL };
        HPy one, two;
        HPyTracker tracker;
        if (!HPyArg_ParseKeywords(ctx, &tracker, args, nargs, kwnames, "OO", names, &one, &two))
            return HPy_NULL;
        HPy result = HPyTuple_Pack(ctx, 2, one, two);
        HPyTracker_Close(ctx, tracker);
        return result;
    }
    FUNC_NOARGS(size) { return HPyLong_FromLong(ctx, sizeof(_HPyShortcuts)); }
    FUNC_NOARGS(size_of_pointer) { return HPyLong_FromLong(ctx, sizeof(void *)); }
"""


@pytest.mark.skipif(not HAS_SHORTCUTS, reason="there are none")
def test_runtimes_of_other_releases():
    source = expand(SIZES, "mod").replace("#include <hpy.h>\n", "#include <hpy.h>\nvoid HPyInitShortcuts_mod(const _HPyShortcuts *);\n")
    mod = load("mod", compile_file(source, "mod"))
    size = mod.size()
    assert mod.tell(size + 16) == 3
    assert mod.parse(1, second=2) == (1, 2)
    for missing in (1, 2):
        assert mod.tell(size - missing * mod.size_of_pointer()) == 3 - missing
        assert mod.parse(1, second=2) == (1, 2)
    assert mod.tell(0) == 0
    assert mod.parse(1, second=2) == (1, 2)


def test_a_binary_from_before_has_none(tmp_path):
    """One whose entry ends where the runtime looks for them."""
    shorter = "#define sizeof(type) offsetof(type, set_shortcuts)\n"
    source = expand(MODULE, "mod").replace("HPy_MODINIT(", shorter + "HPy_MODINIT(")
    suffix = "." + sysconfig.get_config_var("EXT_SUFFIX").rpartition(".")[2]
    (tmp_path / f"mod{suffix}").write_bytes(compile_file(source, "mod").read_bytes())
    code = "import mod; print(mod.are_in_use(), mod.dup_one(False, 7), mod.parse(False, 1, second=2))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, encoding="utf-8",
        env=environment_with({}),
    )
    assert (run.stdout, run.returncode) == ("-1 7 (1, 2, Ellipsis)\n", 0), run.stderr
