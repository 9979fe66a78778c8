"""Audits in cells from end to end: what is trained for them is cached, what they find is recorded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench.cell.run import run_cell
from bench.config.compose import expand
from bench.plan.keys import CellKeys, cell_keys
from bench.plan.planner import PlannedCell, Planner
from bench.plan.rehearsal import rehearse
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
    for figure in ("membership_shadow/auc", "relearn/passes", "onion/growth", "fairness/ndcg_gap"):
        assert {f"audit/{figure}", f"audit/{figure.replace('/', '/gold_')}"} <= metrics.keys()
    assert models_in(tmp_path) == 3
    run_cell(planned(tmp_path, "method=original", *overrides))
    assert models_in(tmp_path) == 3, "original, gold and the shadow are shared by the methods"


def test_a_poisoned_cell(tmp_path: Path) -> None:
    cell = planned(tmp_path, "method=retrain", "poison=backdoor", "regime=poison", "audit=poison")
    store = Store(cell.config.tracking)
    run = store.client.get_run(run_cell(cell))
    assert run.data.metrics["audit/backdoor/trials"] == 200
    assert run.data.metrics["request/users"] == 2
    assert run.data.tags["dataset"] == "synthetic_tiny+backdoor"
    assert run.data.params["poison.trigger_items"] == "5"
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
