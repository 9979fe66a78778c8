"""Cells of a plan as rows of a frame: their labels, their state, and what the store holds for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.config.overrides.stated import GROUPS
from bench.planning.planner import PlannedCell


def row_of(cell: PlannedCell, with_figures: bool) -> dict[str, Any]:
    """One row; its options and metrics follow where it is finished and they are asked for."""
    config, cached = cell.config, cell.cached_models()
    row = {
        "run_id": cell.run_id,
        "cell_key": cell.keys.cell,
        "dataset": config.data_name,
        "backbone": config.backbone.name,
        "regime": config.regime_name,
        "method": config.method.name,
        "seed": config.seed,
        "request": config.request_seed,
        "variant": config.variant,
        "state": state_of(cell),
        "cause": cell.failure or "",
    }
    if not with_figures:
        golds = [there for role, there in cached.items() if role != "original"]
        return row | {"original": cached["original"], "gold": all(golds)}
    return row | (_recorded(cell) if cell.run_id else {})


def state_of(cell: PlannedCell) -> str:
    """``finished``, ``failed`` or ``to run``."""
    if cell.run_id:
        return "finished"
    return "failed" if cell.failure else "to run"


def options_of(params: Mapping[str, str]) -> dict[str, str]:
    """Of the parameters of a run, the options of what was run and measured, sorted."""
    return {
        key: value for key, value in sorted(params.items()) if key.partition(".")[0] in GROUPS and "." in key
    }


def _recorded(cell: PlannedCell) -> dict[str, Any]:
    from bench.record.store import reading

    data = reading(cell.config.tracking.uri).get_run(str(cell.run_id)).data
    return {**options_of(data.params), **dict(sorted(data.metrics.items()))}
