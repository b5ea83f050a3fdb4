"""Capsules: spec/functions/capsule.toml."""

import gc
import sys

import pytest

pytestmark = pytest.mark.differs("0.9.0 has no HPyCapsule_Get and HPyCapsule_Set in the CPython ABI", abis=["cpython"])

CAPSULES = r"""
    static int numbers[3] = { 10, 11, 12 };
    static const char name_a[] = "package.a", same_as_a[] = "package.a", name_b[] = "package.b";
    static const char *names[] = { NULL, name_a, same_as_a, name_b, "" };

    /* In the order of the calls: the number pointed to, and how it was named. */
    static int destroyed[8], contexts[8];
    static const char *named[8];
    static int deaths = 0;

    static void record(int by, const char *name, void *pointer, void *context)
    {
        if (deaths == 8)
            return;
        destroyed[deaths] = by + *(int *)pointer;
        contexts[deaths] = context ? *(int *)context : 0;
        named[deaths++] = name;
    }
    HPyCapsule_DESTRUCTOR(destroy_100)
    static void destroy_100_impl(const char *name, void *pointer, void *context)
    {
        record(100, name, pointer, context);
    }
    HPyCapsule_DESTRUCTOR(destroy_200)
    static void destroy_200_impl(const char *name, void *pointer, void *context)
    {
        record(200, name, pointer, context);
    }

    FUNC_NOARGS(take_deaths)
    {
        HPy items[8];
        for (int i = 0; i < deaths; i++) {
            HPy parts[] = {
                HPyLong_FromInt32_t(ctx, destroyed[i]),
                named[i] ? HPyUnicode_FromString(ctx, named[i]) : NONE,
                HPyLong_FromInt32_t(ctx, contexts[i]),
            };
            items[i] = HPyTuple_FromArray(ctx, parts, 3);
            for (int part = 0; part < 3; part++)
                HPy_Close(ctx, parts[part]);
        }
        HPy result = HPyTuple_FromArray(ctx, items, deaths);
        while (deaths > 0)
            HPy_Close(ctx, items[--deaths]);
        return result;
    }

    static int number(HPyContext *ctx, HPy h) { return HPyLong_AsInt32_t(ctx, h); }
    static HPyCapsule_Destructor *destructor_of(int which)
    {
        static HPyCapsule_Destructor no_trampoline, no_impl;
        no_trampoline.impl = destroy_100_impl;
        no_impl.cpy_trampoline = destroy_100.cpy_trampoline;
        HPyCapsule_Destructor *all[] = { NULL, &destroy_100, &destroy_200, &no_trampoline, &no_impl };
        return all[which];
    }

    /* make(index of the number or -1 for null, index of the name[, index of the destructor]) */
    FUNC_VARARGS(make)
    {
        int index = number(ctx, args[0]);
        return HPyCapsule_New(ctx, index < 0 ? NULL : &numbers[index], names[number(ctx, args[1])],
                              destructor_of(nargs > 2 ? number(ctx, args[2]) : 0));
    }

    static HPy number_at(HPyContext *ctx, void *pointer)
    {
        if (pointer)
            return HPyLong_FromInt32_t(ctx, *(int *)pointer);
        return NULL_IF(HPyErr_Occurred(ctx));
    }
    FUNC_VARARGS(get_pointer)
    {
        return number_at(ctx, HPyCapsule_GetPointer(ctx, args[0], names[number(ctx, args[1])]));
    }
    FUNC_O(get_context) { return number_at(ctx, HPyCapsule_GetContext(ctx, arg)); }
    FUNC_O(get_context_with_wrong_name)
    {
        return number_at(ctx, HPyCapsule_Get(ctx, arg, HPyCapsule_key_Context, "wrong"));
    }
    /* The index of the name that is at the same address. */
    FUNC_O(get_name)
    {
        const char *name = HPyCapsule_GetName(ctx, arg);
        if (!name && HPyErr_Occurred(ctx))
            return HPy_NULL;
        for (int i = 0; i < 5; i++)
            if (name == names[i])
                return HPyLong_FromInt32_t(ctx, i);
        return HPyLong_FromInt32_t(ctx, -1);
    }
    FUNC_O(get_destructor) { return number_at(ctx, HPyCapsule_Get(ctx, arg, HPyCapsule_key_Destructor, NULL)); }

    FUNC_VARARGS(is_valid)
    {
        return HPyLong_FromInt32_t(ctx, HPyCapsule_IsValid(ctx, args[0], names[number(ctx, args[1])]));
    }

    static HPy done(HPyContext *ctx, int result)
    {
        return result == 0 ? NONE : result == -1 ? HPy_NULL : HPyLong_FromInt32_t(ctx, result);
    }
    FUNC_VARARGS(set_pointer)
    {
        int index = number(ctx, args[1]);
        return done(ctx, HPyCapsule_SetPointer(ctx, args[0], index < 0 ? NULL : &numbers[index]));
    }
    FUNC_VARARGS(set_name) { return done(ctx, HPyCapsule_SetName(ctx, args[0], names[number(ctx, args[1])])); }
    FUNC_VARARGS(set_context)
    {
        int index = number(ctx, args[1]);
        return done(ctx, HPyCapsule_SetContext(ctx, args[0], index < 0 ? NULL : &numbers[index]));
    }
    FUNC_VARARGS(set_destructor)
    {
        return done(ctx, HPyCapsule_SetDestructor(ctx, args[0], destructor_of(number(ctx, args[1]))));
    }
"""

