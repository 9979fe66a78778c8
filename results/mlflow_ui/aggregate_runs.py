"""The runs of the aggregates in a store: one per group, updated in place.

An aggregate is found again by its key. Where its content is what is wanted, nothing is written. MLflow
cannot take a metric or a parameter back, so an aggregate that lost one is deleted and made again. Readers
wait for each other by a lock beside a SQLite store; on a server, where two machines may write at once, the
oldest run of a key wins and the others are deleted.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from bench.disk.locks import held
from bench.record.local.database import is_local, path_of
from bench.record.names import KIND_TAG
from results.mlflow_ui.aggregate import Aggregate
from results.mlflow_ui.names import (
    AGGREGATE,
    AGGREGATE_KEY_TAG,
    CONTENT_TAG,
    FOLDER,
    FOLDER_NAME,
    NOTE_TAG,
    PARENT_TAG,
    WRITTEN_TAG,
)
from results.runs.groups import SETTING

if TYPE_CHECKING:
    from mlflow.entities import Run

    from bench.record.store import Store


BATCH_METRICS, BATCH_PARAMS = 800, 100
"""Per call, with room for the tags: MLflow takes 1000 entries, and 100 parameters."""


def writing(uri: str) -> AbstractContextManager[None]:
    """Keep other writers of aggregates away for the time of the block."""
    if not is_local(uri):
        return nullcontext()
    database = path_of(uri).absolute()
    return held(database.with_name(f"{database.name}.pages.lock"), "MLflow's pages")


class AggregateRuns:
    """The aggregates that a store has, as they were when this was made."""

    def __init__(self, store: Store) -> None:
        self._store, self._client = store, store.client
        self._runs = self._settled(AGGREGATE)
        self.written = 0
        """How many were made or changed."""

    def folder(self, note: str) -> str:
        """The run that holds the aggregates together; its id. Made where it is missing."""
        found = self._settled(FOLDER)
        if found:
            run_id = str(found[""].info.run_id)
            if found[""].data.tags.get(NOTE_TAG) != note:
                self._client.set_tag(run_id, NOTE_TAG, note)
            return run_id
        run_id = self._new(FOLDER_NAME, {KIND_TAG: FOLDER, NOTE_TAG: note})
        self._client.set_terminated(run_id, "FINISHED")
        return run_id

    def write(self, wanted: Aggregate, folder: str) -> str:
        """Make the store's aggregate of this key what is wanted; its run id."""
        run = self._runs.get(wanted.key)
        if run is not None and run.data.tags.get(CONTENT_TAG) == wanted.digest:
            return str(run.info.run_id)
        if run is not None and not _can_become(run, wanted):
            self._client.delete_run(run.info.run_id)
            run = None
        self.written += 1
        tags = {**wanted.tags, PARENT_TAG: folder}
        if run is None:
            run_id = self._new(wanted.name, tags)
            self._fill(run_id, wanted, tags, tags)
            self._client.set_terminated(run_id, "FINISHED")
            return run_id
        run_id = str(run.info.run_id)
        self._fill(run_id, wanted, tags, run.data.tags)
        self._client.update_run(run_id, "FINISHED", wanted.name)
        return run_id

    def remove(self, settings: Collection[tuple[str, ...]] | None, kept: Collection[str]) -> int:
        """Delete aggregates of groups that are no more; how many.

        Args:
            settings: (dataset, backbone, regime) of those that may be deleted; None: of any.
            kept: keys that stay.
        """
        gone = 0
        for key, run in self._runs.items():
            own = settings is None or tuple(run.data.tags.get(label, "") for label in SETTING) in settings
            if own and key not in kept:
                self._client.delete_run(run.info.run_id)
                gone += 1
        return gone

    def settle(self) -> None:
        """Delete what another machine made at the same time."""
        if not is_local(self._store.uri):
            for kind in (AGGREGATE, FOLDER):
                self._settled(kind)

    def _settled(self, kind: str) -> dict[str, Run]:
        """The oldest run of each key; the others are deleted."""
        found: dict[str, Run] = {}
        every = self._store.runs(f"tags.`{KIND_TAG}` = '{kind}'")
        for run in sorted(every, key=lambda run: (run.info.start_time, run.info.run_id)):
            if run is not found.setdefault(run.data.tags.get(AGGREGATE_KEY_TAG, ""), run):
                self._client.delete_run(run.info.run_id)
        return found

    def _new(self, name: str, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(self._store.experiment_id, run_name=name, tags=dict(tags))
        return str(run.info.run_id)

    def _fill(
        self, run_id: str, wanted: Aggregate, tags: Mapping[str, str], before: Mapping[str, str]
    ) -> None:
        """Write everything; MLflow writes the tags, the digest among them, after metrics and parameters."""
        from mlflow.entities import Metric, Param, RunTag

        # The latest value of a metric is the one with the latest time: clocks of two machines may differ.
        now = max(int(time.time() * 1000), int(before.get(WRITTEN_TAG, "0")) + 1)
        every = {**tags, WRITTEN_TAG: str(now), CONTENT_TAG: wanted.digest}
        for key in {key for key in before if not key.startswith("mlflow.")} - every.keys():
            self._client.delete_tag(run_id, key)
        metrics = [Metric(key, value, now, 0) for key, value in wanted.metrics.items()]
        params = [Param(key, value) for key, value in sorted(wanted.params.items())]
        while len(metrics) > BATCH_METRICS or len(params) > BATCH_PARAMS:
            self._client.log_batch(run_id, metrics[:BATCH_METRICS], params[:BATCH_PARAMS])
            metrics, params = metrics[BATCH_METRICS:], params[BATCH_PARAMS:]
        changed = [RunTag(key, text) for key, text in every.items() if before.get(key) != text]
        self._client.log_batch(run_id, metrics, params, changed)


def _can_become(run: Run, wanted: Aggregate) -> bool:
    """Whether everything the run says can be overwritten."""
    same = all(wanted.params.get(key) == value for key, value in run.data.params.items())
    return same and set(run.data.metrics) <= set(wanted.metrics)
