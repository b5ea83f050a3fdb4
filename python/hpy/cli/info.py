"""Tells which runtime is installed, and where headers and libraries are.

For build systems: `hpy info --json`, or one value at a time.
"""

import json
import os
import platform
import shutil
import subprocess
import sys

ABIS = ("universal", "hybrid", "cpython")


# What each option prints; None where the ABI is missing.
VALUES = {
    "include": ("the folder of the headers", lambda found, abi: found["include"]),
    "cmake": ("the folder with HPyConfig.cmake, for CMAKE_PREFIX_PATH", lambda found, abi: found["cmake"]),
    "pkgconfig": ("the folder with hpy-universal.pc and so on, for PKG_CONFIG_PATH", lambda found, abi: found["pkgconfig"]),
    "library": ("the static library to link with", lambda found, abi: abi and abi["library"]),
    "suffix": ("the suffix of binaries", lambda found, abi: abi and abi["suffix"]),
    "definitions": ("the macros to define", lambda found, abi: abi and " ".join(abi["definitions"])),
    "cflags": ("the compiler's options, without those for Python.h", lambda found, abi: abi and " ".join(abi["cflags"])),
}


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="everything, for programs")
    parser.add_argument("--pythons", action="store_true", help="also ask the other Pythons on PATH for their runtime")
    parser.add_argument("--abi", choices=ABIS, default="universal", help="the ABI that the following are about (default: universal)")
    one = parser.add_mutually_exclusive_group()
    for name, (summary, _) in VALUES.items():
        one.add_argument(f"--{name}", dest="value", action="store_const", const=name, help=f"only {summary}")
    one.add_argument("--stub", metavar="FILE", help="only the stub file for a binary of that name")


def run(options):
    if options.stub:
        from hpy.devel.stub import stub

        print(stub(options.stub), end="")
        return 0
    found = collect()
    if options.value:
        value = VALUES[options.value][1](found, found["abis"].get(options.abi))
        if value is None:
            print(f"hpy info: this installation has no library for the ABI {options.abi}", file=sys.stderr)
            return 1
        print(value)
        return 0
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
            folders = list(map(str, devel.get_extra_include_dirs()))
            if abi == "universal":
                folders.insert(0, str(devel.get_include_dir_forbid_python_h()))
            abis[abi] = {
                "library": libraries[0],
                "suffix": get_hpy_ext_suffix(abi),
                "definitions": definitions,
                "cflags": [*(f"-D{name}" for name in definitions), *(f"-I{folder}" for folder in folders)],
            }
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "executable": sys.executable,
        "abi": f"{HPY_ABI_VERSION}.{HPY_ABI_VERSION_MINOR}",
        "runtime": runtime(),
        "include": str(devel.get_extra_include_dirs()[0]),
        "cmake": str(devel.base_dir / "cmake"),
        "pkgconfig": str(devel.base_dir / "pkgconfig"),
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
