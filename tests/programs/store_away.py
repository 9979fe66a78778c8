"""A sweep through a proxy that delays, cuts, and stays away, to a server that is restarted: nothing is lost.

    python -m tests.programs.store_away [--seeds 4 --away 60 --seed 0 --postgres]

Starts an MLflow server (on SQLite, or on PostgreSQL with psycopg2 installed) and a proxy before it on the
loopback interface. While the sweep runs, the proxy goes through its troubles again and again. Then the same
command is started until it ends with 0. Exit code 1 if a cell is missing, is there twice, or has other
figures than the same cell in a sweep that nobody disturbed; or if a traceback reached the terminal.
"""

from __future__ import annotations

import argparse
import random
import selectors
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.bench.cells import bench, start
from tests.programs.postgres_tracking import free_port, is_healthy, postgres

METHODS = "method=original,retrain,graph_only,reset"
FIGURES = """SELECT tag.value, run.run_uuid, metric.key, metric.value FROM runs AS run
    JOIN tags AS tag ON tag.run_uuid = run.run_uuid AND tag.key = 'lethe.cell_key'
    JOIN latest_metrics AS metric ON metric.run_uuid = run.run_uuid WHERE run.status = 'FINISHED'"""
TIMED = ("time/", "_seconds", "_share", "curve/")
"""Parts of the names of metrics that are clocks, and differ from sweep to sweep."""


class Proxy:
    """A TCP proxy with a ``mode``: ``pass``, ``delay``, ``cut`` (half of the connections, somewhere),
    ``away``.
    """

    def __init__(self, behind: int, seed: int) -> None:
        self.port, self._behind, self._random = free_port(), behind, random.Random(seed)
        self.mode = "pass"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            if self.mode == "away":
                time.sleep(0.1)
                continue
            with socket.create_server(("127.0.0.1", self.port)) as door:
                door.settimeout(0.2)
                while self.mode != "away":
                    with suppress(TimeoutError):
                        threading.Thread(target=self._serve, args=(door.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        left = (
            self._random.randrange(200, 6000) if self.mode == "cut" and self._random.random() < 0.5 else None
        )
        delay = 0.3 if self.mode == "delay" else 0.0
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._behind)) as server:
            ends = selectors.DefaultSelector()
            ends.register(client, selectors.EVENT_READ, server)
            ends.register(server, selectors.EVENT_READ, client)
            while self.mode != "away":
                for key, _ in ends.select(0.2):
                    content = key.fileobj.recv(1 << 15)  # type: ignore[union-attr]
                    time.sleep(delay)
                    if left is not None:
                        content, left = content[:left], left - len(content)
                    key.data.sendall(content)
                    if not content or (left is not None and left <= 0):
                        return


class Server:
    """An MLflow server that can be restarted."""

    def __init__(self, folder: Path, database: str) -> None:
        self.port, self._folder, self._database = free_port(), folder, database
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self._database]
        command += ["--artifacts-destination", str(self._folder / "artifacts"), "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1", "--allowed-hosts", "*"]
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        if not is_healthy(f"http://127.0.0.1:{self.port}/health", self._process, 240):
            sys.exit((self._folder / "server.log").read_text()[-2000:])

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)


@contextmanager
def troubled(proxy: Proxy, server: Server, away: float) -> Iterator[list[str]]:
    """Inside, the proxy and the server go from trouble to trouble; which ones there were."""
    stop, seen = threading.Event(), list[str]()

    def trouble() -> None:
        for mode, seconds in [
            ("pass", 5.0),
            ("delay", 10.0),
            ("cut", 20.0),
            ("away", away),
            ("cut", 10.0),
        ] * 99:
            if stop.is_set():
                break
            seen.append(mode)
            proxy.mode = mode
            if mode == "away":
                server.stop()
                server.start()
            stop.wait(seconds)
        proxy.mode = "pass"

    thread = threading.Thread(target=trouble, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def figures(database: Path) -> dict[str, dict[str, dict[str, float]]]:
    """By cell and by finished run, the metrics that are no clocks."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    with sqlite3.connect(database) as connection:
        for cell, run, key, value in connection.execute(FIGURES):
            if not any(part in key for part in TIMED):
                found.setdefault(cell, {}).setdefault(run, {})[key] = value
    return found


def judge(
    found: dict[str, dict[str, dict[str, float]]], wanted: dict[str, dict[str, dict[str, float]]]
) -> bool:
    """Whether every cell is there once and with its figures."""
    missing, twice = wanted.keys() - found.keys(), [cell for cell, runs in found.items() if len(runs) > 1]
    other = [
        cell
        for cell in wanted.keys() & found.keys()
        if next(iter(found[cell].values())) != next(iter(wanted[cell].values()))
    ]
    print(
        f"cells {len(found)} of {len(wanted)}, missing {len(missing)}, twice {len(twice)}, other "
        f"figures {len(other)}"
    )
    return not (missing or twice or other) and found.keys() == wanted.keys()


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--away", type=float, default=60.0, help="seconds that the server stays away")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    sweep = ("-m", METHODS, f"seed=range({options.seeds})", "run.deterministic=true")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        (folder / "calm").mkdir()
        (folder / "stormy").mkdir()
        calm = bench(folder / "calm", *sweep)
        print(f"undisturbed: exit code {calm.returncode}")
        database = f"sqlite:///{folder}/server.db"
        if options.postgres:
            database = stack.enter_context(postgres(folder))
        server = Server(folder, database)
        server.start()
        stack.callback(server.stop)
        proxy = Proxy(server.port, options.seed)
        through = f"tracking.uri=http://127.0.0.1:{proxy.port}"
        outputs = []
        with troubled(proxy, server, options.away) as seen:
            process = start(folder / "stormy", *sweep, through)
            outputs.append(process.communicate(timeout=1200)[0])
            print(f"disturbed: exit code {process.returncode}, {seen}")
        for number in range(1, 4):
            last = bench(folder / "stormy", *sweep, through)
            outputs.append(last.stdout + last.stderr)
            print(f"again {number}: exit code {last.returncode}")
            if last.returncode == 0:
                break
        kept = sorted(path.name for path in (folder / "stormy" / "spool").glob("[0-9a-f]*"))
        tracebacks = sum(output.count("Traceback (most recent call last)") for output in outputs)
        print(f"left in the spool: {kept}; tracebacks: {tracebacks}")
        if options.postgres:
            found = _from_server(f"http://127.0.0.1:{server.port}")
        else:
            found = figures(folder / "server.db")
        right = judge(found, figures(folder / "calm" / "mlflow.db"))
        if not right or tracebacks or kept:
            print("\n".join(outputs)[-6000:])
    return 0 if right and not kept and not tracebacks else 1


def _from_server(uri: str) -> dict[str, dict[str, dict[str, float]]]:
    from bench.config.schema import TrackingConfig
    from bench.record.names import CELL_KEY_TAG
    from bench.record.store import Store

    found: dict[str, dict[str, dict[str, float]]] = {}
    for run in Store(TrackingConfig(uri)).runs(
        "attributes.status = 'FINISHED' and tags.`lethe.kind` = 'cell'"
    ):
        own = {
            key: value for key, value in run.data.metrics.items() if not any(part in key for part in TIMED)
        }
        found.setdefault(run.data.tags[CELL_KEY_TAG], {})[run.info.run_id] = own
    return found


if __name__ == "__main__":
    sys.exit(main())
