"""A key changes with everything that determines the content, and with nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.cache.content import canonical, digest
from bench.config.compose import expand
from bench.config.schema import CellConfig
from bench.planning import keys as keys_module
from bench.planning.keys import CellKeys, cell_keys


def keys(*overrides: str, data: str = "data", request_file: str = "") -> CellKeys:
    (config,) = expand(list(overrides), multirun=False)
    return cell_keys(config, data, request_file, "cpu")


def changed(*overrides: str, **inputs: Any) -> set[str]:
    before, after = dataclasses.asdict(keys()), dataclasses.asdict(keys(*overrides, **inputs))
    return {stage for stage in before if before[stage] != after[stage]}


ALL_MODELS = {"original", "gold", "cell"}


@pytest.mark.parametrize(
    ("override", "stages"),
    [
        ("seed=1", ALL_MODELS),
        ("backbone=lightgcn", ALL_MODELS),
        ("backbone.layers=1", ALL_MODELS),
        ("train.learning_rate=0.01", ALL_MODELS),
        ("run.deterministic=true", ALL_MODELS),
        ("regime=item", {"request", "gold", "cell"}),
        ("regime.seed=1", {"request", "gold", "cell"}),
        ("regime.ratio=0.1", {"request", "gold", "cell"}),
        ("method=finetune", {"cell"}),
        ("method.alpha=0.3", {"cell"}),
        ("evaluate.trajectory=false", {"cell"}),
        ("evaluate.candidates=remaining", {"cell"}),
        ("evaluate.lists=10", {"cell"}),
        ("evaluate.users.count=20", {"cell"}),
        ("evaluate.users.seed=1", set()),
        ("run.threads=2", set()),
        ("run.mode=always", set()),
        ("cache.dir=elsewhere", set()),
        ("tracking.uri=sqlite:///other.db", set()),
        ("data_root=/elsewhere", set()),
    ],
)
def test_what_an_override_invalidates(override: str, stages: set[str]) -> None:
    assert changed(override) == stages


def test_data_and_request_file_reach_every_later_key() -> None:
    assert changed(data="other") == {"data", "request", *ALL_MODELS}
    assert changed(request_file="checksum") == {"request", "gold", "cell"}


def test_canonical_json_ignores_order_and_refuses_nan() -> None:
    assert canonical({"b": [1, 2], "a": None}) == canonical({"a": None, "b": [1, 2]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": float("nan")})


def test_stages_do_not_collide() -> None:
    assert digest("data", {"a": 1}) != digest("request", {"a": 1})


def test_config_is_frozen() -> None:
    (config,) = expand([], multirun=False)
    assert isinstance(config, CellConfig)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "stages"), [("method", {"cell"}), ("backbone", ALL_MODELS), ("audit", set()), ("reader", set())]
)
def test_edited_code_changes_the_keys_of_what_it_computes(
    kind: str, stages: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a method its cells alone, of a reader the data key, of an audit that does not run nothing."""
    before, plain = dataclasses.asdict(keys()), keys_module.code_digest
    monkeypatch.setattr(
        keys_module, "code_digest", lambda of, name: "edited" if of == kind else plain(of, name)
    )
    after = dataclasses.asdict(keys())
    assert {stage for stage in before if before[stage] != after[stage]} == stages


def test_edited_code_of_an_audit_changes_the_cells_that_it_audits(monkeypatch: pytest.MonkeyPatch) -> None:
    before, plain = keys("audit=standard"), keys_module.code_digest
    monkeypatch.setattr(
        keys_module, "code_digest", lambda of, name: "edited" if of == "audit" else plain(of, name)
    )
    after = keys("audit=standard")
    assert (after.original, after.gold) == (before.original, before.gold)
    assert after.cell != before.cell
