"""Best and second among the methods of a block, and the tests of every method against its reference.

Methods are compared on the requests and seeds that they share (``results.tables.marks``). What is tested, and
how: ``results.distance.significance``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.measure.marks import Mark
from results.distance.gaps import Arrays, no_arrays
from results.distance.significance import Comparison, against_reference, corrected
from results.names.headlines import GOLD
from results.runs.groups import Group, gold_for
from results.runs.identity import OLDER
from results.tables.marks import best_and_second, compared_by
from results.tables.measured import MeasuredTable, Place, wanted_part


def rank(table: MeasuredTable, arrays: Arrays = no_arrays) -> MeasuredTable:
    """The table with its marks, and the tests of its methods with p values adjusted over all of them."""
    if not table.layout.ranked:
        return table
    marks: dict[tuple[str, ...], Mark] = {}
    tests: dict[tuple[str, ...], Comparison] = {}
    for index in range(len(table.layout.quantities)):
        for block in dict.fromkeys(row[index].entry.block for row in table.rows):
            places = [row[index] for row in table.rows if row[index].entry.block == block]
            gold = next((p.group for p in places if p.entry.method == GOLD and p.group), None)
            reset = table.resets.get((*block, places[0].quantity.title))
            methods = [p for p in places if p.entry.method not in table.layout.references and p.chosen]
            marks |= _marks(methods, gold)
            tests |= _tests(methods, gold, reset, arrays)
    adjusted = corrected(tests)
    rows = tuple(
        tuple(replace(p, mark=marks.get(p.key, ""), comparison=adjusted.get(p.key)) for p in row)
        for row in table.rows
    )
    return replace(table, rows=rows)


def _marks(methods: Sequence[Place], gold: Group | None) -> dict[tuple[str, ...], Mark]:
    if not methods:
        return {}
    quantity = methods[0].quantity
    own = {place.key: wanted_part(place) for place in methods if OLDER not in place.flags}
    found = {
        key: compared_by(group, gold and gold_for(group, [gold]), quantity.metric, quantity.goal)
        for key, group in own.items()
    }
    return best_and_second(found, quantity.goal)


def _tests(
    methods: Sequence[Place], gold: Group | None, reset: Group | None, arrays: Arrays
) -> dict[tuple[str, ...], Comparison]:
    found: dict[tuple[str, ...], Comparison] = {}
    for place in methods:
        own = wanted_part(place)
        golds = gold and gold_for(own, [gold])
        one = against_reference(own, golds, reset, place.quantity.metric, place.quantity.goal, arrays)
        if one is not None and not (place.entry.method == one.reference and place.quantity.goal == "gold"):
            found[place.key] = one
    return found
