"""The file beside a binary that is named like the module and loads it."""

import ast
import re
from pathlib import Path

from .._stub import FIRST_LINES

_STUB = FIRST_LINES + '''\
# mypy: ignore-errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Tools that read this file can't see what is in the binary.
    from typing import Any
    def __getattr__(name: str) -> Any: ...

def __bootstrap__():
    import os
    import sys
    try:
        from hpy.universal import _load_bootstrap
    except ModuleNotFoundError as error:
        if error.name not in ("hpy", "hpy.universal"):
            raise
        raise ImportError(
            "Cannot import %r: it is an HPy extension, and no HPy runtime is installed for this Python (%s). "
            "Install one with: pip install hpy" % (__name__, sys.executable),
            name=__name__,
        ) from None
    path = os.path.join(os.path.dirname(__file__), {file_name!a})
{load}
__bootstrap__()
'''

_LOAD = '''\
    sys.modules[__name__] = _load_bootstrap(
        {module_name!a}, __name__, __package__, path, __loader__, __spec__, os.environ
    )
'''

# For a file whose name does not say that it is HPy's: CPython imports it without this stub, and the runtimes of others, which
# have no functions of CPython for it, insist on the name.
_LOAD_RENAMED = '''\
    import shutil
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        tagged = os.path.join(folder, {tagged!a})
        try:
            os.symlink(path, tagged)
        except (OSError, NotImplementedError):
            shutil.copyfile(path, tagged)
        module = _load_bootstrap(
            {module_name!a}, __name__, __package__, tagged, __loader__, __spec__, os.environ
        )
    module.__file__ = __spec__.origin = path
    sys.modules[__name__] = module
'''


def stub(file_name):
    """The text of the stub for a binary."""
    from .abitag import HPY_ABI_TAG

    module_name, _, rest = file_name.partition(".")
    if rest.startswith("hpy"):
        load = _LOAD.format(module_name=module_name)
    else:
        load = _LOAD_RENAMED.format(module_name=module_name, tagged=f"{module_name}.{HPY_ABI_TAG}.{rest}")
    return _STUB.format(file_name=file_name, load=load)


def remove_if_alone(path):
    """Removes a file if it is a stub, of this release or of 0.9, and the binary that it loads is not beside it."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace").lstrip()
    except FileNotFoundError:
        return
    if not text.startswith(FIRST_LINES):
        return
    names = map(ast.literal_eval, re.findall(r"'[^'\n]+'", text))
    binary = next((name for name in names if name.startswith(f"{path.stem}.")), None)
    if binary and not path.with_name(binary).exists():
        path.unlink()
