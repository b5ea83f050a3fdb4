"""Copies and pickles of instances."""

import copy
import pickle
import sys

import pytest
from type_snippets import GC, assert_balanced, field, method, new, slot, traverse, type_source

TYPES = (
    type_source(
        "Point",
        "long x; HPyField note;",
        slot(
            "tp_new",
            """
            Point *data;
            HPy result;
            long x = 0;
            if (nargs > 0 && (x = HPyLong_AsLong(ctx, args[0])) == -1 && HPyErr_Occurred(ctx))
                return HPy_NULL;
            result = HPy_New(ctx, type, &data);
            if (HPy_IsNull(result))
                return HPy_NULL;
            data->x = x;
            if (nargs > 1)
                HPyField_Store(ctx, result, &data->note, args[1]);
            return result;
            """,
            "Point_",
        ),
        traverse("Point", "note", prefix="Point_"),
        'HPyDef_MEMBER(Point_x, "x", HPyMember_LONG, offsetof(Point, x))\n',
        field("Point", "note"),
        method(
            "__reduce__",
            """
            HPy type = HPy_Type(ctx, self), result, none = ctx->h_None;
            HPy attributes = HPy_HasAttr_s(ctx, self, "__dict__") ? HPy_GetAttr_s(ctx, self, "__dict__") : HPy_NULL;
            HPy note = HPy_GetAttr_s(ctx, self, "note");
            result = HPy_BuildValue(ctx, "O(lO)O", type, Point_AsStruct(ctx, self)->x, note,
                                    HPy_IsNull(attributes) ? none : attributes);
            HPy_Close(ctx, type);
            HPy_Close(ctx, attributes);
            HPy_Close(ctx, note);
            return result;
            """,
        ),
        flags=GC,
    )
    + type_source(
        "State",
        "long x;",
        new("State", "State_"),
        'HPyDef_MEMBER(State_x, "x", HPyMember_LONG, offsetof(State, x))\n',
        method("__getstate__", "return HPyLong_FromLong(ctx, State_AsStruct(ctx, self)->x + 1);"),
        method(
            "__setstate__",
            "long x = HPyLong_AsLong(ctx, arg);\n"
            "if (x == -1 && HPyErr_Occurred(ctx))\n    return HPy_NULL;\n"
            "State_AsStruct(ctx, self)->x = x - 1;\nreturn NONE;",
            "O",
        ),
        method(
            "__copy__",
            "State *data;\nHPy type = HPy_Type(ctx, self), result = HPy_New(ctx, type, &data);\n"
            "data->x = -State_AsStruct(ctx, self)->x;\nHPy_Close(ctx, type);\nreturn result;",
        ),
    )
    + type_source("Struct", "long x;")
    + type_source("Structless", "")
)
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.fixture
def mod(snippet, monkeypatch):
    mod = snippet(TYPES)
    monkeypatch.setitem(sys.modules, "mod", mod)
    return mod


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickles(mod, protocol):
    note = {"key": [1, 2, 3]}
    point = pickle.loads(pickle.dumps(mod.Point(5, note), protocol))
    assert type(point) is mod.Point
    assert (point.x, point.note) == (5, note)
    assert point.note is not note


def test_pickles_keep_what_is_shared(mod):
    shared = []
    first, second, again = pickle.loads(pickle.dumps([mod.Point(1, shared), mod.Point(2, shared)] * 2))[:3]
    assert first.note is second.note
    assert again is first


def test_copies(mod):
    note = []
    point = mod.Point(5, note)
    shallow, deep = copy.copy(point), copy.deepcopy(point)
    assert shallow.note is note
    assert deep.note == note and deep.note is not note
    assert (type(shallow), type(deep), shallow.x, deep.x) == (mod.Point, mod.Point, 5, 5)


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_state(mod, protocol):
    state = mod.State()
    state.x = 5
    made = state.__reduce_ex__(protocol)
    assert made[:3] == (made[0], (mod.State,), 6)
    copied = mod.State.__new__(mod.State)
    copied.__setstate__(6)
    assert copied.x == 5
    assert copy.copy(state).x == -5


def test_a_struct_that_nobody_reduces_cannot_be_pickled(mod):
    # The oldest protocols would make an empty instance.
    for protocol in PROTOCOLS[2:]:
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(mod.Struct(), protocol)
    with pytest.raises(TypeError, match="pickle"):
        copy.copy(mod.Struct())


def test_instances_without_a_struct_are_pickled_like_objects(mod):
    for protocol in PROTOCOLS:
        assert type(pickle.loads(pickle.dumps(mod.Structless(), protocol))) is mod.Structless
    assert type(copy.deepcopy(mod.Structless())) is mod.Structless


def test_types_are_pickled_by_name(mod):
    assert pickle.loads(pickle.dumps(mod.Point)) is mod.Point
    assert copy.deepcopy(mod.Point) is mod.Point


class Anchor:
    """Where pickle finds the subclass of a test."""


@pytest.mark.differs("0.9.0 takes the head of an instance of a Python subclass for its struct")
def test_subclasses_in_python(mod, monkeypatch):
    class Sub(mod.Point):
        pass

    Sub.__qualname__ = "Anchor.Sub"
    monkeypatch.setattr(Anchor, "Sub", Sub, raising=False)
    sub = Sub(5, "note")
    sub.attribute = ["attribute"]
    copies = [copy.copy(sub), copy.deepcopy(sub), *(pickle.loads(pickle.dumps(sub, each)) for each in PROTOCOLS)]
    for copied in copies:
        assert type(copied) is Sub
        assert (copied.x, copied.note, copied.attribute) == (5, "note", ["attribute"])
    assert copies[0].attribute is sub.attribute
    assert copies[1].attribute is not sub.attribute


def test_copies_stay_in_balance(mod):
    point, note = mod.Point(5), object()
    point.note = note

    def use():
        copy.copy(point)
        pickle.dumps(mod.Point(1, [point.x]))

    assert_balanced(use, point, note, mod.Point)
