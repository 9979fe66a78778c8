"""Which cells are finished or failed, asked of the MLflow store, the only record of it.

A run that was taken out of the results (``RETIRED_TAG``) does not count: its cell is due again.

A local SQLite store is read directly, because a dry run must not pay for importing MLflow; any
other store is asked through MLflow's client.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.config.schema import TrackingConfig
from bench.record.local import database, spool
from bench.record.local.database import Ended
from bench.record.names import CELL_KEY_TAG, FAILURE_TAG, MODEL_CLASS_TAG, RETIRED_TAG


@dataclass(frozen=True)
class Record:
    """What a store says about cells, by cell key."""

    finished: dict[str, str] = field(default_factory=dict)
    """Run id of every finished cell; the latest run where a cell was forced again."""
    failed: dict[str, str] = field(default_factory=dict)
    """Cause of every failed cell: not finished, and its latest run failed (was not merely killed)."""

    @staticmethod
    def of(ended: Iterable[Ended]) -> Record:
        """From ended runs, oldest first."""
        finished: dict[str, str] = {}
        failed: dict[str, str] = {}
        for key, run_id, status, cause in ended:
            failed.pop(key, None)
            if status == "FINISHED":
                finished[key] = run_id
            elif status == "FAILED":
                failed[key] = cause or "no cause was recorded"
        return Record(finished, {key: cause for key, cause in failed.items() if key not in finished})


def keeps_model(tracking: TrackingConfig, run_id: str) -> bool:
    """Whether a run keeps its unlearned model."""
    from bench.record.store import Store

    return MODEL_CLASS_TAG in Store(tracking).client.get_run(run_id).data.tags


def recorded(tracking: TrackingConfig, cell: str | None = None) -> Record:
    """What the store holds about all cells of the experiment, or about the one with key ``cell``, and what is
    finished and waits in the spool to be sent. Raises ``StoreAway``.
    """
    found = _stored(tracking, cell)
    return Record({**spool.waiting(tracking), **found.finished}, found.failed)


def _stored(tracking: TrackingConfig, cell: str | None) -> Record:
    if database.is_local(tracking.uri):
        tags = (CELL_KEY_TAG, FAILURE_TAG, RETIRED_TAG)
        ended = database.ended_cells(tracking.uri, tracking.experiment, tags, cell)
        return Record.of(ended)
    from bench.record.store import ended_runs

    return Record.of(ended_runs(tracking, cell))
