"""Which tests use which part of the API, and in which ABI: docs/conformance.md.

    python tests/conformance.py            prints a summary and the holes, and fails if there are any
    python tests/conformance.py --write    writes the page, too

The parts are read from the spec and the headers, the uses from the source of the tests; nothing is run. A test uses a
name that is in a string of it, or of what it refers to: constants, functions, fixtures, sibling modules. Names in
docstrings, in messages, and in comments and strings of C do not count, nor does a FUNC_ function of a snippet that the
test never names. A name with a part filled in, like `HPyLong_As{kind}`, counts for each string of the test's module
that completes it.
"""

import ast
import collections
import functools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "conformance.md"
COMMAND = "python tests/conformance.py --write"
ABIS = ("universal", "cpython", "hybrid")

INTRODUCTION = f"""\
# Conformance

`{COMMAND}` wrote this page from spec/, include/ and tests/: which part of the API tests use in
which ABI, and the test files that use it most. `-` stands for an ABI that does not have the part. **no** means that no
test uses it, and makes the tests fail.

A use is no proof, and nothing is said about how thorough a test is. What counts as a use is described in
[tests/conformance.py](../tests/conformance.py).
"""

# The API

MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(\([\w, .]*\))?((?:.*\\\n)*.*)$", re.MULTILINE)
FUNCTION = re.compile(r"^HPyAPI_(?:FUNC|HELPER|INLINE_HELPER)\b[^(;]*?(\w+)\([^;{]*(?:;|\{.*\}$|\{(?s:.*?)^\})", re.MULTILINE)
# Other macros without parameters are constants. How functions are declared is the headers' own business.
ALIAS = re.compile(r"_h\w*conv\(0\)|HPy\w+_\w+")
DECLARING = re.compile(r"HPyAPI_|HPy_EXPORTED_")
# Parts of the API that are not called.
VALUES = ("Slots", "Values", "Type flags")


def read_api(root=ROOT):
    """{title: {name: ABIs that have it}}, and for each name of the headers the internal functions that come with it."""
    import tomllib

    def load(path):
        return tomllib.loads(path.read_text(encoding="utf-8"))

    paths = [path for path in sorted((root / "include").rglob("*.h")) if "forbid_python_h" not in path.parts]
    text = re.sub(r"/\*.*?\*/", "", "\n".join(path.read_text(encoding="utf-8") for path in paths), flags=re.DOTALL)
    macros = {name: (params, body.strip()) for name, params, body in MACRO.findall(text)}
    functions = {match[1]: match[0] for match in FUNCTION.finditer(MACRO.sub("", text))}

    families = [load(path) for path in sorted((root / "spec" / "functions").glob("*.toml"))]
    groups = {each["family"]["title"]: [function["name"] for function in each["function"]] for each in families}
    of_runtimes = {function["name"] for each in families for function in each["function"] if "runtime_only" in function}
    known = {name for names in groups.values() for name in names}
    slots, enums = load(root / "spec" / "slots.toml"), load(root / "spec" / "enums.toml")
    groups["Slots"] = [slot["name"] for slot in slots["slot"] if not slot.get("reserved")]
    groups.update((f"Values of {enum['name']}", [value["name"] for value in enum["values"]]) for enum in enums["enum"])
    groups["Type flags"] = [flag["name"] for flag in enums["flag"]]
    wanted = [name for name, (params, body) in macros.items() if params or ALIAS.fullmatch(body)]
    groups["Macros"] = sorted(name for name in wanted if not DECLARING.match(name))
    groups["Helpers"] = sorted(functions.keys() - known)
    api = {title: {} for title in groups}
    for title, names in groups.items():
        for name in names:
            if name in known or not name.startswith("_"):
                # The rest of what Python.h is needed for says so in its name.
                legacy = "_HPY_LEGACY" in functions.get(name, "") or "legacy" in name.lower()
                api[title][name] = ABIS[1:] if legacy else ABIS[::2] if name in of_runtimes else ABIS

    # HPyType_HELPERS makes the name of a macro from its argument and this.
    macros = {name.removesuffix("_AsStruct"): body for name, (_, body) in macros.items()}
    says = {name: set(re.findall(r"\w+", body)) for name, body in {**macros, **functions}.items()}
    for name, body in macros.items():
        for prefix in re.findall(r"(\w+)##", body):
            says[name].update(other for other in macros if other.startswith(prefix))
    internal = {name for name in known if name.startswith("_")}
    api = {title: names for title, names in api.items() if names}
    return api, {name: closure(says, name) & internal for name in says}


def closure(graph, start):
    found, rest = set(), [start]
    while rest:
        new = graph.get(rest.pop(), set()) - found
        found |= new
        rest += new
    return found


# The tests. A hole is {name} in Python, and from pieces() on <name>, so that all braces are C's.

