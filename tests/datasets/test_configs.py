"""The YAML files list every option; those of the default data set and the regimes state its default."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from bench.config.source import options_of
from datasets.request_options import RequestOptions
from datasets.synthetic import SyntheticOptions

CONF = Path(__file__).parents[2] / "conf"
DATASETS = sorted(p.stem for p in (CONF / "dataset").glob("*.yaml"))


def load(group: str, name: str) -> dict[str, Any]:
    content = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    # A file that also sets training options is packaged globally and holds its group by name.
    return dict(content.get(group, content))


def names(options: type) -> set[str]:
    return {field.name for field in dataclasses.fields(options)}


@pytest.mark.parametrize("name", DATASETS)
def test_dataset_files_list_every_option(name: str) -> None:
    content = load("dataset", name)
    # A folder given by its path is called by its own name.
    assert content.pop("name") in (name, None)
    options = options_of("reader", content.pop("reader"))
    assert set(content) == names(options)
    TypeAdapter(options).validate_python(content)


def test_default_dataset_states_the_defaults() -> None:
    content = load("dataset", "synthetic")
    del content["name"], content["reader"]
    assert TypeAdapter(SyntheticOptions).validate_python(content) == SyntheticOptions()


@pytest.mark.parametrize("name", ["user", "item", "interaction"])
def test_regime_files_state_the_defaults(name: str) -> None:
    content = load("regime", name)
    assert set(content) == names(RequestOptions)
    options = TypeAdapter(RequestOptions).validate_python(content)
    assert options == RequestOptions(name=name)  # type: ignore[arg-type]
