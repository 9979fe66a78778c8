"""Deterministic mode: the same seed gives the same bits, whatever the number of threads."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from bench.cache.models import ModelCache
from bench.cell.run import run_cell
from bench.config.compose import expand
from bench.planning.planner import Planner


@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_threads_do_not_change_the_weights(backbone: str, tmp_path: Path) -> None:
    weights = []
    for threads in (1, 4):
        overrides = [
            f"backbone={backbone}",
            "method=finetune",
            "train.max_epochs=1",
            "train.batch_size=512",
            "run.deterministic=true",
            f"run.threads={threads}",
            f"cache.dir={tmp_path}/{threads}",
            f"tracking.uri=sqlite:///{tmp_path}/{threads}.db",
        ]
        cell = Planner().plan(expand(overrides, multirun=False)[0])
        run_cell(cell)
        folder = ModelCache(cell.config.cache.dir).folder(cell.keys.gold)
        weights.append(load_file(folder / "weights.safetensors"))
    assert weights[0].keys() == weights[1].keys()
    assert all(bool((weights[0][name] == weights[1][name]).all()) for name in weights[0])
