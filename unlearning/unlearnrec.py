"""UnlearnRec: an influence encoder, trained before any request, that says how embeddings have to change.

Chen, Xia, Huang, "Unlearning for recommendation by pre-training an influence encoder", SIGIR 2025
(arXiv 2505.22649). With A the adjacency of the forgotten edges F alone and E0 the ID tables:

    encoder      E0' = E0 + IE(A)        served by the backbone's ordinary forward on the graph without F
    L_M          the backbone's own training loss on the rest, through E0'
    L_u          mean over F of -log sigma(-y')                          forgotten pairs score low
    L_p          sum over the batch of (log q' - log q)^2                retained behaviour stays
    L_c          InfoNCE of the influence with and without dropped edges of A

    before       minimise L_M + l_u L_u + l_p L_p + l_c L_c over the encoder, on simulated requests
    on request   E0' = E0 + IE(A), then a few steps on L_M + .2 L_u + .01 L_p over E0 and the perceptron

docs/methods/unlearnrec.md says what is published and what is ours.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.sampling import Batch, TripleSampler
from models.base import Recommender
from models.descent import descend
from models.optimiser import adam
from unlearning.base import PreparedState, Problem, Recorder, Setting, UnlearningMethod, UnlearnResult
from unlearning.gradients import Objective
from unlearning.influence import Influence
from unlearning.influence_checkpoints import Checkpoints, Tables
from unlearning.influence_encoder import InfluenceEncoder, request_graph
from unlearning.influence_losses import ServedLoss, contrast
from unlearning.options import MethodOptions
from unlearning.replaced_tables import ReplacedTables, added, copied_tables, held_still, settle
from unlearning.simulated_requests import (
    SimulatedRequest,
    share_of_emptied_users,
    share_of_pairs,
    simulate,
)

PORTED = ("LightGCN", "MGCN", "FREEDOM", "BM3", "MIGGT")
"""Backbones by class name: each forward was checked to read its tables where they are replaced."""

SERVED = "requests_since"
"""Figure of the state: requests served since it was prepared."""

HELD_OUT = 3
"""Simulated requests that choose the checkpoint."""


@dataclass(frozen=True)
class UnlearnRecOptions(MethodOptions):
    """Published: the released code's defaults, as read through its forks; its scripts' values in brackets."""

    readout: Literal["sum", "last"] = "sum"
    """Layers of the influence that count: all, so that H0 moves every node whatever the request
    (released), or the last, so that only nodes near the request move (a re-implementation)."""

    branches: Literal["id", "all"] = "id"
    """``id``: the ID tables, as published. ``all``: an encoder for each trained feature table too. Ours."""

    simulate: Literal["interaction", "user", "item", "mixed"] = "interaction"
    """What simulated requests forget: single pairs (published), all pairs of users, of items, or each in
    turn by chance. Only edges are simulated, item content stays."""

    reduction: Literal["mean", "sum"] = "mean"
    """Of L_p over the batch. ``sum`` is the equation, whose weight grows with the batch; ``mean`` is the
    mean times 512, the sum at the released batch size."""

    withdraw_source: Literal["final", "id"] = "final"
    """E, what the withdrawn part is taken from: the final embeddings (published) or the ID rows."""

    layers: Annotated[int, Field(ge=0)] = 3
    """Steps L over the request's edges. Published: 3."""

    withdraw_weight: Annotated[float, Field(ge=0)] = 0.1
    """w of the withdrawn part. Published: .1."""

    min_rate: Annotated[float, Field(gt=0, lt=1)] = 0.03
    """Least share of the pairs (users, items) that a simulated request forgets. Published: .03 (.1, .2)."""

    max_rate: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Largest share; each request draws its own uniformly. Published: .3 (.1, .2); the draw is ours."""

    redraw_every: Annotated[int, Field(ge=1)] = 5
    """Epochs on one simulated request. Published: 5."""

    judge_every: Annotated[int, Field(ge=1)] = 5
    """Epochs after which the encoders are judged on held-out requests. Ours."""

    epochs: Annotated[int, Field(ge=1)] = 256
    """Epochs of pre-training at most. Published: 256."""

    steps_per_epoch: Annotated[int, Field(ge=1)] = 2500
    """Batches of an epoch at most. Published: 2,500."""

    patience: Annotated[int, Field(ge=1)] | None = 5
    """Judgements in a row without a better state, after which pre-training ends; null never ends it early.
    Ours."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of pre-training's Adam; the rates eta start at twice its value. Published: .001."""

    unlearn_weight: Annotated[float, Field(ge=0)] = 0.5
    """l_u of pre-training. Published: .5 (1)."""

    preserve_weight: Annotated[float, Field(ge=0)] = 0.02
    """l_p of pre-training. Published: .02 (.005)."""

    contrast_weight: Annotated[float, Field(ge=0)] = 1e-3
    """l_c. Published: .001."""

    temperature: Annotated[float, Field(gt=0)] = 10.0
    """Divides the scores of L_p. Published: 10 (1)."""

    edge_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the request's edges that L_c drops. Published: .05."""

    recall_floor: Annotated[float, Field(ge=0)] = 0.98
    """Share of the trained model's validation recall that a kept state must have. Ours."""

    finetune_epochs: Annotated[int, Field(ge=0)] = 3
    """Passes of the fine-tuning. Published: unknown (a re-implementation: 3 to 10)."""

    finetune_batches: Annotated[int, Field(ge=1)] | None = 10
    """Batches of the retain set per pass; null means all. Published: unknown; ours."""

    finetune_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate of fine-tuning's Adam. Published: .001."""

    finetune_unlearn_weight: Annotated[float, Field(ge=0)] = 0.2
    """l_u of fine-tuning. Published: .2."""

    finetune_preserve_weight: Annotated[float, Field(ge=0)] = 0.01
    """l_p of fine-tuning. Published: .01."""

    refresh_every: Annotated[int, Field(ge=0)] = 0
    """In a stream, requests after which pre-training is done again on what is left, on the clock of the next
    one; 0: never. Published: one pre-training for all requests. Ours."""


