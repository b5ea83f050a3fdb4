"""Attributes: spec/functions/attribute.toml."""

import sys

import pytest

# Names of the `_s` functions are given as bytes.
SNIPPET = """
    FUNC_VARARGS(get) { return HPy_GetAttr(ctx, args[0], args[1]); }

    FUNC_VARARGS(get_s) { return HPy_GetAttr_s(ctx, args[0], HPyBytes_AsString(ctx, args[1])); }

    FUNC_VARARGS(has) { return HPyLong_FromInt32_t(ctx, HPy_HasAttr(ctx, args[0], args[1])); }

    FUNC_VARARGS(has_s) {
        return HPyLong_FromInt32_t(ctx, HPy_HasAttr_s(ctx, args[0], HPyBytes_AsString(ctx, args[1])));
    }

    static HPy result_of(HPyContext *ctx, int result) {
        return result == -1 ? HPy_NULL : HPyLong_FromInt32_t(ctx, result);
    }

    FUNC_VARARGS(set) { return result_of(ctx, HPy_SetAttr(ctx, args[0], args[1], args[2])); }

    FUNC_VARARGS(set_s) {
        return result_of(ctx, HPy_SetAttr_s(ctx, args[0], HPyBytes_AsString(ctx, args[1]), args[2]));
    }

    FUNC_VARARGS(set_null) { return result_of(ctx, HPy_SetAttr(ctx, args[0], args[1], HPy_NULL)); }

    FUNC_VARARGS(set_null_s) {
        return result_of(ctx, HPy_SetAttr_s(ctx, args[0], HPyBytes_AsString(ctx, args[1]), HPy_NULL));
    }

    /* The name's memory is reused as soon as the call is over. */
    FUNC_VARARGS(set_from_reused_memory) {
        char name[] = "first";
        int result = HPy_SetAttr_s(ctx, args[0], name, args[1]);
        strcpy(name, "other");
        return result_of(ctx, result);
    }
"""

NAMES = ["plain", "gr\xfc\xdfe", "\u043a\u043b\u044e\u0447", "\U0001f40d", "", "with space"]


class Thing:
    pass


class Watched:
    """Writes down how it is used; `broken` fails and everything else is there."""

    def __init__(self):
        object.__setattr__(self, "log", [])

    def check(self, *event):
        self.log.append(event)
        if event[1] == "broken":
            raise ZeroDivisionError("broken")

    def __getattr__(self, name):
        self.check("get", name)
        return name.upper()

    def __setattr__(self, name, value):
        self.check("set", name, value)

    def __delattr__(self, name):
        self.check("delete", name)


class Guarded:
    """With a read-only attribute, one that fails, and no place for others."""

    __slots__ = ()
    fixed = property(lambda self: 42)

    @property
    def failing(self):
        raise ZeroDivisionError("get")

    @failing.setter
    def failing(self, value):
        raise ZeroDivisionError("set")

    @failing.deleter
    def failing(self):
        raise ZeroDivisionError("delete")


class Str(str):
    """A str that hides behind another text."""

    def __str__(self):
        return "other"

    __repr__ = __str__


@pytest.fixture(params=["str", "utf8"])
def mod(request, snippet):
    """The functions for one of the two kinds of names; Python code gives a str to both."""
    module = snippet(SNIPPET)
    if request.param == "str":
        return module

    class WithBytes:
        def __getattr__(self, function):
            return lambda obj, name, *rest: getattr(module, f"{function}_s")(obj, name.encode(), *rest)

    return WithBytes()


@pytest.mark.parametrize("name", NAMES)
def test_attribute_is_set_got_and_deleted(mod, name):
    thing = Thing()
    assert mod.has(thing, name) == 0
    assert mod.set(thing, name, 123) == 0
    assert vars(thing) == {name: 123}
    assert mod.has(thing, name) == 1
    assert mod.get(thing, name) == 123
    assert mod.set_null(thing, name) == 0
    assert vars(thing) == {}


def test_lookup_is_that_of_python(mod):
    class Child(Thing):
        text = "from the class"

        def method(self):
            return self

        static = staticmethod(len)

    child = Child()
    assert mod.get(child, "text") == "from the class"
    assert mod.get(child, "method")() is child
    assert mod.get(Child, "method") is Child.method
    assert mod.get(child, "static") is len
    assert mod.get(child, "__class__") is Child
    assert mod.get(sys, "version") is sys.version
    assert mod.get(Guarded(), "fixed") == 42
    assert mod.has(child, "__init__") == 1
    assert mod.set(child, "text", "its own") == 0
    assert (child.text, Child.text) == ("its own", "from the class")


def test_special_methods_are_asked(mod):
    watched = Watched()
    assert mod.get(watched, "missing") == "MISSING"
    assert mod.has(watched, "other") == 1
    assert mod.set(watched, "some", 5) == 0
    assert mod.set_null(watched, "some") == 0
    assert watched.log == [("get", "missing"), ("get", "other"), ("set", "some", 5), ("delete", "some")]


