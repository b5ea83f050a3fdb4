"""Builds the ports in ports/, times them against their originals, and writes what came out as JSON.

`cargo xtask bench ports` calls this. Each README of a port has its tables, which `--document` writes.
"""

import argparse
import json
import sys
from pathlib import Path

import machine
import measure
import port_piconumpy
import port_ultrajson
from document import replaced
from port import markdown, show

PORTS = {module.PORT.name: module.PORT for module in (port_ultrajson, port_piconumpy)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="the file to write")
    parser.add_argument("--folder", type=Path, required=True, help="where what is built for this Python goes")
    parser.add_argument("--shared", type=Path, required=True, help="where goes what is the same for every Python")
    parser.add_argument("--universal-python", required=True, help="a Python with hpy, for the universal binary")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--only", default="", help="only ports with this in their name")
    parser.add_argument("--document", action="store_true", help="write the tables into the READMEs of the ports")
    options = parser.parse_args()
    chosen = [port for name, port in PORTS.items() if options.only in name]
    if not chosen:
        sys.exit(f"no port has {options.only!r} in its name; there are: {', '.join(PORTS)}")
    results = {}
    for port in chosen:
        result = results[port.name] = measure_port(port, options)
        options.output.write_text(json.dumps(results, indent=1), encoding="utf-8")
        show(port, result)
        if options.document:
            prefix = "pypy" if sys.implementation.name == "pypy" else f"cp{sys.version_info[0]}{sys.version_info[1]}"
            text = port.readme.read_text(encoding="utf-8")
            port.readme.write_text(replaced(text, prefix, markdown(port, result)), encoding="utf-8")
            print(f"written: {port.readme}")


def measure_port(port, options):
    found = port.modules(options)
    modules = {variant.name: found[variant.name] for variant in port.variants if variant.name in found}
    result = {
        "python": machine.python(),
        "rounds": options.rounds,
        "variants": list(modules),
        "left_out": {},
        "operations": [],
    }
    for operation in port.operations:
        measure.progress(f"{port.name}: {operation.label}")
        times = measure.measure(operation, modules, options.rounds, result["left_out"])
        result["operations"].append(
            {"name": operation.name, "label": operation.label, "group": operation.group, "times": times}
        )
    measure.progress("")
    return result


if __name__ == "__main__":
    main()
