"""ScaleGUN, adapted to pairs, without certificate: removed edges, then one Newton step of a linear head.

Yi and Wei, "Scalable and Certifiable Graph Unlearning: Overcoming the Approximation Error Barrier", ICLR
2025, removes edges from the propagation Z = A^L X of a linear model and corrects its weights by

    w <- w + H^-1 ( grad L(w; D, Z) - grad L(w; D', Z') ),    H = grad^2 L(w; D', Z')

Here D are training pairs (u, i) with one fixed negative j each, Z the backbone's final embeddings, Z' the
same on the graph of the retain set, and L the BPR loss of a linear head plus (lambda m / 2) |w|^2 over
the m pairs of the head:

    head "shared"   x = z_u * (z_i - z_j), one w for all pairs, 1 in the trained model
    head "user"     x = z_i - z_j, one w per user, z_u in the trained model

The backbone is nonlinear and trained jointly and no noise is added: the paper's guarantee does not
apply. TRU (arXiv 2604.02183) runs such an "edge-style adaptation"; its recipe is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from datasets.errors import InputError
from datasets.pairs import PairSet
from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from unlearning.base import Problem, Recorder, Setting, UnlearningMethod, UnlearnResult
from unlearning.distillation import Embeddings, frozen
from unlearning.linear_head import HeadedRecommender, logistic_gradient, logistic_hessian
from unlearning.options import MethodOptions
from unlearning.passes import whole_pass


@dataclass(frozen=True)
class ScaleGUNOptions(MethodOptions):
    """Published: ScaleGUN's own defaults, where they have a counterpart."""

    head: Literal["shared", "user"] = "shared"
    """Which linear model takes the step: one over all pairs, or one per user. Published: one per class
    of a node classifier; the counterpart in TRU's adaptation is unknown. Ours."""

    regularisation: Annotated[float, Field(gt=0)] = 1e-2
    """lambda. Published: .01."""


class ScaleGUN(UnlearningMethod):
    """Edge removal and a Newton step, without certificate."""

    Options = ScaleGUNOptions
    no_stream = (
        "its head is fitted once to the trained model, and no second step on a moved head is published"
    )
    options: ScaleGUNOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` for a backbone whose scores are no inner products of its embeddings."""
        if type(model).scorer is not Recommender.scorer:
            raise InputError(
                f"method.name=scalegun puts a linear head on inner products, which {type(model).__name__} "
                "does not score by: choose another backbone or method."
            )

    def prepare(self, original: Recommender, setting: Setting) -> Embeddings:
        """Z, the embeddings on the full graph."""
        return frozen(original)

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """One step on the head of a frozen ``original``, whose graph has lost the forgotten edges."""
        old, new = problem.prepared, frozen(original)
        model = HeadedRecommender(original, problem.retain, new.users.shape[1])
        heads, steps = self._newton(old, new, problem, recorder)
        with torch.no_grad():
            if self.options.head == "shared":
                model.scale.add_(steps[0])
            else:
                # The head was fitted to the old Z: its weights are the old user vectors.
                model.shift[heads] = old.users[heads] + steps - new.users[heads]
        recorder.epoch(model, {"newton/mean_step": float(steps.norm(dim=1).mean())})
        return UnlearnResult(model, notes={"certificate": "none", "heads": len(heads)})

    def _newton(
        self, old: Embeddings, new: Embeddings, problem: Problem, recorder: Recorder
    ) -> tuple[Tensor, Tensor]:
        """Users (or 0) whose head moves [h], and the steps H^-1 (grad - grad') [h, d]."""
        shared = self.options.head == "shared"
        touched = problem.request.forget[0].unique()
        heads = touched.new_zeros(1) if shared else touched
        batch, kept = self._examples(problem, None if shared else touched)
        start = torch.ones_like(old.users[:1]) if shared else old.users[heads]
        owner = torch.zeros_like(batch.users) if shared else torch.searchsorted(heads, batch.users)
        before, after = (differences(z, batch, shared) for z in (old, new))
        gradient = logistic_gradient(start, owner, before)
        gradient = gradient - logistic_gradient(start, owner[kept], after[kept])
        hessian = logistic_hessian(start, owner[kept], after[kept])
        size = torch.bincount(owner, minlength=len(heads)).to(hessian)
        hessian.diagonal(dim1=1, dim2=2).add_(self.options.regularisation * size[:, None])
        recorder.examples(len(owner) + int(kept.sum()))
        return heads, torch.linalg.solve(hessian, gradient)

    def _examples(self, problem: Problem, users: Tensor | None) -> tuple[Batch, Tensor]:
        """All pairs of D (of ``users``) with a negative each, and which of them are in D'."""
        full = problem.full
        batch = whole_pass(TripleSampler(full.train, full.train, full.num_items, problem.generator))
        if users is not None:
            mine = torch.isin(batch.users, users)
            batch = Batch(*(ids[mine] for ids in batch))
        return batch, ~PairSet(problem.request.forget, full.num_items).contains(batch.users, batch.positives)


def differences(z: Embeddings, batch: Batch, shared: bool) -> Tensor:
    """x of every example: z_i - z_j, times z_u for the shared head: [P, d]."""
    gap = z.items[batch.positives] - z.items[batch.negatives]
    return z.users[batch.users] * gap if shared else gap
