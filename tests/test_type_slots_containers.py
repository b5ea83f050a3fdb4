"""Slots of sequences and mappings: sq_* and mp_* of spec/slots.toml."""

import sys

import pytest
from type_snippets import assert_balanced, slot, type_source

# Each slot leaves a note of its call in the list `calls` of the module; the notes hold what Python passed.
NOTE = """
    static HPyGlobal calls;
    static int note(HPyContext *ctx, const char *format, const char *name, HPy key, HPy value)
    {
        HPy none = ctx->h_None, list = HPyGlobal_Load(ctx, calls);
        HPy entry = HPy_BuildValue(ctx, format, name, key, HPy_IsNull(value) ? none : value);
        int result = HPyList_Append(ctx, list, entry);
        HPy_Close(ctx, entry);
        HPy_Close(ctx, list);
        if (result == 0 && HPy_Is(ctx, value, ctx->h_Ellipsis)) {
            HPyErr_SetString(ctx, ctx->h_LookupError, name);
            return -1;
        }
        return result;
    }
    static int note_index(HPyContext *ctx, const char *name, HPy_ssize_t index, HPy value)
    {
        HPy key = HPyLong_FromSsize_t(ctx, index);
        int result = note(ctx, "sOO", name, key, value);
        HPy_Close(ctx, key);
        return result;
    }
    FUNC_O(set_calls)
    {
        HPyGlobal_Store(ctx, &calls, arg);
        return NONE;
    }
"""
GET_ITEM = """
    if (index < 0 || index > 2)
        return HPyErr_SetString(ctx, ctx->h_IndexError, "out of range");
    return HPyLong_FromSsize_t(ctx, index * 10);
"""
CONTAINERS = NOTE + "".join(
    [
        type_source(
            "Mapping",
            "HPy_ssize_t length;",
            'HPyDef_MEMBER(Mapping_length, "length", HPyMember_HPYSSIZET, offsetof(Mapping, length))\n',
            slot(
                "mp_length",
                """
                HPy_ssize_t length = Mapping_AsStruct(ctx, self)->length;
                if (length < 0)
                    HPyErr_SetString(ctx, ctx->h_LookupError, "length");
                return length;
                """,
                "Mapping_",
            ),
            slot(
                "mp_subscript",
                """
                if (HPy_Is(ctx, other, ctx->h_Ellipsis))
                    return HPyErr_SetString(ctx, ctx->h_KeyError, "gone");
                return HPy_BuildValue(ctx, "sO", "value of", other);
                """,
                "Mapping_",
            ),
            slot(
                "mp_ass_subscript",
                'return note(ctx, "sOO", HPy_IsNull(value) ? "delete" : "set", key, value);',
                "Mapping_",
            ),
        ),
        type_source(
            "Sequence",
            "",
            slot("sq_length", "return 3;", "Sequence_"),
            slot("sq_item", GET_ITEM, "Sequence_"),
            slot(
                "sq_ass_item",
                'return note_index(ctx, HPy_IsNull(value) ? "delete" : "set", index, value);',
                "Sequence_",
            ),
            slot("sq_concat", 'return HPy_BuildValue(ctx, "sOO", "concat", self, other);', "Sequence_"),
            slot("sq_repeat", 'return HPy_BuildValue(ctx, "sOn", "repeat", self, index);', "Sequence_"),
            slot(
                "sq_contains",
                """
                if (HPy_Is(ctx, other, ctx->h_Ellipsis)) {
                    HPyErr_SetString(ctx, ctx->h_LookupError, "contains");
                    return -1;
                }
                return HPyNumber_Check(ctx, other);
                """,
                "Sequence_",
            ),
        ),
        type_source("Unsized", "", slot("sq_item", GET_ITEM, "Unsized_")),
        type_source("Sized", "long length;", slot("sq_length", "return Sized_AsStruct(ctx, self)->length;", "Sized_"),
            'HPyDef_MEMBER(Sized_length, "length", HPyMember_LONG, 0)\n'),
        type_source(
            "Growing",
            "",
            slot("sq_concat", 'return HPy_BuildValue(ctx, "sO", "concat", other);', "Growing_"),
            slot("sq_repeat", 'return HPy_BuildValue(ctx, "sn", "repeat", index);', "Growing_"),
            slot("sq_inplace_concat", 'return HPy_BuildValue(ctx, "sOO", "inplace", self, other);', "Growing_"),
            slot("sq_inplace_repeat", 'return HPy_BuildValue(ctx, "sOn", "inplace", self, index);', "Growing_"),
        ),
        # Both kinds at once: what is asked for decides.
        type_source(
            "Both",
            "",
            slot("sq_item", 'return HPyUnicode_FromString(ctx, "item");', "Both_"),
            slot("mp_subscript", 'return HPyUnicode_FromString(ctx, "subscript");', "Both_"),
            slot("sq_length", "return 1;", "Both_"),
            slot("mp_length", "return 2;", "Both_"),
            slot("sq_concat", 'return HPyUnicode_FromString(ctx, "concat");', "Both_"),
            slot(
                "nb_add",
                """
                if (HPyNumber_Check(ctx, other))
                    return HPyUnicode_FromString(ctx, "add");
                return HPy_Dup(ctx, ctx->h_NotImplemented);
                """,
                "Both_",
            ),
        ),
    ]
)


@pytest.fixture
def mod(snippet):
    return snippet(CONTAINERS)


@pytest.fixture
def calls(mod):
    made = []
    mod.set_calls(made)
    yield made
    mod.set_calls(None)


def test_any_key_gets_a_value_from_a_mapping(mod):
    mapping, key = mod.Mapping(), object()
    assert mapping[key] == ("value of", key)
    assert mapping[-1] == ("value of", -1)
    assert mapping[1:2, ::3] == ("value of", (slice(1, 2), slice(None, None, 3)))
    assert mapping.__getitem__("k") == ("value of", "k")
    with pytest.raises(KeyError, match="gone"):
        mapping[...]


