"""Tuned options are taken where asked for, and where they were tuned on something else that is said."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.cli import main as bench_main
from bench.config.compose import expand, expand_grid
from bench.config.schema import CONFIG_DIR, CellConfig, TunedFrom
from bench.config.source import code_digest
from bench.config.tuned import (
    OTHER_CODE,
    OTHER_SETTING,
    REMARKS,
    SAME_REQUEST,
    read_tuned,
    setting_digest,
    tuned_file,
    write_tuned,
)
from bench.planning.keys import cell_keys
from bench.record.names import (
    TUNED_REMARKS_TAG,
    TUNED_RULE_TAG,
    TUNED_SECONDS_TAG,
    TUNED_TAG,
    TUNED_TRIALS_TAG,
)
from bench.record.store import Store
from datasets.errors import InputError
from tests.bench.cells import TINY
from tests.bench.tune.places import places, planned

SOURCE = TunedFrom("oracle tuning", 20, 12.5, "data", "request", "code", "setting")


def leave(
    folder: Path, method: str, backbone: str = "mgcn", target: str = "gold", **values: Any
) -> dict[str, str]:
    """Write a tuned file as a tune on request 0 would; what it says of its source."""
    cell = planned(folder, f"method={method}", f"backbone={backbone}")
    source = dataclasses.replace(
        SOURCE,
        rule={"gold": "oracle tuning", "proxy": "gold-free tuning"}[target],
        data=cell.keys.data,
        request=cell.keys.request,
        code=code_digest("method", method),
        setting=setting_digest(cell.config),
    )
    write_tuned(cell.config, target, values, source, {})
    return dataclasses.asdict(source)


def alter(folder: Path, method: str, **changed: str) -> None:
    """Change what a tuned file says of its source."""
    file = tuned_file(planned(folder, f"method={method}").config)
    content = yaml.safe_load(file.read_text())
    content["tuning"] |= changed
    file.write_text(yaml.safe_dump(content))


def test_each_cell_of_a_sweep_takes_the_values_of_its_own_setting(tmp_path: Path) -> None:
    leave(tmp_path, "mmrecun", alpha=0.7, repair_lr=None, form="ascent", reverse_lr=1e-05)
    leave(tmp_path, "finetune", epochs=2)
    leave(tmp_path, "finetune", backbone="lightgcn", epochs=9)
    sweep = ["backbone=mgcn,lightgcn", "method=finetune", "tuned=true"]
    configs = expand([*TINY, *places(tmp_path), *sweep], multirun=True)
    assert [config.method.options.epochs for config in configs] == [2, 9]
    overrides = [*TINY, *places(tmp_path), "method=mmrecun,reset,original", "tuned=true"]
    tuned_one, *others = expand(overrides, multirun=True)
    options = tuned_one.method.options
    taken = (options.alpha, options.repair_lr, options.form, options.reverse_lr)
    assert taken == (0.7, None, "ascent", 1e-05)
    assert [config.tuning for config in others] == [None, None]
    plain = expand([*overrides[:-1]], multirun=True)
    assert [_cell(config) for config in plain[1:]] == [_cell(config) for config in others]
    assert _cell(plain[0]) != _cell(tuned_one)


def _cell(config: Any) -> str:
    return cell_keys(config, "data", "", "cpu").cell


def test_each_rule_has_a_file_of_its_own(tmp_path: Path) -> None:
    oracle = leave(tmp_path, "finetune", epochs=2)
    free = leave(tmp_path, "finetune", target="proxy", epochs=7)
    sweep = ["method=finetune", "tuned=true", "tuned_target=gold,proxy"]
    configs = expand([*TINY, *places(tmp_path), *sweep], multirun=True)
    assert [config.method.options.epochs for config in configs] == [2, 7]
    assert [dataclasses.asdict(config.tuning) for config in configs if config.tuning] == [oracle, free]


def test_the_command_line_wins(tmp_path: Path) -> None:
    leave(tmp_path, "mmrecun", alpha=0.7, epochs=3)
    sweep = ["method=mmrecun", "method.alpha=0.1,0.2", "tuned=true"]
    grid = expand_grid([*TINY, *places(tmp_path), *sweep], multirun=True)
    assert [config.method.options.alpha for config in grid.configs] == [0.1, 0.2]
    assert [config.method.options.epochs for config in grid.configs] == [3, 3]
    assert [own[0] for own in grid.added] == ["method.epochs=3"] * 2
    assert all(own[1].startswith("tuning={rule: ") for own in grid.added)
    endings = [config.variant.split()[-2:] for config in grid.configs]
    assert endings == [["alpha=0.1", "oracle-tuned"], ["alpha=0.2", "oracle-tuned"]]


@pytest.mark.parametrize("target", ["gold", "proxy"])
@pytest.mark.parametrize(
    "content",
    [
        *(None, "nonsense: [", "method: {epochs: 1}", "[]"),
        "method: {epochs: 1}\nprovenance: {seconds: 3.0}",  # chosen by a rule that is no more
        "method: {epochs: 1}\ntuning: {rule: oracle tuning, trials: 3}",
    ],
)
def test_a_missing_or_damaged_file_names_the_command_that_writes_it(
    content: str | None, target: str, tmp_path: Path
) -> None:
    if content is not None:
        leave(tmp_path, "finetune", target=target, epochs=1)
        tuned_file(planned(tmp_path, "method=finetune").config, target).write_text(content)
    overrides = ["method=finetune", "tuned=true", f"tuned_target={target}"]
    with pytest.raises(InputError) as caught:
        expand([*TINY, *places(tmp_path), *overrides], multirun=False)
    command = "python -m bench.tune dataset=synthetic_tiny backbone=mgcn regime=user method=finetune"
    assert command + (" target=proxy" if target == "proxy" else "") + " first" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_files_of_the_checkout_are_taken() -> None:
    folder = CONFIG_DIR / "tuned_options"
    keys = {field.name for field in dataclasses.fields(CellConfig)}
    assert folder.name not in keys, "Hydra would take the key for the group of that folder"
    for file in folder.glob("*/*/*/*.yaml"):
        dataset, backbone, regime, stem = file.with_suffix("").parts[-4:]
        method, _, free = stem.partition("-")
        setting = [f"dataset={dataset}", f"backbone={backbone}", f"regime={regime}", f"method={method}"]
        target = f"tuned_target={'proxy' if free else 'gold'}"
        (config,) = expand([*setting, "tuned=true", target], multirun=False)
        values = yaml.safe_load(file.read_text(encoding="utf-8"))["method"]
        assert {name: getattr(config.method.options, name) for name in values} == values


def test_an_option_that_is_gone_is_refused(tmp_path: Path) -> None:
    leave(tmp_path, "finetune", epoch=1)
    with pytest.raises(InputError, match=r"finds epoch in .* no option any more"):
        read_tuned(planned(tmp_path, "method=finetune").config)


@pytest.mark.parametrize("multirun", [[], ["-m"]])
def test_other_data_is_refused_in_one_sentence_before_anything_starts(
    multirun: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(tmp_path, "finetune", epochs=1)
    alter(tmp_path, "finetune", data="12345678901234567890")
    overrides = [*multirun, *TINY, *places(tmp_path), "method=finetune", "tuned=true", "regime.seed=1"]
    assert bench_main(overrides) == 2
    error = capsys.readouterr().err
    assert "was tuned on other data (data key 12345678, here " in error
    assert "python -m bench.tune dataset=synthetic_tiny" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "cache" / "models").exists()


@pytest.mark.parametrize(
    ("overrides", "changed", "remarks"),
    [
        (["regime.seed=1"], {}, ()),
        ([], {}, (SAME_REQUEST,)),
        (["seed=3"], {}, (SAME_REQUEST,)),  # another training seed faces the same request
        (["regime.seed=1"], {"code": "0" * 16}, (OTHER_CODE,)),
        (["regime.seed=1", "regime.ratio=0.1"], {}, (OTHER_SETTING,)),
        (["regime.seed=1", "train.batch_size=64"], {}, (OTHER_SETTING,)),
        (["regime.seed=1", "repair=short"], {}, (OTHER_SETTING,)),
        ([], {"code": "0" * 16}, (SAME_REQUEST, OTHER_CODE)),
    ],
)
def test_what_was_tuned_otherwise_is_said_in_the_plan(
    overrides: list[str],
    changed: dict[str, str],
    remarks: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    leave(tmp_path, "finetune", epochs=1)
    alter(tmp_path, "finetune", **changed)
    every = [*TINY, *places(tmp_path), "method=finetune", "tuned=true", *overrides]
    assert planned(tmp_path, *every[len(TINY) + 3 :]).remarks == remarks
    assert bench_main([*every, "run.dry=true"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert [line.split(": ")[2] for line in said] == list(remarks)
    assert all(line.startswith("warning: synthetic_tiny/mgcn/user/finetune") for line in said)
    assert all(REMARKS[remark] in line for remark, line in zip(remarks, said, strict=True))


@pytest.mark.parametrize("multirun", [[], ["-m"]])
def test_a_run_takes_the_values_and_says_so(
    multirun: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    leave(tmp_path, "finetune", epochs=1, learning_rate=0.002)
    overrides = [*TINY, *places(tmp_path), "train.max_epochs=1", "method=finetune", "tuned=true"]
    assert bench_main([*multirun, *overrides]) == 0
    assert f": {SAME_REQUEST}: " in capsys.readouterr().err
    (run,) = Store(planned(tmp_path).config.tracking).runs("tags.`lethe.kind` = 'cell'")
    assert run.data.params["method.learning_rate"] == "0.002"
    assert run.data.params["method.epochs"] == "1"
    tags = (TUNED_TAG, TUNED_RULE_TAG, TUNED_TRIALS_TAG, TUNED_SECONDS_TAG)
    assert [run.data.tags[tag] for tag in tags] == ["true", "oracle tuning", "20", "12.5"]
    assert run.data.tags[TUNED_REMARKS_TAG] == f"{SAME_REQUEST}; {OTHER_SETTING}", "max_epochs differs"
