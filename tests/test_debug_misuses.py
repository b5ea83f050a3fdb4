"""Debug mode finds each misuse of spec/misuses.toml, tells where it is, and has nothing to say about the same thing done right.

The misuses are in misuses/. How reports are dealt with, by HPY_DEBUG, comes after them.
"""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from misuses import CASES, FATAL, LEFT, PRINTED, RAISED
from snippet import REFERENCE, compile_file, expand

pytestmark = pytest.mark.skipif(
    REFERENCE or sys.implementation.name == "pypy", reason="about our own debug mode, which is for CPython"
)

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "debug-mode.md"

START = f"""
import json, os, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except ImportError:
    pass
sys.path.append({str(Path(__file__).parent)!r})
from attempting import attempt
def tell(what):
    print(json.dumps(what), flush=True)
"""
BORDER = "---- the misuse begins here"


def run(code, debug=None):
    """The process that ran the code with this HPY_DEBUG."""
    environment = {name: value for name, value in os.environ.items() if name not in ("HPY", "HPY_DEBUG")}
    if debug is not None:
        environment["HPY_DEBUG"] = debug
    return subprocess.run(
        [sys.executable, "-c", START + code],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
    )


FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def build(source, abi="universal"):
    # Without the GIL, binaries that need none load fields and globals in another way.
    flags = ("-DHPY_MOD_GIL_NOT_USED",) if FREE_THREADED else ()
    return str(compile_file(expand(source, "mod"), "mod", abi, flags))


def attempting(source, code, abi="universal", detect=False):
    """Code that tells what the snippet and the code raise."""
    return f"tell(attempt({build(source, abi)!r}, {code!r}, detect={detect}))\n"


def told(process):
    """What the process told, each in its turn."""
    return [json.loads(line) for line in process.stdout.splitlines()]


def report_in(text, identifier):
    """The first report about a misuse: its line, and those below it that are further in."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if identifier in line]
    assert starts, f"no report of {identifier} in:\n{text}"
    report = [lines[starts[0]]]
    for line in lines[starts[0] + 1 :]:
        if not line.startswith(" "):
            break
        report.append(line)
    return "\n".join(report)


def check_report(text, case):
    """The text has a report of the misuse, with the places that are marked in the snippet."""
    report = report_in(text, case.identifier)
    if case.function:
        assert re.search(rf"\b(?:{case.function})\b", report), f"no {case.function} in:\n{report}"
    for marker, label in (("HERE", "in"), ("OPENED", "opened"), ("CLOSED", "closed"), ("SEEN", "")):
        line = case.line(marker)
        if line is not None:
            pattern = rf"^\s*{label}\b.*\bsnippet:{line}\b"
            assert re.search(pattern, report, re.MULTILINE), f"not '{label} ... snippet:{line}' in:\n{report}"


def check_left(text, case):
    """The text lists what is left, and where that was opened."""
    assert case.identifier in text, f"no {case.identifier} in:\n{text}"
    line = case.line("OPENED")
    if line is not None:
        assert re.search(rf"\bsnippet:{line}\b", text), f"no snippet:{line} in:\n{text}"


def of(*ways):
    # In a binary that needs no GIL, loading an empty field is no misuse: another thread may have emptied it.
    fine = ["D020-empty-field"] if FREE_THREADED else []
    cases = [each for each in CASES if each.seen in ways and each.name not in fine]
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@pytest.fixture(autouse=True)
def possible(request):
    """Leaves out cases that can't be run."""
    callspec = getattr(request.node, "callspec", None)
    case = callspec and callspec.params.get("case")
    if not case:
        return
    if case.abi not in request.config.getoption("--abi").split(","):
        pytest.skip(f"the {case.abi} ABI is not to be tested")
    if "in_interpreter" in case.code and not any(map(importlib.util.find_spec, ("_interpreters", "_xxsubinterpreters"))):
        pytest.skip("this Python has no module that makes interpreters")


