"""What is measured: each operation is a statement that a loop repeats."""

from dataclasses import dataclass
from itertools import repeat
from textwrap import indent

# Expressions for what the statements use; they see the variant's module as `ops`, and what stands here.
SHARED = """
class Holder:
    def __init__(self):
        self.value = 1000

    def take(self, arg):
        return arg

def same(arg):
    return arg

ERROR = ValueError("no")

def fails():
    raise ERROR
"""


@dataclass(frozen=True)
class Operation:
    name: str
    label: str
    group: str
    # What the statement uses, as `variable=expression`; the expressions see `ops`, the variant's module.
    variables: dict
    statement: str
    # True in every variant, or they would not do the same.
    check: str
    # How often the statement stands in the loop's body.
    unroll: int = 10
    # Whether it is one call from the interpreter into the extension, for which the target counts instructions.
    entry: bool = False
    # Creates objects that the garbage collector tracks, so that it has to be on.
    collects: bool = False
    # The function or type it needs, if variants may be without it.
    needs: str = ""


def call(name, label, check="", arguments="", entry=True, unroll=10, collects=False, **variables):
    """An operation that calls the function of its own name."""
    names = arguments or ", ".join(variables)
    statement = f"f({names})"
    variables = {"f": f"ops.{name}", **variables}
    check = check.replace("@", statement)
    return Operation(name, label, "", variables, statement, check, unroll, entry, collects, name)


def on(kind, name, label, statement, check, entry=True, collects=False, arguments="", **variables):
    """An operation on an instance of a type."""
    return Operation(
        name, label, "", {"p": f"ops.{kind}({arguments})", **variables}, statement, check, 10, entry, collects, kind
    )


def point(name, label, statement, check, entry=True, **variables):
    return on("Point", name, label, statement, check, entry, arguments="3.0, 4.0", **variables)


ITEMS = "list(range(1000, 1100))"
CATCH = "try:\n    f()\nexcept ValueError:\n    pass"

