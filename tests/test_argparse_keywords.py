"""Arguments with keywords as C values: HPyArg_ParseKeywords and HPyArg_ParseKeywordsDict, which are in
include/hpy/runtime/argparse.h. What the units do is in test_argparse.py."""

import sys

import pytest
from argument_slots import NULL, OPTIONAL, PARSING, UNITS, UNTOUCHED, encoded
from raising import failure


class Parser:
    """Calls one of the two functions, with a tracker or without."""

    def __init__(self, mod, with_dict):
        self.mod = mod
        self.with_dict = with_dict

    def __call__(self, fmt, names, *args, **kwargs):
        return self.call(fmt, names, args, kwargs)

    def untracked(self, fmt, names, *args, **kwargs):
        return self.call(fmt, names, args, kwargs, tracked=False)

    def call(self, fmt, names, args, kwargs, tracked=True):
        """Without keyword arguments they are null; `kwargs` can also be an object that is passed on as it is."""
        if isinstance(kwargs, dict) and not self.with_dict:
            kwargs = tuple(kwargs), tuple(kwargs.values())
        elif not kwargs:
            kwargs = None
        if not self.with_dict:
            kwargs = (kwargs[0] or None, kwargs[1])
        names = tuple(names.split(",")) if isinstance(names, str) else names
        return self.mod.keywords(encoded(fmt), names, args, kwargs, self.with_dict, tracked)


@pytest.fixture(params=[False, True], ids=["names", "dict"])
def parse(snippet, request):
    """parse(format, "name,name", *arguments, **keyword arguments): the variables, as a tuple."""
    return Parser(snippet(PARSING), request.param)


@pytest.fixture
def parse_names(snippet):
    return Parser(snippet(PARSING), False)


@pytest.fixture
def parse_dict(snippet):
    return Parser(snippet(PARSING), True)


def test_arguments_by_position_and_by_keyword(parse):
    for kwargs in ({}, {"c": 3}, {"b": 2, "c": 3}, {"c": 3, "b": 2}, {"c": 3, "a": 1, "b": 2}):
        args = [value for name, value in (("a", 1), ("b", 2), ("c", 3)) if name not in kwargs]
        assert parse("lOd", "a,b,c", *args, **kwargs) == (1, 2, 3.0)


@pytest.mark.differs("0.9.0: does not name the argument")
@pytest.mark.parametrize("count", [*range(6), 14, 15, 16, 17, 20])
def test_objects_by_position_and_by_keyword(parse, count):
    names = tuple("abcdefghijklmnopqrst"[:count])
    values = [[name] for name in names]
    wrong = {"z": 0, "aa": 0, "": 0}
    for positional in range(count + 1):
        given = dict(zip(names[positional:], values[positional:]))
        backwards = dict(reversed(given.items()))
        for end in ("", ":name", ";message"):
            assert parse("O" * count + end, names, *values[:positional], **given) == tuple(values)
        for kwargs in (backwards, {**wrong, **given}, {**backwards, **wrong}):
            assert parse("O" * count, names, *values[:positional], **kwargs) == tuple(values)
        rest = "O" * (count - positional)
        expected = (*values[:positional], *[NULL] * len(rest))
        for mark in ("|", "$", "|$", "$|", "||"):
            fmt = "O" * positional + mark + rest
            assert parse(fmt, names, *values[:positional], **given) == tuple(values)
            assert parse(fmt, names, *values[:positional], **wrong) == expected
            if rest:
                last = {names[-1]: values[-1]}
                assert parse(fmt, names, *values[:positional], **last) == (*expected[:-1], values[-1])
        if rest:
            del given[names[-1]]
            missing = TypeError, "name() no value for required argument" + (f" '{names[-1]}'" if given else "")
            assert failure(parse, "O" * count + ":name", names, *values[:positional], **given) == missing
            named = TypeError, f"function no value for required argument '{names[-1]}'"
            assert failure(parse, "O" * count, names, *values[:positional], **given) == named


