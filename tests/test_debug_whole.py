"""Debug mode over whole extensions: it has nothing to say about those that are right, and points at what was put in wrong."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from snippet import REFERENCE, compile_file, expand, make_importable

pytestmark = pytest.mark.skipif(
    REFERENCE or sys.implementation.name == "pypy", reason="about our own debug mode, which is for CPython"
)

HERE = Path(__file__).parent
MENAGERIE = HERE / "portable" / "menagerie.c"
WORDCOUNT = HERE.parent / "examples" / "wordcount" / "wordcount.c"

# A check looks what happens to a capsule of another name.
ON_PURPOSE = "suppress=menagerie.unpack:D058"


def build(folder, path, without=None):
    """The module of a C file, beside its stub file in a folder; `without` is a part that is left out."""
    source = path.read_text(encoding="utf-8")
    if without:
        assert source.count(without) == 1
        source = source.replace(without, "\n" * without.count("\n"))
    make_importable(compile_file(source, path.stem), folder)


def line_of(path, text):
    source = path.read_text(encoding="utf-8")
    assert source.count(text) == 1
    return source[: source.index(text)].count("\n") + 1


def run(folder, *arguments, debug="raise", timeout=240):
    environment = {**os.environ, "HPY": "debug", "HPY_DEBUG": debug, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
    )


COUNT = """
import wordcount
text = "the cat and the dog and the bird\\n" * 1000
for lower in (False, True):
    assert wordcount.count(text, lower=lower)["the"] == 3000
assert wordcount.count("", min_length=3) == {}
for wrong in ((5,), (), ("a", "b")):
    try:
        wordcount.count(*wrong)
    except TypeError:
        pass
    else:
        raise AssertionError(wrong)
"""


def test_wordcount_is_clean(tmp_path):
    build(tmp_path, WORDCOUNT)
    process = run(tmp_path, "-c", COUNT)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def test_a_leak_in_wordcount_is_pointed_at(tmp_path):
    build(tmp_path, WORDCOUNT, without="        HPy_Close(ctx, value);\n")
    process = run(tmp_path, "-c", COUNT)
    assert process.returncode == 0, process.stderr
    line = line_of(WORDCOUNT, "HPy value = HPyLong_FromInt64_t(ctx, word->count);")
    assert re.search(rf"HPY-D001 leaked handle: \d+ times, first in wordcount\.count at wordcount\.c:{line}\n", process.stderr)


def test_types_are_clean(tmp_path):
    build(tmp_path, MENAGERIE)
    process = run(tmp_path, HERE / "portable" / "check_menagerie.py", debug=f"raise,{ON_PURPOSE}")
    assert (process.returncode, process.stderr) == (0, ""), process.stdout
    assert re.fullmatch(r"\d+ checks passed\n", process.stdout)


# A type that debug mode has seen made goes, and one of the same name comes to lie there, made by a copy of the module in
# universal mode. What was known of the first, whose fields nobody visits, says nothing of the second.
REUSED = """
import gc, importlib.machinery, shutil, sys
import hpy.universal, menagerie

path = shutil.copy(menagerie.__file__, sys.argv[1])
spec = importlib.machinery.ModuleSpec("menagerie", None, origin=path)
twin = hpy.universal.load("menagerie", path, spec, mode=hpy.universal.MODE_UNIVERSAL)

class Open(menagerie.Node):
    pass

seen, reused = set(), 0
while reused < 3:
    bare = menagerie.breed((object,), type, True)
    seen.add(id(bare))
    del bare
    gc.collect()
    cls = twin.breed((Open,), type, True)
    if id(cls) in seen:
        reused += 1
        node = cls()
        node.next = node
        node.next = None
        del node
    del cls
    gc.collect()
print("done")
"""


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="without the GIL, CPython gives no class the place of another"
)
def test_a_type_where_another_was(tmp_path):
    build(tmp_path, MENAGERIE)
    (tmp_path / "twin").mkdir()
    process = run(tmp_path, "-c", REUSED, tmp_path / "twin")
    assert (process.returncode, process.stdout, process.stderr) == (0, "done\n", "")


def test_a_leak_in_a_method_is_pointed_at(tmp_path):
    build(tmp_path, MENAGERIE, without="    HPy_Close(ctx, attributes);\n    HPy_Close(ctx, value);\n    HPy_Close(ctx, next);\n")
    code = "import menagerie; menagerie.Node(5).__getstate__()"
    process = run(tmp_path, "-c", code)
    assert process.returncode == 0, process.stderr
    line = line_of(MENAGERIE, 'HPy value = HPy_GetAttr_s(ctx, self, "value")')
    # The line opens two of them.
    assert process.stderr.count(f"Node.__getstate__ at menagerie.c:{line}\n") == 2, process.stderr
    assert f"menagerie.c:{line - 1}\n" in process.stderr


def test_four_threads(tmp_path):
    build(tmp_path, WORDCOUNT)
    build(tmp_path, MENAGERIE)
    code = """
        import sys, threading, time
        import menagerie, wordcount
        sys.setswitchinterval(1e-5)
        until, rounds, errors = time.monotonic() + 10, [0] * 4, []
        def work(number):
            try:
                while time.monotonic() < until:
                    assert wordcount.count(f"a {number} b {number}" * 20)["a"] >= 1
                    node = menagerie.Node(number)
                    for value in range(20):
                        nodes = menagerie.Node(value)
                        nodes.next, node.next = node, nodes
                        assert node.next.value == value and nodes.__getstate__()[1]
                    rounds[number] += 1
            except BaseException as error:
                errors.append(repr(error))
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors
        assert min(rounds) > 10, rounds
    """
    process = run(tmp_path, "-c", "if True:" + code)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


HANDLES = """
    #include <stdlib.h>
    static HPy *kept;
    static long count;
    FUNC_VARARGS(churn)
    {
        long turns = HPyLong_AsLong(ctx, args[1]);
        for (long i = 0; i < turns; i++)
            HPy_Close(ctx, HPy_Dup(ctx, args[0]));
        return NONE;
    }
    FUNC_O(open)
    {
        count = HPyLong_AsLong(ctx, arg);
        kept = malloc(count * sizeof(HPy));
        for (long i = 0; i < count; i++)
            kept[i] = HPy_Dup(ctx, arg);
        return NONE;
    }
    FUNC_NOARGS(close)
    {
        for (long i = 0; i < count; i++)
            HPy_Close(ctx, kept[i]);
        free(kept);
        return NONE;
    }
"""

MEASURE = """
import sys
sys.path.append({tests!r})
from loading import load
mod = load("mod", {binary!r}, "debug")
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
mod.churn("warm", 100000)
before = resident()
mod.churn("text", 2000000)
churned = resident() - before
before = resident()
mod.open(500000)
print(churned, (resident() - before) / 500000)
mod.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the size of the process")
def test_memory(tmp_path):
    binary = str(compile_file(expand(HANDLES, "mod"), "mod"))
    process = run(tmp_path, "-c", MEASURE.format(tests=str(HERE), binary=binary))
    assert (process.returncode, process.stderr) == (0, "")
    churned, for_each = map(float, process.stdout.split())
    assert churned < 1_000_000
    # The extension's own array has 8 bytes for each.
    assert for_each - 8 <= 64.5