GROUPS = {
    "calls": [
        call("noargs", "f()", "@ is None"),
        call("onearg", "f(a)", "@ is a", a="1000"),
        call("threeargs", "f(a, b, c)", "@ is c", a="1000", b="1001", c="1002"),
        call("anykeywords", "f(a, b=b, c=c), names ignored", "@ is a", "a, b=b, c=c", a="1000", b="1001", c="1002"),
        call("keywords", "f(a, b=b, c=c)", "@ is c", "a, b=b, c=c", entry=False, a="1000", b="1001", c="1002"),
        call(
            "format_keywords", "f(a, b=b, c=c), by format string", "@ is c", "a, b=b, c=c",
            entry=False, a="1000", b="1001", c="1002",
        ),
        point("method_noargs", "p.norm()", "p.norm()", "p.norm() == 25.0"),
        point("method_onearg", "p.scale(a)", "p.scale(a)", "p.scale(a) is None", a="1.0"),
        on("Echo", "call_slot", "e(a)", "p(a)", "p(a) is a", a="1000"),
    ],
    "values": [
        call("add_int", "int to C and back", "@ == 100001", a="100000", entry=False),
        call("add_float", "float to C and back", "@ == 2.5", a="1.5", entry=False),
        call("copy_str", "str to C and back", "@ == a", a="'a text of some length'", entry=False),
    ],
    "containers": [
        call("list_index", "sum of list of 100, by index", "@ == 104950", a=ITEMS, entry=False, unroll=1),
        call("list_iterate", "sum of list of 100, iterated", "@ == 104950", a=ITEMS, entry=False, unroll=1),
        call("list_build", "list of 10 built", "@ == [a] * 10", a="1000", entry=False, collects=True),
        call("tuple_build", "tuple of 3 built", "@ == (a, a, a)", a="1000", entry=False, collects=True),
        call(
            "dict_build", "dict of 10 built", "@ == dict(zip(a, a))",
            a="tuple(f'key{i}' for i in range(10))", entry=False, unroll=5, collects=True,
        ),
        call("dict_lookup", "dict lookup", "@ == 7", d="{f'key{i}': i for i in range(10)}", key="'key7'", entry=False),
    ],
    "Python objects": [
        call("attr_get", "attribute read", "@ == 1000", o="Holder()", entry=False),
        call("attr_get_string", "attribute read, by C string", "@ == 1000", o="Holder()", entry=False),
        call("attr_set", "attribute set", "@ is None", o="Holder()", a="1000", entry=False),
        call("call_back", "Python function called from C", "@ is a", g="same", a="1000", entry=False),
        call("call_method", "Python method called from C", "@ is a", o="Holder()", a="1000", entry=False),
    ],
    "exceptions": [
        Operation(
            "raise_error", "raised in C, caught in Python", "", {"f": "ops.raise_error"}, CATCH,
            "raises(f)", 5, False, False, "raise_error",
        ),
        call("clear_error", "raised in Python, cleared in C", "@ is None", g="fails", entry=False, unroll=5),
    ],
    "objects": [
        Operation("new_small", "Small()", "", {"T": "ops.Small"}, "T()", "type(T()) is T", needs="Small"),
        Operation(
            "new_point", "Point(x, y)", "", {"T": "ops.Point", "x": "1.0", "y": "2.0"}, "T(x, y)",
            "T(x, y).x == 1.0", needs="Point",
        ),
        Operation(
            "new_node", "Node(a), collected", "", {"T": "ops.Node", "a": "1000"}, "T(a)",
            "T(a).value is a", collects=True, needs="Node",
        ),
        point("add", "p + q, a new object", "p + q", "(p + q).x == 4.0", False, q="ops.Point(1.0, 2.0)"),
        point("negative", "-p, a new object", "-p", "(-p).x == -3.0", False),
        point(
            "compare", "p == q, types checked", "p == q", "p != q and p == ops.Point(3.0, 4.0)",
            False, q="ops.Point(1.0, 2.0)",
        ),
    ],
    "attributes": [
        point("member_get", "member read, p.x", "p.x", "p.x == 3.0"),
        point("member_set", "member set, p.x = a", "p.x = a", "p.x == 3.0", a="3.0"),
        point("getter", "getter, p.height", "p.height", "p.height == 4.0"),
        point("setter", "setter, p.height = a", "p.height = a", "p.height == 4.0", a="4.0"),
        on("Node", "field_get", "getter of an object", "p.value", "p.value == 5", arguments="5"),
        on("Node", "field_set", "setter of an object", "p.value = a", "p.value == 5", arguments="5", a="1000"),
    ],
    "slots": [
        on("Echo", "binary", "e * a", "p * a", "p * a is a", a="1000"),
        on("Echo", "unary", "+e", "+p", "+p is p"),
        on("Echo", "order", "e < a", "p < a", "(p < a) is a", a="1000"),
        point("bool", "if p", "if p: pass", "bool(p)"),
        point("length", "len(p)", "len(p)", "len(p) == 2"),
        point("item", "p[0]", "p[0]", "p[0] == 3.0"),
        point("contains", "a in p", "a in p", "a in p and 7.0 not in p", a="4.0"),
        point("hash", "hash(p)", "hash(p)", "hash(p) == 4"),
        point("repr", "repr(p)", "repr(p)", "repr(p) == 'Point()'"),
    ],
}  # fmt: skip

OPERATIONS = [
    Operation(**{**vars(operation), "group": group}) for group, operations in GROUPS.items() for operation in operations
]


def select(substring):
    """The operations whose name, label or group has a text in it."""
    return [op for op in OPERATIONS if any(substring in text for text in (op.name, op.label, op.group))]


def raises(function):
    try:
        function()
    except ValueError:
        return True
    return False


def make_loop(operation, module, unroll=None):
    """A function that repeats the statement and gives nanoseconds, given how often and a clock.

    Each has code of its own: the interpreter adapts code to the types it meets, and variants must not share that.
    """
    scope = {"ops": module, "raises": raises}
    exec(SHARED, scope)
    values = {name: eval(expression, scope) for name, expression in operation.variables.items()}
    if not eval(operation.check, {**scope, **values}):
        raise AssertionError(f"{operation.name}: not {operation.check}")
    return _compile(operation.statement, operation.unroll if unroll is None else unroll, values)


def make_empty_loop():
    return _compile("pass", 1, {})


def of_all_sizes():
    """Small objects to keep, one of each size that the allocator tells apart.

    It has slower paths for the first and the last object of a page; a loop that happens to be there takes them always.
    """
    return [bytes(size) for size in range(0, 512, 16)]


def _compile(statement, unroll, values):
    body = indent("\n".join([statement] * unroll), " " * 8)
    names = ", ".join(["count", "clock", *(f"{name}={name}" for name in values)])
    source = f"def loop({names}, repeat=repeat):\n    start = clock()\n    for _ in repeat(None, count):\n{body}\n"
    scope = {**values, "repeat": repeat}
    exec(source + "    return clock() - start\n", scope)
    return scope["loop"]
