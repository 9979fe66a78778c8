"""Slow dense references, written from the papers' equations and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms, Recommender


def check_terms(model: Recommender, terms: LossTerms, expected: dict[str, Tensor]) -> None:
    """The loss terms and all gradients of their sum are the ``expected`` ones (absent: zero)."""
    got = {"ranking": terms.ranking, "regulariser": terms.regulariser, **terms.auxiliary}
    zero = {"regulariser": torch.zeros(())}
    torch.testing.assert_close(got, zero | expected, rtol=0, atol=1e-5)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(terms.total, parameters)
    reference = torch.autograd.grad(torch.stack(list(expected.values())).sum(), parameters)
    torch.testing.assert_close(gradients, reference, rtol=1e-4, atol=1e-6)


def batch_of(data: InteractionData, size: int = 32, seed: int = 1) -> Batch:
    """Training pairs with negatives drawn from the other items of the id space."""
    generator = torch.Generator().manual_seed(seed)
    picks = torch.randint(data.train.shape[1], (size,), generator=generator)
    users, positives = data.train[:, picks]
    offsets = torch.randint(1, data.num_items, (size,), generator=generator)
    return Batch(users, positives, (positives + offsets) % data.num_items)


def dense_pairs(data: InteractionData) -> Tensor:
    """A over [users; items]: one where a user has an item, both ways."""
    nodes = data.num_users + data.num_items
    adjacency = torch.zeros(nodes, nodes)
    adjacency[data.train[0], data.train[1] + data.num_users] = 1
    adjacency[data.train[1] + data.num_users, data.train[0]] = 1
    return adjacency


def dense_averages(data: InteractionData) -> Tensor:
    """D^-1 (A + I) over [users; items]."""
    adjacency = dense_pairs(data) + torch.eye(data.num_users + data.num_items)
    return adjacency / adjacency.sum(dim=1, keepdim=True)


def dense_adjacency(data: InteractionData) -> Tensor:
    """D^-1/2 A D^-1/2 over [users; items]."""
    adjacency = dense_pairs(data)
    degree = adjacency.sum(dim=1)
    scale = torch.where(degree > 0, degree.rsqrt(), 0.0)
    return scale[:, None] * adjacency * scale


def dense_item_graph(features: Tensor, neighbours: int) -> Tensor:
    """D^-1/2 S D^-1/2, S holding the cosines of each item's nearest neighbours, itself included."""
    unit = features / features.norm(dim=1, keepdim=True)
    cosines = unit @ unit.t()
    graph = torch.zeros_like(cosines)
    for item in range(len(features)):
        nearest = cosines[item].argsort(descending=True)[:neighbours]
        graph[item, nearest] = cosines[item, nearest]
    scale = graph.sum(dim=1).rsqrt()
    return scale[:, None] * graph * scale


def layer_mean(adjacency: Tensor, ego: Tensor, layers: int) -> Tensor:
    """Mean of the ego embeddings and ``layers`` propagated ones."""
    outputs = [ego]
    for _ in range(layers):
        outputs.append(adjacency @ outputs[-1])
    return torch.stack(outputs).mean(dim=0)


def bpr(users: Tensor, items: Tensor, batch: Batch) -> Tensor:
    """Mean of -log sigmoid of the margins."""
    margins = (users[batch.users] * (items[batch.positives] - items[batch.negatives])).sum(dim=1)
    return (1 + (-margins).exp()).log().mean()


def l2(users: Tensor, items: Tensor, batch: Batch) -> Tensor:
    """Half the squares of the batch's rows, per example."""
    rows = torch.cat([users[batch.users], items[batch.positives], items[batch.negatives]])
    return rows.pow(2).sum() / 2 / len(batch.users)


def norms(users: Tensor, items: Tensor, batch: Batch) -> Tensor:
    """Frobenius norms, not squared, of the batch's users, positives and negatives, per example."""
    rows = (users[batch.users], items[batch.positives], items[batch.negatives])
    return sum((r.pow(2).sum().sqrt() for r in rows), torch.zeros(())) / len(batch.users)


def info_nce(views: Tensor, anchors: Tensor, temperature: float) -> Tensor:
    """-log of the matching row's share of exp(cosine / temperature), averaged."""
    unit_views = views / views.norm(dim=1, keepdim=True)
    unit_anchors = anchors / anchors.norm(dim=1, keepdim=True)
    weights = (unit_views @ unit_anchors.t() / temperature).exp()
    return -(weights.diagonal() / weights.sum(dim=1)).log().mean()
