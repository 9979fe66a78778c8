"""Where a number of the leaderboard comes from: its runs, what was left out and why, the gap, the mark."""

from __future__ import annotations

from collections.abc import Sequence

from datasets.errors import InputError
from results.distance.gaps import Arrays, gap, no_arrays
from results.distance.lists import ListDistances
from results.names.headlines import LIST_EXCESS
from results.runs.groups import SETTING, Group, by_setting, gold_for
from results.runs.identity import FLAGS
from results.tables.explain import (
    GOALS,
    estimate_text,
    gap_lines,
    left_out_lines,
    run_lines,
    summary_lines,
)
from results.tables.leaderboard import COLUMNS, Column
from results.tables.marks import marks
from results.tables.speed_up import why_not


def explain_row(
    rows: Sequence[Group], name: str, column: str, lists: ListDistances, arrays: Arrays = no_arrays
) -> str:
    """The account of one number of the leaderboard.

    Args:
        rows: every row of the leaderboard.
        name: labels of the row joined by slashes, with its options after a blank, e.g.
            ``baby/mgcn/user/tru gate=False``.
        column: title or metric.

    Raises:
        InputError: where there is no such row or column.
    """
    group, (metric, title, goal) = _row(rows, name), _column(column)
    setting = by_setting(rows)[group.setting]
    lines = [
        f"leaderboard, row {name}, column {title}",
        f"metric: {metric} (best: {GOALS[goal] if goal else 'nothing'})",
        "",
    ]
    found, values = group.summary(metric), group.values(metric)
    if found is None:
        lines.append(f"not measured: {_why(group, metric, setting, lists)}")
    else:
        lines += summary_lines(found, values)
    lines += _to_gold(group, metric, setting, lists, arrays)
    mark = marks(setting, metric, goal).get(setting.index(group), "")
    lines += [f"mark: {mark} among the methods of the setting"] if mark else []
    lines += [f"flag: {flag}: {FLAGS[flag]}" for flag in group.flags]
    for at, run in group.chosen(metric).items():
        lines += run_lines(at, run, run.metrics[metric])
    return "\n".join([*lines, *left_out_lines(group.left_out)]) + "\n"


def _row(rows: Sequence[Group], name: str) -> Group:
    names = {"/".join((*group.setting, group.name)): group for group in rows}
    if name not in names:
        known = [other for other in names if other.startswith(name.rpartition("/")[0])] or list(names)
        raise InputError(
            f"row={name} is not on the leaderboard: write {'/'.join(SETTING)}/method and its options, such "
            f"as {', '.join(known[:5])}."
        )
    return names[name]


def _column(name: str) -> Column:
    for column in COLUMNS:
        if name in column[:2]:
            return column
    titles = ", ".join(title for _, title, _ in COLUMNS)
    raise InputError(f"column={name} is not on the leaderboard: choose one of {titles}.")


def _why(group: Group, metric: str, setting: Sequence[Group], lists: ListDistances) -> str:
    if metric == LIST_EXCESS:
        return lists.missing(group, gold_for(group, setting))
    return why_not(group) or "no run has it"


def _to_gold(
    group: Group, metric: str, setting: Sequence[Group], lists: ListDistances, arrays: Arrays
) -> list[str]:
    gold = gold_for(group, setting)
    if metric == LIST_EXCESS:
        found = lists.estimates(group, gold)
        if found is None:
            return []
        distance, excess = found
        lines = [f"list distance: {estimate_text(distance)}"]
        return [*lines, *([f"excess: {estimate_text(excess)}"] if excess else [])]
    own = None if group.is_gold else gap(group, gold, metric, arrays)
    return gap_lines(own) if own else []
