"""``python -m bench`` in a process of its own that starts warm, with the libraries imported.

Importing torch, PyG and MLflow takes some four seconds of processor time, a command on the tiny data set
about one. So one process per test session imports them, and forks once per command: everything that tests of
processes are about (signals, kills, exit codes, locks, children) is as in a command of a shell. What is about
the start itself (what is imported, what is set before torch is, how a store is made) starts a process with
``tests.bench.cells`` instead.
"""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socketpair
from typing import IO, NoReturn

from bench.record import store
from tests.bench.cells import ROOT, TINY, environment
from tests.bench.empty_store import copied, empty

LIBRARIES = (
    "alembic.command",
    "bench.cell.run",
    "bench.cli",
    "bench.sweep.sweep",
    "bench.tune.__main__",
    "joblib",
    "mlflow.store.tracking.sqlalchemy_store",
    "models.mgcn",
    "pygments.lexers",
    "torch._dynamo",
)
"""What a command imports sooner or later."""


@dataclass(frozen=True)
class Asked:
    """A command: the module, its arguments and surroundings, and where its output goes."""

    module: str
    arguments: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]
    out: str
    err: str


class Command:
    """A command that runs; what these tests need of ``subprocess.Popen``. It leads a session of its own."""

    def __init__(self, module: str, arguments: Sequence[str], folder: Path, apart: bool) -> None:
        self._out = _file()
        self._err = _file() if apart else self._out
        names = self._out.name, self._err.name
        self._server = _server()
        asked = Asked(module, tuple(arguments), str(folder), environment(folder), *names)
        self.pid = self._server.start(asked)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while the command runs."""
        if self.returncode is None:
            self.returncode = self._server.ended(self.pid)
        return self.returncode

    def communicate(self, timeout: float = 300.0) -> tuple[str, str]:
        """Wait for the end; what was printed, and what was printed as errors where that is kept apart."""
        self.wait(timeout)
        return _content(self._out), _content(self._err) if self._err is not self._out else ""

    def wait(self, timeout: float = 300.0) -> int:
        """Wait for the end; the exit code. Raises ``TimeoutError``, and kills the command."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                raise TimeoutError(f"still running after {timeout} s: {_content(self._out)[-3000:]}")
            time.sleep(0.01)
        return code

    def kill(self) -> None:
        """End it outright."""
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, signal.SIGTERM)


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m bench`` on the tiny data set, with store and cache in ``folder``."""
    running = Command("bench", [*TINY, *arguments], folder, apart=True)
    out, err = running.communicate()
    return subprocess.CompletedProcess(["bench", *arguments], running.wait(), out, err)


def start(folder: Path, *arguments: str, module: str = "bench") -> Command:
    """The same without waiting; errors are part of the output."""
    return Command(module, [*TINY, *arguments], folder, apart=False)


def _file() -> IO[str]:
    return tempfile.NamedTemporaryFile("r", suffix=".txt", encoding="utf-8")


def _content(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


class Server:
    """The process that forks; ends with this one."""

    def __init__(self) -> None:
        here, there = socketpair()
        command = [sys.executable, "-m", "tests.bench.warm", str(there.fileno()), str(empty())]
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment(ROOT), pass_fds=[there.fileno()])
        there.close()
        self._line = Connection(here.detach())
        atexit.register(self.close)

    def start(self, asked: Asked) -> int:
        """Fork a command; its process id."""
        self._line.send(asked)
        pid: int = self._line.recv()
        return pid

    def ended(self, pid: int) -> int | None:
        """The exit code of a command, None while it runs."""
        self._line.send(pid)
        code: int | None = self._line.recv()
        return code

    def close(self) -> None:
        """Hang up, which ends the process."""
        self._line.close()
        self._process.wait()


@cache
def _server() -> Server:
    return Server()


def serve(line: Connection, empty_store: Path) -> None:
    """Import, and then fork and reap until nobody is there any more."""
    for name in LIBRARIES:
        import_module(name)
    store._create = partial(copied, template=empty_store)
    while True:
        try:
            asked: Asked | int = line.recv()
        except EOFError:
            return
        if isinstance(asked, int):
            done, status = os.waitpid(asked, os.WNOHANG)
            line.send(os.waitstatus_to_exitcode(status) if done else None)
        elif pid := os.fork():
            line.send(pid)
        else:
            line.close()
            _become(asked)


def _become(asked: Asked) -> NoReturn:
    """Run a command in this process as ``python -m`` would, and end."""
    os.setsid()
    os.chdir(asked.folder)
    os.environ.clear()
    os.environ.update(asked.environment)
    for name, number in ((os.devnull, 0), (asked.out, 1), (asked.err, 2)):
        opened = os.open(name, os.O_RDWR | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    # Where the tests run in the background of a shell, children are born deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):  # under nohup the tests themselves are deaf to the latter
        signal.signal(number, signal.SIG_DFL)
    places = asked.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [asked.folder, *places, *(place for place in sys.path[1:] if place not in places)]
    sys.argv = [asked.module, *asked.arguments]
    code = _run(asked.module)
    threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does at its end
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), Path(sys.argv[2]))
