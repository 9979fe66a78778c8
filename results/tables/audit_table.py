"""Every audit figure of a setting, one row per figure and one column per method.

A place holds the mean over requests and seeds with its 95 % interval; of a single model the interval that
the audit itself logged (bootstrap), where it logged one.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

from results.names.titles import TITLES
from results.runs.groups import SETTING, Group
from results.runs.identity import audit_flag
from results.runs.statistics import Summary
from results.tables.leaderboard import OTHER_AUDIT, not_applicable_notes
from results.tables.marks import lacking
from results.tables.text_table import NOTHING, UNAVAILABLE, Text, TextTable

PREFIX = "audit/"
HIDDEN = ("original_", "gold_")
"""The figures of the two references that every cell repeats: they have columns of their own."""
ENDS = ("_low", "_high")
ORDER = ("original", "retrain", "graph_only", "reset", "finetune")
"""Columns that come first; the others follow by name."""


def audit_table(found: Sequence[Group]) -> TextTable:
    """The audits of all given rows as one table; no rows where none has an audit."""
    columns = _columns(found)
    letters = dict(zip([c for c in columns if c[1]], string.ascii_lowercase, strict=False))
    by_place = {(one.setting, (one.method, one.options)): one for one in found}
    rows = []
    for setting in dict.fromkeys(one.setting for one in found):
        own = [by_place.get((setting, column)) for column in columns]
        there = [one for one in own if one is not None]
        for metric in _metrics(there):
            audit, _, figure = metric.removeprefix(PREFIX).partition("/")
            rows.append(((*setting, audit, figure), tuple(_text(one, there, metric) for one in own)))
    return TextTable(
        "audits",
        "Audits: means over requests and seeds [95 % interval]",
        (*SETTING, "audit", "figure"),
        tuple((_title(column, letters), "") for column in columns),
        tuple(rows),
        _notes(found, columns, letters),
    )


Column = tuple[str, str]
"""A method and how its options differ from the defaults."""


def _columns(found: Iterable[Group]) -> list[Column]:
    every = {(one.method, one.options) for one in found if _metrics([one])}
    return sorted(every, key=lambda c: (ORDER.index(c[0]) if c[0] in ORDER else len(ORDER), *c))


def _metrics(found: Iterable[Group]) -> list[str]:
    every = {m for one in found for run in one.runs for m in run.metrics if m.startswith(PREFIX)}
    return sorted(m for m in every if not m.endswith(ENDS) and not _figure(m).startswith(HIDDEN))


def _figure(metric: str) -> str:
    return metric.removeprefix(PREFIX).partition("/")[2]


def _title(column: Column, letters: dict[Column, str]) -> str:
    title = TITLES.get(column[0], column[0])
    return f"{title} ({letters[column]})" if column in letters else title


def _text(one: Group | None, setting: Sequence[Group], metric: str) -> Text:
    found = one.summary(metric) if one is not None else None
    if one is None or found is None:
        return Text(UNAVAILABLE if one is not None and one.not_applicable(metric) else NOTHING)
    interval, part = _interval(found, one, metric), lacking(one, setting, metric)
    tail = f" [{', '.join(map(_number, interval))}]" if interval else ""
    tail += f" [{part[0]}/{part[1]}]" if part else ""
    sign = OTHER_AUDIT if audit_flag(metric, one.chosen(metric).values()) else ""
    return Text(_number(found.mean), signs=sign, tail=tail)


def _interval(found: Summary, one: Group, metric: str) -> tuple[float, float] | None:
    if found.low is not None and found.high is not None:
        return found.low, found.high
    low, high = (one.summary(metric + end) for end in ENDS)
    return (low.mean, high.mean) if low and high else None


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"


def _notes(found: Sequence[Group], columns: Sequence[Column], letters: dict[Column, str]) -> tuple[str, ...]:
    over = sorted({one.coverage for one in found})
    return (
        f"Over {'; '.join(over)}; [k/n]: k of n. Intervals: t over the means of requests, with one request "
        "over its seeds; of one model the audit's own bootstrap.",
        "The target of every audit is the value of Retrain (gold), not 0 and not chance: docs/audits.md.",
        *(
            [f"{OTHER_AUDIT} the audit's own code differs between the runs or from today's."]
            * _flagged(found)
        ),
        *not_applicable_notes(found, {m for one in found for m in _metrics(found)}),
        *(f"{letters[column]}: {column[0]} with {column[1]}" for column in columns if column in letters),
    )


def _flagged(found: Iterable[Group]) -> bool:
    return any(audit_flag(m, one.chosen(m).values()) for one in found for m in _metrics([one]))
