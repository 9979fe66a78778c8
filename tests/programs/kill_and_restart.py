"""A 24-cell sweep killed with SIGKILL at random moments and restarted, against an undisturbed one.

    python -m tests.programs.kill_and_restart [--kills 10] [--launch serial|local] [--mid-cell] [--seed 0]

Prints what is left at the end; exit code 1 if a cell was lost or done twice, if a figure differs
(timings apart), or if a run, lock or file is orphaned. Needs a few minutes.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.bench.cells import bench, leftovers, query, start, statuses

SWEEP = ("-m", "method=original,retrain,graph_only,reset,finetune,tru", "seed=0,1", "regime=user,interaction")
SWEEP_CELLS = 24

STARTING = 4.0
"""Seconds that a start takes at least before it does anything."""

METRICS = """
SELECT cell.value, metric.key, metric.value FROM latest_metrics AS metric
JOIN runs AS run ON run.run_uuid = metric.run_uuid AND run.status = 'FINISHED'
JOIN tags AS cell ON cell.run_uuid = run.run_uuid AND cell.key = 'lethe.cell_key'
"""

RUNNING_CELLS = """
SELECT run.run_uuid FROM runs AS run
JOIN tags AS kind ON kind.run_uuid = run.run_uuid AND kind.key = 'lethe.kind' AND kind.value = 'cell'
WHERE run.status = 'RUNNING'
"""


def table(folder: Path) -> dict[tuple[object, object], object]:
    """Every metric but the timings by cell and name."""
    rows = query(folder, METRICS)
    return {(cell, name): value for cell, name, value in rows if not timed(str(name))}


def timed(name: str) -> bool:
    """Whether a metric is or depends on a wall-clock time."""
    return name.startswith("time/") or any(
        part in name for part in ("seconds", "processor_share", "break_even")
    )


def killed_sweep(
    folder: Path, sweep: tuple[str, ...], kills: int, latest: float, mid_cell: bool, rng: random.Random
) -> None:
    """Start the sweep ``kills`` times and kill each start at a random moment in its first ``latest`` seconds.

    The first seconds of a start are only imports, and those of workers are long beside cells. With
    ``mid_cell`` the time counts from the first running cell, and the kill waits until one is running.
    """
    for number in range(kills):
        process = start(folder, *sweep)
        if mid_cell:
            await_running_cell(folder, process)
        pause = rng.uniform(0.0, latest) + (0.0 if mid_cell else STARTING)
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            if mid_cell:
                await_running_cell(folder, process)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            print(f"start {number + 1} ended by itself: nothing was left to kill", flush=True)
            return
        found = Counter(status for _, status in statuses(folder))
        print(
            f"kill {number + 1} after {pause:.1f} s: {found['RUNNING']} cells cut short, "
            f"{found['FINISHED']} finished so far",
            flush=True,
        )


def await_running_cell(folder: Path, sweep: subprocess.Popen[str]) -> None:
    """Return once a cell is running that was not running yet, or when the sweep has ended."""
    before = set(query(folder, RUNNING_CELLS))
    while sweep.poll() is None and set(query(folder, RUNNING_CELLS)) <= before:
        time.sleep(0.05)


def verdict(folder: Path, calm: Path) -> list[str]:
    """What is wrong in the end; empty if nothing is."""
    runs, sweeps = statuses(folder), statuses(folder, "sweep")
    finished = Counter(
        row[0]
        for row in query(
            folder,
            "SELECT tag.value FROM tags AS tag JOIN runs AS run ON run.run_uuid = tag.run_uuid "
            "WHERE tag.key = 'lethe.cell_key' AND run.status = 'FINISHED'",
        )
    )
    wrong = []
    if len(finished) != SWEEP_CELLS or set(finished.values()) != {1}:
        wrong.append(f"{len(finished)} cells finished, at most {max(finished.values(), default=0)} times")
    if any(status == "RUNNING" for _, status in runs + sweeps):
        wrong.append("a run is left RUNNING")
    if table(folder) != table(calm):
        wrong.append("figures differ from those of the undisturbed sweep")
    if leftovers(folder):
        wrong.append(f"left over: {leftovers(folder)}")
    print(f"runs: {dict(Counter(status for _, status in runs))}, starts: {len(sweeps)}")
    print(f"{len(table(calm))} figures compared")
    return wrong


def main() -> int:
    """Run both sweeps and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--launch", default="serial")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--share", type=float, help="of the whole time, before the latest kill")
    parser.add_argument("--mid-cell", action="store_true", help="kill only while some cell is running")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sweep = (*SWEEP, f"launch={options.launch}")
    if options.launch != "serial":
        sweep = (*sweep, f"launch.jobs={options.jobs}")
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        calm, folder = Path(first), Path(second)
        began = time.monotonic()
        done = bench(calm, *sweep)
        span = time.monotonic() - began
        print(f"undisturbed: exit code {done.returncode} in {span:.1f} s", flush=True)
        latest = span * (options.share or (0.08 if options.mid_cell else 0.25))
        killed_sweep(folder, sweep, options.kills, latest, options.mid_cell, random.Random(options.seed))
        last = bench(folder, *sweep)
        print(f"last start: exit code {last.returncode}")
        wrong = verdict(folder, calm) + ([last.stdout[-2000:]] if last.returncode else [])
    print("\n".join(wrong) or "every cell finished exactly once, equal figures, nothing orphaned")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
