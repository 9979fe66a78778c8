"""TRU: a reverse update aimed at where the forget set sits.

Zhou, Tam, Zheng, Ma, Yang, "TRU: Targeted Reverse Update for Efficient Multimodal Recommendation
Unlearning" (arXiv 2604.02183 v1), Algorithm 1. On the protocol of MMRecUn it puts three
interventions, each of which can be switched off:

    gate       L~(forget) = L(forget) + lambda_fusion * |theta_fusion|_1                     (Eq. 3)
    scaling    gamma_m = max(gamma_min, min(1, R_m / (F_m + eps))), m in {id, image, text}   (Eq. 4)
    isolation  z_k = 1[k in AdaptiveTop({e_j}, p, tau_min)], e_k = E |grad_k L(forget)|^2    (Eq. 5-6)
    step       theta_k <- theta_k + eta * alpha * z_k * gamma_m(k) * grad_k L~               (Eq. 7)

With all three off it is MMRecUn. What the paper leaves open is an option; docs/methods/tru.md says
which reading is the default and why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult, trainable
from unlearning.gradients import Module, Objective, modules_of, squared_norms, untouched
from unlearning.options import ReverseRepairOptions
from unlearning.reverse_repair import (
    Group,
    ReversePhase,
    base_objective,
    check_options,
    make_repair,
    reduced,
    reverse_rate,
    reverses,
)


@dataclass(frozen=True)
class TRUOptions(ReverseRepairOptions):
    """The knobs of the reverse-repair protocol (``ReverseRepairOptions``), and TRU's own.

    The paper publishes grids (p, M, scaling) and no chosen value; every default below is ours.
    """

    reverse_lr: Annotated[float, Field(gt=0)] | None = 40.0
    """As for MMRecUn; higher, because the scaling of Eq. 4 takes it back by gamma (.1 to .3 here)."""

    optimiser: Literal["sgd", "adam_lr", "adam_grad"] = "sgd"
    """Of the reverse phase, and how mask and scale reach it. ``sgd``: Eq. 7 as printed. ``adam_lr``:
    Adam, fresh in every epoch, learning rate eta * alpha * gamma per module. ``adam_grad``: the
    factors on the gradient, which Adam divides out again (ablation only)."""

    statistics_batches: Annotated[int, Field(ge=1)] = 3
    """M, batches per side from which Eq. 4 and 5 are estimated in each epoch. Paper's grid: 1 to 5."""

    gate: bool = True
    """Ranking fusion gate (Eq. 3)."""

    lambda_fusion: Annotated[float, Field(ge=0)] = 1e-3
    """Weight of the L1 norm of the fusion parameters. Published: unknown."""

    gate_sign: Literal["shrink", "literal"] = "shrink"
    """``shrink``: the penalty shrinks the fusion weights, as the prose and the ablation need.
    ``literal``: Eq. 7 as printed climbs L~ and so grows them."""

    scaling: bool = True
    """Branch-wise modality scaling (Eq. 4). In the paper's grid: on and off."""

    gamma_min: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Smallest scale of a branch. Published: unknown."""

    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Guard of the division in Eq. 4. Published: unknown."""

    isolation: bool = True
    """Capacity-aware layer isolation (Eq. 5-6)."""

    top_ratio: Annotated[float, Field(gt=0, le=1)] = 0.05
    """p, the share of the modules to select, rounded up. Paper's grid: .1 to .9, chosen values
    unknown; .05 is one module of MGCN's eleven, .1 already two."""

    min_capacity: Annotated[float, Field(ge=0, le=1)] = 0.01
    """tau_min, a share of the parameters; see ``capacity``. Published: unknown."""

    capacity: Literal["total", "each"] = "total"
    """What must hold ``min_capacity``: ``total``, all selected modules together (the paper); ``each``, every
    module that may be selected at all, so that small modules which all items share are left alone. Ours."""

    exponent: Literal[1, 2] = 2
    """Of the gradient norm in Eq. 5; the text leaves open which."""


