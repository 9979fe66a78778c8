"""The checkpoint cache: trained weights by key, each trained once, whoever asks first.

A model is an entry of the content store (``bench/cache/store.py``): its weights, and what training cost. The
cache holds nothing but weights: deleting it loses no result, only time.

``python -m bench.cache`` lists, prunes and verifies it (``bench/cache/care.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cache.store import MODELS, Content, ContentStore
from bench.disk.files import write_text

if TYPE_CHECKING:
    from bench.train.checkpoint import Checkpoint
    from bench.train.record import TrainingRecord
    from models.base import Recommender

TRAINING = "training"
"""Folder of the states of trainings that are not over."""


@dataclass(frozen=True)
class CachedModel:
    """A trained model, what its training cost, and whether it was found rather than trained now."""

    model: Recommender
    record: TrainingRecord
    found: bool


SAME = "same"
"""Folder of a file per key: the model of its name is the one whose key it holds."""


def is_cached(root: Path, key: str) -> bool:
    """Whether the model of ``key`` is there, be it under another key."""
    folder = root / MODELS.folder
    return (folder / key).exists() or (folder / _other(root, key)).exists()


def _other(root: Path, key: str) -> str:
    """The key under which the model of ``key`` is kept as well; ``key`` where there is none."""
    try:
        return (root / SAME / key).read_text(encoding="utf-8").strip() or key
    except FileNotFoundError:
        return key


class ModelCache:
    """Trained models under ``root``.

    Args:
        keep_every: seconds after which the state of a training is kept; None keeps none.
    """

    def __init__(self, root: Path, keep_every: float | None = None) -> None:
        self._root, self._store = root, ContentStore(root, MODELS)
        self._keep_every = keep_every

    def folder(self, key: str) -> Path:
        """Where the model of ``key`` is or will be."""
        return self._store.folder(key)

    def checkpoint(self, key: str) -> Checkpoint | None:
        """Where the state of the training of ``key`` is kept until the model is published; None for
        nowhere.
        """
        from bench.train.checkpoint import Checkpoint

        return None if self._keep_every is None else Checkpoint(self._training(key), self._keep_every)

    def _training(self, key: str) -> Path:
        return self._store.root / TRAINING / f"{key}.safetensors"

    def get_or_train(
        self,
        key: str,
        model: Recommender,
        train: Callable[[Recommender], TrainingRecord],
        about: dict[str, Any],
        same: str | None = None,
    ) -> CachedModel:
        """``model`` with the weights of ``key``: loaded if they are there, else trained and stored.

        Args:
            key: of the model.
            model: freshly built and bound; its weights are overwritten.
            train: trains it in place.
            about: JSON-able description stored beside the weights, for people.
            same: another key of the same model: whichever is there serves for both from now on.
        """
        key = self._kept_under(key, same)

        def trained() -> tuple[TrainingRecord, Content]:
            record = train(model)
            return record, Content(model.state_dict(), {"training": record.to_json()}, about)

        record, found = self._store.get_or_make(key, lambda content: _restored(model, content), trained)
        if self.folder(key).exists():
            self._training(key).unlink(missing_ok=True)
        return CachedModel(model, record, found)

    def _kept_under(self, key: str, same: str | None) -> str:
        """The key under which the model is, or will be; the others lead there."""
        folder = self._root / MODELS.folder
        keys = [one for one in (key, same) if one is not None]
        found = [
            one for known in keys for one in (known, _other(self._root, known)) if (folder / one).exists()
        ]
        place = found[0] if found else key
        for one in keys:
            if one != place and _other(self._root, one) != place:
                write_text(self._root / SAME / one, place)
        return place


def _restored(model: Recommender, content: Content) -> TrainingRecord:
    """Give ``model`` the weights; what training them cost. Raises before it changes a weight."""
    from bench.train.record import TrainingRecord

    record = TrainingRecord.from_json(content.facts["training"])
    expected = {name: value.shape for name, value in model.state_dict().items()}
    if expected != {name: value.shape for name, value in content.tensors.items()}:
        raise ValueError("the weights are those of another network")
    model.load_state_dict(content.tensors)
    return record