class UnlearnRec(UnlearningMethod):
    """A pre-trained influence encoder, and a short fine-tuning."""

    Options = UnlearnRecOptions
    options: UnlearnRecOptions
    keeps_prepared = True
    online_options: ClassVar[frozenset[str]] = frozenset(
        {
            "finetune_epochs",
            "finetune_batches",
            "finetune_rate",
            "finetune_unlearn_weight",
            "finetune_preserve_weight",
            "refresh_every",
            "graph_at_unlearning",
            "graph_at_evaluation",
        }
    )

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` for another backbone, and for options that contradict it or each other."""
        options, own = self.options, type(model).__name__
        if not any(kind.__name__ in PORTED for kind in type(model).__mro__):
            raise InputError(
                f"method.name=unlearnrec runs on {', '.join(PORTED)} and not on {own}: choose one of these "
                "backbones or another method."
            )
        if options.withdraw_source == "id" and len(model.id_tables()) < 2:
            raise InputError(
                f"method.withdraw_source=id needs ID tables of users and items, {own} has "
                f"{', '.join(model.id_tables())} only: set method.withdraw_source=final."
            )
        if options.min_rate > options.max_rate:
            raise InputError(
                f"method.min_rate={options.min_rate:g} is above method.max_rate={options.max_rate:g}: "
                "lower the one or raise the other."
            )

    def prepare(self, original: Recommender, setting: Setting) -> PreparedState:
        """Pre-train the encoders on simulated requests; ``original`` keeps its weights."""
        influence = self._influence(original, setting.generator.initial_seed())
        influence.read(original, setting.data, self.options.withdraw_source)
        with held_still(original):
            figures = self._pretrain(original, influence, setting)
        tensors = {name: value.detach().clone() for name, value in influence.state_dict().items()}
        return PreparedState(tensors, figures)

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Change the tables of ``original`` as the encoders say and fine-tune; ``notes`` compare requests."""
        prepared, request = self._refreshed(original, problem), problem.request
        influence = self._influence(original, seed=0)
        influence.load_state_dict(prepared.tensors)
        with held_still(original):
            self._finetune(original, influence, problem, recorder)
        notes = {
            "request_rate": share_of_pairs(request, problem.retain),
            "request_emptied_users": share_of_emptied_users(request, problem.retain),
            "tables": len(influence.names),
        }
        notes |= {f"pretrain_{k}": v for k, v in prepared.figures.items() if k != SERVED}
        figures = {**prepared.figures, SERVED: prepared.figures.get(SERVED, 0) + 1}
        return UnlearnResult(original, notes=notes, state=PreparedState(prepared.tensors, figures))

    def _refreshed(self, original: Recommender, problem: Problem) -> PreparedState:
        """What was prepared; prepared again on what the requests before left, where enough were served."""
        prepared = problem.prepared
        assert isinstance(prepared, PreparedState)
        if not self.options.refresh_every or prepared.figures.get(SERVED, 0) < self.options.refresh_every:
            return prepared
        own = copy.deepcopy(original)
        own.bind(problem.full)
        limits = problem.generator, problem.batch_size, problem.learning_rate, problem.workshop
        return self.prepare(own, Setting(problem.full, *limits))

    def _influence(self, model: Recommender, seed: int) -> Influence:
        """Encoders at their start: no influence, rates of twice the learning rate."""
        options, generator = self.options, torch.Generator().manual_seed(seed)

        def encoder(nodes: int, width: int) -> InfluenceEncoder:
            shape = (nodes, width, options.layers)
            rate = 2 * options.learning_rate
            return InfluenceEncoder(*shape, options.readout, options.withdraw_weight, rate, generator)

        return Influence(model, options.branches, encoder)

    def _served_loss(self, backbone: ReplacedTables, influence: Influence) -> ServedLoss:
        return ServedLoss(backbone, influence.trained, self.options.temperature, self.options.reduction)

    def _pretrain(self, model: Recommender, influence: Influence, setting: Setting) -> dict[str, Any]:
        """Train the encoders' parameters and nothing else; the figures of the state that was kept."""
        options, data, generator = self.options, setting.data, setting.generator
        rates = options.min_rate, options.max_rate
        held_out = [simulate(data, options.simulate, rates, generator) for _ in range(HELD_OUT)]
        backbone, trained = ReplacedTables(model), copied_tables(model, influence.names)
        checkpoints = Checkpoints(backbone, influence, held_out, data, options.recall_floor, generator)
        optimiser = adam(influence.parameters(), options.learning_rate)

        def changed(signals: dict[str, Tensor]) -> dict[str, Tensor]:
            return added(trained, influence.changes(signals, data.withdrawn_items))

        done = 0
        for epoch in range(options.epochs):
            if epoch % options.redraw_every == 0:
                request = simulate(data, options.simulate, rates, generator)
                objective = self._lesson(backbone, influence, request, changed, generator)
                pairs = request.kept.train
                sampler = TripleSampler(pairs, pairs, data.num_items, generator)
                model.bind(request.kept)
            batches = sampler.epoch(setting.batch_size, options.steps_per_epoch)
            descend(model, batches, objective, optimiser)
            done = epoch + 1
            if done % options.judge_every and done < options.epochs:
                continue
            checkpoints.offer(done, changed)
            if checkpoints.misses == options.patience:
                break
            model.bind(request.kept)
        checkpoints.restore()
        return {
            "epochs": done,
            "best_epoch": checkpoints.epoch,
            **({} if checkpoints.best is None else asdict(checkpoints.best)),
            "rate": sum(one.rate for one in held_out) / HELD_OUT,
            "emptied_users": sum(one.emptied for one in held_out) / HELD_OUT,
        }

    def _lesson(
        self,
        backbone: ReplacedTables,
        influence: Influence,
        request: SimulatedRequest,
        changed: Tables,
        generator: torch.Generator,
    ) -> Objective:
        """L of a batch of what a simulated request keeps (Eq. 25)."""
        options, forgotten = self.options, request.request.forget
        served_loss = self._served_loss(backbone, influence)
        num_users = request.kept.num_users
        graph = request_graph(forgotten, num_users, request.kept.num_items)
        weights = options.unlearn_weight, options.preserve_weight

        def objective(batch: Batch) -> Tensor:
            tables = changed(influence.signals(graph.adjacency))
            loss = served_loss(tables, batch, forgotten, weights)
            if not options.contrast_weight:
                return loss
            dropped = graph.thinned(options.edge_dropout, generator)
            nodes = batch.users.unique(), batch.positives.unique() + num_users
            terms = [
                contrast(one.layered(graph.adjacency), one.layered(dropped), nodes)
                for one in influence.each()
            ]
            return loss + options.contrast_weight * torch.stack(terms).sum()

        return objective

    def _finetune(
        self, model: Recommender, influence: Influence, problem: Problem, recorder: Recorder
    ) -> None:
        """Change the tables, then train E0 and the perceptrons on the retain set."""
        options, forgotten = self.options, problem.request.forget
        served_loss = self._served_loss(ReplacedTables(model), influence)
        edges = request_graph(forgotten, model.num_users, model.num_items).adjacency
        with torch.no_grad():
            signals = influence.signals(edges)
        start = {name: nn.Parameter(table) for name, table in copied_tables(model, influence.names).items()}
        moving = [*start.values(), *(p for one in influence.each() for p in one.perceptron.parameters())]
        gone = problem.retain.withdrawn_items
        if options.graph_at_unlearning == "full":
            gone = problem.full.withdrawn_items

        def changed() -> dict[str, Tensor]:
            return added(start, influence.changes(signals, gone))

        def objective(batch: Batch) -> Tensor:
            recorder.examples(forgotten.shape[1], steps=0)  # all of them, beside the batch
            weights = options.finetune_unlearn_weight, options.finetune_preserve_weight
            return served_loss(changed(), batch, forgotten, weights)

        settle(model, changed())
        recorder.epoch(model)
        optimiser = adam(moving, options.finetune_rate)
        sampler = problem.retain_sampler()
        for _ in range(options.finetune_epochs):
            batches = sampler.epoch(problem.batch_size, options.finetune_batches)
            loss = descend(model, batches, objective, optimiser, recorder)
            settle(model, changed())
            recorder.epoch(model, {"loss/finetune": loss})
