"""What methods and backbones keep to by themselves: no forgotten content, no test label, no two alike.

What the pipeline keeps them to is in ``tests/leakage/test_pipeline.py``. What a backbone may still hold after
``bind`` (edges, neighbours, counts) is in ``tests/models/test_every_backbone.py``, cached item graphs in
``tests/bench/cache/test_item_graph_cache.py``, tuned values in ``tests/bench/tune/test_tune.py``.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Tensor

from bench.config.registry import load_class, registry
from bench.record.progress import progress
from bench.train.loop import train
from bench.train.options import TrainConfig
from datasets.errors import InputError
from datasets.interactions import InteractionData
from models.base import Recommender
from tests.registered import ONLY_CLOSED_FORMS, TRAINED
from tests.tiny import tiny_data
from tests.unlearning.cells import (
    ASKS_A_SERVER,
    QUICK,
    REGIMES,
    Tape,
    private_copy,
    problem,
    ready,
    same,
    trained,
    weights,
)
from unlearning.base import Problem, UnlearningMethod

METHODS = sorted(set(registry("method")) - {*ONLY_CLOSED_FORMS, *ASKS_A_SERVER})
BACKBONES = TRAINED
every_method = pytest.mark.parametrize("method", METHODS)
every_backbone = pytest.mark.parametrize("backbone", BACKBONES)
every_regime = pytest.mark.parametrize("regime", REGIMES)

SAME_WEIGHTS: dict[str, set[str]] = {
    "user": {"original", "graph_only"},
    "item": set(),  # binding to the retain set blanks trained feature rows as well
    "interaction": {"original", "graph_only", "reset"},
}
"""Methods declared to leave the same weights: they take no step, and differ in the graph if at all."""


INFLUENCE = {"scif", "ifru", "gif", "ceu", "idea"}
READS_FORGOTTEN_CONTENT = {"receraser", "scalegun", "ssd", "unlearnrec", *INFLUENCE}
"""Methods that measure something on the full data, by which they take out: ScaleGUN and the influence methods
the first of their two gradients, SSD the importance of each weight, which its authors compute once, before
any request; UnlearnRec trains its encoder on all data before any request, RecEraser divides pairs by the
original's embeddings. Like the forgotten pairs of every other method, the content decides what goes."""


def accepted(method: str, backbone: str) -> UnlearningMethod | None:
    """The method with its defaults; None where it refuses the backbone in general."""
    kind = load_class("method", method)
    for options in ({}, {"gate": False}) if method == "tru" else ({},):
        unlearner: UnlearningMethod = kind(kind.Options(**QUICK.get(method, {}), **options))
        try:
            unlearner.check(trained(backbone))
        except InputError:
            continue
        return unlearner
    return None


def unlearned(method: str, backbone: str, task: Problem) -> Recommender:
    """The model that a method leaves on the task; skips where the method refuses the backbone."""
    unlearner = accepted(method, backbone)
    if unlearner is None:
        pytest.skip(f"{method} refuses {backbone}")
    model = private_copy(trained(backbone), task, unlearner.options.graph_at_unlearning)
    task = ready(unlearner, trained(backbone), task)
    torch.manual_seed(0)
    result = unlearner.unlearn(model, task, Tape()).model
    result.bind(task.full if unlearner.options.graph_at_evaluation == "full" else task.retain)
    return result


def outputs(model: Recommender) -> Tensor:
    with torch.no_grad():
        return model.eval().scores(torch.arange(model.num_users))


def with_data(task: Problem, full: InteractionData) -> Problem:
    """The same request on other data."""
    return replace(task, full=full, retain=task.request.apply(full))


@every_method
@pytest.mark.parametrize("backbone", ["vbpr", "mgcn"])
def test_the_content_of_forgotten_items_reaches_no_unlearned_model(method: str, backbone: str) -> None:
    def with_noise(seed: int) -> Problem:
        task = problem("item", backbone=backbone)
        noise = torch.Generator().manual_seed(seed)
        features = {
            modality: rows.index_copy(
                0,
                task.request.items,
                torch.randn(len(task.request.items), rows.shape[1], generator=noise),
            )
            for modality, rows in task.full.features.items()
        }
        return with_data(task, replace(task.full, features=features))

    if load_class("method", method).Options().graph_at_evaluation == "full":
        pytest.skip(f"{method} keeps the forgotten content, as its option says")
    if method in READS_FORGOTTEN_CONTENT:
        pytest.skip(f"{method} is declared to read it")
    first, second = (unlearned(method, backbone, with_noise(seed)) for seed in (1, 2))
    assert same(weights(first), weights(second))
    assert torch.equal(outputs(first), outputs(second))


def permuted_test(data: InteractionData) -> InteractionData:
    return replace(data, test=torch.stack([data.test[0], data.test[1].roll(7)]))


@every_backbone
def test_training_and_its_selection_do_not_depend_on_test_labels(backbone: str) -> None:
    def run(data: InteractionData) -> tuple[dict[str, Tensor], int, list[float]]:
        torch.manual_seed(0)
        kind = load_class("backbone", backbone)
        model: Recommender = kind(data, kind.Options())
        with progress("original") as shown:
            record = train(model, data, TrainConfig(max_epochs=3, batch_size=64), 0, 10_000, shown)
        return weights(model), record.best_epoch, [point["valid_recall_at_20"] for point in record.curve]

    data = tiny_data()
    assert not torch.equal(data.test, permuted_test(data).test)
    first, second = run(data), run(permuted_test(data))
    assert same(first[0], second[0])
    assert first[1:] == second[1:]


@every_regime
def test_no_two_methods_leave_the_same_weights_unless_declared(regime: str) -> None:
    left: dict[str, dict[str, Tensor]] = {}
    for method in METHODS:
        if accepted(method, "mgcn") is not None:
            left[method] = weights(unlearned(method, "mgcn", problem(regime, backbone="mgcn")))
    equal = {
        frozenset(pair)
        for pair in combinations(left, 2)
        if left[pair[0]].keys() == left[pair[1]].keys() and same(left[pair[0]], left[pair[1]])
    }
    assert equal == {frozenset(pair) for pair in combinations(sorted(SAME_WEIGHTS[regime]), 2)}
