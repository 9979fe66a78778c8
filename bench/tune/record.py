"""Trials in MLflow, and what they are held against: runs in an experiment of their own, found again by key.

They are kept apart from cells twice: by the experiment (``<experiment>-tuning``) and by their kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.config.schema import TrackingConfig
from bench.measure.selection import Figures, Target
from bench.record.local.database import is_absent
from bench.record.names import (
    FORGET_RECALL,
    KIND_TAG,
    OUTCOME_TAG,
    PREPARED_TAG,
    TARGET_KEY_TAG,
    TRIAL_KEY_TAG,
    VALID_RECALL,
)

if TYPE_CHECKING:
    from mlflow.entities import Run

    from bench.record.store import Store

GOLD_VALID_RECALL, GOLD_FORGET_RECALL = "gold/valid_recall_at_20", "gold/forget_recall_at_20"
"""Of trials of oracle tuning: the aims. Those of gold-free tuning say ``proxy`` in place of ``gold``."""
TARGET = "target/"
"""Of a tune, before ``aim``, ``unit`` and ``spread`` and the name of a figure."""
SECONDS, UNLEARN_SECONDS, OFFLINE_SECONDS = "trial/seconds", "time/unlearn_seconds", "time/offline_seconds"
MEASURED, DIVERGED = "measured", "diverged"


@dataclass(frozen=True)
class Trial:
    """One try: its figures (None where the weights diverged) and its times.

    ``seconds`` is the whole wall-clock of the trial, evaluation included; ``unlearn_seconds`` and
    ``offline_seconds`` are the method's own. ``further`` holds other figures by MLflow name, which
    selection does not see; ``notes`` what the method said about its run. Both are logged, not read back.
    ``prepared`` names what the method had prepared and keeps, "" where it keeps nothing.
    """

    figures: Figures | None
    seconds: float
    unlearn_seconds: float
    offline_seconds: float
    further: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    prepared: str = ""

    def clock_beside(self, prepared: Set[str]) -> float:
        """Seconds of the method's own clock, without what was ``prepared`` for trials before."""
        known = self.prepared != "" and self.prepared in prepared
        return self.unlearn_seconds + (0.0 if known else self.offline_seconds)


@dataclass(frozen=True)
class RecordedTrial:
    """A finished trial of the store."""

    trial: Trial
    run_id: str


def tuning(tracking: TrackingConfig) -> TrackingConfig:
    """Where trials are logged."""
    return dataclasses.replace(tracking, experiment=f"{tracking.experiment}-tuning", parent=None)


def recorded_trials(tracking: TrackingConfig) -> dict[str, RecordedTrial]:
    """Finished trials by key, as the store holds them; creates nothing.

    Args:
        tracking: of the cells.
    """
    runs = _runs(tracking, f"attributes.status = 'FINISHED' and tags.`{KIND_TAG}` = 'trial'")
    return {run.data.tags[TRIAL_KEY_TAG]: _from_run(run) for run in runs}


def recorded_target(tracking: TrackingConfig, key: str) -> Target | None:
    """What trials are held against, if a tune has measured it; creates nothing.

    Args:
        tracking: of the cells.
        key: of the target.
    """
    runs = _runs(tracking, f"tags.`{KIND_TAG}` = 'tune' and tags.`{TARGET_KEY_TAG}` = '{key}'")
    return read_target(runs[0].data.metrics) if runs else None


def _runs(tracking: TrackingConfig, where: str) -> list[Run]:
    own = tuning(tracking)
    if is_absent(own.uri):
        return []
    from mlflow import MlflowClient

    from bench.record.store import Store

    if MlflowClient(tracking_uri=own.uri).get_experiment_by_name(own.experiment) is None:
        return []
    return Store(own).runs(where)


def log_trial(store: Store, run_id: str, trial: Trial, aim: Figures, target: str = "gold") -> None:
    """Log the outcome of a trial.

    Args:
        aim: what its figures were aimed at.
        target: the name of what that is.
    """
    outcome = DIVERGED if trial.figures is None else MEASURED
    tags = {f"note.{key}": str(value) for key, value in trial.notes.items()}
    tags |= {OUTCOME_TAG: outcome} | ({PREPARED_TAG: trial.prepared} if trial.prepared else {})
    store.log(run_id, metrics=metrics_of(trial, aim, target), tags=tags)


def metrics_of(trial: Trial, aim: Figures, target: str = "gold") -> dict[str, float]:
    """The metrics of a trial's run by MLflow name."""
    metrics = {
        **_aim(aim, target),
        SECONDS: trial.seconds,
        UNLEARN_SECONDS: trial.unlearn_seconds,
        OFFLINE_SECONDS: trial.offline_seconds,
    }
    if trial.figures is not None:
        metrics |= {VALID_RECALL: trial.figures.valid_recall, FORGET_RECALL: trial.figures.forget_recall}
    return {**metrics, **trial.further}


def target_metrics(target: Target) -> dict[str, float]:
    """The metrics of a target on the run of a tune, from which it is read back."""
    parts = {"aim": target.aim, "unit": target.unit, "spread": target.spread}
    return {
        f"{TARGET}{part}_{name}": value
        for part, figures in parts.items()
        if figures is not None
        for name, value in dataclasses.asdict(figures).items()
    }


def _aim(aim: Figures, target: str) -> dict[str, float]:
    return {f"{target}/{name}_at_20": value for name, value in dataclasses.asdict(aim).items()}


def read_target(metrics: Mapping[str, float]) -> Target:
    """The target that ``target_metrics`` wrote."""

    def figures(part: str) -> Figures:
        names = [f"{TARGET}{part}_{each.name}" for each in dataclasses.fields(Figures)]
        return Figures(*(metrics[name] for name in names))

    has_spread = any(name.startswith(f"{TARGET}spread_") for name in metrics)
    return Target(figures("aim"), figures("unit"), figures("spread") if has_spread else None)


def _from_run(run: Run) -> RecordedTrial:
    metrics, tags = run.data.metrics, run.data.tags
    figures = (
        None if tags[OUTCOME_TAG] == DIVERGED else Figures(metrics[VALID_RECALL], metrics[FORGET_RECALL])
    )
    trial = Trial(
        figures,
        metrics[SECONDS],
        metrics[UNLEARN_SECONDS],
        metrics[OFFLINE_SECONDS],
        prepared=tags.get(PREPARED_TAG, ""),
    )
    return RecordedTrial(trial, run.info.run_id)
