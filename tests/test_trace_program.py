"""python -m hpy.trace: what it runs, shows and writes."""

import json
import os
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree

import pytest
from debugging import environment_with
from snippet import REFERENCE, compile_file, expand, make_importable

pytestmark = [
    pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has a trace mode of its own"),
    pytest.mark.skipif(REFERENCE, reason="0.9.0 has no such program"),
]

SOURCE = """
    FUNC_O(sum)
    {
        HPy_ssize_t length = HPy_Length(ctx, arg);
        HPy total = HPyLong_FromLong(ctx, 0);
        for (HPy_ssize_t i = 0; i < length; i++) {
            HPy item = HPy_GetItem_i(ctx, arg, i);
            HPy next = HPy_Add(ctx, total, item);
            HPy_Close(ctx, item);
            HPy_Close(ctx, total);
            total = next;
        }
        return total;
    }
"""

APP = """
    import ext

    def main():
        assert ext.sum(range(1000)) == 499500

    main()
"""


class Project:
    """A folder with a program and extensions, and the ways to run the program."""

    def __init__(self, folder):
        self.folder = folder
        self.extension("ext", SOURCE)

    def write(self, name, text):
        (self.folder / name).write_text(textwrap.dedent(text), encoding="utf-8")

    def extension(self, name, source):
        make_importable(compile_file(expand(textwrap.dedent(source), name), name), self.folder)

    def run(self, *arguments, status=0, **environment):
        """Its stdout and stderr."""
        run = subprocess.run(
            [sys.executable, "-m", "hpy.trace", *arguments],
            cwd=self.folder,
            capture_output=True,
            encoding="utf-8",
            env=environment_with(environment),
            timeout=120,
        )
        assert run.returncode == status, run.stdout + run.stderr
        return run.stdout, run.stderr

    def read(self, name):
        return (self.folder / name).read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def cells(report, name):
    """The lines of a table that have this in them, by their columns."""
    return [re.split(r"  +", line.strip()) for line in report.splitlines() if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line)]


def test_the_report_has_calls_and_where_they_come_from(project):
    project.write("app.py", APP)
    stdout, report = project.run("app.py")
    assert stdout == ""
    assert re.search(r"^app\.py: [\d.]+ m?s, of which [\d.]+ [mu]?s in extensions; 4,002 calls of the API$", report, re.MULTILINE)
    ((calls, *_, raised, left_open, name, called_from),) = cells(report, "ext.sum")[:1]
    assert (calls, raised, left_open, name, called_from) == ("1", "0", "0", "ext.sum", "app.py:5 in main")
    (add,) = cells(report, "HPy_Add")
    assert (add[0], add[-2], add[-1]) == ("1,000", "HPy_Add", "ext.sum (snippet:8)")
    assert [line[0] for line in cells(report, "HPy_Close")] == ["1,000", "1,000"]
    assert "Advice" not in report


def test_arguments_belong_to_the_program(project):
    project.write("app.py", "import sys; print(sys.argv, __name__, __file__, sys.path[0])")
    stdout, _ = project.run("--no-live", "app.py", "--json", "-x", "y")
    assert stdout.strip() == f"['app.py', '--json', '-x', 'y'] __main__ app.py {project.folder}"


def test_a_module_can_be_run(project):
    project.write("tool.py", "import sys, ext\nprint(sys.argv[1:], __name__, ext.sum([1, 2]))")
    stdout, report = project.run("-m", "tool", "--option")
    assert stdout == "['--option'] __main__ 3\n"
    assert report.lstrip().startswith("-m tool --option: ")


@pytest.mark.parametrize(
    "end, status, said",
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('no more')", 1, "no more"),
        ("raise LookupError('lost')", 1, "LookupError: lost"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
    ],
)
def test_the_report_comes_whatever_the_end(project, end, status, said):
    project.write("app.py", f"import sys, ext\next.sum([1])\n{end}")
    _, report = project.run("app.py", status=status)
    assert said in report and cells(report, "ext.sum")


