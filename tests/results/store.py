"""A store with cells of known content, made without training anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from bench.config.compose import expand_each
from bench.config.schema import TrackingConfig
from bench.record.names import CELL_KEY_TAG, KIND_TAG
from bench.record.parameters import parameters
from bench.record.store import Store

USERS = 40
SPLITS = ("test", "forget")


def store(uri: str) -> Store:
    """The store at ``uri``, created where it is not there."""
    return Store(TrackingConfig(uri=uri))


def record(
    place: Store,
    overrides: Sequence[str],
    metrics: Mapping[str, float],
    key: str = "",
    fail: str = "",
) -> str:
    """A cell as ``python -m bench`` would record it; its per-user values scatter around the means."""
    (config,) = expand_each([overrides])
    labels = {
        "dataset": config.data_name,
        "backbone": config.backbone.name,
        "regime": config.regime.name,
        "method": config.method.name,
        "seed": str(config.seed),
    }
    tags = {
        KIND_TAG: "cell",
        CELL_KEY_TAG: key or " ".join(overrides),
        **labels,
        "device.name": "test device",
    }
    run = place.start(config.label, {**tags, "lethe.commit": "0" * 40})
    place.log(run, params=parameters(config), metrics=metrics, curves={"curve/loss": [(0, 2.0), (1, 1.0)]})
    if fail:
        place.fail(run, RuntimeError(fail))
        return run
    place.log_arrays(run, "per_user.safetensors", per_user(metrics, config.seed))
    place.log_dataset(run, config.dataset.name, "datakey", "synthetic", {"users": USERS})
    place.finish(run)
    return run


def per_user(metrics: Mapping[str, float], seed: int) -> dict[str, torch.Tensor]:
    """Values of some users in an order of their own per seed, whose mean is the metric."""
    random = torch.Generator().manual_seed(seed)
    users = torch.randperm(USERS, generator=random)
    arrays: dict[str, torch.Tensor] = {}
    for split in SPLITS:
        arrays[f"{split}/users"] = users.clone()
        for name, value in metrics.items():
            if name.startswith(f"{split}/"):
                wave = torch.sin(users.float() * 7) * 1e-4
                arrays[name] = value + wave - wave.mean()
    return arrays


def table_cell(seed: int, method: str, *more: str, regime: str = "user") -> list[str]:
    """Overrides of a cell of the small Table 1 with MGCN."""
    places = ["dataset=synthetic", "backbone=mgcn", f"regime={regime}", f"method={method}"]
    return [*places, "audit=standard", f"seed={seed}", *more]
