"""MLflow's SQLite schema, read directly: a dry run must not import MLflow. No other module knows it.

Every other store is asked through MLflow's client. That both say the same is tested against the pinned
version (``tests/bench/record/test_database.py``).
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.record.local.faults import reaching

SQLITE = "sqlite:///"

Ended = tuple[str, str, str, str | None]
"""Cell key, run id, status and cause (if there is one) of an ended run."""

_ENDED = """
SELECT tag.value, run.run_uuid, run.status, failure.value
FROM tags AS tag
JOIN runs AS run ON run.run_uuid = tag.run_uuid
JOIN experiments AS experiment ON experiment.experiment_id = run.experiment_id
LEFT JOIN tags AS failure ON failure.run_uuid = run.run_uuid AND failure.key = ?
LEFT JOIN tags AS retired ON retired.run_uuid = run.run_uuid AND retired.key = ?
WHERE tag.key = ? AND experiment.name = ? AND run.lifecycle_stage = 'active' AND run.status != 'RUNNING'
AND retired.key IS NULL
ORDER BY run.end_time, run.run_uuid
"""

_FINISHED_VALUES = """
SELECT run.run_uuid, entry.key, entry.value
FROM runs AS run
JOIN experiments AS experiment ON experiment.experiment_id = run.experiment_id
JOIN {table} AS entry ON entry.run_uuid = run.run_uuid
WHERE experiment.name = ? AND run.status = 'FINISHED' AND run.lifecycle_stage = 'active'
AND entry.key IN ({keys})
"""


def is_local(uri: str) -> bool:
    """Whether a store is a SQLite file."""
    return uri.startswith(SQLITE)


def path_of(uri: str) -> Path:
    """The file of a local store."""
    return Path(uri.removeprefix(SQLITE))


def is_absent(uri: str) -> bool:
    """Whether a local store does not exist yet; MLflow's client would create it."""
    return is_local(uri) and not path_of(uri).exists()


def ended_cells(uri: str, experiment: str, tags: tuple[str, str, str], key: str | None = None) -> list[Ended]:
    """Ended runs of all cells of an experiment, or of the one with ``key``; oldest first.

    Args:
        tags: names of the tags that hold the cell key, the cause of a failure, and why a run was retired;
            retired runs are left out.
    """
    key_tag, failure_tag, retired_tag = tags
    query, values = _ENDED, [failure_tag, retired_tag, key_tag, experiment]
    if key is not None:
        query, values = query.replace("ORDER BY", "AND tag.value = ? ORDER BY"), [*values, key]
    return [tuple(row) for row in _select(uri, query, values)]


def finished_values(
    uri: str, experiment: str, tags: Sequence[str], metrics: Sequence[str]
) -> dict[str, dict[str, str]]:
    """By run id, the named tags and metrics of every finished run, as text."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for table, keys in (("tags", tags), ("latest_metrics", metrics)):
        query = _FINISHED_VALUES.format(table=table, keys=", ".join("?" for _ in keys))
        for run_id, key, value in _select(uri, query, [experiment, *keys]):
            found[run_id][key] = str(value)
    return dict(found)


def experiment_id(uri: str, experiment: str) -> str | None:
    """The id of an experiment; None where there is none."""
    rows = _select(uri, "SELECT experiment_id FROM experiments WHERE name = ?", [experiment])
    return str(rows[0][0]) if rows else None


def _select(uri: str, query: str, values: Sequence[str]) -> list[Any]:
    """Rows of a query; none where the store does not exist yet."""
    if is_absent(uri):
        return []
    with reaching(uri), _reading(path_of(uri)) as connection:
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            # The file exists but MLflow has not created its tables yet: another process is about to.
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tags'").fetchone():
                raise
            return []


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    # Not read-only: what a killed process left half-written must be rolled back first.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=10)
    try:
        yield connection
    finally:
        connection.close()