def test_the_report_waits_for_threads(project):
    project.write(
        "app.py",
        """
        import ext, threading, time
        threading.Thread(target=lambda: (time.sleep(0.3), ext.sum([1])), daemon=True).start()
        threading.Thread(target=lambda: (time.sleep(0.6), ext.sum([1, 2]))).start()
        """,
    )
    _, report = project.run("app.py")
    assert [line[0] for line in cells(report, "HPy_Add")] == ["3"]


def test_an_executor_that_is_not_shut_down_ends_as_always(project):
    project.write(
        "app.py",
        """
        import atexit, ext
        from concurrent.futures import ThreadPoolExecutor

        def work():
            return ext.sum([1, 2])

        atexit.register(lambda: ext.sum([1, 2, 3]))
        executor = ThreadPoolExecutor(2)
        assert executor.submit(work).result() == 3
        """,
    )
    _, report = project.run("app.py")
    assert [line[0] for line in cells(report, "HPy_Add")] == ["5"]


def test_files_are_where_they_were_asked_for(project):
    (project.folder / "elsewhere").mkdir()
    project.write("app.py", "import os, ext\next.sum([1])\nos.chdir('elsewhere')\nos.rmdir('../elsewhere')")
    project.run("--json", "out.json", "-o", "report.txt", "app.py")
    assert cells(project.read("report.txt"), "ext.sum") and json.loads(project.read("out.json"))["calls"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork()")
def test_a_forked_process_leaves_the_report_alone(project):
    project.write("app.py", "import os, ext\next.sum([1])\nif os.fork():\n    os.wait()\nelse:\n    ext.sum([1])")
    _, report = project.run("app.py")
    assert report.count("Functions of extensions") == 1
    assert cells(report, "ext.sum")[0][0] == "1"


def test_a_traceback_is_that_of_the_program(project):
    project.write("app.py", "import sys\n\ndef f():\n    raise LookupError('lost')\n\nf()")
    _, report = project.run("app.py", status=1)
    traceback, _, _ = report.partition("LookupError: lost")
    assert re.findall(r'File "(.*)", line (\d+)', traceback) == [("app.py", "6"), ("app.py", "4")]
    project.write("app.py", "import sys\nsys.excepthook = lambda *what: print('mine', what[0])\nraise LookupError")
    stdout, _ = project.run("app.py", status=1)
    assert stdout == "mine <class 'LookupError'>\n"


def test_a_closed_stderr_is_no_reason_not_to_write(project):
    project.write("app.py", "import sys, ext\next.sum([1])\nsys.stderr.close()")
    project.run("--json", "out.json", "app.py")
    assert json.loads(project.read("out.json"))["calls"]


def test_modules_can_be_chosen(project):
    project.extension("other", SOURCE)
    project.write("app.py", "import ext, other\next.sum([1]), other.sum([2])")
    _, report = project.run("app.py")
    assert cells(report, "ext.sum") and cells(report, "other.sum")
    _, report = project.run("--modules", "other, third", "app.py")
    assert cells(report, "other.sum") and not cells(report, "ext.sum")


def test_nothing_to_show_says_why(project):
    project.write("app.py", "print('hello')")
    stdout, report = project.run("--flame-graph", "graph.svg", "app.py")
    assert stdout == "hello\n"
    assert "No function of a traced extension was called. Only universal and hybrid modules can be traced" in report
    assert re.search(r"nothing was called, so there is no .*graph\.svg$", report, re.MULTILINE)
    assert not (project.folder / "graph.svg").exists()


def test_a_program_of_its_own_is_not_traced(project):
    project.write("child.py", "import os, ext, hpy.trace\next.sum([1])\nprint(sum(hpy.trace.get_call_counts().values()), 'HPY' in os.environ)")
    project.write("app.py", "import subprocess, sys\nsubprocess.run([sys.executable, 'child.py'], check=True)")
    stdout, _ = project.run("app.py")
    assert stdout == "0 False\n"


def test_debug_mode_stays(project):
    project.extension("leaky", "FUNC_O(leak) { HPy_Dup(ctx, arg); return NONE; }")
    project.write("app.py", "import leaky\nleaky.leak('left')")
    _, report = project.run("app.py", HPY="debug")
    assert "HPY-D001 leaked handle" in report
    (row,) = [line for line in cells(report, "leaky.leak") if line[-2:] == ["leaky.leak", "app.py:2 in <module>"]]
    assert row[-3] == "1"


def test_json_is_what_a_recording_is_read_from(project):
    from hpy.trace import Recording

    project.write("app.py", APP)
    project.run("--json", "out.json", "app.py")
    recording = Recording.load(project.folder / "out.json")
    assert recording.data["command"] == "app.py" and recording.data["time"] > recording.time > 0
    assert recording.api_calls == 4002
    (function,) = recording.calls
    assert (function.name, function.line["line"], function.line["function"]) == ("ext.sum", 5, "main")
    assert {child.name: child.calls for child in function.children if child.name != "HPy_Close"} == {
        "HPy_Length": 1,
        "HPyLong_FromInt64_t": 1,
        "HPy_GetItem_i": 1000,
        "HPy_Add": 1000,
    }
    # And it is written as it was read.
    recording.save(project.folder / "again.json")
    assert json.loads(project.read("again.json")) == json.loads(project.read("out.json"))


def test_folded_stacks_and_flame_graph(project):
    project.write("app.py", APP)
    project.run("--folded", "out.folded", "--flame-graph", "out.svg", "app.py")
    lines = dict(line.rsplit(" ", 1) for line in project.read("out.folded").splitlines())
    assert {"app.py:5 in main;ext.sum", "app.py:5 in main;ext.sum;HPy_Add (snippet:8)"} <= lines.keys()
    assert all(int(time) > 0 for time in lines.values())
    graph = project.read("out.svg")
    root = xml.etree.ElementTree.fromstring(graph)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("ext.sum (") and title.endswith("%)") for title in titles), titles


