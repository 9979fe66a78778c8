"""``python -m bench.cache list | size | prune | verify``: what is in the cache, and getting rid of it.

Whatever is removed was either half-written by a process that is gone (its lock is free) or asked for.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cache.models import TRAINING
from bench.cache.store import ITEM_GRAPHS, KINDS, MODELS, RECORD, SEAL, Damaged, Kind, checked_record, sealed
from bench.config.schema import TrackingConfig
from bench.disk.files import read_json
from bench.disk.locks import held_if_free, lock_file, remove_free
from bench.disk.owned import MARK, is_claimed
from bench.record.names import GOLD_KEYS_TAG, KIND_TAG
from bench.record.owner import why_gone
from datasets.errors import InputError

SECONDS_PER_DAY = 86_400
TEMPORARY_SECONDS = 3600.0
"""A temporary file without a lock is left over when nobody touched it for so long."""
ASIDE = re.compile(r"\.damaged-\d+$")
BESIDE = re.compile(r"\.[\w.-]+\.[0-9a-f]{16}")
LOCK = re.compile(r"(cell-|tune-)?[0-9a-z]+\.lock")
STATE_OF_TRAINING = re.compile(r"[0-9a-f]{24}\.safetensors")
STATE = re.compile(r".+-\d+\.json")
"""Names that Lethe gives (``bench/disk``): set aside, in the making, locks, states of processes."""
HALF_WRITTEN_SECONDS = 5.0
"""After which a state that cannot be read is nobody's: a living process writes it in a moment."""


@dataclass(frozen=True)
class Entry:
    """Something cached: its kind and folder, its size in bytes, the days since it was last used.

    ``about`` says what it is, for people; empty where its record is damaged.
    """

    kind: Kind
    folder: Path
    size: int
    days: float
    about: dict[str, Any]

    @property
    def is_set_aside(self) -> bool:
        """Whether it was found damaged before."""
        return ASIDE.search(self.folder.name) is not None


def entries(cache: Path) -> list[Entry]:
    """Everything cached, kind by kind, what was set aside as damaged among it."""
    folders = [
        (kind, path)
        for kind in KINDS
        for path in sorted((cache / kind.folder).glob("[!.]*"))
        if path.is_dir() and (ASIDE.search(path.name) or (path / RECORD).exists())
    ]
    return [
        Entry(
            kind,
            folder,
            sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
            (time.time() - folder.stat().st_mtime) / SECONDS_PER_DAY,
            _about(folder),
        )
        for kind, folder in folders
    ]


def damage(entry: Entry) -> str | None:
    """What is wrong with an entry; None if its content is what was written."""
    try:
        checked_record(entry.folder, entry.kind)
    except Damaged as error:
        return str(error)
    return None


def remove_leftovers(cache: Path) -> list[Path]:
    """Remove what dead processes left: half-written entries, lock files, states, temporary files.

    Nothing in a folder that is not marked as a cache, and nothing that is not named as Lethe names it.
    """
    if not is_claimed(cache):
        return []
    removed = list(_half_written(cache))
    removed += remove_free(cache / "locks", LOCK)
    states = [path for path in _named(cache / "progress", STATE) if _is_left_over(path)]
    temporary = [path for path in _named(cache / "data", BESIDE) if _silent_seconds(path) > TEMPORARY_SECONDS]
    temporary += [
        path for path in _named(cache / TRAINING, BESIDE) if _silent_seconds(path) > TEMPORARY_SECONDS
    ]
    for path in states + temporary:
        path.unlink(missing_ok=True)
        removed.append(path)
    return [path for path in removed if not path.exists()]


def prune(cache: Path, days: float | None, keep: set[str] | None, dry: bool) -> list[Entry]:
    """Remove entries unused for ``days``, not in ``keep``, or set aside as damaged; those it removed.

    Args:
        keep: keys of models to keep whatever their age; None removes by age alone. Item graphs and prepared
            states are named by no run: they go by age.
        dry: remove nothing, only say what would go.

    Raises:
        InputError: for a folder that is not marked as a cache.
    """
    if not is_claimed(cache):
        raise InputError(
            f"--dir={cache} is not marked as a cache of Lethe by a file {MARK}, so nothing in it is removed: "
            "name the folder of cache.dir."
        )
    removed = []
    for entry in entries(cache):
        old = days is not None and entry.days > days
        unreferenced = keep is not None and entry.kind is MODELS and entry.folder.name not in keep
        if old or unreferenced or entry.is_set_aside:
            with held_if_free(lock_file(cache, entry.folder.name)) as free:
                if free and not dry:
                    shutil.rmtree(entry.folder)
                removed += [entry] if free else []
    return removed


def prune_training(cache: Path, days: float | None, dry: bool) -> list[Path]:
    """Remove the states of trainings that nobody went on with for ``days``; those it removed."""
    removed = []
    for path in _named(cache / TRAINING, STATE_OF_TRAINING):
        if days is not None and _silent_seconds(path) > days * SECONDS_PER_DAY:
            with held_if_free(lock_file(cache, path.stem)) as free:
                if free and not dry:
                    path.unlink()
                removed += [path] if free else []
    return removed


