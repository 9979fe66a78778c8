"""Running small cells through the command line, in a folder of their own."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TINY = ["dataset=synthetic_tiny", "train.max_epochs=2", "run.threads=1", "tracking.refresh=false"]


def command(*arguments: str) -> list[str]:
    """``python -m bench`` on the tiny data set."""
    return [sys.executable, "-m", "bench", *TINY, *arguments]


def environment(folder: Path) -> dict[str, str]:
    """The environment of such a command; plug-ins in ``folder`` are found."""
    every = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }
    every.pop("MLFLOW_TRACKING_URI", None)
    return every


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m bench`` on the tiny data set, with store and cache in ``folder``."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=300,
    )


def _hears_every_signal() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The same without waiting, in a process group of its own."""
    return subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # In the background of a shell, or under nohup, children would be born deaf to some.
        preexec_fn=_hears_every_signal,
    )


def finished(done: subprocess.CompletedProcess[str], state: str = "finished") -> int:
    """How many rows of the printed table end in a state."""
    return sum(line.rstrip(" │").endswith(f" {state}") for line in done.stdout.splitlines())


def query(folder: Path, sql: str) -> list[tuple[object, ...]]:
    """Rows of a query on the store in ``folder``; none where there is no store yet."""
    if not (folder / "mlflow.db").exists():  # connecting would create it
        return []
    connection = sqlite3.connect(folder / "mlflow.db")
    try:
        return connection.execute(sql).fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()


def statuses(folder: Path, kind: str = "cell") -> list[tuple[str, str]]:
    """Method (or sweep) name and status of every run in the store, oldest first."""
    sql = f"""SELECT run.name, run.status FROM runs AS run JOIN tags AS kind ON kind.run_uuid = run.run_uuid
              WHERE kind.key = 'lethe.kind' AND kind.value = '{kind}' ORDER BY run.start_time, run.end_time"""
    return [
        (str(name).split("/")[-2].partition(" ")[0] if "/" in str(name) else "", str(status))
        for name, status in query(folder, sql)
    ]


def failures(folder: Path) -> list[str]:
    """Recorded causes of failed and killed runs."""
    return [str(row[0]) for row in query(folder, "SELECT value FROM tags WHERE key = 'lethe.failure'")]


def leftovers(folder: Path) -> list[str]:
    """Files in the cache that no finished sweep leaves: locks, states, half-written and temporary files."""
    cache = folder / "cache"
    found = [
        *(cache / "locks").glob("*"),
        *(cache / "progress").glob("*"),
        *cache.rglob(".*"),
        *folder.glob("*.lock"),
        *folder.glob(".mlflow.db*"),
    ]
    return sorted(str(path.relative_to(folder)) for path in found)
