"""Published numbers that belong to a row of the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.record.names import TUNED_TAG
from results.names.headlines import BACKDOOR, CLEAN, MEMBERSHIP
from results.published.numbers import PublishedNumber, names, published
from results.runs.groups import Group
from results.tables.layout import ABLATIONS, TABLES

PRINTED = {quantity.metric: str(quantity.printed) for quantity in (MEMBERSHIP, BACKDOOR, CLEAN)}
"""Our metric to the name that published tables use, where the two differ."""
REFERENCE, REFERENCE_SPLIT = "backbone-reference", "test_all_users/"


def published_for(group: Group, metrics: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Printed numbers by metric: those that carry the labels of the group and no other options.

    A number counts for rows with default or tuned options, and for the paper's ablations.
    """
    method = _printed_method(group)
    if method is None:
        return {}
    found = {metric: [_entry(number) for number in _numbers(group, method, metric)] for metric in metrics}
    return {metric: entries for metric, entries in found.items() if entries}


def _numbers(group: Group, method: str, metric: str) -> Iterator[PublishedNumber]:
    dataset, backbone, regime = group.setting
    clean, _, poison = dataset.partition("+")
    labels = {
        "dataset": clean,
        "backbone": backbone,
        "method": method,
        "regime": "user" if poison else regime,
    }
    if metric.startswith(REFERENCE_SPLIT):
        if method == "original" and not poison:
            number = published(REFERENCE).find(labels, "test/" + metric.removeprefix(REFERENCE_SPLIT))
            yield from [number] if number else []
        return
    if poison and not metric.startswith("audit/"):
        return  # the paper prints utility for clean cells
    for table in (name for name in TABLES if name in names() and name != REFERENCE):
        number = published(table).find(labels, PRINTED.get(metric, metric))
        if number is not None:
            yield number


def _printed_method(group: Group) -> str | None:
    if not group.options or all(run.tags.get(TUNED_TAG) == "true" for run in group.runs):
        return group.method
    for name, overrides in ABLATIONS.items():
        options = " ".join(
            f"{key.removeprefix('method.')}={value.title()}" for key, value in overrides.items()
        )
        if options and group.method == "tru" and group.options == options:
            return name
    return None


def _entry(number: PublishedNumber) -> dict[str, Any]:
    source = number.source
    return {
        "value": number.value,
        "source": f"{source.paper}, {source.identifier}, {source.place}, column {number.column}",
        "notes": [f"{note.id}: {note.text}" for note in number.notes],
    }
