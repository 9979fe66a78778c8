"""``python -m tests.programs.coverage`` simulates how often intervals of the bootstrap hold the truth.

Tables without any gap: a method's values and gold's are normal, with a shift per request. Printed is the
share of 95 % intervals that hold 0, and their median width beside the standard deviation of the estimate.
"""

from __future__ import annotations

import numpy as np

from results.distance.bootstrap import Block, estimate

TABLES = 250
CASES = (
    (1, 3, 5, 0.0, 1.0),
    (2, 2, 3, 0.0, 1.0),
    (2, 2, 3, 1.0, 1.0),
    (2, 3, 5, 2.0, 0.5),
    (3, 3, 5, 1.0, 1.0),
    (5, 3, 3, 1.0, 1.0),
)
"""Requests, the method's seeds, gold's seeds, standard deviations of requests and of seeds."""


def block(random: np.random.Generator, seeds: int, golds: int, shift: float, spread: float) -> Block:
    """One request without a gap but for its shift."""
    own, gold = shift + random.normal(0, spread, seeds), random.normal(0, spread, golds)
    return Block((own[:, None] - gold[None])[None])


def main() -> None:
    """Print one line per case."""
    random = np.random.default_rng(1)
    print("requests seeds golds  sd(r)  sd(s)   held  width     sd")
    for requests, seeds, golds, between, within in CASES:
        intervals = [
            estimate(
                [block(random, seeds, golds, random.normal(0, between), within) for _ in range(requests)]
            ).interval
            for _ in range(TABLES)
        ]
        low, high = np.array(intervals, dtype=np.float64).T
        held, width = np.mean((low <= 0) & (high >= 0)), np.median(high - low)
        true = np.sqrt((between**2 + within**2 * (1 / seeds + 1 / golds)) / requests)
        case = f"{requests:8d} {seeds:5d} {golds:5d} {between:6.1f} {within:6.1f}"
        print(f"{case} {held:6.2f} {width:6.2f} {true:6.2f}")


if __name__ == "__main__":
    main()
