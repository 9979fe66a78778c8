"""Faults of the network and of the store, told apart from those of a cell. No MLflow is imported to tell."""

from __future__ import annotations

import http.client
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from bench.disk.space import is_disk_full
from datasets.errors import in_short

CODES = ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED", "IO_ERROR")
"""Codes of MLflow's exceptions that blame the store and not what it was sent."""


SQLITE_WORDS = ("locked", "busy", "readonly", "read-only", "unable to open", "disk I/O")
"""In what SQLite says of a file that others hold, or that cannot be written."""
DRIVER_ERRORS = ("OperationalError", "InterfaceError", "TimeoutError", "DisconnectionError")
"""Of drivers of databases: the connection, and not what was asked."""


class StoreAway(ConnectionError):
    """The store does not answer or takes nothing: the fault of no cell, whose figures are kept
    (``spool``).
    """


@contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Inside, a fault of the network or the store is raised as ``StoreAway``, with what it was as its
    cause.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, StoreAway) or is_disk_full(error) or not _is_fault(error):
            raise
        raise StoreAway(f"the store {uri} cannot be reached: {in_short(error)}") from error


def _is_fault(error: BaseException | None) -> bool:
    """Whether an exception, or what caused it, blames the network or the store."""
    while error is not None:
        package, kind = type(error).__module__.partition(".")[0], type(error).__name__
        if isinstance(error, OSError | http.client.HTTPException):
            return True
        if getattr(error, "error_code", None) in CODES:
            return True
        if isinstance(error, sqlite3.OperationalError) and any(word in str(error) for word in SQLITE_WORDS):
            return True
        if package == "urllib3" or (
            package in ("sqlalchemy", "psycopg2", "pymysql") and kind in DRIVER_ERRORS
        ):
            return True
        error = error.__cause__ or error.__context__
    return False
