"""``python -m results figures``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser], store: argparse.ArgumentParser) -> None:
    """Register the verb. Nothing heavy is imported for it."""
    one = verbs.add_parser("figures", parents=[store], help="figures for papers, PDF and PNG")
    one.add_argument(
        "--out", type=Path, default=Path("figures"), help="folder to write to (default: %(default)s)"
    )
    one.add_argument(
        "--only", action="append", metavar="NAME", help="only this figure (repeatable; default: all)"
    )
    one.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write every figure that the store has the data for; 1 where there is none at all."""
    from results.figures.registry import chosen
    from results.figures.source import from_store
    from results.figures.written import drawing, write

    source = from_store(options.uri, options.experiment)
    drawn = 0
    with drawing():
        for figure in chosen(options.only):
            pages = figure.pages(source)
            for name, made in pages:
                for path in write(options.out, "_".join(filter(None, (figure.name, name))), made):
                    print(path)
            if not pages:
                print(
                    f"{figure.name} ({figure.about}): missing. Filled by: {figure.command(source)}",
                    file=sys.stderr,
                )
            drawn += len(pages)
    return 0 if drawn else 1
