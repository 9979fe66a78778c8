"""From overrides to cells, and what is refused on the way, each with key, value and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config import registry
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
    ("text", "line", "part"),
    [
        ("name: [finetune\nepochs: 2", 2, "mend the YAML"),
        ("name: finetune\n\tepochs: 3\n", 2, "mend the YAML"),
        ("", None, "does not state a name: add the line name: mine."),
        ("epochs: 3\n", None, "does not state a name"),
        ("- finetune\n", None, "does not state a name"),
        ("name: fintune\nepochs: 3\n", 1, "did you mean finetune?"),
        (
            "# a control\nname: finetune\nepohcs: 3\n",
            3,
            "not an option of method=finetune: did you mean epochs?",
        ),
        ("name: finetune\n\nepochs: -3\n", 3, "method.epochs=-3 is not valid: it should be greater"),
        ("# @package _global_\nmethod:\n  name: finetune\n  epochs: -3\n", 4, "method.epochs=-3"),
    ],
)
def test_a_mistake_in_a_yaml_is_one_sentence_with_file_and_line(
    text: str, line: int | None, part: str, tmp_path: Path
) -> None:
    (tmp_path / "method").mkdir()
    file = tmp_path / "method" / "mine.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        expand(["method=mine"], multirun=False, config_dir=str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"{file}, line {line}: " if line else f"{file} "), message
    assert part in message
    assert "\n" not in message


def test_a_registered_method_without_its_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.METHODS, "mine", "mine:Mine")
    registry.registry.cache_clear()
    with pytest.raises(InputError, match=r"method=mine is registered .* write conf/method/mine\.yaml"):
        expand(["method=mine"], multirun=False)
    registry.registry.cache_clear()


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("method=nosuch", ("method=nosuch", "choose one of", "tru")),
        ("dataset=nosuch", ("dataset=nosuch", "choose one of", "synthetic")),
        ("method=trv", ("method=trv", "did you mean tru?")),
        ("method.nosuch=1", ("method.nosuch", "not an option of method=tru", "capacity")),
        ("method.aplha=1", ("method.aplha", "method=tru", "did you mean alpha?")),
        ("+method.aplha=1", ("method.aplha", "method=tru", "did you mean alpha?")),
        ("train.patiense=1", ("train.patiense", "did you mean patience?")),
        ("sed=1", ("sed is not an option", "did you mean seed?")),
        ("methd=tru", ("methd is not an option", "did you mean method?")),
        ("metod.alpha=1", ("metod.alpha is not an option", "did you mean method?")),
        ("nosuch=1", ("nosuch", "not an option")),
        ("+method.nosuch=1", ("method.nosuch", "not an option")),
        ("+nosuch=1", ("nosuch", "not an option")),
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
