"""SIGINT, SIGTERM, SIGHUP and SIGKILL to the command alone, under every launcher: nothing lives on.

    python -m tests.programs.signals [--launch serial local ray]

After each, how many processes are left after five seconds, how many runs are RUNNING, and the exit code.
After SIGKILL the workers must notice by themselves, and what ran in the command itself is closed by the next
command. Ray is an extra (``pip install -e '.[ray]'``): without it, its part is left out, and says so.
Exit code 1 if a process or a RUNNING run is left.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.bench.cells import bench, start, statuses
from tests.bench.faulty import install

LAUNCHES = {
    "serial": ("launch=serial",),
    "local": ("launch=local", "launch.jobs=2"),
    "ray": ("launch=ray", "launch.cpus=1", "launch.total_cpus=2"),
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
GRACE_SECONDS = {"serial": 5.0, "local": 5.0, "ray": 10.0}
"""Ray ends its own processes after the workers."""


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def trial(launch: str, number: signal.Signals) -> bool:
    """One signal to one sweep whose cells wait."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plugins = install(folder)
        process = start(folder, *plugins, "-m", "method=wait", "method.seconds=600,601", *LAUNCHES[launch])
        deadline = time.monotonic() + 300
        while not (folder / "waiting").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                print(f"{launch} {number.name}: the sweep did not begin: {process.communicate()[0][-2000:]}")
                return False
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, number)
        process.communicate(timeout=120)
        ended = time.monotonic()
        while alive(children) and time.monotonic() - ended < GRACE_SECONDS[launch]:
            time.sleep(0.1)
        left, seconds = len(alive(children)), time.monotonic() - ended
        for one in alive(children):
            one.kill()
        if number is signal.SIGKILL:
            bench(folder, "method=original")
        running = [status for kind in ("cell", "sweep") for _, status in statuses(folder, kind)].count(
            "RUNNING"
        )
        wanted = -number if number is signal.SIGKILL else 128 + number
        right = left == running == 0 and process.returncode == wanted
        print(
            f"{launch} {number.name}: exit code {process.returncode}, {len(children)} children, "
            f"survivors {left} "
            f"after {seconds:.1f} s, RUNNING {running}: {'right' if right else 'WRONG'}",
            flush=True,
        )
        return right


def main() -> int:
    """Every signal under every launcher."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launch", nargs="+", choices=sorted(LAUNCHES), default=list(LAUNCHES))
    options = parser.parse_args()
    results = []
    for launch in options.launch:
        if launch == "ray" and importlib.util.find_spec("ray") is None:
            print("ray is not installed: left out")
            continue
        results += [trial(launch, number) for number in SIGNALS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
