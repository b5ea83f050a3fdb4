"""Builds a module, `ops` unless BENCH_MODULE names another, as the variant BENCH_VARIANT. Called by build.py."""

import os
import sysconfig

from setuptools import Extension, setup

VARIANT = os.environ["BENCH_VARIANT"]
MODULE = os.environ.get("BENCH_MODULE", "ops")
SOURCES = os.environ.get("BENCH_SOURCES", "variants")
CHECKS = ["-Wall", "-Wextra", "-Werror"]
# The same for all, whatever the Python was built with.
COMMON = ["-O2", "-g0", "-fvisibility=hidden"]
LINKED = ["-Wl,--gc-sections"] if os.name == "posix" and os.uname().sysname == "Linux" else []


def extension(suffix, *flags, **keywords):
    source = f"{SOURCES}/{MODULE}_{suffix}"
    return Extension(MODULE, [source], extra_compile_args=[*COMMON, *flags], extra_link_args=LINKED, **keywords)


def nanobind():
    """As nanobind's documentation says to do it without CMake: its library for speed, the bindings for size."""
    import nanobind

    include_dirs = [
        nanobind.include_dir(),
        os.path.join(os.path.dirname(nanobind.source_dir()), "ext", "robin_map", "include"),
        sysconfig.get_path("include"),
    ]
    flags = ["-std=c++17", "-fvisibility=hidden", "-g0", "-fPIC", "-DNB_COMPACT_ASSERTIONS", "-DNDEBUG"]
    sections = ["-O3", "-fno-strict-aliasing", "-ffunction-sections", "-fdata-sections"]
    library = {
        "sources": [os.path.join(nanobind.source_dir(), "nb_combined.cpp")],
        "include_dirs": include_dirs,
        "cflags": flags + sections,
    }
    bindings = extension("nanobind.cpp", *flags, "-Os", include_dirs=include_dirs, language="c++")
    return {"libraries": [("nanobind", library)], "ext_modules": [bindings]}


if VARIANT == "capi":
    built = {"ext_modules": [extension("capi.c", *CHECKS)]}
elif VARIANT == "abi3":
    limited = [("Py_LIMITED_API", "0x030B0000")]
    built = {"ext_modules": [extension("capi.c", *CHECKS, py_limited_api=True, define_macros=limited)]}
elif VARIANT == "nanobind":
    built = nanobind()
elif VARIANT == "counter":
    built = {"ext_modules": [Extension("counter", ["variants/counter.c"], extra_compile_args=[*COMMON, *CHECKS])]}
elif VARIANT == "reference":
    # The headers of 0.9.0 don't compile without warnings.
    without = [("WITHOUT_ITERATORS", None)]
    built = {"hpy_ext_modules": [extension("hpy.c", "-std=gnu11", "-w", define_macros=without)]}
else:
    built = {"hpy_ext_modules": [extension("hpy.c", *CHECKS)]}

setup(name="hpy-bench", version="0", **built)
