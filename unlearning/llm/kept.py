"""Answers on disk: found again by content, and deleted when a user asks to be forgotten.

``<folder>/<user>/<hash>.json``. The hash covers the backend, how it is asked and the whole prompt; neither
prompt nor key is stored. Each entry names the digest of the history that its prompt was written from, so that
a deletion request can tell what was asked before it from what was asked after. Kept answers are memory: a
service that keeps them has not forgotten anybody.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from unlearning.llm.answers import Answer, Decoding, Prompt


class KeptAnswers:
    """The answers of one data set, by user."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, user: int, key: str) -> Answer | None:
        """The answer under a key; None where there is none, or none that can be read."""
        try:
            stored = json.loads(self._file(user, key).read_text(encoding="utf-8"))
            return Answer(**stored["answer"], cached=True)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def keep(self, user: int, key: str, history: str, answer: Answer) -> None:
        """Store an answer: whole or not at all, whoever else writes. What was lost is not kept."""
        if answer.lost:
            return
        file, fields = self._file(user, key), asdict(answer)
        content = {"history": history, "answer": {name: fields[name] for name in STORED}}
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        try:
            with beside.open("x", encoding="utf-8") as out:
                json.dump(content, out)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(file)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise

    def purge(self, histories: Mapping[int, str]) -> int:
        """Delete what was asked about users with another history than they now have; the number of files.

        Args:
            histories: by user who asks, the digest of what is left of his history; "" where nothing is: then
                all of it goes.
        """
        gone = 0
        for user, history in histories.items():
            folder = self._folder / str(user)
            stale = [file for file in folder.glob("*") if not (history and _history(file) == history)]
            for file in stale:
                file.unlink(missing_ok=True)
            gone += len(stale)
            with contextlib.suppress(OSError):  # another history is still there
                folder.rmdir()
        return gone

    def _file(self, user: int, key: str) -> Path:
        return self._folder / str(user) / f"{key}.json"


STORED = ("text", "tokens_in", "tokens_out", "seconds", "retries")


def answer_key(identity: Mapping[str, Any], decoding: Decoding, template: str, prompt: Prompt) -> str:
    """Hash over everything that determines an answer."""
    content = {
        "backend": dict(identity),
        "decoding": asdict(decoding),
        "template": template,
        "messages": prompt.messages(),
    }
    return sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _history(file: Path) -> str:
    """What an entry says of the history behind it; "" for a file that cannot be read."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["history"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
