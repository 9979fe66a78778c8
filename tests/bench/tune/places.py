"""Tunes and cells on the tiny data set, each test with models, runs and tuned files of its own."""

from __future__ import annotations

from pathlib import Path

from bench.config.compose import expand
from bench.planning.planner import PlannedCell, Planner
from tests.bench.cells import TINY


def places(folder: Path) -> list[str]:
    """Where a test keeps its models, runs and tuned files."""
    return [
        f"cache.dir={folder}/cache",
        f"tracking.uri=sqlite:///{folder}/mlflow.db",
        f"tuned_dir={folder}/tuned",
    ]


def planned(folder: Path, *overrides: str) -> PlannedCell:
    """A cell of the tiny data set, planned."""
    return Planner().plan(expand([*TINY, *places(folder), *overrides], multirun=False)[0])