def test_no_parameters(parse):
    for fmt in ("", ":name", ";message", "|", "|$:name"):
        assert parse(fmt, ()) == ()
        assert parse.untracked(fmt, ()) == ()


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_takes_a_keyword_argument(parse, unit):
    value, expected = ("text", "text") if unit == "s" else (1, 1)
    assert parse(unit, "a", a=value) == (expected,)
    assert parse("|l$O" + unit + ":name", "a,b,c", c=value) == (7, NULL, expected)


@pytest.mark.parametrize("unit", OPTIONAL)
def test_missing_optional_argument_leaves_the_variable_alone(parse, unit):
    for mark in ("|", "$", "|$"):
        assert parse(mark + unit, "a") == (UNTOUCHED[unit],)
        assert parse(mark + unit, "a", b=1) == (UNTOUCHED[unit],)
        assert parse(mark + unit + "l", "a,b", b=1) == (UNTOUCHED[unit], 1)
    assert parse("l|" + unit, "a,b", 1, NULL) == (1, UNTOUCHED[unit])


@pytest.mark.differs("0.9.0: does not name the argument")
@pytest.mark.parametrize("unit", UNITS)
def test_missing_argument(parse, unit):
    expected = (TypeError, "function no value for required argument 'a'")
    assert failure(parse, unit, "a") == expected
    assert failure(parse, unit, "a", NULL) == expected
    assert failure(parse, unit, "a", b=1) == expected
    assert failure(parse, "O" + unit + "|O:name", "a,b,c", 1, c=1) == (
        TypeError,
        "name() no value for required argument 'b'",
    )


@pytest.mark.differs("0.9.0: does not name the argument")
def test_a_note_names_what_is_missing_behind_positional_arguments(parse):
    for fmt in ("ll:name", "OO:name"):
        with pytest.raises(TypeError) as caught:
            parse(fmt, "a,größe", 1)
        # To the letter that of 0.9.
        assert str(caught.value) == "name() no value for required argument"
        if sys.version_info >= (3, 11):
            assert caught.value.__notes__ == ["The argument 'größe' is missing."]


@pytest.mark.differs("0.9.0: does not name the argument")
def test_null_among_keyword_arguments_is_missing(parse_names):
    assert parse_names("|lO", "a,b", a=NULL, b=NULL) == (7, NULL)
    expected = (TypeError, "function no value for required argument 'a'")
    assert failure(parse_names, "l", "a", a=NULL) == expected


def test_optional_arguments_can_be_left_out_anywhere(parse):
    assert parse("l|lll", "a,b,c,d", 1, c=3) == (1, 7, 3, 7)
    assert parse("l|lll", "a,b,c,d", 1, NULL, 3) == (1, 7, 3, 7)
    assert parse("|l|l$l$l|", "a,b,c,d", d=4, b=2) == (7, 2, 7, 4)


def test_keyword_only_arguments(parse):
    assert parse("l$ll", "a,b,c", 1, c=3) == (1, 7, 3)
    assert parse("l|l$l", "a,b,c", a=1, c=3) == (1, 7, 3)
    assert parse("$l", "a", a=1) == (1,)
    expected = (TypeError, "function keyword only argument passed as positional argument")
    assert failure(parse, "l$l", "a,b", 1, 2) == expected
    assert failure(parse, "|l$l", "a,b", 1, 2, b=2) == expected
    assert failure(parse, "$l", "a", NULL) == expected
    assert failure(parse, "O$O", "a,b", 1, 2) == expected
    assert failure(parse, "|O$O", "a,b", 1, 2, b=2) == expected
    assert failure(parse, "$O", "a", NULL) == expected
    assert parse("O$", "a", 1, 2) == (1,)


def test_positional_only_arguments(parse):
    assert parse("lll", ("", "", "c"), 1, 2, 3) == (1, 2, 3)
    assert parse("ll|l", ("", "", "c"), 1, 2, c=3) == (1, 2, 3)
    assert parse("|ll", ("", "b"), b=2) == (7, 2)
    assert parse("|l", ("",), **{"": 1}) == (7,)
    assert parse("OO|O", ("", "", "c"), 1, 2, c=3) == (1, 2, 3)
    assert parse("|OO", ("", "b"), b=2, **{"": 1}) == (NULL, 2)
    assert failure(parse, "l", ("",), **{"": 1}) == (TypeError, "function no value for required argument")


