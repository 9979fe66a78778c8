"""TRU: a reverse update aimed at where the forget set sits.

Zhou, Tam, Zheng, Ma, Yang, "TRU: Targeted Reverse Update for Efficient Multimodal Recommendation
Unlearning" (arXiv 2604.02183 v1), Algorithm 1. On the protocol of MMRecUn it puts three
interventions, each of which can be switched off:

    gate       L~(forget) = L(forget) + lambda_fusion * |theta_fusion|_1                     (Eq. 3)
    scaling    gamma_m = max(gamma_min, min(1, R_m / (F_m + eps))), m in {id, image, text}   (Eq. 4)
    isolation  z_k = 1[k in AdaptiveTop({e_j}, p, tau_min)], e_k = E |grad_k L(forget)|^2    (Eq. 5-6)
    step       theta_k <- theta_k + eta * alpha * z_k * gamma_m(k) * grad_k L~               (Eq. 7)

Sign: what is written below is minimised. The reverse phase descends J, which is -L(forget) with
``form=ascent`` and the ranking loss of the exchanged triple with ``form=swap``, by

    theta_k <- theta_k - eta * alpha * z_k * gamma_m(k) * grad_k J

and the gate is a penalty, lambda_fusion * |theta_fusion|_1 added to J, whose step is the proximal one:

    W <- sign(W) * max(|W| - eta * alpha * gamma_m(k) * lambda_fusion, 0)

Eq. 7 as printed climbs L~ with its penalty, so that the weights grow: ``gate_form=literal``. With all
three off it is MMRecUn. What the paper leaves open is an option; docs/methods/tru.md says which reading is
the default and why. The two phases are in ``unlearning.reverse_repair``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from models.losses import pair_scores, triple_rows
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult
from unlearning.gradients import Module, Objective, counted, modules_of, squared_norms, untouched
from unlearning.options import ReverseRepairOptions
from unlearning.reverse_repair import (
    Group,
    ReversePhase,
    ReverseRate,
    Term,
    base_objective,
    check_options,
    make_repair,
    reading,
    reduced,
    reverses,
)


@dataclass(frozen=True)
class TRUOptions(ReverseRepairOptions):
    """The knobs of the reverse-repair protocol (``ReverseRepairOptions``), and TRU's own.

    The paper publishes grids (p, M, scaling) and no chosen value; every default below is ours.
    """

    optimiser: Literal["sgd", "adam_lr", "adam_grad"] = "sgd"
    """Of the reverse phase, and how mask and scale reach it. ``sgd``: Eq. 7 as printed. ``adam_lr``:
    Adam, fresh in every epoch, learning rate eta * alpha * gamma per module. ``adam_grad``: the
    factors on the gradient, which Adam divides out again (ablation only)."""

    statistics_batches: Annotated[int, Field(ge=1)] = 3
    """M, batches per side from which Eq. 4 and 5 are estimated in each epoch. Paper's grid: 1 to 5."""

    statistics_loss: Literal["backbone", "reversed"] = "backbone"
    """Loss of the forget side of Eq. 4 and 5, as a batch mean; the retain side is always the backbone's
    training loss. ``backbone``: the same loss on both sides, as printed. ``reversed``: what the reverse
    phase descends without the gate, so that Eq. 4 compares two different losses."""

    gate: bool = True
    """Ranking fusion gate (Eq. 3)."""

    gate_form: Literal["proximal", "literal", "score"] = "proximal"
    """``proximal``: the penalty shrinks the fusion weights, as the prose and the ablation need, by the
    proximal step of the L1 norm, which cannot overshoot. ``literal``: Eq. 7 as printed climbs the penalty
    and so grows them. ``score``: the penalty is lambda times the mean absolute score of the forgotten pairs
    (under ``reduction``), and shrinks, as section 3.2's takeaway reads."""

    gate_masked: bool = True
    """Whether z masks the step of the gate as well (Eq. 7), or its penalty reaches every module."""

    lambda_fusion: Annotated[float, Field(ge=0)] = 1e-3
    """Weight of the gate's penalty against the loss. Published: unknown."""

    scaling: bool = True
    """Branch-wise modality scaling (Eq. 4). In the paper's grid: on and off."""

    gamma_min: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Smallest scale of a branch. Published: unknown."""

    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Guard of the division in Eq. 4. Published: unknown."""

    step_length: Literal["matched", "printed"] = "matched"
    """``matched``: eta makes up for what gamma takes from the mean step, so that scaling says where a step
    goes and not how far, and a variant without it differs in nothing else. ``printed``: Eq. 7, gamma is a
    brake as well. Ours."""

    isolation: bool = True
    """Capacity-aware layer isolation (Eq. 5-6)."""

    top_ratio: Annotated[float, Field(gt=0, le=1)] = 0.2
    """p, the share of the modules to select, rounded up. Paper's grid: .1 to .9, chosen values unknown; .2
    is the first at which MGCN's selection holds a fusion module."""

    min_capacity: Annotated[float, Field(ge=0, le=1)] = 0.01
    """tau_min: the selected modules hold at least this share of the parameters. Published: unknown."""

    exponent: Literal[1, 2] = 2
    """Of the gradient norm in Eq. 5; the text leaves open which."""

    modules: tuple[str, ...] | None = None
    """Modules with z = 1 by name, in place of AdaptiveTop's choice; null: AdaptiveTop. Ours, for limits."""