@pytest.mark.parametrize("owner", [Thing(), Thing, sys, 5, None])
def test_missing_attribute(mod, owner):
    with pytest.raises(AttributeError, match="no_such_name"):
        mod.get(owner, "no_such_name")
    assert mod.has(owner, "no_such_name") == 0
    with pytest.raises(AttributeError):
        mod.set_null(owner, "no_such_name")


@pytest.mark.parametrize("owner, name", [(object(), "new"), (5, "real"), (Guarded(), "fixed"), (Guarded(), "new")])
def test_attribute_that_cannot_be_set_or_deleted(mod, owner, name):
    with pytest.raises(AttributeError):
        mod.set(owner, name, 1)
    with pytest.raises(AttributeError):
        mod.set_null(owner, name)


def test_class_of_a_builtin_type_cannot_be_changed(mod):
    with pytest.raises(TypeError):
        mod.set(int, "new", 1)
    assert not hasattr(int, "new")


@pytest.mark.parametrize("owner, name", [(Watched(), "broken"), (Guarded(), "failing")])
def test_what_the_lookup_raises_is_passed_on(mod, owner, name):
    for use in (mod.get, mod.set_null, lambda owner, name: mod.set(owner, name, 1)):
        with pytest.raises(ZeroDivisionError):
            use(owner, name)


def test_has_swallows_every_exception(mod, monkeypatch):
    reports = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: reports.append(report.exc_type))
    assert mod.has(Guarded(), "failing") == 0
    assert mod.has(Watched(), "broken") == 0
    assert mod.has(Thing(), "missing") == 0
    # Not even where the interpreter's own function has come to report what it swallows.
    assert reports == []


@pytest.mark.parametrize("name", [1, None, b"text", ("text",)])
def test_name_that_is_no_str(snippet, name):
    mod = snippet(SNIPPET)
    thing = Thing()
    with pytest.raises(TypeError):
        mod.get(thing, name)
    assert mod.has(thing, name) == 0
    with pytest.raises(TypeError):
        mod.set(thing, name, 1)
    with pytest.raises(TypeError):
        mod.set_null(thing, name)
    assert vars(thing) == {}


@pytest.mark.parametrize("name", [b"\xff", b"\xc3", b"a\xed\xa0\x80"])
@pytest.mark.misuse("no UTF-8")
def test_name_that_is_no_utf8(snippet, name):
    mod = snippet(SNIPPET)
    watched = Watched()
    with pytest.raises(UnicodeDecodeError):
        mod.get_s(watched, name)
    assert mod.has_s(watched, name) == 0
    with pytest.raises(UnicodeDecodeError):
        mod.set_s(watched, name, 1)
    with pytest.raises(UnicodeDecodeError):
        mod.set_null_s(watched, name)
    assert watched.log == []


def test_name_can_be_of_a_subclass_of_str(snippet):
    mod = snippet(SNIPPET)
    thing = Thing()
    assert mod.set(thing, Str("name"), 5) == 0
    assert thing.name == 5
    assert mod.get(thing, Str("name")) == 5
    assert mod.has(thing, Str("name")) == 1
    assert mod.set_null(thing, Str("name")) == 0
    assert not hasattr(thing, "name")


def test_name_is_read_during_the_call_only(snippet):
    thing = Thing()
    assert snippet(SNIPPET).set_from_reused_memory(thing, 5) == 0
    assert vars(thing) == {"first": 5}


def test_get_gives_a_new_reference_and_keeps_none(mod):
    thing = Thing()
    thing.value = value = object()
    before = sys.getrefcount(thing), sys.getrefcount(value)
    for _ in range(50):
        mod.get(thing, "value")
        mod.has(thing, "value")
    assert (sys.getrefcount(thing), sys.getrefcount(value)) == before
    kept = [mod.get(thing, "value") for _ in range(50)]
    assert (sys.getrefcount(thing), sys.getrefcount(value)) == (before[0], before[1] + 50)
    del kept
    assert (sys.getrefcount(thing), sys.getrefcount(value)) == before


def test_set_takes_a_reference_of_its_own_and_deleting_ends_it(mod):
    thing, value = Thing(), object()
    before = sys.getrefcount(thing), sys.getrefcount(value)
    for _ in range(50):
        mod.set(thing, "value", value)
    assert (sys.getrefcount(thing), sys.getrefcount(value)) == (before[0], before[1] + 1)
    mod.set_null(thing, "value")
    assert (sys.getrefcount(thing), sys.getrefcount(value)) == before


def test_failures_keep_no_reference(mod):
    guarded, value = Guarded(), object()
    before = sys.getrefcount(guarded), sys.getrefcount(value)
    for _ in range(50):
        for call in (lambda: mod.get(guarded, "failing"), lambda: mod.set(guarded, "failing", value)):
            try:
                call()
            except ZeroDivisionError:
                pass
    assert (sys.getrefcount(guarded), sys.getrefcount(value)) == before


def test_value_that_is_replaced_can_change_the_attribute_itself(mod):
    thing = Thing()

    class Stubborn:
        def __del__(self):
            thing.value = "its last word"

    thing.value = Stubborn()
    assert mod.set(thing, "value", "new") == 0
    assert thing.value == "its last word"
    thing.value = Stubborn()
    assert mod.set_null(thing, "value") == 0
    assert thing.value == "its last word"
