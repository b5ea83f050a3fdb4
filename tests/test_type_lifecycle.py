"""From tp_new to tp_destroy: what is called when an instance goes, how often and in which order."""

import gc
import weakref

import pytest
from type_snippets import BASETYPE, GC, LOG, assert_balanced, field, logged, slot, traverse, type_source

SIMPLE = LOG + logged("Both", "b") + logged("Quiet", "q", fields=(), flags=BASETYPE)


@pytest.fixture
def mod(snippet):
    return snippet(SIMPLE)


def test_finalize_then_fields_then_destroy(mod):
    class Watched:
        def __init__(self):
            self.other = mod.Quiet()

        def __del__(self):
            events.append(mod.take_log())

    events = []
    instance = mod.Both()
    instance.field = Watched()
    mod.take_log()
    del instance
    # The field went after tp_finalize and before tp_destroy.
    assert events == ["B"]
    assert mod.take_log() in ("Qqb", "bQq")


def test_each_is_called_once(mod):
    for cls, expected in ((mod.Both, "Bb"), (mod.Quiet, "Qq")):
        mod.take_log()
        instances = [cls() for _ in range(100)]
        assert mod.take_log() == ""
        instances.clear()
        assert mod.take_log() == expected * 100


def test_fields_are_empty_when_the_struct_is_destroyed(mod):
    instance = mod.Both()
    instance.field = [1]
    mod.take_log()
    del instance
    assert mod.take_log() == "Bb"


@pytest.mark.frees_classes
def test_the_type_stays_until_after_destroy(snippet):
    mod = snippet(SIMPLE)
    instance = mod.Both()
    alive = weakref.ref(mod.Both)
    del mod.Both
    gc.collect()
    assert alive() is type(instance)
    mod.take_log()
    del instance
    assert mod.take_log() == "Bb"
    gc.collect()
    assert alive() is None


FAILING = LOG + type_source(
    "T",
    "HPyField field; long value;",
    traverse("T", "field"),
    slot(
        "tp_new",
        """
        T *data;
        HPy result = HPy_New(ctx, type, &data);
        if (nargs == 0)
            return result;
        if (nargs > 1)
            HPyField_Store(ctx, result, &data->field, args[1]);
        HPy_Close(ctx, result);
        return HPyErr_SetString(ctx, ctx->h_LookupError, "new");
        """,
    ),
    slot("tp_finalize", "log_event(HPyErr_Occurred(ctx) ? 'X' : 'F');"),
    slot(
        "tp_destroy",
        "T *data = object;\nlog_event(data->value ? 'v' : HPyField_IsNull(data->field) ? 'd' : '!');",
    ),
    flags=GC,
)


def test_an_instance_that_new_gives_up_is_destroyed(snippet):
    mod, value = snippet(FAILING), object()

    def use():
        mod.take_log()
        with pytest.raises(LookupError, match="new"):
            mod.T(1)
        assert mod.take_log() == "Fd"
        with pytest.raises(LookupError, match="new"):
            mod.T(1, value)
        assert mod.take_log() == "Fd"

    assert_balanced(use, value, mod.T)


def test_an_instance_that_goes_while_an_exception_is_on_its_way(snippet):
    mod = snippet(FAILING)

    def use():
        instance = mod.T()
        raise LookupError(instance is None)

    mod.take_log()
    with pytest.raises(LookupError, match="False") as info:
        use()
    del info
    gc.collect()
    assert mod.take_log() == "Fd"


# tp_finalize puts the object into a list, as long as there is one.
RESURRECTION = """
    static HPyGlobal saved;
    FUNC_O(set_saved) { HPyGlobal_Store(ctx, &saved, arg); return NONE; }
    static void save(HPyContext *ctx, HPy self)
    {
        HPy list = HPyGlobal_Load(ctx, saved);
        if (HPyList_Check(ctx, list))
            HPyList_Append(ctx, list, self);
        HPy_Close(ctx, list);
    }
"""


def resurrected(name, *parts, **fields):
    return type_source(
        name,
        "HPyField field;",
        traverse(name, "field", prefix=name),
        field(name, "field"),
        slot("tp_finalize", "log_event('F');\nsave(ctx, self);", prefix=name),
        slot(
            "tp_destroy",
            f"{name} *data = object;\nlog_event(HPyField_IsNull(data->field) ? 'd' : '!');",
            prefix=name,
        ),
        **fields,
    )


