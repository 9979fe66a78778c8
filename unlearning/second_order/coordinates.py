"""The parameters that a step may move, as one vector: whole parameters, or rows of ID tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.base import Recommender, Side
from unlearning.gradients import modules_of
from unlearning.options import MovedModules

Rows = Mapping[Side, Tensor]
"""Ids by side, each LongTensor [r], sorted."""
_LINE = 1024
"""Numbers that are summed in one line, so that a sum does not depend on the number of threads."""


class Entry(NamedTuple):
    """A parameter, its group's ``name``, and which of its ``rows`` may move (None: all of it)."""

    name: str
    parameter: nn.Parameter
    rows: Tensor | None

    @property
    def shape(self) -> torch.Size:
        """Of what moves."""
        shape = self.parameter.shape
        return shape if self.rows is None else torch.Size([len(self.rows), *shape[1:]])


class Coordinates:
    """The moved entries of a model as one vector [size], in the order of ``entries``."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = [entry for entry in entries if entry.shape.numel()]
        self.parameters = [entry.parameter for entry in self.entries]
        self.size = sum(entry.shape.numel() for entry in self.entries)

    def gather(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """The vector of tensors of the parameters' shapes; None counts as zeros."""
        parts = []
        for entry, tensor in zip(self.entries, tensors, strict=True):
            if tensor is None:
                tensor = torch.zeros_like(entry.parameter)
            parts.append((tensor if entry.rows is None else F.embedding(entry.rows, tensor)).reshape(-1))
        return torch.cat(parts)

    def scatter(self, vector: Tensor) -> list[Tensor]:
        """Tensors of the parameters' shapes, zero where nothing moves."""
        spread = []
        for entry, part in zip(self.entries, self.parts(vector), strict=True):
            if entry.rows is None:
                spread.append(part)
            else:
                spread.append(torch.zeros_like(entry.parameter).index_copy(0, entry.rows, part))
        return spread

    def parts(self, vector: Tensor) -> list[Tensor]:
        """The vector cut into its entries, in their shapes."""
        sizes = [entry.shape.numel() for entry in self.entries]
        return [part.view(entry.shape) for entry, part in zip(self.entries, vector.split(sizes), strict=True)]

    def values(self) -> Tensor:
        """Where the model stands: [size]."""
        return self.gather([parameter.detach() for parameter in self.parameters])

    @torch.no_grad()
    def move(self, step: Tensor) -> None:
        """Add ``step`` [size] to the parameters in place."""
        for parameter, change in zip(self.parameters, self.scatter(step), strict=True):
            parameter.add_(change)

    def norms(self, vector: Tensor) -> dict[str, float]:
        """Euclidean norm of the vector by group."""
        squares: dict[str, float] = {}
        for entry, part in zip(self.entries, self.parts(vector), strict=True):
            squares[entry.name] = squares.get(entry.name, 0.0) + dot(part.reshape(-1), part.reshape(-1))
        return {name: total**0.5 for name, total in squares.items()}


def coordinates(model: Recommender, modules: MovedModules, rows: Rows | None) -> Coordinates:
    """What moves of ``model``: the ID tables (only their ``rows``, if given) and the modules named."""
    tables = model.id_tables()
    sides: dict[int, Side] = {id(table): side for side, table in tables.items()}
    fused = {id(parameter) for parameter in model.fusion_parameters()}
    entries = []
    for module in modules_of(model):
        for parameter in module.parameters:
            side = sides.get(id(parameter))
            if side is not None:
                own = None if rows is None else rows.get(side, parameter.new_empty(0, dtype=torch.long))
                entries.append(Entry(module.name, parameter, own))
            elif _moves(module.name, id(parameter) in fused, modules):
                entries.append(Entry(module.name, parameter, None))
    return Coordinates(entries)


def _moves(name: str, fuses: bool, modules: MovedModules) -> bool:
    """Whether a parameter beside the ID tables moves."""
    small = not name.startswith("feature_tables.")
    return {"id": False, "fusion": fuses, "small": small, "all": True}[modules]


def dot(first: Tensor, second: Tensor) -> float:
    """Inner product of two vectors, summed line by line in double precision at the end."""
    product = first * second
    lines = F.pad(product, [0, -len(product) % _LINE]).view(-1, _LINE).sum(dim=1)
    return float(lines.double().sum())


def norm(vector: Tensor) -> float:
    """Euclidean norm."""
    return float(dot(vector, vector) ** 0.5)