def test_items_of_a_mapping_are_set_and_deleted(mod, calls):
    mapping = mod.Mapping()
    mapping["a"] = 1
    mapping[-1] = None
    mapping[1:2] = 2
    del mapping["a"]
    mapping.__setitem__("b", 3)
    mapping.__delitem__("b")
    assert calls == [
        ("set", "a", 1),
        ("set", -1, None),
        ("set", slice(1, 2), 2),
        ("delete", "a", None),
        ("set", "b", 3),
        ("delete", "b", None),
    ]
    with pytest.raises(LookupError, match="set"):
        mapping["a"] = ...


def test_length_of_a_mapping(mod):
    mapping = mod.Mapping()
    assert (len(mapping), bool(mapping)) == (0, False)
    mapping.length = sys.maxsize
    assert (len(mapping), bool(mapping)) == (sys.maxsize, True)
    mapping.length = -1
    for function in (len, bool):
        with pytest.raises(LookupError, match="length"):
            function(mapping)


def test_items_of_a_sequence(mod):
    sequence = mod.Sequence()
    assert (sequence[0], sequence[2]) == (0, 20)
    assert (sequence[-1], sequence[-3]) == (20, 0)
    for index in (3, -4, sys.maxsize, -sys.maxsize):
        with pytest.raises(IndexError, match="out of range"):
            sequence[index]
    with pytest.raises(IndexError):
        sequence[2**70]
    for key in ("a", slice(1)):
        with pytest.raises(TypeError):
            sequence[key]


def test_a_sequence_is_iterated_until_index_error(mod):
    assert list(mod.Sequence()) == [0, 10, 20]
    assert list(mod.Unsized()) == [0, 10, 20]
    assert list(reversed(mod.Sequence())) == [20, 10, 0]
    assert 10 in mod.Unsized()
    assert 11 not in mod.Unsized()


def test_without_a_length_negative_indices_stay(mod):
    with pytest.raises(IndexError):
        mod.Unsized()[-1]
    with pytest.raises(TypeError):
        len(mod.Unsized())


def test_items_of_a_sequence_are_set_and_deleted(mod, calls):
    sequence = mod.Sequence()
    sequence[1] = "x"
    sequence[-1] = None
    sequence[-5] = 0
    sequence[100] = 1
    del sequence[0]
    del sequence[-2]
    assert calls == [
        ("set", 1, "x"),
        ("set", 2, None),
        ("set", -2, 0),
        ("set", 100, 1),
        ("delete", 0, None),
        ("delete", 1, None),
    ]
    with pytest.raises(LookupError, match="set"):
        sequence[0] = ...
    with pytest.raises(TypeError):
        del sequence[:]


def test_contains(mod):
    sequence = mod.Sequence()
    assert 5 in sequence
    assert "5" not in sequence
    assert sequence.__contains__(1) is True
    with pytest.raises(LookupError, match="contains"):
        ... in sequence


def test_length_of_a_sequence(mod):
    assert len(mod.Sequence()) == 3
    sized = mod.Sized()
    assert (len(sized), bool(sized)) == (0, False)
    sized.length = 2
    assert (len(sized), bool(sized), sized.__len__()) == (2, True, 2)


def test_concatenation_and_repetition(mod):
    sequence = mod.Sequence()
    assert sequence + [1] == ("concat", sequence, [1])
    assert sequence * 3 == ("repeat", sequence, 3)
    assert 3 * sequence == ("repeat", sequence, 3)
    assert sequence * -7 == ("repeat", sequence, -7)
    with pytest.raises(TypeError):
        [1] + sequence
    with pytest.raises(TypeError):
        sequence * "3"
    with pytest.raises(OverflowError):
        sequence * 2**70


def test_inplace_concatenation_and_repetition(mod):
    value = growing = mod.Growing()
    value += "x"
    assert value == ("inplace", growing, "x")
    value = growing
    value *= -2
    assert value == ("inplace", growing, -2)
    assert growing + 1 == ("concat", 1)
    assert growing * 2 == ("repeat", 2)
    value = sequence = mod.Sequence()
    value += "x"
    assert value == ("concat", sequence, "x")
    value = sequence
    value *= 2
    assert value == ("repeat", sequence, 2)


def test_mapping_before_sequence_and_numbers_before_sequences(mod):
    both = mod.Both()
    assert both[0] == "subscript"
    # Without __iter__, iteration uses the sequence.
    assert next(iter(both)) == "item"
    assert both + 1 == "add"
    assert both + "1" == "concat"


def test_a_python_subclass_overrides_and_delegates(mod, calls):
    class Sub(mod.Sequence):
        def __len__(self):
            return super().__len__() + 1

        def __getitem__(self, index):
            return super().__getitem__(index) + 1

        def __setitem__(self, index, value):
            super().__setitem__(index, [value])

        def __contains__(self, item):
            return not super().__contains__(item)

    sub = Sub()
    assert len(sub) == 4
    # A negative index gets the length that the subclass claims.
    assert (sub[1], sub[-2]) == (11, 21)
    sub[0] = 5
    assert calls == [("set", 0, [5])]
    assert (1 in sub, "1" in sub) == (False, True)


def test_references_stay_in_balance(mod, calls):
    key, value, mapping, sequence = object(), object(), mod.Mapping(), mod.Sequence()

    def use():
        mapping[key] = value
        mapping[key]
        del mapping[key]
        sequence[1] = value
        del sequence[1]
        sequence + value
        key in sequence
        calls.clear()

    assert_balanced(use, key, value, mapping, sequence, mod.Mapping)
