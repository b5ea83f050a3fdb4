"""The binary interface: places in the context, and versions that have to agree."""

import re
import subprocess
import sys
from pathlib import Path

import hpy.universal
import pytest
from hpy.devel import HPyDevel, abitag
from snippet import REFERENCE, tools

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "tests/data/abi/context.toml"


def published_members():
    """(index, name) of each member; the file is simple enough to read without a parser, which 3.9 has not got."""
    text = PUBLISHED.read_text(encoding="utf-8")
    return [
        (int(index), name)
        for index, name in re.findall(r'^\[\[member\]\]\nindex = (\d+)\nname = "(\w+)"', text, re.MULTILINE)
    ]


@pytest.mark.newer
def test_every_member_of_the_context_has_its_published_offset(tmp_path):
    members = published_members()
    assert len(members) == 273
    lines = "\n".join(f'    printf("{name} %zu\\n", offsetof(HPyContext, {name}));' for _, name in members)
    source = tmp_path / "offsets.c"
    source.write_text(
        f'#include <hpy.h>\n#include <stdio.h>\nint main(void)\n{{\n{lines}\n    printf("%zu\\n", sizeof(HPyContext));\n}}\n'
    )
    command, _, _ = tools("universal")
    flags = [flag for flag in command if flag not in ("-shared", "-fPIC", "dynamic_lookup", "-undefined")]
    subprocess.run([*flags, "-o", str(tmp_path / "offsets"), str(source)], check=True)
    *offsets, size = subprocess.run(
        [str(tmp_path / "offsets")], check=True, capture_output=True, encoding="ascii"
    ).stdout.splitlines()
    word = 8 if sys.maxsize > 2**32 else 4
    assert offsets == [f"{name} {(3 + index) * word}" for index, name in members]
    # What is new goes behind them.
    assert int(size) >= (3 + len(members)) * word


def test_headers_runtime_and_devel_agree_on_the_abi_version(snippet):
    mod = snippet(
        """
        FUNC_NOARGS(major) { return HPyLong_FromLong(ctx, HPY_ABI_VERSION); }
        FUNC_NOARGS(minor) { return HPyLong_FromLong(ctx, HPY_ABI_VERSION_MINOR); }
        FUNC_NOARGS(tag) { return HPyUnicode_FromString(ctx, HPY_ABI_TAG); }
        FUNC_NOARGS(context) { return HPyLong_FromLong(ctx, ctx->abi_version); }
        """
    )
    assert mod.major() == mod.context() == abitag.HPY_ABI_VERSION == 0
    assert mod.minor() == abitag.HPY_ABI_VERSION_MINOR == 0
    assert mod.tag() == abitag.HPY_ABI_TAG == "hpy0"


def test_the_context_says_what_it_is(snippet, variant):
    mod = snippet("""
        FUNC_NOARGS(name) { return HPyUnicode_FromString(ctx, ctx->name); }
        FUNC_NOARGS(version) { return HPyLong_FromLong(ctx, ctx->abi_version); }
    """)
    names = {"cpython": "HPy CPython ABI", "universal": "HPy Universal ABI", "debug": "HPy Debug Mode ABI"}
    names["trace"] = names["debug_trace"] = "HPy Trace Mode ABI"
    assert mod.name().startswith(names[variant.mode])
    assert mod.version() == 0


