"""What the page shows, as one JSON document: rows in, plain values out, no clock and no machine.

The same runs give the same document; times in it are those that the store holds.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.record.names import (
    FORGET_RECALL,
    OFFLINE_SECONDS,
    RETAIN_RECALL,
    SPEEDUP,
    SPEEDUP_TO_END,
    TEST_RECALL,
    VALID_RECALL,
)
from results.distance.gaps import Gap, gap, unit_of
from results.distance.ranks import Ranks, ranks
from results.names.headlines import GOLD
from results.names.styles import styles
from results.names.titles import TITLES
from results.runs.frame import CellRun
from results.runs.groups import Group, by_setting, gold_for
from results.site.printed import published_for
from results.tables.leaderboard import COLUMNS, remark, shown_columns
from results.tables.marks import lacking, marks
from results.tables.ranks_table import verdict
from results.tables.speed_up import is_contended, why_not
from unlearning import REFERENCE_METHODS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

Steps = Callable[[str, str], Sequence[tuple[int, float]]]
"""Values of a metric by step, by run id and metric."""
Trajectory = Callable[[str], Sequence[Mapping[str, float]]]
"""Points of the trajectory by run id."""

DIGITS = 8
"""Significant digits kept: twice what is printed."""
KEPT = (
    *("test/", "valid/", "retain/", "forget/", "forget_unmasked/", "test_all_users/"),
    *("list_distance", "exposure/", "time/", "cost/", "stream/", "audit/"),
)
DROPPED = ("_at_10", "_at_50", "time/audit/", "time/warmup", "_low", "_high")
OTHER_ROLES = ("gold_", "original_")
"""Of an audit's figures: those of gold, which are kept apart, and of the original, which its row shows."""
SECONDS = "time/unlearn_seconds"
FORMS = {SPEEDUP: "times", SPEEDUP_TO_END: "times", SECONDS: "seconds", OFFLINE_SECONDS: "seconds"}
"""How a column is printed; any other with four digits."""


def document(
    groups: Sequence[Group], trajectory: Trajectory, steps: Steps = lambda run_id, metric: []
) -> dict[str, Any]:
    """Everything on the page.

    Args:
        groups: all rows of the store (``results.distance.rows``).
        trajectory: reads the trajectory of a run.
        steps: reads a metric of a run by step, for streams of requests.
    """
    looks = styles(group.method for group in groups)
    rows: list[tuple[Group, dict[str, Any]]] = []
    for setting in by_setting(groups).values():
        own = _marks(setting)
        rows += [(group, _row(group, setting, own[group.key], trajectory)) for group in setting]
    rows.sort(key=lambda row: _references_first(row[0]))
    return {
        "columns": [
            {"metric": metric, "title": title, "goal": goal, "form": FORMS.get(metric, "")}
            for metric, title, goal in (*COLUMNS, (SECONDS, "seconds", "low"))
        ],
        "gold": GOLD,
        "references": list(REFERENCE_METHODS),
        "names": {
            "test": TEST_RECALL,
            "retain": RETAIN_RECALL,
            "forget": FORGET_RECALL,
            "speedup": SPEEDUP,
        },
        "titles": TITLES,
        "styles": {name: asdict(look) for name, look in looks.items()},
        "ranks": _ranks(ranks(groups)),
        "drift": _drift(groups, steps),
        "rows": [row for _, row in rows],
    }


def _references_first(group: Group) -> tuple[Any, ...]:
    rank = REFERENCE_METHODS.index(group.method) if group.is_reference else len(REFERENCE_METHODS)
    return group.setting, rank, TITLES.get(group.method, group.method).lower(), group.options


def _row(
    group: Group, setting: Sequence[Group], marked: Mapping[str, str], trajectory: Trajectory
) -> dict[str, Any]:
    metrics = sorted({metric for run in group.runs for metric in run.metrics if _kept(metric)})
    runs, used = group.last_runs(), _used(group, metrics)
    shared, gold = _shared(used), gold_for(group, setting)
    dataset, backbone, regime = group.setting
    return {
        **{"dataset": dataset, "backbone": backbone, "regime": regime},
        "method": group.method,
        "options": group.options,
        "over": group.coverage,
        "cells": len(group.ats),
        "requests": group.requests,
        "seeds": group.seeds,
        "remark": remark(group).removeprefix("; "),
        "without_speed_up": why_not(group),
        "contended": is_contended(group),
        "metrics": {metric: _metric(group, gold, metric, setting) for metric in metrics},
        "gold_figures": _gold_figures(runs),
        "marks": dict(marked),
        "published": published_for(group, metrics),
        "runs": {run.run_id: _run(run, shared) for run in used},
        "params": shared,
        "trajectories": [_points(run, trajectory(run.run_id)) for run in runs],
    }


def _kept(metric: str) -> bool:
    if not metric.startswith(KEPT) or any(part in metric for part in DROPPED):
        return False
    return not metric.startswith("audit/") or not metric.split("/", 2)[2].startswith(OTHER_ROLES)