# Which argument of a call is the ABI.
ABI_PLACE = {"Variant": 0, "compile_file": 2}
HOLE, MARK = re.compile(r"\{(\w+)\}"), re.compile(r"<(\w+)>")
WORDS = re.compile(r"(?:\w|\{\w+\})+(?: (?:\w|\{\w+\})+)*")
TOKEN = re.compile(r"((?:\w|<\w+>)+)(\s*\()?")
IGNORED = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:.*\\\n)*.*", re.MULTILINE)
HEAD = re.compile(r"\bFUNC_(?:NOARGS|O|VARARGS|KEYWORDS)\(((?:\w|<\w+>)+)\)")


@functools.lru_cache(maxsize=None)
def pattern(template):
    return re.compile(MARK.sub(r"(\\w+)", template))


@functools.lru_cache(maxsize=None)
def pieces(text):
    """(text, name of its FUNC_ function or None) of each directive and each function with what is before it."""
    text = HOLE.sub(r"<\1>", IGNORED.sub(" ", text))
    parts = [(directive, None) for directive in DIRECTIVE.findall(text)]
    text, depth, start = DIRECTIVE.sub("", text), 0, 0
    for match in re.finditer(r"[{}]|\Z", text):
        depth += {"{": 1, "}": -1, "": 0}[match[0]]
        if depth == 0 or match[0] == "":
            part, start = text[start : match.end()], match.end()
            head = HEAD.search(part)
            parts.append((part, head and head[1]))
    return parts


