"""Counts the words of the standard library's sources, and compares with collections.Counter."""

import platform
import re
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path

import hpy.universal
import wordcount

# What wordcount takes for a word.
WORD = re.compile(r"[0-9A-Za-z_\x80-\U0010ffff]+")


def read_sources(folder):
    """All Python files below a folder that are UTF-8, as one text, and how many there are."""
    texts = []
    for path in sorted(Path(folder).rglob("*.py")):
        if "site-packages" not in path.parts:
            try:
                texts.append(path.read_text(encoding="utf-8"))
            except UnicodeDecodeError:
                pass
    return "\n".join(texts), len(texts)


def timed(function, *args):
    start = time.perf_counter()
    result = function(*args)
    return result, time.perf_counter() - start


def main():
    print(f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})")
    print(f"  extension  {wordcount.__file__}")
    print(f"  runtime    {hpy.universal.__file__} (hpy {hpy.universal.get_version()[0]})")
    folder = sysconfig.get_path("stdlib")
    text, files = read_sources(folder)
    print(f"  input      {files} files below {folder}, {len(text) / 1e6:.1f} million characters")
    counted, seconds = timed(wordcount.count, text)
    expected, python_seconds = timed(lambda: Counter(WORD.findall(text)))
    if counted != expected:
        sys.exit(f"  the counts differ: {len(counted)} words against {len(expected)}")
    word, times = max(counted.items(), key=lambda item: item[1])
    total = sum(counted.values())
    print(f"  result     {total} words, {len(counted)} distinct, most often {word!r} ({times} times): equal to Counter")
    print(f"  time       wordcount {seconds:.3f} s, Counter {python_seconds:.3f} s")


if __name__ == "__main__":
    main()
