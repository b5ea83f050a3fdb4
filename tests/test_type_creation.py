"""Making types: HPyType_FromSpec and HPyHelpers_AddType with specs in order."""

import gc
import inspect
import sys
import weakref

import pytest
from type_snippets import BASETYPE, DEFAULT, method, slot, spec_source, type_source

TYPES = (
    type_source("Plain", "")
    + type_source("Final", "", flags=DEFAULT)
    + type_source("Documented", "", doc=r'"What it is.\n\nAnd more, gr\xc3\xb6\xc3\x9f""er."')
    + type_source("Signed", "", doc=r'"Signed(a, b=3)\n--\n\nText."')
    + type_source("Nested", "", name='"some.package.Nested"')
    + type_source("Foreign", "", name=r'"mod.gr\xc3\xb6\xc3\x9f""er"')
    + type_source("Empty", "", defines="(HPyDef *[]){ NULL }")
    + type_source("Alias", "", name='"mod.Other"')
    + type_source("Made", "long value;", method("get", "return NONE;", prefix="Made_"), make=True)
)


@pytest.fixture
def mod(snippet):
    return snippet(TYPES)


def test_a_type_is_a_subclass_of_object(mod):
    assert type(mod.Plain) is type
    assert mod.Plain.__mro__ == (mod.Plain, object)
    assert mod.Plain.__bases__ == (object,)
    assert type(mod.Plain()) is mod.Plain


def test_names(mod):
    assert (mod.Plain.__name__, mod.Plain.__qualname__, mod.Plain.__module__) == ("Plain", "Plain", "mod")
    assert (mod.Nested.__name__, mod.Nested.__module__) == ("Nested", "some.package")
    assert mod.Foreign.__name__ == "größer"
    assert mod.Alias.__name__ == "Other"
    assert repr(mod.Nested) == "<class 'some.package.Nested'>"
    assert "mod.Plain object" in repr(mod.Plain())


@pytest.mark.filterwarnings("ignore:builtin type Nowhere has no __module__ attribute:DeprecationWarning")
def test_a_name_without_a_dot_is_as_good(snippet):
    number = slot("nb_int", "return HPyLong_FromLong(ctx, 7);")
    mod = snippet(type_source("Nowhere", "long value;", number, name='"Nowhere"'))
    assert mod.Nowhere.__name__ == "Nowhere"
    assert int(mod.Nowhere()) == 7


def test_docs(mod):
    assert mod.Documented.__doc__ == "What it is.\n\nAnd more, größer."
    assert mod.Plain.__doc__ is None


def test_a_doc_can_begin_with_a_signature(mod):
    assert mod.Signed.__doc__ == "Text."
    # Up to Python 3.9 that of a heap type is cut off and forgotten.
    if sys.version_info >= (3, 10):
        assert mod.Signed.__text_signature__ == "(a, b=3)"
        assert str(inspect.signature(mod.Signed)) == "(a, b=3)"


def test_basetype_allows_subclasses(mod):
    class Sub(mod.Plain):
        pass

    assert isinstance(Sub(), mod.Plain)
    with pytest.raises(TypeError):
        type("Sub", (mod.Final,), {})


def test_an_empty_list_of_definitions(mod):
    assert type(mod.Empty()) is mod.Empty


def test_instances_without_a_struct_are_as_small_as_objects(mod):
    assert mod.Plain.__basicsize__ == object.__basicsize__
    assert mod.Plain.__itemsize__ == 0


def test_arguments_are_refused_without_new_and_init(mod):
    for make in (lambda: mod.Plain(1), lambda: mod.Plain(a=1)):
        with pytest.raises(TypeError):
            make()


def test_instances_have_no_dict_and_no_weak_references(mod):
    with pytest.raises(AttributeError):
        mod.Plain().attribute = 1
    with pytest.raises(TypeError):
        weakref.ref(mod.Plain())


def test_attributes_of_a_type_can_be_set(mod):
    cls = mod.make_Made()
    cls.attribute = 5
    assert cls().attribute == 5
    del cls.attribute
    assert not hasattr(cls, "attribute")


def test_each_call_makes_another_type(mod):
    first, second = mod.make_Made(), mod.make_Made()
    assert first is not second
    assert not issubclass(first, second)
    first.only_here = 1
    assert not hasattr(second, "only_here")
    assert (first().get(), second().get()) == (None, None)


@pytest.mark.frees_classes
def test_a_type_that_nobody_needs_goes(mod):
    cls = mod.make_Made()
    instance = cls()
    alive = weakref.ref(cls)
    del cls
    gc.collect()
    assert alive() is type(instance)
    del instance
    gc.collect()
    assert alive() is None


def test_an_instance_holds_its_type(mod):
    cls = mod.make_Made()
    before = sys.getrefcount(cls)
    instances = [cls() for _ in range(50)]
    assert sys.getrefcount(cls) == before + 50
    del instances
    assert sys.getrefcount(cls) == before


