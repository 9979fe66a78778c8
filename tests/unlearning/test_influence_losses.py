"""UnlearnRec's losses against plain formulas, pair by pair."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from datasets.sampling import Batch
from tests.unlearning.cells import problem, trained, weights
from unlearning.distillation import Embeddings, frozen
from unlearning.influence_losses import ServedLoss, contrast, preservation, unlearning_loss
from unlearning.replaced_tables import ReplacedTables

USERS, ITEMS, WIDTH = 7, 5, 4
BATCH = Batch(torch.tensor([0, 3, 6]), torch.tensor([1, 4, 1]), torch.tensor([2, 2, 3]))


def embeddings(seed: int) -> Embeddings:
    generator = torch.Generator().manual_seed(seed)
    return Embeddings(
        torch.randn(USERS, WIDTH, generator=generator), torch.randn(ITEMS, WIDTH, generator=generator)
    )


def score(of: Embeddings, user: int, item: int) -> float:
    return float(of.users[user] @ of.items[item])


def test_l_u_is_the_mean_negative_log_sigmoid_of_negated_scores() -> None:
    served, pairs = embeddings(0), torch.tensor([[0, 2, 5], [1, 1, 4]])
    terms = [-math.log(1 / (1 + math.exp(score(served, u, i)))) for u, i in pairs.t().tolist()]
    assert float(unlearning_loss(served, pairs)) == pytest.approx(sum(terms) / 3, rel=1e-5)
    assert float(unlearning_loss(served, pairs[:, :0])) == 0.0


def log_q(of: Embeddings, user: int, item: int, temperature: float) -> float:
    """log of the softmax over the positive items of the batch, a repeated item counting twice."""
    everything = sum(math.exp(score(of, user, j) / temperature) for j in BATCH.positives.tolist())
    return score(of, user, item) / temperature - math.log(everything)


@pytest.mark.parametrize("temperature", [0.5, 10.0])
def test_l_p_is_the_squared_difference_of_log_shares_among_the_items_of_the_batch(temperature: float) -> None:
    served, before = embeddings(0), embeddings(1)
    expected = [
        (log_q(served, u, i, temperature) - log_q(before, u, i, temperature)) ** 2
        for u, i in zip(BATCH.users.tolist(), BATCH.positives.tolist(), strict=True)
    ]
    found = preservation(served, before, BATCH, temperature)
    assert found.tolist() == pytest.approx(expected, rel=1e-4)
    assert not preservation(before, before, BATCH, temperature).any()


def test_l_p_reaches_the_served_embeddings_only() -> None:
    served = Embeddings(*(part.requires_grad_() for part in embeddings(0)))
    before = Embeddings(*(part.requires_grad_() for part in embeddings(1)))
    preservation(served, before, BATCH, 1.0).sum().backward()
    assert served.users.grad is not None
    assert before.users.grad is None
    assert before.items.grad is None


def plain_info_nce(views: Tensor, anchors: Tensor) -> float:
    terms = []
    for i in range(len(views)):
        cosines = [float(torch.cosine_similarity(views[i], anchors[j], dim=0)) for j in range(len(anchors))]
        terms.append(-cosines[i] + math.log(sum(map(math.exp, cosines))))
    return sum(terms) / len(terms)


def test_l_c_contrasts_each_layer_users_and_items_apart_at_temperature_one() -> None:
    generator = torch.Generator().manual_seed(0)
    layers = [torch.randn(12, WIDTH, generator=generator) for _ in range(3)]
    dropped = [torch.randn(12, WIDTH, generator=generator) for _ in range(3)]
    users, items = torch.tensor([0, 3, 6]), torch.tensor([8, 11])
    expected = sum(
        plain_info_nce(part[nodes], whole[nodes])
        for whole, part in zip(layers, dropped, strict=True)
        for nodes in (users, items)
    )
    assert float(contrast(layers, dropped, (users, items))) == pytest.approx(expected, rel=1e-4)


def test_l_c_leaves_out_nodes_that_no_kept_edge_reaches_and_holds_the_whole_graph_constant() -> None:
    whole = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(0)).requires_grad_()
    part = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(1))
    part[2] = 0
    part.requires_grad_()
    loss = contrast([whole], [part], (torch.arange(4),))
    left = torch.tensor([0, 1, 3])
    expected = plain_info_nce(part.detach()[left], whole.detach()[left])
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    loss.backward()
    assert whole.grad is None
    assert part.grad is not None
    assert torch.isfinite(part.grad).all()
    assert not part.grad[2].any()
    assert float(contrast([whole], [torch.zeros_like(part)], (torch.arange(4),))) == 0.0


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_whole_loss_adds_the_parts_with_their_weights(reduction: Literal["mean", "sum"]) -> None:
    task = problem("interaction")
    model = trained("lightgcn")
    batch = next(iter(task.retain_sampler().epoch(8)))
    now, names = frozen(model), ["user_embedding", "item_embedding"]
    before = Embeddings(now.users * 2, now.items)
    backbone = ReplacedTables(model)
    loss = ServedLoss(backbone, before, 2.0, reduction)
    tables = {name: table for name, table in weights(model).items() if name in names}
    kept = preservation(now, before, batch, 2.0)
    expected = (
        model.loss(batch).total
        + 0.3 * unlearning_loss(now, task.request.forget)
        + 0.7 * (kept.sum() if reduction == "sum" else 512 * kept.mean())
    )
    found = loss(tables, batch, task.request.forget, (0.3, 0.7))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_the_backbones_loss_is_taken_as_trained_and_the_scores_as_served() -> None:
    task, modes = problem(backbone="mig_gt"), []
    model = trained("mig_gt")
    batch = next(iter(task.retain_sampler().epoch(8)))
    loss = ServedLoss(ReplacedTables(model), frozen(model), 1.0, "mean")

    class Spy(ReplacedTables):
        def run(self, tables: object, call: object) -> object:  # type: ignore[override]
            modes.append(self.backbone.training)
            return super().run(tables, call)  # type: ignore[arg-type]

    watched = ServedLoss(Spy(model), loss.trained, 1.0, "mean")
    watched({}, batch, task.request.forget, (1.0, 1.0))
    assert modes == [True, False]
