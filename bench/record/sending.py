"""How a run reaches the store: begun there if it answers, kept here whole when it is finished, sent,
confirmed.

A store that is away costs no figure and is nobody's failure: what could not be sent stays in the spool
(``bench/record/local/spool.py``) and goes with the next cell, at the next start, or by
``python -m bench.record flush``. Sending twice makes no second run: a record has an id, by which the run that
it became is found again, and a cell that another run has finished is not recorded a second time.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from bench.config.schema import TrackingConfig
from bench.disk.files import set_aside
from bench.disk.locks import held_if_free
from bench.disk.space import is_disk_full
from bench.record.local import spool
from bench.record.local.faults import StoreAway
from bench.record.local.spool import Kept, Point
from bench.record.names import CELL_KEY_TAG, FAILURE_TAG, RECORD_TAG, RETIRED_TAG
from bench.record.store import Store, provenance

log = logging.getLogger(__name__)

HALF_WRITTEN = re.compile(r"\.[0-9a-f]{24}\.[0-9a-f]{16}")
SILENT_SECONDS = 3600.0
"""After which what is half-written in the spool is nobody's."""
AGAIN_SECONDS = 5.0
"""Between two tries of a command that waits for the store."""


@dataclass
class Flushed:
    """What became of the records that were kept: how many were sent, why others wait, what was refused."""

    sent: int = 0
    away: str = ""
    refused: list[str] = field(default_factory=list)


class Recording:
    """One run of a cell.

    Args:
        forced: whether it counts although the cell is finished already.
    """

    def __init__(
        self, tracking: TrackingConfig, cell: str, name: str, tags: Mapping[str, str], forced: bool
    ) -> None:
        self._tracking, self._cell, self._name, self._forced = tracking, cell, name, forced
        self._tags = {**provenance(), **tags}
        self._params: dict[str, str] = {}
        self._started = spool.now()
        self._kept: Path | None = None
        self.run_id: str | None = None
        with _tolerated("it is not seen in the store while it runs", name):
            self._store = Store(tracking)
            if tracking.parent is not None:
                self._store.close_replaced(tracking.parent, cell)
            self.run_id = self._store.start(name, self._tags, self._started)

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Let the run show, for the time of the block, that its process lives."""
        if self.run_id is None:
            yield
            return
        with self._store.heartbeat(self.run_id):
            yield

    def note(self, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Parameters and tags that are known before anything is measured."""
        self._params |= {key: str(value) for key, value in params.items()}
        self._tags |= tags
        if self.run_id is not None:
            with _tolerated("its parameters follow at its end", self._name):
                self._store.log(self.run_id, params=params, tags=tags)

    @contextmanager
    def keep(
        self,
        metrics: Mapping[str, float],
        curves: Mapping[str, list[tuple[int, float]]],
        tags: Mapping[str, str],
        dataset: dict[str, Any] | None,
    ) -> Iterator[Path]:
        """Keep what was measured; the artifacts are written, within the block, to the folder that it
        gives.
        """
        at = spool.now()
        points: list[Point] = [(key, float(value), at, 0) for key, value in metrics.items()]
        points += [(key, float(value), at, step) for key, own in curves.items() for step, value in own]
        kept = Kept(
            uri=spool.address(self._tracking.uri),
            experiment=self._tracking.experiment,
            cell=self._cell,
            name=self._name,
            tags={**self._tags, **tags},
            params=self._params,
            points=points,
            dataset=dataset,
            started=self._started,
            ended=at,
            run_id=self.run_id,
            forced=self._forced,
        )
        with spool.keeping(self._tracking.spool, kept) as folder:
            yield folder
        self._kept = self._tracking.spool / kept.id

    def send(self) -> str:
        """Send what is kept, with whatever else waits for this store; the id of the run, or of the record
        that
        stays kept. Raises ``MlflowException`` where the store refuses this record.
        """
        assert self._kept is not None
        done = flush(self._tracking)
        if self._kept.exists():
            log.warning(
                "%s is finished and kept in %s until the store answers: %s", self._name, self._kept, done.away
            )
        for name, why in (line.split(": ", 1) for line in done.refused):
            if name == self._kept.name:
                raise MlflowException(why)
        return self.run_id or self._kept.name

    def fail(self, error: BaseException, blameless: bool) -> None:
        """Record that the run did not finish."""
        if self.run_id is None:
            return
        try:
            self._store.fail(self.run_id, error, "KILLED" if blameless else "FAILED")
        except (MlflowException, OSError) as second:
            log.warning("the failure of run %s could not be recorded: %s", self.run_id, second)


