"""Tells what binaries and wheels are: their ABI, what they need, who loads them, and what is wrong with them.

Nothing is loaded or run. The exit status is 1 if something is wrong with one of the files.
"""

import io
import json
import re
import sys
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Optional

SUFFIXES = (".so", ".pyd", ".dylib", ".dll")
VERSION_FUNCTION = "get_required_hpy_{}_version_{}"
# What an abi3 binary has in its name, or an HPy one; or the version that it is for.
TAG = re.compile(r"^[^.]+\.(?:(?P<abi3>abi3t?)|(?P<hpy>hpy\d+)(?:-(?P<hybrid>[^.]+))?|(?P<python>[^.]+))\.\w+$")
CPYTHON = re.compile(r"^(?:cpython-|cp)(\d)(\d+)(t?)")


@dataclass
class Report:
    """What is known about a binary."""

    file: str
    # universal, hybrid, cpython (HPy's three), abi3, c-api, library, or none.
    abi: str = "none"
    module: str = ""
    made_with: str = ""
    hpy_version: str = ""
    system: str = ""
    processor: str = ""
    loads_on: list = field(default_factory=list)
    not_on: list = field(default_factory=list)
    # Whether importing it leaves the GIL of a free-threaded CPython off; None if its tables do not tell, or it loads on none.
    gil_not_used: Optional[bool] = None
    libraries: list = field(default_factory=list)
    libc: str = ""
    foreign_symbols: list = field(default_factory=list)
    problems: list = field(default_factory=list)


def add_arguments(parser):
    parser.add_argument("files", nargs="+", metavar="FILE", help="a binary (.so, .pyd) or a wheel")
    parser.add_argument("--json", action="store_true", help="print a list of reports as JSON")


def run(options):
    try:
        from hpy.universal import _inspect
    except ImportError as error:
        print(f"hpy check: it needs the runtime of HPy for CPython ({error}); run it with a CPython that has it", file=sys.stderr)
        return 2
    reports = []
    for file in options.files:
        try:
            with open(file, "rb") as opened:
                data = opened.read()
        except OSError as error:
            reports.append(Report(file, problems=[f"it can't be read: {error.strerror or error}"]))
            continue
        reports += check_wheel(_inspect, file, data) if file.endswith(".whl") else [check_binary(_inspect, file, data)]
    print(json.dumps([asdict(report) for report in reports], indent=2) if options.json else "\n".join(map(text, reports)))
    return int(any(report.problems for report in reports))


def check_binary(inspect, file, data):
    """The report about a binary, of which only the last part of the name counts."""
    report = Report(file)
    try:
        found = inspect(data)
    except ValueError as error:
        report.problems.append(f"it is no binary, or a damaged one: {error}")
        return report
    report.system = {"ELF": "Linux", "Mach-O": "macOS", "PE": "Windows"}.get(found["format"], found["format"])
    report.processor = found["processor"]
    report.libraries = found["libraries"]
    report.libc = libc(found["versions"])
    exports = set(found["exports"])
    entries = sorted(name[8:] for name in exports if name.startswith("HPyInit_"))
    pythons = sorted(name[7:] for name in exports if name.startswith("PyInit_"))
    tag = TAG.match(PurePath(file).name)
    tag = tag.groupdict() if tag else {}
    report.foreign_symbols = [name for name in found["imports"] if re.match(r"_?Py[A-Z_]", name)]
    if entries:
        check_hpy(report, found, entries, pythons, tag)
    elif pythons:
        check_capi(report, data, pythons, tag)
    else:
        report.abi = "library"
        report.problems.append("no entry point for Python: it exports neither HPyInit_NAME (is HPy_MODINIT missing?) nor PyInit_NAME")
    return report


