"""What stands below a measured table: how to read it, what was tested, what is missing, where it is from."""

from __future__ import annotations

from collections.abc import Sequence

from bench.record.names import TUNED_TAG
from results.distance.gaps import FEWEST_GOLDS
from results.distance.significance import CLOSENESS_REFERENCE, notes_on
from results.names.titles import TITLES
from results.published.numbers import Note
from results.runs.at import counted, coverage
from results.runs.groups import tune_of
from results.runs.identity import FLAGS
from results.tables.measured import MeasuredTable

OTHER_CODE = "§"


def notes(table: MeasuredTable, parts: Sequence[Sequence[str]], printed: Sequence[str]) -> list[str]:
    """All notes of a table.

    Args:
        parts: the columns of each quantity.
        printed: footnotes of single published numbers.
    """
    return [
        *_reading(table, parts),
        *table.layout.remarks,
        *_significance(table),
        *printed,
        *_general(table),
        *_state(table),
        *_code(table),
        *_tuning(table),
        *_provenance(table),
    ]


def is_general(note: Note) -> bool:
    """Whether a note is about whole columns or methods: it stands below the table only."""
    return note.places is None or all(set(case) <= {"method", "metric"} for case in note.places)


def _reading(table: MeasuredTable, parts: Sequence[Sequence[str]]) -> list[str]:
    over = coverage(table.layout.ats)
    stroke = ", after the stroke over the means of requests" if len(table.layout.requests) > 1 else ""
    lines = [
        f"measured: mean over {over} ± standard deviation over seeds within a request{stroke}; "
        "[k/n] where only k of n are there."
    ]
    if any("to gold" in part for part in parts):
        lines.append(
            "to gold: mean over requests and seeds of the value minus the mean of the request's gold models; "
            "in brackets its size in standard deviations of gold over seeds, n/a with fewer than "
            f"{FEWEST_GOLDS} golds ({_golds(table)})."
        )
    if any("published" in part for part in parts):
        lines.append("published: as printed; in brackets ours minus published.")
    if table.layout.ranked:
        lines.append(
            "Bold is best, underlined second among the methods of a block, compared on the requests and "
            "seeds that all of them have, without Original and Retrain."
        )
    return lines


def _golds(table: MeasuredTable) -> str:
    counts = sorted({place.gap.unit.golds for place in table.places if place.gap is not None})
    return "here " + " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) if counts else "here none"


def _significance(table: MeasuredTable) -> list[str]:
    if not table.layout.ranked:
        return []
    lines = notes_on([place.comparison for place in table.places if place.comparison is not None])
    if any(place.quantity.goal == "gold" and place.mark for place in table.places) and not table.resets:
        title = TITLES.get(CLOSENESS_REFERENCE, CLOSENESS_REFERENCE)
        lines.append(f"Closeness to gold is not tested: no run of its reference, {title}, is there.")
    return lines


def _general(table: MeasuredTable) -> list[str]:
    """Notes about whole columns or methods of the published table."""
    notes = {
        (note.id, note.text): None
        for place in table.places
        if place.published
        for note in place.published.notes
        if is_general(note)
    }
    return [f"About the published numbers ({id_}): {text}" for id_, text in notes]


def _state(table: MeasuredTable) -> list[str]:
    lines = []
    causes = dict.fromkeys(place.unavailable for place in table.places if place.unavailable)
    lines += [f"n/a: {cause}" for cause in causes]
    failed = dict.fromkeys(cause for place in table.places for cause in place.failed.values())
    lines += [f"failed: {cause}" for cause in failed]
    others = {run for place in table.places for run in place.others} - {run.run_id for run in table.used}
    if others:
        lines.append(
            f"{len(others)} finished runs have the labels of this table and other options; they are "
            "not in it."
        )
    return lines


def _code(table: MeasuredTable) -> list[str]:
    flags = [flag for flag in FLAGS if any(flag in place.flags for place in table.places)]
    left = {run.run_id for place in table.places for run in place.left_out}
    lines = [f"{OTHER_CODE} {flag}: {FLAGS[flag]}." for flag in flags]
    if left:
        lines.append(
            f"{OTHER_CODE} {counted(len(left), 'run')} of other code of method or backbone left out: "
            + ", ".join(sorted(left))
            + "."
        )
    return lines


def _tuning(table: MeasuredTable) -> list[str]:
    """How tuned options were chosen and what that took, by method."""
    found: dict[str, list[str]] = {}
    for run in table.used:
        if run.tags.get(TUNED_TAG) == "true":
            names = found.setdefault(tune_of(run), [])
            title = TITLES.get(run.labels["method"], run.labels["method"])
            names += [title] if title not in names else []
    return [f"{text} (options of {', '.join(sorted(names))})." for text, names in sorted(found.items())]


def _provenance(table: MeasuredTable) -> list[str]:
    used = table.used
    if not used:
        return ["No run is in this table."]
    commits = sorted({_commit(run.tags.get("lethe.commit", "unknown")) for run in used})
    devices = sorted({run.tags.get("device.name", "unknown") for run in used})
    return [f"{len(used)} runs; code {', '.join(commits)}; devices: {', '.join(devices)}."]


def _commit(text: str) -> str:
    """A commit, shortened, with the mark of a changed working tree."""
    commit, dash, rest = text.partition("-")
    return f"{commit[:12]}{dash}{rest}"