NULL = -1
NO_NAME, A, SAME_AS_A, B, EMPTY = range(5)
NO_DESTRUCTOR, ADDS_100, ADDS_200, NO_TRAMPOLINE, NO_IMPL = range(5)


@pytest.fixture
def mod(snippet):
    mod = snippet(CAPSULES)
    mod.take_deaths()
    return mod


def test_capsule_carries_pointer_and_name(mod):
    capsule = mod.make(1, A)
    assert type(capsule).__name__ == "PyCapsule"
    assert mod.get_pointer(capsule, A) == 11
    assert mod.get_name(capsule) == A
    assert mod.get_context(capsule) is None
    assert mod.get_pointer(mod.make(2, NO_NAME), NO_NAME) == 12
    assert mod.get_name(mod.make(2, NO_NAME)) == NO_NAME


@pytest.mark.parametrize("name", [NO_NAME, A])
@pytest.mark.parametrize("destructor", [NO_DESTRUCTOR, ADDS_100])
@pytest.mark.misuse("null, or another name")
def test_capsule_of_null_is_refused(mod, name, destructor):
    with pytest.raises(ValueError):
        mod.make(NULL, name, destructor)
    assert mod.take_deaths() == ()


@pytest.mark.parametrize("name", [A, SAME_AS_A])
def test_names_are_compared_by_content(mod, name):
    capsule = mod.make(0, A)
    assert mod.get_pointer(capsule, name) == 10
    assert mod.is_valid(capsule, name) == 1


@pytest.mark.parametrize(
    "own, asked", [(A, B), (A, NO_NAME), (NO_NAME, A), (A, EMPTY), (EMPTY, NO_NAME), (NO_NAME, EMPTY)]
)
@pytest.mark.misuse("null, or another name")
def test_pointer_is_given_for_the_right_name_only(mod, own, asked):
    capsule = mod.make(0, own)
    with pytest.raises(ValueError):
        mod.get_pointer(capsule, asked)
    assert mod.is_valid(capsule, asked) == 0
    assert mod.is_valid(capsule, own) == 1


@pytest.mark.parametrize("value", [None, 42, "package.a", object()])
def test_other_objects_are_no_capsules(mod, value):
    for call in (
        lambda: mod.get_pointer(value, A),
        lambda: mod.get_name(value),
        lambda: mod.get_context(value),
        lambda: mod.set_pointer(value, 0),
        lambda: mod.set_name(value, A),
        lambda: mod.set_context(value, 0),
        lambda: mod.set_destructor(value, ADDS_100),
        lambda: mod.set_destructor(value, NO_DESTRUCTOR),
    ):
        with pytest.raises(ValueError):
            call()
    assert mod.is_valid(value, A) == 0
    assert mod.is_valid(value, NO_NAME) == 0


