"""A stream of requests killed with SIGKILL at random moments and started again, against an undisturbed one.

    python -m tests.programs.kill_streams [--kills 10] [--seed 0] [--method finetune] [--requests 60]

Exit code 1 if a figure differs (timings and memory apart), if a start did not go on from where the one before
it had come to, or if the stream leaves anything in the cache. Needs a few minutes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.cells import bench, leftovers, start
from tests.programs.kill_and_restart import await_running_cell, table


def stream(method: str, requests: int) -> tuple[str, ...]:
    """The overrides of the cell."""
    own = (
        ("method.epochs=1",) if method == "finetune" else ("method.shards=3",) if method == "ultrare" else ()
    )
    return ("backbone=lightgcn", f"method={method}", *own, "stream=users", f"stream.count={requests}")


def kept(folder: Path) -> int:
    """How many requests what is kept of the stream has served; 0 where nothing is kept."""
    names = [path.name for path in (folder / "cache" / "streams").glob("[!.]*-*") if path.is_dir()]
    return max((int(name.rpartition("-")[2]) for name in names), default=0)


def killed(folder: Path, cell: tuple[str, ...], kills: int, latest: float, rng: random.Random) -> list[int]:
    """Start the cell and kill it at a random moment of its work, ``kills`` times; what was kept each time."""
    found = []
    for _ in range(kills):
        process = start(folder, *cell)
        before = kept(folder)
        await_running_cell(folder, process)
        while process.poll() is None and kept(folder) <= before:  # so that there is something to go on from
            time.sleep(0.02)
        try:
            process.wait(timeout=rng.uniform(0.0, latest))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        found.append(kept(folder))
        print(f"killed with {found[-1]} requests kept", file=sys.stderr)
    return found


def same(folder: Path) -> dict[str, object]:
    """Every figure but timings and memory."""
    clocks = ("stream/latency", "stream/peak_memory", "request/peak_memory")
    return {
        str(name): value for (_, name), value in table(folder).items() if not str(name).startswith(clocks)
    }


def main() -> int:
    """Run both and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", default="finetune")
    parser.add_argument("--requests", type=int, default=60)
    options = parser.parse_args()
    cell = stream(options.method, options.requests)
    with tempfile.TemporaryDirectory() as name:
        whole, disturbed = Path(name) / "whole", Path(name) / "disturbed"
        whole.mkdir(), disturbed.mkdir()
        began = time.monotonic()
        assert bench(whole, *cell).returncode == 0
        latest = (time.monotonic() - began) / 20
        served = killed(disturbed, cell, options.kills, latest, random.Random(options.seed))
        done = bench(disturbed, *cell)
        faults = [] if done.returncode == 0 else [f"the last start failed: {done.stderr[-500:]}"]
        faults += [] if same(whole) == same(disturbed) else ["figures differ"]
        faults += ["nothing was ever kept"] if not any(served) else []
        before = itertools.pairwise(served)
        faults += ["what was kept went back"] if any(0 < b < a for a, b in before) else []
        faults += [f"left over: {path}" for path in leftovers(disturbed)]
        faults += ["the stream is still kept"] if kept(disturbed) else []
    print(f"{options.kills} kills, requests kept after each of them: {served}")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