@of(RAISED, LEFT, PRINTED, FATAL)
def test_is_told_and_its_twin_is_not(case):
    """With the action "raise"."""
    twin = attempting(case.clean_source, case.clean_code, case.abi, detect=True)
    border = f"print({BORDER!r}, file=sys.stderr, flush=True)\n"
    process = run(
        twin + border + attempting(case.source, case.code, case.abi, detect=case.seen == LEFT),
        "raise",
    )
    about_twin, _, about_misuse = process.stderr.partition(BORDER + "\n")
    outcomes = told(process)
    assert outcomes and outcomes[0] is None, f"the twin: {outcomes}\n{process.stderr}"
    assert about_twin == ""

    if case.seen == FATAL:
        assert process.returncode == -signal.SIGABRT, process
        check_report(about_misuse, case)
        return
    assert process.returncode == 0, process
    assert len(outcomes) == 2, process
    outcome = outcomes[1]
    if case.seen == PRINTED and not (outcome and outcome["kind"] == "HPyDebugError"):
        check_report(about_misuse, case)
    elif case.seen == LEFT:
        assert outcome and outcome["kind"] == "HPyLeakError", process
        check_left(outcome["text"], case)
        assert case.function in outcome["text"]
    else:
        assert outcome and outcome["kind"] == "HPyDebugError", process
        assert outcome["identifier"] == case.identifier, outcome["text"]
        check_report(outcome["text"], case)


@of(RAISED, PRINTED, FATAL)
def test_ends_the_process(case):
    """With the action "abort"."""
    process = run(attempting(case.source, case.code, case.abi), "abort")
    assert process.returncode == -signal.SIGABRT, process
    check_report(process.stderr, case)


@of(RAISED, PRINTED)
def test_is_a_warning(case):
    """With the action "warn". A function that can't do anything with what it got still fails."""
    if case.crashes:
        pytest.skip("going on may crash, as it may without debug mode")
    process = run(attempting(case.source, case.code, case.abi), "warn")
    assert process.returncode == 0, process
    check_report(process.stderr, case)


@of(LEFT)
def test_what_is_left_is_told_at_exit(case):
    if not case.at_exit:
        pytest.skip("what the Python code holds is released before that")
    for debug in (None, "abort"):
        process = run(attempting(case.source, case.code, case.abi), debug)
        assert process.returncode == 0, process
        check_left(process.stderr, case)


def test_nothing_is_told_about_what_is_right():
    """All the twins, one after the other in one process."""
    twins = [attempting(case.clean_source, case.clean_code, case.abi) for case in CASES if case.abi == "universal"]
    process = run("".join(twins), "raise")
    assert (process.returncode, process.stderr) == (0, "")
    assert set(process.stdout.split()) == {"null"}


# All of them are there


def misuses_of_the_spec():
    """(identifier, title, action) of each."""
    text = (ROOT / "spec" / "misuses.toml").read_text(encoding="utf-8")
    entries = [dict(re.findall(r'^(\w+) = "?(.*?)"?$', entry, re.MULTILINE)) for entry in text.split("[[misuse]]")[1:]]
    return [(f"HPY-D{int(entry['id']):03}", entry["title"], entry["action"]) for entry in entries]


def test_each_misuse_has_a_case():
    identifiers = [identifier for identifier, _, _ in misuses_of_the_spec()]
    assert len(identifiers) > 40
    assert sorted(set(case.identifier for case in CASES)) == sorted(identifiers)


def test_each_misuse_is_explained():
    page, misuses = PAGE.read_text(encoding="utf-8"), misuses_of_the_spec()
    headings = re.findall(r'^<a id="(hpy-d\d+)"></a>\n\n### (HPY-D\d+): (.+)$', page, re.MULTILINE)
    assert headings == [(identifier.lower(), identifier, title) for identifier, title, _ in misuses]
    rows = re.findall(r"^\| \[(HPY-D\d+)\]\(#(.+)\) \| (.+) \| (\w+) \|$", page, re.MULTILINE)
    assert rows == [(identifier, identifier.lower(), title, action) for identifier, title, action in misuses]


