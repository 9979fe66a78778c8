"""Vectors by content: what was extracted once is not extracted again, whoever asks.

One SQLite file per extractor identity; a batch is written in one transaction, so that a killed run loses
at most the batch it was at, and goes on with the same batches.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.features.base import Vectors


class FeatureCache:
    """The vectors of one extractor."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps(identity, sort_keys=True)
        key = hashlib.sha256(content.encode()).hexdigest()[:16]
        self._database = sqlite3.connect(folder / f"{identity['extractor']}-{key}.sqlite", timeout=60)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("CREATE TABLE IF NOT EXISTS identity (content TEXT)")
        self._database.execute("CREATE TABLE IF NOT EXISTS vectors (digest TEXT PRIMARY KEY, vector BLOB)")
        if self._database.execute("SELECT count(*) FROM identity").fetchone() == (0,):
            self._database.execute("INSERT INTO identity VALUES (?)", (content,))
        self._database.commit()

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Those that are not there, distinct, in their order."""
        return [digest for digest in dict.fromkeys(digests) if self._blob(digest) is None]

    def put(self, digests: Sequence[str], vectors: Vectors) -> None:
        """Store the vectors of one batch, all or none."""
        rows = [
            (digest, np.ascontiguousarray(vector, dtype="<f4").tobytes())
            for digest, vector in zip(digests, vectors, strict=True)
        ]
        with self._database:
            self._database.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)

    def get(self, digest: str) -> Vectors:
        """One stored vector [d]. Raises ``KeyError`` where there is none."""
        blob = self._blob(digest)
        if blob is None:
            raise KeyError(digest)
        return np.frombuffer(blob, dtype="<f4")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _blob(self, digest: str) -> bytes | None:
        row = self._database.execute("SELECT vector FROM vectors WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else bytes(row[0])
