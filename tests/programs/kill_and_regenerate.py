"""The small tables after a sweep that was killed half-way and run again, against an undisturbed one.

    python -m tests.programs.kill_and_regenerate [--jobs 2] [--share 0.5]

Folder A is left alone, in folder B the sweep is killed as soon as a share of its cells is finished. Checked:
tables made right after the kill hold the same numbers later; regenerating from the same store gives the same
bytes; A and B differ in nothing but times and run ids. Exit code 1 if one of these is not so. Needs minutes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench.cells import environment, leftovers, statuses
from tests.programs.kill_and_restart import table, timed

SWEEP = ("experiment=tru_tables_small", "launch=local", "run.threads=1")
"""One thread: with several, sums in another order may differ in the last digit."""
MADE = {
    "tables.md": ("tru-tables", "--small"),
    "tables.tex": ("tru-tables", "--small", "--format", "latex"),
    "tables.csv": ("tru-tables", "--small", "--format", "csv"),
    "leaderboard.md": ("leaderboard",),
    "leaderboard.csv": ("leaderboard", "--format", "csv"),
    "index.html": ("site",),
}
PLACE = ("backbone", "dataset", "regime", "method", "quantity")
SAME = (
    *(*PLACE, "state", "requests", "seeds", "mean", "deviation_over_seeds", "gap_to_gold", "gap_low"),
    *("p_holm", "mark", "flags", "overrides"),
)
"""Of a table as CSV: what must not depend on when and how often it was run."""


def start(folder: Path, jobs: int) -> subprocess.Popen[str]:
    """The sweep, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *SWEEP, f"launch.jobs={jobs}"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, jobs: int) -> int:
    """The sweep to its end; its exit code."""
    process = start(folder, jobs)
    said, _ = process.communicate()
    if process.returncode not in (0, 1):
        print(said[-3000:])
    return process.returncode


def kill_at(folder: Path, jobs: int, cells: int) -> None:
    """Start the sweep and kill it, workers included, once ``cells`` cells are finished."""
    process = start(folder, jobs)
    while process.poll() is None and states(folder)["FINISHED"] < cells:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def states(folder: Path) -> Counter[str]:
    """How many runs of cells are in each state."""
    return Counter(status for _, status in statuses(folder))


def make(folder: Path, place: str) -> dict[str, bytes]:
    """Everything that is made from the store, written below ``place``; bytes by name."""
    out = folder / place
    for name, words in MADE.items():
        command = [sys.executable, "-m", "results", *words, "--out", str(out / name)]
        subprocess.run(command, cwd=folder, env=environment(folder), check=True, capture_output=True)
    return {name: (out / name).read_bytes() for name in MADE}


def lines(made: Mapping[str, bytes]) -> Iterator[dict[str, str]]:
    """Lines of the tables as CSV, whose parts begin with a header each."""
    for part in re.split(r"\n(?=backbone,)", made["tables.csv"].decode()):
        yield from csv.DictReader(io.StringIO(part.strip()))


def places(made: Mapping[str, bytes]) -> dict[tuple[str, ...], dict[str, str]]:
    """Measured places of the tables by table-independent name."""
    return {(*(one[key] for key in PLACE), one["metric"]): one for one in lines(made) if one["mean"]}


def uncommitted(text: bytes) -> str:
    """Without the commit: the code may be committed while this runs."""
    return re.sub(r"; code [^;]*;", ";", text.decode())


def untimed(made: Mapping[str, bytes]) -> Any:
    """Everything in tables, leaderboard and page that no clock and no run id is in."""
    rows = list(csv.reader(io.StringIO(made["leaderboard.csv"].decode())))
    kept = [index for index, title in enumerate(rows[0]) if title != "speed-up"]
    found = re.search(r'id="data">(.*?)</script>', made["index.html"].decode(), re.DOTALL)
    page = json.loads(found[1]) if found else {}
    return {
        "tables": [{key: one[key] for key in SAME} for one in lines(made)],
        **{name: uncommitted(made[f"tables.{name}"]) for name in ("md", "tex")},
        "leaderboard": [[row[index] for index in kept] for row in rows],
        "page": [
            {name: metric["summary"] for name, metric in row["metrics"].items() if not timed(name)}
            for row in page.get("rows", [])
        ],
    }


def check_regenerated(
    before: Mapping[str, bytes], after: Mapping[str, bytes], again: Mapping[str, bytes]
) -> list[str]:
    """What is wrong with folder B; empty if nothing is."""
    first, last = places(before), places(after)
    moved = [
        key
        for key, one in first.items()
        if {k: one[k] for k in ("mean", "runs")} != {k: last.get(key, {}).get(k) for k in ("mean", "runs")}
    ]
    print(f"places of the tables: {len(first)} after the kill, {len(last)} in the end, {len(moved)} moved")
    different = [name for name in MADE if after[name] != again[name]]
    sizes = ", ".join(f"{name} {len(content):,}" for name, content in after.items())
    equal = f"{len(MADE) - len(different)} of {len(MADE)} files equal"
    print(f"made twice from the same store: {equal} ({sizes} bytes)")
    wrong = [f"moved: {'/'.join(key)}" for key in moved] + [
        f"not the same bytes: {name}" for name in different
    ]
    return wrong + ([] if 0 < len(first) < len(last) else ["the kill was not half-way"])


def check_alike(
    calm: Path, folder: Path, ours: Mapping[str, bytes], theirs: Mapping[str, bytes]
) -> list[str]:
    """What differs between the folders beside times and run ids; empty if nothing does."""
    metrics = table(calm), table(folder)
    print(f"metrics compared between A and B: {len(metrics[0])}, equal: {metrics[0] == metrics[1]}")
    first, second = untimed(ours), untimed(theirs)
    unequal = [name for name in first if first[name] != second[name]]
    print(f"without times: {', '.join(name for name in first if name not in unequal)} equal between A and B")
    same = [name for name in MADE if ours[name] == theirs[name]]
    print(f"equal to the last byte between A and B: {', '.join(same) or 'none'}")
    return [f"A and B differ in {name}" for name in unequal] + (
        [] if metrics[0] == metrics[1] else ["metrics of A and B differ"]
    )


def main() -> int:
    """Run both sweeps and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--share", type=float, default=0.5, help="of the cells finished before the kill")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        calm, folder = Path(first), Path(second)
        began = time.monotonic()
        code = run(calm, options.jobs)
        every = states(calm)
        print(
            f"A undisturbed: exit code {code} in {time.monotonic() - began:.0f} s, cells {dict(every)}",
            flush=True,
        )
        kill_at(folder, options.jobs, round(options.share * every.total()))
        print(f"B killed: cells {dict(states(folder))}", flush=True)
        before = make(folder, "before")
        print(f"B run again: exit code {run(folder, options.jobs)}, cells {dict(states(folder))}", flush=True)
        after, again = make(folder, "after"), make(folder, "again")
        wrong = check_regenerated(before, after, again)
        wrong += check_alike(calm, folder, make(calm, "made"), after)
        wrong += [f"left over: {path}" for path in leftovers(folder)]
    print("\n".join(wrong) or "the same bytes except for what was measured anew")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
