"""Where a number of a table comes from: runs, values, options, device, code, the published source."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from datasets.errors import InputError
from results.distance.bootstrap import Estimate
from results.distance.gaps import Gap
from results.runs.at import At, coverage
from results.runs.frame import CellRun
from results.runs.identity import FLAGS
from results.runs.statistics import Summary
from results.tables.layout import TABLES, Scope, layout, row_name
from results.tables.measured import MeasuredTable, Place, as_list
from results.tables.text_table import signed


def explain(table: MeasuredTable, row: str, column: str) -> str:
    """The account of one place.

    Args:
        row: the labels of the row, joined by slashes, e.g. ``mgcn/baby/user/tru``.
        column: title or metric of the column, e.g. ``test recall@20`` or ``test/recall_at_20``.

    Raises:
        InputError: where the table has no such column.
    """
    place = _find(table, row, column)
    lines = [f"{table.layout.name}, row {row}, column {place.quantity.title}"]
    lines += [f"metric: {place.quantity.metric} (best: {GOALS[place.quantity.goal]})"]
    lines += [f"cells: python -m bench {' '.join(as_list(place.overrides))} seed=<seed>", ""]
    return "\n".join([*lines, *_measured(place), "", *_published(place)]) + "\n"


def explain_command(run: CellRun) -> str | None:
    """The command that accounts for a cell with default options in a table; None where none has it."""
    labels = {key: run.labels[key] for key in ("dataset", "backbone", "regime", "method")}
    scope = Scope((labels["dataset"],), (labels["backbone"],), (run.seed,), (run.request,))
    for name in TABLES:
        made = layout(name, scope)
        for entry in made.entries:
            if entry.labels == labels:
                words = ["python", "-m", "results", "explain", name, row_name(made, entry)]
                words += [made.quantities[0].title, "--dataset", labels["dataset"]]
                words += ["--backbone", labels["backbone"], "--seed", str(run.seed)]
                return shlex.join([*words, *(["--request", str(run.request)] if run.request else [])])
    return None


GOALS = {"high": "the highest", "low": "the lowest", "gold": "closest to gold's"}


def _find(table: MeasuredTable, row: str, column: str) -> Place:
    places = [place for place in table.places if row_name(table.layout, place.entry) == row]
    for place in places:
        if column in (place.quantity.title, place.quantity.metric):
            return place
    titles = ", ".join(quantity.title for quantity in table.layout.quantities)
    raise InputError(f"column={column} is not in {table.layout.name}: choose one of {titles}.")


def _measured(place: Place) -> list[str]:
    if place.unavailable:
        return [f"not available here: {place.unavailable}"]
    lines = summary_lines(place.summary, place.chosen) if place.summary else []
    lines += gap_lines(place.gap) if place.gap else []
    if place.comparison:
        test = place.comparison
        lines.append(f"against {test.reference}: {estimate_text(test.advantage)}, p after Holm {test.p:.4f}")
    lines += [f"flag: {flag}: {FLAGS[flag]}" for flag in place.flags]
    for at, run in place.chosen.items():
        lines += run_lines(at, run, run.metrics[place.quantity.metric])
    for at in place.lacking:
        lines.append(
            f"  {where(at)}: " + (f"failed: {place.failed[at]}" if at in place.failed else "missing")
        )
    lines += left_out_lines(place.left_out)
    if place.others:
        lines.append(
            f"{len(place.others)} finished runs have these labels and other options; they are not counted"
        )
    return lines


def summary_lines(found: Summary, ats: Iterable[At]) -> list[str]:
    """Mean, spreads and interval."""
    parts = [f"measured: {found.mean:.6f} over {coverage(ats)}"]
    if found.deviation is not None:
        parts.append(f"± {found.deviation:.6f} over seeds within a request")
    if found.between is not None:
        parts.append(f"± {found.between:.6f} over the means of requests")
    if found.low is not None:
        parts.append(f"95 % interval {found.low:.6f} to {found.high:.6f}")
    return [", ".join(parts)]


def gap_lines(gap: Gap) -> list[str]:
    """The gap to gold with its interval, and its unit."""
    units = f"n/a: {gap.unit.why}" if gap.units is None else f"{gap.units:.2f} of {gap.unit.value:.6f}"
    return [
        f"to gold: {estimate_text(gap.estimate)}; in standard deviations of gold over seeds: {units}",
    ]


def estimate_text(found: Estimate) -> str:
    """A figure with its interval and the levels that were drawn."""
    interval = found.interval
    if interval is None:
        return f"{signed(found.value)} (one model: no interval)"
    low, high = (signed(end) for end in interval)
    return f"{signed(found.value)} [{low}, {high}] (bootstrap over {', '.join(found.over)})"


def where(at: At) -> str:
    """Request and seed of a value."""
    return f"request {at.request}, seed {at.seed}"


def run_lines(at: At, run: CellRun, value: float) -> list[str]:
    """A run with what it was made by."""
    tags = run.tags
    device = f"{tags.get('device.name', 'unknown')} ({tags.get('device.threads', '?')} threads)"
    versions = " ".join(
        f"{key.removeprefix('version.')} {tags[key]}" for key in sorted(tags) if key.startswith("version.")
    )
    lines = [
        f"  {where(at)}: {value:.6f}",
        f"    run {run.run_id}, cell {run.cell_key}",
        f"    code {tags.get('lethe.commit', 'unknown')}, device {device}",
        f"    {versions}",
    ]
    method = {key: run.params[key] for key in sorted(run.params) if key.startswith("method.")}
    return [*lines, "    " + " ".join(f"{key}={text}" for key, text in method.items())]


def left_out_lines(runs: Iterable[CellRun]) -> list[str]:
    """Runs of other code, which count for nothing."""
    lines = [f"  {where(run.at)}: run {run.run_id}, code {_commit(run)}" for run in runs]
    return ["left out, because method or backbone had other code:", *lines] if lines else []


def _commit(run: CellRun) -> str:
    return run.tags.get("lethe.commit", "unknown")[:12]


def _published(place: Place) -> list[str]:
    number = place.published
    if number is None:
        return ["published: no number of this place is known"]
    labels = ", ".join(f"{key} {text}" for key, text in number.labels.items())
    lines = [
        f"published: {number.value:.4f}",
        f"  {number.source.paper}, {number.source.identifier}, {number.source.place}",
        f"  column {number.column}; {labels}",
    ]
    if number.change is not None:
        lines.append(f"  printed change {signed(number.change)}")
    if place.difference is not None:
        lines.append(f"  ours minus published: {place.difference:+.6f}")
    return [*lines, *(f"  note {note.id}: {note.text}" for note in number.notes)]
