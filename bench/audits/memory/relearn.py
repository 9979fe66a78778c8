"""Relearning: how fast does the forget set come back when it is trained on again?

Private copies of the model are trained on the forget pairs alone, with a fresh Adam and the cell's batch
size, at several learning rates. The area under the curve of forget recall@20 (as a share of the
original's, on its own graph) against passes is near 1 where nothing was lost and near 0 where nothing
comes back. Gold's area is what learning anew brings: more is memory.

Less is not cleaner. A model whose rows were pushed far away comes back late at a small rate because Adam
carries a weight by about the rate per step at most; at a rate a hundred times larger it is carried
anywhere. So every rate is reported, and the distance to gold's area at the worst of them.

Every copy, the original's too, is bound to the graph of the retain set: the curve is about weights, and
with the forgotten edges put back a graph backbone would recommend along them without having learned
(``bench.audits.memory.put_back`` asks for that).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from scipy.integrate import trapezoid

from bench.audits.base import Audit, AuditContext, Figures, MemoryClaim, TraceClaim, check_forgotten_pairs
from bench.audits.memory.forget_recall import ForgetRecall
from bench.audits.options import AuditOptions
from bench.audits.statistics import Floats, with_intervals
from bench.machine.seeding import derive, generator, seed_everything
from bench.measure.evaluate import evaluating
from bench.train.loop import train_epoch
from datasets.sampling import TripleSampler
from models.base import Recommender
from models.capabilities import Capability
from models.optimiser import adam


@dataclass(frozen=True)
class RelearnOptions(AuditOptions):
    """The knobs of relearning. All defaults are ours."""

    rates: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Field(min_length=1)] = (
        0.001,
        0.01,
        0.1,
    )
    """Learning rates of Adam: the one that MMRec trains with, ten times and a hundred times it."""

    passes: Annotated[int, Field(ge=1)] = 20
    """Passes over the forget set at each rate."""


class Relearn(Audit):
    """Forget recall against passes over the forget set."""

    name = "relearn"
    Options = RelearnOptions
    options: RelearnOptions
    memory = MemoryClaim("area")
    trace = TraceClaim((f"area_at_{RelearnOptions.rates[0]:g}",))
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.TRAINING, Capability.REBINDING})

    def __init__(self, context: AuditContext, options: Any = None) -> None:
        super().__init__(context, options)
        check_forgotten_pairs("relearn", context)
        self._forget_recall = ForgetRecall(context)

    def figures(self, model: Recommender) -> Figures:
        """``area`` (mean over the rates), ``area_at_<rate>``, ``regained_at_<rate>`` after the last pass,
        ``from_gold``: the largest distance to gold's area over the rates. 95 % intervals over users.

        Array: ``curve`` [rates, passes + 1], forget recall@20 before the first pass and after each.
        """
        curves = self._curves(model)
        seed = derive(self.context.seed, "relearn users")
        found = with_intervals(lambda weights: self._shares(curves, weights), curves.shape[2], seed)
        return {**found, "curve": torch.from_numpy(curves.mean(axis=2))}

    def _shares(self, curves: Floats, weights: Floats) -> dict[str, Floats]:
        """The figures [B] of users weighted by ``weights`` [B, U]."""
        whole = (weights @ self._original).clip(min=1e-12)
        areas, golds = (_areas(each) @ weights.T / whole for each in (curves, self._gold))
        last = curves[:, -1] @ weights.T / whole
        found = {"area": areas.mean(axis=0), "from_gold": np.abs(areas - golds).max(axis=0)}
        for rate, area, end in zip(self.options.rates, areas, last, strict=True):
            found |= {f"area_at_{rate:g}": area, f"regained_at_{rate:g}": end}
        return found

    @cached_property
    def _original(self) -> Floats:
        with evaluating(self.context.references["original"]) as original:
            return self._forget_recall(original)

    @cached_property
    def _gold(self) -> Floats:
        with evaluating(self.context.references["gold"]) as gold:
            return self._curves(gold)

    def _curves(self, model: Recommender) -> Floats:
        """Forget recall@20 of each user by rate and pass: [rates, passes + 1, U]."""
        return np.stack([self._curve(model, rate) for rate in self.options.rates])

    def _curve(self, model: Recommender, rate: float) -> Floats:
        context = self.context
        own = copy.deepcopy(model)
        own.bind(context.retain)
        seed_everything(context.seed, "relearn")
        sampler = TripleSampler(
            context.request.forget,
            context.full.train,
            context.full.num_items,
            generator(context.seed, "relearn", context.full.train.device),
        )
        optimiser = adam((p for p in own.parameters() if p.requires_grad), rate)
        curve = [self._forget_recall(own)]
        for _ in range(self.options.passes):
            with torch.enable_grad():
                train_epoch(own, sampler, optimiser, context.train.batch_size)
            curve.append(self._forget_recall(own))
        return np.stack(curve)


def _areas(curves: Floats) -> Floats:
    """Area under each curve [rates, passes + 1, U] by the trapezoidal rule, per pass: [rates, U]."""
    area: Floats = trapezoid(curves, axis=1) / (curves.shape[1] - 1)
    return area
