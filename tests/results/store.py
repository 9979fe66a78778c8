"""A store with cells of known content, made without training anything."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bench.config.compose import expand_each
from bench.config.schema import CellConfig, TrackingConfig
from bench.measure.lists import DEPTH, LISTS_FILE
from bench.planning.code import code_of
from bench.record.local.parameters import parameters
from bench.record.names import CELL_KEY_TAG, CODE_TAG, DATA_KEY_TAG, KIND_TAG, REQUEST_KEY_TAG
from bench.record.store import Store

USERS, ITEMS = 40, 200
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
    tags: Mapping[str, str] | None = None,
    lists: Mapping[str, Tensor] | None = None,
) -> str:
    """A cell as ``python -m bench`` would record it; its per-user values scatter around the means.

    ``tags`` replace its own, ``lists`` are its recommendation lists (none by default).
    """
    (config,) = expand_each([overrides])
    run = place.start(config.label, {**_tags(config, overrides, key), **(tags or {})})
    place.log(run, params=parameters(config), metrics=metrics, curves={"curve/loss": [(0, 2.0), (1, 1.0)]})
    if fail:
        place.fail(run, RuntimeError(fail))
        return run
    place.log_arrays(run, "per_user.safetensors", per_user(metrics, config.seed))
    if lists is not None:
        place.log_arrays(run, LISTS_FILE, lists)
    place.log_dataset(run, config.dataset.name, "datakey", "synthetic", {"users": USERS})
    place.finish(run)
    return run


def _tags(config: CellConfig, overrides: Sequence[str], key: str) -> dict[str, str]:
    labels = {
        "dataset": config.data_name,
        "backbone": config.backbone.name,
        "regime": config.regime.name,
        "method": config.method.name,
        "seed": str(config.seed),
    }
    return {
        KIND_TAG: "cell",
        CELL_KEY_TAG: key or " ".join(overrides),
        DATA_KEY_TAG: f"data {config.data_name}",
        REQUEST_KEY_TAG: f"request {config.data_name} {config.regime.name} {config.regime.seed}",
        **{CODE_TAG + part: digest for part, digest in code_of(config).items()},
        **labels,
        "device.name": "test device",
        "lethe.commit": "0" * 40,
    }


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


def model_lists(request: int, model: str, noise: float, touched: int = 4) -> dict[str, Tensor]:
    """Lists of a model: those of the request, of which each place is another item with probability ``noise``.

    The first ``touched`` users stay and have a forgotten pair, the next four are forgotten.
    """
    users = torch.arange(USERS)
    own = torch.Generator().manual_seed(zlib.crc32(f"{model} {request}".encode()))
    shared = torch.stack(
        [torch.randperm(ITEMS // 2, generator=_of(request, user))[:DEPTH] for user in range(USERS)]
    )
    others = torch.stack([torch.randperm(ITEMS // 2, generator=own)[:DEPTH] for _ in range(USERS)])
    replaced = torch.rand(USERS, DEPTH, generator=own) < noise
    items = torch.where(replaced, others + ITEMS // 2, shared)
    group = torch.zeros(USERS, dtype=torch.int8)
    group[:touched], group[touched : touched + 4] = 1, 2
    return {"users": users, "items": items.to(torch.int32), "group": group}


def _of(request: int, user: int) -> torch.Generator:
    return torch.Generator().manual_seed(request * 1000 + user)
