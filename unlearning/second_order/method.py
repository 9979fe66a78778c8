"""The influence step that SCIF, IFRU, GIF, CEU and IDEA share; each says what moves and what is affected.

l_p(theta; G) is the loss of a training pair p on the graph G, its sampled item drawn once per request.
Removing F takes its loss away and, through propagation, changes that of an affected set A of retained pairs:

    g = (1/n) [ sum_F grad l_p(G) + sum_A ( grad l_p(G) - grad l_p(G without F) ) ]
    (C + damping I) delta = g,        theta <- theta + delta

The sign is plus: what pulled on the trained model is gone, so it moves up its gradient. With
``stationarity=include`` the gradient over D is subtracted from g, and with A = R what is left is minus the
gradient on the retain set: one Newton step on its loss.

The model is differentiated in evaluation mode, so that no dropout, pruned graph or sample is redrawn.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from datasets.errors import InputError
from models.base import Recommender
from models.descent import descend
from models.optimiser import adam
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.options import SecondOrderOptions
from unlearning.repair_budget import repair_sampler, repair_size
from unlearning.second_order.coordinates import Coordinates, Rows, coordinates, norm
from unlearning.second_order.curvature import GaussNewton, Hessian, gradient
from unlearning.second_order.objective import RANKING, MarginLoss, Total, margins, training_total
from unlearning.second_order.reach import rescored
from unlearning.second_order.solvers import (
    Product,
    Solution,
    System,
    adam_p,
    conjugate_gradients,
    mean_diagonal,
    neumann,
    neumann_scale,
)
from unlearning.second_order.triples import FixedTriples, first, fixed_triples, shuffled_union, where


@dataclass(frozen=True)
class Scene:
    """A model, its request and the fixed triples: what a method may look at to say who is affected."""

    model: Recommender
    problem: Problem
    triples: FixedTriples
    spills: bool
    """Whether the model stands on the retain graph, so that removing F changes more than F."""

    @contextmanager
    def before(self) -> Iterator[None]:
        """Inside, the model stands on the graph that it was trained on."""
        self.model.bind(self.problem.full)
        try:
            yield
        finally:
            if self.spills:
                self.model.bind(self.problem.retain)

    @torch.no_grad()
    def rescored(self) -> Tensor:
        """Which retained triples score otherwise without F: bool [R]."""
        with self.before():
            old = margins(self.model, self.triples.retain)
        return rescored(old, margins(self.model, self.triples.retain))


class InfluenceMethod(UnlearningMethod):
    """One influence step; subclasses state A and the rows that move."""

    Options = SecondOrderOptions
    options: SecondOrderOptions
    margin_loss: ClassVar[MarginLoss] = RANKING
    """The loss whose optimum the trained model is."""
    forget_loss: bool = True
    """Whether the sum over F is part of g."""

    @abstractmethod
    def affected(self, scene: Scene) -> Tensor:
        """A as a mask over the retained triples, bool [R]."""

    def rows(self, scene: Scene) -> Rows | None:
        """The ID rows that move, by side; None for all."""
        return None

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` where nothing can move or options contradict each other."""
        options = self.options
        if options.modules == "id" and not model.id_tables():
            raise InputError(
                f"method.modules=id moves ID tables and {type(model).__name__} has none: "
                "set method.modules=small."
            )
        if options.loss == "training" and options.curvature == "gauss_newton":
            raise InputError(
                "method.loss=training has no Gauss-Newton matrix, only the ranking term has one: "
                "set method.curvature=hessian."
            )
        if (options.epsilon is None) != (options.bound is None):
            raise InputError(
                f"method.epsilon={options.epsilon} and method.bound={options.bound} make a certificate "
                "together: set both, or both to null."
            )
        if options.epsilon is not None and options.noise:
            raise InputError(
                f"method.epsilon={options.epsilon:g} and method.noise={options.noise:g} both decide the "
                "noise: set method.noise=0."
            )

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Take the step in place; ``notes`` say how well the system was solved."""
        options, model = self.options, original
        notes: dict[str, Any] = {"certificate": certificate(options)}
        if problem.request.forget.shape[1]:
            model.eval()
            spills = options.graph_at_unlearning == "retain"
            scene = Scene(model, problem, fixed_triples(problem), spills)
            place = coordinates(model, options.modules, self.rows(scene))
            notes |= self._step(scene, place, recorder) if place.size else {"moved": 0}
            self._repair(model, problem, recorder)
        return UnlearnResult(model, notes=notes)

    def _step(self, scene: Scene, place: Coordinates, recorder: Recorder) -> dict[str, Any]:
        options, generator = self.options, scene.problem.generator
        g, product, affected = self._system(scene, place, recorder)
        damping = options.damping
        if options.damping_unit == "mean_diagonal":
            damping *= mean_diagonal(product, g, generator)
        solution = self._solved(product, g, damping, scene)
        delta, factor = clipped(options.step * solution.x, place.values(), options.max_step)
        place.move(delta + noise(options, delta, generator))
        figures = {"residual": solution.residual, "step_norm": norm(delta), "trust_region": factor}
        moved = {f"step_norm/{name}": size for name, size in place.norms(delta).items()}
        recorder.epoch(scene.model, figures | moved)
        return figures | {
            "iterations": solution.iterations,
            "stopped_by": solution.stopped_by,
            "moved": place.size,
            "affected": affected,
        }

    def _system(self, scene: Scene, place: Coordinates, recorder: Recorder) -> tuple[Tensor, Product, int]:
        """g, the products with C, and |A|."""
        options, model, triples = self.options, scene.model, scene.triples
        total: Total = training_total if options.loss == "training" else self.margin_loss.total
        mask = self.affected(scene) if scene.spills else nobody(triples)
        spilled = where(triples.retain, mask)
        spill = first(spilled, options.affected_cap)

        def slope(batch: Any, weight: float = 1.0) -> Tensor:
            return weight * gradient(model, total, batch, place, recorder)

        g = torch.zeros_like(place.values())
        with scene.before():
            if self.forget_loss:
                g += slope(triples.forget)
            if len(spilled.users):
                g += slope(*spill)
            if options.stationarity == "include":
                everything = shuffled_union(triples, scene.problem.generator)
                g -= slope(*first(everything, options.affected_cap))
            if options.curvature_data == "full":
                product = self._curvature(scene, place, recorder, total)
        if len(spilled.users):
            g -= slope(*spill)
        if options.curvature_data == "retain":
            product = self._curvature(scene, place, recorder, total)
        return g / triples.size, product, len(spilled.users)

    def _curvature(self, scene: Scene, place: Coordinates, recorder: Recorder, total: Total) -> Product:
        """Products with C, on the graph that the model stands on."""
        options, triples = self.options, scene.triples
        pool = triples.retain
        if options.curvature_data == "full":
            pool = shuffled_union(triples, scene.problem.generator)
        chosen, weight = first(pool, options.curvature_pairs)
        factor = weight / triples.size
        if options.curvature == "hessian":
            return Hessian(scene.model, total, chosen, factor, place, recorder)
        return GaussNewton(scene.model, self.margin_loss, chosen, factor, place, recorder)

    def _solved(self, product: Product, g: Tensor, damping: float, scene: Scene) -> Solution:
        options = self.options
        system = System(product, g, damping, options.tolerance, options.iterations)
        if options.solver == "cg":
            return conjugate_gradients(system)
        if options.solver == "adam_p":
            return adam_p(system, options.adam_rate / scene.triples.size)
        scale = options.scale or neumann_scale(product, g, damping, scene.problem.generator)
        return neumann(system, scale)

    def _repair(self, model: Recommender, problem: Problem, recorder: Recorder) -> None:
        count = repair_size(self.options.repair_examples, problem)
        if count:
            optimiser = adam(trainable(model), problem.learning_rate)
            batches = repair_sampler(problem, count).epoch(problem.batch_size)
            loss = descend(model, batches, lambda batch: model.loss(batch).total, optimiser, recorder)
            recorder.epoch(model, {"loss/repair": loss})


def nobody(triples: FixedTriples) -> Tensor:
    """An empty A: bool [R]."""
    return torch.zeros_like(triples.retain.users, dtype=torch.bool)


def clipped(delta: Tensor, values: Tensor, max_step: float | None) -> tuple[Tensor, float]:
    """``delta``, no longer than ``max_step`` norms of ``values``, and the factor that it was shortened by."""
    length = norm(delta)
    if max_step is None or length <= max_step * norm(values):
        return delta, 1.0
    factor = max_step * norm(values) / length
    return delta * factor, factor


def noise(options: SecondOrderOptions, like: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian noise of the deviation that the options ask for; zeros where that is 0."""
    deviation = noise_deviation(options)
    if not deviation:
        return torch.zeros_like(like)
    drawn = torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    return deviation * drawn


def noise_deviation(options: SecondOrderOptions) -> float:
    """``noise``, or with a certificate that of the Gaussian mechanism.

    bound * sqrt(2 ln(1.25 / delta)) / epsilon (Dwork and Roth, "The Algorithmic Foundations of Differential
    Privacy", 2014, theorem A.1).
    """
    if options.epsilon is None or options.bound is None:
        return options.noise
    return options.bound * math.sqrt(2 * math.log(1.25 / options.delta)) / options.epsilon


def certificate(options: SecondOrderOptions) -> str:
    """What the notes of a run say about guarantees."""
    if options.epsilon is None:
        return "none"
    return (
        f"({options.epsilon:g}, {options.delta:g}) if the retrained model is within {options.bound:g}, "
        "which is assumed and not shown"
    )
