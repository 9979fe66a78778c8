"""What the run of a sweep holds about its cells: leaderboard, page, figures, and a description."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.record.names import CELLS_FILE, COMMAND_TAG
from results.mlflow_ui.descriptions import sweep_note
from results.mlflow_ui.names import PARENT_TAG
from results.runs.frame import CellRun, latest

if TYPE_CHECKING:
    from mlflow.entities import Run

    from bench.record.store import Store
    from results.runs.groups import Group
    from results.tables.text_table import TextTable

MOST_PAGES = 4
"""Of a figure with a page per setting; more are left to ``python -m results figures``: drawing takes time."""
FORMATS = {"leaderboard.md": "markdown", "leaderboard.csv": "csv"}


def cells_of(store: Store, sweep: Run) -> dict[str, str]:
    """Label by cell key of what a sweep was to run; empty for one of a version that did not record it."""
    if CELLS_FILE not in {file.path for file in store.client.list_artifacts(sweep.info.run_id)}:
        return {}
    with tempfile.TemporaryDirectory() as place:
        file = Path(store.client.download_artifacts(sweep.info.run_id, CELLS_FILE, place))
        found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


def write_sweep(
    store: Store, sweep: Run, runs: Sequence[CellRun], variants: Mapping[str, str], folder: str
) -> tuple[str, int]:
    """Put the artifacts of a sweep in place; its description, and how many files.

    Args:
        runs: every recorded run of the settings that the sweep is about.
        folder: where the means over seeds are shown.
    """
    cells = cells_of(store, sweep)
    parent = sweep.info.run_id
    own = [run for run in runs if run.cell_key in cells or run.tags.get(PARENT_TAG) == parent]
    done = latest(own)
    with tempfile.TemporaryDirectory() as place:
        board = _write_files(Path(place), store.uri, done, variants) if done else None
        count = sum(path.is_file() for path in Path(place).rglob("*"))
        store.client.log_artifacts(parent, place)
    finished = {run.cell_key for run in done}
    missing = [_why(label, key, own) for key, label in cells.items() if key not in finished]
    command = sweep.data.tags.get(COMMAND_TAG, "")
    return sweep_note(_facts(done, len(cells)), command, board, missing, folder), count


def _write_files(place: Path, uri: str, done: Sequence[CellRun], variants: Mapping[str, str]) -> TextTable:
    """Leaderboard, page and figures of some cells; the leaderboard."""
    from results.distance.rows import from_runs
    from results.formats.written import written
    from results.runs.artifacts import over_steps, trajectory
    from results.site.content import document
    from results.site.page import page
    from results.tables.leaderboard import leaderboard

    rows = from_runs(done, variants, uri)
    grid = leaderboard(rows)
    texts = {name: written(grid, form) for name, form in FORMATS.items()}
    texts["page.html"] = page(document(rows, partial(trajectory, uri), partial(over_steps, uri)))
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    _draw(place / "figures", uri, rows)
    return grid


def _draw(place: Path, uri: str, rows: Sequence[Group]) -> None:
    from results.figures.registry import FIGURES
    from results.figures.source import Source, readers
    from results.figures.written import drawing, write

    source = Source(tuple(rows), **readers(uri))
    with drawing():
        for figure in FIGURES.values():
            if figure.per_setting and len(source.settings) > MOST_PAGES:
                continue
            for name, canvas in figure.pages(source):
                list(write(place, "_".join(filter(None, (figure.name, name))), canvas, ("png",)))


def _facts(done: Sequence[CellRun], cells: int) -> list[str]:
    devices = {
        f"{run.tags.get('device.name', '?')} ({run.tags.get('device.threads', '?')} threads)" for run in done
    }
    commits = {run.tags.get("lethe.commit", "unknown")[:12] for run in done}
    facts = [f"**{len(done)} of {cells or len(done)} cells finished**"]
    return [
        *facts,
        *(["Device: " + ", ".join(sorted(devices)), "Code: " + ", ".join(sorted(commits))] if done else []),
    ]


def _why(label: str, key: str, runs: Sequence[CellRun]) -> str:
    last = next((run for run in reversed(runs) if run.cell_key == key), None)
    return f"{label}: {last.status.lower() if last else 'not started'}" + (
        f": {last.cause}" if last and last.cause else ""
    )
