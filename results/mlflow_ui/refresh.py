"""Brings MLflow's pages up to date with the cells of a store.

Means over requests and seeds, descriptions of cells and experiment, saved views, and for sweeps their
leaderboard, page and figures. What is there already is left alone, so doing it again changes nothing.
Everything is made from the cells and can be made again; nothing here is a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlflow.entities import Run

from bench.config.schema import TrackingConfig
from bench.record.finished import recorded
from bench.record.names import GOLD_KEY_TAG, KIND_TAG
from bench.record.store import Store
from results.distance.rows import from_runs
from results.mlflow_ui.aggregate import aggregate, group_key
from results.mlflow_ui.aggregate_runs import AggregateRuns, writing
from results.mlflow_ui.descriptions import cell_note, experiment_note, folder_note, group_note
from results.mlflow_ui.names import NOTE_TAG, SWEEP, run_link
from results.mlflow_ui.sweep_page import write_sweep
from results.mlflow_ui.views import KIND_OF_EXPERIMENT, VIEWS
from results.runs.frame import CellRun, runs
from results.runs.groups import SETTING, Group, by_setting, gold_for
from results.runs.settings import Defaults, command_of, variants

Setting = tuple[str, ...]


@dataclass(frozen=True)
class Refreshed:
    """What was done: cells described anew, means written and removed, sweeps with their files."""

    described: int = 0
    written: int = 0
    removed: int = 0
    sweeps: int = 0
    files: int = 0


@dataclass(frozen=True)
class _Content:
    """The cells that the pages are about."""

    runs: list[CellRun]
    defaults: Defaults
    variants: dict[str, str]
    groups: list[Group]


def refresh(
    uri: str,
    experiment: str,
    settings: Iterable[Setting] | None = None,
    sweeps: Sequence[str] | None = None,
) -> Refreshed | None:
    """Bring the pages of an experiment up to date; None where it has no finished cell.

    Args:
        settings: (dataset, backbone, regime) in which cells changed; None for all.
        sweeps: run ids of sweeps whose leaderboard, page and figures are made; None for all that ended.
    """
    tracking = TrackingConfig(uri=uri, experiment=experiment)
    if not recorded(tracking).finished:
        return None
    touched = None if settings is None else set(settings)
    store = Store(tracking)
    with writing(uri):
        content = _read(uri, experiment, touched)  # under the lock: who wrote before had no newer cells
        aggregates = AggregateRuns(store)
        folder = aggregates.folder(folder_note(store.experiment_id))
        links = _write_aggregates(store, aggregates, content, folder)
        removed = aggregates.remove(touched, links)
        aggregates.settle()
        described = _describe_cells(store, content, links)
        _describe_experiment(store)
    files = [_write_sweep(store, sweep, content, folder) for sweep in _ended(store, sweeps)]
    return Refreshed(described, aggregates.written, removed, len(files), sum(files))


def _read(uri: str, experiment: str, settings: set[Setting] | None) -> _Content:
    conditions = [""]
    if settings is not None:
        conditions = [
            " and ".join(f"tags.{label} = '{value}'" for label, value in zip(SETTING, setting, strict=True))
            for setting in sorted(settings)
        ]
    found = [run for condition in conditions for run in runs(uri, experiment, condition)]
    found.sort(key=lambda run: (run.ended, run.run_id))
    finished = [run for run in found if run.finished]
    defaults = Defaults(finished)
    names = variants(finished, defaults)
    return _Content(found, defaults, names, from_runs(finished, names, uri))


def _write_aggregates(
    store: Store, aggregates: AggregateRuns, content: _Content, folder: str
) -> dict[str, str]:
    """Run id by key of the aggregates of all groups."""
    links: dict[str, str] = {}
    for own in by_setting(content.groups).values():
        for group in own:
            wanted = aggregate(group, group_note(group, gold_for(group, own), store.experiment_id))
            links[wanted.key] = aggregates.write(wanted, folder)
    return links


def _describe_cells(store: Store, content: _Content, links: Mapping[str, str]) -> int:
    """Write the descriptions of cells that have another one or none; how many."""
    golds = {
        run.tags.get(GOLD_KEY_TAG): run for group in content.groups if group.is_gold for run in group.runs
    }
    count = 0
    for group in content.groups:
        means = run_link(store.experiment_id, links[group_key(group)])
        for run in (*group.runs, *group.left_out):
            command = command_of(run, content.defaults)
            gold = golds.get(run.tags.get(GOLD_KEY_TAG))
            note = cell_note(run, group.options, command, gold, means, run in group.left_out)
            if run.tags.get(NOTE_TAG) != note:
                store.client.set_tag(run.run_id, NOTE_TAG, note)
                count += 1
    return count


def _describe_experiment(store: Store) -> None:
    before = store.client.get_experiment(store.experiment_id).tags
    tags = {
        **KIND_OF_EXPERIMENT,
        NOTE_TAG: experiment_note(store.experiment_id),
        **dict(view.tag for view in VIEWS),
    }
    for key, value in tags.items():
        if before.get(key) != value:
            store.client.set_experiment_tag(store.experiment_id, key, value)


def _ended(store: Store, chosen: Sequence[str] | None) -> list[Run]:
    every = store.runs(f"tags.`{KIND_TAG}` = '{SWEEP}' and attributes.status != 'RUNNING'")
    return [run for run in every if chosen is None or run.info.run_id in chosen]


def _write_sweep(store: Store, sweep: Run, content: _Content, folder: str) -> int:
    link = run_link(store.experiment_id, folder)
    note, files = write_sweep(store, sweep, content.runs, content.variants, link)
    if sweep.data.tags.get(NOTE_TAG) != note:
        store.client.set_tag(sweep.info.run_id, NOTE_TAG, note)
    return files
