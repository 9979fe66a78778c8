"""MultiDelete: undo the association of a pair, keep each side of it and all other associations.

Cheng and Amiri, "MultiDelete for Multimodal Machine Unlearning", ECCV 2024, adapted to user-item pairs
as TRU (arXiv 2604.02183, appendix A) runs it. With f the student, f* the trained model (frozen), r(u, i)
the joint representation of a pair and v_m(i) the item in modality m alone:

    decoupling   DEC = MSE( r(u, i),   r*(u, j) )    (u, i) forgotten, j an item u never had
    multimodal   MKR = MSE( r(a, b),   r*(a, b) )    (a, b) retained
    unimodal     UKR = mean over m of MSE( v_m(i), v*_m(i) )    i in forgotten pairs

    minimise  lambda_dec DEC + lambda_mkr MKR + lambda_ukr UKR

by Adam, one retain batch beside each forget batch. Representations are those of evaluation: what the
model answers is what is decoupled and kept, not one of its noisy training passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from datasets.errors import InputError
from datasets.sampling import Batch
from models.base import Recommender
from models.optimiser import adam
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.options import MethodOptions
from unlearning.passes import cycle
from unlearning.streams import has_streams, item_streams

Readout = Literal["concat", "product", "score"]


@dataclass(frozen=True)
class MultiDeleteOptions(MethodOptions):
    """Published: the values that TRU names for its run of MultiDelete."""

    lambda_dec: Annotated[float, Field(ge=0)] = 1.0
    """Weight of modality decoupling. Published: 1."""

    lambda_mkr: Annotated[float, Field(ge=0)] = 1.0
    """Weight of multimodal knowledge retention. Published: 1."""

    lambda_ukr: Annotated[float, Field(ge=0)] = 1.0
    """Weight of unimodal knowledge retention. Published: 1."""

    readout: Readout = "concat"
    """The joint representation of a pair from the final embeddings: ``concat`` [p_u ; q_i], ``product``
    p_u * q_i, ``score`` <p_u, q_i>. Published: concat."""

    epochs: Annotated[int, Field(ge=0)] = 20
    """Passes over the forget set. Published: unknown; ours."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Of its own Adam; null means the backbone's (the papers name one rate, .001, for all)."""


class Representation(NamedTuple):
    """Final embeddings of users [U, d] and items [I, d], and the items per modality [I, d_m]."""

    users: Tensor
    items: Tensor
    streams: dict[str, Tensor]


class MultiDelete(UnlearningMethod):
    """Three terms of distillation from the trained model."""

    Options = MultiDeleteOptions
    options: MultiDeleteOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` for a backbone without modalities."""
        if not has_streams(model):
            raise InputError(
                f"method.name=multidelete decouples modalities and {type(model).__name__} has none: "
                "choose a multimodal backbone such as backbone=mgcn."
            )

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Unlearn in place."""
        options, model = self.options, original
        model.eval()
        with torch.no_grad():
            teacher = copied(represent(model))
        optimiser = adam(trainable(model), options.learning_rate or problem.learning_rate)
        forget = problem.forget_sampler()
        retained = cycle(problem.retain_sampler(), problem.batch_size)
        for _ in range(options.epochs):
            terms = []
            for batch in forget.epoch(problem.batch_size):
                kept = Batch(*(ids[: len(batch.users)] for ids in next(retained)))
                terms.append(self._step(model, teacher, batch, kept, optimiser))
                recorder.examples(len(batch.users) + len(kept.users))
            dec, mkr, ukr = torch.stack(terms).mean(dim=0).tolist()
            recorder.epoch(model, {"loss/dec": dec, "loss/mkr": mkr, "loss/ukr": ukr})
            model.eval()
        return UnlearnResult(model)

    def _step(
        self,
        model: Recommender,
        teacher: Representation,
        forgotten: Batch,
        retained: Batch,
        optimiser: torch.optim.Optimizer,
    ) -> Tensor:
        """One Adam step; the three terms, unweighted and without gradient [3]."""
        options = self.options
        terms = torch.stack(losses(represent(model), teacher, forgotten, retained, options.readout))
        weights = terms.new_tensor([options.lambda_dec, options.lambda_mkr, options.lambda_ukr])
        (weights @ terms).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return terms.detach()


def losses(
    student: Representation, teacher: Representation, forgotten: Batch, retained: Batch, readout: Readout
) -> tuple[Tensor, Tensor, Tensor]:
    """DEC, MKR and UKR. ``forgotten.negatives`` are the items j of the mismatched pairs."""
    items = forgotten.positives
    dec = F.mse_loss(
        joint(student, forgotten.users, items, readout),
        joint(teacher, forgotten.users, forgotten.negatives, readout),
    )
    pairs = retained.users, retained.positives
    mkr = F.mse_loss(joint(student, *pairs, readout), joint(teacher, *pairs, readout))
    ukr = [
        F.mse_loss(F.embedding(items, student.streams[m]), F.embedding(items, kept))
        for m, kept in teacher.streams.items()
    ]
    return dec, mkr, torch.stack(ukr).mean()


def joint(model: Representation, users: Tensor, items: Tensor, readout: Readout) -> Tensor:
    """r(u, i) of matching ``users`` and ``items`` [B]: [B, 2 d], [B, d] or [B]."""
    p, q = F.embedding(users, model.users), F.embedding(items, model.items)
    if readout == "concat":
        return torch.cat([p, q], dim=1)
    return p * q if readout == "product" else (p * q).sum(dim=1)


def represent(model: Recommender) -> Representation:
    """What a model answers, with gradient."""
    return Representation(*model.embeddings(), item_streams(model))


def copied(values: Representation) -> Representation:
    """A copy that later changes of the weights do not reach."""
    streams = {m: stream.clone() for m, stream in values.streams.items()}
    return Representation(values.users.clone(), values.items.clone(), streams)
