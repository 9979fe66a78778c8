"""What the page shows, as one JSON document: runs in, plain values out, no clock and no machine.

The same runs give the same document; times in it are those that the store holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bench.record.names import FORGET_RECALL, RETAIN_RECALL, SPEEDUP, TEST_RECALL, VALID_RECALL
from results.names.headlines import GOLD
from results.names.styles import styles
from results.names.titles import TITLES
from results.runs.frame import CellRun
from results.runs.groups import Group, by_setting, gold_of, grouped
from results.runs.statistics import gap_to_gold
from results.site.printed import published_for
from results.tables.leaderboard import COLUMNS, leaderboard, standings
from unlearning import REFERENCE_METHODS

Trajectory = Callable[[str], Sequence[Mapping[str, float]]]
"""Points of the trajectory by run id."""

DIGITS = 8
"""Significant digits kept: twice what is printed."""
KEPT = (
    *("test/", "valid/", "retain/", "forget/", "forget_unmasked/", "test_all_users/"),
    *("gold_distance_same_seed/", "exposure/", "time/", "cost/", "audit/"),
)
DROPPED = ("_at_10", "_at_50", "time/audit/", "time/warmup", "_low", "_high")
OTHER_ROLES = ("gold_", "original_")
"""Of an audit's figures: those of gold, which are kept apart, and of the original, which its row shows."""
SECONDS = "time/unlearn_seconds"
FORMS = {SPEEDUP: "times", SECONDS: "seconds"}
"""How a column is printed; any other with four digits."""


def document(runs: Sequence[CellRun], variants: Mapping[str, str], trajectory: Trajectory) -> dict[str, Any]:
    """Everything on the page.

    Args:
        runs: all runs of the store, as ``results.runs.frame.runs`` gives them.
        variants: options by run id.
        trajectory: reads the trajectory of a run.
    """
    groups = grouped(runs, variants)
    marks = _marks(runs, variants)
    golds = {setting: gold_of(own) for setting, own in by_setting(groups).items()}
    looks = styles(group.method for group in groups)
    return {
        "columns": [
            {"metric": metric, "title": title, "goal": goal, "form": FORMS.get(metric, "")}
            for metric, title, goal in (*COLUMNS, (SECONDS, "seconds", "low"))
        ],
        "gold": GOLD,
        "references": list(REFERENCE_METHODS),
        "names": {"test": TEST_RECALL, "retain": RETAIN_RECALL, "forget": FORGET_RECALL},
        "titles": TITLES,
        "styles": {name: asdict(look) for name, look in looks.items()},
        "rows": [
            _row(group, golds[group.setting], marks[group.setting, group.method, group.options], trajectory)
            for group in sorted(groups, key=_references_first)
        ],
    }


def _references_first(group: Group) -> tuple[Any, ...]:
    rank = REFERENCE_METHODS.index(group.method) if group.is_reference else len(REFERENCE_METHODS)
    return group.setting, rank, TITLES.get(group.method, group.method).lower(), group.options


def _row(
    group: Group, gold: Group | None, marks: Mapping[str, str], trajectory: Trajectory
) -> dict[str, Any]:
    metrics = sorted({metric for run in group.runs for metric in run.metrics if _kept(metric)})
    runs, used = group.last_runs(), _used(group, metrics)
    shared = _shared(used)
    dataset, backbone, regime = group.setting
    return {
        **{"dataset": dataset, "backbone": backbone, "regime": regime},
        "method": group.method,
        "options": group.options,
        "seeds": group.seeds,
        "metrics": {metric: _metric(group, gold, metric) for metric in metrics},
        "gold_figures": _gold_figures(runs),
        "marks": dict(marks),
        "published": published_for(group, metrics),
        "runs": {run.run_id: _run(run, shared) for run in used},
        "params": shared,
        "trajectories": [_points(run, trajectory(run.run_id)) for run in runs],
    }


def _kept(metric: str) -> bool:
    if not metric.startswith(KEPT) or any(part in metric for part in DROPPED):
        return False
    return not metric.startswith("audit/") or not metric.split("/", 2)[2].startswith(OTHER_ROLES)


def _metric(group: Group, gold: Group | None, metric: str) -> dict[str, Any]:
    """Summary, gap to gold, and by seed the value (null where it is no number) with its run."""
    found, values = group.summary(metric), group.values(metric)
    others = gold.values(metric) if gold is not None and not group.is_gold else {}
    gap = gap_to_gold(list(values.values()), list(others.values())) if values and others else None
    return {
        "summary": {key: _short(value) for key, value in asdict(found).items()} if found else None,
        "gap": {key: _short(value) for key, value in asdict(gap).items()} if gap else None,
        "seeds": [
            {"seed": seed, "value": _short(run.metrics[metric]), "run": run.run_id}
            for seed, run in group.chosen(metric).items()
        ],
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


def _used(group: Group, metrics: Iterable[str]) -> list[CellRun]:
    """Every run that a number of the row is from, by seed, oldest first."""
    used = {run.run_id for metric in metrics for run in group.chosen(metric).values()}
    used |= {run.run_id for run in group.last_runs()}
    return sorted((run for run in group.runs if run.run_id in used), key=lambda run: run.seed)


def _shared(runs: Sequence[CellRun]) -> dict[str, str]:
    """Parameters that are the same in all runs."""
    first = runs[0].params
    return {key: first[key] for key in first if all(run.params.get(key) == first[key] for run in runs)}


def _run(run: CellRun, shared: Mapping[str, str]) -> dict[str, Any]:
    tags = run.tags
    return {
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
        "seed": run.seed,
        "run": run.run_id,
        "points": [
            [_short(point.get(key)) for key in ("seconds", VALID_RECALL, FORGET_RECALL)] for point in points
        ],
    }


def _marks(
    runs: Sequence[CellRun], variants: Mapping[str, str]
) -> dict[tuple[tuple[str, ...], str, str], dict[str, str]]:
    """Best and second by setting, method and options, as the leaderboard marks them."""
    found = standings(runs, variants)
    board = leaderboard(found)
    shown = [c for c in COLUMNS if any(c[0] in standing.summaries for standing in found)]
    return {
        (one.setting, one.method, one.options): {
            metric: text.mark for (metric, _, _), text in zip(shown, texts[1:], strict=True) if text.mark
        }
        for one, (_, texts) in zip(found, board.rows, strict=True)
    }


def _short(value: float | None) -> float | None:
    """Rounded to ``DIGITS`` significant digits; None where it is no finite number."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}")