def test_cases_have_names_of_their_own():
    assert len({case.name for case in CASES}) == len(CASES)


# HPY_DEBUG

SEVERAL = """\
FUNC_O(close_twice) { HPy h = HPy_Dup(ctx, arg); HPy_Close(ctx, h); HPy_Close(ctx, h); return NONE; }
FUNC_O(pending)
{
    HPyErr_SetString(ctx, ctx->h_ValueError, "wrong");
    HPy_Close(ctx, HPyList_New(ctx, 0));
    return HPy_NULL;
}
FUNC_O(pending_too)
{
    HPyErr_SetString(ctx, ctx->h_ValueError, "wrong");
    HPy_Close(ctx, HPyList_New(ctx, 0));
    return HPy_NULL;
}
FUNC_O(leak) { HPy_Dup(ctx, arg); return NONE; }
FUNC_O(right) { return HPy_Dup(ctx, arg); }
"""
PENDING = "raises(ValueError, mod.pending, 1)"
PENDING_TOO = "raises(ValueError, mod.pending_too, 1)"


def several(code, debug=None):
    return run(attempting(SEVERAL, code), debug)


def identifiers_in(text):
    """Of the reports in what a process wrote, in order; those of the summary are not among them."""
    return re.findall(r"^(HPY-D\d+) ", text, re.MULTILINE)


def test_each_misuse_has_an_action_of_its_own_by_default():
    process = several("mod.close_twice('text')")
    assert process.returncode == -signal.SIGABRT
    assert "HPY-D007" in process.stderr
    process = several(PENDING + "\nmod.leak('text')")
    assert (process.returncode, told(process)) == (0, [None])
    assert "HPY-D030" in process.stderr
    assert "HPY-D001" in process.stderr


REFUSED = """\
FUNC_NOARGS(keys) { return HPyDict_Keys(ctx, HPy_NULL); }
FUNC_NOARGS(copy) { return HPyDict_Copy(ctx, HPy_NULL); }
FUNC_NOARGS(capsule) { return HPyCapsule_New(ctx, NULL, "name", NULL); }
FUNC_NOARGS(decoded) { return HPyUnicode_FromEncodedObject(ctx, HPy_NULL, "utf-8", NULL); }
FUNC_NOARGS(bytes) { return HPyBytes_FromStringAndSize(ctx, NULL, 3); }
FUNC_NOARGS(source) { return HPy_Compile_s(ctx, "1", "file", (HPy_SourceKind)777); }
FUNC_NOARGS(slice) { return HPy_GetSlice(ctx, HPy_NULL, 0, 1); }
FUNC_NOARGS(type) { return HPy_Type(ctx, HPy_NULL); }
"""


@pytest.mark.parametrize(
    "function, identifier, kind",
    [
        ("keys", "HPY-D020", "SystemError"),
        ("copy", "HPY-D020", "SystemError"),
        ("capsule", "HPY-D020", "ValueError"),
        ("decoded", "HPY-D020", "SystemError"),
        ("bytes", "HPY-D020", "ValueError"),
        ("source", "HPY-D055", "SystemError"),
        ("slice", "HPY-D020", "SystemError"),
        ("type", "HPY-D020", "SystemError"),
    ],
)
def test_what_a_function_refuses_by_itself_is_a_warning(function, identifier, kind):
    if function == "keys" and sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("without the GIL, CPython's PyDict_Keys itself crashes")
    code = attempting(REFUSED, f"mod.{function}()", detect=True)
    process = run(code)
    (outcome,) = told(process)
    assert (process.returncode, outcome["kind"]) == (0, kind)
    assert identifiers_in(process.stderr) == [identifier]
    (outcome,) = told(run(code, "raise"))
    assert (outcome["kind"], outcome["identifier"]) == ("HPyDebugError", identifier)
    assert run(code, f"{identifier}=abort").returncode == -signal.SIGABRT
    process = run(code, "ignore")
    (outcome,) = told(process)
    assert (outcome["kind"], process.stderr) == (kind, "")


