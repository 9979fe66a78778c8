"""The facts of a deletion report, as a store holds them: JSON-able, and None where nothing is known.

Ids are the data set's own where it has such, else dense ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bench.objects.saved import SavedModel
from bench.planning.dataset import reader_of
from bench.record.names import (
    CELL_KEY_TAG,
    CODE_TAG,
    CONTENDED,
    DATA_KEY_TAG,
    FORGET_RECALL,
    GOLD_KEY_TAG,
    OFFLINE_SECONDS,
    PROPAGATIONS,
    REQUEST_FILE,
    REQUEST_KEY_TAG,
    SPEEDUP,
    STEPS,
    TEST_RECALL,
)
from datasets.id_maps import IdMaps
from results.distance.lists import metric_name
from results.distance.rows import rows
from results.names.headlines import GOLD
from results.runs.artifacts import arrays_of
from results.runs.frame import CellRun, runs

Ids = Callable[[Iterable[Any]], list[str]]
AUDIT, OF_REFERENCES, ENDS = "audit/", ("gold_", "original_"), ("_low", "_high")
"""How metrics of audits begin, how those of the reference models go on, and how ends of intervals end."""


def facts_of(uri: str, experiment: str, run: CellRun, saved: SavedModel | None) -> dict[str, Any]:
    """Everything that the report says."""
    every = [other for other in runs(uri, experiment) if other.finished]
    gold, original = _beside(every, run, GOLD), _beside(every, run, "original")
    figures = {"unlearned": run, "gold": gold, "original": original}
    return {
        "run": run.run_id,
        "cell_key": run.cell_key,
        "labels": {**run.labels, "request": run.request},
        "request": _request(uri, run, saved),
        "method": {key: run.params[key] for key in sorted(run.params) if key.startswith("method.")},
        "cost": _cost(run),
        "recall_at_20": {
            "forgotten pairs": _figures(figures, FORGET_RECALL),
            "test pairs of users who stay": _figures(figures, TEST_RECALL),
        },
        "distance_to_gold": _distance(uri, experiment, run),
        "audits": _audits(run),
        "provenance": _provenance(run),
        "model": None if saved is None else saved.model_class,
    }


def _beside(every: list[CellRun], run: CellRun, method: str) -> CellRun | None:
    """The latest run of a reference system with the same gold model, data and code of measuring."""
    wanted = (GOLD_KEY_TAG, DATA_KEY_TAG)
    found = [
        other
        for other in every
        if other.labels["method"] == method
        and all(other.tags.get(tag) == run.tags.get(tag) for tag in wanted)
    ]
    return found[-1] if found else None


def _figures(beside: Mapping[str, CellRun | None], metric: str) -> dict[str, float | None]:
    return {role: None if run is None else run.metrics.get(metric) for role, run in beside.items()}


def _audits(run: CellRun) -> dict[str, dict[str, float | None]]:
    """By ``audit/figure``, its value on the unlearned, the gold and the original model, and its interval."""
    found = {}
    for name in sorted(run.metrics):
        audit, _, figure = name.removeprefix(AUDIT).partition("/")
        if not name.startswith(AUDIT) or figure.startswith(OF_REFERENCES) or figure.endswith(ENDS):
            continue
        low, high = (run.metrics.get(f"{name}{end}") for end in ENDS)
        gold, original = (run.metrics.get(f"{AUDIT}{audit}/{role}{figure}") for role in OF_REFERENCES)
        values = {"unlearned": run.metrics[name], "gold": gold, "original": original}
        found[f"{audit}/{figure}"] = values | {"low": low, "high": high}
    return found


def _request(uri: str, run: CellRun, saved: SavedModel | None) -> dict[str, Any]:
    arrays = arrays_of(uri, run.run_id, REQUEST_FILE)
    maps = None if saved is None else reader_of(saved.config).id_maps()
    users, items = ids_of(maps)
    pairs = arrays.get("forget")
    return {
        "regime": run.labels["regime"],
        "key": run.tags.get(REQUEST_KEY_TAG),
        "counts": {name: run.metrics.get(f"request/{name}") for name in ("users", "items", "pairs")},
        "ids": "the data set's own" if maps is not None else "dense",
        "users": users(arrays["users"]) if "users" in arrays else None,
        "items": items(arrays["items"]) if "items" in arrays else None,
        "pairs": None
        if pairs is None
        else list(map(list, zip(users(pairs[0]), items(pairs[1]), strict=True))),
    }


def ids_of(maps: IdMaps | None) -> tuple[Ids, Ids]:
    """How users and items are named: by the data set's own ids where it has such."""
    if maps is None:
        return _dense, _dense
    own_users, own_items = maps.user.own, maps.item.own
    return lambda ids: [own_users[one] for one in ids], lambda ids: [own_items[one] for one in ids]


def _dense(ids: Iterable[Any]) -> list[str]:
    return [str(one) for one in ids]


def _cost(run: CellRun) -> dict[str, float | None]:
    names = {
        "seconds": "time/unlearn_seconds",
        "seconds before any request": OFFLINE_SECONDS,
        "seconds of retraining to its best epoch": "time/gold_train_seconds_to_best",
        "speed-up over retraining": SPEEDUP,
        "processors were shared": CONTENDED,
        "gradient steps": STEPS,
        "graph propagations": PROPAGATIONS,
    }
    return {title: run.metrics.get(name) for title, name in names.items()}


def _distance(uri: str, experiment: str, run: CellRun) -> dict[str, Any] | None:
    """The list distance of the run's row to gold models of other training seeds; None where it has none."""
    wanted = {label: [run.labels[label]] for label in ("dataset", "backbone", "regime")}
    for group in rows(uri, experiment, wanted):
        if run.run_id not in {one.run_id for one in group.runs}:
            continue
        found = {part: group.summary(metric_name(part)) for part in ("distance", "floor", "excess")}
        if found["distance"] is None:
            return None
        named = {part: None if one is None else one.mean for part, one in found.items()}
        return {"over": group.coverage, **named}
    return None


def _provenance(run: CellRun) -> dict[str, Any]:
    tags = run.tags
    return {
        "commit": tags.get("lethe.commit"),
        "device": {
            key.removeprefix("device."): tags[key] for key in sorted(tags) if key.startswith("device.")
        },
        "versions": {
            key.removeprefix("version."): tags[key] for key in sorted(tags) if key.startswith("version.")
        },
        "code": {key.removeprefix(CODE_TAG): tags[key] for key in sorted(tags) if key.startswith(CODE_TAG)},
        "keys": {key: tags.get(key) for key in (DATA_KEY_TAG, REQUEST_KEY_TAG, GOLD_KEY_TAG, CELL_KEY_TAG)},
    }
