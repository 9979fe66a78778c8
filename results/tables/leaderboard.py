"""The leaderboard: every setting and method of a store, each metric's mean and deviation over seeds.

Runs of one method with other options than its defaults are rows of their own. Within a setting the best
and the second are marked among the methods; reference systems are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.measure.marks import Goal, Mark, losses, marks
from bench.record.names import (
    FORGET_RECALL,
    MIA_BALANCED_ACCURACY,
    OVERLAP,
    RETAIN_RECALL,
    SPEEDUP,
    TEST_RECALL,
)
from results.names.headlines import GOLD
from results.runs.frame import CellRun, latest
from results.runs.statistics import Summary, summary
from results.tables.text_table import NOTHING, Text, TextTable
from unlearning import REFERENCE_METHODS

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
        runs: as ``results.runs.frame.runs`` gives them. Of several finished runs with the same options and
            seed the latest that has a metric counts for it.
        variants: options by run id (``results.runs.settings.variants``).
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


def leaderboard(found: Sequence[Standing]) -> TextTable:
    """The standings as a table."""
    columns = [c for c in COLUMNS if any(c[0] in standing.summaries for standing in found)]
    with_options = any(standing.options for standing in found)
    given = [_marks(found, metric, goal) for metric, _, goal in columns]
    rows = []
    for index, one in enumerate(found):
        names = (*one.setting, one.method, *([one.options or "default"] if with_options else []))
        texts = [Text(str(one.seeds))]
        texts += [
            _text(one.summaries.get(metric), given[number].get(index, ""))
            for number, (metric, _, _) in enumerate(columns)
        ]
        rows.append((names, tuple(texts)))
    return TextTable(
        "leaderboard",
        "Leaderboard: mean ± standard deviation over seeds",
        (*SETTING, "method", *(["options"] if with_options else [])),
        (("seeds", ""), *((title, "") for _, title, _ in columns)),
        tuple(rows),
        (
            "Bold is best, underlined second among the methods of a setting, without original and retrain.",
            "test, overlap and speed-up: the higher the better; retain, forget and the attack: closest to "
            "retrain's value is best.",
        ),
    )


def _summaries(seeds: Sequence[Mapping[str, float]]) -> dict[str, Summary]:
    metrics = sorted({metric for seed in seeds for metric in seed})
    return {m: summary([seed[m] for seed in seeds if m in seed]) for m in metrics}


def _marks(found: Sequence[Standing], metric: str, goal: Goal) -> dict[int, Mark]:
    """Mark by position, setting by setting."""
    given: dict[int, Mark] = {}
    for setting in dict.fromkeys(one.setting for one in found):
        own = {i: one for i, one in enumerate(found) if one.setting == setting and metric in one.summaries}
        gold = next((one.summaries[metric].mean for one in own.values() if one.method == GOLD), None)
        methods = {
            i: one.summaries[metric].mean for i, one in own.items() if one.method not in REFERENCE_METHODS
        }
        given |= marks(losses(methods, goal, gold))
    return given


def _text(found: Summary | None, mark: str) -> Text:
    if found is None:
        return Text(NOTHING)
    digits = 1 if found.mean > 10 else 4
    tail = "" if found.deviation is None else f" ± {found.deviation:.{digits}f}"
    return Text(f"{found.mean:.{digits}f}", mark, "", tail)
