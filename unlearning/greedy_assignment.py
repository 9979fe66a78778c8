"""The balanced greedy clustering of RecEraser (Chen et al., WWW 2022, section 3.2).

Samples p and anchors c_j, the affinity of the two being

    score(p, j) = - ||u_p - c_j^u||^2 ||i_p - c_j^i||^2        interactions, from user and item vectors
    score(p, j) = - ||x_p - c_j||^2                            users or items, from their own vectors

All (p, j) are sorted downwards by score, and p goes to j if it is still free and j holds fewer samples than
its capacity. Then every anchor moves to the mean vector of its samples, and all of it is repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 1 << 18
"""Samples whose scores are held at once: no [n, k] matrix is ever built."""


class Factor(NamedTuple):
    """One factor of the score: ``vectors`` [m, d], and for each sample the row that is its own, [n]."""

    vectors: Tensor
    ids: Tensor

    @staticmethod
    def of(vectors: Tensor, ids: Tensor) -> Factor:
        """On the CPU in double precision, so that labels are the same on every device."""
        return Factor(vectors.detach().to("cpu", torch.float64), ids.cpu())


def greedy_clusters(
    factors: Sequence[Factor], clusters: int, rounds: int, slack: float, generator: torch.Generator
) -> Tensor:
    """Labels 0..clusters-1 of n samples: LongTensor [n].

    Args:
        factors: their distances are multiplied.
        clusters: k, at most n.
        rounds: assignments at most; fewer where the labels stop changing.
        slack: a cluster takes at most ``slack`` n / k samples, rounded up.
        generator: on the CPU; draws the samples that the first anchors are.
    """
    samples = len(factors[0].ids)
    first = torch.randperm(samples, generator=generator)[:clusters]
    anchors = [factor.vectors[factor.ids[first]] for factor in factors]
    capacity = math.ceil(slack * samples / clusters)
    labels = torch.full((samples,), -1)
    for _ in range(rounds):
        distances = [_squared(factor.vectors, own) for factor, own in zip(factors, anchors, strict=True)]

        def scores(rows: Tensor, distances: Sequence[Tensor] = distances) -> Tensor:
            found = [table[factor.ids[rows]] for factor, table in zip(factors, distances, strict=True)]
            return -torch.stack(found).prod(dim=0)

        before, labels = labels, assigned(scores, samples, clusters, capacity)
        if torch.equal(before, labels):
            break
        anchors = [_means(factor, labels, own) for factor, own in zip(factors, anchors, strict=True)]
    return labels


def assigned(scores: Callable[[Tensor], Tensor], samples: int, clusters: int, capacity: int) -> Tensor:
    """Labels of the greedy assignment: LongTensor [n].

    Going through all (p, j) in order of score is the same as this: every free sample names its best cluster
    that has room; in the order of these scores they are taken in until one cluster is full; then
    the others name anew. So k sorts at most stand for one of n k entries. Equal scores: the smaller p first.

    Args:
        scores: of the samples ``rows`` [r]: [r, k].
        capacity: of each cluster; k times it must hold all samples.
    """
    labels = torch.full((samples,), -1)
    room = torch.full((clusters,), capacity)
    while len(free := (labels < 0).nonzero().squeeze(1)):
        strength, wanted = _best(scores, free, room > 0)
        order = strength.argsort(descending=True, stable=True)
        taken = order[: _until_one_is_full(wanted[order], room)]
        labels[free[taken]] = wanted[taken]
        room -= torch.bincount(wanted[taken], minlength=clusters)
    return labels


def _best(scores: Callable[[Tensor], Tensor], rows: Tensor, has_room: Tensor) -> tuple[Tensor, Tensor]:
    """The best score of each of ``rows`` among the clusters with room, and that cluster."""
    found = [scores(block).masked_fill(~has_room, -torch.inf).max(dim=1) for block in rows.split(BLOCK)]
    return torch.cat([best.values for best in found]), torch.cat([best.indices for best in found])


def _until_one_is_full(ranked: Tensor, room: Tensor) -> int:
    """How many of the samples, in order, are taken in when the first cluster is full; all, if none is."""
    ends = [len(ranked)]
    for cluster, left in enumerate(room.tolist()):
        places = (ranked == cluster).nonzero().squeeze(1)
        if left and len(places) >= left:
            ends.append(int(places[left - 1]) + 1)
    return min(ends)


def _squared(vectors: Tensor, anchors: Tensor) -> Tensor:
    return torch.cdist(vectors, anchors, compute_mode="donot_use_mm_for_euclid_dist").square()


def _means(factor: Factor, labels: Tensor, before: Tensor) -> Tensor:
    """The mean vector of the samples of each cluster; one without samples keeps its anchor: [k, d]."""
    clusters, (vectors, ids) = len(before), factor
    counts = torch.bincount(ids * clusters + labels, minlength=len(vectors) * clusters)
    counts = counts.view(-1, clusters).to(vectors)
    held = counts.sum(dim=0)[:, None]
    return torch.where(held > 0, counts.t() @ vectors / held.clamp(min=1), before)
