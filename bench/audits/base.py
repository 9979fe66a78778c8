"""The contract of an audit, and running those that a cell asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import ClassVar, Literal

from torch import Tensor

from bench.measure.evaluate import evaluating
from bench.measure.targets import Candidates
from bench.train.options import TrainConfig
from datasets.interactions import InteractionData
from datasets.poison_options import Poison
from datasets.requests import DeletionRequest
from models.base import Recommender

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
    (``bench.measure.targets``).
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


@dataclass(frozen=True)
class MemoryClaim:
    """The figure by which an audit claims to see what a model remembers.

    The audit reports ``figure`` with a 95 % interval as ``<figure>_low`` and ``<figure>_high``. More
    memory means a ``more_is`` value. ``regime`` and ``poison`` name the cell in which the claim is put
    to the test: there the original must be beyond gold's interval, and a gold model of another seed
    must not (tests/bench/audits/test_every_audit.py).
    """

    figure: str
    more_is: Literal["higher", "lower"] = "higher"
    regime: str = "user"
    poison: Poison = "none"


class Audit(ABC):
    """One audit. ``name`` prefixes its metrics: ``audit/<name>/<figure>``.

    ``__init__`` also runs while a cell is planned: there it refuses, with an ``InputError``, what the
    audit cannot work on, and computes nothing that takes long.
    """

    name: ClassVar[str]
    memory: ClassVar[MemoryClaim | None] = None
    """What the audit claims to detect; None for an audit that only describes."""

    def __init__(self, context: AuditContext) -> None:
        self.context = context

    @abstractmethod
    def figures(self, model: Recommender) -> Figures:
        """What the audit finds on one model, in evaluation mode and without gradient."""

    def chance(self) -> float | None:
        """The claimed figure of a model that knows nothing; None where no value is to be expected."""
        return None


@dataclass(frozen=True)
class Audited:
    """``metrics`` by MLflow name; ``arrays`` by ``<name>/<role>/<array>``."""

    metrics: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, Tensor] = field(default_factory=dict)


def run_audits(
    kinds: Sequence[type[Audit]], models: Mapping[str, Recommender], context: AuditContext
) -> Audited:
    """Figures of every audit on every model.

    ``models`` maps a role to a model: the unlearned one has the role "" and gives
    ``audit/<name>/<figure>``, others give ``audit/<name>/<role>_<figure>``. What an audit cost is
    ``time/audit/<name>_seconds``. An audit that raises is not caught: it fails the cell.
    """
    found = Audited()
    for audit in [kind(context) for kind in kinds]:
        began = perf_counter()
        for role, model in models.items():
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
