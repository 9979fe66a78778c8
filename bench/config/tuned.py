"""Tuned options: the file that a tune leaves, and its overlay onto the cells of a sweep.

``<tuned_dir>/<dataset>/<backbone>/<regime>/<method>.yaml`` holds the values that oracle tuning chose and
where they come from, ``<method>-gold-free.yaml`` those of gold-free tuning. With ``tuned=true`` the grid adds
them to the overrides of each cell, so that whatever runs the cell gets them resolved; options that the
command line states keep their value. No torch in here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.config.schema import CONFIG_DIR, CellConfig, TunedFrom, as_json, build
from bench.config.source import code_digest, options_of
from bench.disk.files import write_text
from datasets.errors import InputError, shown

HEADER = """\
# Written by {command}
# {rule}. Taken where tuned=true; values given on the command line win. How they were chosen: docs/tuning.md.
"""
SUFFIX = {"gold": "", "proxy": "-gold-free"}
"""Of the name of a tuned file, by what its tune aimed at."""
SAME_REQUEST, OTHER_CODE, OTHER_SETTING = (
    "tuned on this request",
    "tuned with other code",
    "tuned in another setting",
)
REMARKS = {
    SAME_REQUEST: "the options were chosen on the very request that is reported: "
    "report on other requests, such as regime.seed=1,2",
    OTHER_CODE: "the options were chosen with another code of the method than runs now: tune again",
    OTHER_SETTING: "the options were chosen under other options of backbone, training, request or repair",
}
"""What each remark about tuned options means."""


@dataclass(frozen=True)
class Tuned:
    """What a tuned file says: values by option, and where they come from."""

    values: dict[str, Any]
    source: TunedFrom


def search_file(method: str, config_dir: str | None = None) -> Path | None:
    """The file of a method's search space, of an extra config folder first; None without one."""
    folders = [Path(config_dir)] if config_dir else []
    files = [folder / "search" / f"{method}.yaml" for folder in (*folders, CONFIG_DIR)]
    return next((file for file in files if file.is_file()), None)


def tuned_file(config: CellConfig, target: str | None = None) -> Path:
    """Where the tuned options of a cell's data set, backbone, regime and method are.

    Args:
        target: what their tune aimed at, if not what the cell names.
    """
    root = config.tuned_dir or CONFIG_DIR / "tuned_options"
    folder = root / config.data_name / config.backbone.name / config.regime.name
    return folder / f"{config.method.name}{SUFFIX[target or config.tuned_target]}.yaml"


def tune_command(config: CellConfig, target: str | None = None) -> str:
    """The command that writes the file."""
    groups = [
        "dataset",
        *(["poison"] if config.poison.name != "none" else []),
        "backbone",
        "regime",
        "method",
    ]
    words = [f"{group}={getattr(config, group).name}" for group in groups]
    words += ["target=proxy"] if (target or config.tuned_target) == "proxy" else []
    return " ".join(["python -m bench.tune", *words])


def setting_digest(config: CellConfig) -> str:
    """Digest of what must be the same for options to have been tried as they are used: backbone, training,
    repair, and how requests are drawn but for their seed."""
    request = {key: value for key, value in as_json(config.regime).items() if key not in ("seed", "file")}
    content = {
        "backbone": config.backbone.identity(),
        "train": as_json(config.train),
        "repair": as_json(config.applied_repair),
        "request": request,
        "candidates": config.evaluate.candidates,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def read_tuned(config: CellConfig) -> Tuned:
    """The tuned options of a cell. Raises ``InputError`` where they are missing or not for this method."""
    file, remedy = tuned_file(config), f"run {tune_command(config)} first"
    if not file.is_file():
        raise InputError(f"tuned=true finds no {shown(file)}: {remedy}.")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        values, source = dict(content["method"]), build(TunedFrom, content["tuning"], "tuning")
    except (yaml.YAMLError, KeyError, TypeError, ValueError, InputError) as error:
        raise InputError(f"tuned=true cannot read {shown(file)} as a tuned file: {remedy}.") from error
    known = {field.name for field in dataclasses.fields(options_of("method", config.method.name))}
    for option in values.keys() - known:
        raise InputError(f"tuned=true finds {option} in {file}, which is no option any more: {remedy}.")
    return Tuned(values, source)


def write_tuned(
    config: CellConfig,
    target: str,
    values: Mapping[str, Any],
    source: TunedFrom,
    provenance: Mapping[str, Any],
) -> Path:
    """Write the tuned options of a cell's setting; the file.

    Args:
        target: what the tune aimed at.
        provenance: what else there is to know, for people.
    """
    content = {"method": dict(values), "tuning": as_json(source), "provenance": dict(provenance)}
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    head = HEADER.format(command=tune_command(config, target), rule=source.rule.capitalize())
    file = tuned_file(config, target)
    write_text(file, head + body)
    return file


def tuned_overrides(config: CellConfig, stated: Iterable[str]) -> list[str]:
    """Overrides that put the tuned options under those that are ``stated`` already.

    Args:
        stated: options of the method that the command line gives a value.
    """
    tuned, own = read_tuned(config), set(stated)
    taken = [f"method.{name}={_literal(value)}" for name, value in tuned.values.items() if name not in own]
    source = ", ".join(f"{name}: {_literal(value)}" for name, value in as_json(tuned.source).items())
    return [*taken, f"tuning={{{source}}}"]


def tuned_remarks(config: CellConfig, data: str, request: str) -> tuple[str, ...]:
    """What has to be said about a cell's tuned options, of ``REMARKS``; nothing where it has none.

    Args:
        data: key of the cell's data set.
        request: key of its deletion request.

    Raises:
        InputError: where the options were chosen on other data.
    """
    source = config.tuning
    if source is None:
        return ()
    if source.data != data:
        raise InputError(
            f"tuned=true takes {shown(tuned_file(config))}, which was tuned on other data (data key "
            f"{source.data[:8]}, here {data[:8]}): run {tune_command(config)} again, or leave tuned=true out."
        )
    found = {
        SAME_REQUEST: source.request == request,
        OTHER_CODE: source.code != code_digest("method", config.method.name),
        OTHER_SETTING: source.setting != setting_digest(config),
    }
    return tuple(remark for remark, holds in found.items() if holds)


def _literal(value: Any) -> str:
    """A value in Hydra's override grammar, which takes JSON but for the quotes around keys."""
    return json.dumps(value)
