"""The hierarchical bootstrap: requests, in them training seeds, in them users.

A figure is a mean over requests and seeds of pair values: of a method's model against the gold models of the
same request. It is drawn anew in nested ways (Davison and Hinkley, Bootstrap Methods and their Application,
1997, section 3.8): users alone; also gold's training seeds; also the method's; also requests. Users are the
same for all models of a request. A level with one member cannot be drawn, and the figure is then conditional
on it.

Requests and seeds are few, and percentiles would be too narrow. So the variance is split into the parts of
the levels; the part of a level with n members is multiplied by n / (n - 1), by which the bootstrap's is too
small (Efron and Tibshirani, An Introduction to the Bootstrap, 1993), and the interval is estimate ± t *
standard error with the degrees of freedom of Satterthwaite (Biometrics Bulletin 2, 1946): those of the levels
that vary most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from results.runs.statistics import CONFIDENCE

DRAWS = 1000
CHUNK = 100
"""Draws whose weights of users are held in memory at once."""
SEED = 0
LEVELS = ("users", "gold's seeds", "seeds", "requests")
"""From the innermost to the outermost; ``seeds`` are those of the method."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """The pairs of one request.

    Attributes:
        pairs: [D, S, G], a method's models against gold's; NaN where a pair does not count. D is
            1 + ``DRAWS`` (the first is the estimate, the others are over drawn users) or 1.
        floor: [D, G, G], gold against gold, NaN on the diagonal; None where nothing is subtracted.
        users: how many users were drawn; 1: none.
    """

    pairs: Floats
    floor: Floats | None = None
    users: int = 1


@dataclass(frozen=True)
class Estimate:
    """A figure with what the bootstrap says of it.

    Attributes:
        value: the estimate.
        draws: [4, ``DRAWS``], the figure with each of ``LEVELS`` and those inside it drawn.
        members: of each level, how many there are of it; 1 or less where it could not be drawn.
        freedom: of each level, the degrees of freedom of its variance.
    """

    value: float
    draws: Floats
    members: tuple[int, ...]
    freedom: tuple[int, ...]

    @property
    def over(self) -> tuple[str, ...]:
        """The levels that were drawn, the outermost first."""
        drawn = [level for level, count in zip(LEVELS, self.members, strict=True) if count > 1]
        return tuple(drawn[::-1])

    @property
    def is_conditional(self) -> bool:
        """Whether it holds for its one request alone."""
        return "requests" not in self.over

    @property
    def parts(self) -> tuple[float, ...]:
        """The variance of the estimate that is due to each of ``LEVELS``."""
        nested = [0.0, *(_variance(row) for row in self.draws)]
        gains = [max(0.0, after - before) for before, after in pairwise(nested)]
        own = [gain * _correction(count) for gain, count in zip(gains, self.members, strict=True)]
        # Means of requests vary by all that is drawn inside them as well.
        return (*own[:-1], max(0.0, own[-1] - sum(own[:-1])))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval; None where nothing could be drawn."""
        if not self.over:
            return None
        half = self._quantile() * float(np.sqrt(sum(self.parts)))
        return self.value - half, self.value + half

    @property
    def p(self) -> float | None:
        """Two-sided p of the figure being zero; None where nothing could be drawn."""
        if not self.over:
            return None
        error = float(np.sqrt(sum(self.parts)))
        if error == 0.0:
            return 1.0 if self.value == 0.0 else 0.0
        return float(2 * stats.t.sf(abs(self.value) / error, self._freedom()))

    def of(self, value: float, draws: Floats) -> Estimate:
        """A function of this figure, and of others that were drawn alike, from its value and draws."""
        return Estimate(value, draws, self.members, self.freedom)

    def _freedom(self) -> float:
        parts = self.parts
        weights = [part**2 / freedom for part, freedom in zip(parts, self.freedom, strict=True) if freedom]
        return sum(parts) ** 2 / sum(weights) if sum(weights) > 0 else float(max(self.freedom))

    def _quantile(self) -> float:
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, self._freedom()))


def bare(value: float) -> Estimate:
    """A figure of which nothing was drawn."""
    one = (1,) * len(LEVELS)
    return Estimate(value, np.full((len(LEVELS), DRAWS), value), one, (0,) * len(LEVELS))


def estimate(blocks: Sequence[Block], seed: int = SEED) -> Estimate:
    """The mean over requests and a method's seeds of (mean over gold's seeds, minus the floor).

    Blocks of equal shapes are drawn alike, so that draws of two figures on the same requests and seeds
    belong together.
    """
    seeds, golds = ([block.pairs.shape[axis] for block in blocks] for axis in (1, 2))
    members = (min(block.users for block in blocks), min(golds), min(seeds), len(blocks))
    freedom = (members[0] - 1, sum(golds) - len(golds), sum(seeds) - len(seeds), members[3] - 1)
    first = np.zeros(1, dtype=np.intp)
    value = float(_figure(blocks, [[_everything(block.pairs.shape[1:], first)] for block in blocks])[0])
    draws = [np.full(DRAWS, value)]
    for level, count in enumerate(members):
        draws.append(_draws(blocks, level, members, seed) if count > 1 else draws[-1])
    return Estimate(value, np.stack(draws[1:]), members, freedom)


