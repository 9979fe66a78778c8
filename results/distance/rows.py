"""The rows of a store: its runs by setting, method and options, with their list distances."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from results.distance.lists import ListDistances, with_list_distances
from results.runs.frame import CellRun, runs
from results.runs.groups import Group, grouped
from results.runs.settings import variants

Wanted = Mapping[str, Collection[str]]
"""Label to the values that are wanted; a label that is not there may be anything."""


def rows(
    uri: str, experiment: str, wanted: Wanted | None = None, presets: Collection[str] | None = None
) -> list[Group]:
    """Every row of an experiment; with ``wanted`` those whose labels are asked for. Raises ``InputError``.

    Args:
        presets: only cells that were run with these presets of audits.
    """
    found = [run for run in runs(uri, experiment) if run.finished and is_wanted(run, wanted or {})]
    if presets:
        found = [run for run in found if run.params.get("audit.name") in presets]
    return from_runs(found, variants(found), uri)


def from_runs(found: Sequence[CellRun], names: Mapping[str, str], uri: str) -> list[Group]:
    """Rows of runs that were read from the store at ``uri``; ``names`` are their options by run id."""
    return with_list_distances(grouped(found, names), distances_of(uri))


def distances_of(uri: str) -> ListDistances:
    """List distances between the runs of a store."""
    from results.runs.artifacts import ranked_lists

    return ListDistances(partial(ranked_lists, uri))


def is_wanted(run: CellRun, wanted: Wanted) -> bool:
    """Whether a run has the wanted labels."""
    return all(run.labels[label] in names for label, names in wanted.items())