def test_names_in_any_script(parse):
    for unit in "lO":
        for names in ("größe,名前", "name,größe", "größe,name", "n,ñ"):
            first, second = names.split(",")
            assert parse(unit * 2, names, **{second: 2, first: 1}) == (1, 2)
            assert parse(unit * 2, names, **{first: 1, second: 2}) == (1, 2)
            assert parse(unit + "|" + unit, names, **{first: 1})[0] == 1


def test_what_no_parameter_has_is_ignored(parse):
    assert parse("l", "a", 1, 2, 3) == (1,)
    assert parse("l", "a", a=1, b=2, A=3) == (1,)
    assert parse("l|l", "a,b", 1, a=5) == (1, 7)
    assert parse("O", "a", 1, 2, 3) == (1,)
    assert parse("O", "ab", ab=1, b=2, AB=3, a=4, abc=5) == (1,)
    assert parse("O|O", "a,b", 1, a=5) == (1, NULL)
    assert parse("", (), 1, x=2) == ()


def test_names_given_may_be_any_objects(parse):
    if parse.with_dict:
        given = {1: 1, None: 2, b"a": 3, "a": 4}
    else:
        given = (1, None, b"a", "a"), (1, 2, 3, 4)
    assert parse.call("l", "a", (), given) == (4,)
    assert parse.call("O", "a", (), given) == (4,)


def test_arguments_come_in_the_order_of_the_units(parse):
    names = "abcdefghijklmnopqrst"
    for n in range(15, 21):
        values = range(n)
        by_keyword = dict(zip(names, values))
        assert parse("l" * n, tuple(names[:n]), **by_keyword) == tuple(values)
        assert parse("l" * n, tuple(names[:n]), *values) == tuple(values)
    assert parse("sOdlpKfnsOdlpKfnsOdl", tuple(names), *("text", None, 0.5, -1, "", 2**64 - 1, 0.25, -2) * 2, q="x",
                 t=1, s=2, r=3) == (*("text", None, 0.5, -1, 0, 2**64 - 1, 0.25, -2) * 2, "x", 3, 2.0, 1)  # fmt: skip


@pytest.mark.misuse("format strings that are wrong")
def test_format_and_names_of_different_lengths(parse):
    few = "function mismatched args (too few keywords for fmt)"
    many = "function mismatched args (too many keywords for fmt)"
    assert failure(parse, "lll", "a,b") == (TypeError, few)
    assert failure(parse, "lll", "a,b", 1, 2) == (TypeError, few)
    assert failure(parse, "lll", "a,b", 1, 2, 3) == (TypeError, few)
    assert failure(parse, "|l$l", "a") == (TypeError, few)
    assert failure(parse, "l", ()) == (TypeError, few)
    assert failure(parse, "l", "a,b", 1) == (TypeError, many)
    assert failure(parse, "l", "a,b", 1, b=1) == (TypeError, many)
    assert failure(parse, "", "a") == (TypeError, many)
    assert failure(parse, "OOO", "a,b", 1, 2) == (TypeError, few)
    assert failure(parse, "O|$O", "a", 1) == (TypeError, few)
    assert failure(parse, "O", "a,b", 1) == (TypeError, many)
    assert failure(parse, "O", "a,b", a=1, b=1) == (TypeError, many)


@pytest.mark.misuse("format strings that are wrong")
def test_empty_names_come_first(parse):
    expected = (SystemError, "name() empty keyword parameter name")
    for names in (("a", ""), ("", "b", ""), ("a", "", "c")):
        assert failure(parse, "lll:name", names, 1, 2, 3) == expected
        assert failure(parse.untracked, "lll:name", names, 1, 2, 3) == expected
        assert failure(parse, "OOO:name", names, 1, 2, 3) == expected


