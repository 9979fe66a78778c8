"""Which state is kept: the largest gap among those that keep validation recall."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.tiny import tiny_data
from tests.unlearning.cells import same, trained, weights
from unlearning import influence_checkpoints
from unlearning.distillation import frozen
from unlearning.influence import Influence
from unlearning.influence_checkpoints import Checkpoints, Figures
from unlearning.influence_encoder import InfluenceEncoder
from unlearning.replaced_tables import ReplacedTables, copied_tables
from unlearning.simulated_requests import simulate
from unlearning.stopping import recall_on_validation


def an_influence() -> Influence:
    generator = torch.Generator().manual_seed(0)
    model = trained("lightgcn")
    return Influence(model, "id", lambda n, d: InfluenceEncoder(n, d, 3, "sum", 0.1, 0.002, generator))


def checkpoints(influence: Influence, floor: float = 0.98) -> Checkpoints:
    data, generator = tiny_data(), torch.Generator().manual_seed(0)
    requests = [simulate(data, "interaction", (0.1, 0.3), generator) for _ in range(3)]
    backbone = ReplacedTables(copy.deepcopy(trained("lightgcn")))
    return Checkpoints(backbone, influence, requests, data, floor, generator)


def chosen(monkeypatch: pytest.MonkeyPatch, figures: Sequence[tuple[float, float]]) -> tuple[int, int, float]:
    """Epoch of the state that was kept, misses at the end, and the mark of the restored state."""
    influence = an_influence()
    kept = checkpoints(influence)
    found = iter([Figures(gap, 0.0, share) for gap, share in figures])
    monkeypatch.setattr(Checkpoints, "_measured", lambda self, tables: next(found))
    for epoch, _ in enumerate(figures, start=1):
        with torch.no_grad():
            influence.encoder("id").influence.fill_(epoch)
        kept.offer(epoch, lambda signals: {})
    kept.restore()
    return kept.epoch, kept.misses, influence.encoder("id").influence[0, 0].item()


@pytest.mark.parametrize(
    ("figures", "epoch", "misses"),
    [
        ([(1.0, 0.99), (2.0, 0.98), (9.0, 0.97), (1.5, 1.0)], 2, 2),
        ([(9.0, 0.5), (1.0, 0.7), (8.0, 0.6)], 2, 1),
        ([(9.0, 0.97), (-5.0, 0.98)], 2, 0),
        ([(1.0, 1.0), (1.0, 1.0)], 1, 1),
        ([(math.nan, math.nan), (1.0, 0.9)], 2, 0),
        ([(1.0, 0.9), (math.nan, math.nan)], 1, 1),
    ],
)
def test_the_largest_gap_with_enough_recall_wins_else_the_most_recall(
    monkeypatch: pytest.MonkeyPatch, figures: list[tuple[float, float]], epoch: int, misses: int
) -> None:
    assert chosen(monkeypatch, figures) == (epoch, misses, float(epoch))


def test_figures_equal_what_the_changed_model_scores_on_each_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    # 20 of 24 items would hold everything.
    recall = functools.partial(recall_on_validation, k=5)
    monkeypatch.setattr(influence_checkpoints, "recall_on_validation", recall)
    influence, data = an_influence(), tiny_data()
    with torch.no_grad():
        for parameter in influence.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    kept = checkpoints(influence)
    start = copied_tables(trained("lightgcn"), influence.names)

    def tables(signals: dict[str, Tensor]) -> dict[str, Tensor]:
        changes = influence.changes(signals, data.withdrawn_items)
        return {name: table + changes[name] for name, table in start.items()}

    kept.offer(1, tables)
    gaps, recalls, before = [], [], []
    for case in kept._cases:
        model = copy.deepcopy(trained("lightgcn"))
        model.bind(case.kept)
        before.append(recall(model, case.judged))
        with torch.no_grad():
            changed = tables(influence.signals(case.edges))
        for name, table in changed.items():
            model.get_parameter(name).data.copy_(table)
        now, (users, items) = frozen(model), case._pairs
        scores = now.users @ now.items.t()
        gaps.append(float((scores[users, case._negatives] - scores[users, items]).mean()))
        recalls.append(recall(model, case.judged))
        known = torch.isin(
            users * data.num_items + case._negatives, data.train[0] * data.num_items + data.train[1]
        )
        assert not known.any(), "negatives are unseen in all training pairs"
        assert torch.equal(case.judged.train, data.train), "all training pairs are masked"
    assert kept.best is not None
    assert kept.best.gap == pytest.approx(sum(gaps) / 3, abs=1e-4)
    assert kept.best.recall == pytest.approx(sum(recalls) / 3)
    assert kept.best.kept == pytest.approx(sum(recalls) / sum(before))
    assert len(set(recalls)) > 1, "another answer would show"


def test_measuring_leaves_the_trained_weights() -> None:
    influence = an_influence()
    kept = checkpoints(influence)
    before = weights(kept._backbone.backbone)
    start = copied_tables(trained("lightgcn"), influence.names)
    kept.offer(1, lambda signals: {name: 2 * table for name, table in start.items()})
    assert same(before, weights(kept._backbone.backbone))


def test_without_a_judgement_nothing_is_put_back() -> None:
    influence = an_influence()
    kept = checkpoints(influence)
    with torch.no_grad():
        influence.encoder("id").influence.fill_(7.0)
    kept.restore()
    assert influence.encoder("id").influence.eq(7.0).all()
    assert kept.best is None