def test_a_timeline_has_each_call(project):
    project.write("app.py", APP)
    project.run("--timeline", "out.json", "app.py")
    events = json.loads(project.read("out.json"))["traceEvents"]
    calls = [event for event in events if event["ph"] == "X"]
    assert len(calls) == 4003 and len({(event["pid"], event["tid"]) for event in calls}) == 1
    (outer,) = [event for event in calls if event["cat"] == "extension"]
    assert outer["name"] == "ext.sum" and outer["args"]["from"].endswith("app.py:5")
    inner = [event for event in calls if event["cat"] == "api"]
    assert all(outer["ts"] <= event["ts"] and event["ts"] + event["dur"] <= outer["ts"] + outer["dur"] + 0.002 for event in inner)
    # In order, and one after the other.
    assert all(first["ts"] + first["dur"] <= second["ts"] + 0.002 for first, second in zip(inner, inner[1:]))


def test_a_timeline_that_is_full_says_so(project):
    project.write("app.py", APP)
    _, report = project.run("--timeline", "out.json", "--events", "100", "app.py")
    assert re.search(r"out\.json has the first 100 calls that returned; there were 3,903 more \(--events\)$", report, re.MULTILINE)
    assert sum(event["ph"] == "X" for event in json.loads(project.read("out.json"))["traceEvents"]) == 100


def test_the_report_can_go_to_a_file_with_the_tree(project):
    project.write("app.py", APP)
    _, stderr = project.run("-o", "report.txt", "--tree", "--limit", "2", "--sort", "calls", "app.py")
    assert stderr == ""
    report = project.read("report.txt")
    assert re.search(r"^ *[\d.]+ [mu]?s +[\d.]+ [mu]?s +1  ext\.sum, from app\.py:5 in main$", report, re.MULTILINE)
    assert re.search(r"1,000    HPy_Add \(snippet:8\)$", report, re.MULTILINE)
    assert "... and 4 more (--limit)" in report