class TRU(UnlearningMethod):
    """Reverse-repair with a fusion gate, branch scaling and layer isolation."""

    Options = TRUOptions
    options: TRUOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` where the gate has nothing to act on or options do not fit the model."""
        options, name = self.options, type(model).__name__
        check_options(options)
        if l1_form(options) and not model.fusion_parameters():
            raise InputError(
                f"method.gate=true needs fusion parameters and {name} has none: set method.gate=false."
            )
        known = [module.name for module in modules_of(model)]
        if options.modules is not None and not (options.isolation and set(options.modules) <= set(known)):
            raise InputError(
                f"method.modules={list(options.modules)} needs method.isolation=true and modules of {name}: "
                f"choose from {', '.join(known)}."
            )

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Algorithm 1, in place. ``notes``: the reading, and how many fusion weights the gate reached."""
        run = _Algorithm1(original, problem, recorder, self.options)
        for _ in range(self.options.epochs):
            run.epoch()
        return UnlearnResult(original, notes={"reading": in_words(self.options), **run.notes})


class _Algorithm1:
    """Algorithm 1 on one model; the comments in ``epoch`` number its lines."""

    def __init__(self, model: Recommender, problem: Problem, recorder: Recorder, options: TRUOptions) -> None:
        self._model, self._problem, self._recorder, self._options = model, problem, recorder, options
        self._modules = modules_of(model)
        self._repair = make_repair(model, problem, options)
        self._forget = problem.forget_sampler() if reverses(options, problem) else None
        if self._forget is not None:
            matched = options.scaling and options.step_length == "matched"
            self._rate = ReverseRate(model, options, options.optimiser, problem, recorder, matched=matched)
        self.notes = {"gated_parameters": 0}

    def epoch(self) -> None:
        """Statistics, the reverse phase, the repair phase."""
        self._model.train()
        values: dict[str, float] = {}
        if self._forget is not None:
            gamma, e = self._statistics(self._forget)  # lines 2 and 3, Eq. 4 and 5
            selected = self._selected(e)  # line 4, Eq. 6
            values = self._reverse(self._forget, selected, gamma)  # lines 5 to 7, Eq. 3 and 7
            values |= {f"sensitivity/{name}": value for name, value in e.items()}
            values |= {f"selected/{m.name}": float(m in selected) for m in self._modules}
            values |= {f"gamma/{branch}": value for branch, value in gamma.items()}
        if self._options.alpha < 1:
            values["loss/repair"] = self._repair.epoch(self._recorder)  # lines 8 and 9, Eq. 2
        self._recorder.epoch(self._model, values)

    def _statistics(self, forget: TripleSampler) -> tuple[dict[str, float], dict[str, float]]:
        """gamma by branch (Eq. 4) and e by module (Eq. 5), without the gate and without a step.

        Batch means over batches of one size: a mean over fewer examples has a larger gradient, whatever
        they are. e is empty where nothing asks for it.
        """
        options, model, modules = self._options, self._model, self._modules
        gamma = {module.branch: 1.0 for module in modules}
        isolates = options.isolation and options.modules is None
        if not (options.scaling or isolates):
            return gamma, {}
        size = min(self._problem.batch_size, len(forget))

        def norms(objective: Objective, sampler: TripleSampler) -> Tensor:
            batches = sampler.epoch(size, options.statistics_batches)
            with untouched(model, self._problem.generator):
                return squared_norms(objective, counted(batches, self._recorder), modules)

        def backbone(batch: Batch) -> Tensor:
            return model.loss(batch).total

        def reverse(batch: Batch) -> Tensor:
            return base_objective(model, options, batch)

        forgotten = norms(backbone if options.statistics_loss == "backbone" else reverse, forget)
        if options.scaling:
            retained = branch_energies(norms(backbone, self._repair.sampler), modules)
            gamma = branch_scales(
                retained, branch_energies(forgotten, modules), options.gamma_min, options.eps
            )
        return gamma, sensitivity(forgotten, modules, options.exponent) if isolates else {}

    def _selected(self, e: dict[str, float]) -> list[Module]:
        """The modules with z_k = 1, in the model's order."""
        options = self._options
        if not options.isolation:
            return self._modules
        sizes = {module.name: module.size for module in self._modules}
        chosen = options.modules or adaptive_top(e, sizes, options.top_ratio, options.min_capacity)
        return [module for module in self._modules if module.name in chosen]

    def _reverse(
        self, forget: TripleSampler, selected: list[Module], gamma: dict[str, float]
    ) -> dict[str, float]:
        """All forget batches of an epoch with the masked and scaled step (Eq. 7); its curves."""
        options, model = self._options, self._model
        groups = [Group(module.parameters, gamma[module.branch]) for module in selected]
        rate = self._rate.of(groups)
        terms = [Term(lambda b: reduced(base_objective(model, options, b), options, b), parameters(selected))]
        reach = selected if options.gate_masked else self._modules
        fusion = fusion_weights(model, reach) if l1_form(options) else []
        penalty = gate_penalty(model, options, [weight for weight, _ in fusion])
        if penalty is not None:
            terms.append(Term(penalty, parameters(reach)))
            groups = [Group(m.parameters, gamma[m.branch]) for m in self._modules if m in selected + reach]

        @torch.no_grad()
        def shrink() -> None:
            for weight, branch in fusion if options.gate_form == "proximal" else ():
                threshold = rate * options.alpha * gamma[branch] * options.lambda_fusion
                weight.copy_(F.softshrink(weight, threshold))

        phase = ReversePhase(groups, options.optimiser, rate, options.alpha)
        losses = phase.run(terms, forget.epoch(self._problem.batch_size), self._recorder, shrink)
        reached = sum(weight.numel() for weight, _ in fusion)
        self.notes["gated_parameters"] = max(self.notes["gated_parameters"], reached)
        values = dict(zip(("loss/reverse", "loss/gate"), losses, strict=False))
        return values | {
            "reverse_rate": rate,
            "gate_l1": float(l1([weight for weight, _ in fusion]).detach()),
        }


def l1_form(options: TRUOptions) -> bool:
    """Whether the gate acts, and on fusion weights."""
    return options.gate and options.lambda_fusion > 0 and options.gate_form != "score"


def in_words(options: TRUOptions) -> str:
    """Which reading of the paper these options are."""
    masked = "masked" if options.gate_masked else "unmasked"
    gate = f"{options.gate_form} {masked}" if options.gate and options.lambda_fusion > 0 else "off"
    own = {"optimiser": options.optimiser, "gate": gate, "statistics": options.statistics_loss}
    return reading(options, **own, step=options.step_length)


def gate_penalty(model: Recommender, options: TRUOptions, fusion: list[nn.Parameter]) -> Objective | None:
    """What the gate adds to the loss that a step descends; None where it adds nothing.

    The proximal reading has no such term: it shrinks after each step instead.
    """

    def grown(batch: Batch) -> Tensor:
        return -options.lambda_fusion * l1(fusion)  # Eq. 7 climbs the penalty

    def scores(batch: Batch) -> Tensor:
        users, positives, _ = triple_rows(*model.embeddings(), batch)
        mean = pair_scores(users, positives).abs().mean()
        return options.lambda_fusion * reduced(mean, options, batch)

    if options.gate and options.lambda_fusion > 0 and options.gate_form == "score":
        return scores
    return grown if options.gate_form == "literal" and fusion else None


def fusion_weights(model: Recommender, reach: list[Module]) -> list[tuple[nn.Parameter, str]]:
    """theta_fusion within the modules in reach, each weight with its branch."""
    fusion = {id(weight) for weight in model.fusion_parameters()}
    return [(p, module.branch) for module in reach for p in module.parameters if id(p) in fusion]


def l1(weights: list[nn.Parameter]) -> Tensor:
    """L1 norm of all weights together; 0 for none."""
    return torch.stack([w.abs().sum() for w in weights]).sum() if weights else torch.zeros(())


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


def parameters(modules: list[Module]) -> list[nn.Parameter]:
    """All parameters of some modules."""
    return [p for module in modules for p in module.parameters]
