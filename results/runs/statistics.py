"""Statistics of results: means with their spread over seeds and over requests, Holm's correction.

Pure functions on numbers. Sources: Student's t interval; Holm, Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

if TYPE_CHECKING:
    from results.runs.at import At

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Mean of ``count`` values of ``requests`` deletion requests.

    Attributes:
        deviation: sample standard deviation over training seeds within a request, pooled over requests;
            None where no request has two seeds.
        between: sample standard deviation of the requests' means; None with one request.
        low, high: 95 % t interval of the mean: over the means of the requests, or with one request over
            its seeds, and then for that request alone. None with one value.
    """

    count: int
    mean: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None
    requests: int = 1
    between: float | None = None


def summary(values: ArrayLike) -> Summary:
    """Mean, sample standard deviation and the t interval of the mean. Needs at least one value."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("a summary needs at least one value")
    mean = float(array.mean())
    if array.size == 1:
        return Summary(1, mean)
    deviation = float(array.std(ddof=1))
    half = t_quantile(int(array.size) - 1) * deviation / float(np.sqrt(array.size))
    return Summary(int(array.size), mean, deviation, mean - half, mean + half)


def summarise(values: Mapping[At, float]) -> Summary:
    """Mean of values by request and seed, with the spread over seeds and that over requests apart."""
    by_request = in_requests(values)
    mean = float(np.mean(list(values.values())))
    if len(by_request) == 1:
        return summary(list(values.values()))
    over = summary([float(np.mean(own)) for own in by_request])
    assert over.low is not None
    assert over.high is not None
    half = (over.high - over.low) / 2
    return Summary(
        len(values), mean, pooled(by_request), mean - half, mean + half, len(by_request), over.deviation
    )


def in_requests(values: Mapping[At, float]) -> list[list[float]]:
    """The values of each request."""
    found: dict[int, list[float]] = {}
    for at, value in sorted(values.items()):
        found.setdefault(at.request, []).append(value)
    return list(found.values())


def pooled(by_request: Sequence[Sequence[float]]) -> float | None:
    """Sample standard deviation within requests; None where no request has two values."""
    freedom = sum(len(own) - 1 for own in by_request)
    if freedom == 0:
        return None
    squares = sum(float(np.sum(np.square(np.asarray(own) - np.mean(own)))) for own in by_request)
    return float(np.sqrt(squares / freedom))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the given order."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


@cache
def t_quantile(freedom: int) -> float:
    """Slow in scipy, and asked for thousands of times with few degrees of freedom."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
