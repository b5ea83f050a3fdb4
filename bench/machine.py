"""What a measurement was made on."""

import os
import platform
import sys


def machine():
    system = f"{platform.system()} {platform.release()}"
    return {"processor": _processor(), "cores": os.cpu_count(), "system": system}


def python():
    name = f"{platform.python_implementation()} {platform.python_version()}"
    release = ".".join(map(str, sys.implementation.version[:3]))
    if release != platform.python_version():
        # PyPy's version is not that of the language.
        name = f"{platform.python_implementation()} {release} (Python {platform.python_version()})"
    return {
        "name": name,
        "implementation": sys.implementation.name,
        "version": platform.python_version(),
        "compiler": platform.python_compiler().strip(),
    }


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