# PyPy 7.3.19 has h_DictType behind h_Builtins, so that what follows is a place further on: include/hpy/pypy.h.
OTHER_TABLES = """
    #define PLACE(member) ((offsetof(HPyContext, member) - offsetof(HPyContext, h_None)) / sizeof(HPy))
    static struct { const char *name; void *private; int abi_version; intptr_t words[PLACE(h_DictType) + 1]; } table;

    static HPy in_place(HPyContext *ctx, HPy f, const HPy *args, size_t nargs, HPy kwnames)
    {
        return HPyUnicode_FromString(ctx, "in place");
    }
    static HPy further_on(HPyContext *ctx, HPy f, const HPy *args, size_t nargs, HPy kwnames)
    {
        return HPyUnicode_FromString(ctx, "further on");
    }
    static void *struct_of_int(HPyContext *ctx, HPy h) { return "int"; }
    static void *struct_of_object(HPyContext *ctx, HPy h) { return "object"; }

    HPy_EXPORTED_FUNC void HPyInitGlobalContext_mod(HPyContext *ctx);

    /* A host with this name, and these words from h_Builtins on; -1 is a function. Returns which HPy_Call of its two is
       called, which function gives an int's struct, and what comes of keyword arguments. */
    FUNC_KEYWORDS(call_on)
    {
        HPyContext *other = (HPyContext *)(void *)&table, *trampolines = _ctx_for_trampolines;
        static const char *names[] = { "x", "y", NULL };
        long x = 0, y = 0;
        memcpy(&table, ctx, sizeof(table));
        table.name = HPyUnicode_AsUTF8AndSize(ctx, args[0], NULL);
        for (size_t i = PLACE(h_Builtins); i <= PLACE(h_DictType); i++)
            table.words[i] = (intptr_t)in_place;
        table.words[PLACE(h_Builtins)] = HPyLong_AsSsize_t(ctx, args[1]);
        if (HPyLong_AsSsize_t(ctx, args[2]) != -1)
            table.words[PLACE(h_Builtins) + 1] = HPyLong_AsSsize_t(ctx, args[2]);
        table.words[PLACE(ctx_Call) + 1] = (intptr_t)further_on;
        table.words[PLACE(ctx_AsStruct_Object)] = (intptr_t)struct_of_object;
        table.words[PLACE(ctx_AsStruct_Long)] = (intptr_t)struct_of_int;

        HPyInitGlobalContext_mod(other);
        HPy called = HPy_Call(other, ctx->h_None, NULL, 0, HPy_NULL);
        const char *structure = _HPy_AsStruct_Long(other, ctx->h_None);
        int parsed = HPyArg_ParseKeywordsDict(ctx, NULL, args + 3, (HPy_ssize_t)nargs - 3, kwnames, "ll", names, &x, &y);
        HPyInitGlobalContext_mod(trampolines);
        if (!parsed)
            HPyErr_Clear(ctx);
        HPy result = HPy_BuildValue(ctx, "Osll", called, structure, x, y);
        HPy_Close(ctx, called);
        return result;
    }
"""
PYPY = "HPy Universal ABI (PyPy backend)"
FUNCTION = -1


@pytest.mark.abis("universal", "hybrid")
@pytest.mark.skipif(REFERENCE, reason="0.9.0 does not know that PyPy")
@pytest.mark.parametrize(
    ("name", "builtins", "next_word", "is_shifted"),
    [
        (PYPY, 0x52, 0x53, True),
        ("HPy Debug Mode ABI (PyPy backend)", 0x5555_0000_1000, 0x5555_0000_1050, True),
        ("HPy Trace Mode ABI (PyPy backend)", 0x52, 0, True),
        (PYPY, 0x52, FUNCTION, False),
        ("HPy Debug Mode ABI (PyPy backend)", 0x5555_0000_1000, FUNCTION, False),
        ("HPy Universal ABI (another backend)", 0x52, 0x53, False),
        ("HPy Universal ABI (another backend)", 0x52, FUNCTION, False),
    ],
)
def test_members_are_found_where_a_runtime_has_them(snippet, name, builtins, next_word, is_shifted):
    found = snippet(OTHER_TABLES).call_on(name, builtins, next_word, 1, y=2)
    # Elsewhere, a tuple of names is no dict: the conversion fails after the positional argument.
    assert found == (("further on", "object", 1, 2) if is_shifted else ("in place", "int", 1, 0))


@pytest.mark.skipif(REFERENCE, reason="about our own files")
def test_the_version_is_the_same_everywhere():
    version, revision = hpy.universal.get_version()
    assert version == "0.10.0"
    assert revision == "unknown" or re.fullmatch("[0-9a-f]{7,}", revision)
    for file, pattern in [("Cargo.toml", r'^version = "(.*)"'), ("pyproject.toml", r'^version = "(.*)"')]:
        assert re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE).group(1) == version
    installed = Path(HPyDevel().get_extra_include_dirs()[0], "hpy", "version.h").read_text(encoding="utf-8")
    assert f'#define HPY_VERSION "{version}"' in installed
    assert f'#define HPY_GIT_REVISION "{revision}"' in installed
