"""A cell's configuration as flat MLflow parameters; readers of the store compare with it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.config.schema import CellConfig, as_json


def parameters(config: CellConfig) -> dict[str, Any]:
    """The configuration as flat MLflow parameters; what does not determine the result is left out."""
    groups: dict[str, Any] = {
        "dataset": {**config.dataset.identity(), "reader": config.dataset.reader},
        "poison": as_json(config.poison) if config.poison.name != "none" else {"name": "none"},
        "backbone": config.backbone.identity(),
        "regime": as_json(config.regime),
        "stream": as_json(config.stream) if config.stream.streams else {"name": "none"},
        "method": config.method.identity(),
        "train": as_json(config.train),
        "repair": as_json(config.applied_repair),
        "evaluate": {"users.count": None, "users.seed": 0, **config.evaluate.identity()},
        "audit": as_json(config.audit),
        "run": as_json(config.run),
        "seed": config.seed,
        "device": config.device,
    }
    return _flat(groups)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