def check_hpy(report, found, entries, pythons, tag):
    """A binary with HPyInit_NAME."""
    from hpy.devel.abitag import HPY_ABI_VERSION, HPY_ABI_VERSION_MINOR

    name = PurePath(report.file).name.split(".")[0].replace("-", "_")
    report.module = name if name in entries else entries[0]
    hybrid = tag.get("hybrid")
    report.abi = "hybrid" if hybrid else "universal"
    report.made_with = "HPy"
    if not hybrid or hybrid.endswith("t"):
        report.gil_not_used = f"HPyInitWithoutGIL_{report.module}" in found["exports"]
    if name not in entries:
        report.problems.append(f"the file is called {name}, but holds the module {', '.join(entries)}")
    functions = [VERSION_FUNCTION.format(part, report.module) for part in ("major", "minor")]
    missing = [each for each in (*functions, f"HPyInitGlobalContext_{report.module}") if each not in found["exports"]]
    if missing:
        report.problems.append(f"no function {' and no '.join(missing)}: built for an HPy before 0.9, or not with HPy_MODINIT")
    numbers = [found["numbers"].get(each) for each in functions]
    if None not in numbers:
        report.hpy_version = "{}.{}".format(*numbers)
        if numbers[0] != HPY_ABI_VERSION or numbers[1] > HPY_ABI_VERSION_MINOR:
            report.problems.append(
                f"it needs ABI {report.hpy_version} of HPy; this release knows {HPY_ABI_VERSION}.{HPY_ABI_VERSION_MINOR}"
            )
    if tag.get("hpy") and None not in numbers and tag["hpy"] != f"hpy{numbers[0]}":
        report.problems.append(f"its name says {tag['hpy']}, but it needs ABI {report.hpy_version}")
    any_runtime = "every implementation with a runtime of HPy, by a stub"
    if hybrid:
        report.loads_on = [f"{python_of(hybrid)}, by a stub"]
        report.not_on = [f"other versions and implementations: it uses {counted(report.foreign_symbols)} of the old C API"]
        return
    if report.foreign_symbols:
        report.problems.append(
            f"a universal binary that uses {counted(report.foreign_symbols)} of the old C API "
            f"({', '.join(report.foreign_symbols[:3])}{', …' if report.foreign_symbols[3:] else ''}): "
            "it loads only where these are; for such code there is the hybrid ABI"
        )
        report.not_on = ["implementations without these functions"]
    stubless = report.module in pythons
    plain = not tag
    if stubless and plain:
        report.loads_on.append("CPython 3.9 and later, with and without the GIL, as it is")
    elif not plain and not tag.get("hpy"):
        report.problems.append(f"its name is that of a binary for {python_of(tag.get('python') or tag.get('abi3'))}")
    else:
        report.loads_on.append("CPython 3.9 and later, by a stub")
        if not stubless:
            report.not_on.append("CPython without a stub: it has no PyInit function, which builds with HPy 0.10 and later have")
        if plain:
            report.problems.append("its name has no tag such as .hpy0, which runtimes ask for")
    report.loads_on.append(any_runtime)


def check_capi(report, data, pythons, tag):
    """A binary with PyInit_NAME only."""
    name = PurePath(report.file).name.split(".")[0]
    report.module = name if name in pythons else pythons[0]
    if name not in pythons:
        report.problems.append(f"the file is called {name}, but holds the module {', '.join(pythons)}")
    makers = ((b"HPyModuleDef", "HPy"), (b"pyo3", "PyO3"), (b"nanobind", "nanobind"), (b"pybind11", "pybind11"), (b"__pyx_", "Cython"))
    report.made_with = next((maker for mark, maker in makers if mark in data), "")
    if tag.get("abi3"):
        report.abi = "abi3"
        report.loads_on = ["CPython of the version it was built for, and later ones" + ("" if tag["abi3"] == "abi3t" else ", with the GIL")]
        return
    report.abi = "cpython" if report.made_with == "HPy" else "c-api"
    if tag.get("hpy"):
        report.problems.append(f"its name says {tag['hpy']}, but it has no HPyInit function")
    elif tag.get("python"):
        report.loads_on = [python_of(tag["python"])]
        report.not_on = ["any other version: it is bound to one by its calls of the C API"]
    else:
        report.loads_on = ["one version of CPython, which its name does not tell, or those of the limited API"]


