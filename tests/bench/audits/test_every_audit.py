"""Audits audited, whatever is registered: on planted data their verdict is known beforehand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from bench.audits import AUDITS
from bench.audits.base import Audit, AuditContext, MemoryClaim, run_audits
from bench.cell.run import run_cell
from bench.config.compose import expand
from bench.config.registry import load_class
from bench.plan.planner import Planner
from bench.record.store import Store
from models.base import Recommender
from tests.bench.audits.planted import PlantedCell, planted_cell
from tests.bench.cells import TINY

CLAIMS = {name: claim for name in AUDITS if (claim := load_class("audit", name).memory)}


def cell_of(name: str) -> PlantedCell:
    claim = CLAIMS.get(name, MemoryClaim("", regime="user"))
    return planted_cell(claim.regime, claim.poison)


def claimed(name: str, model: Recommender) -> tuple[float, float, float]:
    """Figure, low and high end of its interval, turned so that higher is more memory."""
    claim, cell = CLAIMS[name], cell_of(name)
    found = run_audits([load_class("audit", name)], {"": model}, cell.context).metrics
    key = f"audit/{load_class('audit', name).name}/{claim.figure}"
    value, low, high = found[key], found[f"{key}_low"], found[f"{key}_high"]
    assert low <= value <= high
    return (value, low, high) if claim.more_is == "higher" else (-value, -high, -low)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_method_that_does_nothing_fails(name: str) -> None:
    cell = cell_of(name)
    _, low, _ = claimed(name, cell.original)
    _, _, gold_high = claimed(name, cell.gold)
    assert low > gold_high


@pytest.mark.parametrize("name", CLAIMS)
def test_a_gold_model_of_another_seed_passes(name: str) -> None:
    cell = cell_of(name)
    _, low, _ = claimed(name, cell.other_gold)
    _, _, gold_high = claimed(name, cell.gold)
    assert low <= gold_high


@pytest.mark.parametrize("name", CLAIMS)
def test_an_untrained_model_is_at_chance(name: str) -> None:
    cell = cell_of(name)
    value, low, _ = claimed(name, cell.untrained)
    chance = load_class("audit", name)(cell.context).chance()
    if chance is None:  # at least nothing is found on it
        assert low <= claimed(name, cell.gold)[2]
    else:
        assert value == pytest.approx(chance, abs=0.1)


def test_the_claims_cover_what_an_unlearning_benchmark_must_detect() -> None:
    assert {"membership_score", "membership_shadow", "relearn", "backdoor", "spam"} <= CLAIMS.keys()


@pytest.mark.parametrize("name", AUDITS)
def test_figures_repeat_fit_mlflow_and_leave_the_models_alone(name: str) -> None:
    cell = cell_of(name)
    before = {key: value.clone() for key, value in cell.original.state_dict().items()}
    models = {"": cell.other_gold, "original": cell.original, "gold": cell.gold}
    first, second = (run_audits([load_class("audit", name)], models, cell.context) for _ in range(2))
    prefix = f"audit/{load_class('audit', name).name}/"
    figures = {key: value for key, value in first.metrics.items() if key.startswith(prefix)}
    assert figures
    assert figures == {key: value for key, value in second.metrics.items() if key.startswith(prefix)}
    assert all(re.fullmatch(r"[\w\-./ ]+", key) for key in first.metrics)
    plain = {key.removeprefix(prefix) for key in figures}
    for figure in (f for f in plain if not f.startswith(("original_", "gold_"))):
        assert {f"original_{figure}", f"gold_{figure}"} <= plain
    assert first.arrays.keys() == second.arrays.keys()
    assert first.metrics[f"time/audit/{load_class('audit', name).name}_seconds"] > 0
    assert all(torch.equal(value, before[key]) for key, value in cell.original.state_dict().items())


class Broken(Audit):
    """Cannot say anything."""

    name = "broken"

    def __init__(self, context: AuditContext) -> None:
        super().__init__(context)

    def figures(self, model: Recommender) -> dict[str, float | torch.Tensor]:
        raise ZeroDivisionError("the audit is broken")


def test_an_audit_that_raises_fails_its_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AUDITS, "broken", f"{__name__}:Broken")
    places = [f"cache.dir={tmp_path}/cache", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    overrides = [*TINY, *places, "backbone=lightgcn", "method=original", "audit=standard"]
    config = expand([*overrides, "audit.audits=[broken]"], multirun=False)[0]
    with pytest.raises(ZeroDivisionError):
        run_cell(Planner().plan(config))
    (run,) = Store(config.tracking).runs("")
    assert run.info.status == "FAILED"
    assert run.data.tags["lethe.failure"] == "ZeroDivisionError: the audit is broken"
