"""Audits in cells from end to end: what is trained for them is cached, what they find is recorded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench.cell.run import run_cell
from bench.config.compose import expand
from bench.planning.keys import CellKeys, cell_keys
from bench.planning.planner import PlannedCell, Planner
from bench.planning.rehearsal import rehearse
from bench.record.local.parameters import parameters
from bench.record.store import Store
from datasets.errors import InputError
from tests.bench.cells import TINY


def planned(folder: Path, *overrides: str) -> PlannedCell:
    places = [f"cache.dir={folder}/cache", f"tracking.uri=sqlite:///{folder}/mlflow.db"]
    return Planner().plan(expand([*TINY, "backbone=lightgcn", *places, *overrides], multirun=False)[0])


def models_in(folder: Path) -> int:
    return len(list((folder / "cache" / "models").iterdir()))


def test_every_audit_of_a_clean_cell_shares_one_shadow_model(tmp_path: Path) -> None:
    overrides = ["audit=full", "regime.ratio=0.3"]
    cell = planned(tmp_path, "method=graph_only", *overrides)
    store = Store(cell.config.tracking)
    metrics = store.client.get_run(run_cell(cell)).data.metrics
    for figure in ("membership_shadow/auc", "relearn/area", "return/regained", "fairness/ndcg_gap"):
        assert {f"audit/{figure}", f"audit/{figure.replace('/', '/gold_')}"} <= metrics.keys()
    assert models_in(tmp_path) == 3
    run_cell(planned(tmp_path, "method=original", *overrides, "audit.audits=[membership_shadow]"))
    assert models_in(tmp_path) == 3, "original, gold and the shadow are shared by the methods"


def test_a_poisoned_cell(tmp_path: Path) -> None:
    cell = planned(tmp_path, "method=retrain", "poison=backdoor", "regime=poison", "audit=poison")
    store = Store(cell.config.tracking)
    run = store.client.get_run(run_cell(cell))
    assert run.data.metrics["audit/backdoor/trials"] == 200
    assert run.data.metrics["audit/backdoor/targets"] == 5
    assert run.data.metrics["request/users"] == 10
    assert run.data.tags["dataset"] == "synthetic_tiny+backdoor"
    assert run.data.params["poison.triggers"] == "5"
    assert "audits.safetensors" in {file.path for file in store.client.list_artifacts(run.info.run_id)}


def test_an_audit_without_its_poison_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose poison=backdoor with regime=poison"):
        rehearse([planned(tmp_path, "audit=standard", "audit.audits=[backdoor]")])
    assert not (tmp_path / "cache" / "models").exists()


def test_what_poison_and_audits_do_to_keys() -> None:
    def keys(*overrides: str) -> CellKeys:
        (config,) = expand(["dataset=synthetic_tiny", *overrides], multirun=False)
        return cell_keys(config, "data", "", "cpu")

    plain, audited = keys(), keys("audit=standard")
    changed = {
        f.name for f in dataclasses.fields(CellKeys) if getattr(plain, f.name) != getattr(audited, f.name)
    }
    assert changed == {"cell"}


def test_options_of_audits_are_set_swept_checked_and_part_of_the_key(tmp_path: Path) -> None:
    overrides = ["dataset=synthetic_tiny", "audit=standard", "audit.audits=[relearn,onion]"]
    cells = expand([*overrides, "audit.options.relearn.passes=3,4"], multirun=True)
    assert [cell.audit.options["relearn"].passes for cell in cells] == [3, 4]
    assert cells[0].audit.options["onion"].folds == 5
    assert len({cell_keys(cell, "data", "", "cpu").cell for cell in cells}) == 2
    params = parameters(cells[0])
    assert params["audit.options.relearn.passes"] == 3
    assert params["audit.options.relearn.rates"] == [0.001, 0.01, 0.1]
    assert not any(key.startswith("audit.options.trace") for key in params), "only what runs counts"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["audit.options.relearn.passes=0"], r"audit\.options\.relearn\.passes=0 is not valid"),
        (["audit.options.relearn.rates=[]"], r"audit\.options\.relearn\.rates=\[\] is not valid"),
        (["audit.options.relearn.pass=3"], r"audit\.options\.relearn\.pass is not an option"),
        (["+audit.options.relearn.pass=3"], r"audit\.options\.relearn\.pass is not an option"),
        (["audit.options.relearn=3"], r"audit\.options\.relearn=3 is not valid"),
        (["audit.options.trace.ratio=3"], "trace sets options of an audit that does not run: add trace"),
        (["+audit.options.polygraph.volts=3"], "polygraph is not registered"),
        (["audit.audits=[polygraph]"], "polygraph is not registered: choose one of backdoor, fairness"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_sentence(overrides: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        expand(["audit=none", "audit.audits=[relearn]", *overrides], multirun=False)


def test_options_reach_the_audits_of_a_cell(tmp_path: Path) -> None:
    overrides = ["audit.audits=[relearn,fairness]", "audit.options.relearn.rates=[0.5]"]
    cell = planned(tmp_path, "method=graph_only", "audit.options.relearn.passes=1", *overrides)
    rehearse([cell])
    store = Store(cell.config.tracking)
    metrics = store.client.get_run(run_cell(cell)).data.metrics
    assert {key for key in metrics if "area_at_" in key and not key.endswith(("_low", "_high"))} == {
        f"audit/relearn/{role}area_at_0.5" for role in ("", "original_", "gold_")
    }


def test_the_rehearsal_asks_the_audits_with_their_options(tmp_path: Path) -> None:
    overrides = ["method=graph_only", "audit.audits=[membership_score]", "regime.ratio=0.3"]
    rehearse([planned(tmp_path, *overrides)])
    with pytest.raises(InputError, match="audits=membership_score finds only"):
        rehearse([planned(tmp_path, *overrides, "audit.options.membership_score.folds=500")])
