"""Audits audited, whatever is registered: on planted data their verdict is known beforehand."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from bench.audits.base import Audit, Audited, MemoryClaim, run_audits
from bench.audits.memory.relearn import RelearnOptions
from bench.cell.run import run_cell
from bench.config.compose import CONFIG_DIR, expand
from bench.config.registry import load_class, registry
from bench.config.schema import as_json
from bench.config.source import options_of
from bench.measure.targets import measured_users
from bench.planning.planner import Planner
from bench.record.store import Store
from models.base import Recommender, Scorer
from models.bpr import BPR, BPROptions
from models.capabilities import Capability
from tests.bench.audits.planted import PlantedCell, planted_cell
from tests.bench.cells import TINY

AUDITS = sorted(registry("audit"))
MEMORY = {name: claim for name in AUDITS if (claim := load_class("audit", name).memory)}
TRACE = {name: claim for name in AUDITS if (claim := load_class("audit", name).trace)}
QUICK = {"relearn": RelearnOptions(passes=6)}
STATED = yaml.safe_load((CONFIG_DIR / "audit" / "options" / "default.yaml").read_text(encoding="utf-8"))

Interval = tuple[float, float, float]


def cell_of(name: str) -> PlantedCell:
    claim = MEMORY.get(name, MemoryClaim("", regime="user"))
    return planted_cell(claim.regime, claim.poison)


@cache
def audited(name: str, regime: str, poison: str) -> Audited:
    """What an audit finds on every model of a planted cell, gold's beside them."""
    cell, kind = planted_cell(regime, poison), load_class("audit", name)
    return run_audits([partial(kind, options=QUICK.get(name))], cell.models(), cell.context)


def figure_of(name: str, figure: str, model: str, regime: str = "user", poison: str = "none") -> Interval:
    """A figure with the low and the high end of its interval."""
    found = audited(name, regime, poison).metrics
    key = f"audit/{load_class('audit', name).name}/{model}_{figure}"
    value, low, high = (found[f"{key}{end}"] for end in ("", "_low", "_high"))
    assert low <= value <= high
    return value, low, high


def memory(name: str, model: str) -> Interval:
    """The claimed figure, turned so that higher is more memory."""
    claim = MEMORY[name]
    value, low, high = figure_of(name, claim.figure, model, claim.regime, claim.poison)
    return (value, low, high) if claim.more_is == "higher" else (-value, -high, -low)


def traced(name: str, model: str) -> bool:
    """Whether any claimed figure of the model lies apart from gold's."""
    claim = TRACE[name]
    for figure in claim.figures:
        (_, low, high), (_, gold_low, gold_high) = (
            figure_of(name, figure, one, claim.regime) for one in (model, "gold")
        )
        if low - gold_high > claim.least or gold_low - high > claim.least:
            return True
    return False


@pytest.mark.parametrize("name", MEMORY)
@pytest.mark.parametrize("model", ["original", "remembering"])
def test_a_method_that_does_nothing_and_planted_memory_are_found(name: str, model: str) -> None:
    assert memory(name, model)[1] > memory(name, "gold")[2]


@pytest.mark.parametrize("name", MEMORY)
def test_a_gold_model_of_another_seed_passes(name: str) -> None:
    assert memory(name, "other_gold")[1] <= memory(name, "gold")[2]


@pytest.mark.parametrize("name", MEMORY)
def test_an_untrained_model_is_at_chance(name: str) -> None:
    value, low, _ = memory(name, "untrained")
    chance = load_class("audit", name)(cell_of(name).context).chance()
    if chance is None:  # at least no more is found on it than an hour of learning brings
        assert low <= memory(name, "gold")[2] + 0.05
    else:
        assert value == pytest.approx(chance, abs=0.1)


@pytest.mark.parametrize("name", TRACE)
@pytest.mark.parametrize(("model", "found"), [("original", True), ("moved", True), ("other_gold", False)])
def test_rows_out_of_place_are_found_and_golds_are_not(name: str, model: str, found: bool) -> None:
    assert traced(name, model) == found


def test_the_claims_cover_what_an_unlearning_benchmark_must_detect() -> None:
    assert {"membership_score", "membership_shadow", "relearn", "backdoor", "spam"} <= MEMORY.keys()
    assert {"relearn", "return", "trace"} <= TRACE.keys()


@pytest.mark.parametrize("name", AUDITS)
def test_figures_repeat_fit_mlflow_and_leave_the_models_alone(name: str) -> None:
    cell = cell_of(name)
    before = {key: value.clone() for key, value in cell.original.state_dict().items()}
    models = {"": cell.other_gold, "original": cell.original, "gold": cell.gold}
    kind = partial(load_class("audit", name), options=QUICK.get(name))
    first = run_audits([kind], models, cell.context)
    claim = MEMORY.get(name, MemoryClaim("", regime="user"))
    second = audited(name, claim.regime, claim.poison)
    prefix = f"audit/{load_class('audit', name).name}/"
    figures = {key.removeprefix(prefix): value for key, value in first.metrics.items() if prefix in key}
    own = {key: value for key, value in figures.items() if not key.startswith(("original_", "gold_"))}
    assert own
    for figure, value in own.items():
        assert {f"original_{figure}", f"gold_{figure}"} <= figures.keys()
        assert second.metrics[f"{prefix}other_gold_{figure}"] == value, "the company of other models tells"
    assert all(re.fullmatch(r"[\w\-./ ]+", key) for key in first.metrics)
    stem = load_class("audit", name).name
    assert {key for key in first.arrays if f"{stem}/gold/" in key} <= second.arrays.keys()
    assert first.metrics[f"time/audit/{stem}_seconds"] > 0
    assert all(torch.equal(value, before[key]) for key, value in cell.original.state_dict().items())


