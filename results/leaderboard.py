"""The leaderboard: every setting and method of a store, each metric's mean and deviation over seeds.

Runs of one method with other options than its defaults are rows of their own. Within a setting the best
and the second are marked among the methods; reference systems are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.names import (
    BREAK_EVEN,
    FORGET_RECALL,
    MIA_BALANCED_ACCURACY,
    OFFLINE_SECONDS,
    OVERLAP,
    REFERENCE_METHODS,
    RETAIN_RECALL,
    SPEEDUP,
    TEST_RECALL,
)
from results.frame import CellRun, latest
from results.grid import NOTHING, Grid, Text
from results.layout import GOLD, Goal
from results.statistics import Summary, summary

SETTING = ("dataset", "backbone", "regime")
COLUMNS: tuple[tuple[str, str, Goal], ...] = (
    (TEST_RECALL, "test recall@20", "high"),
    (RETAIN_RECALL, "retain", "gold"),
    (FORGET_RECALL, "forget", "gold"),
    (OVERLAP, "overlap with gold", "high"),
    (MIA_BALANCED_ACCURACY, "attack bal. acc.", "gold"),
    (SPEEDUP, "speed-up", "high"),
)
"""Metric, title, what is best."""
OFFLINE_COLUMNS: tuple[tuple[str, str, Goal], ...] = (
    (OFFLINE_SECONDS, "offline seconds", "low"),
    (BREAK_EVEN, "break-even requests", "low"),
)
"""Where a method prepares something before any request; never ranked, for methods without have none."""
OFFLINE_NOTE = (
    "offline seconds: preparation before any request, done once; break-even requests: how many have to come "
    "until it has paid off against retraining for each; absent where it never does, and between times of "
    "two machines."
)


@dataclass(frozen=True)
class Standing:
    """A method with its options in one setting: the seeds, and a summary per metric that any seed has."""

    setting: tuple[str, ...]
    method: str
    options: str
    seeds: int
    summaries: dict[str, Summary]


def standings(runs: Iterable[CellRun], variants: Mapping[str, str]) -> list[Standing]:
    """Summaries over seeds, sorted by setting, method and options.

    Args:
        runs: as ``results.frame.runs`` gives them. Of several finished runs with the same options and
            seed the latest that has a metric counts for it.
        variants: options by run id (``results.settings.variants``).
    """
    groups: dict[tuple[str, ...], dict[str, dict[str, float]]] = {}
    for run in sorted(latest(runs), key=lambda run: (run.ended, run.run_id)):
        key = (*(run.labels[label] for label in SETTING), run.labels["method"], variants.get(run.run_id, ""))
        seed = groups.setdefault(key, {}).setdefault(run.labels["seed"], {})
        seed.update(run.metrics)
    return [
        Standing(key[:3], key[3], key[4], len(seeds), _summaries(list(seeds.values())))
        for key, seeds in sorted(groups.items())
    ]


def columns_of(found: Sequence[Standing]) -> list[tuple[str, str, Goal]]:
    """The columns that any of them has a figure for."""
    every = (*COLUMNS, *OFFLINE_COLUMNS)
    return [column for column in every if any(column[0] in one.summaries for one in found)]


def leaderboard(found: Sequence[Standing]) -> Grid:
    """The standings as a table."""
    columns = columns_of(found)
    with_options = any(standing.options for standing in found)
    marks = [_marks(found, metric, goal) if goal != "low" else {} for metric, _, goal in columns]
    rows = []
    for index, one in enumerate(found):
        names = (*one.setting, one.method, *([one.options or "default"] if with_options else []))
        texts = [Text(str(one.seeds))]
        texts += [
            _text(one.summaries.get(metric), marks[number].get(index, ""))
            for number, (metric, _, _) in enumerate(columns)
        ]
        rows.append((names, tuple(texts)))
    return Grid(
        "leaderboard",
        "Leaderboard: mean ± standard deviation over seeds",
        (*SETTING, "method", *(["options"] if with_options else [])),
        (("seeds", ""), *((title, "") for _, title, _ in columns)),
        tuple(rows),
        (
            "Bold is best, underlined second among the methods of a setting, without original and retrain.",
            "test, overlap and speed-up: the higher the better; retain, forget and the attack: closest to "
            "retrain's value is best.",
            *(OFFLINE_NOTE for c in columns if c[0] == OFFLINE_SECONDS),
        ),
    )


def _summaries(seeds: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    metrics = sorted({metric for seed in seeds for metric in seed})
    if not any(seed.get(OFFLINE_SECONDS) for seed in seeds):
        metrics = [metric for metric in metrics if metric != OFFLINE_SECONDS]
    return {m: summary([seed[m] for seed in seeds if m in seed]) for m in metrics}


def _marks(found: Sequence[Standing], metric: str, goal: Goal) -> dict[int, str]:
    """Mark by position, setting by setting."""
    marks: dict[int, str] = {}
    for setting in dict.fromkeys(one.setting for one in found):
        gold = next(
            (one.summaries.get(metric) for one in found if (one.setting, one.method) == (setting, GOLD)), None
        )
        if goal == "gold" and gold is None:
            continue
        losses = {
            index: abs(one.summaries[metric].mean - gold.mean)
            if goal == "gold" and gold
            else -one.summaries[metric].mean
            for index, one in enumerate(found)
            if one.setting == setting and one.method not in REFERENCE_METHODS and metric in one.summaries
        }
        names = dict(zip(sorted(set(losses.values()))[:2], ("best", "second"), strict=False))
        marks |= {index: names[own] for index, own in losses.items() if own in names and len(losses) > 1}
    return marks


def _text(found: Summary | None, mark: str) -> Text:
    if found is None:
        return Text(NOTHING)
    digits = 1 if found.mean > 10 else 4
    tail = "" if found.deviation is None else f" ± {found.deviation:.{digits}f}"
    return Text(f"{found.mean:.{digits}f}", mark, "", tail)
