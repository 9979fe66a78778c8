"""A table with its numbers: every place of a layout joined with the runs that belong to it.

A place holds one value per request and training seed, the published number and the gap to gold. Which runs
count is decided as for every row (``results.runs.identity``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from datasets.errors import InputError
from results.distance.gaps import Arrays, Gap, gap, no_arrays
from results.distance.significance import CLOSENESS_REFERENCE, Comparison
from results.names.headlines import GOLD, Quantity
from results.published.numbers import PublishedNumber, PublishedTable, published
from results.runs.at import At
from results.runs.frame import CellRun
from results.runs.groups import SETTING, Group, gold_for
from results.runs.identity import chosen, refuse_other_data
from results.runs.settings import Parameters, differences, expected
from results.runs.statistics import Summary, summarise
from results.tables.layout import Entry, Layout


@dataclass(frozen=True)
class Place:
    """One place of a table.

    Attributes:
        group: the runs that belong to it, of every request and seed; None where there is none.
        wanted: the requests and seeds that the table asks for.
        failed: why the latest run failed, where there is no finished one.
        unavailable: why the cell cannot be run here at all, "" where it can.
        others: ids of finished runs that have the labels of this place and other options.
        published: the number that the paper prints, if there is one.
        gap: to the gold models of the store, whatever their seeds.
        mark: ``best``, ``second`` or "" among the methods of a block.
        comparison: with the reference that is named in advance; None where there is no test.
    """

    entry: Entry
    quantity: Quantity
    overrides: dict[str, str]
    group: Group | None = None
    wanted: tuple[At, ...] = ()
    failed: dict[At, str] = field(default_factory=dict)
    unavailable: str = ""
    others: frozenset[str] = frozenset()
    published: PublishedNumber | None = None
    gap: Gap | None = None
    mark: str = ""
    comparison: Comparison | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What tells the place from every other of its table."""
        return (*self.entry.block, self.entry.method, self.quantity.title)

    @property
    def overrides_key(self) -> tuple[str, ...]:
        """What tells the cells of this place from those of others."""
        return tuple(as_list(self.overrides))

    @property
    def chosen(self) -> dict[At, CellRun]:
        """The run that counts for each wanted request and seed that has the metric."""
        found = {} if self.group is None else self.group.chosen(self.quantity.metric)
        return {at: found[at] for at in self.wanted if at in found}

    @property
    def lacking(self) -> tuple[At, ...]:
        """Wanted requests and seeds without a value."""
        return tuple(at for at in self.wanted if at not in self.chosen)

    @property
    def values(self) -> dict[At, float]:
        """The measured value by request and seed."""
        return {at: run.metrics[self.quantity.metric] for at, run in self.chosen.items()}

    @property
    def summary(self) -> Summary | None:
        """Mean with its spreads; None where nothing is measured."""
        return summarise(self.values) if self.chosen else None

    @property
    def flags(self) -> tuple[str, ...]:
        """What has to be said about its runs."""
        return self.group.flags if self.group is not None else ()

    @property
    def left_out(self) -> tuple[CellRun, ...]:
        """Its runs of other code, which count for nothing."""
        return self.group.left_out if self.group is not None else ()

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
    resets: Mapping[tuple[str, ...], Group] = field(default_factory=dict)
    """By block and title, the runs of the control that closeness to gold is tested against."""

    @property
    def places(self) -> list[Place]:
        """All places, row by row."""
        return [place for row in self.rows for place in row]

    @property
    def used(self) -> list[CellRun]:
        """Every run that a number of the table is from, each once."""
        every = {run.run_id: run for place in self.places for run in place.chosen.values()}
        return [every[key] for key in sorted(every)]


