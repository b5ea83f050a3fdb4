"""Which part of the API tests use, and in which ABI: docs/conformance.md.

    python tests/conformance.py                     prints the holes that the page shows, and fails if there are any
    python tests/conformance.py --record            runs the tests that run in each ABI, and writes the page
    python tests/conformance.py --record FILE ...   runs those of some files, and prints which part they use

The page is the only record. --record needs a Python from 3.11 on with hpy, pytest and pytest-xdist, such as
target/venvs/cp311/bin/python. It takes a minute, and some more where the C of the tests has not been compiled yet; with
PYTEST_XDIST_AUTO_NUM_WORKERS=1 in the environment it keeps one processor busy, and else all. What counts as a use is described
in tests/recording.py.
"""

import argparse
import collections
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PAGE = ROOT / "docs" / "conformance.md"
COMMAND = "python tests/conformance.py --record"
ABIS = ("universal", "cpython", "hybrid")

INTRODUCTION = f"""\
# Conformance

Which part of the API tests use in which ABI, and the test files that use it most. `{COMMAND}` ran the
tests that run once for each ABI, and wrote this page. Only tests that passed count. `-` stands for an ABI that does not have
the part. **no** means that no test uses it, and makes the tests fail.

A use is no proof, and nothing is said about how thorough a test is.
"""

RECORDED = """\
## Recorded: functions of the context

In the universal and the hybrid ABI, `yes` means that trace mode has counted a call. In the CPython ABI calls don't go through a
context, where they could be counted: there it means that a test that called the function in another ABI passed with the same C.
Calls in processes that tests start are not counted.

`read` means that the name stands in the C of a test, as below. `HPy_FatalError` ends the process with its counts, and what only
trampolines call is not counted.
"""

READ = """\
## Read: slots, values, macros and helpers

Of these there are no counts. `yes` means that the name stands in the C that a test had compiled, outside of comments and strings.
Whether that line ran is not known.
"""

# The API

MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(\([\w, .]*\))?((?:.*\\\n)*.*)$", re.MULTILINE)
FUNCTION = re.compile(r"^HPyAPI_(?:FUNC|HELPER|INLINE_HELPER)\b[^(;]*?(\w+)\([^;{]*(?:;|\{.*\}$|\{(?s:.*?)^\})", re.MULTILINE)
# Other macros without parameters are constants. How functions are declared is the headers' own business.
ALIAS = re.compile(r"_h\w*conv\(0\)|HPy\w+_\w+")
DECLARING = re.compile(r"HPyAPI_|HPy_EXPORTED_")

# {title: {name: ABIs that have it}} of what the context has and of all else, and {name: member} of what can be recorded.
Api = collections.namedtuple("Api", "functions others members")


def read_api(root=ROOT):
    import tomllib

    def load(path):
        return tomllib.loads(path.read_text(encoding="utf-8"))

    paths = [path for path in sorted((root / "include").rglob("*.h")) if "forbid_python_h" not in path.parts]
    text = re.sub(r"/\*.*?\*/", "", "\n".join(path.read_text(encoding="utf-8") for path in paths), flags=re.DOTALL)
    macros = {name: (params, body.strip()) for name, params, body in MACRO.findall(text)}
    helpers = {match[1]: match[0] for match in FUNCTION.finditer(MACRO.sub("", text))}

    families = [load(path) for path in sorted((root / "spec" / "functions").glob("*.toml"))]
    functions = {function["name"]: function for family in families for function in family["function"]}
    slots, enums = load(root / "spec" / "slots.toml"), load(root / "spec" / "enums.toml")
    others = {"Slots": [slot["name"] for slot in slots["slot"] if not slot.get("reserved")]}
    others.update((f"Values of {enum['name']}", [value["name"] for value in enum["values"]]) for enum in enums["enum"])
    others["Type flags"] = [flag["name"] for flag in enums["flag"]]
    wanted = [name for name, (params, body) in macros.items() if params or ALIAS.fullmatch(body)]
    others["Macros"] = sorted(name for name in wanted if not DECLARING.match(name))
    others["Helpers"] = sorted(helpers.keys() - functions.keys())

    of_runtimes = {name for name, function in functions.items() if "runtime_only" in function}

    def with_abis(names):
        # The rest of what Python.h is needed for says so in its name.
        legacy = {name for name in names if "_HPY_LEGACY" in helpers.get(name, "") or "legacy" in name.lower()}
        return {name: ABIS[1:] if name in legacy else ABIS[::2] if name in of_runtimes else ABIS for name in names}

    others = {title: with_abis([name for name in names if not name.startswith("_")]) for title, names in others.items()}
    recorded = {name: each["member"] for name, each in functions.items() if each["fails"] != "aborts"}
    return Api(
        {each["family"]["title"]: with_abis([of["name"] for of in each["function"]]) for each in families},
        {title: names for title, names in others.items() if names},
        {name: member for name, member in recorded.items() if name not in of_runtimes},
    )