@pytest.mark.differs("0.9.0: crashes")
def test_no_names(parse):
    assert failure(parse, "l", None, 1) == (SystemError, "function got no list of keyword names")
    assert failure(parse, "", None)[0] is SystemError


@pytest.mark.differs("0.9.0: crashes")
@pytest.mark.misuse("format strings that are wrong")
def test_no_format(parse):
    assert failure(parse, None, "a", 1)[0] is SystemError


@pytest.mark.differs("0.9.0: finds it when it gets there, and does not name it")
@pytest.mark.misuse("format strings that are wrong")
def test_units_that_do_not_exist(parse):
    for byte in set(range(1, 256)) - set(b"".join(map(str.encode, UNITS))) - set(b"|$:;"):
        unit = bytes([byte])
        for fmt, names, args in ((unit, "a", (1,)), (b"|" + unit, "a", ()), (b"O$" + unit + b"O", "a,b,c", (1,))):
            kind, text = failure(parse, fmt, names, *args)
            assert kind is SystemError and ("unknown arg format code" in text or "which HPy does not have" in text), byte
    assert failure(parse, "Z:name", "a", 1) == (SystemError, "name() unknown arg format code")


@pytest.mark.differs("0.9.0: KeyError, which stays for the next caller")
def test_a_dict_in_place_of_names(snippet):
    mod = snippet("""
        typedef struct { HPyField first; } Pair;
        HPyType_HELPERS(Pair)
        HPyDef_SLOT(Pair_new, HPy_tp_new)
        static HPy Pair_new_impl(HPyContext *ctx, HPy cls, const HPy *args, HPy_ssize_t nargs, HPy kw)
        {
            static const char *names[] = { "a", "b", "c", NULL };
            HPyTracker ht;
            HPy a = HPy_NULL, b = HPy_NULL;
            long c = 7;
            HPy result = HPy_NULL;
            if (HPyArg_ParseKeywords(ctx, &ht, args, nargs, kw, "O|Ol:Pair", names, &a, &b, &c)) {
                result = HPy_BuildValue(ctx, "OOl", a, HPy_IsNull(b) ? ctx->h_None : b, c);
                HPyTracker_Close(ctx, ht);
            }
            return result;
        }
        HPyDef_SLOT(Objects_new, HPy_tp_new)
        static HPy Objects_new_impl(HPyContext *ctx, HPy cls, const HPy *args, HPy_ssize_t nargs, HPy kw)
        {
            static const char *names[] = { "a", "b", NULL };
            HPyTracker ht;
            HPy a, b, result = HPy_NULL;
            if (HPyArg_ParseKeywords(ctx, &ht, args, nargs, kw, "OO", names, &a, &b)) {
                result = HPy_BuildValue(ctx, "OO", a, b);
                HPyTracker_Close(ctx, ht);
            }
            return result;
        }
        static HPyDef *Pair_defines[] = { &Pair_new, NULL };
        static HPyType_Spec Pair_spec = { .name = "mod.Pair", .basicsize = sizeof(Pair), .builtin_shape = SHAPE(Pair),
                                          .defines = Pair_defines };
        static HPyDef *Objects_defines[] = { &Objects_new, NULL };
        static HPyType_Spec Objects_spec = { .name = "mod.Objects", .defines = Objects_defines };
        HPyDef_SLOT(fill, HPy_mod_exec)
        static int fill_impl(HPyContext *ctx, HPy mod)
        {
            return HPyHelpers_AddType(ctx, mod, "Pair", &Pair_spec, NULL)
                && HPyHelpers_AddType(ctx, mod, "Objects", &Objects_spec, NULL) ? 0 : -1;
        }
    """)
    assert mod.Pair(1) == (1, None, 7)
    assert mod.Pair(a=1) == (1, None, 7)
    assert mod.Pair(1, c=3, b="two") == (1, "two", 3)
    assert mod.Pair(b=[], a={}, c=3) == ({}, [], 3)
    assert mod.Objects(1, b=2) == (1, 2)
    assert mod.Objects(b=1, a=2) == (2, 1)
    assert failure(mod.Pair, b=1) == (TypeError, "Pair() no value for required argument 'a'")
    assert failure(mod.Objects, 1) == (TypeError, "function no value for required argument 'b'")


