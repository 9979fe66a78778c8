"""Whether a store answers is known within seconds, and what is its fault is told from what is a cell's."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from mlflow.exceptions import MlflowException
from requests.exceptions import ChunkedEncodingError

from bench.record.local import reach
from bench.record.local.faults import StoreAway, reaching
from bench.record.local.reach import require
from datasets.errors import InputError

AWAY = (
    http.client.IncompleteRead(b""),
    ChunkedEncodingError("IncompleteRead(0 bytes read)"),
    ConnectionResetError("cut"),
    TimeoutError("slow"),
    MlflowException("API request failed"),
    sqlite3.OperationalError("database is locked"),
    sqlite3.OperationalError("attempt to write a readonly database"),
    sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly")),
)
OTHERS = (
    ValueError("a shape"),
    RuntimeError("out of memory"),
    MlflowException("too long", error_code=1000),  # INVALID_PARAMETER_VALUE
    sqlite3.OperationalError("no such column: tag"),
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
)


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_faults_of_network_and_store(error: Exception) -> None:
    with pytest.raises(StoreAway, match="the store here cannot be reached") as caught, reaching("here"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_what_is_no_fault_of_the_store_keeps_its_name(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, reaching("here"):
        raise error
    assert caught.value is error


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield int(door.getsockname()[1])


def test_a_server_that_never_answers_is_away(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SECONDS", 0.2)
    with pytest.raises(StoreAway, match="timed out"):
        require(f"http://127.0.0.1:{silent}")
    require(f"postgresql+psycopg2://user@127.0.0.1:{silent}/mlflow")


@pytest.mark.parametrize(("answer", "there"), [(200, True), (404, True), (401, True), (502, False)])
def test_whoever_answers_is_there(answer: int, there: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            for _ in range(2):  # one connection to see that the port is open, one to ask
                client, _ = door.accept()
                with client:
                    if client.recv(4096):
                        client.sendall(f"HTTP/1.1 {answer} x\r\nContent-Length: 0\r\n\r\n".encode())

        threading.Thread(target=serve, daemon=True).start()
        uri = f"http://127.0.0.1:{door.getsockname()[1]}"
        if there:
            require(uri)
        else:
            with pytest.raises(StoreAway, match="502"):
                require(uri)


def test_nobody_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(StoreAway, match="refused"):
        require(f"http://127.0.0.1:{port}")


def test_a_locked_file_is_away_and_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SECONDS", 0.1)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    other = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)
    other.execute("CREATE TABLE one (x)")
    require(uri)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreAway, match="is locked by another program"):
        require(uri)
    require(uri, writing=False)
    other.close()


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    sqlite3.connect(file).execute("CREATE TABLE one (x)").connection.close()
    file.with_name("mlflow.db-journal").mkdir()  # also root cannot write the database then
    with pytest.raises((InputError, StoreAway)):
        require(f"sqlite:///{file}")


def test_a_new_file_needs_a_folder_that_can_be_written(tmp_path: Path) -> None:
    require(f"sqlite:///{tmp_path}/new/mlflow.db")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be opened"):
        require(f"sqlite:///{tmp_path}/file/mlflow.db")
    assert not (tmp_path / "new" / "mlflow.db").exists()