def user_means(values: Floats, request: int, seed: int = SEED) -> Floats:
    """Means over users, and over users drawn with replacement: [1 + DRAWS, P] from values [P, U].

    The draws depend on the request and on how many users there are alone: all models of a request are
    drawn on the same users.
    """
    count = values.shape[1]
    if count == 1:
        return np.repeat(values.T, 1 + DRAWS, axis=0)
    random = np.random.default_rng([seed, 1, request, count])
    means = np.empty((1 + DRAWS, len(values)))
    means[0] = values.mean(axis=1)
    for start in range(0, DRAWS, CHUNK):
        rows = np.arange(CHUNK)[:, None] * count
        drawn = random.integers(0, count, size=(CHUNK, count)) + rows
        weights = np.bincount(drawn.ravel(), minlength=CHUNK * count).reshape(CHUNK, count)
        means[1 + start : 1 + start + CHUNK] = weights @ values.T / count
    return means


@dataclass(frozen=True)
class _Drawn:
    """One slot of a drawn set of requests: the draws that fill it with a request, by their number, and how
    often they hold each of its seeds: [draws, S] of the method, [draws, G] of gold."""

    draws: NDArray[np.intp]
    seeds: Floats
    golds: Floats


def _everything(shape: tuple[int, ...], draws: NDArray[np.intp]) -> _Drawn:
    """Each seed once in each of these draws; the draw with the number 0 is the estimate."""
    seeds, golds = shape
    return _Drawn(draws, np.ones((len(draws), seeds)), np.ones((len(draws), golds)))


def _draws(blocks: Sequence[Block], level: int, members: tuple[int, ...], seed: int) -> Floats:
    """The figure with the levels up to ``level`` drawn, as far as they can be."""
    shapes = tuple(block.pairs.shape[1:] for block in blocks)
    return _figure(blocks, _drawn(shapes, level, members, seed))[1:]


@lru_cache(maxsize=32)
def _drawn(
    shapes: tuple[tuple[int, ...], ...], level: int, members: tuple[int, ...], seed: int
) -> list[list[_Drawn]]:
    """The slots that hold each request; they depend on how many seeds there are alone, so rows share them."""
    random = np.random.default_rng([seed, 2])
    in_order = np.repeat(np.arange(len(shapes))[:, None], DRAWS, axis=1)
    at_random = random.integers(0, len(shapes), size=(len(shapes), DRAWS))
    drawn: list[list[_Drawn]] = [[] for _ in shapes]
    for slot in at_random if level >= LEVELS.index("requests") else in_order:
        for number, shape in enumerate(shapes):
            own = np.flatnonzero(slot == number)
            drawn[number].append(_redrawn(_everything(shape, own + 1), random, level, members))
    return drawn


def _redrawn(one: _Drawn, random: np.random.Generator, level: int, members: Sequence[int]) -> _Drawn:
    """The same with seeds drawn where the level says so and there is more than one."""
    seeds, golds = one.seeds, one.golds
    if level >= LEVELS.index("gold's seeds") and members[1] > 1:
        golds = _counts(random, golds.shape[1], len(one.draws))
    if level >= LEVELS.index("seeds") and members[2] > 1:
        seeds = _counts(random, seeds.shape[1], len(one.draws))
    return _Drawn(one.draws, seeds, golds)


def _counts(random: np.random.Generator, members: int, draws: int) -> Floats:
    """How often each member is drawn: [draws, members]."""
    return random.multinomial(members, np.full(members, 1 / members), size=draws).astype(np.float64)


def _figure(blocks: Sequence[Block], drawn: Sequence[Sequence[_Drawn]]) -> Floats:
    """The figure of each draw by its number, [1 + DRAWS]; NaN where a draw holds no pair that counts.

    ``drawn`` has for each request the slots that hold it: a request that is drawn twice counts twice, each
    time with seeds of its own.
    """
    sums, weights = np.zeros(1 + DRAWS), np.zeros(1 + DRAWS)
    for block, slots in zip(blocks, drawn, strict=True):
        for one in slots:
            value, weight = _weighted(block, one)
            np.add.at(sums, one.draws, np.where(weight > 0, value * weight, 0.0))
            np.add.at(weights, one.draws, weight)
    with np.errstate(invalid="ignore"):
        return np.where(weights > 0, sums / weights, np.nan)


def _weighted(block: Block, one: _Drawn) -> tuple[Floats, Floats]:
    """Figure of a request in each draw, and how many of the method's models are behind it."""
    users = one.draws if len(block.pairs) > 1 else np.zeros_like(one.draws)
    pairs = block.pairs[users]
    valid = np.isfinite(pairs)
    against = np.einsum("dsg,dg->ds", np.where(valid, pairs, 0.0), one.golds)
    others = np.einsum("dsg,dg->ds", valid.astype(np.float64), one.golds)
    own = np.where(others > 0, one.seeds, 0.0)
    weight = own.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(own > 0, own * against / others, 0.0).sum(axis=1) / weight
    if block.floor is None:
        return value, weight
    floor, known = _floor(block.floor[users], one.golds)
    return np.where(known, value - floor, 0.0), np.where(known, weight, 0.0)


def _floor(pairs: Floats, golds: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Mean over pairs of different golds, and whether a draw has two different ones."""
    valid = np.isfinite(pairs)
    counts = golds[:, :, None] * golds[:, None, :] * valid
    total = counts.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.where(valid, pairs, 0.0) * counts).sum(axis=(1, 2)) / total, total > 0


def _variance(draws: Floats) -> float:
    known = draws[np.isfinite(draws)]
    return float(known.var(ddof=1)) if known.size > 1 else 0.0


def _correction(members: int) -> float:
    """By how much the bootstrap's variance of a mean of so many is too small."""
    return members / (members - 1) if members > 1 else 0.0
