"""Traces: can one tell who was forgotten from the weights or the lists alone?

Forgotten users (items, where items are withdrawn; users with a forgotten pair, where pairs are) are held
against equally active ones who stay, by four features (``bench.audits.memory.trace_features``). A one-class
detector (local outlier factor, Breunig et al., SIGMOD 2000) learns from others who stay what is usual;
``auc`` is how well its outlier score tells the forgotten, ``<feature>_auc`` how well the feature alone does:
below .5 they are lower in it, above .5 higher.

The target is gold's value, on either side. Gold leaves a trace too: a user without any data has an
untrained row. A method that does nothing leaves none, and one that forgets past gold another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from bench.audits.base import Audit, AuditContext, Figures, TraceClaim, unit_side
from bench.audits.item_vectors import item_vectors
from bench.audits.matching import Counted, partners
from bench.audits.memory.trace_features import item_lists, row_features, user_lists
from bench.audits.options import AuditOptions, Ratio
from bench.audits.statistics import Floats, Ints, Roc, with_intervals
from bench.machine.seeding import derive
from datasets.errors import InputError
from models.base import Recommender, Side
from models.capabilities import Capability

FEWEST = 20
ROWS = ("row_norm", "nearest_row")


@dataclass(frozen=True)
class TraceOptions(AuditOptions):
    """The knobs of the search for traces. All defaults are ours."""

    references: Annotated[int, Field(ge=30)] = 2000
    """Users (items) who stay from whom the detector learns what is usual, at most; half of all at most."""

    neighbours: Annotated[int, Field(ge=1)] = 20
    """Nearest references, in the distance to the nearest rows and in the local outlier factor."""

    ratio: Ratio = 2.0
    """How far a forgotten user and the one he is held against may be apart in activity, as a ratio of counts
    plus one; who has no such partner is left out."""

    factors: Annotated[int, Field(ge=1)] = 16
    """Rank of the item vectors by which the diversity of a list is measured."""


class Trace(Audit):
    """The forgotten against equally active ones who stay."""

    name = "trace"
    Options = TraceOptions
    options: TraceOptions
    trace = TraceClaim(
        ("auc", "row_norm_auc", "nearest_row_auc", "score_level_auc", "list_diversity_auc"), regime="user"
    )
    needs: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.EMBEDDINGS, Capability.SCALE, Capability.UNMASKED}
    )

    def __init__(self, context: AuditContext, options: Any = None) -> None:
        super().__init__(context, options)
        side = unit_side(context.request)
        self._side: Side = "item" if side else "user"
        self._random = np.random.default_rng(derive(context.seed, "trace"))
        self._forgotten, self._controls, self._references = self._drawn(self._activity(side), side)

    def figures(self, model: Recommender) -> Figures:
        """``auc``, ``rows_auc``, ``lists_auc``: of the outlier score over all features, those of the row and
        those of the lists. ``<feature>_auc``: of the feature alone; ``<feature>_shift``: the difference of
        the means in standard deviations of those who stay. ``units``: forgotten that are judged,
        ``controls``: others that they are held against; 95 % intervals over these, each with the
        forgotten that it is the partner of.
        """
        features = self._features(model)
        counts = np.cumsum([len(self._forgotten), len(self._controls)])
        gone, stay, usual = ({k: v[part] for k, v in features.items()} for part in _parts(*counts))
        outlying = {
            f"{name}auc": [_outlyingness(usual, own, names, self.options.neighbours) for own in (gone, stay)]
            for name, names in self._groups(features).items()
        }
        own = {f"{name}_auc": [gone[name], stay[name]] for name in features}
        _, unit = np.unique(self._controls, return_inverse=True)
        curves = {name: Roc(high, low, unit) for name, (high, low) in {**outlying, **own}.items()}

        def found(weights: Floats) -> dict[str, Floats]:
            weight = weights[:, unit]
            shifts = {f"{name}_shift": _shift(gone[name], stay[name], weight) for name in features}
            return {**{name: curve.area(weights) for name, curve in curves.items()}, **shifts}

        seed = derive(self.context.seed, "trace resamples")
        units, controls = float(len(unit)), int(unit.max()) + 1
        return {**with_intervals(found, controls, seed), "units": units, "controls": float(controls)}

    def _groups(self, features: dict[str, Floats]) -> dict[str, tuple[str, ...]]:
        lists = tuple(name for name in features if name not in ROWS)
        return {"": (*ROWS, *lists), "rows_": ROWS, "lists_": lists}

    def _features(self, model: Recommender) -> dict[str, Floats]:
        """Each feature of the forgotten, the ones they are held against, and the references."""
        references = self._ids(self._references)
        ids = torch.cat([self._ids(self._forgotten), self._ids(self._controls), references])
        rows = row_features(model, self._side, ids, references, self.options.neighbours)
        limit = self.context.chunk_scores
        if self._side == "user":
            return {**rows, **user_lists(model, ids, self._vectors, limit)}
        users = self.context.retain.train[0].unique()
        return {**rows, **item_lists(model, ids, users, limit)}

    @cached_property
    def _vectors(self) -> Tensor:
        seed = derive(self.context.seed, "trace item vectors")
        return item_vectors(self.context.retain, self.options.factors, seed)

    def _activity(self, side: int) -> Ints:
        """Training pairs of each user or item: before a request that takes all of theirs, else after it.

        Who lost some of his pairs is to be told from others with as many as he has left.
        """
        full, request = self.context.full, self.context.request
        whole = bool(request.users.numel() or request.items.numel())
        pairs = (full if whole else self.context.retain).train[side]
        counts = torch.bincount(pairs, minlength=full.num_items if side else full.num_users)
        activity: Ints = counts.cpu().numpy()
        return activity

    def _drawn(self, activity: Ints, side: int) -> tuple[Ints, Ints, Ints]:
        """Ids of the forgotten, of an equally active one for each, and of references apart from both."""
        request = self.context.request
        asked = request.items if side else request.users
        gone = (asked if asked.numel() else request.forget[side].unique()).cpu().numpy()
        stay = self._random.permutation(np.setdiff1d(np.flatnonzero(activity), gone))
        number = min(self.options.references, len(stay) // 2)
        references, pool = stay[:number], stay[number:]
        sides = [Counted(np.zeros_like(ids), activity[ids]) for ids in (gone, pool)]
        partner = partners(sides[0], sides[1], self.options.ratio, self._random)
        kept = partner >= 0
        controls = len(np.unique(partner[kept]))
        if controls < FEWEST or number < FEWEST:
            raise InputError(
                f"audits=trace finds only {controls} {self._side}s who stay and equal a forgotten one: "
                "ask for another request (regime.ratio) or leave the audit out (audit.audits)."
            )
        return gone[kept], pool[partner[kept]], references

    def _ids(self, ids: Ints) -> Tensor:
        return torch.from_numpy(ids).to(self.context.full.train.device)


def _parts(first: int, second: int) -> tuple[slice, slice, slice]:
    return slice(first), slice(first, second), slice(second, None)


def _outlyingness(
    usual: dict[str, Floats], judged: dict[str, Floats], names: tuple[str, ...], neighbours: int
) -> Floats:
    """Local outlier factor [N] of ``judged`` among ``usual`` in the features ``names``, each scaled alike."""
    learn, score = (np.stack([own[name] for name in names], axis=1) for own in (usual, judged))
    detector = LocalOutlierFactor(n_neighbors=min(neighbours, len(learn) - 1), novelty=True)
    factor: Floats = -make_pipeline(StandardScaler(), detector).fit(learn).score_samples(score)
    return factor


def _shift(gone: Floats, stay: Floats, weights: Floats) -> Floats:
    """Difference of the means [B] in standard deviations of those who stay; 0 where these are all alike."""
    share = weights / weights.sum(axis=1, keepdims=True)
    mean = share @ stay
    deviation = np.sqrt((share @ np.square(stay - stay.mean()) - np.square(mean - stay.mean())).clip(min=0))
    shift: Floats = np.divide(share @ gone - mean, deviation, out=np.zeros_like(mean), where=deviation > 0)
    return shift
