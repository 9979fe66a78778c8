"""Balanced clustering by optimal transport: k clusters of equal size, near in embedding space.

UltraRE (Li et al., NeurIPS 2023) moves the mass of n samples, 1/n each, to k centroids, 1/k each, at
the smallest squared distance, labels every sample by its largest share and moves the centroids. The
plan is the entropic one (Cuturi, "Sinkhorn Distances", NeurIPS 2013):

    P = diag(u) exp(-C / epsilon) diag(v),   rows of P sum to 1/n, columns to 1/k

in the logarithmic domain, by the library POT (Flamary et al., "POT: Python Optimal Transport", JMLR 22, 2021)
on NumPy arrays. The largest share alone is balanced only nearly; here each cluster takes
its best samples up to its capacity, so that sizes differ by one at most.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from ot.bregman import sinkhorn_log
from torch import Tensor

TOLERANCE = 1e-3
"""Relative error of the row sums (root mean square) at which the inner iterations stop."""


def balanced_clusters(
    points: Tensor, clusters: int, epsilon: float, rounds: int, inner: int, generator: torch.Generator
) -> Tensor:
    """Labels 0..clusters-1 of ``points`` [n, d], sizes n/k rounded down or up: LongTensor [n].

    Runs on the CPU in double precision, so that the labels are the same on every device.

    Args:
        clusters: k, at most n.
        epsilon: entropic regularisation, in units of the mean squared distance.
        rounds: outer iterations (plan, labels, centroids); fewer where the labels stop changing.
        inner: Sinkhorn iterations per plan at most.
        generator: on the CPU; draws the first centroids among the points.
    """
    points = points.detach().to("cpu", torch.float64)
    centroids = points[torch.randperm(len(points), generator=generator)[:clusters]]
    labels = torch.full((len(points),), -1)
    potentials = points.new_zeros(clusters)
    for _ in range(rounds):
        cost = torch.cdist(points, centroids, compute_mode="donot_use_mm_for_euclid_dist").square()
        plan, potentials = log_plan(cost / cost.mean().clamp(min=1e-12), epsilon, inner, potentials)
        before, labels = labels, filled(plan)
        if torch.equal(before, labels):
            break
        members = torch.nn.functional.one_hot(labels, clusters).to(points)
        centroids = (members.t() @ points) / members.sum(dim=0)[:, None]
    return labels


def log_plan(cost: Tensor, epsilon: float, iterations: int, start: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithm of the entropic plan for ``cost`` [n, k] with uniform marginals, and log v [k].

    ``start`` [k] is where log v begins. The columns of the result sum to 1/k; the rows to 1/n within
    ``TOLERANCE`` if ``iterations`` suffice. A problem for POT is turned around: it leaves its first marginal
    exact.
    """
    samples, clusters = cost.shape
    _, potentials = sinkhorn_log(
        np.full(clusters, 1 / clusters),
        np.full(samples, 1 / samples),
        cost.t().numpy(),
        epsilon,
        numItermax=iterations,
        stopThr=TOLERANCE / math.sqrt(samples),  # of the norm of the absolute errors
        warmstart=(start.numpy(), np.zeros(samples)),
        log=True,
        warn=False,
    )
    log_v, log_u = (torch.from_numpy(potentials[name]) for name in ("log_u", "log_v"))
    return -cost / epsilon + log_u[:, None] + log_v, log_v


def filled(preference: Tensor) -> Tensor:
    """Labels of samples from ``preference`` [n, k], no cluster above its capacity: LongTensor [n].

    Every sample asks for its most preferred cluster that has room; a cluster with too many takes those
    that prefer it most and is full then. Ends after k rounds at most.
    """
    samples, clusters = preference.shape
    room = torch.full((clusters,), samples // clusters)
    room[: samples % clusters] += 1
    labels = torch.full((samples,), -1)
    preference = preference.clone()
    while bool((labels < 0).any()):
        waiting = (labels < 0).nonzero().squeeze(1)
        strength, wanted = preference[waiting].max(dim=1)
        for cluster in range(clusters):
            asking = (wanted == cluster).nonzero().squeeze(1)
            best = strength[asking].argsort(descending=True, stable=True)[: int(room[cluster])]
            labels[waiting[asking[best]]] = cluster
            room[cluster] -= len(best)
        preference[:, room == 0] = -torch.inf
    return labels
