"""What a stream has come to, kept between two requests so that a killed one goes on from there.

An entry of the content store holds the model, the method's state and the figures so far, whole or not at all.
Keeping costs a tenth of the serving at most: an entry is written when ten times its writing has been spent on
requests since the last one. It is removed when the cell is finished.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.cache.store import STREAMS, Content, ContentStore
from bench.disk.locks import held, lock_file
from bench.stream.served import Served
from datasets.interactions import InteractionData
from models.base import Recommender
from unlearning.base import PreparedState, UnlearningMethod

Blank = Callable[[int], tuple[Recommender, InteractionData]]
"""An untrained model of the cell's backbone and the data it is bound to: what a number of requests left."""
SHARE = 10
"""How many times its own writing must have been spent on requests before an entry is written."""


@dataclass(frozen=True)
class SoFar:
    """A stream after ``served``: the model, the state, and what was measured at checkpoints so far.

    ``metrics`` are by number of requests; ``spent_before`` are offline and warm-up seconds.
    """

    model: Recommender
    state: Any = None
    served: Sequence[Served] = ()
    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    spent_before: tuple[float, float] = (0.0, 0.0)


class KeptStream:
    """The entries of one stream.

    Args:
        root: the cache's folder.
        key: of the cell.
        about: JSON-able description for people.
    """

    def __init__(self, root: Path, key: str, method: UnlearningMethod, about: dict[str, Any]) -> None:
        self._root, self._key, self._method, self._about = root, key, method, about
        self._store = ContentStore(root, STREAMS)
        self._cost, self._since = 0.0, time.monotonic()

    def latest(self, blank: Blank, device: torch.device) -> SoFar | None:
        """Where the stream was interrupted; None where it is to begin.

        Args:
            blank: makes what a model is read into.
            device: to put the state on.
        """
        numbers = sorted((int(path.name.rpartition("-")[2]) for path in self._folders()), reverse=True)
        for number in numbers:
            found = self._store.load(self._name(number), lambda content: self._read(content, blank, device))
            if found is not None:
                return found
        return None

    def offer(self, so_far: SoFar, at_once: bool) -> None:
        """Keep it, where it can be kept and has become worth it, or ``at_once``."""
        if not (at_once or time.monotonic() - self._since >= SHARE * self._cost):
            return
        packed = self._method.packed(so_far.model, so_far.state)
        if packed is None:
            return
        began, older = time.monotonic(), list(self._folders())
        facts = {
            "figures": packed.figures,
            "served": [one.to_json() for one in so_far.served],
            "metrics": {str(number): metrics for number, metrics in so_far.metrics.items()},
            "spent_before": list(so_far.spent_before),
        }
        name = self._name(len(so_far.served))
        with held(lock_file(self._root, name), f"the stream {name}"):
            self._store.keep(name, Content(packed.tensors, facts, self._about))
        for folder in older:
            if folder.name != name:
                shutil.rmtree(folder)
        self._since = time.monotonic()
        self._cost = self._since - began

    def remove(self) -> None:
        """Remove all entries: the cell is finished."""
        for folder in self._folders():
            shutil.rmtree(folder)

    def _read(self, content: Content, blank: Blank, device: torch.device) -> SoFar:
        served = [Served(**values) for values in content.facts["served"]]
        tensors = {name: value.to(device) for name, value in content.tensors.items()}
        packed = PreparedState(tensors, dict(content.facts["figures"]))
        model, state = self._method.unpacked(packed, *blank(sum(one.in_time for one in served)))
        metrics = {int(step): dict(values) for step, values in content.facts["metrics"].items()}
        offline, warmup = content.facts["spent_before"]
        return SoFar(model, state, served, metrics, (offline, warmup))

    def _folders(self) -> list[Path]:
        return [path for path in self._store.folder(self._key).parent.glob(f"{self._key}-*") if path.is_dir()]

    def _name(self, number: int) -> str:
        return f"{self._key}-{number}"
