"""Every figure by name."""

from __future__ import annotations

from collections.abc import Sequence

from datasets.errors import InputError
from results.figures.ablation import Ablation
from results.figures.base import Figure
from results.figures.cka import BranchSimilarity
from results.figures.drift import Drift
from results.figures.exposure import Exposure
from results.figures.heat_map import HeatMap
from results.figures.radar import Radar
from results.figures.ranks import MeanRanks
from results.figures.shift import Shift
from results.figures.speed_up import SpeedUp
from results.figures.trade_off import TradeOff
from results.figures.trajectories import Trajectories

FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        TradeOff(),
        SpeedUp(),
        Exposure(),
        BranchSimilarity(),
        Shift(),
        Radar(),
        Trajectories(),
        Drift(),
        HeatMap(),
        Ablation(),
        MeanRanks(),
    )
}


def chosen(names: Sequence[str] | None) -> list[Figure]:
    """The named figures, all without names. Raises ``InputError``."""
    for name in names or ():
        if name not in FIGURES:
            raise InputError(f"only={name} is not a figure: choose one of {', '.join(FIGURES)}.")
    return [FIGURES[name] for name in names] if names else list(FIGURES.values())
