"""Trials in MLflow: one run per trial in an experiment of their own, found again by key.

They are kept apart from cells twice: by the experiment (``<experiment>-tuning``) and by their kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.config.schema import TrackingConfig
from bench.measure.selection import Figures
from bench.record.local.database import is_absent
from bench.record.names import FORGET_RECALL, KIND_TAG, OUTCOME_TAG, TRIAL_KEY_TAG, VALID_RECALL

if TYPE_CHECKING:
    from mlflow.entities import Run

    from bench.record.store import Store

GOLD_VALID_RECALL, GOLD_FORGET_RECALL = "gold/valid_recall_at_20", "gold/forget_recall_at_20"
SECONDS, UNLEARN_SECONDS, OFFLINE_SECONDS = "trial/seconds", "time/unlearn_seconds", "time/offline_seconds"
MEASURED, DIVERGED = "measured", "diverged"


@dataclass(frozen=True)
class Trial:
    """One try: its figures (None where the weights diverged) and its times.

    ``seconds`` is the whole wall-clock of the trial, evaluation included; ``unlearn_seconds`` and
    ``offline_seconds`` are the method's own. ``further`` holds other figures by MLflow name, which
    selection does not see; ``notes`` what the method said about its run. Both are logged, not read back.
    """

    figures: Figures | None
    seconds: float
    unlearn_seconds: float
    offline_seconds: float
    further: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedTrial:
    """A finished trial of the store, with gold's figures when it ran."""

    trial: Trial
    gold: Figures
    run_id: str


def tuning(tracking: TrackingConfig) -> TrackingConfig:
    """Where trials are logged."""
    return dataclasses.replace(tracking, experiment=f"{tracking.experiment}-tuning", parent=None)


def recorded_trials(tracking: TrackingConfig) -> dict[str, RecordedTrial]:
    """Finished trials by key, as the store holds them; creates nothing.

    Args:
        tracking: of the cells.
    """
    own = tuning(tracking)
    if is_absent(own.uri):
        return {}
    from mlflow import MlflowClient

    from bench.record.store import Store

    if MlflowClient(tracking_uri=own.uri).get_experiment_by_name(own.experiment) is None:
        return {}
    runs = Store(own).runs(f"attributes.status = 'FINISHED' and tags.`{KIND_TAG}` = 'trial'")
    return {run.data.tags[TRIAL_KEY_TAG]: _from_run(run) for run in runs}


def log_trial(store: Store, run_id: str, trial: Trial, gold: Figures) -> None:
    """Log the outcome of a trial."""
    outcome = DIVERGED if trial.figures is None else MEASURED
    notes = {f"note.{key}": str(value) for key, value in trial.notes.items()}
    store.log(run_id, metrics=metrics_of(trial, gold), tags={OUTCOME_TAG: outcome, **notes})


def metrics_of(trial: Trial, gold: Figures) -> dict[str, float]:
    """The metrics of a trial's run by MLflow name."""
    metrics = {
        GOLD_VALID_RECALL: gold.valid_recall,
        GOLD_FORGET_RECALL: gold.forget_recall,
        SECONDS: trial.seconds,
        UNLEARN_SECONDS: trial.unlearn_seconds,
        OFFLINE_SECONDS: trial.offline_seconds,
    }
    if trial.figures is not None:
        metrics |= {VALID_RECALL: trial.figures.valid_recall, FORGET_RECALL: trial.figures.forget_recall}
    return {**metrics, **trial.further}


def _from_run(run: Run) -> RecordedTrial:
    metrics = run.data.metrics
    diverged = run.data.tags[OUTCOME_TAG] == DIVERGED
    figures = None if diverged else Figures(metrics[VALID_RECALL], metrics[FORGET_RECALL])
    trial = Trial(figures, metrics[SECONDS], metrics[UNLEARN_SECONDS], metrics[OFFLINE_SECONDS])
    gold = Figures(metrics[GOLD_VALID_RECALL], metrics[GOLD_FORGET_RECALL])
    return RecordedTrial(trial, gold, run.info.run_id)