RISING = LOG + RESURRECTION + resurrected("Rising", flags=GC) + resurrected("Simple")


@pytest.mark.parametrize("name", ["Rising", "Simple"])
def test_an_instance_that_finalize_saves_lives_on(snippet, name):
    mod = snippet(RISING)
    cls, saved, value = getattr(mod, name), [], object()
    mod.set_saved(saved)
    mod.take_log()
    instance = cls()
    instance.field = value
    del instance
    assert mod.take_log() == "F"
    mod.set_saved(None)
    [instance] = saved
    assert type(instance) is cls
    assert instance.field is value
    saved.clear()
    del instance
    # Only the collector's objects remember that they have been finalized.
    assert mod.take_log() == ("d" if name == "Rising" else "Fd")


@pytest.mark.parametrize("name", ["Rising", "Simple"])
def test_resurrection_stays_in_balance(snippet, name):
    mod, value = snippet(RISING), object()
    cls = getattr(mod, name)

    def use():
        saved = []
        mod.set_saved(saved)
        instance = cls()
        instance.field = value
        del instance
        mod.set_saved(None)
        saved.clear()

    assert_balanced(use, cls, value)


def test_resurrection_from_a_cycle(snippet):
    mod, saved = snippet(RISING), []
    mod.set_saved(saved)
    mod.take_log()
    first, second = mod.Rising(), mod.Rising()
    first.field, second.field = second, first
    del first, second
    gc.collect()
    assert mod.take_log() == "FF"
    mod.set_saved(None)
    assert len(saved) == 2
    assert saved[0].field is saved[1] and saved[1].field is saved[0]
    saved.clear()
    gc.collect()
    assert mod.take_log() == "dd"


FINALIZED = LOG + type_source(
    "T",
    "long value;",
    slot(
        "tp_finalize",
        """
        log_event(HPyErr_Occurred(ctx) ? 'X' : 'F');
        /* Would be an error if an exception were pending. */
        HPy length = HPy_CallMethodTupleDict_s(ctx, "__sizeof__", self, HPy_NULL, HPy_NULL);
        log_event(HPy_IsNull(length) ? '!' : 'f');
        HPy_Close(ctx, length);
        if (HPy_HasAttr_s(ctx, self, "fails"))
            HPyErr_SetString(ctx, ctx->h_LookupError, "finalizer");
        """,
    ),
) + """
    /* Fails while an instance, which is the only argument, loses its last reference. */
    FUNC_O(fail_and_drop)
    {
        HPy instance = HPy_Call(ctx, arg, NULL, 0, HPy_NULL);
        HPyErr_SetString(ctx, ctx->h_KeyError, "pending");
        HPy_Close(ctx, instance);
        return HPy_NULL;
    }
"""


@pytest.mark.differs("0.9.0 calls it with the exception pending, which is lost")
@pytest.mark.parametrize("subclass", [False, True])
def test_a_finalizer_runs_beside_a_pending_exception(snippet, subclass, monkeypatch):
    mod = snippet(FINALIZED)
    cls = type("Python", (mod.T,), {}) if subclass else mod.T
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", unraisable.append)
    mod.take_log()
    with pytest.raises(KeyError, match="pending"):
        mod.fail_and_drop(cls)
    assert mod.take_log() == "Ff"
    assert unraisable == []


@pytest.mark.differs("0.9.0 calls it with the exception pending, which is lost")
@pytest.mark.misuse("the finalizer leaves an exception")
def test_what_a_finalizer_leaves_is_unraisable(snippet, monkeypatch):
    mod = snippet(FINALIZED)
    unraisable = []
    monkeypatch.setattr("sys.unraisablehook", lambda info: unraisable.append((info.exc_type, str(info.exc_value))))

    class Fails(mod.T):
        fails = True

    mod.take_log()
    with pytest.raises(KeyError, match="pending"):
        mod.fail_and_drop(Fails)
    Fails()
    assert mod.take_log() == "FfFf"
    assert unraisable == [(LookupError, "finalizer")] * 2