class Plan(NamedTuple):
    """What an epoch's statistics decide: the modules with z_k = 1, gamma by branch, and the curves."""

    selected: list[Module]
    gamma: dict[str, float]
    values: dict[str, float]


class TRU(UnlearningMethod):
    """Reverse-repair with a fusion gate, branch scaling and layer isolation."""

    Options = TRUOptions
    options: TRUOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` where the gate has nothing to act on or options contradict each other."""
        check_options(self.options)
        if self._gated and not model.fusion_parameters():
            raise InputError(
                f"method.gate=true needs fusion parameters and {type(model).__name__} has none: "
                "set method.gate=false."
            )

    @property
    def _gated(self) -> bool:
        return self.options.gate and self.options.lambda_fusion > 0

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Algorithm 1, in place. ``notes`` says how many fusion weights the gate reached at most."""
        options, model = self.options, original
        repair = make_repair(model, problem, options)
        forget = problem.forget_sampler() if reverses(options, problem) else None
        gated_parameters, rate = 0, None
        for _ in range(options.epochs):
            model.train()
            values: dict[str, float] = {}
            if forget is not None:
                plan = self._plan(model, forget, repair.sampler, problem, recorder)  # lines 2-4
                if rate is None:
                    chosen = movable(model, plan.selected)
                    rate = reverse_rate(model, chosen, options, options.optimiser, problem)
                fusion = fusion_weights(model, plan.selected) if self._gated else []
                gated_parameters = max(gated_parameters, sum(weight.numel() for weight in fusion))
                loss = self._reverse(model, plan, fusion, forget, rate, problem, recorder)  # lines 5-7
                values = {**plan.values, "loss/reverse": loss, "gate_l1": float(l1(fusion).detach())}
            if options.alpha < 1:
                values["loss/repair"] = repair.epoch(recorder)  # lines 8-9
            recorder.epoch(model, values)
        return UnlearnResult(model, notes={"gated_parameters": gated_parameters})

    def _reverse(
        self,
        model: Recommender,
        plan: Plan,
        fusion: list[nn.Parameter],
        forget: TripleSampler,
        rate: float,
        problem: Problem,
        recorder: Recorder,
    ) -> float:
        """All forget batches of an epoch with the masked and scaled step (Eq. 7)."""
        options = self.options
        sign = 1.0 if options.gate_sign == "shrink" else -1.0

        def gated_objective(batch: Batch) -> Tensor:
            loss = reduced(base_objective(model, options, batch), options, batch)
            return loss + sign * options.lambda_fusion * l1(fusion) if fusion else loss

        phase = ReversePhase(
            [Group(module.parameters, plan.gamma[module.branch]) for module in plan.selected],
            options.optimiser,
            rate,
            options.alpha,
        )
        return phase.run(gated_objective, forget.epoch(problem.batch_size), recorder)

    def _plan(
        self,
        model: Recommender,
        forget: TripleSampler,
        retain: TripleSampler,
        problem: Problem,
        recorder: Recorder,
    ) -> Plan:
        """gamma (Eq. 4) and z (Eq. 5-6), measured without the gate and without a step."""
        options, modules = self.options, modules_of(model)
        selected, gamma = modules, {module.branch: 1.0 for module in modules}
        values: dict[str, float] = {}

        def norms(objective: Objective, sampler: TripleSampler) -> Tensor:
            batches = sampler.epoch(problem.batch_size, options.statistics_batches)
            with untouched(model, problem.generator):
                return squared_norms(objective, counted(batches, recorder), modules)

        if options.scaling or options.isolation:
            forgotten = norms(lambda batch: base_objective(model, options, batch), forget)
        if options.scaling:
            retained = norms(lambda batch: model.loss(batch).total, retain)
            gamma |= branch_scales(
                branch_energies(retained, modules),
                branch_energies(forgotten, modules),
                options.gamma_min,
                options.eps,
            )
        if options.isolation:
            e = sensitivity(forgotten, modules, options.exponent)
            sizes = {m.name: m.size for m in modules}
            eligible = large_enough(e, sizes, options.min_capacity) if options.capacity == "each" else e
            chosen = adaptive_top(eligible, sizes, options.top_ratio, options.min_capacity)
            selected = [module for module in modules if module.name in chosen]
            values |= {f"sensitivity/{name}": value for name, value in e.items()}
        chosen_names = {module.name for module in selected}
        values |= {f"selected/{m.name}": float(m.name in chosen_names) for m in modules}
        values |= {f"gamma/{branch}": value for branch, value in gamma.items()}
        return Plan(selected, gamma, values)


def branch_energies(squared: Tensor, modules: list[Module]) -> dict[str, float]:
    """F_m or R_m: the norm of a branch's whole gradient, averaged over the batches."""
    branches = [module.branch for module in modules]
    return {
        branch: float(squared[:, [b == branch for b in branches]].sum(dim=1).sqrt().mean())
        for branch in sorted(set(branches))
    }


def branch_scales(
    retain: dict[str, float], forget: dict[str, float], gamma_min: float, eps: float
) -> dict[str, float]:
    """gamma_m (Eq. 4); 1 for ``shared``, which the paper's branches do not cover. Never above 1."""
    return {
        branch: 1.0
        if branch == "shared"
        else max(gamma_min, min(1.0, retain[branch] / (forget[branch] + eps)))
        for branch in forget
    }


def sensitivity(squared: Tensor, modules: list[Module], exponent: int) -> dict[str, float]:
    """e_k (Eq. 5): the gradient norm of a module to ``exponent``, averaged over the forget batches."""
    e = squared.pow(exponent / 2).mean(dim=0).tolist()
    return {module.name: value for module, value in zip(modules, e, strict=True)}


def large_enough(e: dict[str, float], sizes: dict[str, int], min_capacity: float) -> dict[str, float]:
    """Sensitivities of modules with ``min_capacity`` of all parameters; the largest always counts."""
    needed = min(min_capacity * sum(sizes.values()), max(sizes.values()))
    return {name: value for name, value in e.items() if sizes[name] >= needed}


def adaptive_top(e: dict[str, float], sizes: dict[str, int], ratio: float, min_capacity: float) -> set[str]:
    """AdaptiveTop (Eq. 6): the most sensitive ``ratio`` of the modules (at least one), then more.

    Modules are added in order of sensitivity, ties by name, until the chosen ones hold at least the
    share ``min_capacity`` of all parameters.
    """
    order = sorted(e, key=lambda name: (-e[name], name))
    count = max(1, math.ceil(ratio * len(order) - 1e-9))
    needed = min_capacity * sum(sizes.values())
    while count < len(order) and sum(sizes[name] for name in order[:count]) < needed:
        count += 1
    return set(order[:count])


def movable(model: Recommender, selected: list[Module]) -> list[nn.Parameter]:
    """The parameters of the selected modules, in the model's order."""
    chosen = {id(p) for module in selected for p in module.parameters}
    return [p for p in trainable(model) if id(p) in chosen]


def fusion_weights(model: Recommender, selected: list[Module]) -> list[nn.Parameter]:
    """theta_fusion within the selected modules: Eq. 7 moves no other, so the gate reaches no other."""
    reachable = {id(p) for module in selected for p in module.parameters}
    return [weight for weight in model.fusion_parameters() if id(weight) in reachable]


def l1(weights: list[nn.Parameter]) -> Tensor:
    """L1 norm of all weights together; 0 for none."""
    return torch.stack([w.abs().sum() for w in weights]).sum() if weights else torch.zeros(())


def counted(batches: Iterable[Batch], recorder: Recorder) -> Iterator[Batch]:
    """The batches, counted as cost: a statistic costs a forward and a backward pass."""
    for batch in batches:
        recorder.examples(batch.users.numel())
        yield batch