def test_the_spec_can_be_on_the_stack(snippet):
    mod = snippet(
        method("get", "return HPyLong_FromLong(ctx, 3);")
        + """
        static HPyDef *defines[] = { &method_get, NULL };
        FUNC_NOARGS(make)
        {
            HPyType_Spec spec = {
                .name = "mod.Stack", .basicsize = 8, .flags = HPy_TPFLAGS_DEFAULT, .defines = defines,
            };
            HPyType_SpecParam params[] = {
                { HPyType_SpecParam_Base, ctx->h_BaseObjectType },
                { (HPyType_SpecParam_Kind)0, HPy_NULL },
            };
            HPy type = HPyType_FromSpec(ctx, &spec, params);
            memset(&spec, 0x55, sizeof(spec));
            memset(params, 0x55, sizeof(params));
            return type;
        }
        """
    )
    cls = mod.make()
    assert (cls.__name__, cls().get()) == ("Stack", 3)


def test_the_spec_can_be_read_only(snippet):
    mod = snippet(
        slot("tp_call", "return HPyLong_FromLong(ctx, 3);")
        + """
        static HPyDef *const defines[] = { &tp_call, NULL };
        static const HPyType_Spec spec = {
            .name = "mod.Constant", .basicsize = 8, .flags = HPy_TPFLAGS_DEFAULT, .defines = (HPyDef **)defines
        };
        FUNC_NOARGS(make) { return HPyType_FromSpec(ctx, (HPyType_Spec *)&spec, NULL); }
        """
    )
    assert mod.make()()() == 3


def test_params_may_hold_nothing(snippet):
    mod = snippet(
        spec_source("T")
        + """
        FUNC_NOARGS(make)
        {
            HPyType_SpecParam params[] = { { (HPyType_SpecParam_Kind)0, HPy_NULL } };
            return HPyType_FromSpec(ctx, &T_spec, params);
        }
        """
    )
    assert mod.make().__mro__[1:] == (object,)


ADD = spec_source("T", flags=BASETYPE) + """
    FUNC_O(add)
    {
        int result = HPyHelpers_AddType(ctx, arg, "T", &T_spec, NULL);
        return HPyErr_Occurred(ctx) ? HPy_NULL : HPyLong_FromLong(ctx, result);
    }
    static HPyType_Spec Bad_spec = { .name = "mod.Bad", .flags = HPy_TPFLAGS_HAVE_GC };
    FUNC_O(add_bad)
    {
        int result = HPyHelpers_AddType(ctx, arg, "Bad", &Bad_spec, NULL);
        return HPyErr_Occurred(ctx) ? HPy_NULL : HPyLong_FromLong(ctx, result);
    }
    FUNC_O(add_unseen)
    {
        int result = HPyHelpers_AddType(ctx, arg, "T", &T_spec, NULL);
        HPyErr_Clear(ctx);
        return HPyLong_FromLong(ctx, result);
    }
    FUNC_VARARGS(add_derived)
    {
        HPyType_SpecParam params[] = {
            { HPyType_SpecParam_Base, args[1] },
            { (HPyType_SpecParam_Kind)0, HPy_NULL },
        };
        return NULL_IF(!HPyHelpers_AddType(ctx, args[0], "Derived", &T_spec, params));
    }
"""


class Target:
    pass


class Refusing:
    def __setattr__(self, name, value):
        raise LookupError(name)


def test_add_type_sets_the_attribute(snippet):
    mod, target = snippet(ADD), Target()
    assert mod.add(target) == 1
    assert target.T.__name__ == "T"
    assert mod.add(mod) == 1
    assert mod.T is not target.T


def test_add_type_fails_like_the_assignment(snippet):
    mod = snippet(ADD)
    with pytest.raises(LookupError, match="T"):
        mod.add(Refusing())
    assert mod.add_unseen(Refusing()) == 0
    assert mod.add_unseen(3) == 0


def test_add_type_fails_like_the_spec(snippet):
    mod, target = snippet(ADD), Target()
    with pytest.raises(ValueError, match="HPy_TPFLAGS_HAVE_GC"):
        mod.add_bad(target)
    assert not vars(target)


def test_add_type_passes_parameters_on(snippet):
    mod, target = snippet(ADD), Target()
    mod.add(target)
    mod.add_derived(target, target.T)
    assert target.Derived.__bases__ == (target.T,)


def test_add_type_leaves_the_only_reference_to_the_attribute(snippet):
    mod, target = snippet(ADD), Target()
    mod.add(target)
    alive = weakref.ref(target.T)
    del target.T
    gc.collect()
    assert alive() is None


@pytest.mark.frees_classes
def test_a_failed_add_leaves_nothing(snippet):
    mod = snippet(ADD)

    def types():
        gc.collect()
        return sum(cls.__module__ == "mod" for cls in object.__subclasses__())

    before = types()
    for _ in range(20):
        assert mod.add_unseen(Refusing()) == 0
    assert types() == before