def test_two_runs_can_be_compared(project):
    project.write("app.py", APP)
    project.run("--json", "before.json", "app.py")
    project.write("app.py", APP.replace("range(1000)) == 499500", "range(10)) == 45").replace("main():", "main():\n        abs(1)"))
    project.run("--json", "after.json", "app.py")
    stdout, _ = project.run("--compare", "before.json", "after.json")
    (add,) = cells(stdout, "HPy_Add")
    assert add[:2] == ["1,000", "10"] and add[4].startswith("-") and add[-2:] == ["HPy_Add", "ext.sum"]
    assert float(add[5]) < 0.5
    # The line in Python is another one, but the function is the same: neither gone nor new.
    (function,) = [line for line in cells(stdout, "ext.sum") if line[:2] == ["1", "1"] and line[-1] == "ext.sum" and len(line) == 7]
    assert float(function[5]) > 0
    assert "before: app.py: " in stdout and "after:  app.py: " in stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "which program? Give a script, or -m and a module"),
        (["missing.py"], "there is no file 'missing.py'"),
        (["--compare", "app.py", "missing.json"], "app.py: "),
        (["--compare", "missing.json", "app.py"], "missing.json"),
        (["--compare", "other.json", "other.json"], "other.json: no recording of trace mode"),
        (["--json", "missing/out.json", "app.py"], "missing/out.json"),
        (["--sort", "nonsense", "app.py"], "nonsense"),
        (["--compare", "other.json"], "--compare"),
    ],
)
def test_what_can_not_be_done_is_said_before_anything_runs(project, arguments, message):
    project.write("app.py", "print('it ran')")
    project.write("other.json", "{}")
    stdout, stderr = project.run(*arguments, status=2)
    assert message in stderr and "Traceback" not in stderr and stdout == ""


def test_help_shows_all_options(project):
    stdout, _ = project.run("--help")
    for option in ("--modules", "--json", "--folded", "--flame-graph", "--timeline", "--compare", "--tree", "-m"):
        assert option in stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_long_run_shows_that_it_goes_on(project):
    import pty

    terminal, end = pty.openpty()
    project.write("app.py", "import time, ext\nend = time.monotonic() + 3.5\nwhile time.monotonic() < end: ext.sum(range(100))")
    command = [sys.executable, "-m", "hpy.trace", "app.py"]
    program = subprocess.Popen(command, cwd=project.folder, env=environment_with({}), stdout=end, stderr=end)
    os.close(end)
    shown = []
    try:
        while data := os.read(terminal, 4096):
            shown.append(data)
    except OSError:
        # Linux says so when nobody has the other end any more.
        pass
    os.close(terminal)
    status = program.wait(timeout=60)
    text = b"".join(shown).decode()
    assert status == 0
    assert re.search(r"\rhpy\.trace: \d s, [\d,]+ calls of the API, [\d,]+ a second", text), text
    # The last one is wiped out.
    assert re.search(r"\r +\r", text) and "Functions of extensions" in text


# Advice

