"""The checkpoint cache: trained weights by key, each trained once, whoever asks first.

A model is a folder ``models/<key>`` with ``weights.safetensors`` and ``record.json`` (what training
cost, and the checksum of the weights). A file lock per key makes others wait and then load. The
cache holds nothing but weights: deleting it loses no result, only time.

``python -m bench.cache`` lists, prunes and verifies it (``bench/cache/care.py``); for its sake torch is
imported only where weights are touched.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.disk.files import checksum, new_folder, read_json, set_aside, write_json
from bench.disk.locks import held, lock_file

if TYPE_CHECKING:
    from bench.train.loop import TrainingRecord
    from models.base import Recommender

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedModel:
    """A trained model, what its training cost, and whether it was found rather than trained now."""

    model: Recommender
    record: TrainingRecord
    found: bool


class ModelCache:
    """Trained models under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, key: str) -> Path:
        """Where the model of ``key`` is or will be."""
        return self.root / "models" / key

    def get_or_train(
        self,
        key: str,
        model: Recommender,
        train: Callable[[Recommender], TrainingRecord],
        about: dict[str, Any],
    ) -> CachedModel:
        """``model`` with the weights of ``key``: loaded if they are there, else trained and stored.

        Args:
            model: freshly built and bound; its weights are overwritten.
            train: trains it in place.
            about: JSON-able description stored beside the weights, for people.
        """
        with held(lock_file(self.root, key), f"the training of model {key}"):
            record = self._load(key, model)
            if record is not None:
                return CachedModel(model, record, found=True)
            record = train(model)
            self._publish(key, model, record, about)
            return CachedModel(model, record, found=False)

    def _load(self, key: str, model: Recommender) -> TrainingRecord | None:
        folder = self.folder(key)
        if not folder.exists():
            return None
        weights, stored = folder / "weights.safetensors", read_json(folder / "record.json")
        if stored is None or not weights.exists() or checksum(weights) != stored["weights_sha256"]:
            self._set_aside(folder)
            return None
        from safetensors.torch import load_file

        from bench.train.loop import TrainingRecord

        model.load_state_dict(load_file(weights))
        os.utime(folder)  # the age that pruning goes by is that of the last use
        return TrainingRecord.from_json(stored["training"])

    def _publish(self, key: str, model: Recommender, record: TrainingRecord, about: dict[str, Any]) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        try:
            with new_folder(self.folder(key)) as work:
                save_file(state, work / "weights.safetensors")
                digest = checksum(work / "weights.safetensors")
                content = {"key": key, "weights_sha256": digest, "training": record.to_json(), "about": about}
                write_json(work / "record.json", content)
        except (OSError, SafetensorError) as error:
            log.warning(
                "the trained model %s could not be cached (%s); it is used for this cell only", key, error
            )

    def _set_aside(self, folder: Path) -> None:
        aside = set_aside(folder)
        log.warning(
            "the cached model %s is damaged: set aside as %s and trained again", folder.name, aside.name
        )
