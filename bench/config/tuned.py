"""Tuned options: the file that a tune leaves, and its overlay onto the cells of a sweep.

``<tuned_dir>/<dataset>/<backbone>/<regime>/<method>.yaml`` holds the chosen values and where they come
from. With ``tuned=true`` the grid adds them to the overrides of each cell, so that whatever runs the
cell gets them resolved; options that the command line states keep their value. No torch in here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.config.schema import CONFIG_DIR, CellConfig
from bench.config.source import options_of
from bench.disk.files import write_text
from datasets.errors import InputError, shown

HEADER = """\
# Written by {command}
# Taken where tuned=true; values given on the command line win. How they were chosen: docs/tuning.md.
"""


@dataclass(frozen=True)
class Tuned:
    """What a tuned file says: values by option, and the seconds that finding them took."""

    values: dict[str, Any]
    seconds: float


def search_file(method: str, config_dir: str | None = None) -> Path | None:
    """The file of a method's search space, of an extra config folder first; None without one."""
    folders = [Path(config_dir)] if config_dir else []
    files = [folder / "search" / f"{method}.yaml" for folder in (*folders, CONFIG_DIR)]
    return next((file for file in files if file.is_file()), None)


def tuned_file(config: CellConfig) -> Path:
    """Where the tuned options of a cell's data set, backbone, regime and method are."""
    root = config.tuned_dir or CONFIG_DIR / "tuned_options"
    folder = root / config.data_name / config.backbone.name / config.regime.name
    return folder / f"{config.method.name}.yaml"


def tune_command(config: CellConfig) -> str:
    """The command that writes the file."""
    groups = [
        "dataset",
        *(["poison"] if config.poison.name != "none" else []),
        "backbone",
        "regime",
        "method",
    ]
    names = {group: getattr(config, group).name for group in groups}
    return "python -m bench.tune " + " ".join(f"{group}={name}" for group, name in names.items())


def read_tuned(config: CellConfig) -> Tuned:
    """The tuned options of a cell. Raises ``InputError`` where they are missing or not for this method."""
    file, remedy = tuned_file(config), f"run {tune_command(config)} first"
    if not file.is_file():
        raise InputError(f"tuned=true finds no {shown(file)}: {remedy}.")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        values, seconds = dict(content["method"]), float(content["provenance"]["seconds"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"tuned=true cannot read {file} as a tuned file: {remedy}.") from error
    known = {field.name for field in dataclasses.fields(options_of("method", config.method.name))}
    for option in values.keys() - known:
        raise InputError(f"tuned=true finds {option} in {file}, which is no option any more: {remedy}.")
    return Tuned(values, seconds)


def write_tuned(config: CellConfig, values: Mapping[str, Any], provenance: Mapping[str, Any]) -> Path:
    """Write the tuned options of a cell's setting; the file."""
    content = {"method": dict(values), "provenance": dict(provenance)}
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_text(tuned_file(config), HEADER.format(command=tune_command(config)) + body)
    return tuned_file(config)


def tuned_overrides(config: CellConfig, stated: Iterable[str]) -> list[str]:
    """Overrides that put the tuned options under those that are ``stated`` already.

    Args:
        stated: options of the method that the command line gives a value.
    """
    tuned, own = read_tuned(config), set(stated)
    taken = [f"method.{name}={_literal(value)}" for name, value in tuned.values.items() if name not in own]
    return [*taken, f"tuning_seconds={tuned.seconds}"]


def _literal(value: Any) -> str:
    """A value in Hydra's override grammar, which takes JSON but for the quotes around keys."""
    return json.dumps(value)
