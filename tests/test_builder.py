"""List and tuple builders: spec/functions/builder.toml."""

import gc
import sys
import sysconfig
import weakref

import pytest


class Thing:
    """Can be referred to weakly."""


@pytest.fixture(params=["List", "Tuple"])
def kind(request):
    return request.param


@pytest.fixture
def expected_type(kind):
    return {"List": list, "Tuple": tuple}[kind]


@pytest.fixture
def mod(snippet, kind):
    b = f"HPy{kind}Builder"
    return snippet(f"""
        FUNC_VARARGS(build)
        {{
            {b} builder = {b}_New(ctx, (HPy_ssize_t)nargs);
            for (size_t i = 0; i < nargs; i++)
                {b}_Set(ctx, builder, (HPy_ssize_t)i, args[i]);
            return {b}_Build(ctx, builder);
        }}

        FUNC_VARARGS(build_backwards)
        {{
            {b} builder = {b}_New(ctx, (HPy_ssize_t)nargs);
            for (size_t i = nargs; i-- > 0;)
                {b}_Set(ctx, builder, (HPy_ssize_t)i, args[i]);
            return {b}_Build(ctx, builder);
        }}

        /* Of new lists, whose handles are closed before Build. */
        FUNC_O(build_lists)
        {{
            HPy_ssize_t size = HPyLong_AsSsize_t(ctx, arg);
            {b} builder = {b}_New(ctx, size);
            for (HPy_ssize_t i = 0; i < size; i++) {{
                HPy item = HPyList_New(ctx, 0);
                {b}_Set(ctx, builder, i, item);
                HPy_Close(ctx, item);
            }}
            return {b}_Build(ctx, builder);
        }}

        /* Of the results of a function, which is called while the builder is open. */
        FUNC_VARARGS(build_results)
        {{
            HPy_ssize_t size = HPyLong_AsSsize_t(ctx, args[1]);
            {b} builder = {b}_New(ctx, size);
            for (HPy_ssize_t i = 0; i < size; i++) {{
                HPy item = HPy_CallTupleDict(ctx, args[0], HPy_NULL, HPy_NULL);
                if (HPy_IsNull(item)) {{
                    {b}_Cancel(ctx, builder);
                    return HPy_NULL;
                }}
                {b}_Set(ctx, builder, i, item);
                HPy_Close(ctx, item);
            }}
            return {b}_Build(ctx, builder);
        }}

        /* Sets the item in every other position, then gives up. */
        FUNC_O(cancel)
        {{
            {b} builder = {b}_New(ctx, 10);
            for (HPy_ssize_t i = 1; i < 10; i += 2)
                {b}_Set(ctx, builder, i, arg);
            {b}_Cancel(ctx, builder);
            return NULL_IF(HPyErr_Occurred(ctx));
        }}

        FUNC_NOARGS(cancel_empty)
        {{
            {b}_Cancel(ctx, {b}_New(ctx, 0));
            {b}_Cancel(ctx, {b}_New(ctx, 5));
            return NULL_IF(HPyErr_Occurred(ctx));
        }}

        /* Cancels while an exception is pending. What is in the builder lives only there. */
        FUNC_O(cancel_with_error)
        {{
            HPy item = HPy_CallTupleDict(ctx, arg, HPy_NULL, HPy_NULL);
            {b} builder = {b}_New(ctx, 2);
            {b}_Set(ctx, builder, 0, item);
            HPy_Close(ctx, item);
            HPyErr_SetString(ctx, ctx->h_LookupError, "pending");
            {b}_Cancel(ctx, builder);
            return HPy_NULL;
        }}

        /* A builder that could not be made: says how it ends if no exception is set before that. */
        FUNC_VARARGS(fail_and_build)
        {{
            {b} builder = {b}_New(ctx, HPyLong_AsSsize_t(ctx, args[0]));
            {b}_Set(ctx, builder, 0, args[1]);
            {b}_Set(ctx, builder, -1, args[1]);
            {b}_Set(ctx, builder, 1000000, args[1]);
            if (HPyErr_Occurred(ctx)) {{
                HPyErr_SetString(ctx, ctx->h_RuntimeError, "too early");
                return HPy_NULL;
            }}
            return {b}_Build(ctx, builder);
        }}
        FUNC_VARARGS(fail_and_cancel)
        {{
            {b} builder = {b}_New(ctx, HPyLong_AsSsize_t(ctx, args[0]));
            {b}_Set(ctx, builder, 0, args[1]);
            {b}_Cancel(ctx, builder);
            return NULL_IF(HPyErr_Occurred(ctx));
        }}
        FUNC_O(fail_with_error)
        {{
            {b} builder = {b}_New(ctx, HPyLong_AsSsize_t(ctx, arg));
            HPyErr_SetString(ctx, ctx->h_LookupError, "pending");
            {b}_Cancel(ctx, builder);
            return HPy_NULL;
        }}
    """)


