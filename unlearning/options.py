"""Options every method shares. Light on purpose: no torch, so that configs are checked fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

GraphChoice = Literal["retain", "full"]
MovedModules = Literal["id", "fusion", "small", "all"]
RepairExamples = Annotated[int, Field(ge=0)] | Literal["erase"]


@dataclass(frozen=True)
class Forecast:
    """What serving lists will take; ``refusal`` is the sentence where that is too much."""

    calls: int
    tokens_in: int
    tokens_out: int
    money: float | None = None
    refusal: str = ""


@dataclass(frozen=True)
class MethodOptions:
    """Which interactions the backbone's graphs are built from, as an explicit, logged choice.

    Papers rarely say (TRU does not); ``retain`` is the default because a platform that has deleted the
    data no longer holds its edges. With ``full`` the forgotten edges stay reachable, and item
    content stays as well in the item regime.
    """

    graph_at_unlearning: GraphChoice = "retain"
    graph_at_evaluation: GraphChoice = "retain"

    def forecast(self, users: int) -> Forecast | None:
        """What serving a list to each of ``users`` will take; None for a method that asks nobody."""
        return None


@dataclass(frozen=True)
class ShardOptions(MethodOptions):
    """What all methods share that train isolated shards."""

    shards: Annotated[int, Field(ge=2)] = 10
    """Number of shards k. Published: 10 (RecEraser, CURE4Rec, TRU's run of UltraRE)."""

    shard_epochs: Annotated[int, Field(ge=1)] | None = None
    """Epochs of a shard model, without selection; null trains it like the backbone itself, with early
    stopping on the shard's own validation users."""


@dataclass(frozen=True)
class CombinerOptions(ShardOptions):
    """What the methods share that fit a combiner over their shards."""

    combiner_data: Literal["train", "valid"] = "train"
    """What the combiner is fitted on. With ``valid`` validation labels enter the weights, so validation
    figures are of data that was fitted: such a cell says so (``fitted_on_validation``) and takes no part
    where methods are selected by validation figures."""

    combiner_epochs: Annotated[int, Field(ge=0)] = 10
    """Passes of the combiner. Published: 50 (RecEraser); the default is ours."""

    combiner_lr: Annotated[float, Field(gt=0)] = 1e-2
    """Of its Adam. Published: .01 (TRU); RecEraser: not read."""

    attention_dim: Annotated[int, Field(ge=1)] = 32
    """Width of the attention. Published: 32 (RecEraser)."""


@dataclass(frozen=True)
class ReverseRepairOptions(MethodOptions):
    """The knobs of the reverse-repair protocol (TRU, arXiv 2604.02183, Eq. 2), for MMRecUn and TRU.

    Only ``alpha`` has a published value. The rest is open in both papers; the defaults are the
    reading that behaves as the papers describe (docs/methods/mmrecun.md).
    """

    epochs: Annotated[int, Field(ge=0)] = 4
    """Rounds of one reverse and one repair phase. Published: unknown; ours."""

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Reverse ratio: the reverse step is scaled by alpha, the repair step by 1 - alpha; 0 skips the
    reverse phase, 1 the repair phase. 0.2 is what TRU gave MMRecUn (its appendix A)."""

    form: Literal["swap", "ascent"] = "swap"
    """``swap`` descends -log sigma(s_neg - s_pos - margin), which stops by itself; ``ascent`` climbs
    the backbone's own ranking loss (Eq. 2 as printed), which never stops. Published: contradictory."""

    margin: float = 0.0
    """How far, in score, the forgotten item must fall below the negative before the push halves
    (``swap`` only). Ours."""

    reverse_terms: Literal["ranking", "full"] = "ranking"
    """What is reversed: the ranking term, or the whole training loss of the backbone. Climbing the
    L2 term inflates norms, hence ``ranking``. Published: unknown; ours."""

    reduction: Literal["sum", "mean"] = "sum"
    """Over the batch in the reverse phase. With ``sum`` the step per forgotten pair does not depend
    on the size of the batch or of the forget set. Published: unknown; ours."""

    reverse_lr: Annotated[float, Field(gt=0)] | None = 10.0
    """Learning rate of a reverse phase with plain gradient steps, before the factor alpha; null means the
    backbone's (the papers name one rate, .001, for all). The default is ours, on the summed loss in
    ``score`` units."""

    reverse_unit: Literal["score", "raw"] = "score"
    """Of ``reverse_lr``. ``score``: 1 is the step that, at full push, lowers the scores of a batch of
    forgotten pairs by 1 on average (first order, measured once at the start, over what the phase moves),
    so that one value serves backbones of any scale. ``raw``: as it stands. Ours."""

    reverse_adam_lr: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of a reverse phase with Adam, before the factor alpha; null means the backbone's. Apart
    from ``reverse_lr``, because Adam's steps have the size of its rate whatever the gradient is."""

    repair_lr: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of the repair phase before the factor 1 - alpha; null means the backbone's."""

    repair_batches: Annotated[int, Field(ge=1)] | None = 2
    """Batches of the retain set per repair phase; null means all of them (Algorithm 1 of TRU).
    2 is ours: a full pass costs an epoch of training and brings nothing more here."""


@dataclass(frozen=True)
class SecondOrderOptions(MethodOptions):
    """The knobs of an influence step, (C + damping I) delta = g, theta <- theta + step * delta.

    Shared by ``scif``, ``ifru``, ``gif``, ``ceu`` and ``idea``; their cards state what each published.
    """

    modules: MovedModules = "id"
    """What moves: the ID tables; with ``fusion`` the fusion weights too; with ``small`` everything but raw
    feature tables; or ``all``. Published: all parameters of small models."""

    curvature: Literal["gauss_newton", "hessian"] = "gauss_newton"
    """C: positive semi-definite, or the Hessian as published, indefinite for a product of embeddings."""

    curvature_data: Literal["retain", "full"] = "retain"
    """Whose curvature: that of the loss that is left, as in a Newton step, or that of all data on the full
    graph, as published."""

    curvature_pairs: Annotated[int, Field(ge=1)] | None = 4096
    """Pairs on which the curvature is measured; null means all. Published: 1,024 (ERASE). Ours."""

    loss: Literal["ranking", "training"] = "ranking"
    """What is differentiated: the ranking term, or the whole training loss (with ``curvature=hessian``)."""

    stationarity: Literal["assume", "include"] = "assume"
    """Whether the trained model counts as an optimum, or its gradient on all data is measured and
    subtracted: then the step is one Newton step on the loss that is left."""

    affected_cap: Annotated[int, Field(ge=1)] | None = 16384
    """Affected (and, with ``stationarity=include``, all) pairs on which gradients are measured at most,
    weighted up to their number; null means all. Ours."""

    solver: Literal["cg", "neumann", "adam_p"] = "cg"
    """Conjugate gradients, the Neumann series, or Adam on the solution."""

    tolerance: Annotated[float, Field(ge=0)] = 1e-5
    """Relative residual at which the solver ends. Published: 1e-5 (SCIF in ERASE)."""

    iterations: Annotated[int, Field(ge=1)] = 100
    """Of the solver, at most. Published: 100 (ERASE)."""

    scale: Annotated[float, Field(gt=0)] | None = None
    """Of the Neumann series; null finds it by power iterations. Published: 50 to 1e8, of summed losses."""

    adam_rate: Annotated[float, Field(gt=0)] = 1e4
    """Learning rate of ``adam_p`` on n times the step. Published: 1e4 (IFRU, LightGCN), 5e3 and 2e4 (MF)."""

    damping: Annotated[float, Field(ge=0)] = 0.01
    """Added to the diagonal of C. Published: .01 (ERASE), 0 (GIF)."""

    damping_unit: Literal["mean_diagonal", "absolute"] = "mean_diagonal"
    """Of ``damping``: the mean of C's diagonal, or as it stands (published)."""

    step: Annotated[float, Field(ge=0)] = 1.0
    """Share of the solution that is taken. Published: 1."""

    max_step: Annotated[float, Field(gt=0)] | None = 0.1
    """Trust region: longest step, in norms of what moves; null means none, as published. Ours."""

    noise: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of Gaussian noise on what moves. Published: .1 (CEU in ERASE), .001 to .6 (IDEA)."""

    epsilon: Annotated[float, Field(gt=0)] | None = None
    """Of a certificate: noise of bound * sqrt(2 ln(1.25 / delta)) / epsilon in place of ``noise``. Null:
    none. Published: .1 (ERASE)."""

    delta: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Of a certificate. Published: .01 (IDEA in ERASE)."""

    bound: Annotated[float, Field(gt=0)] | None = None
    """Of a certificate: the distance from the retrained model that is *assumed*. Nobody has one for a
    backbone that is not convex."""

    repair_examples: RepairExamples = 0
    """Retain examples of ordinary training after the step; ``erase``: max(32, 8 |F|), at most |D| / 10."""
