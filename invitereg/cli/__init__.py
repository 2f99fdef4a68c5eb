"""The operator's command, ``invitereg``."""

import sys

INTERRUPTED = 130
"""The exit status after Ctrl-C, as a shell counts it: 128 and the signal's number."""


def main() -> None:
    """Run the command with this process's arguments, and exit with its status."""
    try:
        from invitereg.cli.output import print_in_any_encoding
        from invitereg.cli.root import command

        print_in_any_encoding()
        command(prog_name="invitereg")
    except KeyboardInterrupt:  # while modules are loaded; later, `root` sees to it
        sys.exit(INTERRUPTED)
