"""Who runs a run: tags that tell a run in progress from one whose process is gone.

A process writes its identity (machine, boot, process id, start time) into the runs it starts, and a
heartbeat once a minute. On the same machine and boot, the process table is the evidence; from
elsewhere only a heartbeat that has been silent for ``LEASE_SECONDS`` is. No mlflow in here.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import psutil

from bench.record.names import HEARTBEAT_TAG, OWNER_TAG

HEARTBEAT_SECONDS = 60.0
LEASE_SECONDS = 15 * 60.0
"""Silence after which a process on another machine counts as gone; far above any clock skew."""


@dataclass(frozen=True)
class Owner:
    """A process, named so that no later process can be taken for it."""

    machine: str
    boot: str
    pid: int
    started: str


def owner_tags() -> dict[str, str]:
    """Tags that make this process the owner of a run."""
    return {OWNER_TAG: json.dumps(asdict(this_process()), sort_keys=True), HEARTBEAT_TAG: heartbeat()}


def this_process() -> Owner:
    """The identity of this process."""
    return Owner(_machine(), _boot(), os.getpid(), _started(os.getpid()) or "")


def is_gone(owner: Owner) -> bool:
    """Whether a process has provably ended; never of one on another machine."""
    if owner.machine != _machine():
        return False
    return owner.boot != _boot() or _started(owner.pid) != owner.started


def heartbeat() -> str:
    """The value of a heartbeat now."""
    return str(int(time.time()))


def why_gone(tags: Mapping[str, str]) -> str | None:
    """Why the process that owns a run must be gone; None where it lives or where nothing proves it."""
    if OWNER_TAG not in tags:
        return None
    owner = Owner(**json.loads(tags[OWNER_TAG]))
    process = f"process {owner.pid} on {owner.machine.partition('/')[0]}"
    if owner.machine == _machine():
        if owner.boot != _boot():
            return f"the machine of {process} was restarted meanwhile"
        return f"{process} ended without a word" if is_gone(owner) else None
    silent = time.time() - float(tags.get(HEARTBEAT_TAG, "0"))
    return f"{process} has been silent for {silent / 60:.0f} minutes" if silent > LEASE_SECONDS else None


@cache
def _machine() -> str:
    """Host name, installation and process id namespace: where the same process ids mean the same."""
    parts = [socket.gethostname()]
    installation = Path("/etc/machine-id")
    if installation.exists():
        parts.append(installation.read_text(encoding="ascii").strip()[:8])
    namespace = Path("/proc/self/ns/pid")
    if namespace.exists():
        parts.append(str(namespace.stat().st_ino))
    return "/".join(parts)


@cache
def _boot() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    return boot.read_text(encoding="ascii").strip() if boot.exists() else str(int(psutil.boot_time()))


def _started(pid: int) -> str | None:
    """When a process was started, in a form that clock changes do not touch; None if there is none."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None
