"""The samples in README.md and docs/ are built and run as they stand.

In the Markdown, `<!-- file: NAME -->` before a code block makes it a file of the page's project, and `<!-- run -->` a program.
The project is built by its setup.py, or as an installer would without one; the programs run in order, in one process each.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from snippet import REFERENCE

ROOT = Path(__file__).parent.parent
PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if "<!-- " in page.read_text("utf-8")]

BLOCK = re.compile(r"^<!-- (?:file: (?P<file>\S+)|(?P<run>run)) -->\n```\w+\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(REFERENCE, reason="about our own pages")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_samples_build_and_run(tmp_path, page):
    programs = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["run"]:
            programs.append(block["code"])
        else:
            path = tmp_path / block["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["code"], encoding="utf-8")
    assert programs
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def python(*args):
        run = subprocess.run(
            [sys.executable, *args], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8"
        )
        assert run.returncode == 0, run.stdout + run.stderr

    if (tmp_path / "setup.py").exists():
        python("setup.py", "--hpy-abi=universal", "build_ext", "--inplace")
    else:
        python("-c", "import setuptools; setuptools.setup()", "build_ext", "--inplace")
    for program in programs:
        python("-c", program)


def test_every_c_and_python_block_of_the_pages_is_tested():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fences = re.findall(r"^```(?:c|python|toml|ini)$", text, re.MULTILINE)
        assert len(fences) == len(BLOCK.findall(text)), page.name
