"""What trials are held against: gold over seeds, or what can be known without it; and never a test pair."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
import yaml

from bench.cell.run import run_cell
from bench.config.tuned import tuned_file
from bench.measure.selection import Figures, Rule
from bench.planning.planner import PlannedCell, with_seed
from bench.record.names import FORGET_RECALL, VALID_RECALL
from bench.record.store import Store
from bench.tune.__main__ import main, prepared
from bench.tune.loop import TuneConfig, Tuning
from bench.tune.record import recorded_target, tuning
from bench.tune.trial import TrialPipeline
from tests.bench.cells import TINY
from tests.bench.tune.places import places, planned

STATED = {"valid_unit": 0.01, "forget_unit": 0.02}


def tune(cell: PlannedCell, **plan: Any) -> Tuning:
    return prepared(cell.config, [], TuneConfig(**plan))


def is_trained(cell: PlannedCell) -> dict[str, bool]:
    """Whether original and gold are in the cache."""
    return cell.cached_models()


def test_gold_is_measured_over_five_training_seeds_of_the_same_request(tmp_path: Path) -> None:
    cell = planned(tmp_path, "method=finetune")
    own = tune(cell)
    assert [one.config.seed for one in own.target_cells] == [0, 1, 2, 3, 4]
    assert {one.keys.request for one in own.target_cells} == {cell.keys.request}
    assert len({one.keys.gold for one in own.target_cells}) == 5
    found = TrialPipeline(cell).target(own.target_cells, own.plan)
    golds = [TrialPipeline(one).reference("gold") for one in own.target_cells]
    valid, forget = [one.valid_recall for one in golds], [one.forget_recall for one in golds]
    assert found.aim == Figures(fmean(valid), fmean(forget))
    assert found.unit == found.spread == Figures(stdev(valid), stdev(forget))


@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_the_proxy_needs_no_gold_model(regime: str, tmp_path: Path) -> None:
    overrides = ["method=finetune", f"regime={regime}"]
    cell, rule = planned(tmp_path, *overrides), Rule(target="proxy", **STATED)
    pipeline = TrialPipeline(cell, gold=False)
    found = pipeline.target([cell], rule)
    assert is_trained(cell) == {"original": True, "gold": False}
    valid = pipeline.reference("original").valid_recall
    assert found.aim.valid_recall == valid
    if regime == "user":
        reset = planned(tmp_path, "method=reset")
        metrics = Store(reset.config.tracking).client.get_run(run_cell(reset)).data.metrics
        assert found.aim.forget_recall == metrics[FORGET_RECALL] != metrics[VALID_RECALL]
    else:
        assert found.aim.forget_recall == {"item": 0.0, "interaction": valid}[regime]


def test_the_target_is_measured_once_for_all_methods_and_rules_do_not_share_it(tmp_path: Path) -> None:
    cell, other = planned(tmp_path, "method=finetune"), planned(tmp_path, "method=mmrecun")
    keys = {tune(one, floor=floor).target_key for one in (cell, other) for floor in (0.5, 0.9)}
    assert len(keys) == 1, "neither the method nor the floor changes what is measured"
    varied = [
        tune(cell, target="proxy"),
        tune(cell, **STATED),
        tune(cell, target_seeds=6),
        tune(cell, least_unit=0.1),
        tune(with_seed(cell, 1)),
        tune(planned(tmp_path, "method=finetune", "regime.ratio=0.2")),
    ]
    assert len(keys | {one.target_key for one in varied}) == 7


def test_gold_free_tuning_is_called_so_and_trains_no_gold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["target=proxy", "valid_unit=0.01", "forget_unit=0.02", "budget=2"]
    fast = ["method=finetune", "method.batches_per_epoch=1"]
    assert main([*TINY, *places(tmp_path), *fast, *own, "run.dry=true"]) == 0
    assert "1 models to train" in capsys.readouterr().out, "the original"
    assert main([*TINY, *places(tmp_path), *fast, *own]) == 0
    assert "gold-free tuning: trials of" in capsys.readouterr().out
    cell = planned(tmp_path, *fast)
    assert is_trained(cell) == {"original": True, "gold": False}
    file = tuned_file(cell.config, "proxy")
    assert file.name == "finetune-gold-free.yaml"
    content = yaml.safe_load(file.read_text())
    assert content["tuning"]["rule"] == "gold-free tuning"
    assert content["provenance"]["units"] == "stated"
    assert not tuned_file(cell.config, "gold").exists()
    store = Store(tuning(cell.config.tracking))
    for run in store.runs("tags.`lethe.kind` = 'trial'"):
        assert not [name for name in run.data.metrics if "gold" in name]
    plan = TuneConfig(target="proxy", budget=2, **STATED)
    found = recorded_target(cell.config.tracking, prepared(cell.config, [], plan).target_key)
    assert found is not None
    assert found.unit == Figures(0.01, 0.02)
    assert dataclasses.asdict(found.aim) == {
        name.removesuffix("_at_20"): value for name, value in content["provenance"]["aim"].items()
    }
