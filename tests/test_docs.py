"""The samples in README.md and docs/ are built and run as they stand.

In the Markdown, `<!-- file: NAME -->` before a code block makes it a file of the page's project, and `<!-- run -->` a program, or
`<!-- run: NAME=VALUE -->` one with something in its environment. The project is built by its setup.py, or as an installer would
without one; the programs run in order, in one process each.

docs/debug-mode.md has more of them. Below a heading with the identifier of a misuse, `<!-- wrong: PYTHON -->` stands before C code
that commits it when the Python code runs, and what is printed then stands below it; `<!-- right: PYTHON -->` stands before C code
that does not. Definitions whose name begins with `Pair_` belong to the type of that name.

In docs/trace-mode.md, `<!-- trace: ARGUMENTS -->` stands for a run of `python -m hpy.trace`, and above what it prints.
"""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from snippet import REFERENCE, compile_file, expand

ROOT = Path(__file__).parent.parent
PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if "<!-- " in page.read_text("utf-8")]
DEBUG_MODE = (ROOT / "docs" / "debug-mode.md").read_text(encoding="utf-8")

BLOCK = re.compile(
    r"^<!-- (?:file: (?P<file>\S+)|(?P<run>run)(?:: (?P<environment>[^\n]*?))?|(?P<example>type|(?:wrong|right): [^\n]*)) -->\n"
    r"```\w+\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MISUSE = re.compile(
    r"^### (?P<identifier>HPY-D\d+): .*?"
    r"^<!-- wrong: (?P<wrong_call>[^\n]*) -->\n```c\n(?P<wrong>.*?)^```\n\n"
    r"```text\n(?P<message>.*?)^```\n.*?"
    r"^<!-- right: (?P<right_call>[^\n]*) -->\n```c\n(?P<right>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MISUSES = [match.groupdict() for match in MISUSE.finditer(DEBUG_MODE)]

pytestmark = pytest.mark.skipif(REFERENCE, reason="about our own pages")
with_debug_mode = pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has a debug mode of its own")
each_misuse = pytest.mark.parametrize("misuse", MISUSES, ids=lambda misuse: misuse["identifier"])


def python_in(folder):
    """A function that runs Python in a folder, and gives what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}

    def python(*args, **settings):
        run = subprocess.run(
            [sys.executable, *args], cwd=folder, env={**environment, **settings}, capture_output=True, encoding="utf-8"
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout + run.stderr

    return python


def build(tmp_path, page):
    """Builds the page's project in a folder, and gives its programs with their environments."""
    programs = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["run"]:
            settings = dict(setting.split("=", 1) for setting in (block["environment"] or "").split())
            programs.append((block["code"], settings))
        elif block["file"]:
            path = tmp_path / block["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["code"], encoding="utf-8")
    assert programs
    python = python_in(tmp_path)
    if (tmp_path / "setup.py").exists():
        python("setup.py", "--hpy-abi=universal", "build_ext", "--inplace")
    else:
        python("-c", "import setuptools; setuptools.setup()", "build_ext", "--inplace")
    return programs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_samples_build_and_run(tmp_path, page):
    for program, settings in build(tmp_path, page):
        if sys.implementation.name != "pypy" or "HPY" not in settings:
            python_in(tmp_path)("-c", program, **settings)


def test_every_c_and_python_block_of_the_pages_is_tested():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fences = re.findall(r"^```(?:c|python|toml|ini)$", text, re.MULTILINE)
        assert len(fences) == len(BLOCK.findall(text)), page.name


# docs/debug-mode.md

# What examples with the type leave out, if they do not define it themselves.
PAIR = {
    "Pair_traverse": """
        HPyDef_SLOT(Pair_traverse, HPy_tp_traverse)
        static int Pair_traverse_impl(void *object, HPyFunc_visitproc visit, void *arg)
        {
            HPy_VISIT(&((Pair *)object)->first);
            HPy_VISIT(&((Pair *)object)->second);
            HPy_VISIT(&((Pair *)object)->kept);
            return 0;
        }
    """,
    "Pair_first": 'HPyDef_MEMBER(Pair_first, "first", HPyMember_OBJECT, offsetof(Pair, first))\n',
    "Pair_second": 'HPyDef_MEMBER(Pair_second, "second", HPyMember_OBJECT, offsetof(Pair, second))\n',
    "Pair_getbuffer": """
        HPyDef_SLOT(Pair_getbuffer, HPy_bf_getbuffer)
        static int Pair_getbuffer_impl(HPyContext *ctx, HPy self, HPy_buffer *buffer, int flags)
        {
            *buffer = (HPy_buffer){
                .buf = &Pair_AsStruct(ctx, self)->number,
                .obj = HPy_Dup(ctx, self),
                .len = sizeof(long),
                .itemsize = 1,
                .ndim = 1,
            };
            return 0;
        }
    """,
    "Pair_releasebuffer": """
        HPyDef_SLOT(Pair_releasebuffer, HPy_bf_releasebuffer)
        static void Pair_releasebuffer_impl(HPyContext *ctx, HPy self, HPy_buffer *buffer) {}
    """,
}


def module_of(example, call):
    """A snippet that has what the page leaves out. The lines of the example are counted as those of `example.c`."""
    parts = [f'#include <stdio.h>\n#line 1 "example.c"\n{example}#line 1 "rest.c"\n']
    defined = re.findall(r"^HPyDef_\w+\((\w+),", example, re.MULTILINE)
    if "Pair" in example + call:
        (declaration,) = [block["code"] for block in BLOCK.finditer(DEBUG_MODE) if block["example"] == "type"]
        parts.insert(0, declaration)
        parts += [text for name, text in PAIR.items() if name not in defined]
        names = sorted({*PAIR, *(name for name in defined if name.startswith("Pair_"))})
        parts.append(f"""
            static HPyDef *Pair_defines[] = {{ {"".join(f"&{name}, " for name in names)}NULL }};
            static HPyType_Spec Pair_spec = {{
                .name = "mod.Pair",
                .basicsize = sizeof(Pair),
                .flags = HPy_TPFLAGS_DEFAULT | HPy_TPFLAGS_HAVE_GC,
                .defines = Pair_defines,
            }};
            HPyDef_SLOT(add_Pair, HPy_mod_exec)
            static int add_Pair_impl(HPyContext *ctx, HPy module)
            {{
                return HPyHelpers_AddType(ctx, module, "Pair", &Pair_spec, NULL) - 1;
            }}
        """)
    parts += [f"EXPORT({name})\n" for name in defined if not name.startswith("Pair_")]
    return "".join(parts)


def run_example(example, call, config, **settings):
    """The process that ran the Python code of an example in debug mode."""
    abi = "hybrid" if "Python.h" in example else "universal"
    if abi not in config.getoption("--abi").split(","):
        pytest.skip(f"the {abi} ABI is not to be tested")
    binary = compile_file(expand(module_of(example, call), "mod"), "mod", abi)
    code = f"""
import sys
sys.path.append({str(Path(__file__).parent)!r})
from attempting import attempt
raised = attempt({str(binary)!r}, {call!r})
print(raised and raised["text"])
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HPY_DEBUG")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, **settings},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
    )


def message_of(process, identifier):
    """What was printed about the misuse, but for the stack and what differs from one process to the next."""
    summary = re.search(rf"^  {identifier} .*$", process.stderr, re.MULTILINE)
    report = re.search(rf"^{identifier} .*\n(?:  .*\n)*", process.stderr, re.MULTILINE)
    assert report or summary, process.stderr
    text = report[0] if report else summary[0].strip() + "\n"
    text = re.sub(r"^  stack .*\n(?: {11}.*\n)*", "", text, flags=re.MULTILINE)
    text = text.replace(str(Path(__file__).parent) + os.sep, "")
    return re.sub(r"0x[0-9a-f]{6,}", "0x...", text)


@with_debug_mode
@each_misuse
def test_wrong_examples_are_told_about(misuse, pytestconfig):
    process = run_example(misuse["wrong"], misuse["wrong_call"], pytestconfig)
    assert process.returncode in (0, -6), process
    expected = misuse["message"]
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        # Python is not asked where it is while the world stands still.
        unknown = {"HPY-D038": "python", "HPY-D042": "python"}.get(misuse["identifier"], "nothing")
        expected = re.sub(rf"^  {unknown} .*\n", "", expected, flags=re.MULTILINE)
    assert message_of(process, misuse["identifier"]) == expected


@with_debug_mode
@each_misuse
def test_right_examples_are_not(misuse, pytestconfig):
    process = run_example(misuse["right"], misuse["right_call"], pytestconfig, HPY_DEBUG="raise")
    assert (process.stdout, process.stderr, process.returncode) == ("None\n", "", 0)


# docs/trace-mode.md

TRACE_MODE = ROOT / "docs" / "trace-mode.md"
TRACED = re.compile(r"^<!-- trace: (?P<arguments>[^\n]*) -->\n(?:```text\n(?P<output>.*?)^```$)?", re.MULTILINE | re.DOTALL)


def without_times(report):
    """What a report says, without what depends on the times: the order, the widths of columns, where advice is wrapped."""
    text = re.sub(r"[+-]?\d[\d.]* (ns|us|ms|s)\b|(?<= )(\d+\.\d\d|gone|new)(?= )", "TIME", report)
    tables, _, advice = text.partition("\nAdvice\n")
    return sorted(" ".join(part.split()) for part in [*tables.splitlines(), *advice.split("\n\n")])


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has a trace mode of its own")
def test_reports_of_trace_mode_are_what_the_page_shows(tmp_path):
    build(tmp_path, TRACE_MODE)
    python = python_in(tmp_path)
    runs = TRACED.findall(TRACE_MODE.read_text(encoding="utf-8"))
    assert len([output for _, output in runs if output]) == 2
    for arguments, output in runs:
        printed = python("-m", "hpy.trace", *arguments.split()).lstrip("\n")
        assert not output or without_times(printed) == without_times(output)


def test_the_page_on_internals_names_files_that_exist():
    text = ROOT.joinpath("docs", "internals.md").read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w/])((?:crates|docs|include|python|spec|tests|xtask)/[\w./-]*[\w/])", text)
    assert len(set(named)) > 30
    missing = [path for path in named if not (ROOT / path).exists()]
    assert missing == []
    # Inside the paragraphs about a crate, files go by their names.
    crates = {path.name for path in ROOT.joinpath("crates").rglob("*.rs")} | {path.name for path in ROOT.joinpath("xtask").rglob("*.rs")}
    unknown = {name for name in re.findall(r"`(?:\w+/)?(\w+\.rs)`", text) if name not in crates}
    assert unknown == set()
