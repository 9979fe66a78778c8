"""Reverse BPR on embedding tables: the reverse step moves whole tables and nothing else. Ours, a control.

The reverse-repair protocol of MMRecUn and TRU (arXiv 2604.02183, Eq. 2), with the reverse phase confined
to the tables (a row per user or per item) in which the forget set sits deepest:

    e_k     = E |grad_k J(forget)|^2   for every table k
    reverse   theta_k <- theta_k - eta * alpha * grad_k J(forget batch)   for the ``tables`` largest e_k
    repair    theta   <- theta - eta' * (1 - alpha) * grad L(retain batch)

No gate, no scaling, no module that all users and items share. What an aimed update adds to this, and what
this adds to ``reset``, is what they are worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from datasets.errors import InputError
from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from unlearning.base import Problem, Recorder, UnlearningMethod, UnlearnResult
from unlearning.gradients import Module, counted, modules_of, squared_norms, untouched
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
class ReverseTablesOptions(ReverseRepairOptions):
    """The knobs of the reverse-repair protocol (``ReverseRepairOptions``), and two of its own."""

    tables: Annotated[int, Field(ge=1)] = 1
    """How many tables the reverse phase of an epoch moves, the most sensitive first; all where there are
    fewer."""

    statistics_batches: Annotated[int, Field(ge=1)] = 3
    """Forget batches from which the sensitivity is estimated in each epoch."""


class ReverseTables(UnlearningMethod):
    """Reverse-repair whose reverse phase moves tables only, by plain gradient steps."""

    Options = ReverseTablesOptions
    options: ReverseTablesOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` where options contradict each other or the backbone has no table."""
        check_options(self.options)
        if not tables(model):
            raise InputError(
                f"method=reverse_tables moves tables and {type(model).__name__} has none: "
                "choose method=mmrecun."
            )

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Unlearn in place; ``notes`` says which reading of the protocol ran."""
        options, model = self.options, original
        repair = make_repair(model, problem, options)
        forget = problem.forget_sampler() if reverses(options, problem) else None
        rate = None if forget is None else ReverseRate(model, options, "sgd", problem, recorder)
        for _ in range(options.epochs):
            model.train()
            values: dict[str, float] = {}
            if forget is not None and rate is not None:
                values = self._reverse(model, forget, rate, problem, recorder)
            if options.alpha < 1:
                values["loss/repair"] = repair.epoch(recorder)
            recorder.epoch(model, values)
        return UnlearnResult(model, notes={"reading": reading(options)})

    def _reverse(
        self,
        model: Recommender,
        forget: TripleSampler,
        rate: ReverseRate,
        problem: Problem,
        recorder: Recorder,
    ) -> dict[str, float]:
        """One reverse phase on the tables of this epoch; its curves."""
        options, candidates = self.options, tables(model)

        def mean(batch: Batch) -> Tensor:
            return base_objective(model, options, batch)

        def objective(batch: Batch) -> Tensor:
            return reduced(mean(batch), options, batch)

        with untouched(model, problem.generator):
            batches = forget.epoch(problem.batch_size, options.statistics_batches)
            e = squared_norms(mean, counted(batches, recorder), candidates).mean(dim=0).tolist()
        ranked = sorted(zip(e, candidates, strict=True), key=lambda pair: (-pair[0], pair[1].name))
        chosen = [table for _, table in ranked[: options.tables]]
        groups = [Group(table.parameters) for table in chosen]
        phase = ReversePhase(groups, "sgd", rate.of(groups), options.alpha)
        moved = [p for group in groups for p in group.parameters]
        loss = phase.run([Term(objective, moved)], forget.epoch(problem.batch_size), recorder)[0]
        values = {f"sensitivity/{table.name}": value for value, table in ranked}
        values |= {f"selected/{table.name}": float(table in chosen) for table in candidates}
        return {**values, "loss/reverse": loss}


def tables(model: Recommender) -> list[Module]:
    """Modules that are a matrix with one row per user or per item: ID tables, trained raw features."""
    return [
        module
        for module in modules_of(model)
        if len(module.parameters) == 1
        and module.parameters[0].dim() == 2
        and module.parameters[0].shape[0] in (model.num_users, model.num_items)
    ]
