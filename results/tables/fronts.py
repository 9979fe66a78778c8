"""What tuning found: per setting and method the trials that no other trial beats in both figures.

Validation data only, as in tuning: recall@20 on validation pairs, and forget recall@20, which is best where
its aim is: gold's, or what stands in for it. The rule that chooses one trial is ``bench.measure.selection``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.measure.selection import LABELS, Candidate, Figures, distance, front
from bench.record.names import FORGET_RECALL, VALID_RECALL
from bench.tune.record import UNLEARN_SECONDS
from results.names.titles import TITLES
from results.runs.frame import CellRun
from results.runs.groups import SETTING
from results.tables.text_table import NOTHING, Text, TextTable

HEADER = ("valid recall@20", "forget recall@20", "from aim", "seconds")


def fronts(trials: Sequence[CellRun], variants: Mapping[str, str]) -> TextTable:
    """The fronts of all settings; bold is what no trial of any method beats.

    Args:
        trials: as ``results.runs.frame.trials`` gives them, the latest of equal options counts; those that
            diverged are counted and not shown.
        variants: options by run id.
    """
    latest = {(*run.labels.items(), run.request, variants.get(run.run_id)): run for run in trials}.values()
    measured = [run for run in latest if VALID_RECALL in run.metrics]
    rows = []
    for setting in sorted({_setting(run) for run in measured}):
        rows += _rows(setting, [run for run in measured if _setting(run) == setting], variants)
    return TextTable(
        "fronts",
        "Trade-off fronts of tuning, on validation data",
        (*SETTING, "method", "options"),
        tuple((title, "") for title in HEADER),
        tuple(rows),
        (
            f"{len(measured)} trials, {len(latest) - len(measured)} diverged; shown is what no trial of the "
            "same method beats in both figures, bold what no trial of any method beats.",
            "from aim: between forget recall and what it is aimed at, the mean of gold over training seeds "
            f"in {LABELS['gold']}, what stands in for it (proxy) in {LABELS['proxy']}.",
            "seconds: of unlearning alone, as it ran.",
        ),
    )


Row = tuple[tuple[str, ...], tuple[Text, ...]]


def _rows(setting: tuple[str, ...], runs: Sequence[CellRun], variants: Mapping[str, str]) -> list[Row]:
    name, aim = _aim(runs)
    by_number = dict(enumerate(runs))
    best = {one.number for one in front(_candidates(by_number), aim)}
    texts = tuple(map(Text, (f"{aim.valid_recall:.4f}", f"{aim.forget_recall:.4f}", *[NOTHING] * 2)))
    rows: list[Row] = [((*setting, name, ""), texts)]
    for method in sorted({run.labels["method"] for run in runs}):
        own = {number: run for number, run in by_number.items() if run.labels["method"] == method}
        for one in sorted(front(_candidates(own), aim), key=lambda c: (-c.valid_recall, c.number)):
            run = own[one.number]
            names = (*setting, TITLES.get(method, method), variants.get(run.run_id) or "default")
            rows.append((names, _places(one, run, aim, one.number in best)))
    return rows


def _aim(runs: Sequence[CellRun]) -> tuple[str, Figures]:
    """What the trials of a setting were aimed at: gold where any was, else what stood in for it."""
    for target, name in (("gold", TITLES["retrain"]), ("proxy", "proxy")):
        metrics = [f"{target}/{figure}_recall_at_20" for figure in ("valid", "forget")]
        found = [run for run in runs if all(metric in run.metrics for metric in metrics)]
        if found:
            return name, Figures(*(found[-1].metrics[metric] for metric in metrics))
    raise ValueError(f"trial {runs[-1].run_id} does not say what it was aimed at")


def _places(one: Candidate, run: CellRun, aim: Figures, best: bool) -> tuple[Text, ...]:
    mark = "best" if best else ""
    return (
        Text(f"{one.valid_recall:.4f}", mark),
        Text(f"{one.forget_recall:.4f}", mark),
        Text(f"{distance(one, aim):.4f}"),
        Text(f"{run.metrics[UNLEARN_SECONDS]:.1f}"),
    )


def _candidates(runs: Mapping[int, CellRun]) -> list[Candidate]:
    return [
        Candidate(number, run.metrics[VALID_RECALL], run.metrics[FORGET_RECALL])
        for number, run in runs.items()
    ]


def _setting(run: CellRun) -> tuple[str, ...]:
    return tuple(run.labels[key] for key in SETTING)
