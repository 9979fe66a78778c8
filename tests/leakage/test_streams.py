"""What a method meets at each request of a stream: what the requests before it left, and nothing else."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cell.unlearn import ProblemChanged
from bench.config.registry import load_class
from bench.stream.pipeline import StreamPipeline
from datasets.streams.composing import union
from models.base import Recommender
from tests.bench.cell.test_pipeline import planned
from tests.bench.stream.streams import QUICK, SPARING
from tests.leakage.observed import bound_outputs, keys, outputs
from unlearning.base import Problem, Recorder, UnlearnResult
from unlearning.graph_only import GraphOnly

ITEMS = 120
STREAM = (*QUICK, "stream=users", "stream.count=4", "stream.checkpoints=[0.5,1.0]")


@dataclass
class Met:
    """What one request was handed, and what it returned."""

    problem: Problem
    model: Recommender
    result: UnlearnResult


def served(folder: Path, method: str, *overrides: str) -> tuple[StreamPipeline, list[Met]]:
    """Serve a stream and watch its method."""
    kind, met = load_class("method", method), list[Met]()
    unlearn = kind.unlearn

    def spied(self: Any, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        before = copy.deepcopy(original)
        result: UnlearnResult = unlearn(self, original, problem, recorder)
        met.append(Met(problem, before, result))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "unlearn", spied)
        pipeline = StreamPipeline(planned(folder, *STREAM, f"method={method}", *overrides))
        pipeline.run()
    return pipeline, met


@pytest.mark.parametrize("method", ["finetune", "ssd", "ultrare"])
def test_nothing_that_was_asked_before_is_reachable(method: str, tmp_path: Path) -> None:
    pipeline, met = served(tmp_path, method, "backbone=lightgcn", *SPARING.get(method, ()))
    stream = pipeline.setting.load_stream()
    everything, gone, left = keys(stream.read.train, ITEMS), set[int](), set[int]()
    assert len(met) == len(stream.requests) == 4
    for number, (one, request) in enumerate(zip(met, stream.requests, strict=True)):
        problem, asked = one.problem, keys(request.forget, ITEMS)
        assert keys(problem.full.train, ITEMS) == everything - gone
        gone |= asked
        assert keys(problem.retain.train, ITEMS) == everything - gone
        assert keys(problem.request.forget, ITEMS) == asked
        assert not set(problem.full.valid[0].tolist()) & left
        left |= set(request.users.tolist())
        assert not set(problem.retain.valid[0].tolist()) & left
        assert problem.full.test.shape[1] == problem.retain.test.shape[1] == 0
        with pytest.raises(RuntimeError, match="only reference systems get"):
            problem.gold()
        if number:
            assert problem.prepared is met[number - 1].result.state
        known = keys(problem.forget_sampler().pairs, ITEMS) | keys(problem.retain_sampler().pairs, ITEMS)
        assert known == everything - gone | asked
    assert len({one.problem.generator.initial_seed() for one in met}) == 4
    assert keys(union(stream.requests, stream.read).forget, ITEMS) == gone


@pytest.mark.parametrize("graph", ["retain", "full"])
def test_a_request_starts_from_the_model_before_it_on_the_graph_it_names(graph: str, tmp_path: Path) -> None:
    _, met = served(tmp_path, "graph_only", "backbone=lightgcn", f"method.graph_at_unlearning={graph}")
    for before, one in itertools.pairwise(met):
        state, left = one.model.state_dict(), before.result.model.state_dict()
        assert all(torch.equal(state[name], left[name]) for name in left)
        data = getattr(one.problem, graph)
        assert torch.equal(outputs(one.model), bound_outputs(one.model, data))
        assert not torch.equal(
            bound_outputs(one.model, one.problem.full), bound_outputs(one.model, one.problem.retain)
        )


@pytest.mark.parametrize("number", [1, 2])
def test_what_is_changed_in_place_is_noticed_at_any_request(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    def unlearn(
        self: GraphOnly, original: Recommender, problem: Problem, recorder: Recorder
    ) -> UnlearnResult:
        begun.append(len(begun))
        if begun[-1] == number:
            problem.full.features["image"].zero_()
        return UnlearnResult(original)

    monkeypatch.setattr(GraphOnly, "unlearn", unlearn)
    with pytest.raises(ProblemChanged):
        StreamPipeline(planned(tmp_path, *STREAM, "method=graph_only", "backbone=mgcn")).run()
    assert begun[-1] == number
