"""Eight processes log 200 cells to one MLflow server on PostgreSQL; two "machines" share finished cells.

    apt-get install postgresql; pip install psycopg2-binary
    python -m tests.programs.postgres_tracking [--cells 200 --processes 8]

Starts PostgreSQL and the server on the loopback interface, in a temporary folder, and stops them.
Exit code 1 if a cell, a metric or an artifact is lost. As root, PostgreSQL runs as user postgres.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.bench.cells import bench, finished

METRICS = 60


def log_cells(uri: str, worker: int, count: int) -> int:
    """Record ``count`` cells as the harness does: tags, parameters, metrics, curves, an artifact."""
    import torch

    from bench.config.schema import TrackingConfig
    from bench.record.names import CELL_KEY_TAG, KIND_TAG
    from bench.record.store import Store

    store = Store(TrackingConfig(uri=uri))
    for number in range(count):
        key = f"{worker:02d}-{number:04d}"
        run_id = store.start(f"cell {key}", {KIND_TAG: "cell", CELL_KEY_TAG: key})
        metrics = {f"test/metric_{name}": float(name) for name in range(METRICS)}
        curves = {"curve/recall": [(step, step / 100) for step in range(50)]}
        store.log(run_id, params={"worker": worker, "number": number}, metrics=metrics, curves=curves)
        store.log_arrays(run_id, "per_user.safetensors", {"recall": torch.arange(100.0)})
        store.finish(run_id)
    return count


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL cluster of its own with an empty database; its URI."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    data, port = folder / "postgres", free_port()
    data.mkdir()
    if as_user:
        shutil.chown(data, "postgres")
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run([*as_user, programs / "initdb", "-D", data, "-U", "mlflow", "-A", "trust"], **quiet)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data}"
    control = [*as_user, programs / "pg_ctl", "-D", data, "-w", "-l", data / "log"]
    subprocess.run([*control, "-o", options, "start"], **quiet)
    try:
        there = ["-h", "127.0.0.1", "-p", str(port), "-U", "mlflow", "mlflow"]
        subprocess.run([*as_user, programs / "createdb", *there], **quiet)
        yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/mlflow"
    finally:
        subprocess.run([*control, "-m", "fast", "stop"], **quiet)


@contextmanager
def server(folder: Path, database: str) -> Iterator[str]:
    """An MLflow server in front of the database that also keeps the artifacts; its URI."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database]
    command += [
        "--artifacts-destination",
        str(folder / "artifacts"),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen([*command, "--workers", "4"], cwd=folder, stdout=log, stderr=log)
        try:
            if not is_healthy(f"http://127.0.0.1:{port}/health", process):
                sys.exit((folder / "server.log").read_text()[-2000:])
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=60)


def is_healthy(url: str, process: subprocess.Popen[bytes], seconds: float = 120) -> bool:
    """Wait until the server answers; False if it ended or took too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except OSError:
            time.sleep(0.5)
    return False


def nothing_lost(uri: str, cells: int, processes: int) -> bool:
    """Log all cells from several processes at once and count what the store holds."""
    from bench.config.schema import TrackingConfig
    from bench.record.finished import recorded
    from bench.record.store import Store

    began = time.monotonic()
    with ProcessPoolExecutor(processes) as pool:
        share = cells // processes
        logged = sum(pool.map(log_cells, [uri] * processes, range(processes), [share] * processes))
    seconds = time.monotonic() - began
    tracking = TrackingConfig(uri=uri)
    store = Store(tracking)
    runs = store.runs("attributes.status = 'FINISHED'")
    whole = sum(len(run.data.metrics) == METRICS + 1 for run in runs)
    files = sum(len(store.client.list_artifacts(run.info.run_id)) == 1 for run in runs)
    found = len(recorded(tracking).finished)
    print(
        f"{processes} processes logged {logged} cells in {seconds:.1f} s; the store holds {found} finished "
        f"cells, {whole} with all metrics, {files} with their artifact"
    )
    return found == whole == files == logged == cells


def shared_between_machines(uri: str, folder: Path) -> bool:
    """Two folders with caches of their own: the second one finds the cells of the first."""
    counts = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        done = bench(folder / name, "-m", "method=original,graph_only", f"tracking.uri={uri}")
        counts.append((done.returncode, finished(done), finished(done, "finished before")))
    print(f"exit code, finished, finished before: {counts}")
    return counts == [(0, 2, 0), (0, 0, 2)]


def main() -> int:
    """Run both checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--processes", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with postgres(folder) as database, server(folder, database) as uri:
            right = nothing_lost(uri, options.cells, options.processes)
            right &= shared_between_machines(uri, folder)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
