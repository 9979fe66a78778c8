"""The work folder: every stage is whole or not there, and is found again by what determines it.

A stage's key covers its name, its inputs (options, checksums, the keys of the stages before it) and the
code, so that a command that was killed goes on after the last whole stage, and one with other options
repeats exactly what they change.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from datasets.errors import InputError

NOTES = "notes.json"
BUILDING = ".building-"


@dataclass(frozen=True)
class Stage:
    """A finished stage: its ``folder``, its ``key``, and what it ``notes`` for the provenance."""

    folder: Path
    key: str
    notes: dict[str, Any]


class Work:
    """The stages below one folder."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.say = say

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands out of the folder. Raises ``InputError`` where one is at it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"another command is preparing in {self.folder}: wait for it to end.") from error
        try:
            for left in self.folder.glob(f"{BUILDING}*"):
                shutil.rmtree(left)
            yield
        finally:
            lock.release()
            if not any(path.is_dir() for path in self.folder.glob("*-*")):
                shutil.rmtree(self.folder, ignore_errors=True)  # no stage is worth keeping it

    def find(self, name: str, inputs: Mapping[str, Any]) -> Stage | None:
        """The stage, where it is finished."""
        key = stage_key(name, inputs)
        folder = self.folder / f"{name}-{key}"
        if not folder.is_dir():
            return None
        return Stage(folder, key, json.loads((folder / NOTES).read_text(encoding="utf-8")))

    def stage(self, name: str, inputs: Mapping[str, Any], build: Callable[[Path], dict[str, Any]]) -> Stage:
        """The stage; ``build`` fills an empty folder and returns its notes where it is not finished yet."""
        found = self.find(name, inputs)
        if found is not None:
            self.say(f"{name}: done before")
            return found
        key = stage_key(name, inputs)
        building = self.folder / f"{BUILDING}{name}-{key}"
        building.mkdir()
        try:
            notes = build(building)
            (building / NOTES).write_text(json.dumps(notes), encoding="utf-8")
            put_in_place(building, self.folder / f"{name}-{key}")
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        return Stage(self.folder / f"{name}-{key}", key, notes)


def put_in_place(building: Path, final: Path) -> None:
    """Give a complete folder its final name, after all that is in it has reached the disk."""
    for path in sorted(building.rglob("*")):
        sync(path)
    sync(building)
    building.rename(final)
    sync(final.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stage_key(name: str, inputs: Mapping[str, Any]) -> str:
    """16 hexadecimal digits over everything that determines a stage."""
    content = json.dumps({"stage": name, "code": code_digest(), **inputs}, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@cache
def code_digest() -> str:
    """Digest of the sources of ``datasets``: after an update nothing that older code made is taken up."""
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