def measure(layout: Layout, runs: Sequence[CellRun], arrays: Arrays = no_arrays) -> MeasuredTable:
    """Join a layout with the runs of a store. Marks are left to ``results.tables.ranking``.

    Args:
        arrays: reads per-user values by run id, for intervals of gaps.

    Raises:
        InputError: where runs of one block are of different data.
    """
    resets = _reset_entries(layout)
    wanted = _expected(layout, resets)
    printed = _published(layout)
    rows, references = (
        tuple(
            tuple(_place(layout, entry, quantity, wanted, runs, printed) for quantity in layout.quantities)
            for entry in entries
        )
        for entries in (layout.entries, resets)
    )
    for block in dict.fromkeys(entry.block for entry in layout.entries):
        own = [p.group.runs for row in rows for p in row if p.entry.block == block and p.group is not None]
        refuse_other_data(own)
    found = {
        (*place.entry.block, place.quantity.title): wanted_part(place)
        for row in references
        for place in row
        if place.group is not None
    }
    return _with_gaps(MeasuredTable(layout, rows, found), arrays)


def _reset_entries(layout: Layout) -> tuple[Entry, ...]:
    """The control of each block, with its default options, whether the table shows it or not."""
    if not layout.ranked:
        return ()
    blocks = {entry.block: entry for entry in layout.entries}
    method = {"method": CLOSENESS_REFERENCE}
    return tuple(
        Entry(
            {**entry.labels, **method},
            {key: text for key, text in entry.overrides.items() if not key.startswith("method.")} | method,
        )
        for entry in blocks.values()
    )


Wanted = dict[tuple[str, ...], tuple[dict[str, str], Parameters] | str]


def as_list(overrides: dict[str, str]) -> list[str]:
    """Overrides by key as they are written on a command line."""
    return [f"{key}={value}" for key, value in overrides.items()]


def _expected(layout: Layout, more: Sequence[Entry]) -> Wanted:
    """Labels and parameters of every distinct cell of a table, or why it cannot be run here."""
    lists = dict.fromkeys(
        tuple(as_list(layout.overrides_of(entry, quantity)))
        for entry in (*layout.entries, *more)
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
    return replace(
        place,
        group=group_of(same, quantity.metric),
        wanted=layout.ats,
        failed=_failed(same, quantity.metric, layout.ats),
        others=frozenset(run.run_id for run in alike if run.finished and differences(run.params, params)),
    )


def group_of(runs: Iterable[CellRun], metric: str) -> Group | None:
    """The finished runs that have a metric, as a row; None where there is none."""
    having = [run for run in runs if run.finished and metric in run.metrics]
    if not having:
        return None
    own, labels = chosen(having), having[0].labels
    setting = tuple(labels[label] for label in SETTING)
    return Group(setting, labels["method"], "", own.runs, own.left_out, own.flags)


def _failed(runs: Sequence[CellRun], metric: str, ats: Iterable[At]) -> dict[At, str]:
    found: dict[At, str] = {}
    for at in ats:
        own = [run for run in runs if run.at == at]
        if own and own[-1].status == "FAILED" and not any(r.finished and metric in r.metrics for r in own):
            found[at] = own[-1].cause
    return found


def _published(layout: Layout) -> PublishedTable | None:
    return published(layout.name) if layout.published else None


def _with_gaps(table: MeasuredTable, arrays: Arrays) -> MeasuredTable:
    gold = {
        (place.entry.block, place.quantity.title): place.group
        for place in table.places
        if place.entry.method == GOLD
    }
    rows = tuple(
        tuple(_with_gap(place, gold.get((place.entry.block, place.quantity.title)), arrays) for place in row)
        for row in table.rows
    )
    return replace(table, rows=rows)


def _with_gap(place: Place, gold: Group | None, arrays: Arrays) -> Place:
    """The gap over the wanted requests and seeds."""
    if gold is None or place.group is None or place.entry.method == GOLD:
        return place
    own = wanted_part(place)
    return replace(place, gap=gap(own, gold_for(own, [gold]), place.quantity.metric, arrays))


def wanted_part(place: Place) -> Group:
    """The row of a place, with the requests and seeds alone that the table asks for."""
    assert place.group is not None, "nothing is measured here"
    return replace(place.group, runs=tuple(run for run in place.group.runs if run.at in place.wanted))
