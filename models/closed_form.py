"""Recommenders in closed form: weights that follow from the data by a formula.

Scores are X W for the 0/1 matrix X of what a model is bound to and an item-item matrix W. There are no
embeddings and there is no loss: ``fit`` stands where others are trained, and ``forget`` does what no trained
model can, leave the weights that ``fit`` would give on the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.pairs import PairIndex, PairSet
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Scorer, Side
from models.capabilities import Capability
from models.cooccurrence import dense_rows

MOST_ITEMS = 20_000
"""3 GB in float64: more would not fit a machine that trains the other backbones."""
DECIMALS = 9
"""Of scores: the rounding error of the algebra is far below, what tells items apart far above; ties tie."""


class ClosedForm(Recommender):
    """A recommender with scores X W.

    A subclass keeps what ``fit`` makes in parameters without gradient, so that it is cached like any weights.
    """

    lacks: ClassVar[Mapping[Capability, str]] = dict.fromkeys(
        (Capability.EMBEDDINGS, Capability.PARAMETERS, Capability.TRAINING),
        "which is in closed form: it has neither embeddings nor anything to train",
    )

    def __init__(self, data: InteractionData, options: Any) -> None:
        if data.num_items > MOST_ITEMS:
            raise InputError(
                f"a backbone in closed form keeps a square matrix over the items, and {data.num_items} are "
                f"more than {MOST_ITEMS}: choose another backbone or a data set with fewer items."
            )
        super().__init__(data, options)
        self.bind(data)

    @abstractmethod
    def fit(self, data: InteractionData) -> None:
        """Set the weights from ``data.train``."""

    @abstractmethod
    def forget(self, before: InteractionData, after: InteractionData) -> int:
        """Turn the weights of ``before`` into those of ``after``, whose pairs are some of its pairs.

        Returns how many users' rows were touched. Raises ``ValueError`` where ``after`` has a pair more.
        """

    @abstractmethod
    def weights(self) -> Tensor:
        """W: float64 [num_items, num_items]."""

    def bind(self, data: InteractionData) -> None:
        """Take X from ``data.train``. The weights stay."""
        self._rows = PairIndex(data.train, data.num_users, data.num_items)

    def scorer(self) -> Scorer:
        """Scores of all items, rounded to ``DECIMALS``: float32, as those of every backbone."""
        weights = self.weights()

        def scores(users: Tensor) -> Tensor:
            products = dense_rows(self._rows, users) @ weights
            return torch.round(products, decimals=DECIMALS).float()

        return scores

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """There are none."""
        raise NotImplementedError(f"{type(self).__name__} is in closed form: it has no embeddings")

    def loss(self, batch: Batch) -> LossTerms:
        """There is none."""
        raise NotImplementedError(f"{type(self).__name__} is in closed form: it has no training loss")

    def id_tables(self) -> dict[Side, nn.Parameter]:
        """None."""
        return {}

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """None: nothing receives a gradient."""
        return {}


def touched_users(before: PairIndex, after: PairIndex) -> Tensor:
    """Users who lost a pair, each once: [U]. Raises ``ValueError`` where ``after`` has a pair more."""
    if not bool(before.contains(after.users, after.items).all()):
        raise ValueError(
            "a closed form can only forget: the data after the request has pairs that were not there"
        )
    lost = ~PairSet.contains(after, before.users, before.items)
    users: Tensor = before.users[lost].unique()
    return users


def constant(values: Tensor) -> nn.Parameter:
    """A weight that is set and not trained."""
    return nn.Parameter(values, requires_grad=False)
