"""``python -m bench.record flush``: send the finished records that a store did not take when they were
made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.config.schema import TrackingConfig
from bench.record.local import spool

WAITING = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where records are left."""
    options = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    tracking = TrackingConfig(uri="sqlite:///mlflow.db", spool=options.spool)
    if not spool.folders(tracking.spool):
        print(f"nothing is kept in {tracking.spool}")
        return 0
    if options.verb == "list":
        for folder in spool.folders(tracking.spool):
            kept = spool.read(folder)
            if kept is not None:
                print(f"{folder.name}: {kept.name}, for {kept.experiment} in {kept.uri}")
        return 0
    from bench.record.sending import flush

    done = flush(tracking, every=True)
    left = len(spool.folders(tracking.spool))
    print(f"{done.sent} records sent, {left} are left in {tracking.spool}")
    for line in [*([done.away] if done.away else []), *done.refused]:
        print(line, file=sys.stderr)
    return WAITING if left or done.refused else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.record", description="Finished records that wait to be sent to their store."
    )
    parser.add_argument("--spool", type=Path, default=Path("spool"), help="the folder (tracking.spool)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("flush", help="send them")
    verbs.add_parser("list", help="what they are")
    return parser


if __name__ == "__main__":
    sys.exit(main())