@pytest.mark.parametrize("size", [0, 1, 2, 20, 21, 5000])
def test_items_are_built_in_the_order_of_their_indices(mod, expected_type, size):
    items = [object() for _ in range(size)]
    for result in (mod.build(*items), mod.build_backwards(*items)):
        assert type(result) is expected_type
        assert list(result) == items


def test_empty_result_is_an_ordinary_object(mod, expected_type):
    assert mod.build() == expected_type()
    assert mod.build() + expected_type("ab") == expected_type("ab")
    assert mod.build() == expected_type()


def test_results_are_separate_objects(mod):
    first, second = mod.build_lists(3), mod.build_lists(3)
    assert first == second
    assert first is not second
    first[0].append(1)
    assert list(second) == [[], [], []]


def test_built_list_can_grow(mod, kind):
    if kind == "List":
        result = mod.build(1, 2)
        result.extend(range(100))
        del result[0]
        assert result == [2, *range(100)]


def test_items_are_kept_when_their_handles_are_closed(mod):
    counts = [sys.getrefcount(result) for result in mod.build_lists(10)]
    assert counts == [sys.getrefcount(item) for item in [object() for _ in range(10)]]


def test_items_are_owned_by_the_result_once(mod):
    item, alone = object(), object()
    before = sys.getrefcount(item)
    result = mod.build(item, item, item)
    assert sys.getrefcount(item) == before + 3
    assert sys.getrefcount(result) == sys.getrefcount(alone)
    del result
    for _ in range(100):
        mod.build(item, item)
    assert sys.getrefcount(item) == before


def test_cycle_through_the_result_is_collected(mod):
    thing = Thing()
    thing.itself = mod.build(thing)
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    assert gone() is None


def test_other_code_may_run_while_the_builder_is_open(mod):
    made = []

    def make():
        gc.collect()
        made.append(mod.build_lists(2))
        return made[-1]

    result = mod.build_results(make, 5)
    assert len(made) == 5
    assert list(result) == made


def test_cancel_lets_the_items_go(mod):
    item = object()
    before = sys.getrefcount(item)
    for _ in range(100):
        assert mod.cancel(item) is None
    assert sys.getrefcount(item) == before


def test_cancel_without_items(mod):
    assert mod.cancel_empty() is None


def test_cancel_after_a_failure_keeps_its_exception(mod):
    made = []

    def make():
        if len(made) == 3:
            raise ZeroDivisionError
        thing = Thing()
        made.append(weakref.ref(thing))
        return thing

    with pytest.raises(ZeroDivisionError):
        mod.build_results(make, 5)
    assert [gone() for gone in made] == [None, None, None]


def test_cancel_keeps_a_pending_exception_while_finalizers_run(mod):
    log = []

    class Last:
        def __del__(self):
            log.append(mod.build(1, 2))
            raise_and_catch()

    def raise_and_catch():
        with pytest.raises(ZeroDivisionError):
            raise ZeroDivisionError

    with pytest.raises(LookupError, match="pending"):
        mod.cancel_with_error(Last)
    assert [list(result) for result in log] == [[1, 2]]


@pytest.fixture(params=[-1, -sys.maxsize - 1, sys.maxsize, sys.maxsize // 16])
def size(request, kind):
    if kind == "List" and request.param > 0 and sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("without the GIL, CPython 3.13 itself destroys its heap when PyList_New has no memory")
    return request.param


@pytest.mark.misuse("a negative size")
def test_size_that_is_impossible_is_reported_by_build(mod, size):
    item = object()
    before = sys.getrefcount(item)
    with pytest.raises(MemoryError):
        mod.fail_and_build(size, item)
    assert sys.getrefcount(item) == before


@pytest.mark.misuse("a negative size")
def test_size_that_is_impossible_is_not_reported_by_cancel(mod, size):
    item = object()
    before = sys.getrefcount(item)
    assert mod.fail_and_cancel(size, item) is None
    assert sys.getrefcount(item) == before
    with pytest.raises(LookupError, match="pending"):
        mod.fail_with_error(size)
