"""The dry run: the cells, what is finished, which models are cached, what the rest may cost.

The cost comes from past runs on the same hardware: median seconds of like with like. Training: same data set
and backbone. Unlearning: same data set, backbone and method. Evaluation and start-up are not counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.config.schema import CellConfig
from bench.machine.hardware import hardware_name
from bench.planning.planner import PlannedCell, device_type, forecast_of
from bench.record.local import database
from bench.record.names import KIND_TAG

TRAIN = ("train/original_seconds", "train/gold_seconds")
UNLEARN = "time/unlearn_seconds"


def print_plan(cells: Sequence[PlannedCell]) -> None:
    """Print the plan of a sweep. Starts nothing."""
    table = Table(title=f"{len(cells)} cells")
    for title in ("cell", "state", "original", "gold"):
        table.add_column(title)
    for cell in cells:
        original, *golds = cell.cached_models().values()
        table.add_row(cell.config.label, _state(cell), _cached([original]), _cached(golds))
    due = [cell for cell in cells if cell.is_due()]
    missing = _missing_models(due)
    console = Console()
    console.print(table)
    for line in dict.fromkeys(_stream(cell) for cell in cells if cell.stream is not None):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"{len(due)} cells to run, {len(missing)} models to train. Nothing was started.")
    skipped = sum(cell.failure is not None and not cell.is_due() for cell in cells)
    if skipped:
        console.print(f"{skipped} cells failed before: run.retry_failed=true runs them again.")
    for line in forecasts(due):
        console.print(line, highlight=False, soft_wrap=True)
    if due:
        console.print(readable(Estimator(due[0].config).total(due, missing)), highlight=False, soft_wrap=True)


def forecasts(due: Sequence[PlannedCell]) -> list[str]:
    """What the language models of the cells will be asked, one line for each cell that asks one."""
    lines = []
    for cell in due:
        found = forecast_of(cell.config, cell.summary)
        if found is not None:
            money = "" if found.money is None else f", about {found.money:,.2f} in money"
            lines.append(
                f"{cell.config.label}: {found.calls:,} calls, about {found.tokens_in:,} tokens in and "
                f"{found.tokens_out:,} out{money}; answers that are kept take none."
            )
    return lines


def _state(cell: PlannedCell) -> str:
    if cell.is_due():
        return "to run"
    return "finished" if cell.run_id else "failed"


def _cached(there: Sequence[bool]) -> str:
    """``cached`` or ``to train``; of several models how many are there."""
    if all(there):
        return "cached"
    return "to train" if len(there) == 1 else f"{sum(there)} of {len(there)} cached"


def _stream(cell: PlannedCell) -> str:
    """What a stream asks, in one sentence."""
    assert cell.stream is not None
    measured = ", ".join(str(index + 1) for index in cell.stream.checkpoints)
    return (
        f"Stream {cell.config.stream.name} on {cell.config.data_name}: {cell.stream.requests} requests, "
        f"measured beside a gold model of its own after {measured} of them."
    )


def _missing_models(due: Sequence[PlannedCell]) -> dict[str, PlannedCell]:
    """A cell that needs it, by key of each model that is not cached."""
    return {
        key: cell for cell in due for role, key in cell.model_keys().items() if not cell.cached_models()[role]
    }


@dataclass(frozen=True)
class Estimate:
    """Expected seconds of what past runs know about, and how much they do not know about."""

    seconds: float
    jobs: int
    unknown_models: int
    unknown_cells: int
    hardware: str


class Estimator:
    """Past seconds in the store of ``config`` on the hardware that it asks for."""

    def __init__(self, config: CellConfig) -> None:
        self._jobs = config.launch.jobs
        kind = device_type(config.device)
        self._hardware = hardware_name(kind)
        self._train: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self._unlearn: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
        for values in _past_runs(config):
            if (values.get("device.type"), values.get("device.name")) == (kind, self._hardware):
                self._add(values)

    def total(self, due: Sequence[PlannedCell], missing: Mapping[str, PlannedCell]) -> Estimate:
        """The cost of the cells ``due`` and of the ``missing`` models (a cell that needs it, by key)."""
        train = [self._train.get(_setting(cell)) for cell in missing.values()]
        unlearn = [self._unlearn.get((*_setting(cell), cell.config.method.name)) for cell in due]
        seconds = sum(median(known) for known in [*train, *unlearn] if known)
        return Estimate(seconds, self._jobs, train.count(None), unlearn.count(None), self._hardware)

    def _add(self, values: Mapping[str, str]) -> None:
        setting = (values["dataset"], values["backbone"])
        self._train[setting] += [float(values[name]) for name in TRAIN if name in values]
        if UNLEARN in values:
            self._unlearn[*setting, values["method"]].append(float(values[UNLEARN]))


def readable(estimate: Estimate) -> str:
    """The estimate in one sentence."""
    unknown = [
        f"{count} {what}"
        for count, what in ((estimate.unknown_models, "models"), (estimate.unknown_cells, "cells"))
        if count
    ]
    where = f"on this hardware ({estimate.hardware or 'of unknown name'})"
    if not estimate.seconds:
        return f"Estimated cost: unknown, there are no past runs of these {where}."
    text = f"Estimated cost from past runs {where}: {_clock(estimate.seconds)} of training and unlearning"
    if estimate.jobs > 1:
        text += f", {_clock(estimate.seconds / estimate.jobs)} with {estimate.jobs} jobs"
    return text + (f"; unknown for {' and '.join(unknown)}." if unknown else ".")


def _past_runs(config: CellConfig) -> list[dict[str, str]]:
    """Labels, device and seconds of every finished cell, as text."""
    labels = ("dataset", "backbone", "method", "device.type", "device.name", KIND_TAG)
    tracking = config.tracking
    if database.is_local(tracking.uri):
        found = database.finished_values(tracking.uri, tracking.experiment, labels, (*TRAIN, UNLEARN))
        return [values for values in found.values() if values.get(KIND_TAG) == "cell"]
    from bench.record.store import Store

    runs = Store(tracking).runs(f"attributes.status = 'FINISHED' and tags.`{KIND_TAG}` = 'cell'")
    return [run.data.tags | {key: str(value) for key, value in run.data.metrics.items()} for run in runs]


def _setting(cell: PlannedCell) -> tuple[str, str]:
    return cell.config.data_name, cell.config.backbone.name


def _clock(seconds: float) -> str:
    return "under a second" if seconds < 1 else str(timedelta(seconds=round(seconds)))
