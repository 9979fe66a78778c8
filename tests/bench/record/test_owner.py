"""Whose run is in progress, and whose process is gone: evidence, never a guess."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from bench.record import owner
from bench.record.names import HEARTBEAT_TAG, OWNER_TAG
from bench.record.owner import LEASE_SECONDS, owner_tags, why_gone


def changed(**values: Any) -> dict[str, str]:
    tags = owner_tags()
    return {**tags, OWNER_TAG: json.dumps({**json.loads(tags[OWNER_TAG]), **values})}


def test_this_process_lives() -> None:
    assert why_gone(owner_tags()) is None


def test_an_ended_process_is_gone_and_an_unreaped_one_too() -> None:
    code = "from bench.record.owner import owner_tags; import json; print(json.dumps(owner_tags()))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    tags = json.loads(process.stdout.readline())
    time.sleep(0.5)  # it has ended, but nobody has waited for it: a zombie
    assert f"process {process.pid}" in str(why_gone(tags))
    process.communicate()
    assert "ended without a word" in str(why_gone(tags))


def test_another_process_with_the_same_id_is_no_proof_of_life() -> None:
    assert why_gone(changed(started="1")) is not None


def test_a_restart_of_the_machine_ends_every_process() -> None:
    assert "restarted" in str(why_gone(changed(boot="an earlier one")))


@pytest.mark.parametrize(("silent", "gone"), [(60.0, False), (LEASE_SECONDS + 60, True)])
def test_elsewhere_only_a_long_silence_counts(silent: float, gone: bool) -> None:
    tags = {**changed(machine="elsewhere/1/2", pid=1), HEARTBEAT_TAG: str(int(time.time() - silent))}
    assert (why_gone(tags) is not None) == gone


def test_a_run_without_an_owner_is_left_alone() -> None:
    assert why_gone({}) is None


def test_without_proc_the_process_table_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoProc:
        def __init__(self, *parts: object) -> None: ...

        def exists(self) -> bool:
            return False

    monkeypatch.setattr(owner, "Path", NoProc)
    assert owner._started(1) is not None
    assert owner._started(2**22 + 1) is None
