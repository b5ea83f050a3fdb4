"""Trackers: spec/functions/tracker.toml."""

import sys

import pytest


@pytest.fixture
def mod(snippet):
    return snippet("""
        /* A tracker of a size gets a number of handles of an object. The result is what a function, called before the
           tracker is closed, returns. */
        FUNC_VARARGS(track)
        {
            HPy_ssize_t size = HPyLong_AsSsize_t(ctx, args[0]), count = HPyLong_AsSsize_t(ctx, args[1]);
            HPyTracker ht = HPyTracker_New(ctx, size);
            if (HPy_IsNull(ht))
                return HPy_NULL;
            for (HPy_ssize_t i = 0; i < count; i++) {
                if (HPyTracker_Add(ctx, ht, HPy_Dup(ctx, args[2])) != 0) {
                    HPyTracker_Close(ctx, ht);
                    return HPy_NULL;
                }
            }
            HPy result = HPy_CallTupleDict(ctx, args[3], HPy_NULL, HPy_NULL);
            HPyTracker_Close(ctx, ht);
            return result;
        }

        /* A list of new lists, each of which is used after it was given to the tracker. */
        FUNC_O(use)
        {
            HPyTracker ht = HPyTracker_New(ctx, 0);
            HPy result = HPyList_New(ctx, 0);
            for (int i = 0; i < 100; i++) {
                HPy item = HPyList_New(ctx, 0);
                if (HPyTracker_Add(ctx, ht, item) < 0)
                    break;
                HPyList_Append(ctx, item, arg);
                HPyList_Append(ctx, result, item);
            }
            HPyTracker_Close(ctx, ht);
            return result;
        }

        /* Null handles, before, between and after an object's. */
        FUNC_O(track_nulls)
        {
            HPyTracker ht = HPyTracker_New(ctx, 2);
            int failed = 0;
            for (int i = 0; i < 20; i++)
                failed |= HPyTracker_Add(ctx, ht, i % 3 == 1 ? HPy_Dup(ctx, arg) : HPy_NULL);
            failed |= HPyErr_Occurred(ctx);
            HPyTracker_Close(ctx, ht);
            return NULL_IF(failed);
        }

        FUNC_O(forget)
        {
            HPyTracker ht = HPyTracker_New(ctx, 0);
            HPyTracker_ForgetAll(ctx, ht);
            for (int i = 0; i < 8; i++)
                HPyTracker_Add(ctx, ht, arg);
            HPyTracker_ForgetAll(ctx, ht);
            HPyTracker_Close(ctx, ht);
            return NONE;
        }

        /* Forgets a handle, which is returned, and closes those that came later. */
        FUNC_O(forget_and_go_on)
        {
            HPyTracker ht = HPyTracker_New(ctx, 1);
            HPy result = HPy_Dup(ctx, arg);
            HPyTracker_Add(ctx, ht, result);
            HPyTracker_ForgetAll(ctx, ht);
            for (int i = 0; i < 20; i++)
                HPyTracker_Add(ctx, ht, HPy_Dup(ctx, arg));
            HPyTracker_Close(ctx, ht);
            return result;
        }

        /* Both happen with an exception pending. The tracker has the only handle of what the function makes. */
        FUNC_O(close_with_error)
        {
            HPyTracker forgotten = HPyTracker_New(ctx, 0), ht = HPyTracker_New(ctx, 0);
            HPyTracker_Add(ctx, ht, HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL));
            HPyTracker_Add(ctx, forgotten, arg);
            HPyErr_SetString(ctx, ctx->h_LookupError, "pending");
            HPyTracker_ForgetAll(ctx, forgotten);
            HPyTracker_Close(ctx, forgotten);
            HPyTracker_Close(ctx, ht);
            return HPy_NULL;
        }

        /* Two that are open at the same time, and of which the first is closed first. */
        FUNC_VARARGS(track_in_two)
        {
            HPyTracker first = HPyTracker_New(ctx, 0), second = HPyTracker_New(ctx, 0);
            for (int i = 0; i < 50; i++) {
                HPyTracker_Add(ctx, first, HPy_Dup(ctx, args[0]));
                HPyTracker_Add(ctx, second, HPy_Dup(ctx, args[1]));
            }
            HPyTracker_Close(ctx, first);
            HPy result = HPy_CallTupleDict(ctx, args[2], HPy_NULL, HPy_NULL);
            HPyTracker_Close(ctx, second);
            return result;
        }

        FUNC_O(new_fails)
        {
            HPyTracker ht = HPyTracker_New(ctx, HPyLong_AsSsize_t(ctx, arg));
            if (HPy_IsNull(ht))
                return HPy_NULL;
            HPyTracker_Close(ctx, ht);
            return NONE;
        }
    """)