def test_nothing_is_written_if_nothing_was_found():
    process = several("mod.right([])")
    assert (process.returncode, process.stderr) == (0, "")


@pytest.mark.parametrize("name", ["D030", "HPY-D030"])
@pytest.mark.parametrize("rest", ["", ",D007=warn"])
def test_an_action_for_one_misuse(name, rest):
    process = several(PENDING, f"{name}=raise{rest}")
    (outcome,) = told(process)
    assert (outcome["kind"], outcome["identifier"]) == ("HPyDebugError", "HPY-D030")
    process = several(PENDING, f"{name}=abort{rest}")
    assert process.returncode == -signal.SIGABRT
    process = several(PENDING, f"raise,{name}=ignore{rest}")
    assert (process.returncode, process.stderr, told(process)) == (0, "", [None])
    process = several("mod.close_twice('text')", f"{name}=ignore{rest}")
    assert "HPY-D007" in process.stderr
    assert process.returncode == (0 if rest else -signal.SIGABRT)


def test_an_action_for_one_misuse_does_not_depend_on_the_order():
    for debug in ("warn,D030=raise", "D030=raise,warn"):
        (outcome,) = told(several(PENDING, debug))
        assert outcome["identifier"] == "HPY-D030"


def test_all_can_be_ignored():
    process = several(f"{PENDING}\nmod.close_twice('text')", "ignore")
    assert (process.returncode, process.stderr, told(process)) == (0, "", [None])


@pytest.mark.parametrize(
    "pattern, suppressed",
    [
        ("mod.pending:D030", ["pending"]),
        ("mod.pending:HPY-D030", ["pending"]),
        ("mod.pending", ["pending"]),
        ("mod.*:D030", ["pending", "pending_too"]),
        ("mod.*", ["pending", "pending_too"]),
        ("*:D030", ["pending", "pending_too"]),
        ("*", ["pending", "pending_too"]),
        ("mod.pending:D031", []),
        ("other.pending:D030", []),
        ("other.*", []),
        ("*:D007", []),
    ],
)
def test_suppressed_functions(pattern, suppressed):
    process = several(f"{PENDING}\n{PENDING_TOO}", f"warn,suppress={pattern}")
    assert process.returncode == 0
    for name in ("pending", "pending_too"):
        reported = re.search(rf"\bmod\.{name}\b", process.stderr) is not None
        assert reported == (name not in suppressed), process.stderr
    if len(suppressed) == 2:
        assert process.stderr == ""


def test_several_suppressions():
    process = several(f"{PENDING}\n{PENDING_TOO}", "suppress=mod.pending:D030,suppress=mod.pending_too")
    assert (process.returncode, process.stderr) == (0, "")


def test_suppressed_leaks():
    process = several("mod.leak('text')", "suppress=mod.leak:D001")
    assert (process.returncode, process.stderr) == (0, "")


