"""A table with its numbers: every place of a layout joined with the runs that belong to it.

A place holds one value per seed, the published number and the distance to gold. Where a cell was run
more than once with the same seed, the latest finished run that has the metric counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from datasets.errors import InputError
from results.names.headlines import GOLD, Quantity
from results.published.numbers import PublishedNumber, PublishedTable, published
from results.runs.frame import CellRun
from results.runs.settings import Parameters, differences, expected
from results.runs.statistics import Gap, Summary, gap_to_gold, summary
from results.tables.layout import Entry, Layout


@dataclass(frozen=True)
class Place:
    """One place of a table.

    Attributes:
        chosen: the run of each seed that has the metric.
        lacking: wanted seeds without a value.
        failed: by seed, why its latest run failed, where there is no finished one.
        unavailable: why the cell cannot be run here at all, "" where it can.
        others: ids of finished runs that have the labels of this place and other options.
        published: the number that the paper prints, if there is one.
        mark: ``best``, ``second`` or "" among the methods of a block.
        better_users, better_seeds: of the best, whether it is significantly better than the second in
            the paired test over users or over seeds; None where that could not be tested.
    """

    entry: Entry
    quantity: Quantity
    overrides: dict[str, str]
    chosen: dict[int, CellRun] = field(default_factory=dict)
    lacking: tuple[int, ...] = ()
    failed: dict[int, str] = field(default_factory=dict)
    unavailable: str = ""
    others: frozenset[str] = frozenset()
    published: PublishedNumber | None = None
    gap: Gap | None = None
    mark: str = ""
    better_users: bool | None = None
    better_seeds: bool | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What tells the place from every other of its table."""
        return (*self.entry.block, self.entry.method, self.quantity.title)

    @property
    def overrides_key(self) -> tuple[str, ...]:
        """What tells the cells of this place from those of others."""
        return tuple(as_list(self.overrides))

    @property
    def values(self) -> dict[int, float]:
        """The measured value by seed."""
        return {seed: run.metrics[self.quantity.metric] for seed, run in self.chosen.items()}

    @property
    def summary(self) -> Summary | None:
        """Mean and deviation over seeds; None where nothing is measured."""
        return summary(list(self.values.values())) if self.chosen else None

    @property
    def difference(self) -> float | None:
        """Ours minus published; None where one of them is missing."""
        if self.summary is None or self.published is None:
            return None
        return self.summary.mean - self.published.value


@dataclass(frozen=True)
class MeasuredTable:
    """A layout with one row of places per entry, in the order of its quantities."""

    layout: Layout
    rows: tuple[tuple[Place, ...], ...]

    @property
    def places(self) -> list[Place]:
        """All places, row by row."""
        return [place for row in self.rows for place in row]

    @property
    def used(self) -> list[CellRun]:
        """Every run that a number of the table is from, each once."""
        every = {run.run_id: run for place in self.places for run in place.chosen.values()}
        return [every[key] for key in sorted(every)]


def measure(layout: Layout, runs: Sequence[CellRun]) -> MeasuredTable:
    """Join a layout with the runs of a store, oldest first. Marks are left to ``results.tables.ranking``."""
    wanted = _expected(layout)
    printed = _published(layout)
    rows = []
    for entry in layout.entries:
        rows.append(
            tuple(_place(layout, entry, quantity, wanted, runs, printed) for quantity in layout.quantities)
        )
    return _with_gaps(MeasuredTable(layout, tuple(rows)))


Wanted = dict[tuple[str, ...], tuple[dict[str, str], Parameters] | str]


def as_list(overrides: dict[str, str]) -> list[str]:
    """Overrides by key as they are written on a command line."""
    return [f"{key}={value}" for key, value in overrides.items()]


def _expected(layout: Layout) -> Wanted:
    """Labels and parameters of every distinct cell of a table, or why it cannot be run here."""
    lists = dict.fromkeys(
        tuple(as_list(layout.overrides_of(entry, quantity)))
        for entry in layout.entries
        for quantity in layout.quantities
    )
    try:
        return dict(zip(lists, expected(list(lists)), strict=True))
    except InputError:  # one of them does not compose: find out which
        return {one: _one_expected(one) for one in lists}


def _one_expected(overrides: tuple[str, ...]) -> tuple[dict[str, str], Parameters] | str:
    try:
        return expected([overrides])[0]
    except InputError as error:
        return str(error)


def _place(
    layout: Layout,
    entry: Entry,
    quantity: Quantity,
    wanted: Wanted,
    runs: Iterable[CellRun],
    printed: PublishedTable | None,
) -> Place:
    overrides = layout.overrides_of(entry, quantity)
    found = wanted[tuple(as_list(overrides))]
    about = {**overrides, **entry.labels, **({"dataset": overrides["dataset"]})}
    number = printed.find(about, quantity.printed) if printed and quantity.printed else None
    place = Place(entry, quantity, overrides, published=number)
    if isinstance(found, str):
        return replace(place, unavailable=found)
    labels, params = found
    alike = [run for run in runs if all(run.labels[key] == value for key, value in labels.items())]
    same = [run for run in alike if not differences(run.params, params)]
    chosen, failed = _by_seed(same, quantity.metric, layout.seeds)
    return replace(
        place,
        chosen=chosen,
        lacking=tuple(seed for seed in layout.seeds if seed not in chosen),
        failed=failed,
        others=frozenset(run.run_id for run in alike if run.finished and differences(run.params, params)),
    )


def _by_seed(
    runs: Sequence[CellRun], metric: str, seeds: Sequence[int]
) -> tuple[dict[int, CellRun], dict[int, str]]:
    chosen: dict[int, CellRun] = {}
    failed: dict[int, str] = {}
    for seed in seeds:
        own = [run for run in runs if run.seed == seed]
        having = [run for run in own if run.finished and metric in run.metrics]
        if having:
            chosen[seed] = having[-1]
        elif own and own[-1].status == "FAILED":
            failed[seed] = own[-1].cause
    return chosen, failed


def _published(layout: Layout) -> PublishedTable | None:
    return published(layout.name) if layout.published else None


def _with_gaps(table: MeasuredTable) -> MeasuredTable:
    gold = {
        (place.entry.block, place.quantity.title): place
        for place in table.places
        if place.entry.method == GOLD and place.chosen
    }
    rows = tuple(
        tuple(_with_gap(place, gold.get((place.entry.block, place.quantity.title))) for place in row)
        for row in table.rows
    )
    return MeasuredTable(table.layout, rows)


def _with_gap(place: Place, gold: Place | None) -> Place:
    if gold is None or not place.chosen or place.entry.method == GOLD:
        return place
    return replace(place, gap=gap_to_gold(list(place.values.values()), list(gold.values.values())))
