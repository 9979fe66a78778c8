"""Many cells in one process: does anything grow? Memory, open files, size of the store and seconds per cell.

    python -m tests.programs.soak [--cells 300 --window 50]

One line for the first and one for the last ``window`` cells. Exit code 1 if memory grew by more than a tenth
between them, or an open file is left per cell.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from bench.cli import main as bench
from tests.bench.cells import TINY, query

FINISHED = (
    "SELECT COUNT(*) FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid WHERE status = 'FINISHED' "
    "AND tags.key = 'lethe.kind' AND tags.value = 'cell'"
)


@dataclass(frozen=True)
class Sample:
    """The process after so many cells: seconds since the start, bytes, open files, bytes of the store."""

    cells: int
    seconds: float
    memory: int
    files: int
    store: int


def watch(folder: Path, stop: threading.Event, samples: list[Sample]) -> None:
    """Take a sample at every cell that is finished."""
    process, began = psutil.Process(), time.monotonic()
    while not stop.wait(0.2):
        found = query(folder, FINISHED)
        count = int(str(found[0][0])) if found else 0
        if count > (samples[-1].cells if samples else 0):
            size = (folder / "mlflow.db").stat().st_size
            memory, files = process.memory_info().rss, process.num_fds()
            samples.append(Sample(count, time.monotonic() - began, memory, files, size))


def told(samples: list[Sample]) -> str:
    """A window in one line."""
    cells = max(1, samples[-1].cells - samples[0].cells)
    return (
        f"cells {samples[0].cells} to {samples[-1].cells}: "
        f"memory {median(one.memory for one in samples) / 1e6:.0f} MB, open files {samples[0].files} to "
        f"{samples[-1].files}, store {(samples[-1].store - samples[0].store) / cells / 1e3:.0f} kB per cell, "
        f"{(samples[-1].seconds - samples[0].seconds) / cells:.2f} s per cell"
    )


def main() -> int:
    """Run the sweep in this process, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--window", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, samples, stop = Path(name), list[Sample](), threading.Event()
        stack.callback(os.chdir, Path.cwd())
        os.chdir(folder)
        thread = threading.Thread(target=watch, args=(folder, stop, samples))
        thread.start()
        with contextlib.redirect_stdout(io.StringIO()):
            code = bench(
                ["-m", *TINY, "method=graph_only,reset", f"regime.seed=range({options.cells // 2})", "seed=0"]
            )
        stop.set()
        thread.join()
        first = [one for one in samples if one.cells <= options.window]
        last = [one for one in samples if one.cells > samples[-1].cells - options.window]
        print(told(first))
        print(told(last))
        grown = median(one.memory for one in last) / median(one.memory for one in first)
        print(f"exit code {code}, {samples[-1].cells} cells, memory grew {100 * (grown - 1):.1f} %")
        flat = grown < 1.1 and last[-1].files <= first[-1].files + 10
    return 0 if code == 0 and flat else 1


if __name__ == "__main__":
    sys.exit(main())
