"""The source distribution ujson, which has the C library that is bound here: where it comes from, and what of it is compiled."""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

REQUIREMENT = Path(__file__).parent / "ujson.txt"
VERSION = re.search(r"^ujson==(\S+)", REQUIREMENT.read_text(encoding="utf-8"), re.MULTILINE).group(1)


class CantFetch(Exception):
    """pip has said why."""


def fetch(folder):
    """The unpacked source distribution: $UJSON_SOURCE, or what pip gets, once, into a folder."""
    if os.environ.get("UJSON_SOURCE"):
        return Path(os.environ["UJSON_SOURCE"])
    source = Path(folder) / f"ujson-{VERSION}"
    if source.exists():
        return source
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
        # Only the library is used, to which the version of Python is nothing.
        command += ["--no-binary=ujson", "--no-deps", "--ignore-requires-python", f"--dest={work}", f"--requirement={REQUIREMENT}"]
        if subprocess.run(command).returncode != 0:
            raise CantFetch(
                f"pip can't get the source distribution of ujson {VERSION}; to build without it, unpack that somewhere "
                "and set UJSON_SOURCE to the folder"
            )
        with tarfile.open(Path(work, f"{source.name}.tar.gz")) as archive:
            # pip has compared the digest. Older releases of Python have no filters.
            archive.extractall(work, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        try:
            Path(work, source.name).rename(source)
        except OSError:
            # Another process was faster.
            if not source.exists():
                raise
    return source


def add_sources(extension, source, *folders):
    """Adds the library to a setuptools.Extension, and folders of C files beside it."""
    base = Path(source) / "src" / "ujson"
    conversion = base / "deps" / "double-conversion" / "double-conversion"
    for folder in (*folders, base / "lib", conversion):
        extension.include_dirs.append(str(folder))
        extension.sources += sorted(str(path) for path in Path(folder).iterdir() if path.suffix in (".c", ".cc"))
    extension.define_macros.append(("UJSON_VERSION", f'"{VERSION}"'))