# Sizes around the room that a tracker starts with, and enough handles to make it grow more than once.
@pytest.mark.parametrize("size", [0, 1, 5, 14, 15, 16, 100])
@pytest.mark.parametrize("count", [0, 1, 5, 14, 15, 16, 17, 101, 5000])
def test_every_handle_is_kept_until_the_tracker_is_closed(mod, size, count):
    thing = object()
    before = sys.getrefcount(thing)
    during = mod.track(size, count, thing, lambda: sys.getrefcount(thing))
    assert sys.getrefcount(thing) == before
    # The call itself may have references too, so compare it with one that tracks nothing.
    assert during - mod.track(size, 0, thing, lambda: sys.getrefcount(thing)) == count


def test_handle_may_be_used_after_it_was_added(mod):
    thing = object()
    before = sys.getrefcount(thing)
    result = mod.use(thing)
    assert result == [[thing]] * 100
    assert sys.getrefcount(thing) == before + 100
    del result
    assert sys.getrefcount(thing) == before


def test_null_handles_have_no_effect(mod):
    thing = object()
    before = sys.getrefcount(thing)
    assert mod.track_nulls(thing) is None
    assert sys.getrefcount(thing) == before


def test_forgotten_handles_are_not_closed(mod):
    thing = object()
    before = sys.getrefcount(thing)
    for _ in range(100):
        mod.forget(thing)
    assert sys.getrefcount(thing) == before


def test_tracker_is_usable_after_forgetting(mod):
    thing = object()
    before = sys.getrefcount(thing)
    for _ in range(100):
        assert mod.forget_and_go_on(thing) is thing
    assert sys.getrefcount(thing) == before


def test_trackers_do_not_share_handles(mod):
    first, second = object(), object()
    before = sys.getrefcount(first), sys.getrefcount(second)
    base = mod.track(0, 0, first, lambda: sys.getrefcount(first))
    during = mod.track_in_two(first, second, lambda: (sys.getrefcount(first), sys.getrefcount(second)))
    assert during == (base, base + 50)
    assert (sys.getrefcount(first), sys.getrefcount(second)) == before


def test_pending_exception_outlives_closing_and_finalizers(mod):
    log = []

    class Last:
        def __del__(self):
            with pytest.raises(ZeroDivisionError):
                raise ZeroDivisionError
            # A tracker of its own, while another one is being closed.
            log.append(mod.use(1))

    with pytest.raises(LookupError, match="pending"):
        mod.close_with_error(Last)
    assert log == [[[1]] * 100]


@pytest.mark.parametrize("size", [sys.maxsize, sys.maxsize // 8, sys.maxsize // 32])
def test_size_beyond_all_memory_is_a_memory_error(mod, size):
    with pytest.raises(MemoryError):
        mod.new_fails(size)


@pytest.mark.skipif(sys.platform != "linux", reason="limits its own memory")
@pytest.mark.misuse("HPy_Dup fails without memory, and is not checked")
def test_handle_belongs_to_the_tracker_even_if_it_cannot_grow(run_snippet):
    source = """
        FUNC_O(fill)
        {
            HPyTracker ht = HPyTracker_New(ctx, 0);
            for (int i = 0; i < 100000000; i++) {
                int result = HPyTracker_Add(ctx, ht, HPy_Dup(ctx, arg));
                if (result != 0) {
                    HPyTracker_Close(ctx, ht);
                    return result == -1 ? HPy_NULL : NONE;
                }
            }
            HPyTracker_Close(ctx, ht);
            return NONE;
        }
        FUNC_O(fill_and_forget)
        {
            HPyTracker ht = HPyTracker_New(ctx, 0);
            HPy_ssize_t count = 0;
            do {
                count++;
            } while (HPyTracker_Add(ctx, ht, arg) == 0);
            HPyErr_Clear(ctx);
            HPyTracker_ForgetAll(ctx, ht);
            HPyTracker_Close(ctx, ht);
            return HPyLong_FromSsize_t(ctx, count);
        }
    """
    code = """
        import resource, sys
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (48 << 20),) * 2)
        thing = object()
        before = sys.getrefcount(thing)
        try:
            mod.fill(thing)
        except MemoryError:
            print(sys.getrefcount(thing) - before)
        print(mod.fill_and_forget(thing) > 10000, sys.getrefcount(thing) - before)
    """
    run = run_snippet(source, code)
    assert (run.stdout, run.stderr, run.returncode) == ("0\nTrue 0\n", "", 0)
