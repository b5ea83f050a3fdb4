import importlib
import os

import pytest

# Which modules are tested: the port, and with it the twin, where that has been built.
MODULES = os.environ.get("PICONUMPY", "piconumpy").split(",")


@pytest.fixture(params=MODULES)
def np(request):
    return importlib.import_module(request.param)
