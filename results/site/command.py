"""``python -m results site``."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser], store: argparse.ArgumentParser) -> None:
    """Register the verb. Nothing heavy is imported for it."""
    one = verbs.add_parser("site", parents=[store], help="the leaderboard as one HTML page")
    one.add_argument(
        "--out", type=Path, default=Path("site/index.html"), help="file to write (default: %(default)s)"
    )
    one.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the page: 0, or 1 where no cell is finished."""
    from bench.disk.files import write_text
    from results.distance.rows import rows
    from results.runs.artifacts import over_steps, trajectory
    from results.site.content import document
    from results.site.page import page

    found = rows(options.uri, options.experiment)
    if not found:
        print(f"no finished cell in experiment {options.experiment} of {options.uri}", file=sys.stderr)
        return 1
    made = document(found, partial(trajectory, options.uri), partial(over_steps, options.uri))
    write_text(options.out, page(made))
    options.out.chmod(0o644)  # pages are made to be served
    print(f"{sum(len(group.ats) for group in found)} cells: {options.out}", file=sys.stderr)
    return 0
