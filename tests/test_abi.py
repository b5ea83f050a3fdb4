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
    assert int(size) == (3 + len(members)) * word


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
    assert mod.name().startswith("HPy CPython ABI" if variant.abi == "cpython" else "HPy Universal ABI")
    assert mod.version() == 0


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
