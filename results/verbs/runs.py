"""``python -m results bundle`` and ``retire``: what is done with runs themselves."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser], store: argparse.ArgumentParser) -> None:
    """Register the verbs. Nothing heavy is imported for it."""
    one = verbs.add_parser("bundle", parents=[store], help="move runs between machines and stores")
    one.add_argument("direction", choices=["export", "import"])
    one.add_argument("file", type=Path)
    one.set_defaults(run=bundle)
    one = verbs.add_parser("retire", parents=[store], help="take runs out of all results; nothing is deleted")
    one.add_argument("runs", nargs="+", metavar="RUN", help="MLflow run id, or how it begins")
    one.add_argument("--reason", required=True, help="why they are no results; kept with them")
    one.set_defaults(run=retire)


def bundle(options: argparse.Namespace) -> int:
    """Write or read a bundle."""
    from results.runs import bundle as bundles

    if options.direction == "export":
        count = bundles.export(options.uri, options.experiment, options.file)
        print(f"{count} cells written to {options.file}")
        return 0
    done = bundles.import_(options.uri, options.experiment, options.file)
    print(f"{done.added} cells added, {done.present} were there")
    if done.added:
        print(
            f"their keys are those that {options.file} claims: each of these runs says so in its tag "
            f"{bundles.ORIGIN_TAG}"
        )
    return 0


def retire(options: argparse.Namespace) -> int:
    """Take runs out, and say which."""
    from results.runs.retire import retire as take_out

    for run in take_out(options.uri, options.experiment, options.runs, options.reason):
        labels = "/".join(run.labels[key] for key in ("dataset", "backbone", "regime", "method"))
        print(f"retired: {run.run_id} ({labels}, request {run.request}, seed {run.seed})")
    return 0
