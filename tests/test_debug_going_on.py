"""Misuses under `warn` and `ignore`: the program goes on as without debug mode, if it can."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from debugging import environment_with
from snippet import REFERENCE, compile_file, expand
from type_snippets import method, slot, type_source

pytestmark = pytest.mark.skipif(
    REFERENCE or sys.implementation.name == "pypy", reason="about our own debug mode, which is for CPython"
)

POLICIES = ["warn", "ignore", "{identifier}=warn", "{identifier}=ignore"]

SOURCE = (
    """
    static HPyContext *kept;
    static long result;
    """
    + type_source(
        "Ending",
        "long number;",
        method("remember", "kept = ctx; Ending_AsStruct(ctx, self)->number = 42; return NONE;"),
        slot(
            "tp_destroy",
            """
            HPy h = HPyLong_FromInt64_t(kept, ((Ending *)object)->number);
            result = HPyLong_AsInt32_t(kept, h);
            HPy_Close(kept, h);
            """,
        ),
    )
    + """
    FUNC_NOARGS(keep) { kept = ctx; return NONE; }
    FUNC_NOARGS(use)
    {
        HPy h = HPyLong_FromInt64_t(kept, 42);
        if (HPy_IsNull(h) && !HPyErr_Occurred(ctx))
            return HPyErr_SetString(ctx, ctx->h_AssertionError, "null without an exception");
        return h;
    }
    FUNC_NOARGS(fail)
    {
        HPyErr_SetString(kept, ctx->h_KeyError, "set");
        return HPy_NULL;
    }
    FUNC_NOARGS(take_result) { return HPyLong_FromInt64_t(ctx, result); }
    FUNC_O(leave)
    {
        HPyThreadState state = HPy_LeavePythonExecution(ctx);
        result = HPyLong_AsInt32_t(ctx, arg);
        HPy h = HPyLong_FromInt64_t(ctx, result + 1);
        HPy_ReenterPythonExecution(ctx, state);
        return h;
    }
    """
)


@pytest.fixture
def run():
    """Runs Python code with the extension `mod`, and gives the process."""

    def run(code, policy):
        binary = str(compile_file(expand(textwrap.dedent(SOURCE), "mod"), "mod"))
        start = f"import sys\nsys.path.append({str(Path(__file__).parent)!r})\nfrom loading import load\n"
        process = subprocess.run(
            [sys.executable, "-c", f"{start}mod = load('mod', {binary!r}, 'debug')\n{code}"],
            env=environment_with({"HPY_DEBUG": policy}),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
        )
        assert process.returncode == 0, (policy, process.returncode, process.stderr[-3000:])
        return process

    return run


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "identifier, code",
    [
        ("D026", "mod.keep(); assert mod.use() == 42; assert mod.use() == 42"),
        ("D026", "mod.keep()\ntry:\n    mod.fail()\nexcept KeyError as error:\n    assert error.args == ('set',)"),
        (
            "D026",
            "from threading import Thread\nmod.keep()\nthread = Thread(target=mod.use)\nthread.start()\nthread.join()\n"
            "assert mod.use() == 42",
        ),
        ("D034", "ending = mod.Ending(); ending.remember(); del ending; assert mod.take_result() == 42"),
        ("D035", "assert mod.leave(41) == 42; assert mod.take_result() == 41"),
    ],
    ids=["kept", "exception", "thread", "destroy", "left"],
)
def test_the_call_is_made(run, identifier, code, policy):
    process = run(code, policy.format(identifier=identifier))
    # What is wrong about the same call beside that stays as it was.
    told = {line[4:8] for line in process.stderr.splitlines() if line.startswith("HPY-")}
    assert (identifier in told) == policy.endswith("warn"), process.stderr
