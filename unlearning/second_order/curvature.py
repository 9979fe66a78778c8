"""Gradients and curvature products of a backbone's loss over chosen coordinates.

With x_p the margin of a triple and l its loss, over triples P and with one factor s:

    Gauss-Newton   C = s sum_p l''(x_p) grad x_p grad x_p^T        positive semi-definite
    Hessian        C = s sum_p grad^2 l_p                          indefinite through a product of embeddings

Both keep the forward pass that they were built with, so that graph, parameters and whatever a backbone draws
are the same in every product.
"""

from __future__ import annotations

import torch
from torch import Tensor

from datasets.sampling import Batch
from models.base import Recommender
from unlearning.base import Recorder
from unlearning.second_order.coordinates import Coordinates
from unlearning.second_order.objective import MarginLoss, Total, margins

_CHUNK = 32768
"""Triples of one gradient: 8 MB for each of their embeddings at a width of 64."""


def gradient(
    model: Recommender, total: Total, triples: Batch, place: Coordinates, recorder: Recorder
) -> Tensor:
    """Gradient of the summed loss of ``triples`` over the coordinates: [size]. Counted as cost."""
    found = torch.zeros_like(place.values())
    for rows in torch.arange(len(triples.users), device=triples.users.device).split(_CHUNK):
        part = Batch(*(ids[rows] for ids in triples))
        slopes = torch.autograd.grad(total(model, part), place.parameters, allow_unused=True)
        found += place.gather(slopes)
        recorder.examples(len(rows))
    return found


class GaussNewton:
    """Products with the Gauss-Newton matrix: two passes over the triples each, and one to begin with."""

    def __init__(
        self,
        model: Recommender,
        loss: MarginLoss,
        triples: Batch,
        factor: float,
        place: Coordinates,
        recorder: Recorder,
    ) -> None:
        self._place, self._recorder = place, recorder
        self._margins = margins(model, triples)
        self._weights = factor * loss.bend(self._margins.detach())
        # J^T w is linear in w, so its derivative along v is J v: no forward mode is needed.
        self._dummy = torch.zeros_like(self._margins, requires_grad=True)
        pulled = torch.autograd.grad(
            self._margins, place.parameters, self._dummy, create_graph=True, allow_unused=True
        )
        self._reached = [index for index, tensor in enumerate(pulled) if tensor is not None]
        self._pulled = [tensor for tensor in pulled if tensor is not None]
        recorder.examples(len(self._margins))

    def __call__(self, vector: Tensor) -> Tensor:
        """C v: [size]."""
        if not self._pulled:
            return torch.zeros_like(vector)
        spread = self._place.scatter(vector)
        along = [spread[index] for index in self._reached]
        (pushed,) = torch.autograd.grad(self._pulled, self._dummy, along, retain_graph=True)
        slopes = torch.autograd.grad(
            self._margins,
            self._place.parameters,
            self._weights * pushed,
            retain_graph=True,
            allow_unused=True,
        )
        self._recorder.examples(2 * len(pushed), steps=2)
        return self._place.gather(slopes)


class Hessian:
    """Products with the Hessian: one pass forward and one back through the gradient, counted as two."""

    def __init__(
        self,
        model: Recommender,
        total: Total,
        triples: Batch,
        factor: float,
        place: Coordinates,
        recorder: Recorder,
    ) -> None:
        self._place, self._recorder, self._size = place, recorder, len(triples.users)
        slopes = torch.autograd.grad(
            factor * total(model, triples), place.parameters, create_graph=True, allow_unused=True
        )
        self._reached = [i for i, slope in enumerate(slopes) if slope is not None and slope.requires_grad]
        self._slopes = [slopes[index] for index in self._reached]
        recorder.examples(self._size)

    def __call__(self, vector: Tensor) -> Tensor:
        """C v: [size]."""
        if not self._slopes:
            return torch.zeros_like(vector)
        spread = self._place.scatter(vector)
        along = [spread[index] for index in self._reached]
        bent = torch.autograd.grad(
            self._slopes, self._place.parameters, along, retain_graph=True, allow_unused=True
        )
        self._recorder.examples(2 * self._size)
        return self._place.gather(bent)
