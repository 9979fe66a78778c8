"""The contract of an audit, and running those that a cell asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from bench.audits.options import AuditOptions
from bench.measure.evaluate import evaluating
from bench.measure.targets import Candidates, pairs_of
from bench.train.options import TrainConfig
from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from models.base import Recommender
from models.capabilities import Capability, reason_against

Figures = dict[str, "float | Tensor"]
"""What an audit finds: a number becomes a metric, a tensor an array of the artifact."""

TrainModel = Callable[[InteractionData, str], Recommender]


def _cannot_train(data: InteractionData, purpose: str) -> Recommender:
    raise RuntimeError("this context was not given a way to train models")


@dataclass(frozen=True)
class AuditContext:
    """What an audit may look at.

    ``full`` and ``retain`` are the data before and after ``request``. ``train`` says how models are
    trained in this cell. ``references`` holds the models ``original`` and ``gold``; it is empty while
    a cell is only planned. ``train_model(data, purpose)`` gives the cell's backbone trained on other
    data, from the model cache if it is there. ``candidates`` says whether withdrawn items are ranked
    (``bench.measure.targets``). ``users`` [U] are those on whom models are measured, None for everybody: what
    is asked of lists and scores is asked of theirs alone (``judged``, ``judged_pairs``).
    """

    full: InteractionData
    retain: InteractionData
    request: DeletionRequest
    seed: int
    chunk_scores: int
    train: TrainConfig
    references: Mapping[str, Recommender] = field(default_factory=dict)
    train_model: TrainModel = _cannot_train
    candidates: Candidates = "all"
    users: Tensor | None = None

    def judged(self, users: Tensor) -> Tensor:
        """Those of ``users`` [N] on whom models are measured."""
        return users if self.users is None else users[torch.isin(users, self.users)]

    def judged_pairs(self, pairs: Tensor) -> Tensor:
        """Those of ``pairs`` [2, P] whose user is measured."""
        return pairs_of(pairs, self.users)


@dataclass(frozen=True)
class MemoryClaim:
    """The figure by which an audit claims to see what a model remembers.

    The audit reports ``figure`` with a 95 % interval as ``<figure>_low`` and ``<figure>_high``. More
    memory means a ``more_is`` value. ``regime`` and ``poison`` name the cell in which the claim is put
    to the test (tests/bench/audits/test_every_audit.py): there the original must be beyond gold's interval,
    a gold model of another seed must not, and a gold model into which the original's rows of the
    forgotten users and items were planted must be.
    """

    figure: str
    more_is: Literal["higher", "lower"] = "higher"
    regime: str = "user"
    poison: str = "none"


@dataclass(frozen=True)
class TraceClaim:
    """The figures by which an audit claims to see that rows are not where gold has them, on either side.

    A find is a 95 % interval of any of ``figures`` that lies apart from gold's by ``least``. Tested as
    above: the original is found, a gold model of another seed is not, and a gold model whose forgotten
    rows were moved far away is.
    """

    figures: tuple[str, ...]
    least: float = 0.02
    regime: str = "user"


class Audit(ABC):
    """One audit. ``name`` prefixes its metrics: ``audit/<name>/<figure>``.

    A subclass with options sets ``Options`` to a frozen dataclass of its own module; on the command line
    they are ``audit.options.<registered name>.<option>``.

    ``__init__`` also runs while a cell is planned: there it refuses, with an ``InputError``, what the
    audit cannot work on, and computes nothing that takes long.

    Args:
        options: an instance of ``Options``; None for its defaults.
    """

    name: ClassVar[str]
    Options: ClassVar[type] = AuditOptions
    memory: ClassVar[MemoryClaim | None] = None
    """What the audit claims to detect of memory; None for an audit that does not."""
    trace: ClassVar[TraceClaim | None] = None
    """What the audit claims to detect of rows out of place; None for an audit that does not."""
    needs: ClassVar[Collection[Capability]] = frozenset(Capability)
    """What a model must be able to do to be audited; everything, where an audit does not state less."""

    def __init__(self, context: AuditContext, options: Any = None) -> None:
        self.context = context
        self.options = self.Options() if options is None else options

    @abstractmethod
    def figures(self, model: Recommender) -> Figures:
        """What the audit finds on one model, in evaluation mode and without gradient."""

    def chance(self) -> float | None:
        """The claimed figure of a model that knows nothing; None where no value is to be expected."""
        return None


@dataclass(frozen=True)
class Audited:
    """``metrics`` by MLflow name; ``arrays`` by ``<name>/<role>/<array>``; ``not_applicable``: beginnings of
    the names of metrics that make no sense for a model, and why."""

    metrics: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, Tensor] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)


def run_audits(
    kinds: Sequence[Callable[[AuditContext], Audit]],
    models: Mapping[str, Recommender],
    context: AuditContext,
) -> Audited:
    """Figures of every audit on every model.

    ``kinds`` make an audit of the context: audit classes, with their options where they are not the defaults.
    ``models`` maps a role to a model: the unlearned one has the role "" and gives
    ``audit/<name>/<figure>``, others give ``audit/<name>/<role>_<figure>``. What an audit cost is
    ``time/audit/<name>_seconds``. An audit that raises is not caught: it fails the cell. One that needs what
    a model cannot do leaves that model out and says why; where a reference cannot, it leaves out all of them.
    """
    found = Audited()
    for audit in [kind(context) for kind in kinds]:
        began = perf_counter()
        reasons = {role: reason_against(model, audit.needs) for role, model in models.items()}
        held_against = next((reasons[role] for role in context.references if reasons.get(role)), "")
        for role, model in models.items():
            reason = held_against or reasons[role]
            if reason:
                found.not_applicable[f"audit/{audit.name}" + (f"/{role}_" if role else "")] = reason
                continue
            with evaluating(model):
                _add(found, audit.name, role, audit.figures(model))
        found.metrics[f"time/audit/{audit.name}_seconds"] = perf_counter() - began
    return found


def _add(found: Audited, name: str, role: str, figures: Figures) -> None:
    for figure, value in figures.items():
        if isinstance(value, Tensor):
            found.arrays[f"{name}/{role or 'unlearned'}/{figure}"] = value.detach().cpu()
        else:
            found.metrics[f"audit/{name}/{role + '_' if role else ''}{figure}"] = float(value)


def unit_side(request: DeletionRequest) -> int:
    """What a request is about, as the row of a pair: 1, items, where these alone are withdrawn; else 0."""
    return int(bool(request.items.numel()) and not request.users.numel())


def check_forgotten_pairs(audit: str, context: AuditContext) -> None:
    """Refuse a request without a single forgotten pair."""
    if not context.request.forget.numel():
        raise InputError(
            f"audits={audit} finds no forgotten pair in this request: leave the audit out (audit.audits)."
        )
