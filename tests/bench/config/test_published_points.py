"""The published points and schedules of ``conf/published`` reach the cells of their pair, and no others."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.config.compose import expand
from bench.config.registry import load_class
from bench.config.schema import CellConfig
from bench.config.source import options_of
from bench.record.progress import progress
from bench.train.loop import train
from bench.train.options import TrainConfig
from tests.tiny import tiny_data

FOLDER = Path(__file__).parents[3] / "conf" / "published"


def cell(backbone: str, dataset: str, *overrides: str) -> CellConfig:
    (config,) = expand([f"backbone={backbone}", f"dataset={dataset}", *overrides], multirun=False)
    return config


@pytest.mark.parametrize("stem", ["bpr_baby", "mig_gt_baby", "mig_gt_clothing"])
def test_a_cell_of_the_pair_has_every_value_of_its_file(stem: str) -> None:
    backbone, _, dataset = stem.rpartition("_")
    config = cell(backbone, dataset)
    found = {"backbone": asdict(config.backbone.options), "train": asdict(config.train)}
    sections = yaml.safe_load((FOLDER / f"{stem}.yaml").read_text(encoding="utf-8"))
    assert sections
    for section, values in sections.items():
        assert values.items() <= found[section].items()


def test_the_command_line_wins_over_a_published_value() -> None:
    config = cell("mig_gt", "baby", "train.eval_every=1", "backbone.samples=3")
    assert (config.train.eval_every, config.train.patience, config.backbone.options.samples) == (1, 4, 3)


def test_a_pair_without_a_file_has_the_defaults() -> None:
    config = cell("mig_gt", "synthetic")
    assert (config.train.eval_every, config.train.patience) == (1, 20)
    assert config.backbone.options == options_of("backbone", "mig_gt")()


RELEASED = {"baby": (20, 300), "sports": (50, 300), "clothing": (50, 500)}
"""MIG-GT's epochs between evaluations, and at most; it stops after 100 epochs without gain."""


@pytest.mark.parametrize("dataset", sorted(RELEASED))
def test_mig_gt_evaluates_and_stops_as_released(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose second evaluation is its last gain stops 100 epochs after it, at no earlier evaluation."""
    every, most = RELEASED[dataset]
    config = cell("mig_gt", dataset).train
    assert config.max_epochs == most
    record = evaluated(config, [0.1, 0.2] + 20 * [0.2], monkeypatch)
    assert [point["epoch"] for point in record.curve] == list(range(every, 2 * every + 101, every))
    assert (record.best_epoch, record.epochs, record.stopped_by) == (2 * every, 2 * every + 100, "patience")


def evaluated(config: TrainConfig, recalls: list[float], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The record of a training whose evaluations answer ``recalls`` one after the other."""
    answers = iter(recalls)
    monkeypatch.setattr("bench.train.loop.ValidationProbe.__call__", lambda probe, model: next(answers))
    data = tiny_data()
    model = load_class("backbone", "bpr")(data, options_of("backbone", "bpr")(embedding_dim=2))
    with progress("test") as shown:
        return train(model, data, config, 0, 10**6, shown)