def referenced(tracking: TrackingConfig) -> set[str]:
    """Keys of the models that finished cells of an experiment were computed from.

    Raises:
        InputError: where there is no such experiment, or no finished cell in it: then every model would go.
    """
    from bench.record.store import existing

    store = existing(tracking)
    runs = store.runs("attributes.status = 'FINISHED'") if store else []
    tags = [run.data.tags for run in runs if run.data.tags.get(KIND_TAG) == "cell"]
    if not tags:
        what = "has no finished cell" if store else "is not there"
        raise InputError(
            f"experiment={tracking.experiment} {what} in {tracking.uri}, so every model would be "
            "removed: check "
            "--tracking-uri, MLFLOW_TRACKING_URI and --experiment, or remove by age with --older-than."
        )
    keys = {own[f"lethe.{role}_key"] for own in tags for role in ("original", "gold")}
    return keys | {key for own in tags for key in own.get(GOLD_KEYS_TAG, "").split()}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 if ``verify`` found damage, 2 if the input is wrong."""
    options = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        return _main(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _main(options: argparse.Namespace) -> int:
    console = Console()
    found = entries(options.dir)
    if options.verb == "list":
        console.print(_table(found))
    if options.verb in ("list", "size"):
        console.print(f"{_summary(found)} in {options.dir}")
        return 0
    if options.verb == "verify":
        return _verify(found, console)
    return _prune(options, console)


def _verify(found: Sequence[Entry], console: Console) -> int:
    bad = {e.folder.name: damage(e) for e in found if not e.is_set_aside and damage(e)}
    for name, defect in bad.items():
        console.print(f"{name}: {defect}; the next cell that needs it makes it again", soft_wrap=True)
    console.print(f"{_summary(found)}, {len(bad)} damaged")
    return 1 if bad else 0


def _prune(options: argparse.Namespace, console: Console) -> int:
    keep = None
    if options.unreferenced:
        keep = referenced(TrackingConfig(uri=options.tracking_uri, experiment=options.experiment))
    if not options.dry:
        for path in remove_leftovers(options.dir):
            console.print(f"removed leftover {path}", soft_wrap=True)
    removed = prune(options.dir, options.older_than, keep, options.dry)
    for path in prune_training(options.dir, options.older_than, options.dry):
        console.print(f"training state {path.stem}", soft_wrap=True)
    console.print(_table(removed))
    verb = "would be removed" if options.dry else "removed"
    console.print(f"{_summary(removed)} {verb}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.cache",
        description="Care for the cache of models, item graphs and prepared states.",
    )
    parser.add_argument("--dir", type=Path, default=Path("cache"), help="the cache folder (cache.dir)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="every cached model, item graph and prepared state")
    verbs.add_parser("size", help="how many, how large")
    verbs.add_parser("verify", help="compare each with its checksum")
    pruning = verbs.add_parser("prune", help="remove entries and what dead processes left")
    pruning.add_argument("--older-than", type=float, metavar="DAYS", help="entries not used for so long")
    pruning.add_argument(
        "--unreferenced", action="store_true", help="models that no finished cell of the experiment names"
    )
    pruning.add_argument("--dry", action="store_true", help="only say what would be removed")
    pruning.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"),
        help="store for --unreferenced (default: %(default)s)",
    )
    pruning.add_argument("--experiment", default="lethe", help="experiment for --unreferenced")
    return parser


def _table(found: Sequence[Entry]) -> Table:
    table = Table(box=None)
    for title in ("key", "role", "data set", "backbone", "seed", "size", "unused for"):
        table.add_column(title)
    for entry in found:
        about = entry.about
        missing = "-" if about and entry.kind is ITEM_GRAPHS else "?"
        backbone = str(about.get("backbone", {}).get("name", missing))
        labels = [str(about.get(key, missing)) for key in ("role", "dataset")]
        seed = str(about.get("seed", missing))
        size, age = _megabytes(entry.size), f"{entry.days:.1f} days"
        table.add_row(entry.folder.name, *labels, backbone, seed, size, age)
    return table


def _half_written(cache: Path) -> Iterator[Path]:
    """Remove folders that a process was writing when it died: the lock of their key is free."""
    for folder in [folder for kind in KINDS for folder in _named(cache / kind.folder, BESIDE)]:
        key = folder.name[1:].partition(".")[0]
        with held_if_free(lock_file(cache, key)) as free:
            if free:
                shutil.rmtree(folder, ignore_errors=True)
                yield folder


def _named(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    """What is in a folder under a name of this form."""
    return sorted(path for path in folder.glob("*") if pattern.fullmatch(path.name))


def _summary(found: Sequence[Entry]) -> str:
    """How many of each kind, and their size together; kinds that are absent go unmentioned."""
    counts = {kind: sum(entry.kind is kind for entry in found) for kind in KINDS}
    named = [f"{count} {kind.what}s" for kind, count in counts.items() if count or kind is MODELS]
    return f"{', '.join(named)}, {_megabytes(sum(e.size for e in found))}"


def _about(folder: Path) -> dict[str, Any]:
    record = read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get(SEAL) != sealed(record)[SEAL]:
        return {}
    return dict(record.get("about", {}))


def _is_left_over(state: Path) -> bool:
    """Whether a state is of a dead process, also of one that was killed while writing it."""
    content = read_json(state)
    return _silent_seconds(state) > HALF_WRITTEN_SECONDS if content is None else bool(why_gone(content))


def _silent_seconds(path: Path) -> float:
    return time.time() - path.stat().st_mtime if path.exists() else 0.0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