@pytest.mark.parametrize("name", AUDITS)
def test_every_audit_states_what_it_needs_of_a_model(name: str) -> None:
    kind = load_class("audit", name)
    assert any("needs" in vars(base) for base in kind.__mro__[: kind.__mro__.index(Audit)])
    assert set(kind.needs) <= set(Capability)


class Ranker(BPR):
    """Orders items, and says that it cannot be asked for anything else."""

    lacks = {one: f"it lacks {one}" for one in Capability}  # noqa: RUF012


@pytest.mark.parametrize("name", AUDITS)
def test_an_audit_asks_nothing_of_a_model_that_it_lacks(name: str) -> None:
    """Neither figures nor a failure: the reason, and the figures of the references all the same."""
    cell, kind = cell_of(name), load_class("audit", name)
    torch.manual_seed(0)
    ranker = Ranker(cell.context.full, BPROptions())
    references = {"original": cell.original, "gold": cell.gold}
    found = run_audits([partial(kind, options=QUICK.get(name))], {"": ranker, **references}, cell.context)
    own = {m for m in found.metrics if m.startswith("audit/") and "/original_" not in m and "/gold_" not in m}
    assert bool(own) == (not kind.needs)
    assert any("/gold_" in metric for metric in found.metrics)
    needed = [one for one in Capability if one in kind.needs]
    expected = {f"audit/{kind.name}": f"it lacks {needed[0]}"} if needed else {}
    assert found.not_applicable == expected


def test_an_audit_is_left_out_whole_where_the_references_cannot_be_asked() -> None:
    cell = cell_of("return")
    ranker = Ranker(cell.context.full, BPROptions())
    context = replace(cell.context, references={"original": ranker, "gold": ranker})
    models = {"": cell.original, "original": ranker, "gold": ranker}
    found = run_audits([load_class("audit", "return")], models, context)
    assert not [metric for metric in found.metrics if metric.startswith("audit/")]
    assert found.not_applicable.keys() == {
        "audit/return",
        "audit/return/original_",
        "audit/return/gold_",
    }


LISTS = ["membership_score", "membership_shadow", "popularity", "fairness", "backdoor", "spam"]


@pytest.mark.parametrize("name", LISTS)
def test_on_a_sample_of_users_an_audit_of_lists_asks_for_nobody_else(name: str) -> None:
    cell, kind = cell_of(name), load_class("audit", name)
    full, request = cell.context.full, cell.context.request
    users = measured_users(full, request, full.num_users * 2 // 3, 0)
    asked: set[int] = set()

    class Watched(BPR):
        """Notes for whom it is asked."""

        lacks = dict.fromkeys(Capability, "only its lists are there")

        def scorer(self) -> Scorer:
            inner = super().scorer()

            def noted(chunk: Tensor) -> Tensor:
                asked.update(chunk.tolist())
                return inner(chunk)

            return noted

    torch.manual_seed(0)
    context = replace(cell.context, users=users)
    models = {"": Watched(full, BPROptions()), "original": cell.original, "gold": cell.gold}
    found = run_audits([partial(kind, options=QUICK.get(name))], models, context)
    assert asked
    assert asked <= set(users.tolist())  # type: ignore[union-attr]
    assert found.not_applicable == {}


@pytest.mark.parametrize("name", AUDITS)
def test_options_are_stated_with_their_defaults_and_read_as_they_import(name: str) -> None:
    read, imported = options_of("audit", name), load_class("audit", name).Options
    assert as_json(read()) == as_json(imported())
    assert as_json(read()) == STATED.get(name, {})


def test_no_options_are_stated_for_an_audit_that_is_not_there() -> None:
    assert STATED.keys() <= set(AUDITS)


class Broken(Audit):
    """Cannot say anything."""

    name = "broken"

    def figures(self, model: Recommender) -> dict[str, float | torch.Tensor]:
        raise ZeroDivisionError("the audit is broken")


def test_an_audit_that_raises_fails_its_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry("audit"), "broken", f"{__name__}:Broken")
    places = [f"cache.dir={tmp_path}/cache", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    overrides = [*TINY, *places, "backbone=lightgcn", "method=original", "audit=standard"]
    config = expand([*overrides, "audit.audits=[broken]"], multirun=False)[0]
    with pytest.raises(ZeroDivisionError):
        run_cell(Planner().plan(config))
    (run,) = Store(config.tracking).runs("")
    assert run.info.status == "FAILED"
    assert run.data.tags["lethe.failure"] == "ZeroDivisionError: the audit is broken"
