"""New exception classes: HPyErr_NewException and HPyErr_NewExceptionWithDoc in spec/functions/error.toml."""

import gc
import sys
import weakref

import pytest


class Custom(Exception):
    pass


NEW = """
    static HPy optional(HPyContext *ctx, HPy h) { return HPy_Is(ctx, h, ctx->h_None) ? HPy_NULL : h; }

    FUNC_VARARGS(new)
    {
        const char *name = HPyBytes_AsString(ctx, args[0]);
        return HPyErr_NewException(ctx, name, optional(ctx, args[1]), optional(ctx, args[2]));
    }
    FUNC_VARARGS(with_doc)
    {
        const char *name = HPyBytes_AsString(ctx, args[0]);
        const char *doc = HPy_Is(ctx, args[3], ctx->h_None) ? NULL : HPyBytes_AsString(ctx, args[3]);
        return HPyErr_NewExceptionWithDoc(ctx, name, doc, optional(ctx, args[1]), optional(ctx, args[2]));
    }

    FUNC_NOARGS(new_then_overwrite)
    {
        char name[] = "m.Before";
        HPy result = HPyErr_NewException(ctx, name, HPy_NULL, HPy_NULL);
        memset(name, 'x', sizeof(name));
        return result;
    }
    FUNC_NOARGS(with_doc_then_overwrite)
    {
        char name[] = "m.Before", doc[] = "before";
        HPy result = HPyErr_NewExceptionWithDoc(ctx, name, doc, HPy_NULL, HPy_NULL);
        memset(name, 'x', sizeof(name));
        memset(doc, 'x', sizeof(doc));
        return result;
    }
"""


@pytest.fixture(params=["new", "with_doc without one", "with_doc"])
def new(request, snippet):
    mod = snippet(NEW)
    if request.param == "new":
        return mod.new
    doc = b"Says why." if request.param == "with_doc" else None
    return lambda name, base, attributes: mod.with_doc(name, base, attributes, doc)


def test_new_exception_is_named_after_the_last_dot(new):
    cls = new(b"package.module.Grund", None, None)
    assert (cls.__module__, cls.__name__, cls.__qualname__) == ("package.module", "Grund", "Grund")
    assert cls.__bases__ == (Exception,)
    assert cls("why").args == ("why",)


def test_new_exception_takes_one_base_or_several(new):
    assert new(b"m.E", KeyError, None).__bases__ == (KeyError,)
    assert new(b"m.E", (Custom, OSError), None).__bases__ == (Custom, OSError)


def test_new_exception_gets_the_attributes_of_the_dict(new):
    attributes = {"code": 42, "method": lambda self: self.args}
    cls = new(b"m.E", None, attributes)
    assert cls.code == 42
    assert cls(1, 2).method() == (1, 2)
    assert attributes["__module__"] == "m"
    cls.code = 43
    assert attributes["code"] == 42


def test_new_exception_keeps_the_module_of_the_dict(new):
    attributes = {"__module__": "elsewhere"}
    assert new(b"m.E", None, attributes).__module__ == "elsewhere"
    assert attributes["__module__"] == "elsewhere"


def test_new_exception_need_not_be_an_exception(new):
    cls = new(b"m.Number", int, None)
    assert cls.__mro__ == (cls, int, object)


@pytest.mark.parametrize(
    "name, base, error",
    [
        (b"without_a_dot", None, SystemError),
        (b"", None, SystemError),
        (b"m.E", 42, TypeError),
        (b"m.E", bool, TypeError),
        (b"m.E", (Exception, "text"), TypeError),
        (b"m.\xff", None, UnicodeDecodeError),
        (b"\xff.E", None, UnicodeDecodeError),
    ],
)
@pytest.mark.misuse("no UTF-8")
def test_new_exception_refuses_bad_names_and_bases(new, name, base, error):
    with pytest.raises(error):
        new(name, base, None)


@pytest.mark.frees_classes
def test_new_exception_belongs_to_the_caller(new):
    mark = object()
    attributes = {"mark": mark}
    before = sys.getrefcount(mark)
    cls = new(b"m.E", None, attributes)
    reference = weakref.ref(cls)
    del cls
    gc.collect()
    assert reference() is None
    assert sys.getrefcount(mark) == before


@pytest.mark.misuse("no UTF-8")
def test_docstring_of_a_new_exception(snippet):
    mod = snippet(NEW)
    assert mod.new(b"m.E", None, None).__doc__ is None
    assert mod.with_doc(b"m.E", None, None, None).__doc__ is None
    assert mod.with_doc(b"m.E", None, None, "Grund: Kälte".encode()).__doc__ == "Grund: Kälte"
    attributes = {"__doc__": "old", "code": 42}
    cls = mod.with_doc(b"m.E", KeyError, attributes, b"new")
    assert (cls.__doc__, cls.code, cls.__bases__) == ("new", 42, (KeyError,))
    assert attributes["__doc__"] == "new"
    assert mod.with_doc(b"m.E", None, {"__doc__": "old"}, None).__doc__ == "old"
    with pytest.raises(UnicodeDecodeError):
        mod.with_doc(b"m.E", None, None, b"\xff")


def test_texts_of_a_new_exception_are_copied(snippet):
    mod = snippet(NEW)
    plain, documented = mod.new_then_overwrite(), mod.with_doc_then_overwrite()
    for cls in (plain, documented):
        assert (cls.__module__, cls.__name__, cls.__qualname__) == ("m", "Before", "Before")
    assert (plain.__doc__, documented.__doc__) == (None, "before")
