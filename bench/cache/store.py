"""The content store: tensors by key, each with a record of its own, whole or not there, checked before use.

An entry is a folder ``<kind>/<key>`` with ``<stem>.safetensors`` and ``record.json``. The record holds facts
(what making the tensors cost), a description for people (``about``), its key, and two checksums: of the
tensors, and of the record itself. An entry that is not what was written is set aside and made again, and
so is one that its reader cannot make sense of. A lock per key makes others wait and then load.

Further content takes a ``Kind`` in ``KINDS``, by which ``bench/cache/care.py`` goes too, and a reader as in
``bench/cache/models.py``. torch is imported only where tensors are touched.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.disk.files import checksum, new_folder, read_json, set_aside, write_json
from bench.disk.locks import held, lock_file

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
T = TypeVar("T")

RECORD = "record.json"
SEAL = "record_sha256"
"""Where a record has the checksum of all the rest of it."""


@dataclass(frozen=True)
class Kind:
    """A kind of content: its ``folder`` in the cache, ``what`` an entry is, the ``stem`` of its file."""

    folder: str
    what: str
    stem: str


MODELS = Kind("models", "model", "weights")
ITEM_GRAPHS = Kind("item_graphs", "item graph", "graph")
PREPARED = Kind("prepared", "prepared state", "state")
STREAMS = Kind("streams", "stream", "state")
KINDS = (MODELS, ITEM_GRAPHS, PREPARED, STREAMS)


@dataclass(frozen=True)
class Content:
    """What an entry holds: ``tensors`` (read ones are on the CPU), JSON-able ``facts`` and ``about``."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    about: Mapping[str, Any]


class Damaged(ValueError):
    """An entry is not what was written; the message says in what."""


class ContentStore:
    """The entries of one kind under ``root``."""

    def __init__(self, root: Path, kind: Kind) -> None:
        self.root, self.kind = root, kind

    def folder(self, key: str) -> Path:
        """Where the entry of ``key`` is or will be."""
        return self.root / self.kind.folder / key

    def get_or_make(
        self, key: str, read: Callable[[Content], T], make: Callable[[], tuple[T, Content]]
    ) -> tuple[T, bool]:
        """What ``key`` stands for, and whether it was found: read if it is there, else made and kept.

        Args:
            read: turns the content into what is asked for; see ``load``.
            make: makes it, and says what is to be kept.
        """
        with held(lock_file(self.root, key), f"the {self.kind.what} {key}"):
            found = self.load(key, read)
            if found is not None:
                return found, True
            made, content = make()
            self.keep(key, content)
            return made, False

    def load(self, key: str, read: Callable[[Content], T]) -> T | None:
        """The entry of ``key`` as ``read`` gives it; None where there is none or it had to be set aside.

        Args:
            read: never gives None; raises ``KeyError``, ``TypeError`` or ``ValueError`` for content of
                another shape than it expects, before it changes anything.
        """
        folder = self.folder(key)
        if not folder.exists():
            return None
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            record = checked_record(folder, self.kind)
            found = read(Content(load_file(tensors_file(folder, self.kind)), record, record["about"]))
        except Damaged as error:
            self.set_aside(key, str(error))
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            self.set_aside(key, f"it cannot be read ({type(error).__name__}: {error})")
        else:
            os.utime(folder)  # the age that pruning goes by is that of the last use
            return found
        return None

    def keep(self, key: str, content: Content) -> None:
        """Keep ``content`` as the entry of ``key``; a disk that is full costs the entry alone."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        tensors = {name: value.detach().cpu().contiguous() for name, value in content.tensors.items()}
        try:
            with new_folder(self.folder(key)) as work:
                file = tensors_file(work, self.kind)
                save_file(tensors, file)
                own = {"key": key, "about": content.about, "tensors_sha256": checksum(file)}
                write_json(work / RECORD, sealed({**content.facts, **own}))
        except (OSError, SafetensorError) as error:
            log.warning(
                "the %s %s could not be cached (%s): it serves this cell only", self.kind.what, key, error
            )

    def set_aside(self, key: str, why: str) -> None:
        """Move a damaged entry out of the way, to be looked at or pruned."""
        aside = set_aside(self.folder(key))
        log.warning(
            "the cached %s %s is damaged: %s; it was set aside as %s and is made again",
            *(self.kind.what, key, why, aside.name),
        )


def tensors_file(folder: Path, kind: Kind) -> Path:
    """The file of an entry's tensors."""
    return folder / f"{kind.stem}.safetensors"


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record, as JSON gives it back, with the checksum of its content."""
    text = json.dumps({key: value for key, value in record.items() if key != SEAL})
    plain: dict[str, Any] = json.loads(text)
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return {**plain, SEAL: hashlib.sha256(canonical.encode()).hexdigest()}


def checked_record(folder: Path, kind: Kind) -> dict[str, Any]:
    """The record of an entry that is what was written. Raises ``Damaged``, which says what is wrong."""
    record, tensors = read_json(folder / RECORD), tensors_file(folder, kind)
    if not isinstance(record, dict):
        raise Damaged("its record cannot be read")
    if SEAL not in record:
        raise Damaged("its record has no checksum")
    if record[SEAL] != sealed(record)[SEAL]:
        raise Damaged("its record was changed")
    if record.get("key") != folder.name:
        raise Damaged(f"its record is that of {record.get('key')}")
    if not tensors.exists():
        raise Damaged(f"its {kind.stem} {'are' if kind.stem.endswith('s') else 'is'} missing")
    if checksum(tensors) != record.get("tensors_sha256"):
        raise Damaged("its checksum is wrong")
    return record
