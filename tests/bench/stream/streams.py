"""Streams on the tiny data, run in process, with what the yardstick was given last."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from torch import Tensor

from bench.cell.pipeline import CellPipeline, CellResult
from bench.config.registry import load_class, registry
from bench.measure.yardstick import Measured, Measurement
from bench.stream.pipeline import StreamPipeline, StreamResult
from models.base import Recommender
from tests.bench.cell.test_pipeline import planned
from tests.registered import ONLY_CLOSED_FORMS

METHODS = sorted(name for name in registry("method") if not load_class("method", name).no_stream)
BACKBONE = dict.fromkeys(ONLY_CLOSED_FORMS, "itemknn")
"""Of methods that do not work on MGCN: whole numbers, which no order of summing rounds."""
SPARING = {
    **dict.fromkeys(("sisa", "receraser", "ultrare"), ("method.shards=2",)),
    "gnndelete": ("method.epochs=3",),
    "unlearnrec": ("method.epochs=1", "method.steps_per_epoch=2", "method.finetune_epochs=1"),
}
"""Options that keep a test over all methods quick."""
QUICK = ("train.max_epochs=1", "evaluate.trajectory=false")
CLOCKS = ("time/", "stream/", "cost/break_even")


@dataclass
class Seen:
    """The weights of every model that was measured, in order."""

    weights: list[dict[str, Tensor]] = field(default_factory=list)


@contextmanager
def measured_models() -> Iterator[Seen]:
    """Watches the yardstick."""
    seen, apply = Seen(), Measurement.apply

    def spied(self: Measurement, model: Recommender, graph: str, gold: Recommender) -> Measured:
        seen.weights.append(copy.deepcopy(model.state_dict()))
        return apply(self, model, graph, gold)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Measurement, "apply", spied)
        yield seen


def stream(folder: Path, *overrides: str) -> tuple[StreamResult, list[dict[str, Tensor]]]:
    """Serve a stream; the weights at its checkpoints."""
    with measured_models() as seen:
        result = StreamPipeline(planned(folder, *QUICK, *overrides)).run()
    return result, seen.weights


def one_shot(folder: Path, *overrides: str) -> tuple[CellResult, dict[str, Tensor]]:
    """Run a cell of one request; the weights of what was measured."""
    with measured_models() as seen:
        result = CellPipeline(planned(folder, *QUICK, *overrides)).run()
    return result, seen.weights[-1]


def without_clocks(metrics: dict[str, float]) -> dict[str, float]:
    """Figures that do not depend on how fast the machine is."""
    return {name: value for name, value in metrics.items() if not name.startswith(CLOCKS)}