def check_wheel(inspect, file, data):
    """The reports about the binaries of a wheel, and one about the wheel."""
    whole = Report(file, abi="wheel")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            names = wheel.namelist()
            binaries = [name for name in names if name.endswith(SUFFIXES)]
            reports = [check_binary(inspect, name, wheel.read(name)) for name in binaries]
            metadata = [wheel.read(name).decode("utf-8", "replace") for name in names if name.endswith(".dist-info/METADATA")]
    except zipfile.BadZipFile as error:
        whole.problems.append(f"it is no wheel: {error}")
        return [whole]
    parts = PurePath(file).stem.split("-")
    python, abi = parts[-3:-1] if len(parts) >= 5 else ("", "")
    whole.loads_on = ["every Python"] if (python, abi) == ("py3", "none") else [f"{python}-{abi}"]
    universal = [report for report in reports if report.abi == "universal"]
    bound = [report for report in reports if report.abi in ("hybrid", "cpython", "c-api", "abi3")]
    if (python, abi) == ("py3", "none"):
        for report in bound:
            whole.problems.append(f"its tag says every Python, but {report.file} is for {' or '.join(report.loads_on) or 'some'}")
    elif universal and not bound:
        whole.problems.append(
            f"its tag {python}-{abi} binds it to one Python, though all its extensions are universal; hpy 0.10 makes py3-none of it"
        )
    for report in universal:
        stub = report.file.rpartition("/")[0]
        stub = f"{stub}/{report.module}.py" if stub else f"{report.module}.py"
        if stub not in names:
            whole.problems.append(f"no {stub} beside {report.file}: implementations other than CPython need that stub")
    if any(report.abi in ("universal", "hybrid") for report in reports):
        required = re.findall(r"^Requires-Dist: *hpy\b", "\n".join(metadata), re.MULTILINE | re.IGNORECASE)
        if not required:
            whole.problems.append("it does not depend on hpy, so that it can be installed without a runtime")
    for report in reports:
        report.file = f"{file}: {report.file}"
    return [whole, *reports]


def libc(versions):
    """The oldest glibc that has all these versions of symbols."""
    numbers = [tuple(map(int, name[6:].split("."))) for name in versions if re.fullmatch(r"GLIBC_[\d.]+", name)]
    return f"glibc {'.'.join(map(str, max(numbers)))}" if numbers else ""


def python_of(tag):
    """`cpython-311-x86_64-linux-gnu` and `cp311` for people."""
    match = CPYTHON.match(tag or "")
    if not match:
        return tag or "another Python"
    return f"CPython {match[1]}.{match[2]}" + (" without the GIL" if match[3] else "")


def counted(symbols):
    return f"{len(symbols)} function{'s' if len(symbols) != 1 else ''}"


KINDS = {
    "universal": "HPy, universal",
    "hybrid": "HPy, hybrid",
    "cpython": "HPy, CPython ABI",
    "abi3": "C API, limited (abi3)",
    "c-api": "C API",
    "library": "a library that is no extension",
    "wheel": "a wheel",
    "none": "not a binary",
}


# What becomes of it where it can be off.
GIL = {
    True: "stays off in a free-threaded CPython",
    False: "comes on in a free-threaded CPython: built without HPY_MOD_GIL_NOT_USED",
}


def text(report):
    what = KINDS[report.abi] + (f" {report.hpy_version}" if report.hpy_version else "")
    if report.made_with not in ("", "HPy"):
        what += f", made with {report.made_with}"
    if report.system:
        what += f", for {report.system} on {report.processor}"
    lines = [f"{report.file}: {what}"]
    needs = [*([report.libc] if report.libc else []), *(name for name in report.libraries if not name.startswith("libc."))]
    for label, values in (
        ("module", [report.module] if report.module else []),
        ("loads on", report.loads_on),
        ("not on", report.not_on),
        ("GIL", [GIL[report.gil_not_used]] if report.gil_not_used is not None else []),
        ("needs", [", ".join(needs)] if needs else []),
        ("PROBLEM", report.problems),
    ):
        lines += [f"  {label:<9} {value}" for value in values]
    return "\n".join(lines)
