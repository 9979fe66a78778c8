"""Ranking metrics against an independent library and against a slow reading of the definitions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch_geometric.metrics import LinkPredNDCG, LinkPredRecall

from bench.measure.evaluate import evaluate_split, top_items
from datasets.pairs import PairIndex

CHUNK = 1000


def random_problem(num_users: int, num_items: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(num_users, num_items, generator=generator)
    kind = torch.rand(num_users, num_items, generator=generator)
    return scores, (kind > 0.9).nonzero().t(), (kind < 0.1).nonzero().t()


def evaluate(scores: Tensor, targets: Tensor, masked: Tensor | None, k: int) -> dict[str, float]:
    users, items = scores.shape
    index = PairIndex(targets, users, items)
    known = None if masked is None else PairIndex(masked, users, items)
    return evaluate_split(lambda ids: scores[ids].clone(), index, known, CHUNK, ks=(k,)).means()


@pytest.mark.parametrize("k", [1, 5, 20])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_agrees_with_pyg(k: int, seed: int) -> None:
    scores, targets, masked = random_problem(60, 47, seed)
    ours = evaluate(scores, targets, masked, k)
    scores[masked[0], masked[1]] = -torch.inf
    ranked = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
    for metric, name in ((LinkPredRecall(k), "recall"), (LinkPredNDCG(k), "ndcg")):
        metric.update(ranked, targets)
        assert ours[f"{name}_at_{k}"] == pytest.approx(float(metric.compute()), abs=1e-6)


def test_agrees_with_the_definition_written_out() -> None:
    scores, targets, masked = random_problem(30, 25, seed=3)
    k, recalls, ndcgs = 10, [], []
    for user in range(30):
        wanted = set(targets[1][targets[0] == user].tolist())
        known = set(masked[1][masked[0] == user].tolist())
        if not wanted:
            continue
        ranked = sorted((i for i in range(25) if i not in known), key=lambda i: (-float(scores[user, i]), i))[
            :k
        ]
        gains = [1.0 / math.log2(rank + 2) for rank, item in enumerate(ranked) if item in wanted]
        recalls.append(len(gains) / len(wanted))
        ndcgs.append(sum(gains) / sum(1.0 / math.log2(rank + 2) for rank in range(min(k, len(wanted)))))
    ours = evaluate(scores, targets, masked, k)
    assert ours["recall_at_10"] == pytest.approx(sum(recalls) / len(recalls), abs=1e-12)
    assert ours["ndcg_at_10"] == pytest.approx(sum(ndcgs) / len(ndcgs), abs=1e-12)


def test_fewer_items_than_k() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5]])
    assert evaluate(scores, torch.tensor([[0], [0]]), None, 20) == {
        "recall_at_20": 1.0,
        "ndcg_at_20": pytest.approx(1.0 / math.log2(4)),
    }


def test_masked_items_are_never_hits() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0]])
    both = torch.tensor([[0], [0]])
    assert evaluate(scores, both, both, 3)["recall_at_3"] == 0.0


def test_users_without_targets_do_not_count() -> None:
    scores = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert evaluate(scores, torch.tensor([[0], [0]]), None, 1)["recall_at_1"] == 1.0
    assert evaluate(scores, torch.empty(2, 0, dtype=torch.long), None, 1) == {}


def test_ties_go_to_the_smaller_id() -> None:
    scores = torch.tensor([[1.0, 2.0, 2.0, 1.0, 1.0, 2.0], [0.0] * 6])
    assert top_items(scores, 4)[1].tolist() == [[1, 2, 5, 0], [0, 1, 2, 3]]


def test_chunks_do_not_change_the_result() -> None:
    scores, targets, masked = random_problem(40, 30, seed=4)
    users, items = scores.shape
    index, known = PairIndex(targets, users, items), PairIndex(masked, users, items)
    results = [
        evaluate_split(lambda ids: scores[ids].clone(), index, known, chunk).values["ndcg_at_20"]
        for chunk in (30, 10**6)
    ]
    assert torch.equal(*results)
