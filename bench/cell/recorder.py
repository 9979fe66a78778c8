"""What the harness hears of a method while it runs, and whether it gets back what it lent as it was.

The recorder keeps a method's curves over seconds, and its device-free cost. Of what is lent, every tensor of
the data and the request is digested before and after. Content (features and item graphs) is large and, in a
stream, the same at every request: its digest is taken once, and again where it is asked for thoroughly; in
between torch's own count of changes in place stands for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.machine.timing import Stopwatch
from datasets.interactions import InteractionData
from models.base import Recommender
from unlearning.base import Problem, Recorder

Probe = Callable[[Recommender], dict[str, float]]


class TrajectoryRecorder(Recorder):
    """Evaluates each epoch off the clock and keeps one point per epoch.

    ``points`` holds dictionaries with ``epoch``, ``seconds`` (method time so far), the probe's
    figures and the method's own values.
    """

    def __init__(self, watch: Stopwatch, probe: Probe | None) -> None:
        self._watch = watch
        self._probe = probe
        self.points: list[dict[str, float]] = []
        self.num_examples = self.num_steps = 0

    def epoch(self, model: Recommender, values: dict[str, float] | None = None) -> None:
        """Store one point; see ``Recorder``."""
        with self._watch.paused():
            measured = self._probe(model) if self._probe else {}
            point: dict[str, Any] = {"epoch": len(self.points) + 1, "seconds": self._watch.seconds}
            self.points.append({**point, **measured, **(values or {})})

    def examples(self, count: int, steps: int = 1) -> None:
        """Count ``count`` training examples of ``steps`` gradient steps."""
        self.num_examples += count
        self.num_steps += steps


_Known = tuple[Tensor, int, bytes]
"""A tensor (held, so that no other takes its place), its count of changes in place, its digest."""


class Lent:
    """Takes digests of problems; knows the content of those before."""

    def __init__(self) -> None:
        self._content: dict[int, _Known] = {}

    def digest(self, problem: Problem, thorough: bool = True) -> str:
        """Digest of every tensor that a method is lent.

        Args:
            thorough: read all content; else only what is new here or was counted as changed.
        """
        before, self._content = self._content, {}
        request, digest = problem.request, hashlib.blake2b()
        for tensor in (request.users, request.items, request.forget):
            digest.update(digest_of(tensor))
        for data in (problem.full, problem.retain):
            for tensor in (data.train, data.valid, data.withdrawn_items):
                digest.update(digest_of(tensor))
            for tensor in _content(data):
                digest.update(self._known(tensor, before, thorough))
        return digest.hexdigest()

    def _known(self, tensor: Tensor, before: Mapping[int, _Known], thorough: bool) -> bytes:
        known = self._content.get(id(tensor)) or (None if thorough else before.get(id(tensor)))
        if known is None or known[1] != tensor._version:
            known = tensor, tensor._version, digest_of(tensor)
        self._content[id(tensor)] = known
        return known[2]


def digest_of(tensor: Tensor) -> bytes:
    """Digest of shape and values; of a sparse tensor, of all its parts."""
    digest = hashlib.blake2b()
    for part in _parts(tensor):
        digest.update(f"|{tuple(part.shape)}|".encode())
        digest.update(part.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.digest()


def _content(data: InteractionData) -> Iterable[Tensor]:
    return (*data.features.values(), *data.item_graphs.values())


def _parts(tensor: Tensor) -> tuple[Tensor, ...]:
    if tensor.layout == torch.sparse_csr:
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    return (tensor,)
