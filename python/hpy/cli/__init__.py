"""The command `hpy`: new packages, what a binary is, and what is installed."""

import argparse
import sys

from . import check, info, new


def main(arguments=None, prog="hpy"):
    """Runs the command, and gives its exit status: 0, 1 if something is wrong with what was asked about, 2 for misuse."""
    parser = argparse.ArgumentParser(prog=prog, description="Tools for HPy extensions.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (new, check, info):
        name = module.__name__.rpartition(".")[2]
        summary = module.__doc__.splitlines()[0]
        command = commands.add_parser(
            name, help=summary, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except BrokenPipeError:
        # The reader of our output has had enough.
        sys.stderr.close()
        return 0
