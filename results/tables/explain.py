"""Where a number of a table comes from: runs, seeds, values, options, device, code, the published source."""

from __future__ import annotations

import shlex

from datasets.errors import InputError
from results.runs.frame import CellRun
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
    lines += [f"metric: {place.quantity.metric} (best: {_goal(place)})"]
    lines += [f"cells: python -m bench {' '.join(as_list(place.overrides))} seed=<seed>", ""]
    return "\n".join([*lines, *_measured(place), "", *_published(place)]) + "\n"


def explain_command(run: CellRun) -> str | None:
    """The command that accounts for a cell with default options in a table; None where none has it."""
    labels = {key: run.labels[key] for key in ("dataset", "backbone", "regime", "method")}
    scope = Scope((labels["dataset"],), (labels["backbone"],), (run.seed,))
    for name in TABLES:
        made = layout(name, scope)
        for entry in made.entries:
            if entry.labels == labels:
                words = ["python", "-m", "results", "explain", name, row_name(made, entry)]
                words += [made.quantities[0].title, "--dataset", labels["dataset"]]
                return shlex.join([*words, "--backbone", labels["backbone"], "--seed", str(run.seed)])
    return None


def _find(table: MeasuredTable, row: str, column: str) -> Place:
    places = [place for place in table.places if row_name(table.layout, place.entry) == row]
    for place in places:
        if column in (place.quantity.title, place.quantity.metric):
            return place
    titles = ", ".join(quantity.title for quantity in table.layout.quantities)
    raise InputError(f"column={column} is not in {table.layout.name}: choose one of {titles}.")


def _goal(place: Place) -> str:
    return {"high": "the highest", "low": "the lowest", "gold": "closest to Retrain's"}[place.quantity.goal]


def _measured(place: Place) -> list[str]:
    if place.unavailable:
        return [f"not available here: {place.unavailable}"]
    lines = []
    if place.summary:
        found = place.summary
        spread = (
            ""
            if found.deviation is None
            else f" ± {found.deviation:.6f}, 95 % interval {found.low:.6f} to {found.high:.6f}"
        )
        lines.append(
            f"measured: {found.mean:.6f}{spread}, {found.count} seed{'s' if found.count > 1 else ''}"
        )
    if place.gap:
        units = "" if place.gap.units is None else f", {place.gap.units:.2f} gold-to-gold spreads"
        lines.append(f"to gold: {place.gap.value:+.6f}{units}")
    for seed, run in place.chosen.items():
        lines += _run(seed, run, run.metrics[place.quantity.metric])
    for seed in place.lacking:
        lines.append(
            f"  seed {seed}: " + (f"failed: {place.failed[seed]}" if seed in place.failed else "missing")
        )
    if place.others:
        lines.append(
            f"{len(place.others)} finished runs have these labels and other options; they are not counted"
        )
    return lines


def _run(seed: int, run: CellRun, value: float) -> list[str]:
    tags = run.tags
    device = f"{tags.get('device.name', 'unknown')} ({tags.get('device.threads', '?')} threads)"
    versions = " ".join(
        f"{key.removeprefix('version.')} {tags[key]}" for key in sorted(tags) if key.startswith("version.")
    )
    lines = [
        f"  seed {seed}: {value:.6f}",
        f"    run {run.run_id}, cell {run.cell_key}",
        f"    code {tags.get('lethe.commit', 'unknown')}, device {device}",
        f"    {versions}",
    ]
    method = {key: run.params[key] for key in sorted(run.params) if key.startswith("method.")}
    return [*lines, "    " + " ".join(f"{key}={text}" for key, text in method.items())]


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
