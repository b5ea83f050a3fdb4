"""An extension that does wrong, for the tests of how debug mode is asked and told."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from loading import load
from snippet import compile_file, expand

SOURCE = """
    #include <string.h>
    FUNC_O(leak)
    {
        HPy_Dup(ctx, arg);
        return NONE;
    }
    FUNC_O(leak_elsewhere)
    {
        HPy_Dup(ctx, arg);
        return NONE;
    }
    FUNC_O(leak_builder)
    {
        HPyListBuilder builder = HPyListBuilder_New(ctx, 1);
        HPyListBuilder_Set(ctx, builder, 0, arg);
        return NONE;
    }
    FUNC_NOARGS(leak_tracker)
    {
        HPyTracker_New(ctx, 0);
        return NONE;
    }
    FUNC_O(leak_with_text)
    {
        HPy_ssize_t size;
        HPyUnicode_AsUTF8AndSize(ctx, HPy_Dup(ctx, arg), &size);
        return HPyLong_FromSsize_t(ctx, size);
    }
    FUNC_O(clean)
    {
        HPy h = HPy_Dup(ctx, arg);
        HPy_Close(ctx, h);
        HPyListBuilder builder = HPyListBuilder_New(ctx, 1);
        HPyListBuilder_Set(ctx, builder, 0, arg);
        return HPyListBuilder_Build(ctx, builder);
    }
    FUNC_O(close_twice)
    {
        HPy h = HPy_Dup(ctx, arg);
        HPy_Close(ctx, h);
        HPy_Close(ctx, h);
        return NONE;
    }
    FUNC_O(use_closed)
    {
        HPy h = HPy_Dup(ctx, arg);
        HPy_Close(ctx, h);
        HPy_ssize_t length = HPy_Length(ctx, h);
        return HPyErr_Occurred(ctx) ? HPy_NULL : HPyLong_FromSsize_t(ctx, length);
    }
    FUNC_O(build_twice)
    {
        HPyListBuilder builder = HPyListBuilder_New(ctx, 1);
        HPyListBuilder_Set(ctx, builder, 0, arg);
        HPy_Close(ctx, HPyListBuilder_Build(ctx, builder));
        return HPyListBuilder_Build(ctx, builder);
    }
    FUNC_O(call_with_an_exception_pending)
    {
        HPyErr_SetString(ctx, ctx->h_LookupError, "pending");
        HPy_Length(ctx, arg);
        return HPy_NULL;
    }
    FUNC_NOARGS(read_closed)
    {
        HPy h = HPyUnicode_FromString(ctx, "text that is read when it is gone");
        const char *text = HPyUnicode_AsUTF8AndSize(ctx, h, NULL);
        HPy_Close(ctx, h);
        return HPyLong_FromSize_t(ctx, strlen(text));
    }

    /* A capsule that does wrong when nobody can be told: its destructor may call nothing. */
    static HPyContext *kept;
    HPyCapsule_DESTRUCTOR(end_of_capsule)
    static void end_of_capsule_impl(const char *name, void *pointer, void *context)
    {
        (void)name, (void)pointer, (void)context;
        HPy_Close(kept, HPy_NULL);
    }
    FUNC_NOARGS(capsule)
    {
        kept = ctx;
        return HPyCapsule_New(ctx, &kept, "capsule", &end_of_capsule);
    }
"""


def debugged(source=SOURCE, name="mod"):
    """The module of a snippet, in debug mode."""
    return load(name, compile_file(expand(textwrap.dedent(source), name), name), "debug")


def line_of(text, source=SOURCE):
    """The number of the first line that has the text."""
    lines = textwrap.dedent(source).splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def run(code, **environment):
    """Runs Python code in a process of its own, where `mod` is the extension."""
    binary = compile_file(expand(textwrap.dedent(SOURCE), "mod"), "mod")
    start = f"""
        import sys
        sys.path.append({str(Path(__file__).parent)!r})
        from hpy.debug import HPyDebugError
        from hpy.universal import _debug
        from loading import load
        mod = load("mod", {str(binary)!r}, "debug")
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(start) + textwrap.dedent(code)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=environment_with(environment),
        timeout=60,
    )


def environment_with(changes):
    """The environment of another process: nothing in it is about HPy or pytest but these changes."""
    about = ("HPY", "PYTEST")
    others = {name: value for name, value in os.environ.items() if not name.startswith(about)}
    return {**others, "PYTHONDONTWRITEBYTECODE": "1", **changes}
