"""Return: what comes back by itself when the forgotten data does?

The forgotten edges (an item's content as well) are put back under the frozen model: it is bound to the full
data again and no weight is trained. Gold's forget recall is then what the backbone makes of a newcomer's
data; a model that has more still holds what those data had taught it, and one that has less was damaged
where they land.

A blank row of a trained feature table, which belongs to an item whose content was withdrawn, gets the
content as it was read. A row that is not blank was never taken away and stays.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch

from bench.audits.base import Audit, AuditContext, Figures, TraceClaim, check_forgotten_pairs
from bench.audits.memory.forget_recall import ForgetRecall
from bench.audits.statistics import Floats, with_intervals
from bench.machine.seeding import derive
from bench.measure.evaluate import HEADLINE_K
from datasets.interactions import InteractionData
from models.base import Recommender
from models.capabilities import Capability
from models.features import FeatureTables

RECALL = f"recall_at_{HEADLINE_K}"


class PutBack(Audit):
    """Forget recall with the forgotten data bound again."""

    name = "return"
    trace = TraceClaim((RECALL,))
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.REBINDING})

    def __init__(self, context: AuditContext, options: Any = None) -> None:
        super().__init__(context, options)
        check_forgotten_pairs("return", context)
        self._forget_recall = ForgetRecall(context)

    def figures(self, model: Recommender) -> Figures:
        """``recall_at_20`` after the return, ``before`` it and ``regained``, with intervals over users."""
        retain, full = self.context.retain, self.context.full
        before, after = (self._forget_recall(bound(model, data)) for data in (retain, full))

        def means(weights: Floats) -> dict[str, Floats]:
            had, has = (weights @ values / weights.sum(axis=1) for values in (before, after))
            return {RECALL: has, "before": had, "regained": has - had}

        return {**with_intervals(means, len(before), derive(self.context.seed, "return users"))}


def bound(model: Recommender, data: InteractionData) -> Recommender:
    """A copy of the model on the graphs and content of ``data``, its weights as they are."""
    own = copy.deepcopy(model)
    with torch.no_grad():
        own.bind(data)
        for module in own.modules():
            if isinstance(module, FeatureTables):
                _fill_blank_rows(module, data)
        own.bind(data)  # once more: what is derived from the tables follows their rows
    return own


def _fill_blank_rows(tables: FeatureTables, data: InteractionData) -> None:
    """Content of ``data`` into the blank rows of trained tables, but for items that it withdraws."""
    for modality, table in tables.items():
        features = data.features.get(modality)
        if features is not None:
            blank = (table == 0).all(dim=1)
            blank[data.withdrawn_items] = False
            table[blank] = features[blank]