# What tests use of it

# The ABIs that tests use a name in, and the test files that use it most.
Use = collections.namedtuple("Use", "abis files")


def record(files):
    """Runs the tests of these files or folders. Returns what tests/recording.py says of them."""
    for name in ("hpy", "pytest", "xdist"):
        if not importlib.util.find_spec(name):
            advice = "`cargo xtask test --python 3.11 --suite` makes one that has: target/venvs/cp311/bin/python"
            sys.exit(f"{sys.executable} has no {name}. {advice}")
    environment = {name: value for name, value in os.environ.items() if name not in ("HPY", "HPY_DEBUG", "HPY_LOG")}
    environment["PYTHONPATH"] = str(TESTS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "record.json")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--numprocesses=auto"]
        command += ["-p", "recording", "--record", path, "--mode", "trace,cpython"]
        status = subprocess.run([*command, *files], env=environment).returncode
        # With 1, some tests have failed.
        if status not in (0, 1):
            sys.exit(f"pytest has not run the tests (exit status {status}), and nothing is recorded")
        return json.loads(path.read_text(encoding="utf-8"))


def find_uses(api, record):
    uses = {}
    for name in names_and_abis(api):
        found = record["calls"].get(api.members[name], {}) if name in api.members else record["words"].get(name, {})
        most = max(found.values(), key=lambda files: sum(files.values()), default={})
        files = sorted(sorted(most, key=lambda file: (-most[file], file))[:3])
        uses[name] = Use([abi for abi in ABIS if abi in found], files)
    return uses


def names_and_abis(api):
    return {name: abis for names in (*api.functions.values(), *api.others.values()) for name, abis in names.items()}


def find_holes(api, uses):
    """Names that are not used in each of their ABIs, and names that the API does not have: a line for each."""
    everything = names_and_abis(api)
    for name, abis in everything.items():
        missing = [abi for abi in abis if name not in uses or abi not in uses[name].abis]
        if missing:
            yield f"{name}: no test in {', '.join(missing)}"
    for name in uses.keys() - everything.keys():
        yield f"{name}: not in the API"


# The page


def render(api, uses):
    lines = [INTRODUCTION]
    for introduction, groups in [(RECORDED, api.functions), (READ, api.others)]:
        lines.append(introduction)
        for title, names in groups.items():
            lines += [f"### {title}", "", f"| name | {' | '.join(ABIS)} | tests |", "| --- " * (len(ABIS) + 2) + "|"]
            for name, abis in names.items():
                use = uses.get(name, Use([], []))
                said = "read" if groups is api.functions and name not in api.members else "yes"
                cells = [(said if abi in use.abis else "**no**") if abi in abis else "-" for abi in ABIS]
                links = [f"[{file.removeprefix('test_')}](../tests/{file}.py)" for file in use.files]
                lines.append(f"| `{name}` | {' | '.join(cells)} | {', '.join(links)} |")
            lines.append("")
    return "\n".join(lines)


def read_page(text):
    """The uses that render() wrote."""
    uses = {}
    for name, *cells, links in re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \| (.*) \|$", text, re.MULTILINE):
        abis = [abi for abi, cell in zip(ABIS, cells) if cell in ("yes", "read")]
        uses[name] = Use(abis, re.findall(r"\(\.\./tests/(\w+)\.py\)", links))
    return uses


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="run tests, and write the page of what they use")
    parser.add_argument("files", nargs="*", metavar="FILE", help="with --record: only these, and write nothing")
    options = parser.parse_args(arguments)
    if sys.version_info < (3, 11):
        parser.error("the spec is TOML, which Python reads from 3.11 on")
    if options.files and not options.record:
        parser.error("files are for --record")
    api, failed, holes = read_api(), [], []
    if options.record:
        recorded = record(options.files or [TESTS])
        uses, failed = find_uses(api, recorded), recorded["failed"]
    else:
        uses = read_page(PAGE.read_text(encoding="utf-8"))
    if options.files:
        print(*(f"{name}: {', '.join(use.abis)}" for name, use in uses.items() if use.abis), sep="\n")
    else:
        if options.record:
            PAGE.write_text(render(api, uses), encoding="utf-8")
        holes = list(find_holes(api, uses))
        print(f"{len(uses)} names, {len(holes)} of them without a test in an ABI", *holes, sep="\n")
    if failed:
        print(f"{len(failed)} tests failed, and are not recorded:", *failed, sep="\n")
    return 1 if failed or holes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
