"""An empty MLflow database made once, because its hundred migrations take a second of processor time."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.record import store

_create = store._create
_FOLDER = TemporaryDirectory(prefix="lethe-empty-store-")


@cache
def empty() -> Path:
    """The database as ``bench.record.store`` creates it."""
    _create(Path(_FOLDER.name) / "mlflow.db")
    return Path(_FOLDER.name) / "mlflow.db"


def copied(database: Path, template: Path | None = None) -> None:
    """What ``bench.record.store._create`` leaves at ``database``, as a copy."""
    new = database.with_name(f".{database.name}.new")
    shutil.copyfile(template or empty(), new)
    new.rename(database)
