"""The contract of an unlearning method, and what the harness hands to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from datasets.sampling import TripleSampler
from models.base import Recommender
from models.capabilities import Capability, reason_against


@dataclass(frozen=True)
class Trained:
    """A trained model and what its training cost (recorded when it was trained, not loaded)."""

    model: Recommender
    train_seconds: float
    examples: int
    steps: int


class Workshop(ABC):
    """Trains further backbones of the cell's kind, for methods that keep models of their own."""

    @abstractmethod
    def trained(
        self,
        data: InteractionData,
        purpose: str,
        epochs: int | None = None,
        start: Recommender | None = None,
    ) -> Trained:
        """A fresh backbone, trained on ``data`` and nothing else but what ``start`` was trained on.

        Seeds follow from the cell's seed and ``purpose`` alone: the same data and purpose give the same
        weights, in whatever order and for whatever request they are asked for. What training cost (by
        the rule that gold's time follows: evaluation excluded) is put on the clock of the stage that
        asks, whether the model was trained now or found in the cache.

        Args:
            data: what to train on; ``data.valid`` stops the training.
            purpose: names the model's random streams, for example ``shard 3``.
            epochs: exactly so many, without selection; None trains as the cell's own backbone is trained.
            start: a model whose weights training starts from, which it leaves as they are; None: fresh ones.
        """


@dataclass(frozen=True)
class Setting:
    """What a method may know before any request: the whole data, and means to train on it.

    ``generator``, ``batch_size``, ``learning_rate`` and ``workshop`` are as in ``Problem``.
    """

    data: InteractionData
    generator: torch.Generator
    batch_size: int
    learning_rate: float
    workshop: Workshop


@dataclass(frozen=True)
class Problem:
    """One unlearning task.

    ``full`` is the data before the request, ``retain`` the data after it, ``request`` the pairs,
    users or items to forget. ``generator`` (on the model's device) is the only source of randomness
    a method may use for sampling; the global torch generator is seeded by the harness as well, for
    stochastic forward passes. ``batch_size`` and ``learning_rate`` are those of the backbone's
    training. ``gold`` gives the retrained model; only reference systems may call it. ``workshop`` trains
    further backbones. ``prepared`` is what the method's own ``prepare`` returned. ``users`` [U] are those for
    whom the returned model will be asked, None for everybody. ``keeps`` is a folder that outlives the cell,
    for what a method would otherwise compute again; what it keeps there of a user is the method's to delete
    when he asks.

    In a stream of requests ``full`` is what the requests before this one left, and ``prepared`` is the state
    that the method returned with the request before; what was asked earlier is nowhere.
    """

    full: InteractionData
    retain: InteractionData
    request: DeletionRequest
    generator: torch.Generator
    batch_size: int
    learning_rate: float
    gold: Callable[[], Trained]
    workshop: Workshop
    prepared: Any = None
    users: Tensor | None = None
    keeps: Path | None = None

    def retain_sampler(self) -> TripleSampler:
        """Triples of the retain set; forgotten pairs are unknown to it."""
        return TripleSampler(self.retain.train, self.retain.train, self.retain.num_items, self.generator)

    def forget_sampler(self) -> TripleSampler:
        """Triples whose positives are the forget set; negatives avoid all of D (ours)."""
        return TripleSampler(self.request.forget, self.full.train, self.full.num_items, self.generator)


class Recorder(ABC):
    """What a method reports while it runs. Time spent in here is not on the method's clock."""

    @abstractmethod
    def epoch(self, model: Recommender, values: dict[str, float] | None = None) -> None:
        """End of an epoch: evaluates the trajectory and stores ``values`` as points of curves."""

    @abstractmethod
    def examples(self, count: int, steps: int = 1) -> None:
        """Count training examples, the device-free cost: once per batch on which a gradient is taken.

        ``steps`` is the number of gradients that ``count`` examples went into: more for a whole training, 0
        for a batch that goes into the gradient of another.
        """


@dataclass
class UnlearnResult:
    """The unlearned model.

    ``offline_seconds`` is preparation that can happen before any request; the harness adds what
    ``prepare`` took. ``online_seconds`` is normally None: the harness measures it. Reference systems
    that only fetch a model state the recorded cost themselves. ``beside`` are further models that stay
    in use with the returned one, by role: they are measured and audited as well. ``served`` gives figures
    that are only known once the model was used, by MLflow name; it is called after measuring and auditing.
    What cannot be asked of the model it says itself (``models.capabilities``).
    ``state`` is what the next request of a stream finds as ``problem.prepared``; how it outlives an
    interruption: ``UnlearningMethod.packed``.
    """

    model: Recommender
    offline_seconds: float = 0.0
    online_seconds: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, Recommender] = field(default_factory=dict)
    served: Callable[[], dict[str, float]] | None = None
    state: Any = None


