"""What methods prepare before any request, kept on disk by its content and handed to every request.

A state is a folder ``prepared/<key>`` with ``tensors.safetensors`` and ``record.json`` (figures, the
seconds it took, a checksum). Only methods that say so (``UnlearningMethod.keeps_prepared``) are kept. The
key covers device and threads, because the recorded seconds are reported where a state was found.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from bench.files import checksum, new_folder, read_json, set_aside, write_json
from bench.locks import held, lock_file
from unlearning.base import PreparedState, UnlearningMethod

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A method's prepared state, whatever it is, and the seconds that preparing took."""

    state: Any
    seconds: float


class PreparedCache:
    """Prepared states under ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, key: str) -> Path:
        """Where the state of ``key`` is or will be."""
        return self._root / "prepared" / key

    def get_or_prepare(
        self, key: str, device: torch.device, prepare: Callable[[], Prepared], about: dict[str, Any]
    ) -> Prepared:
        """The state of ``key``: loaded to ``device`` if it is there, else prepared and published.

        Args:
            prepare: its state must be a ``PreparedState``.
            about: JSON-able description stored beside it, for people.
        """
        with held(lock_file(self._root, key), f"the preparation {key}"):
            found = self._load(key, device)
            if found is not None:
                log.info("preparation %s: found in the cache (%.1f s)", key, found.seconds)
                return found
            made = prepare()
            self._publish(key, made, about)
            return made

    def _load(self, key: str, device: torch.device) -> Prepared | None:
        folder = self.folder(key)
        if not folder.exists():
            return None
        file, record = folder / "tensors.safetensors", read_json(folder / "record.json")
        if record is None or not file.exists() or checksum(file) != record.get("tensors_sha256"):
            aside = set_aside(folder)
            log.warning("the prepared state %s is damaged: set aside as %s, made again", key, aside.name)
            return None
        os.utime(folder)  # the age that pruning goes by is that of the last use
        tensors = {name: value.to(device) for name, value in load_file(file).items()}
        return Prepared(PreparedState(tensors, record["figures"]), float(record["seconds"]))

    def _publish(self, key: str, made: Prepared, about: dict[str, Any]) -> None:
        state = made.state
        if not isinstance(state, PreparedState):
            raise TypeError(
                f"a method that keeps what it prepares must return a PreparedState, not {state!r}"
            )
        tensors = {name: value.detach().cpu().clone().contiguous() for name, value in state.tensors.items()}
        try:
            with new_folder(self.folder(key)) as work:
                save_file(tensors, work / "tensors.safetensors")
                sha256 = checksum(work / "tensors.safetensors")
                content = {"key": key, "tensors_sha256": sha256, "seconds": made.seconds, "about": about}
                write_json(work / "record.json", {**content, "figures": state.figures})
        except (OSError, SafetensorError) as error:
            log.warning(
                "the prepared state %s could not be cached (%s): it serves this cell only", key, error
            )


def preparing(method: UnlearningMethod) -> UnlearningMethod:
    """The method as ``prepare`` sees it: the options that act on request only are at their defaults."""
    defaults = type(method.options)()
    asked = {name: getattr(defaults, name) for name in method.online_options}
    return type(method)(dataclasses.replace(method.options, **asked))