def strings(tree):
    """The strings in Python code, but for docstrings and messages."""
    silent = set()
    for node in ast.walk(tree):
        if node in silent:
            silent.update(ast.iter_child_nodes(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            silent.add(node.value)
        elif isinstance(node, ast.keyword) and node.arg in ("match", "reason", "id", "ids"):
            silent.add(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "differs":
            silent.update(node.args)
        elif isinstance(node, ast.JoinedStr):
            silent.update(part for part in node.values if isinstance(part, ast.Constant))
            yield "".join(
                part.value if isinstance(part, ast.Constant) else f"{{{getattr(part.value, 'id', '_')}}}"
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


class Definition:
    """A function, class or assignment at the top of a module."""

    def __init__(self, module, tree):
        nodes = list(ast.walk(tree))
        self.module, self.name = module, getattr(tree, "name", None)
        self.is_test = isinstance(tree, ast.FunctionDef) and self.name.startswith("test_")
        injected = self.is_test or any("fixture" in ast.unparse(each) for each in getattr(tree, "decorator_list", ()))
        self.fixtures = {argument.arg for argument in tree.args.args} if injected else set()
        names = [node for node in nodes if isinstance(node, ast.Name)]
        local = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        local |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        self.references = {node.id for node in names} - local
        self.attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        self.texts = list(strings(tree))
        self.words = {word for text in self.texts if WORDS.fullmatch(text) for word in text.split()}
        self.has_functions = any(head for text in self.texts for _, head in pieces(text))
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        given = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "abi"]
        for call in calls:
            given += call.args[ABI_PLACE.get(getattr(call.func, "id", None), len(call.args)) :][:1]
        self.abis = {argument.value for argument in given if isinstance(argument, ast.Constant)}
        marks = [call.args for call in calls if getattr(call.func, "attr", "") == "abis"]
        self.marked = {argument.value for arguments in marks for argument in arguments}


class Module:
    def __init__(self, name, source):
        self.name, self.definitions, self.imports = name, collections.defaultdict(list), {}
        for node in ast.parse(source).body:
            if isinstance(node, ast.ImportFrom):
                self.imports.update((alias.asname or alias.name, (node.module, alias.name)) for alias in node.names)
                continue
            definition = Definition(self, node)
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for each in ast.walk(ast.Tuple([target for target in targets if target])):
                if isinstance(each, ast.Name):
                    self.definitions[each.id].append(definition)
            if definition.name:
                self.definitions[definition.name].append(definition)


class Tests:
    """The files of tests, given as {module: source}."""

    def __init__(self, sources, api, comes_with):
        self.modules = {name: Module(name, source) for name, source in sources.items()}
        self.names = {name for names in api.values() for name in names}
        self.values = {name for title, names in api.items() if title.startswith(VALUES) for name in names}
        self.comes_with = comes_with

    def resolve(self, module, name):
        while name in module.imports and module.imports[name][0] in self.modules:
            other, name = module.imports[name]
            module = self.modules[other]
        return module.definitions.get(name, [])

    def reach(self, start, enter=lambda definition: True):
        """{definition: whether its strings can fill holes} of all that one refers to. A function of another module has
        tables of its own, which say nothing about the test."""
        reached, rest = {}, [(start, True)]
        while rest:
            definition, own = rest.pop()
            if reached.get(definition, -1) >= own:
                continue
            reached[definition] = own
            if definition is start or enter(definition):
                found = [each for name in definition.references for each in self.resolve(definition.module, name)]
                for name in definition.fixtures:
                    found += self.resolve(start.module, name) or self.modules["conftest"].definitions.get(name, [])
                rest += [(each, own and (each.module is start.module or each.name is None)) for each in found]
        return reached

    def harness(self):
        """The ABIs that tests with the fixture `variant` run in."""
        (variants,) = self.modules["conftest"].definitions["VARIANTS"]
        return [abi for abi in ABIS if abi in variants.abis]

    def abis(self, test, reached):
        """The ABIs of what runs: those of the harness that the test or its file is marked with, or of what is compiled and
        loaded without the harness."""
        if any("variant" in definition.fixtures for definition in reached):
            marks = [test, *test.module.definitions.get("pytestmark", ())]
            marked = next((each.marked for each in marks if each.marked), ABIS)
            return [abi for abi in self.harness() if abi in marked]
        if not {"compile_file", "load"} <= {name for definition in reached for name in definition.references}:
            return []
        said = {abi for definition in reached for abi in definition.abis}
        return [abi for abi in ABIS if abi in said] or ["universal"]

    def uses(self, test):
        """The names that a test uses, and the ABIs that it runs in."""
        everything = self.reach(test)
        reached = {each: own for each, own in everything.items() if each.module.name not in ("conftest", "snippet")}
        # What calls a snippet's functions, as opposed to what a snippet is made from.
        calling = self.reach(test, lambda definition: not definition.has_functions)
        spoken = [each for each, own in calling.items() if own and (each is test or not each.has_functions)]
        called = completed({word for each in spoken for word in each.words})
        called |= {name for each in calling for name in each.attributes}
        called |= {name for each in calling for text in each.texts for name in re.findall(r"\.(\w+)", text)}
        fills = completed({word for each, own in reached.items() if own for word in each.words})
        used = set()
        for piece, head in {piece for each in reached for text in each.texts for piece in pieces(text)}:
            if head is None or head in called:
                used |= self.tokens(piece, fills)
                continue
            for match in filter(None, map(pattern(head).fullmatch, called)):
                values = dict(zip(MARK.findall(head), match.groups()))
                if fills.issuperset(values.values()):
                    used |= self.tokens(MARK.sub(lambda hole: values.get(hole[1], hole[0]), piece), fills)
        used |= {name for each in used for name in self.comes_with.get(each, ())}
        return used & self.names, self.abis(test, everything)

    def tokens(self, piece, fills):
        found = set()
        for token, call in TOKEN.findall(piece):
            found.add(token)
            if "<" in token:
                names = self.names - self.values if call else self.values
                matches = filter(None, map(pattern(token).fullmatch, names))
                found.update(match[0] for match in matches if fills.issuperset(match.groups()))
        return found


def completed(words):
    """Words, and what they make of those that have a hole. That can fill a hole once more."""
    templates = [word for word in words if len(HOLE.findall(word)) == 1]
    words = {word for word in words if "{" not in word}
    for _ in range(2):
        words |= {HOLE.sub(word, template) for template in templates for word in words}
    return words


def read_table(api, comes_with, sources):
    """{name: {ABI: {module: number of tests}}}, and the ABIs of the harness."""
    tests = Tests(sources, api, comes_with)
    table = {name: {abi: collections.Counter() for abi in ABIS} for name in tests.names}
    for module in tests.modules.values():
        for test in {each for definitions in module.definitions.values() for each in definitions if each.is_test}:
            used, abis = tests.uses(test)
            for name in used:
                for abi in abis:
                    table[name][abi][module.name] += 1
    return table, tests.harness()


def find_holes(api, table, harness):
    """(name, ABIs) of what no test uses. Where the harness has none of the ABIs of a name, any of them will do."""
    for names in api.values():
        for name, abis in names.items():
            missing = [abi for abi in abis if not table[name][abi]]
            wanted = [abi for abi in missing if abi in harness] or (missing if len(missing) == len(abis) else [])
            if wanted:
                yield name, wanted


def render(api, table, harness):
    lines, holes = [INTRODUCTION], dict(find_holes(api, table, harness))
    for title, names in api.items():
        lines += [f"## {title}", "", f"| name | {' | '.join(ABIS)} | tests |", "| --- " * (len(ABIS) + 2) + "|"]
        for name, abis in names.items():
            none = {abi: "**no**" if abi in holes.get(name, ()) else "" for abi in abis}
            cells = [("yes" if table[name][abi] else none[abi]) if abi in abis else "-" for abi in ABIS]
            most = max((table[name][abi] for abi in abis), key=lambda files: sum(files.values()))
            most = sorted(sorted(most, key=lambda module: (-most[module], module))[:3])
            links = [f"[{module.removeprefix('test_')}](../tests/{module}.py)" for module in most]
            lines.append(f"| `{name}` | {' | '.join(cells)} | {', '.join(links)} |")
        lines.append("")
    return "\n".join(lines)


def read():
    """All of the above for the tests beside this file."""
    api, comes_with = read_api()
    paths = [path for path in sorted(Path(__file__).parent.glob("*.py")) if path != Path(__file__)]
    return api, *read_table(api, comes_with, {path.stem: path.read_text(encoding="utf-8") for path in paths})


def main(arguments):
    api, table, harness = read()
    holes = list(find_holes(api, table, harness))
    if "--write" in arguments:
        PAGE.write_text(render(api, table, harness), encoding="utf-8")
    print(f"{len(table)} names, {len(holes)} of them without a test; ABIs of the harness: {', '.join(harness)}")
    for name, abis in holes:
        print(f"{name}: no test in {', '.join(abis)}")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
