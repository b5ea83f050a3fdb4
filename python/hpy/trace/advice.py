"""Patterns that are known to be slow, found in a recording."""

from .rows import rows

#: So often something has to happen to be worth a word.
MANY = 100

#: Functions of the API that have a quicker twin for the same name again and again.
OBJECT_NAMES = {
    "HPy_GetAttr_s": "HPy_GetAttr",
    "HPy_HasAttr_s": "HPy_HasAttr",
    "HPy_SetAttr_s": "HPy_SetAttr",
    "HPy_GetItem_s": "HPy_GetItem",
    "HPy_SetItem_s": "HPy_SetItem",
    "HPy_DelItem_s": "HPy_DelItem",
}

NUMBERS = ("HPyLong_FromSsize_t", "HPyLong_FromSize_t", "HPyLong_FromInt64_t", "HPyLong_FromInt32_t")


class Function:
    """What one function of an extension does with the API."""

    def __init__(self, name):
        self.name = name
        self.calls = 0
        #: a row for each place in C that calls a function of the API
        self.sites = []

    def many(self, *names):
        """The sites that call one of these often."""
        return [site for site in self.sites if site.name in names and site.calls >= MANY]

    def calls_of(self, *names):
        return sum(site.calls for site in self.sites if site.name in names)


def functions_of(recording):
    functions = {}
    for row in rows(recording, "function"):
        functions.setdefault(row.name, Function(row.name)).calls += row.calls
    for row in rows(recording, "api"):
        if row.caller:
            functions[row.caller].sites.append(row)
    return functions.values()


# Each pattern gives sites, what is to be said of them, and how long it took in nanoseconds.


def names_in_c(function):
    for site in function.many(*OBJECT_NAMES):
        name = f" (first '{site.text}')" if site.text else ""
        yield site, (
            f"makes a str of the name each time{name}. Make it once, with HPyUnicode_FromString where the module is initialised, keep it "
            f"in an HPyGlobal, and use {OBJECT_NAMES[site.name]}."
        ), site.total_time


def lists_by_append(function):
    if function.calls_of("HPyList_New"):
        for site in function.many("HPyList_Append"):
            yield site, (
                "builds a list item by item, which makes room for it again and again. Where the length is known, use HPyListBuilder_New, "
                "HPyListBuilder_Set and HPyListBuilder_Build."
            ), site.total_time


def calls_with_tuples(function):
    for site in function.many("HPy_CallTupleDict"):
        yield site, "needs a tuple for the arguments. HPy_Call takes them in an array, without one.", site.total_time


def indices_as_objects(function):
    indices = function.calls_of(*NUMBERS)
    for site in function.many("HPy_GetItem"):
        if indices >= site.calls:
            yield site, (
                f"is called beside {indices:,} calls that make numbers. If these are indices: HPy_GetItem_i takes them as they are in C."
            ), site.total_time


def globals_in_loops(function):
    for site in function.many("HPyGlobal_Load"):
        if site.calls >= 10 * function.calls:
            yield site, (
                f"is called {site.calls // max(function.calls, 1):,} times in each call of the function. Load it once, before the loop."
            ), site.total_time


def exceptions_cleared(function):
    for site in function.many("HPyErr_Clear"):
        raising = max(function.sites, key=lambda each: each.raised)
        by = f", mostly that of {raising.name}" if raising.raised else ""
        by += f" ({raising.place})" if by and raising.place else ""
        yield site, (
            f"throws an exception away{by}. Making one takes long: ask first (HPy_Contains, HPy_TypeCheck, HPyNumber_Check), or have Python's "
            "own function with a default do it."
        ), site.total_time + (raising.total_time if raising.raised else 0)


PATTERNS = [names_in_c, lists_by_append, calls_with_tuples, indices_as_objects, globals_in_loops, exceptions_cleared]


class Advice:
    """What is slow, where, and what to do instead."""

    def __init__(self, site, text, time):
        self.site = site
        self.text = text
        #: How long these calls took in all, in nanoseconds: more than can be saved.
        self.time = time


def advice(recording):
    """A list of `Advice`, what takes longest first."""
    functions = functions_of(recording)
    found = [Advice(*each) for function in functions for pattern in PATTERNS for each in pattern(function)]
    return sorted(found, key=lambda each: each.time, reverse=True)