@pytest.mark.misuse("format strings that are wrong")
def test_objects_need_a_tracker(parse):
    text = (
        "HPyArg_ParseKeywords cannot use the format character 'O' unless an HPyTracker is provided. "
        "Please supply an HPyTracker."
    )
    assert failure(parse.untracked, "O", "a", 1) == (SystemError, f"function {text}")
    assert failure(parse.untracked, "l|O:name", "a,b", 1) == (SystemError, f"name() {text}")
    assert failure(parse.untracked, "O;message", "a", 1) == (SystemError, "message")
    assert parse.untracked("ls|d", "a,b,c", 1, b="text") == (1, "text", 7.0)


@pytest.mark.differs("0.9.0: does not name the argument")
@pytest.mark.parametrize(
    "fmt, expected",
    [
        ("l", "function no value for required argument 'a'"),
        ("l:name", "name() no value for required argument"),
        ("l:", "() no value for required argument"),
        ("l:a;b", "a;b() no value for required argument"),
        ("l;a message: b", "a message: b"),
        ("l:" + "n" * 300, "n" * 200 + "() no value for required argument"),
        ("l;" + "m" * 600, "m" * 511),
    ],
)
def test_format_says_what_messages_say(parse, fmt, expected):
    assert failure(parse, fmt, "a") == (TypeError, expected)


def test_conversion_that_fails(parse):
    assert failure(parse, "lh:name", "a,b", 1, b=2**15) == (
        OverflowError,
        "name() signed short integer is greater than maximum",
    )
    assert failure(parse, "s", "a", a=1) == (TypeError, "function a str is required")
    assert failure(parse, "s", "a", a="\0") == (ValueError, "function embedded null character")
    with pytest.raises(TypeError):
        parse("|l$d", "a,b", b="x")


def test_names_given_without_a_length(parse_names):
    expected = (SystemError, "name() could not retrieve length of keyword names tuple")
    assert failure(parse_names.call, "l:name", "a", (1,), (5, ())) == expected


@pytest.mark.differs("0.9.0: names that don't compare are equal, and the exception stays pending")
def test_names_are_compared_by_their_text(parse_names):
    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            raise LookupError("not today")

    for unit in "lO":
        assert parse_names.call(unit, "a", (), ((Name("a"),), (1,))) == (1,)
        assert parse_names.call("|" + unit, "a", (), ((Name("b"),), (1,))) == parse_names.call("|" + unit, "a", (), ((), ()))


@pytest.mark.differs("0.9.0: does not name the argument")
def test_names_without_a_text_are_asked(parse_names):
    class Name:
        def __eq__(self, other):
            if other == "b":
                raise LookupError("not today")
            return other == "a"

    missing = TypeError, "function no value for required argument 'a'"
    for unit in "lO":
        assert parse_names.call(unit, "a", (), ((Name(),), (1,))) == (1,)
        assert failure(parse_names.call, unit, "b", (), ((Name(),), (1,))) == (LookupError, "not today")
        for name in (5, None, "\ud800", "a\0", "\0", "a\0a", "", "aa"):
            assert failure(parse_names.call, unit, "a", (), ((name,), (1,))) == missing


def test_keywords_in_any_order(parse):
    for names in ("a,b,c", "c,b,a", "b,c,a"):
        expected = parse("lll", names, *(dict(a=1, b=2, c=3)[name] for name in names.split(",")))
        for given in ("abc", "acb", "bac", "bca", "cab", "cba"):
            assert parse("lll", names, **{name: " abc".index(name) for name in given}) == expected


def test_dict_is_asked_as_python_does(parse_dict):
    class Counting(dict):
        def __missing__(self, key):
            if key == "none":
                raise KeyError(key)
            return len(key)

    assert parse_dict.call("l|ll", "abc,none,here", (), Counting(here=5)) == (3, 7, 5)


