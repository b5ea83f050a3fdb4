"""Globals: spec/functions/global.toml."""

import gc
import sys
import weakref

import pytest

GLOBALS = """
    static HPyGlobal first;
    static HPyGlobal second;

    HPyDef_SLOT(fill, HPy_mod_exec)
    static int fill_impl(HPyContext *ctx, HPy mod)
    {
        HPyGlobal_Store(ctx, &first, ctx->h_None);
        HPyGlobal_Store(ctx, &second, ctx->h_Ellipsis);
        return 0;
    }
    FUNC_O(store) { HPyGlobal_Store(ctx, &first, arg); return NONE; }
    FUNC_NOARGS(empty) { HPyGlobal_Store(ctx, &first, HPy_NULL); return NONE; }
    FUNC_NOARGS(load) { return HPyGlobal_Load(ctx, first); }
    FUNC_O(store_second) { HPyGlobal_Store(ctx, &second, arg); return NONE; }
    FUNC_NOARGS(load_second) { return HPyGlobal_Load(ctx, second); }
    FUNC_O(store_twice_and_load_thrice)
    {
        HPyGlobal_Store(ctx, &first, arg);
        HPyGlobal_Store(ctx, &first, arg);
        HPy one = HPyGlobal_Load(ctx, first), two = HPyGlobal_Load(ctx, first), three = HPyGlobal_Load(ctx, first);
        int same = HPy_Is(ctx, one, two) && HPy_Is(ctx, two, three);
        HPy_Close(ctx, one);
        HPy_Close(ctx, two);
        HPy_Close(ctx, three);
        return HPyBool_FromBool(ctx, same);
    }
    FUNC_O(use_while_raising)
    {
        HPyErr_SetString(ctx, ctx->h_KeyError, "pending");
        HPyGlobal_Store(ctx, &first, arg);
        HPy loaded = HPyGlobal_Load(ctx, first);
        HPy_Close(ctx, loaded);
        return HPy_NULL;
    }
"""


@pytest.fixture
def mod(snippet):
    mod = snippet(GLOBALS)
    yield mod
    mod.store(None)
    mod.store_second(None)


class Object:
    pass


def test_exec_slot_can_store(mod):
    assert mod.load() is None
    assert mod.load_second() is ...


@pytest.mark.parametrize("value", [None, 0, "text", [1], Object])
def test_load_gives_what_was_stored(mod, value):
    assert mod.store(value) is None
    assert mod.load() is value
    assert mod.load() is value


def test_globals_are_independent(mod):
    mod.store("one")
    mod.store_second("two")
    assert (mod.load(), mod.load_second()) == ("one", "two")
    mod.empty()
    assert mod.load_second() == "two"


def test_global_keeps_the_object_alive_until_another_is_stored(mod):
    value = Object()
    reference = weakref.ref(value)
    mod.store(value)
    del value
    gc.collect()
    assert reference() is mod.load()
    mod.store(None)
    gc.collect()
    assert reference() is None


def test_storing_null_releases_the_object(mod):
    value = Object()
    reference = weakref.ref(value)
    mod.store(value)
    del value
    mod.empty()
    gc.collect()
    assert reference() is None
    mod.empty()
    mod.store("again")
    assert mod.load() == "again"


def test_global_holds_one_reference_and_loading_gives_one_away(mod):
    value = object()
    before = sys.getrefcount(value)
    for _ in range(50):
        mod.store(value)
        mod.store(value)
    stored = sys.getrefcount(value)
    for _ in range(50):
        assert mod.load() is value
        assert mod.store_twice_and_load_thrice(value) is True
    loaded = sys.getrefcount(value)
    mod.store(None)
    assert stored == before + 1
    assert loaded == before + 1
    assert sys.getrefcount(value) == before


@pytest.mark.differs("releases the old object first, while it is still in the global")
def test_finalizer_of_the_old_object_finds_the_new_one(mod):
    seen = []

    class Last:
        def __del__(self):
            seen.append(mod.load())

    mod.store(Last())
    mod.store("new")
    gc.collect()
    assert seen == ["new"]
    assert mod.load() == "new"


def test_finalizer_of_the_old_object_may_store(snippet):
    mod = snippet(GLOBALS)

    class Storing:
        def __del__(self):
            mod.store_second(self.kept)

    old = Storing()
    old.kept = object()
    kept = old.kept
    before = sys.getrefcount(kept)
    mod.store_second("something")
    mod.store(old)
    del old
    mod.store("new")
    gc.collect()
    # What the finalizer stored has taken the place of the reference that the old object had.
    after = sys.getrefcount(kept)
    assert mod.load() == "new"
    assert mod.load_second() is kept
    assert after == before
    mod.store_second(None)


def test_globals_can_be_used_while_an_exception_is_pending(mod):
    with pytest.raises(KeyError, match="pending"):
        mod.use_while_raising("value")
    assert mod.load() == "value"


def test_modules_of_one_binary_share_their_globals(snippet, mod):
    mod.store("before")
    again = snippet(GLOBALS)
    assert again is not mod
    assert mod.load() is None
    again.store("by the other")
    assert mod.load() == "by the other"


def test_globals_still_filled_at_the_end_do_no_harm(run_snippet):
    run = run_snippet(
        GLOBALS,
        """
        class Late:
            pass
        mod.store(Late())
        mod.store_second([Late])
        print(type(mod.load()).__name__)
        """,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "Late\n", "")
