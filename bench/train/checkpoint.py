"""The state of a training that is not over, so that one which is stopped goes on where it was.

One file per training: weights, optimiser, random generators, the best epoch so far, the clock. It is whole or
not there, is replaced every so many seconds at the end of an epoch, and is removed when the model is
published (``bench/cache/models.py``). A training that goes on has the bits of one that was never stopped,
wherever the undisturbed one has the same bits twice (``run.deterministic``).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

log = logging.getLogger(__name__)

Facts = dict[str, Any]


class Checkpoint:
    """Where the state of one training is kept.

    Args:
        file: its place.
        every: seconds between two keepings; 0 keeps at every chance.
    """

    def __init__(self, file: Path, every: float) -> None:
        self._file, self._every = file, every
        self._last = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the state was not kept for long enough."""
        return time.monotonic() - self._last >= self._every

    def keep(self, tensors: Mapping[str, Tensor], facts: Facts) -> None:
        """Replace what was kept. A disk that cannot take it costs a later restart time, and no more."""
        self._last = time.monotonic()
        plain = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
        told = {"facts": json.dumps(facts), "sha256": _digest(plain)}
        beside = self._file.with_name(f".{self._file.name}.{secrets.token_hex(8)}")
        try:
            beside.parent.mkdir(parents=True, exist_ok=True)
            save_file(plain, beside, told)
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(self._file)
        except (OSError, SafetensorError) as error:
            beside.unlink(missing_ok=True)
            log.warning("the state of a training could not be kept in %s: %s", self._file, error)

    def load(self) -> tuple[dict[str, Tensor], Facts] | None:
        """What was kept; None where nothing was, or where it is not what was written."""
        try:
            with safe_open(self._file, framework="pt") as kept:
                told = kept.metadata()
                tensors = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118
            if told["sha256"] != _digest(tensors):
                raise ValueError("its checksum is wrong")
            return tensors, dict(json.loads(told["facts"]))
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            log.warning("the kept state %s cannot be read (%s): the training starts anew", self._file, error)
            return None


def generators(device: torch.device, own: torch.Generator) -> tuple[dict[str, Tensor], Facts]:
    """The states of all random generators that training draws from: ``own`` and the global ones."""
    tensors = {"generator.own": own.get_state(), "generator.torch": torch.get_rng_state()}
    if device.type == "cuda":
        tensors["generator.cuda"] = torch.cuda.get_rng_state(device)
    kind, keys, *rest = np.random.get_state(legacy=True)
    return tensors, {"python": random.getstate(), "numpy": [kind, np.asarray(keys).tolist(), *rest]}


def restore_generators(tensors: Mapping[str, Tensor], facts: Facts, own: torch.Generator) -> None:
    """Inverse of ``generators``."""
    own.set_state(tensors["generator.own"])
    torch.set_rng_state(tensors["generator.torch"])
    if "generator.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["generator.cuda"])
    version, internal, gauss = facts["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = facts["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))


def weights(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights and buffers of a model, and what its optimiser holds of each parameter."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for index, own in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in own.items()}
    return tensors


def restore_weights(
    tensors: Mapping[str, Tensor], model: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    """Inverse of ``weights``."""
    model.load_state_dict(part(tensors, "model"))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in part(tensors, "optimiser").items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a name."""
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in tensors.items()
        if name.startswith(f"{prefix}.")
    }


def _digest(tensors: Mapping[str, Tensor]) -> str:
    content = hashlib.sha256()
    for name in sorted(tensors):
        content.update(f"|{name}|{tuple(tensors[name].shape)}|".encode())
        content.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()