def _metric(group: Group, gold: Group | None, metric: str, setting: Sequence[Group]) -> dict[str, Any]:
    """Summary, gap to gold, and by request and seed the value (null where it is no number) with its run."""
    found = group.summary(metric)
    in_columns = any(metric == column[0] for column in COLUMNS)
    own = None
    if found is not None and not group.is_gold:
        own = gap(group, gold, metric, with_interval=in_columns)
    unit = unit_of(gold.values(metric)) if gold is not None else None
    return {
        "summary": {key: _short(value) for key, value in asdict(found).items()} if found else None,
        "gap": _gap(own) if own else None,
        "unit": {"value": _short(unit.value), "why": unit.why} if unit else None,
        "part": lacking(group, setting, metric),
        "values": [
            {"request": at.request, "seed": at.seed, "value": _short(run.metrics[metric]), "run": run.run_id}
            for at, run in group.chosen(metric).items()
        ],
    }


def _gap(found: Gap) -> dict[str, Any]:
    low, high = found.estimate.interval or (None, None)
    return {
        "value": _short(found.value),
        "low": _short(low),
        "high": _short(high),
        "over": list(found.estimate.over),
        "units": _short(found.units),
    }


def _ranks(found: Ranks) -> dict[str, Any]:
    """Mean ranks over the settings that have scores, and the diagram where there is something to test."""
    return {
        "rows": [
            {
                "method": name,
                "rank": _short(mean),
                "score": _short(found.mean_score(name)),
                "missing": found.missing(name),
            }
            for name, mean in found.mean_ranks.items()
        ],
        "settings": ["/".join(setting) for setting in found.scores],
        "verdict": verdict(found),
        "picture": _picture(found) if found.can_be_tested else None,
    }


def _gold_figures(runs: Iterable[CellRun]) -> dict[str, float | None]:
    """Means over seeds of what the audits found on gold, by the name of the unlearned model's figure."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for metric, value in run.metrics.items():
            if metric.startswith("audit/") and "/gold_" in metric and math.isfinite(value):
                own = metric.replace("/gold_", "/", 1)
                if _kept(own):
                    found.setdefault(own, []).append(value)
    return {metric: _short(sum(values) / len(values)) for metric, values in found.items()}


def _picture(found: Ranks) -> str:
    """The critical-difference diagram as an address that holds the drawing."""
    from results.figures.ranks import diagram
    from results.figures.written import drawing

    with drawing():
        return _address(diagram(found))


def _drift(groups: Sequence[Group], steps: Steps) -> list[dict[str, str]]:
    """Drift curves of streams, a picture per backbone."""
    from results.figures.drift import Drift
    from results.figures.source import Source
    from results.figures.written import drawing

    with drawing():
        pages = Drift().pages(Source(tuple(groups), steps=steps))
        return [{"backbone": name, "picture": _address(canvas)} for name, canvas in pages]


def _address(canvas: Canvas) -> str:
    from results.figures.written import as_svg

    return "data:image/svg+xml;base64," + base64.b64encode(as_svg(canvas)).decode()


def _used(group: Group, metrics: Iterable[str]) -> list[CellRun]:
    """Every run that a number of the row is from, by seed, oldest first."""
    used = {run.run_id for metric in metrics for run in group.chosen(metric).values()}
    used |= {run.run_id for run in group.last_runs()}
    return sorted((run for run in group.runs if run.run_id in used), key=lambda run: run.at)


def _shared(runs: Sequence[CellRun]) -> dict[str, str]:
    """Parameters that are the same in all runs."""
    first = runs[0].params
    return {key: first[key] for key in first if all(run.params.get(key) == first[key] for run in runs)}


def _run(run: CellRun, shared: Mapping[str, str]) -> dict[str, Any]:
    tags = run.tags
    return {
        "request": run.request,
        "seed": run.seed,
        "cell": run.cell_key,
        "commit": tags.get("lethe.commit", "unknown"),
        "device": tags.get("device.name", "unknown"),
        "threads": tags.get("device.threads", ""),
        "ended": datetime.fromtimestamp(run.ended / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "versions": {k.removeprefix("version."): tags[k] for k in sorted(tags) if k.startswith("version.")},
        "params": {key: value for key, value in run.params.items() if key not in shared},
    }


def _points(run: CellRun, points: Iterable[Mapping[str, float]]) -> dict[str, Any]:
    return {
        "request": run.request,
        "seed": run.seed,
        "run": run.run_id,
        "points": [
            [_short(point.get(key)) for key in ("seconds", VALID_RECALL, FORGET_RECALL)] for point in points
        ],
    }


def _marks(setting: Sequence[Group]) -> dict[tuple[str, ...], dict[str, str]]:
    """Best and second by row, as the leaderboard marks them."""
    found: dict[tuple[str, ...], dict[str, str]] = {group.key: {} for group in setting}
    for metric, _, goal in shown_columns(setting):
        for index, mark in marks(setting, metric, goal).items():
            found[setting[index].key][metric] = mark
    return found


def _short(value: float | None) -> float | None:
    """Rounded to ``DIGITS`` significant digits; None where it is no finite number."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}")
