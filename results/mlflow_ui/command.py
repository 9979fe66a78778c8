"""``python -m results refresh`` and ``ui``, and what a sweep calls when it has ended."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.machine.signals import stopping

if TYPE_CHECKING:
    from bench.sweep.sweep import EndedSweep


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser], store: argparse.ArgumentParser) -> None:
    """Register the verb. Nothing heavy is imported for it."""
    one = verbs.add_parser(
        "refresh", parents=[store], help="means, descriptions and views in MLflow's own pages"
    )
    one.add_argument(
        "--sweep",
        action="append",
        metavar="RUN_ID",
        help="only these sweeps' artifacts (repeatable; default: all)",
    )
    one.set_defaults(run=run)
    one = verbs.add_parser("ui", parents=[store], help="open the runs in MLflow")
    one.add_argument("--port", type=int, default=5000, help="of a local store's pages (default: %(default)s)")
    one.set_defaults(run=ui)


def run(options: argparse.Namespace) -> int:
    """Bring the pages of a whole experiment up to date: 0, or 1 where no cell is finished."""
    from results.mlflow_ui.refresh import refresh

    done = refresh(options.uri, options.experiment, sweeps=options.sweep)
    if done is None:
        print(f"no finished cell in experiment {options.experiment} of {options.uri}", file=sys.stderr)
        return 1
    print(
        f"{done.written} means over requests and seeds written, {done.removed} removed; "
        f"{done.described} cells described; {done.sweeps} sweeps with {done.files} files",
        file=sys.stderr,
    )
    return 0


def ui(options: argparse.Namespace) -> int:
    """Say where the runs are shown, and for a local store show them until interrupted."""
    from results.mlflow_ui.views import VIEWS, view_link

    served = options.uri.startswith("http")
    base = options.uri.rstrip("/") if served else f"http://127.0.0.1:{options.port}"
    found = experiment_id(options.uri, options.experiment)
    if found is None:
        print(
            f"no experiment {options.experiment} in {options.uri} yet: make demo makes one", file=sys.stderr
        )
    print(f"MLflow: {base}/" + (view_link(found, VIEWS[0]) if found else ""), flush=True)
    if served:
        return 0
    try:
        server = ["-m", "mlflow", "ui", "--backend-store-uri", options.uri, "--port", str(options.port)]
        with stopping():
            return subprocess.run([sys.executable, *server]).returncode
    except KeyboardInterrupt:
        return 0


def experiment_id(uri: str, experiment: str) -> str | None:
    """The id of an experiment; None where there is none. Creates no store."""
    from bench.record.local import database

    if database.is_local(uri):
        return database.experiment_id(uri, experiment)
    from results.runs.frame import client_of

    found = client_of(uri).get_experiment_by_name(experiment)
    return None if found is None else str(found.experiment_id)


def after_sweep(ended: EndedSweep) -> None:
    """Bring up to date what a sweep may have changed."""
    from results.mlflow_ui.refresh import refresh

    refresh(ended.uri, ended.experiment, ended.settings, [ended.parent] if ended.parent else [])
