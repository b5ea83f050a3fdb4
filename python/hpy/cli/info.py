"""Tells which runtime is installed, and where headers and libraries are.

For build systems: `hpy info --json`, or one value at a time with --include, --library, --suffix or --definitions.
"""

import json
import os
import platform
import shutil
import subprocess
import sys

ABIS = ("universal", "hybrid", "cpython")


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--pythons", action="store_true", help="also ask the other Pythons on PATH for their runtime")
    parser.add_argument("--abi", choices=ABIS, default="universal", help="the ABI that the following are about (default: universal)")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--include", action="store_true", help="only the folder of the headers")
    one.add_argument("--library", action="store_true", help="only the static library to link with")
    one.add_argument("--suffix", action="store_true", help="only the suffix of binaries")
    one.add_argument("--definitions", action="store_true", help="only the macros to define")


def run(options):
    found = collect()
    abi = found["abis"].get(options.abi)
    if options.include:
        print(found["include"])
    elif options.library or options.suffix or options.definitions:
        if abi is None:
            print(f"hpy info: this installation has no library for the ABI {options.abi}", file=sys.stderr)
            return 1
        print(abi["library"] if options.library else abi["suffix"] if options.suffix else " ".join(abi["definitions"]))
    else:
        if options.pythons:
            found["pythons"] = others()
        print(json.dumps(found, indent=2) if options.json else text(found))
    return 0


def collect():
    """What is installed here."""
    from hpy.devel import HPyDevel
    from hpy.devel.abitag import HPY_ABI_VERSION, HPY_ABI_VERSION_MINOR, get_hpy_ext_suffix

    devel = HPyDevel()
    abis = {}
    for abi in ABIS:
        libraries = devel.get_static_libs(abi)
        if libraries:
            definitions = ["HPY", f"HPY_ABI_{abi.upper()}"]
            abis[abi] = {"library": libraries[0], "suffix": get_hpy_ext_suffix(abi), "definitions": definitions}
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "executable": sys.executable,
        "abi": f"{HPY_ABI_VERSION}.{HPY_ABI_VERSION_MINOR}",
        "runtime": runtime(),
        "include": str(devel.get_extra_include_dirs()[0]),
        "abis": abis,
    }


def runtime():
    """The runtime of this Python; None without one."""
    try:
        import hpy.universal as universal
    except ImportError:
        return None
    modes = [name[5:].lower().replace("_", "+") for name in dir(universal) if name.startswith("MODE_")]
    return {
        "version": universal.get_version()[0],
        "revision": universal.get_version()[1],
        # PyPy's is built in.
        "file": getattr(universal, "__file__", None),
        "modes": sorted(modes),
    }


def others():
    """What other Pythons on PATH say of their runtime."""
    question = "import sys, json\ntry:\n    import hpy.universal as u; v = u.get_version()[0]\nexcept ImportError: v = None\n"
    question += "print(json.dumps([sys.implementation.name, list(sys.version_info[:3]), v]))"
    names = ["python3", "pypy3", *(f"{kind}3.{minor}{end}" for minor in range(9, 16) for kind in ("python", "pypy") for end in ("", "t"))]
    paths = {os.path.realpath(path): path for path in map(shutil.which, names) if path}
    found = []
    for path in sorted(paths.values()):
        run = subprocess.run([path, "-I", "-c", question], capture_output=True, encoding="utf-8", errors="replace")
        if run.returncode == 0 and run.stdout.startswith("["):
            implementation, version, has = json.loads(run.stdout)
            found.append({"executable": path, "python": f"{implementation} {'.'.join(map(str, version))}", "runtime": has})
    return found


def text(found):
    has = found["runtime"]
    said = "none; install one with: pip install hpy"
    if has:
        said = f"hpy {has['version']} ({has['revision']}), {has['file'] or 'built in'}"
    lines = [f"{found['python']}, {found['executable']}", f"  runtime   {said}"]
    if has and has["modes"]:
        lines.append(f"  modes     {', '.join(has['modes'])}")
    lines += [f"  ABI       {found['abi']}", f"  headers   {found['include']}"]
    for name, abi in found["abis"].items():
        lines.append(f"  {name:<9} {abi['library']}, for NAME{abi['suffix']}")
    for other in found.get("pythons", []):
        said = f"hpy {other['runtime']}" if other["runtime"] else "no runtime"
        lines.append(f"{other['python']}, {other['executable']}: {said}")
    return "\n".join(lines)
