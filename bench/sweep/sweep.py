"""A sweep: its parent run in MLflow, the launching of its cells, the report at its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from mlflow.entities import Run
from rich.console import Console

from bench.cache.care import LOCK, remove_leftovers
from bench.config.overrides.stated import distinguishing
from bench.disk.locks import held_if_free, remove_free
from bench.planning.planner import ON_THIS_MACHINE, PlannedCell, Planner
from bench.record.finished import recorded
from bench.record.local import spool
from bench.record.local.database import is_local, path_of
from bench.record.local.faults import StoreAway
from bench.record.names import CELL_KEY_TAG, CELLS_FILE, COMMAND_TAG, FAILURE_TAG, KIND_TAG, RETIRED_TAG
from bench.record.sending import flush_within
from bench.record.store import Store, store_lock
from bench.sweep.launch import Job, JobLauncher, launch, model_jobs
from bench.sweep.planned import Task
from bench.sweep.summary import Row, print_rows
from bench.sweep.watch import watching

GRACE_SECONDS = 10.0
"""For workers of an interrupted sweep to end and record that they were killed."""
FLUSH_SECONDS = 90.0
"""For a store that is away at the end of a sweep to take what is kept for it."""
DONE = ("finished", "finished before")
WAITING, FLUSH = "kept", "python -m bench.record flush sends it"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EndedSweep:
    """A sweep that has ended, for those who present what it recorded.

    ``parent`` is its run, None for one cell alone; ``settings`` are (dataset, backbone, regime) of its cells.
    """

    uri: str
    experiment: str
    parent: str | None
    settings: tuple[tuple[str, str, str], ...]


class Sweep:
    """The cells of one command, with the store that exists before any worker touches it.

    Entering cleans up after processes that died, and starts the parent run of several cells.
    """

    def __init__(self, cells: Sequence[PlannedCell], command: str) -> None:
        self._cells, self._command = cells, command
        self._config = cells[0].config
        self._store = Store(self._config.tracking)
        self._parent: str | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Sweep:
        console = Console(stderr=True)
        lost = [f"marked as killed: {text}" for text in self._store.close_lost()]
        left = remove_leftovers(self._config.cache.dir)
        left += remove_free(spool.locks_of(self._config.tracking), LOCK)
        removed = [f"removed: {path}" for path in left]
        for line in lost + removed:
            console.print(f"left over from a process that died, {line}", highlight=False, soft_wrap=True)
        if len(self._cells) > 1:
            labels = [cell.config.method.name for cell in self._cells]
            name = f"sweep of {len(self._cells)}: {', '.join(dict.fromkeys(labels))}"
            self._parent = self._store.start(name, {KIND_TAG: "sweep", COMMAND_TAG: self._command[:4000]})
            labels_of = {cell.keys.cell: cell.config.label for cell in self._cells}
            self._store.log_json(self._parent, CELLS_FILE, labels_of)
            self._stack.enter_context(self._store.heartbeat(self._parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        try:
            self._end(error)
        except StoreAway as away:
            log.warning("the end of the sweep is not in the store, the next one marks it as killed: %s", away)
        self._remove_leftovers()

    def _end(self, error: BaseException | None) -> None:
        if error is None and spool.waiting(self._config.tracking):
            self._flush()
        self._close_lost_cells()
        if self._parent is None:
            return
        if error is None:
            self._store.finish(self._parent)
        else:
            self._store.fail(self._parent, error, "KILLED")

    def _flush(self) -> None:
        """Wait a while for a store that is away: the sweep is over, and nothing else is left to do."""
        tracking = self._config.tracking
        count = len(spool.waiting(tracking))
        log.warning("%d finished records are not in the store yet: trying for %.0f s", count, FLUSH_SECONDS)
        done = flush_within(tracking, FLUSH_SECONDS)
        if done.away:
            log.warning(
                "python -m bench.record flush sends what is kept in %s: %s", tracking.spool, done.away
            )

    def overrides(self) -> list[str]:
        """Overrides that tell each cell about its sweep."""
        return [] if self._parent is None else [f"tracking.parent={self._parent}"]

    def launch(self, jobs: Sequence[Job], shared: Sequence[str], task: Task) -> None:
        """Run the due cells through Hydra's launcher: what they share is trained first.

        Args:
            jobs: override list of each cell, in the order of the cells.
            shared: overrides of the whole sweep.
            task: runs one job.
        """
        extra = [*self.overrides(), *_fixed_device(self._cells)]
        extra += ["hydra.job_logging.root.handlers=[file]"] if self._shows_elsewhere() else []
        own = [[*job, *_not_hydra(extra)] for job in jobs]
        launch([*shared, *extra], task, lambda launcher: self._run(own, launcher))

    def _run(self, jobs: Sequence[Job], launcher: JobLauncher) -> None:
        cells = list(self._cells)
        for _ in range(1 + self._config.launch.retries):
            due = [(cell, job) for cell, job in zip(cells, jobs, strict=True) if cell.is_due()]
            parallel = self._config.launch.name != "serial"
            first = model_jobs([cell for cell, _ in due], [job for _, job in due]) if parallel else []
            if launcher.run(first) and launcher.run([job for _, job in due]):
                return
            self._store.close_lost()
            cells = _planned_again(cells)

    def ended(self) -> EndedSweep:
        """What there is to present."""
        configs = [cell.config for cell in self._cells]
        settings = dict.fromkeys((c.data_name, c.backbone.name, c.regime_name) for c in configs)
        tracking = self._config.tracking
        return EndedSweep(tracking.uri, tracking.experiment, self._parent, tuple(settings))

    def report(self) -> int:
        """Print the table of all cells and why some are not finished; 1 if there are such, else 0."""
        rows = self.rows()
        print_rows(rows)
        console = Console()
        missing = [row for row in rows if row.state not in DONE]
        for row in missing:
            console.print(
                f"{row.state}: {row.label}: {row.cause}", highlight=False, soft_wrap=True, markup=False
            )
        if any(row.state == "failed before" for row in missing):
            console.print("run.retry_failed=true runs failed cells again.", highlight=False)
        uri = self._store.uri
        shown = uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri}"
        console.print(f"Runs: {shown}", highlight=False, soft_wrap=True)
        return 1 if missing else 0

    def rows(self) -> list[Row]:
        """One row per cell of the sweep, from what MLflow holds."""
        latest: dict[str, Run] = {}
        finished: dict[str, Run] = {}
        for run in self._store.runs(f"tags.`{KIND_TAG}` = 'cell'"):
            if RETIRED_TAG in run.data.tags:
                continue
            latest[run.data.tags[CELL_KEY_TAG]] = run
            if run.info.status == "FINISHED":
                finished[run.data.tags[CELL_KEY_TAG]] = run
        keys = [cell.keys.cell for cell in self._cells]
        found = [finished.get(key) or latest.get(key) for key in keys]
        kept = spool.waiting(self._config.tracking)
        options = distinguishing([cell.config.variant for cell in self._cells])
        return [
            _row(cell, own, run, kept.get(cell.keys.cell))
            for cell, own, run in zip(self._cells, options, found, strict=True)
        ]

    def watched(self) -> Any:
        """The view of the sweep, as a context."""
        due = {cell.keys.cell for cell in self._cells if cell.is_due()}
        count = _FinishedCount(self._config.tracking, due)
        folder = self._config.cache.dir / "progress"
        return watching(folder, len(due), count, Console(stderr=True))

    def _shows_elsewhere(self) -> bool:
        """Whether log lines of other processes would write over the live view."""
        return self._config.launch.name != "serial" and Console(stderr=True).is_terminal

    def _close_lost_cells(self) -> None:
        deadline = time.monotonic() + GRACE_SECONDS
        self._store.close_lost()
        while self._has_running_cells() and time.monotonic() < deadline:
            time.sleep(0.5)
            self._store.close_lost()

    def _remove_leftovers(self) -> None:
        """Remove what killed workers left: an interrupted sweep leaves no more than a finished one."""
        remove_leftovers(self._config.cache.dir)
        remove_free(spool.locks_of(self._config.tracking), LOCK)
        uri = self._config.tracking.uri
        if is_local(uri):
            with held_if_free(store_lock(path_of(uri))):
                pass  # the file goes with the lock

    def _has_running_cells(self) -> bool:
        if self._parent is None or self._config.launch.name == "slurm":
            return False
        query = f"attributes.status = 'RUNNING' and tags.mlflow.parentRunId = '{self._parent}'"
        return bool(self._store.runs(query))


class _FinishedCount:
    """How many of some cells are finished; asks the store at most every few seconds."""

    def __init__(self, tracking: Any, due: set[str]) -> None:
        self._tracking, self._due = tracking, due
        self._before = recorded(tracking).finished
        self._pause = 1.0 if is_local(tracking.uri) else 15.0
        self._asked = self._count = 0.0

    def __call__(self) -> int:
        if time.monotonic() - self._asked > self._pause:
            self._asked = time.monotonic()
            try:
                now = recorded(self._tracking).finished
            except StoreAway:
                return int(self._count)
            self._count = sum(now.get(key) not in (None, self._before.get(key)) for key in self._due)
        return int(self._count)


def _row(cell: PlannedCell, options: str, run: Run | None, kept: str | None) -> Row:
    config = cell.config
    labels = {
        "dataset": config.data_name,
        "backbone": config.backbone.name,
        "regime": config.regime_name,
        "method": config.method.name,
        "options": options,
        "request": str(config.request_seed),
        "seed": str(config.seed),
    }
    if kept is not None and (run is None or run.info.status != "FINISHED"):
        return Row(labels, WAITING, {}, f"its record {kept} is not in the store yet: {FLUSH}")
    if run is None:
        cause = "nothing is recorded; if code or data were edited meanwhile, it ran under another key"
        return Row(labels, "not started", {}, cause)
    if run.info.status == "FINISHED":
        state = "finished before" if run.info.run_id == cell.run_id else "finished"
        return Row(labels, state, dict(run.data.metrics), tags=dict(run.data.tags))
    cause = f"{run.data.tags.get(FAILURE_TAG, 'no cause was recorded')} (run {run.info.run_id})"
    state = {"FAILED": "failed", "KILLED": "killed"}.get(run.info.status, "running")
    before = state == "failed" and not cell.is_due()
    return Row(labels, "failed before" if before else state, {}, cause)


def _planned_again(cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    planner = Planner()
    return [planner.plan(cell.config) for cell in cells]


def _not_hydra(overrides: Sequence[str]) -> list[str]:
    return [text for text in overrides if not text.startswith("hydra")]


def _fixed_device(cells: Sequence[PlannedCell]) -> list[str]:
    """``device=auto`` is settled here for workers elsewhere: the keys of the plan depend on it."""
    from bench.planning.planner import device_type

    config = cells[0].config
    if config.launch.name in ON_THIS_MACHINE or config.device != "auto":
        return []
    return [f"device={device_type('auto')}"]
