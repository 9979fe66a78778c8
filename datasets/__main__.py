"""``python -m datasets prepare`` and ``python -m datasets card``.

Exit codes: 0 done, 2 something in the input is wrong (one sentence says what), 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Sequence

from datasets.card import command as card
from datasets.errors import InputError
from datasets.prepare import command as prepare

USER_ERROR, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    parser = argparse.ArgumentParser("python -m datasets", description="Data sets: make one, describe one.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module, text in (
        ("prepare", prepare, prepare.DESCRIPTION),
        ("card", card, "Print what a data set holds."),
    ):
        command = commands.add_parser(name, help=text, description=text)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    chosen = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        chosen.run(chosen)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted: the same command goes on after the last whole stage", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print("error: the disk is full: free some space and run the same command again", file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