def test_pointer_can_be_replaced_but_not_by_null(mod):
    capsule = mod.make(0, A)
    assert mod.set_pointer(capsule, 1) is None
    assert mod.get_pointer(capsule, A) == 11
    with pytest.raises(ValueError):
        mod.set_pointer(capsule, NULL)
    assert mod.get_pointer(capsule, A) == 11


@pytest.mark.misuse("null, or another name")
def test_name_can_be_replaced_and_taken_away(mod):
    capsule = mod.make(0, A)
    assert mod.set_name(capsule, B) is None
    assert mod.get_name(capsule) == B
    assert mod.get_pointer(capsule, B) == 10
    with pytest.raises(ValueError):
        mod.get_pointer(capsule, A)
    assert mod.set_name(capsule, NO_NAME) is None
    assert mod.get_name(capsule) == NO_NAME
    assert mod.get_pointer(capsule, NO_NAME) == 10


def test_name_is_kept_by_address(mod):
    capsule = mod.make(0, SAME_AS_A)
    assert mod.get_name(capsule) == SAME_AS_A
    mod.set_name(capsule, A)
    assert mod.get_name(capsule) == A


def test_context_can_be_set_and_taken_away(mod):
    capsule = mod.make(0, A)
    assert mod.set_context(capsule, 2) is None
    assert mod.get_context(capsule) == 12
    assert mod.get_context_with_wrong_name(capsule) == 12
    assert mod.get_pointer(capsule, A) == 10
    assert mod.set_context(capsule, NULL) is None
    assert mod.get_context(capsule) is None


def test_destructor_cannot_be_read(mod):
    for destructor in (NO_DESTRUCTOR, ADDS_100):
        with pytest.raises(ValueError):
            mod.get_destructor(mod.make(0, A, destructor))


def test_destructor_runs_once_when_the_capsule_is_freed(mod):
    capsule = mod.make(1, A, ADDS_100)
    other = [capsule]
    del capsule
    gc.collect()
    assert mod.take_deaths() == ()
    del other
    gc.collect()
    assert mod.take_deaths() == ((111, "package.a", 0),)
    gc.collect()
    assert mod.take_deaths() == ()


def test_destructor_gets_what_is_in_the_capsule_at_the_end(mod):
    capsule = mod.make(0, A, ADDS_100)
    mod.set_context(capsule, 2)
    del capsule
    capsule = mod.make(0, A, ADDS_200)
    mod.set_pointer(capsule, 1)
    mod.set_name(capsule, NO_NAME)
    del capsule
    gc.collect()
    assert mod.take_deaths() == ((110, "package.a", 12), (211, None, 0))


def test_destructor_can_be_given_replaced_and_taken_away(mod):
    capsule = mod.make(0, A)
    assert mod.set_destructor(capsule, ADDS_100) is None
    del capsule
    capsule = mod.make(1, A, ADDS_100)
    assert mod.set_destructor(capsule, ADDS_200) is None
    del capsule
    capsule = mod.make(2, A, ADDS_100)
    assert mod.set_destructor(capsule, NO_DESTRUCTOR) is None
    del capsule
    gc.collect()
    assert mod.take_deaths() == ((110, "package.a", 0), (211, "package.a", 0))


@pytest.mark.parametrize("destructor", [NO_TRAMPOLINE, NO_IMPL])
def test_destructor_needs_both_of_its_functions(mod, destructor):
    with pytest.raises(ValueError):
        mod.make(0, A, destructor)
    capsule = mod.make(0, A, ADDS_100)
    with pytest.raises(ValueError):
        mod.set_destructor(capsule, destructor)
    del capsule
    gc.collect()
    assert mod.take_deaths() == ((110, "package.a", 0),)


def test_capsules_keep_their_reference_count(mod):
    capsule = mod.make(0, A)
    before = sys.getrefcount(capsule)
    for _ in range(50):
        mod.get_pointer(capsule, A)
        mod.get_name(capsule)
        mod.is_valid(capsule, B)
        mod.set_pointer(capsule, 1)
        mod.set_context(capsule, 1)
    assert sys.getrefcount(capsule) == before


