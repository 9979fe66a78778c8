"""Forget recall of each user: what relearning and returning are measured by."""

from __future__ import annotations

from bench.audits.base import AuditContext
from bench.audits.statistics import Floats
from bench.measure.evaluate import HEADLINE_K, evaluate_split, evaluating
from datasets.pairs import PairIndex
from models.base import Recommender


class ForgetRecall:
    """Forget recall@20 by user with a forgotten pair, retained training pairs masked."""

    def __init__(self, context: AuditContext) -> None:
        full = context.full
        self._forget = PairIndex(context.judged_pairs(context.request.forget), full.num_users, full.num_items)
        self._known = PairIndex(context.retain.train, full.num_users, full.num_items)
        self._chunk_scores = context.chunk_scores

    def __call__(self, model: Recommender) -> Floats:
        """[U], in evaluation mode; the model is left in its former mode."""
        with evaluating(model):
            result = evaluate_split(
                model.scorer(), self._forget, self._known, self._chunk_scores, (HEADLINE_K,)
            )
        values: Floats = result.values[f"recall_at_{HEADLINE_K}"].cpu().double().numpy()
        return values
