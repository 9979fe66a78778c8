"""Locks that leave no file behind and still let only one in."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.disk.locks import held, held_if_free
from tests.bench.cells import ROOT

HAMMER = """
import sys, time
from pathlib import Path
from bench.disk.locks import held
folder = Path(sys.argv[1])
for _ in range(100):
    with held(folder / "a.lock", "a test"):
        counter = folder / "counter"
        value = int(counter.read_text())
        time.sleep(0.0005)
        counter.write_text(str(value + 1))
"""


def test_processes_take_turns_although_the_file_goes(tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    command = [sys.executable, "-c", HAMMER, str(tmp_path)]
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: subprocess.run(command, cwd=ROOT, check=False).returncode, range(4)))
    assert codes == [0] * 4
    assert (tmp_path / "counter").read_text() == "400"
    assert not (tmp_path / "a.lock").exists()


def test_who_waits_says_so_and_gets_its_turn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, order, inside = tmp_path / "a.lock", [], threading.Event()

    def first() -> None:
        with held(path, "a test"):
            inside.set()
            while "waiting for it" not in caplog.text:
                pass
            order.append("first")

    thread = threading.Thread(target=first)
    with caplog.at_level(logging.INFO):
        thread.start()
        inside.wait()
        with held_if_free(path) as free:
            assert not free
        with held(path, "a test"):
            order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from bench.disk.locks import held\n"
    code += "with held(Path(sys.argv[1]), 'a test'): os.kill(os.getpid(), 9)"
    path = tmp_path / "a.lock"
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    assert path.exists()
    with held_if_free(path) as free:
        assert free
    assert not path.exists()
