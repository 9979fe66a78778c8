"""Finished records on their way to the store: each is here first, whole, until the store has confirmed it.

``<spool>/<record>/`` holds ``artifacts/`` and ``record.json``: name, tags, parameters, metrics with times and
steps, the data set, the checksums of all that. A record that is here counts as finished. Sending it is the
work of ``bench/record/sending.py``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.config.schema import TrackingConfig
from bench.disk.files import checksum, new_folder, read_json, set_aside, write_json
from bench.record.local.database import is_local, path_of

log = logging.getLogger(__name__)

RECORD, ARTIFACTS = "record.json", "artifacts"
Point = tuple[str, float, int, int]
"""A value of a metric: name, value, time in milliseconds since 1970, step."""


@dataclass(frozen=True)
class Kept:
    """A finished run with everything that the store is to hold of it, but for its artifacts.

    ``run_id`` is the run that was begun in the store, None where the store was away; ``forced`` says that it
    counts although the cell is finished already.
    """

    uri: str
    experiment: str
    cell: str
    name: str
    tags: dict[str, str]
    params: dict[str, str]
    points: list[Point]
    dataset: dict[str, Any] | None
    started: int
    ended: int
    run_id: str | None = None
    forced: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(12))


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


@contextmanager
def keeping(spool: Path, kept: Kept) -> Iterator[Path]:
    """The folder of the artifacts of a record, which is in the spool when the block ends, or not at all."""
    with new_folder(spool / kept.id) as work:
        artifacts = work / ARTIFACTS
        artifacts.mkdir()
        yield artifacts
        content = json.loads(json.dumps(asdict(kept)))
        files = {str(path.relative_to(artifacts)): checksum(path) for path in _files(artifacts)}
        whole = {"content": content, "files": files}
        write_json(work / RECORD, {**whole, "sha256": _digest(whole)})


def read(folder: Path) -> Kept | None:
    """A record as it was written; None, with a warning, where it is not, and then it is set aside."""
    found: Any = read_json(folder / RECORD)
    try:
        whole = {"content": found["content"], "files": found["files"]}
        for name, digest in whole["files"].items():
            if checksum(folder / ARTIFACTS / name) != digest:
                raise ValueError(f"{name} was changed")
        if found["sha256"] != _digest(whole):
            raise ValueError("it was changed")
        points = [
            (str(key), float(value), int(at), int(step))
            for key, value, at, step in found["content"]["points"]
        ]
        return Kept(**{**whole["content"], "points": points})
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        aside = set_aside(folder)
        log.warning("the kept record %s is damaged (%s): it was set aside as %s", folder, error, aside.name)
        return None


def artifacts(folder: Path) -> list[tuple[Path, str | None]]:
    """The artifacts of a record, each with the folder below the run that it belongs to, if any."""
    root = folder / ARTIFACTS
    return [
        (path, None if path.parent == root else str(path.parent.relative_to(root))) for path in _files(root)
    ]


def folders(spool: Path) -> list[Path]:
    """The records that are kept, oldest first."""
    found = [path for path in spool.glob("[0-9a-f]*") if "." not in path.name and (path / RECORD).is_file()]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def waiting(tracking: TrackingConfig) -> dict[str, str]:
    """Record by cell key of what is kept for an experiment of a store."""
    found: dict[str, str] = {}
    for folder in folders(tracking.spool):
        if destination(folder) == (address(tracking.uri), tracking.experiment):
            found[str(read_json(folder / RECORD)["content"]["cell"])] = folder.name  # type: ignore[index]
    return found


def destination(folder: Path) -> tuple[str, str] | None:
    """Store and experiment that a record is for; None where it cannot be read."""
    content = read_json(folder / RECORD)
    try:
        own = content["content"]  # type: ignore[index]
        return str(own["uri"]), str(own["experiment"])
    except (KeyError, TypeError):
        return None


def address(uri: str) -> str:
    """The address of a store from whatever folder: a local file by its absolute path."""
    return f"sqlite:///{path_of(uri).absolute()}" if is_local(uri) else uri


def lock_of(tracking: TrackingConfig, name: str) -> Path:
    """The lock of a cell or a tune. It stands beside the store, not in a cache that anybody may delete."""
    return locks_of(tracking) / f"{name}.lock"


def locks_of(tracking: TrackingConfig) -> Path:
    """The folder of the locks of cells and tunes."""
    if not is_local(tracking.uri):
        return tracking.spool / "locks"
    file = path_of(tracking.uri)
    return file.with_name(f"{file.name}.locks")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
