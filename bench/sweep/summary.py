"""The table of a sweep's cells, read back from MLflow and printed.

It shows what is known from one cell. What takes cells of several seeds (distance to gold of other seeds,
means, ranks) is in ``python -m results``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from bench.measure.marks import Goal, Mark, losses, marks
from bench.measure.selection import has_forgotten
from bench.record.names import (
    BREAK_EVEN,
    CONTENDED,
    FORGET_RECALL,
    MIA_BALANCED_ACCURACY,
    OFFLINE_SECONDS,
    PROPAGATIONS,
    RETAIN_RECALL,
    SPEEDUP,
    STEPS,
    TEST_RECALL,
    not_applicable,
)
from bench.train.likeness import unlike
from unlearning import CONTROL_METHODS, REFERENCE_METHODS

SIGNS: dict[Mark, str] = {"best": "**", "second": "*"}
SHARED_SIGN = "~"
BOUNDLESS = 10_000
"""Width of a console on which every table has the width that it wants."""
GROUP = ("dataset", "backbone", "regime", "request", "seed")
SECONDS = "time/unlearn_seconds"


@dataclass(frozen=True)
class Column:
    """A printed metric. ``goal``: ``high``, or ``gold`` (closest to the gold model's value is best); None: it
    is not ranked."""

    metric: str
    title: str
    goal: Goal | None
    pattern: str


COLUMNS = (
    Column(TEST_RECALL, "recall@20\ntest", "high", "{:.4f}"),
    Column(RETAIN_RECALL, "\nretain", "gold", "{:.4f}"),
    Column(FORGET_RECALL, "\nforget", "gold", "{:.4f}"),
    Column(MIA_BALANCED_ACCURACY, "attack\nbal. acc.", "gold", "{:.3f}"),
    Column(SPEEDUP, "\nspeed-up", "high", "times"),
    Column(STEPS, "\nsteps", None, "count"),
    Column(PROPAGATIONS, "\nprop.", None, "count"),
)


@dataclass(frozen=True)
class Row:
    """One row of the printed table: a cell, its labels, its state and what MLflow holds for it."""

    labels: dict[str, str]
    state: str
    metrics: dict[str, float]
    cause: str = ""
    """Why it is not finished, where that is known."""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Its place in one word; the request is named where it is not the first."""
        named = {**self.labels, "request": f"request {self.labels.get('request', '0')}"}
        return "/".join(text for text in named.values() if text not in ("request 0", ""))

    @property
    def title(self) -> str:
        """Its method, with the options that the cells of the sweep differ in."""
        return " ".join(text for text in (self.labels["method"], self.labels.get("options")) if text)

    @property
    def is_reference(self) -> bool:
        """Whether this is a reference system (original, gold) rather than a method."""
        return self.labels["method"] in REFERENCE_METHODS


def print_rows(rows: Sequence[Row], console: Console | None = None) -> None:
    """Print the rows, grouped by setting, with best and second marked among the methods."""
    console = console or Console()
    optional = (MIA_BALANCED_ACCURACY, STEPS, PROPAGATIONS)
    columns = [c for c in COLUMNS if c.metric not in optional or any(c.metric in r.metrics for r in rows)]
    for group, members in _groups(rows).items():
        table = _table(group, members, [row.title for row in members], columns)
        unbounded = console.options.update(max_width=BOUNDLESS)
        numbered = Measurement.get(console, unbounded, table).maximum > console.width
        if numbered:
            table = _table(group, members, _numbered(members), columns)
        console.print(table)
        for line in _legend(members) if numbered else ():
            console.print(line, highlight=False, markup=False)
        for row in members:
            if row.metrics.get(OFFLINE_SECONDS):
                console.print(_offline(row), highlight=False, markup=False)
    for line in _notes(rows):
        console.print(line, highlight=False, markup=False)


def _table(
    group: tuple[str, ...], members: Sequence[Row], titles: Sequence[str], columns: Sequence[Column]
) -> Table:
    title = _title(group)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column("\nmethod", no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    table.add_column("\nstate", no_wrap=True)
    signs = {column.metric: _marks(column, members) for column in columns}
    for index, (row, own) in enumerate(zip(members, titles, strict=True)):
        texts = [_text(column, row, signs[column.metric].get(index, "")) for column in columns]
        table.add_row(escape(own), *texts, row.state)
    return table


def _numbered(rows: Sequence[Row]) -> list[str]:
    """Methods with a number in place of options that would make the table too wide."""
    return [
        f"{row.labels['method']} [{index}]" if row.labels.get("options") else row.title
        for index, row in enumerate(rows, start=1)
    ]


def _legend(rows: Sequence[Row]) -> list[str]:
    return [
        f"[{index}] {row.labels['options']}"
        for index, row in enumerate(rows, start=1)
        if row.labels.get("options")
    ]


def _notes(rows: Sequence[Row]) -> list[str]:
    """How to read the tables, and why speed-ups are missing."""
    lines = [
        "** best, * second among the methods (original and retrain are references). "
        "retain, forget and the attack: closest to retrain's value is best. speed-up: over gold to its best "
        "epoch, marked for methods that forget, not for controls."
    ]
    if any(PROPAGATIONS in row.metrics for row in rows):
        lines.append("steps: of the gradient; prop.: products of a graph operator.")
    if any(row.metrics.get(CONTENDED) for row in rows):
        lines.append(f"{SHARED_SIGN} the processors were shared with others while one of the clocks ran.")
    found = _without_speed_up(rows)
    lines += _unlike_golds(rows)
    return [*lines, *(f"No speed-up of {', '.join(names)}: {reason}." for reason, names in found.items())]


def _unlike_golds(rows: Sequence[Row]) -> list[str]:
    """Where gold's training was not like the original's, said once for all methods of a setting."""
    found: dict[str, str] = {}
    for row in rows:
        odd = unlike(row.metrics)
        if odd is not None:
            place = [row.labels[key] for key in ("dataset", "backbone", "regime")]
            found.setdefault("/".join([*place, f"seed {row.labels['seed']}"]), odd)
    return [
        f"Gold may be poor on {place}: {odd}; train.patience lets both train longer."
        for place, odd in found.items()
    ]


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
        methods += [row.title] if row.title not in methods else []
    return found


def _offline(row: Row) -> str:
    """What a method prepared before the request, and when that pays off."""
    text = f"{row.title}: {row.metrics[OFFLINE_SECONDS]:,.1f} s before any request"
    if BREAK_EVEN in row.metrics:
        return (
            f"{text}, paid off after {row.metrics[BREAK_EVEN]:,.1f} requests (against retraining for each)."
        )
    return f"{text}, never paid off." if SPEEDUP in row.metrics else f"{text}."


def _groups(rows: Iterable[Row]) -> dict[tuple[str, ...], list[Row]]:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.labels.get(key, "0") for key in GROUP), []).append(row)
    return groups


