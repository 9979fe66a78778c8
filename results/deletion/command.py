"""``python -m bench export RUN``: one folder with the report, the model and its lists."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

from bench.disk.files import write_json, write_text
from bench.objects.saved import SavedModel, download
from bench.planning.dataset import reader_of
from bench.record.names import MODEL_CLASS_TAG
from datasets.errors import InputError
from results.deletion.facts import facts_of, ids_of
from results.deletion.report import to_markdown
from results.names.store import EXPERIMENT, default_uri
from results.runs.frame import CellRun, client_of, runs

TOP = 20


def main(arguments: Sequence[str]) -> int:
    """Run the command line; the exit code. Raises ``InputError``."""
    options = parser().parse_args(arguments)
    run = _found(options.uri, options.experiment, options.run)
    folder: Path = options.out or Path(f"deletion-{run.run_id[:8]}")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"--out={folder} is there and not empty: name another folder.")
    saved = None
    if MODEL_CLASS_TAG in run.tags:
        saved = download(client_of(options.uri), run.run_id, folder)
    write_report(options.uri, options.experiment, run, saved, folder)
    if saved is not None:
        write_lists(saved, options.top, folder / "top_items.csv")
    print(f"{folder}: report.md, report.json" + (", model, top_items.csv" if saved is not None else ""))
    if saved is None:
        print("no model is kept with this run: run.save_model=true keeps it, and runs the cell again")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line. Nothing heavy is imported for it."""
    found = argparse.ArgumentParser(
        prog="python -m bench export",
        description="Write what the owner of a deletion request gets: report, unlearned model, top lists.",
    )
    found.add_argument("run", metavar="RUN", help="MLflow run id of a finished cell, or how it begins")
    found.add_argument("--out", type=Path, help="new folder (default: deletion-<run id>)")
    found.add_argument("--top", type=int, default=TOP, help="items per user (default: %(default)s)")
    found.add_argument("--uri", default=default_uri(), help="MLflow store (default: %(default)s)")
    found.add_argument("--experiment", default=EXPERIMENT, help="MLflow experiment (default: %(default)s)")
    return found


def write_report(uri: str, experiment: str, run: CellRun, saved: SavedModel | None, folder: Path) -> None:
    """The report for people (Markdown) and for programs (JSON)."""
    facts = facts_of(uri, experiment, run, saved)
    write_json(folder / "report.json", facts)
    write_text(folder / "report.md", to_markdown(facts))


def write_lists(saved: SavedModel, count: int, path: Path) -> None:
    """The lists as CSV: user, rank from 1, item; ids are the data set's own where it has such."""
    users, items = ids_of(reader_of(saved.config).id_maps())
    top = saved.top_items(count).numpy()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "rank", "item"])
        for user, row in enumerate(top):
            (name,) = users([user])
            writer.writerows((name, rank, item) for rank, item in enumerate(items(row[row >= 0]), start=1))


def _found(uri: str, experiment: str, start: str) -> CellRun:
    """The finished run whose id begins so. Raises ``InputError``."""
    found = [run for run in runs(uri, experiment) if run.finished and run.run_id.startswith(start)]
    if len(found) != 1:
        many = f"{len(found)} runs begin with it" if found else "there is no such finished cell"
        raise InputError(f"RUN={start} in experiment {experiment} of {uri}: {many}: give the whole run id.")
    return found[0]
