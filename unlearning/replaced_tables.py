"""Running a frozen backbone with other tensors in place of its embedding tables, with gradient to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.base import Recommender

Result = TypeVar("Result")


class ReplacedTables(nn.Module):
    """A backbone whose tables are given with each call; its own weights stay as they are."""

    def __init__(self, backbone: Recommender) -> None:
        super().__init__()
        self.backbone = backbone

    def run(self, tables: Mapping[str, Tensor], call: Callable[[Recommender], Result]) -> Result:
        """``call`` on the backbone while the parameters named in ``tables`` have these values."""
        replaced = {f"backbone.{name}": table for name, table in tables.items()}
        result: Result = functional_call(self, replaced, (call,))
        return result

    def forward(self, call: Callable[[Recommender], Any]) -> Any:
        """What ``functional_call`` needs: the call itself."""
        return call(self.backbone)


@contextmanager
def held_still(model: nn.Module) -> Iterator[None]:
    """Inside, no parameter of ``model`` takes a gradient."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, flag in before:
            parameter.requires_grad_(flag)


def copied_tables(model: nn.Module, names: Iterable[str]) -> dict[str, Tensor]:
    """Copies of the parameters with these names, without gradient."""
    return {name: model.get_parameter(name).detach().clone() for name in names}


def added(tables: Mapping[str, Tensor], changes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each table plus the change of its name."""
    return {name: table + changes[name] for name, table in tables.items()}


@torch.no_grad()
def settle(model: nn.Module, tables: Mapping[str, Tensor]) -> None:
    """Write the tables into the parameters of their names."""
    for name, table in tables.items():
        model.get_parameter(name).copy_(table)