def _marks(column: Column, rows: Sequence[Row]) -> dict[int, str]:
    """Marks by row index: ``**`` best, ``*`` second; none where gold is needed and missing."""
    if column.goal is None:
        return {}
    gold = next((row.metrics.get(column.metric) for row in rows if row.labels["method"] == "retrain"), None)
    values = {
        index: row.metrics[column.metric]
        for index, row in enumerate(rows)
        if column.metric in row.metrics and not row.is_reference and _may_be_marked(column, row, rows)
    }
    # A method that is alone is marked as well.
    return {index: SIGNS[mark] for index, mark in marks(losses(values, column.goal, gold), fewest=1).items()}


def _may_be_marked(column: Column, row: Row, rows: Sequence[Row]) -> bool:
    """Speed is a merit of methods that are known to forget, so gold and original must be there to tell."""
    if column.metric != SPEEDUP:
        return True
    known = {one.labels["method"]: one.metrics.get(FORGET_RECALL) for one in rows}
    original, gold, own = known.get("original"), known.get("retrain"), row.metrics.get(FORGET_RECALL)
    if row.labels["method"] in CONTROL_METHODS or original is None or gold is None or own is None:
        return False
    return not row.metrics.get(CONTENDED) and has_forgotten(own, original, gold)


def _text(column: Column, row: Row, mark: str) -> str:
    value = row.metrics.get(column.metric)
    if value is None and not_applicable(row.tags, column.metric):
        return "n/a  " if column.goal else "n/a"
    if value is None:
        return "-  " if column.goal else "-"
    if column.pattern == "count":
        return _count(value)
    text = _times(value) if column.pattern == "times" else column.pattern.format(value)
    shared = SHARED_SIGN if column.metric == SPEEDUP and row.metrics.get(CONTENDED) else ""
    return f"{shared}{text}{mark:<2}"


def _times(value: float) -> str:
    """A ratio: its tenths are noise from a thousand on, and would make the table wider than a terminal."""
    return f"{value:,.0f}x" if value >= 1000 else f"{value:,.1f}x"


def _count(value: float) -> str:
    """A number of steps in few letters: ``930``, ``12.3k``, ``4.5M``."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f}{letter}"
    return f"{value:.0f}"
