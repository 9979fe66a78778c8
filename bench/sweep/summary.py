"""The table of a sweep's cells, read back from MLflow and printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from bench.measure.marks import Goal, Mark, losses, marks
from bench.record.names import (
    BREAK_EVEN,
    FORGET_RECALL,
    MIA_BALANCED_ACCURACY,
    OFFLINE_SECONDS,
    OVERLAP,
    RETAIN_RECALL,
    SPEEDUP,
    TEST_RECALL,
)
from unlearning import REFERENCE_METHODS

SIGNS: dict[Mark, str] = {"best": "**", "second": "*"}
GROUP = ("dataset", "backbone", "regime", "seed")


@dataclass(frozen=True)
class Column:
    """A printed metric. ``goal``: ``high``, or ``gold`` (closest to the gold model's value is best)."""

    metric: str
    title: str
    goal: Goal
    pattern: str


COLUMNS = (
    Column(TEST_RECALL, "recall@20\ntest", "high", "{:.4f}"),
    Column(RETAIN_RECALL, "\nretain", "gold", "{:.4f}"),
    Column(FORGET_RECALL, "\nforget", "gold", "{:.4f}"),
    Column(OVERLAP, "overlap\nwith gold", "high", "{:.3f}"),
    Column(MIA_BALANCED_ACCURACY, "attack\nbal. acc.", "gold", "{:.3f}"),
    Column(SPEEDUP, "\nspeed-up", "high", "{:,.1f}x"),
)


@dataclass(frozen=True)
class Row:
    """One row of the printed table: a cell, its labels, its state and what MLflow holds for it."""

    labels: dict[str, str]
    state: str
    metrics: dict[str, float]
    cause: str = ""
    """Why it is not finished, where that is known."""

    @property
    def is_reference(self) -> bool:
        """Whether this is a reference system (original, gold) rather than a method."""
        return self.labels["method"] in REFERENCE_METHODS


def print_rows(rows: Sequence[Row], console: Console | None = None) -> None:
    """Print the rows, grouped by setting, with best and second marked among the methods."""
    console = console or Console()
    columns = [
        c for c in COLUMNS if c.metric != MIA_BALANCED_ACCURACY or any(c.metric in r.metrics for r in rows)
    ]
    for group, members in _groups(rows).items():
        title = "  ".join(f"{key}={value}" for key, value in zip(GROUP, group, strict=True))
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=0)
        table.add_column("\nmethod", no_wrap=True)
        for column in columns:
            table.add_column(column.title, justify="right", no_wrap=True)
        table.add_column("\nstate", no_wrap=True)
        signs = {column.metric: _marks(column, members) for column in columns}
        for index, row in enumerate(members):
            texts = [_text(column, row, signs[column.metric].get(index, "")) for column in columns]
            table.add_row(row.labels["method"], *texts, row.state)
        console.print(table)
        for row in members:
            if row.metrics.get(OFFLINE_SECONDS):
                console.print(_offline(row), highlight=False)
    console.print(
        "** best, * second among the methods (original and retrain are references). "
        "retain, forget and the attack: closest to retrain's value is best.",
        highlight=False,
    )


def _offline(row: Row) -> str:
    """What a method prepared before the request, and when that pays off."""
    text = f"{row.labels['method']}: {row.metrics[OFFLINE_SECONDS]:,.1f} s before any request"
    if BREAK_EVEN in row.metrics:
        return (
            f"{text}, paid off after {row.metrics[BREAK_EVEN]:,.1f} requests (against retraining for each)."
        )
    return f"{text}, never paid off." if SPEEDUP in row.metrics else f"{text}."


def _groups(rows: Iterable[Row]) -> dict[tuple[str, ...], list[Row]]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.labels[key] for key in GROUP), []).append(row)
    return groups


def _marks(column: Column, rows: Sequence[Row]) -> dict[int, str]:
    """Marks by row index: ``**`` best, ``*`` second; none where gold is needed and missing."""
    gold = next((row.metrics.get(column.metric) for row in rows if row.labels["method"] == "retrain"), None)
    values = {
        index: row.metrics[column.metric]
        for index, row in enumerate(rows)
        if column.metric in row.metrics and not row.is_reference
    }
    # A method that is alone is marked as well.
    return {index: SIGNS[mark] for index, mark in marks(losses(values, column.goal, gold), fewest=1).items()}


def _text(column: Column, row: Row, mark: str) -> str:
    if column.metric not in row.metrics:
        return "-  "
    return f"{column.pattern.format(row.metrics[column.metric])}{mark:<2}"
