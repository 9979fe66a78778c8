"""Normal starts of trained tables, and of single rows that are drawn afresh as the table was.

Xavier (Glorot and Bengio, AISTATS 2010) takes its deviation from the shape of the matrix that is drawn
at once. That is not always the parameter: releases draw tables together that Lethe keeps apart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def xavier_deviation(rows: int, columns: int) -> float:
    """Standard deviation of Xavier's normal distribution for a matrix [rows, columns]."""
    return float((2.0 / (rows + columns)) ** 0.5)


def normal_table(rows: int, width: int, deviation: float) -> nn.Parameter:
    """A fresh trainable table [rows, width], normal with mean zero."""
    return nn.Parameter(torch.randn(rows, width) * deviation)


def redraw_normal(table: nn.Parameter, ids: Tensor, deviation: float, generator: torch.Generator) -> None:
    """Draw the rows ``ids`` [n] of ``table`` afresh, normal with mean zero."""
    fresh = torch.randn(len(ids), table.shape[1], generator=generator) * deviation
    with torch.no_grad():
        table[ids] = fresh.to(table)
