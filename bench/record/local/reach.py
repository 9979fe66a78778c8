"""Whether a store can be used and answers, asked without MLflow, which would try for minutes in silence."""

from __future__ import annotations

import socket
import sqlite3
import tempfile
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from bench.disk.space import is_disk_full
from bench.record.local.database import SQLITE, is_local, path_of
from bench.record.local.faults import StoreAway, reaching
from datasets.errors import InputError, in_short

SECONDS = 7.0
"""That a store may take to answer; connecting and answering count apart, so a silent one costs twice that."""
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Kinds of servers, by the beginning of their address, and the port where the address names none."""
MANAGED = ("databricks", "databricks-uc", "uc")
"""Kinds of servers that are found by other means than an address."""


def require(uri: str, writing: bool = True) -> None:
    """Pass where a store answers.

    Args:
        writing: whether it must also take something.

    Raises:
        InputError: for an address that no store can have here.
        StoreAway: where it does not answer, or is locked all the time.
    """
    if is_local(uri):
        _require_file(uri, writing)
        return
    parts = _parts(uri)
    if parts.scheme in MANAGED:
        return
    kind = parts.scheme.partition("+")[0]
    with reaching(uri):
        socket.create_connection((parts.hostname or "", parts.port or PORTS[kind]), timeout=SECONDS).close()
        if kind in ("http", "https"):
            _knock(uri)


def _parts(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        known = parts.scheme in MANAGED or (parts.scheme.partition("+")[0] in PORTS and bool(parts.hostname))
        _ = parts.port
    except ValueError:
        known = False
    if not known:
        raise InputError(
            f"tracking.uri={in_short(uri)} is not the address of a store: write {SQLITE}<file>, "
            "http://<host>:<port>, "
            "or postgresql+psycopg2://<user>@<host>/<database>."
        )
    return parts


def _knock(uri: str) -> None:
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=SECONDS).close()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise
        # A proxy that asks for a password, or another server in front: somebody is there.


def _require_file(uri: str, writing: bool) -> None:
    path = path_of(uri)
    what = f"tracking.uri={in_short(uri)}"
    if path.name in ("", ".", "..") or path.is_dir():
        raise InputError(f"{what} names no file: write {SQLITE}<file>.")
    if path.is_symlink() and not path.exists():
        raise InputError(
            f"{what} is a link to {path.resolve()}, which is not there: bring the file back, or "
            "remove the link."
        )
    try:
        if path.exists():
            _open_file(path, what, writing)
        elif writing:
            path.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        if is_disk_full(error) or isinstance(error, StoreAway):
            raise
        raise InputError(
            f"{what} cannot be opened ({error.strerror or error}): name a file in a folder that can "
            "be written."
        ) from error


def _open_file(path: Path, what: str, writing: bool) -> None:
    mode = "rw" if writing else "ro"
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=SECONDS)
        ) as file:
            file.execute("SELECT 1 FROM sqlite_master").fetchone()
            if writing:
                file.execute("BEGIN IMMEDIATE")
                file.rollback()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StoreAway(f"the store {path} is locked by another program") from error
        raise InputError(
            f"{what} cannot be {'written' if writing else 'read'} ({error}): make it so, or name "
            "another file."
        ) from error
    except sqlite3.DatabaseError as error:
        raise InputError(f"{what} is not a SQLite file ({error}): name another file.") from error