@dataclass(frozen=True)
class PreparedState:
    """What ``prepare`` returns where the harness is to keep it on disk.

    ``tensors`` by name, on the model's device and without gradient; ``figures`` are JSON-able.
    """

    tensors: dict[str, Tensor]
    figures: dict[str, Any] = field(default_factory=dict)


class UnlearningMethod(ABC):
    """An unlearning method, stateless between cells.

    A subclass sets ``Options`` to a frozen dataclass that extends ``MethodOptions`` and checks its
    config group.
    """

    Options: ClassVar[type]
    needs: ClassVar[Collection[Capability]] = frozenset(
        {Capability.EMBEDDINGS, Capability.PARAMETERS, Capability.TRAINING}
    )
    """What a backbone must be able to do for the method to work on it."""
    keeps_prepared: ClassVar[bool] = False
    """Whether ``prepare`` returns a ``PreparedState``: then the harness keeps it on disk and prepares once
    for all requests, and the recorded seconds are reported where it was found."""
    no_stream: ClassVar[str] = ""
    """Why the method cannot serve one request after another, as the end of a sentence; "" where it can."""
    online_options: ClassVar[frozenset[str]] = frozenset()
    """Options that ``prepare`` does without: it gets their defaults, so that one prepared state serves all
    their values."""

    def __init__(self, options: Any) -> None:
        self.options = options

    @property
    def fitted_on_validation(self) -> bool:
        """Whether validation labels enter the weights with these options, beyond choosing an epoch.

        Validation figures of such a cell are of data that was fitted: whoever selects by them must leave it
        out, and its run says so in the tag ``note.fitted_on_validation``.
        """
        return False

    def accept(self, name: str, model: Recommender) -> None:
        """Raise ``InputError`` where the backbone lacks what the method needs, or where ``check`` does.

        Args:
            name: of the method.
        """
        reason = reason_against(model, self.needs)
        if reason:
            raise InputError(
                f"method={name} cannot work on {type(model).__name__}, {reason}: choose another backbone, or "
                "a method that asks for nothing but a model (exact, graph_only)."
            )
        self.check(model)

    def check(self, model: Recommender) -> None:  # noqa: B027 - most methods accept every backbone
        """Raise ``InputError`` where this method cannot work on this backbone; runs before training."""

    def check_data(self, data: InteractionData) -> None:  # noqa: B027 - most methods accept all data
        """Raise ``InputError`` where this method cannot work on these data; runs before training."""

    def prepare(self, original: Recommender, setting: Setting) -> Any:
        """Make ready, before any request, what ``unlearn`` will find as ``problem.prepared``.

        ``original`` is a private copy on the full graph. Runs on a clock of its own, the offline one, and
        cannot see the request. Most methods need nothing.
        """
        return None

    @abstractmethod
    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Unlearn ``problem.request``.

        ``original`` is a private copy, already bound to the graph that
        ``options.graph_at_unlearning`` names: change it in place and return it. This call is what
        the clock measures (with the binding before it). In a stream ``original`` is the model that the
        request before left.
        """

    def packed(self, model: Recommender, state: Any) -> PreparedState | None:
        """What the harness keeps on disk of a stream between two requests; None where it cannot be kept.

        By default the weights of the backbone that was handed over, with a state that is a ``PreparedState``.
        Without, an interrupted stream is served again from its first request.
        """
        if not (state is None or isinstance(state, PreparedState)):
            return None
        own = state or PreparedState({})
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        tensors |= {f"state.{name}": value for name, value in own.tensors.items()}
        return PreparedState(tensors, {"has_state": state is not None, "figures": own.figures})

    def unpacked(
        self, packed: PreparedState, model: Recommender, data: InteractionData
    ) -> tuple[Recommender, Any]:
        """Model and state as they were.

        Args:
            packed: what ``packed`` returned.
            model: an untrained backbone, bound to ``data``.
            data: what the requests so far left.
        """
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "state": {}}
        for name, value in packed.tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        model.load_state_dict(parts["model"])
        state = PreparedState(parts["state"], packed.figures["figures"])
        return model, state if packed.figures["has_state"] else None


def trainable(model: Recommender) -> list[torch.nn.Parameter]:
    """The parameters an optimiser may touch."""
    return [p for p in model.parameters() if p.requires_grad]
