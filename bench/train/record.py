"""What training leaves beside the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from bench.machine.devices import DeviceInfo


@dataclass(frozen=True)
class TrainingRecord:
    """What a training run cost and how it went; times in seconds, evaluation excluded.

    ``seconds`` runs to the stopping point, ``seconds_to_best`` to the epoch whose weights were kept.
    ``warmup_seconds`` is one discarded step before the clock starts (with compilation, where that is asked
    for). ``examples`` counts gradient steps x batch size. ``curve`` has one entry per evaluation.
    ``item_graph_seconds`` is the recorded time of building item graphs that were given; all other times
    include it. ``propagations`` and ``processor_share`` are those of the clock (``bench.machine.timing``):
    None where they are not known, as in records of before they were taken.
    """

    seconds: float
    seconds_to_best: float
    warmup_seconds: float
    epochs: int
    best_epoch: int
    best_recall: float
    steps: int
    examples: int
    stopped_by: str
    device: DeviceInfo
    curve: list[dict[str, float]] = field(default_factory=list)
    item_graph_seconds: float = 0.0
    propagations: int | None = None
    processor_share: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain values; ``from_json`` is the inverse."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> TrainingRecord:
        """Inverse of ``to_json``."""
        return TrainingRecord(**{**values, "device": DeviceInfo(**values["device"])})
