"""What serving a request of a stream took, and the latency of a stream."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.cell.unlearn import Spent, Unlearned
from datasets.requests import DeletionRequest


@dataclass(frozen=True)
class Served:
    """One request: its ``number`` from 1, what it named, what it took, and what the method notes of it.

    ``peak_memory`` is in GiB (``bench.machine.devices.peak_memory``). One that was not served ``in_time``
    left the model as it was: nothing of it is forgotten.
    """

    number: int
    users: int
    items: int
    pairs: int
    seconds: float
    examples: int
    steps: int
    propagations: int | None
    processor_share: float | None
    peak_memory: float
    in_time: bool
    notes: Mapping[str, Any]

    @staticmethod
    def of(
        number: int, request: DeletionRequest, unlearned: Unlearned, memory: float, in_time: bool
    ) -> Served:
        """From what the method left."""
        spent = unlearned.spent
        notes = {name: str(value) for name, value in unlearned.result.notes.items()}
        named = len(request.users), len(request.items), request.forget.shape[1]
        return Served(
            number,
            *named,
            spent.online_seconds,
            spent.examples,
            spent.steps,
            spent.propagations,
            spent.processor_share,
            memory,
            in_time,
            notes,
        )

    @staticmethod
    def never(number: int, request: DeletionRequest) -> Served:
        """A request to which the method did not come in time."""
        named = len(request.users), len(request.items), request.forget.shape[1]
        return Served(number, *named, 0.0, 0, 0, 0, None, 0.0, False, {})

    def to_json(self) -> dict[str, Any]:
        """As plain values, of which ``Served(**values)`` is the inverse."""
        return dataclasses.asdict(self)


def spent_on(served: Sequence[Served], offline_seconds: float, warmup_seconds: float) -> Spent:
    """What a stream took so far; requests to which the method never came took nothing and are not counted."""
    tried = [one for one in served if one.in_time or one.seconds]
    propagations = [one.propagations for one in tried]
    shares = [(one.processor_share, one.seconds) for one in tried if one.processor_share is not None]
    weight = sum(seconds for _, seconds in shares)
    return Spent(
        sum(one.seconds for one in tried),
        offline_seconds,
        warmup_seconds,
        sum(one.examples for one in tried),
        sum(one.steps for one in tried),
        None if None in propagations else sum(count for count in propagations if count is not None),
        sum(share * seconds for share, seconds in shares) / weight if weight else None,
        max(len(tried), 1),
    )


def latency(served: Sequence[Served]) -> dict[str, float]:
    """Seconds per request (mean, median, 95th percentile, maximum, total) and GiB at the peak, of those that
    were served in time; how many were not."""
    timely = [one for one in served if one.in_time]
    late = {"stream/late": float(len(served) - len(timely))}
    if not timely:
        return late
    seconds = np.array([one.seconds for one in timely])
    return late | {
        "stream/latency_mean": float(seconds.mean()),
        "stream/latency_p50": float(np.percentile(seconds, 50)),
        "stream/latency_p95": float(np.percentile(seconds, 95)),
        "stream/latency_max": float(seconds.max()),
        "stream/latency_total": float(seconds.sum()),
        "stream/peak_memory": max(one.peak_memory for one in timely),
    }