BY_HAND = CAPSULES + """
    static const _HPyCapsule_key keys[] = {
        HPyCapsule_key_Pointer, HPyCapsule_key_Name, HPyCapsule_key_Context, HPyCapsule_key_Destructor
    };
    FUNC_O(set_by_keys)
    {
        void *parts[] = { &numbers[2], (void *)name_b, &numbers[1], &destroy_200 };
        for (int i = 0; i < 4; i++)
            if (HPyCapsule_Set(ctx, arg, keys[i], parts[i]) != 0)
                return HPy_NULL;
        return NONE;
    }
    FUNC_VARARGS(set_null_by_key) { return done(ctx, HPyCapsule_Set(ctx, args[0], keys[number(ctx, args[1])], NULL)); }
    /* Pointer, name and context of a capsule that has all three. */
    FUNC_O(get_by_keys)
    {
        int *pointer = (int *)HPyCapsule_Get(ctx, arg, HPyCapsule_key_Pointer, "package.b");
        const char *name = (const char *)HPyCapsule_Get(ctx, arg, HPyCapsule_key_Name, NULL);
        int *context = (int *)HPyCapsule_Get(ctx, arg, HPyCapsule_key_Context, NULL);
        return HPyErr_Occurred(ctx) ? HPy_NULL : HPy_BuildValue(ctx, "isi", *pointer, name, *context);
    }
    FUNC_VARARGS(get_by_key) { return number_at(ctx, HPyCapsule_Get(ctx, args[0], keys[number(ctx, args[1])], NULL)); }

    static void written(const char *name, void *pointer, void *context) { record(300, name, pointer, context); }
    HPyCapsule_DESTRUCTOR_TRAMPOLINE(written_trampoline, written)
    static HPyCapsule_Destructor written_by_hand = { .cpy_trampoline = written_trampoline, .impl = written };
    FUNC_NOARGS(make_with_written) { return HPyCapsule_New(ctx, &numbers[1], name_b, &written_by_hand); }
"""
KEYS = POINTER, NAME, CONTEXT, DESTRUCTOR = range(4)


def test_parts_are_set_and_got_by_their_keys(snippet):
    mod = snippet(BY_HAND)
    mod.take_deaths()
    capsule = mod.make(0, A, ADDS_100)
    assert mod.set_by_keys(capsule) is None
    assert mod.get_by_keys(capsule) == (12, "package.b", 11)
    assert (mod.get_pointer(capsule, B), mod.get_name(capsule), mod.get_context(capsule)) == (12, B, 11)
    del capsule
    gc.collect()
    assert mod.take_deaths() == ((212, "package.b", 11),)


def test_null_takes_a_part_away_but_for_the_pointer(snippet):
    mod = snippet(BY_HAND)
    mod.take_deaths()
    capsule = mod.make(0, A, ADDS_100)
    mod.set_context(capsule, 2)
    with pytest.raises(ValueError):
        mod.set_null_by_key(capsule, POINTER)
    for key in (NAME, CONTEXT, DESTRUCTOR):
        assert mod.set_null_by_key(capsule, key) is None
    assert (mod.get_pointer(capsule, NO_NAME), mod.get_name(capsule), mod.get_context(capsule)) == (10, NO_NAME, None)
    del capsule
    gc.collect()
    assert mod.take_deaths() == ()


@pytest.mark.parametrize("key", KEYS)
def test_keys_are_for_capsules_only(snippet, key):
    mod = snippet(BY_HAND)
    for value in (None, 42, "package.b"):
        with pytest.raises(ValueError):
            mod.get_by_key(value, key)
        with pytest.raises(ValueError):
            mod.set_null_by_key(value, key)
        with pytest.raises(ValueError):
            mod.set_by_keys(value)


def test_destructor_can_be_written_by_hand(snippet):
    mod = snippet(BY_HAND)
    mod.take_deaths()
    capsule = mod.make_with_written()
    assert mod.get_pointer(capsule, B) == 11
    del capsule
    gc.collect()
    assert mod.take_deaths() == ((311, "package.b", 0),)
