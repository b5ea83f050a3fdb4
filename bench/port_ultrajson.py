"""The port of ujson, against ujson itself from the same source."""

import json
import sys

from operations import Operation
from port import PORTS, Port, build, from_registry
from variants import VARIANTS, Variant, load

FOLDER = PORTS / "ultrajson"
sys.path[:0] = [str(FOLDER), str(FOLDER / "bench")]
import documents
import library


def operations():
    for function, check in (("dumps", "__import__('json').loads(f(document)) == document"), ("loads", "f(text) == document")):
        for name in documents.NAMES:
            document = f"__import__('documents').make({name!r})"
            variables = {
                "f": f"ops.{function}",
                "document": document,
                # Written by neither, so that all read the same.
                "text": f"__import__('json').dumps({document}, ensure_ascii=False, separators=(',', ':'))",
            }
            statement = "f(document)" if function == "dumps" else "f(text)"
            unroll = 10 if name == "small" else 1
            yield Operation(f"{function}_{name}", f"{function}, {name}", function, variables, statement, check, unroll)


def modules(options):
    source = {"UJSON_SOURCE": str(library.fetch(options.shared / "ujson-source"))}
    shared = options.shared / "ultrajson"
    original = build(FOLDER, options.folder / "ultrajson-capi", sys.executable, inside="twin", **source)
    found = {
        "capi": load("capi", original, name="ujson"),
        "universal": load(
            "universal", build(FOLDER, shared, options.universal_python, "--hpy-abi=universal", **source), name="ujson"
        ),
    }
    if sys.implementation.name == "cpython":
        folder = build(FOLDER, options.folder / "ultrajson-cpython", sys.executable, "--hpy-abi=cpython", **source)
        found["cpython"] = load("cpython", folder, name="ujson")
    newest = from_registry(f"ujson>{library.VERSION}", options.folder / "ujson-newest", "ujson")
    if newest:
        found["newest"] = newest
    found["json"] = json
    return found


PORT = Port(
    name="ultrajson",
    variants=[
        *(variant for variant in VARIANTS if variant.name in ("capi", "cpython", "universal")),
        Variant("newest", "newest ujson", "newest ujson"),
        Variant("json", "json", "json"),
    ],
    operations=list(operations()),
    modules=modules,
)
