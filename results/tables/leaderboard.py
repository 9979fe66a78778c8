"""The leaderboard: every setting and method of a store, each metric's mean with its spreads.

Runs of one method with other options than its defaults are rows of their own. Within a setting the best
and the second are marked among the methods; reference systems are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.measure.marks import Goal
from bench.record.names import (
    BREAK_EVEN,
    FORGET_RECALL,
    MIA_BALANCED_ACCURACY,
    OFFLINE_SECONDS,
    PROPAGATIONS,
    RETAIN_RECALL,
    SPEEDUP,
    SPEEDUP_TO_END,
    STEPS,
    TEST_RECALL,
)
from results.names.headlines import LIST_EXCESS
from results.runs.at import counted
from results.runs.groups import SETTING, Group, by_setting
from results.runs.identity import FLAGS, audit_flag
from results.tables.marks import lacking, marks
from results.tables.speed_up import RULE, SHARED, is_contended, why_not
from results.tables.text_table import NOTHING, UNAVAILABLE, Letters, Text, TextTable, number, spread

COLUMNS: tuple[tuple[str, str, Goal | None], ...] = (
    (TEST_RECALL, "test recall@20", "high"),
    (RETAIN_RECALL, "retain", "gold"),
    (FORGET_RECALL, "forget", "gold"),
    (LIST_EXCESS, "list excess", "gold"),
    (MIA_BALANCED_ACCURACY, "attack bal. acc.", "gold"),
    (SPEEDUP, "speed-up", "high"),
    (SPEEDUP_TO_END, "speed-up to end of patience", None),
    (STEPS, "steps", None),
    (PROPAGATIONS, "propagations", None),
    (OFFLINE_SECONDS, "offline seconds", None),
    (BREAK_EVEN, "break-even requests", None),
)
"""Metric, title, what is best; None where nothing is."""
COUNTS = (STEPS, PROPAGATIONS)
OTHER_AUDIT = "§"


def leaderboard(groups: Sequence[Group]) -> TextTable:
    """The rows as a table."""
    columns = shown_columns(groups)
    with_options = any(group.options for group in groups)
    letters, rows = Letters(), []
    for setting in by_setting(groups).values():
        every = [marks(setting, metric, goal) for metric, _, goal in columns]
        for index, group in enumerate(setting):
            names = (*group.setting, group.method, *([group.options or "default"] if with_options else []))
            texts = [Text(group.coverage, tail=remark(group))]
            texts += [
                _place(group, setting, metric, own.get(index, ""), letters)
                for (metric, _, _), own in zip(columns, every, strict=True)
            ]
            rows.append((names, tuple(texts)))
    return TextTable(
        "leaderboard",
        "Leaderboard: means over requests and training seeds",
        (*SETTING, "method", *(["options"] if with_options else [])),
        (("over", ""), *((title, "") for _, title, _ in columns)),
        tuple(rows),
        tuple(_notes(groups, columns, rows, letters)),
    )


Column = tuple[str, str, Goal | None]


def shown_columns(groups: Iterable[Group]) -> list[Column]:
    """The columns that any row has a value for."""
    groups = list(groups)
    return [column for column in COLUMNS if any(group.summary(column[0]) for group in groups)]


def remark(group: Group) -> str:
    """What has to be said about the runs of a row."""
    left = [f"{counted(len(group.left_out), 'run')} of other code left out"] if group.left_out else []
    return "".join(f"; {text}" for text in (*group.tunes, *group.flags, *left))


def _place(group: Group, setting: Sequence[Group], metric: str, mark: str, letters: Letters) -> Text:
    found = group.summary(metric)
    if found is None:
        if group.not_applicable(metric):
            return Text(UNAVAILABLE)
        why = why_not(group) if metric == SPEEDUP else ""
        return Text(NOTHING, signs=letters.of("speed-up", why) if why else "")
    digits = 0 if metric in COUNTS else 1 if abs(found.mean) > 10 else 4
    part = lacking(group, setting, metric)
    tail = spread(found, digits) + (f" [{part[0]}/{part[1]}]" if part else "")
    sign = OTHER_AUDIT if audit_flag(metric, group.chosen(metric).values()) else ""
    sign += letters.of("shared", SHARED) if metric == SPEEDUP and is_contended(group) else ""
    return Text(number(found.mean, digits), mark, sign, tail)


def _notes(
    groups: Sequence[Group], columns: Sequence[Column], rows: Sequence[tuple[object, ...]], letters: Letters
) -> list[str]:
    several = any(len(group.requests) > 1 for group in groups)
    apart = "; after the stroke over the means of requests" if several else ""
    lines = [
        f"± standard deviation over seeds within a request{apart}. [k/n]: only k of n cells have it.",
        "Bold is best, underlined second among the methods of a setting, compared on the requests and seeds "
        "that all of them have; original and retrain are not ranked.",
        "test and speed-up: the higher the better; retain, forget and the attack: closest to retrain's value "
        "is best; list excess: closest to 0.",
    ]
    metrics = [metric for metric, _, _ in columns]
    if LIST_EXCESS in metrics:
        lines.append(
            "list excess: how much further the top 20 of users who stay are from gold models of other seeds "
            "than these are from each other (python -m results distance)."
        )
    if SPEEDUP in metrics:
        lines.append(RULE)
    said = {"speed-up": "no speed-up: ", "shared": ""}
    lines += [f"{letter}: {said[about]}{text}." for (about, text), letter in letters.found.items()]
    if any(OTHER_AUDIT in text.signs for _, texts in rows for text in texts):  # type: ignore[attr-defined]
        lines.append(f"{OTHER_AUDIT} the audit's own code differs between the runs or from today's.")
    lines += not_applicable_notes(groups, metrics)
    lines += [f"{flag}: {text}." for flag, text in FLAGS.items() if any(flag in g.flags for g in groups)]
    if any(group.left_out for group in groups):
        lines.append(
            "left out: runs whose method or backbone had other code; they count for nothing "
            "(python -m results explain leaderboard names them)."
        )
    return lines


def not_applicable_notes(groups: Iterable[Group], metrics: Iterable[str]) -> list[str]:
    """One line for each method and reason why a metric makes no sense for its models."""
    every = sorted(metrics)
    reasons = {(one.method, why): None for one in groups for m in every if (why := one.not_applicable(m))}
    return [f"{UNAVAILABLE} of {method}: not applicable, {why}." for method, why in reasons]
