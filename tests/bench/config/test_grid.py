"""From overrides to cells, and what is refused on the way, each with key, value and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config.compose import expand
from datasets.errors import InputError


def labels(*overrides: str, multirun: bool = True) -> list[str]:
    return [config.label for config in expand(list(overrides), multirun)]


def test_sweep_order_is_hydras() -> None:
    assert labels("method=tru,mmrecun", "seed=0,1", "dataset=synthetic_tiny") == [
        "synthetic_tiny/mgcn/user/tru/seed 0",
        "synthetic_tiny/mgcn/user/tru/seed 1",
        "synthetic_tiny/mgcn/user/mmrecun/seed 0",
        "synthetic_tiny/mgcn/user/mmrecun/seed 1",
    ]


def test_experiment_brings_its_sweep() -> None:
    methods = [label.split("/")[3] for label in labels("experiment=demo", multirun=False)]
    assert methods == ["original", "retrain", "graph_only", "reset", "finetune", "mmrecun", "tru"]


def test_extra_config_folder(tmp_path: Path) -> None:
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "mine.yaml").write_text("name: finetune\nepochs: 7\n")
    (config,) = expand(["method=mine"], multirun=False, config_dir=str(tmp_path))
    assert (config.method.name, config.method.options.epochs) == ("finetune", 7)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("method=nosuch", ("method=nosuch", "choose one of", "tru")),
        ("dataset=nosuch", ("dataset=nosuch", "choose one of", "synthetic")),
        ("method.nosuch=1", ("method.nosuch", "not a known option")),
        ("nosuch=1", ("nosuch", "not a known option")),
        ("+method.nosuch=1", ("method.nosuch", "not a known option")),
        ("+nosuch=1", ("nosuch", "not a known option")),
        ("method.alpha=abc", ("method.alpha=abc", "number")),
        ("method.alpha=2", ("method.alpha=2", "less than or equal to 1")),
        ("train.batch_size=2.5", ("train.batch_size=2.5", "integer")),
        ("train.learning_rate=0", ("train.learning_rate=0", "greater than 0")),
        ("run.mode=sometimes", ("run.mode=sometimes", "'only_missing' or 'always'")),
        ("regime.ratio=0", ("regime.ratio=0", "greater than 0")),
        ("regime.ratio=1", ("regime.ratio=1", "less than 1")),
        ("regime.sampler=mine", ("regime.sampler=mine", "'random', 'core' or 'edge'")),
        ("seed=abc", ("seed=abc", "integer")),
        ("method.alpha", ("method.alpha", "key=value")),
        ("method=tru,mmrecun", ("method=tru,mmrecun", "add -m")),
    ],
)
def test_one_sentence_for_a_wrong_override(override: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        expand([override], multirun=False)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message