SLOW = {
    "attribute by name in C": (
        'HPy_Close(ctx, HPy_GetAttr_s(ctx, arg, "real"));',
        "HPy_GetAttr_s in ext.f (snippet:LINE), 1,000 calls",
        "(first 'real')",
        "use HPy_GetAttr.",
    ),
    "item by name in C": (
        'HPy_Close(ctx, HPy_GetItem_s(ctx, dict, "key"));',
        "HPy_GetItem_s in ext.f (snippet:LINE), 1,000 calls",
        "(first 'key')",
        "use HPy_GetItem.",
    ),
    "list by append": (
        "HPyList_Append(ctx, list, arg);",
        "HPyList_Append in ext.f (snippet:LINE), 1,000 calls",
        "HPyListBuilder_New",
    ),
    "call with a tuple": (
        "HPy_Close(ctx, HPy_CallTupleDict(ctx, ctx->h_LongType, HPy_NULL, HPy_NULL));",
        "HPy_CallTupleDict in ext.f (snippet:LINE), 1,000 calls",
        "HPy_Call takes them in an array",
    ),
    "index as object": (
        """
        HPy index = HPyLong_FromLong(ctx, 0);
        HPy_Close(ctx, HPy_GetItem(ctx, list, index));
        HPy_Close(ctx, index);
        """,
        "HPy_GetItem in ext.f (snippet:LINE), 1,000 calls",
        "HPy_GetItem_i takes them",
    ),
    "exceptions cleared": (
        """
        if (HPy_IsNull(HPy_GetItem(ctx, dict, arg)))
            HPyErr_Clear(ctx);
        """,
        "HPyErr_Clear in ext.f (snippet:LINE), 1,000 calls",
        "mostly that of HPy_GetItem (snippet:LINE)",
        "HPy_Contains",
    ),
    "global in a loop": (
        "HPy_Close(ctx, HPyGlobal_Load(ctx, kept));",
        "HPyGlobal_Load in ext.f (snippet:LINE), 1,000 calls",
        "1,000 times in each call of the function",
    ),
}

FUNCTION = """
    static HPyGlobal kept;
    HPyDef_SLOT(exec, HPy_mod_exec)
    static int exec_impl(HPyContext *ctx, HPy mod)
    {{
        HPyGlobal_Store(ctx, &kept, ctx->h_None);
        return 0;
    }}
    FUNC_O(f)
    {{
        HPy list = HPyList_New(ctx, 0), dict = HPyDict_New(ctx), zero = HPyLong_FromLong(ctx, 0);
        HPyList_Append(ctx, list, zero);
        HPy_SetItem_s(ctx, dict, "key", arg);
        for (int i = 0; i < {times}; i++) {{
            {body}
        }}
        HPy_Close(ctx, list);
        HPy_Close(ctx, dict);
        HPy_Close(ctx, zero);
        return NONE;
    }}
"""


def advice_of(project, body, times):
    project.extension("ext", FUNCTION.format(body=body, times=times))
    project.write("app.py", "import ext\next.f(1)")
    _, report = project.run("--limit", "1", "app.py")
    _, _, advice = report.partition("\nAdvice\n")
    # Lines are wrapped.
    return re.sub(r"snippet:\d+", "snippet:LINE", " ".join(advice.split()))


@pytest.mark.parametrize("name", SLOW)
def test_what_is_slow_is_named(project, name):
    body, *expected = SLOW[name]
    advice = advice_of(project, body, 1000)
    assert all(text in advice for text in expected), advice
    assert advice.count("- HPy") == 1, advice


@pytest.mark.parametrize("name", SLOW)
def test_what_is_rare_is_not(project, name):
    assert advice_of(project, SLOW[name][0], 5) == ""


@pytest.mark.parametrize(
    "body",
    [
        "HPy_Close(ctx, HPy_GetItem_i(ctx, list, 0));",
        "HPy_Close(ctx, HPy_GetItem(ctx, list, zero));",
        "HPy_Close(ctx, HPy_Call(ctx, ctx->h_LongType, NULL, 0, HPy_NULL));",
        "HPy_Contains(ctx, dict, arg);",
    ],
)
def test_what_is_quick_is_not(project, body):
    assert advice_of(project, body, 1000) == ""


def test_advice_can_be_left_out(project):
    project.extension("ext", FUNCTION.format(body=SLOW["list by append"][0], times=1000))
    project.write("app.py", "import ext\next.f(1)")
    assert "Advice" not in project.run("--no-advice", "app.py")[1]
