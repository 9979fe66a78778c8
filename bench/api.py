"""Lethe from Python: the sweeps of ``python -m bench``, their plans, and unlearned models, as objects.

``bench.run("dataset=synthetic", method=["tru", "mmrecun"], seed=range(3))`` does what the command line does
with the same settings, and gives its cells as a frame. Importing this module imports nothing heavy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from bench.config.compose import Grid
    from bench.objects.saved import SavedModel


def run(*overrides: str, **settings: Any) -> pd.DataFrame:
    """Run what is missing of a sweep, print its table, and give its cells.

    Args:
        overrides: settings as on the command line, for example ``"method.epochs=1,2"``.
        settings: the same by name: ``method="tru"``, or several values that are swept: ``seed=range(3)``.

    Returns:
        A row per cell in the order of the sweep: what ``plan`` gives, then every option of what was run
        (``method.epochs``), then every metric (``test/recall_at_20``). A cell that did not finish has its
        ``state`` and ``cause`` and no figures.

    Raises:
        InputError: for the first setting that does not fit, before anything is trained.
    """
    from bench.cli import run_planned

    texts, grid = _grid(overrides, settings)
    command = f"bench.run({', '.join(repr(text) for text in texts)})"
    run_planned(["-m", *texts], grid, _planned(grid), command)
    return _frame(grid, with_figures=True)


def plan(*overrides: str, **settings: Any) -> pd.DataFrame:
    """What ``run`` would do: nothing is started.

    Returns:
        A row per cell: ``run_id`` (None where it is not finished), ``cell_key``, the labels ``dataset``,
        ``backbone``, ``regime``, ``method``, ``seed`` and ``request``, its ``variant`` (the options that
        were stated for it), its ``state`` (``to run``, ``finished`` or ``failed``), the ``cause`` of a
        failure, and whether the models ``original`` and ``gold`` are in the cache.

    Raises:
        InputError: for the first setting that does not fit.
    """
    return _frame(_grid(overrides, settings)[1], with_figures=False)


def load(run_id: str, uri: str | None = None) -> SavedModel:
    """The unlearned model of a cell that was run with ``run.save_model=true``.

    Args:
        run_id: the MLflow run of the cell.
        uri: the MLflow store; None: ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` in the working folder.

    Raises:
        InputError: where there is no such run, or it keeps no model.
    """
    from bench.objects.saved import load as load_saved
    from bench.record.store import reading

    return load_saved(reading(uri or os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")), run_id)


def _grid(overrides: Iterable[str], settings: dict[str, Any]) -> tuple[list[str], Grid]:
    from bench.config.compose import expand_grid

    texts = [*overrides, *(f"{key}={_written(value)}" for key, value in settings.items())]
    return texts, expand_grid(texts, multirun=True)


def _written(value: Any) -> str:
    """A setting as the command line has it; several values as a sweep."""
    if value is None:
        return "null"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(_written(one) for one in value)
    return str(value)


def _planned(grid: Grid) -> list[Any]:
    from bench.cli import planned

    return planned(grid)


def _frame(grid: Grid, with_figures: bool) -> pd.DataFrame:
    import pandas as pd

    from bench.objects.frame import row_of

    cells = _planned(grid)
    return pd.DataFrame([row_of(cell, with_figures) for cell in cells])
