"""`python -m hpy`."""

import sys

from hpy.cli import main

sys.exit(main(prog="python -m hpy"))
