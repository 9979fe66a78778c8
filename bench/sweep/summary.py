"""The table of a sweep's cells, read back from MLflow and printed.

It shows what is known from one cell. What takes cells of several seeds (distance to gold of other seeds,
means, ranks) is in ``python -m results``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from bench.measure.selection import has_forgotten
from bench.record.names import FORGET_RECALL, MIA_BALANCED_ACCURACY, RETAIN_RECALL, SPEEDUP, TEST_RECALL
from unlearning import CONTROL_METHODS, REFERENCE_METHODS

GROUP = ("dataset", "backbone", "regime", "request", "seed")
SECONDS = "time/unlearn_seconds"


@dataclass(frozen=True)
class Column:
    """A printed metric. ``goal``: ``high``, or ``gold`` (closest to the gold model's value is best)."""

    metric: str
    title: str
    goal: str
    pattern: str


COLUMNS = (
    Column(TEST_RECALL, "recall@20\ntest", "high", "{:.4f}"),
    Column(RETAIN_RECALL, "\nretain", "gold", "{:.4f}"),
    Column(FORGET_RECALL, "\nforget", "gold", "{:.4f}"),
    Column(MIA_BALANCED_ACCURACY, "attack\nbal. acc.", "gold", "{:.3f}"),
    Column(SPEEDUP, "\nspeed-up", "high", "{:,.1f}x"),
)


@dataclass(frozen=True)
class Row:
    """One cell: its place in the grid, its state and what MLflow holds for it."""

    labels: dict[str, str]
    state: str
    metrics: dict[str, float]
    cause: str = ""
    """Why it is not finished, where that is known."""

    @property
    def label(self) -> str:
        """Its place in one word; the request is named where it is not the first."""
        named = {**self.labels, "request": f"request {self.labels.get('request', '0')}"}
        return "/".join(text for text in named.values() if text != "request 0")

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
        title = _title(group)
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=0)
        table.add_column("\nmethod", no_wrap=True)
        for column in columns:
            table.add_column(column.title, justify="right", no_wrap=True)
        table.add_column("\nstate", no_wrap=True)
        marks = {column.metric: _marks(column, members) for column in columns}
        for index, row in enumerate(members):
            cells = [_cell(column, row, marks[column.metric].get(index, "")) for column in columns]
            table.add_row(row.labels["method"], *cells, row.state)
        console.print(table)
    console.print(
        "** best, * second among the methods (original and retrain are references). "
        "retain, forget and the attack: closest to retrain's value is best. speed-up: marked for methods "
        "that forget, not for controls.",
        highlight=False,
    )
    for reason, methods in _without_speed_up(rows).items():
        console.print(f"No speed-up of {', '.join(methods)}: {reason}.", highlight=False)


def _title(group: tuple[str, ...]) -> str:
    """Labels of a setting; the request is named where it is not the first."""
    labels = dict(zip(GROUP, group, strict=True))
    return "  ".join(f"{key}={value}" for key, value in labels.items() if (key, value) != ("request", "0"))


def _without_speed_up(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Methods by why their measured cells have no speed-up."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if SPEEDUP in row.metrics or SECONDS not in row.metrics:
            continue
        reason = "nothing is unlearned"
        if row.labels["method"] != "original":
            timed = row.metrics[SECONDS] > 0
            reason = (
                "gold was trained on another device or with other threads, and such times do not compare"
                if timed
                else "it takes no time of its own"
            )
        methods = found.setdefault(reason, [])
        methods += [row.labels["method"]] if row.labels["method"] not in methods else []
    return found


def _groups(rows: Iterable[Row]) -> dict[tuple[str, ...], list[Row]]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.labels.get(key, "0") for key in GROUP), []).append(row)
    return groups


def _marks(column: Column, rows: Sequence[Row]) -> dict[int, str]:
    """Marks by row index: ``**`` best, ``*`` second; none where gold is needed and missing."""
    gold = next((row.metrics.get(column.metric) for row in rows if row.labels["method"] == "retrain"), None)
    if column.goal == "gold" and gold is None:
        return {}
    losses = {
        index: -row.metrics[column.metric]
        if column.goal == "high"
        else abs(row.metrics[column.metric] - (gold or 0.0))
        for index, row in enumerate(rows)
        if column.metric in row.metrics and not row.is_reference and _may_be_marked(column, row, rows)
    }
    ranked = sorted(set(losses.values()))
    return {index: ("**", "*")[ranked.index(loss)] for index, loss in losses.items() if loss in ranked[:2]}


def _may_be_marked(column: Column, row: Row, rows: Sequence[Row]) -> bool:
    """Speed is a merit of methods that are known to forget, so gold and original must be there to tell."""
    if column.metric != SPEEDUP:
        return True
    known = {one.labels["method"]: one.metrics.get(FORGET_RECALL) for one in rows}
    original, gold, own = known.get("original"), known.get("retrain"), row.metrics.get(FORGET_RECALL)
    if row.labels["method"] in CONTROL_METHODS or original is None or gold is None or own is None:
        return False
    return has_forgotten(own, original, gold)


def _cell(column: Column, row: Row, mark: str) -> str:
    if column.metric not in row.metrics:
        return "-  "
    return f"{column.pattern.format(row.metrics[column.metric])}{mark:<2}"
