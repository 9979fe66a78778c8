"""The dry run: the cells, what is finished, which models are cached, what the rest may cost."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.plan.estimate import Estimator, readable
from bench.plan.planner import PlannedCell


def print_plan(cells: Sequence[PlannedCell]) -> None:
    """Print the plan of a sweep. Starts nothing."""
    table = Table(title=f"{len(cells)} cells")
    for title in ("cell", "state", "original", "gold"):
        table.add_column(title)
    for cell in cells:
        cached = ["cached" if there else "to train" for there in cell.cached_models()]
        table.add_row(cell.config.label, _state(cell), *cached)
    due = [cell for cell in cells if cell.is_due()]
    missing = _missing_models(due)
    console = Console()
    console.print(table)
    console.print(f"{len(due)} cells to run, {len(missing)} models to train. Nothing was started.")
    skipped = sum(cell.failure is not None and not cell.is_due() for cell in cells)
    if skipped:
        console.print(f"{skipped} cells failed before: run.retry_failed=true runs them again.")
    if due:
        console.print(readable(Estimator(due[0].config).total(due, missing)), highlight=False, soft_wrap=True)


def _state(cell: PlannedCell) -> str:
    if cell.is_due():
        return "to run"
    return "finished" if cell.run_id else "failed"


def _missing_models(due: Sequence[PlannedCell]) -> dict[str, PlannedCell]:
    """A cell that needs it, by key of each model that is not cached."""
    return {
        key: cell
        for cell in due
        for key, there in zip(cell.model_keys().values(), cell.cached_models(), strict=True)
        if not there
    }
