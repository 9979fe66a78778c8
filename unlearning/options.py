"""Options every method shares. Light on purpose: no torch, so that configs are checked fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

GraphChoice = Literal["retain", "full"]


@dataclass(frozen=True)
class MethodOptions:
    """Which interactions the backbone's graphs are built from, as an explicit, logged choice.

    Papers rarely say (TRU does not); ``retain`` is the default because a platform that has deleted the
    data no longer holds its edges. With ``full`` the forgotten edges stay reachable, and item
    content stays as well in the item regime.
    """

    graph_at_unlearning: GraphChoice = "retain"
    graph_at_evaluation: GraphChoice = "retain"


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