def flush(tracking: TrackingConfig, every: bool = False) -> Flushed:
    """Send the records of a store that are kept, or of ``every`` store; stops at the first that is away."""
    done = Flushed()
    _remove_half_written(tracking.spool)
    own = spool.address(tracking.uri), tracking.experiment
    for folder in spool.folders(tracking.spool):
        if not every and spool.destination(folder) not in (own, None):
            continue
        with held_if_free(folder.with_suffix(".lock")) as free:
            if not free or not folder.exists():
                continue  # another process sends it
            try:
                _send(folder)
                done.sent += 1
            except MlflowException as error:
                aside = set_aside(folder)
                log.error(
                    "the store refuses the record %s, which was set aside as %s: %s",
                    folder,
                    aside.name,
                    error,
                )
                done.refused.append(f"{folder.name}: {error}")
            except OSError as error:
                if not (isinstance(error, StoreAway) or is_disk_full(error)):
                    raise
                done.away = str(error)
                break
    return done


def flush_within(tracking: TrackingConfig, seconds: float) -> Flushed:
    """The same, again and again for so many seconds, until nothing waits."""
    deadline, total = time.monotonic() + seconds, Flushed()
    while True:
        done = flush(tracking)
        total = Flushed(total.sent + done.sent, done.away, total.refused + done.refused)
        if not spool.waiting(tracking) or time.monotonic() > deadline:
            return total
        time.sleep(AGAIN_SECONDS)


def _send(folder: Path) -> None:
    """Bring a record into the store, and take it out of the spool once it is there."""
    kept = spool.read(folder)
    if kept is None:
        return
    store = Store(TrackingConfig(kept.uri, kept.experiment, spool=folder.parent))
    run = _run_of(store, kept)
    if run is None or run.info.status != "FINISHED":
        if not kept.forced and _finished_elsewhere(store, kept):
            if run is not None:
                store.close(run.info.run_id, "killed: another run finished the cell meanwhile")
        else:
            _log(store, kept, run, folder)
    gone = folder.with_name(f".{folder.name}.{'0' * 16}")
    folder.rename(gone)
    shutil.rmtree(gone)


def _run_of(store: Store, kept: Kept) -> Run | None:
    """The run that a record was begun as, or became when it was sent before; None where there is none."""
    if kept.run_id is not None:
        try:
            run: Run = store.client.get_run(kept.run_id)
        except MlflowException:  # the store is another one by now
            log.warning("run %s of %s is not in the store any more: recorded anew", kept.run_id, kept.name)
        else:
            if run.info.lifecycle_stage == "active":
                return run
    found = store.runs(f"tags.`{RECORD_TAG}` = '{kept.id}'")
    return found[-1] if found else None


def _finished_elsewhere(store: Store, kept: Kept) -> bool:
    """Whether another run has finished the cell."""
    same = f"attributes.status = 'FINISHED' and tags.`{CELL_KEY_TAG}` = '{kept.cell}'"
    return any(RETIRED_TAG not in run.data.tags for run in store.runs(same))


def _log(store: Store, kept: Kept, run: Run | None, folder: Path) -> None:
    """Everything of a record; what a try before this one has left is the same and does no harm."""
    tags = {**kept.tags, RECORD_TAG: kept.id}
    run_id = store.start(kept.name, tags, kept.started) if run is None else run.info.run_id
    store.log(run_id, params=kept.params, tags=tags)
    store.log_points(run_id, kept.points)
    if kept.dataset is not None:
        store.log_dataset(run_id, **kept.dataset)
    for path, below in spool.artifacts(folder):
        store.client.log_artifact(run_id, str(path), below)
    if run is not None and FAILURE_TAG in run.data.tags:  # taken for dead while it was kept
        store.client.delete_tag(run_id, FAILURE_TAG)
    store.client.set_terminated(run_id, "FINISHED", kept.ended)


def _remove_half_written(folder: Path) -> None:
    for path in folder.glob(".*"):
        if HALF_WRITTEN.fullmatch(path.name) and time.time() - path.stat().st_mtime > SILENT_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _tolerated(consequence: str, name: str) -> Iterator[None]:
    """Go on where the store is away: what is measured is kept in any case."""
    try:
        yield
    except StoreAway as error:
        log.warning("%s runs on without the store, %s: %s", name, consequence, error)
