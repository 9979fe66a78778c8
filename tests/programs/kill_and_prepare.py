"""``python -m datasets prepare`` on many generated rows: time, peak memory, and the same bytes after kills.

    python -m tests.programs.kill_and_prepare [--rows 20000000] [--kills 5] [--memory-gib 4] [--seed 0]

One run is left alone and measured. Then the same command is killed at random moments (SIGKILL, the whole
process group) that often, and run to its end. Exit code 1 if a file differs, or if the first run needed
more memory than it was allowed. Twenty million rows need minutes and some 5 GB of disk.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from tests.bench.cells import environment

BATCH = 1_000_000


def generate(path: Path, rows: int, seed: int) -> None:
    """Rows with string ids, a long tail of users and items, ratings and times."""
    rng = np.random.default_rng(seed)
    users, items = max(100, rows // 20), max(50, rows // 100)
    options = csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as file:
        file.write(b"user,item,rating,timestamp\n")
        for start in range(0, rows, BATCH):
            count = min(BATCH, rows - start)
            user = (users * rng.random(count) ** 1.5).astype(np.int64) * 2_654_435_761 % (1 << 40)
            item = (items * rng.random(count) ** 2.5).astype(np.int64) * 40_503 % (1 << 31)
            columns = [
                pa.array(np.char.add("A", np.char.zfill(user.astype("U"), 13))),
                pa.array(np.char.add("B", np.char.zfill(item.astype("U"), 10))),
                pa.array(rng.integers(1, 6, count)),
                pa.array(rng.integers(1_300_000_000, 1_500_000_000, count)),
            ]
            csv.write_csv(pa.table(columns, names=list("uirt")), file, options)


def start(folder: Path, memory_gib: float) -> subprocess.Popen[bytes]:
    """The command, in a process group of its own."""
    arguments = ["--interactions", "rows.csv", "--out", "out/rows", "--memory-gib", str(memory_gib)]
    return subprocess.Popen(
        [sys.executable, "-m", "datasets", "prepare", "rows", *arguments],
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def killed(folder: Path, memory_gib: float, after: float) -> bool:
    """Kill the command after that many seconds; whether it was still running."""
    process = start(folder, memory_gib)
    try:
        process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 by path of everything in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def main() -> int:
    """Run the program; its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--memory-gib", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        generate(folder / "rows.csv", options.rows, options.seed)
        began = time.monotonic()
        code = start(folder, options.memory_gib).wait()
        seconds = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak = used.ru_maxrss / 2**20
        print(
            f"{options.rows:,} rows: exit code {code}, {seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s"
        )
        print(f"of processor time, peak memory {peak:.2f} GiB of {options.memory_gib:g}")
        whole = digests(folder / "out" / "rows")
        (folder / "out" / "rows").rename(folder / "whole")
        for number in range(options.kills):
            after = moments.uniform(0.05, 0.4) * seconds
            while not killed(folder, options.memory_gib, after):  # it was done before: from the start again
                shutil.rmtree(folder / "out" / "rows")
            stages = sorted(
                path.name.rpartition("-")[0] for path in (folder / "out").glob(".rows.prepare/[a-z]*-*")
            )
            print(f"kill {number + 1} after {after:.1f} s, whole stages: {', '.join(stages) or 'none'}")
        code |= start(folder, options.memory_gib).wait()
        found = digests(folder / "out" / "rows")
        differing = [name for name in whole.keys() | found.keys() if whole.get(name) != found.get(name)]
        print(f"files that differ after the kills: {differing or 'none'}")
    return int(code != 0 or bool(differing) or peak > options.memory_gib)


if __name__ == "__main__":
    sys.exit(main())