@pytest.mark.differs("0.9.0: clears the exception, and the argument is missing")
def test_dict_that_fails(parse_dict):
    class Failing(dict):
        def __getitem__(self, key):
            raise LookupError("not today")

    assert failure(parse_dict.call, "|l", "a", (), Failing(a=1)) == (LookupError, "not today")
    with pytest.raises(TypeError):
        parse_dict.call("|l", "a", (), 5)


@pytest.mark.differs("0.9.0: reads beyond the array")
@pytest.mark.misuse("format strings that are wrong")
def test_negative_number_of_arguments(snippet):
    mod = snippet("""
        FUNC_NOARGS(f)
        {
            static const char *names[] = { "a", NULL };
            long a;
            return NULL_IF(!HPyArg_ParseKeywordsDict(ctx, NULL, NULL, -1, HPy_NULL, "l", names, &a));
        }
    """)
    assert failure(mod.f)[0] is SystemError


@pytest.mark.differs("0.9.0: does not name the argument")
def test_argument_taken_out_of_the_dict_by_a_conversion(parse_dict):
    class Thief:
        def __index__(self):
            given.clear()
            return 5

    given = {"a": Thief(), "b": 2}
    assert parse_dict.call("l|l", "a,b", (), given) == (5, 7)
    given = {"a": Thief(), "b": 2}
    assert failure(parse_dict.call, "ll", "a,b", (), given) == (TypeError, "function no value for required argument 'b'")


@pytest.mark.differs("0.9.0: the text is gone with its argument")
def test_text_lives_as_long_as_the_tracker(parse_dict):
    class Fresh(dict):
        def __missing__(self, key):
            return "".join([key, " is not here"] * 50)

    expected = ("a is not here" * 50, "b is not here" * 50, "c is not here" * 50)
    assert parse_dict.call("sss", "a,b,c", (), Fresh(x=1)) == expected


def test_objects_live_as_long_as_the_tracker(parse_dict):
    class Fresh(dict):
        def __missing__(self, key):
            return [key, object]

    assert parse_dict.call("OO", "a,b", (), Fresh(x=1)) == (["a", object], ["b", object])


FORMATS = ["O", "OO", "O|O", "|O$O", "Ol", "lO", "OZ", "OOO", "O;message"]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.misuse("format strings that are wrong")
def test_parsing_keeps_no_reference(parse, fmt):
    objects = [object(), object(), "".join(["a new ", "str"])]
    a, b, c = objects
    calls = [((a, b), {}), ((a,), {"b": b}), ((), {"b": a, "a": b}), ((), {"b": c, "c": a}), ((a, b, c), {"b": c})]
    before = [sys.getrefcount(it) for it in objects]
    for args, kwargs in calls * 20:
        for call in (parse, parse.untracked):
            try:
                call(fmt, "a,b", *args, **kwargs)
            except (TypeError, SystemError):
                pass
    args = kwargs = None
    assert [sys.getrefcount(it) for it in objects] == before


@pytest.mark.differs("0.9.0: does not name the argument")
def test_function_that_parses_its_own_arguments(snippet):
    mod = snippet("""
        FUNC_KEYWORDS(f)
        {
            static const char *names[] = { "", "mapping", "key", NULL };
            HPyTracker ht;
            HPy factory, mapping, key = HPy_NULL, result = HPy_NULL;
            if (!HPyArg_ParseKeywords(ctx, &ht, args, nargs, kwnames, "OO$O:f", names, &factory, &mapping, &key))
                return HPy_NULL;
            if (HPy_IsNull(key))
                result = HPy_Length(ctx, mapping) < 0 ? HPy_NULL : HPy_Dup(ctx, mapping);
            else
                result = HPy_GetItem(ctx, mapping, key);
            HPyTracker_Close(ctx, ht);
            return result;
        }
    """)
    assert mod.f(None, {1: "one"}, key=1) == "one"
    assert mod.f(None, mapping=[5]) == [5]
    assert failure(mod.f, None, key=1) == (TypeError, "f() no value for required argument 'mapping'")
    assert failure(mod.f, None, {}, 1) == (TypeError, "f() keyword only argument passed as positional argument")