def test_a_report_names_the_object_and_the_line_of_python(tmp_path):
    program = tmp_path / "app.py"
    program.write_text(
        f"from loading import load\nmod = load('mod', {build(SEVERAL)!r}, 'debug')\n"
        "def main():\n    mod.close_twice('a text to look for')\nmain()\n"
    )
    process = run(f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')")
    assert process.returncode == -signal.SIGABRT
    report = report_in(process.stderr, "HPY-D007")
    assert re.search(r"^ +object +str 'a text to look for'$", report, re.MULTILINE), report
    assert re.search(r"^ +python +.*app\.py:4 in main$", report, re.MULTILINE), report
    assert re.search(r"^ +in +mod\.close_twice, at snippet:1 \(close_twice_impl\)$", report, re.MULTILINE), report
    assert re.search(r"^ +fix +\S", report, re.MULTILINE), report
    assert re.search(r"^ +more +docs/debug-mode\.md#hpy-d007$", report, re.MULTILINE), report


def test_traces():
    def frames(debug):
        """How many frames stand below each line of the report."""
        report = report_in(several("mod.close_twice('text')", debug).stderr, "HPY-D007")
        return {part.split()[0]: len(re.findall(r"#\d+ ", part)) for part in re.split(r"^  (?=\w)", report, flags=re.MULTILINE)}

    without, with_traces = frames(None), frames("traces=8")
    assert (without["opened"], without["closed"]) == (0, 0)
    assert with_traces["opened"] > 1
    assert with_traces["closed"] > 1


def test_json_lines(tmp_path):
    path = tmp_path / "reports.json"
    for _ in range(2):
        process = several(f"{PENDING}\n{PENDING_TOO}\nmod.leak('text')", f"json={path}")
        assert process.returncode == 0
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(isinstance(entry, dict) for entry in entries)
    identifiers = [entry["id"] for entry in entries]
    assert identifiers.count("HPY-D030") == 4
    assert identifiers.count("HPY-D001") == 2
    process = several("mod.close_twice('größer')", f"json={path}")
    assert process.returncode == -signal.SIGABRT
    last = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    assert last["id"] == "HPY-D007"
    assert "größer" in json.dumps(last, ensure_ascii=False)


def test_json_of_what_is_raised(tmp_path):
    path = tmp_path / "reports.json"
    several("mod.close_twice('text')", f"raise,json={path}")
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["id"] == "HPY-D007"


def test_json_to_where_nothing_can_be_written(tmp_path):
    process = several("mod.right([])", f"json={tmp_path}/missing/reports.json")
    (outcome,) = told(process)
    assert outcome["kind"] in ("ValueError", "OSError", "FileNotFoundError")
    assert f"{tmp_path}/missing/reports.json" in outcome["text"]


def test_summary_if_something_was_found():
    process = several("\n".join([PENDING] * 3))
    summary = process.stderr.splitlines()[-3:]
    assert any("HPY-D030" in line and re.search(r"\b3\b", line) for line in summary), process.stderr


def test_summary_that_was_asked_for():
    assert several("mod.right([])", "summary").stderr != ""
    assert "HPY-D" not in several("mod.right([])", "summary").stderr


@pytest.mark.parametrize(
    "debug, item",
    [
        ("explode", "explode"),
        ("warn,explode", "explode"),
        ("D006=explode", "D006=explode"),
        ("D006=", "D006="),
        ("D999=warn", "D999=warn"),
        ("HPY-D6=warn", "HPY-D6=warn"),
        ("d=warn", "d=warn"),
        ("traces=many", "traces=many"),
        ("traces=-1", "traces=-1"),
        ("json=", "json="),
        ("suppress=", "suppress="),
        ("suppress=mod.f:D999", "suppress=mod.f:D999"),
        ("strings=some", "strings=some"),
        ("raise;warn", "raise;warn"),
        ("größe", "größe"),
    ],
)
def test_an_item_that_cannot_be_understood(debug, item):
    process = several("mod.right([])", debug)
    assert process.returncode == 0
    (outcome,) = told(process)
    assert outcome["kind"] == "ValueError", outcome
    assert "HPY_DEBUG" in outcome["text"]
    assert item in outcome["text"]
    assert "suppress=" in outcome["text"], "the grammar is missing"


def test_spaces_and_empty_items_do_not_matter():
    process = several(PENDING, " warn , D030 = raise ,")
    (outcome,) = told(process)
    assert outcome["identifier"] == "HPY-D030"


def test_hpy_debug_is_not_looked_at_in_universal_mode():
    process = run(f"tell(attempt({build(SEVERAL)!r}, 'mod.right([])', 'universal'))", "explode")
    assert (process.returncode, process.stderr, told(process)) == (0, "", [None])
