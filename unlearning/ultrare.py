"""UltraRE: isolated shards of a balanced partition; a request retrains the touched ones from scratch.

Li et al., "UltraRE: Enhancing RecEraser for Recommendation Unlearning via Error Decomposition",
NeurIPS 2023. Before any request (offline):

    partition   balanced clusters of users (or pairs) by optimal transport on trained embeddings
    shards      one backbone per cluster, trained on its pairs alone
    combiner    learned, over the frozen embeddings of the shards

On a request (online): the shards whose data changed are trained from scratch on what is left of
them, and the combiner is fitted afresh. docs/methods/ultrare.md says what is published and what is ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.sampling import TripleSampler
from models.base import Recommender
from models.descent import descend
from models.optimiser import adam
from unlearning import shard_state
from unlearning.base import PreparedState, Problem, Recorder, Setting, UnlearningMethod, UnlearnResult
from unlearning.combiner import Attention, Weights
from unlearning.distillation import frozen
from unlearning.ensemble import ShardEnsemble
from unlearning.options import MethodOptions
from unlearning.shards import Partition, changed, partitioned, train_shard, trains


@dataclass(frozen=True)
class UltraREOptions(MethodOptions):
    """Published: the values that TRU (arXiv 2604.02183, appendix A) names for its run of UltraRE."""

    shards: Annotated[int, Field(ge=2)] = 10
    """k. Published: 10 (TRU)."""

    partition: Literal["user", "interaction"] = "user"
    """What is clustered. ``user`` is UltraRE's: shards of equally many users. ``interaction`` gives
    shards of equally many pairs, a user's pairs spread over several."""

    epsilon: Annotated[float, Field(gt=0)] = 0.1
    """Entropic regularisation of the transport, in units of the mean cost (ours). Published: .1 (TRU)."""

    rounds: Annotated[int, Field(ge=1)] = 10
    """Outer iterations of the clustering. Published: 10 (TRU; UltraRE's code: at most 10)."""

    sinkhorn_iterations: Annotated[int, Field(ge=1)] = 100
    """Inner iterations per plan at most. Published: unknown; ours."""

    shard_epochs: Annotated[int, Field(ge=1)] | None = None
    """Epochs of a shard model, without selection; null trains it like the backbone itself, with early
    stopping on the shard's own validation users. TRU ran 3, far from convergence."""

    combiner: Literal["attention", "weights"] = "attention"
    """``attention``: linear maps and attention over the shards' embeddings (RecEraser's). ``weights``: one
    weight per shard on its scores. Published: learned, on embeddings; the form is unknown."""

    attention_dim: Annotated[int, Field(ge=1)] = 32
    """Width of the attention. Published: 32 (RecEraser)."""

    combiner_data: Literal["train", "valid"] = "valid"
    """What the combiner is fitted on. Published: validation (TRU), which the shards have not memorised;
    validation figures of this method are then a little flattered (docs/methods/ultrare.md)."""

    combiner_epochs: Annotated[int, Field(ge=0)] = 10
    """Passes of the combiner. Published: 50 (RecEraser); ours."""

    combiner_lr: Annotated[float, Field(gt=0)] = 1e-2
    """Of its Adam. Published: .01 (TRU)."""

    combiner_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight of half the squared norm of the batch's combined embeddings, per example. Published: weight
    decay 0 (TRU)."""


@dataclass(frozen=True)
class Prepared:
    """What exists before a request: the partition, the ensemble that serves until it comes, and the seed of
    every combiner, whatever the number of the request: so that a stream ends where its union does."""

    partition: Partition
    ensemble: ShardEnsemble
    seed: int


class UltraRE(UnlearningMethod):
    """Balanced shards, retrained where touched."""

    Options = UltraREOptions
    options: UltraREOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` for more shards than users, or a graph that shards cannot be trained on."""
        options = self.options
        if options.shards > model.num_users:
            raise InputError(
                f"method.shards={options.shards} is more than the {model.num_users} users of the data set: "
                "ask for fewer shards."
            )
        if options.graph_at_unlearning != "retain":
            raise InputError(
                f"method.graph_at_unlearning={options.graph_at_unlearning} has no meaning for ultrare, "
                "whose shards are retrained without the forgotten pairs: set it to retain."
            )

    def prepare(self, original: Recommender, setting: Setting) -> Prepared:
        """Partition, all shards, first combiner. Raises ``InputError`` where shards get too small."""
        options, data = self.options, setting.data
        partition = self._partition(original, setting)
        parts = [partition.part(data, shard) for shard in range(options.shards)]
        poor = [shard for shard, part in enumerate(parts) if not trains(part)]
        if poor:
            raise InputError(
                f"method.shards={options.shards} leaves shard {poor[0]} with too few training or validation "
                "pairs to train on: ask for fewer shards."
            )
        models = {
            shard: train_shard(setting.workshop, part, shard, options.shard_epochs).model
            for shard, part in enumerate(parts)
        }
        ensemble = self._combined(data, partition, models, setting.generator)
        fit(ensemble, data, options, setting.generator, setting.batch_size, lambda *_: None)
        return Prepared(partition, ensemble, setting.generator.initial_seed())

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Retrain the touched shards on the retain set and fit a fresh combiner; ``original`` is not used."""
        options, prepared = self.options, problem.prepared
        assert isinstance(prepared, Prepared)
        models, touched = dict[int, Recommender](), 0
        for shard in range(options.shards):
            before, after = (prepared.partition.part(data, shard) for data in (problem.full, problem.retain))
            if not changed(before, after, prepared.ensemble.reads_content):
                if shard in prepared.ensemble.numbers():  # else it was closed before
                    models[shard] = prepared.ensemble.shard(shard)
                continue
            touched += 1
            if trains(after):
                trained = train_shard(problem.workshop, after, shard, options.shard_epochs)
                recorder.examples(trained.examples, trained.steps)
                models[shard] = trained.model
        if not models:
            raise InputError(
                f"method.shards={options.shards} leaves no shard with enough pairs to train on after this "
                "request: ask for fewer shards or for a smaller request."
            )
        generator = torch.Generator(problem.generator.device).manual_seed(prepared.seed)
        ensemble = self._combined(problem.retain, prepared.partition, models, generator)

        def report(current: ShardEnsemble, loss: float, examples: int, steps: int) -> None:
            recorder.examples(examples, steps)
            recorder.epoch(current, {"loss/combiner": loss})

        fit(ensemble, problem.retain, options, generator, problem.batch_size, report)
        notes = {"shards": options.shards, "touched_shards": touched}
        notes |= {"closed_shards": options.shards - len(models)}
        return UnlearnResult(ensemble, notes=notes, state=dataclasses.replace(prepared, ensemble=ensemble))

    def packed(self, model: Recommender, state: Any) -> PreparedState | None:
        """The ensemble and the seed of its combiners."""
        kept = shard_state.packed(state.ensemble)
        return PreparedState(kept.tensors, {**kept.figures, "seed": state.seed})

    def unpacked(
        self, packed: PreparedState, model: Recommender, data: InteractionData
    ) -> tuple[Recommender, Any]:
        """The inverse; ``model`` serves as the build of every shard."""
        with torch.no_grad():
            width = model.embeddings()[1].shape[1]
        combiner = self._combiner(len(packed.figures["numbers"]), width, seed=0)
        ensemble = shard_state.unpacked(packed, data, model, combiner, self.options.combiner_decay)
        return ensemble, Prepared(ensemble.partition, ensemble, packed.figures["seed"])

    def _partition(self, original: Recommender, setting: Setting) -> Partition:
        options = self.options
        seed = setting.generator.initial_seed()
        transport = (options.epsilon, options.rounds, options.sinkhorn_iterations, seed)
        return partitioned(setting.data, frozen(original), options.partition, options.shards, *transport)

    def _combined(
        self,
        data: InteractionData,
        partition: Partition,
        models: Mapping[int, Recommender],
        generator: torch.Generator,
    ) -> ShardEnsemble:
        width = frozen(next(iter(models.values()))).items.shape[1]
        combiner = self._combiner(len(models), width, generator.initial_seed())
        return ShardEnsemble(data, partition, models, combiner, self.options.combiner_decay)

    def _combiner(self, shards: int, width: int, seed: int) -> Attention | Weights:
        """An untrained combiner of embeddings of this width."""
        if self.options.combiner == "weights":
            return Weights(shards)
        generator = torch.Generator().manual_seed(seed)
        return Attention(shards, width, self.options.attention_dim, generator)


def fit(
    ensemble: ShardEnsemble,
    data: InteractionData,
    options: UltraREOptions,
    generator: torch.Generator,
    batch_size: int,
    report: Callable[[ShardEnsemble, float, int, int], None],
) -> None:
    """Train the combiner in place on the training or validation pairs of ``data``.

    ``report`` is told the ensemble, the mean loss, the number of examples and of steps of every pass.
    """
    pairs = data.train if options.combiner_data == "train" else data.valid
    known = torch.cat([data.train, data.valid], dim=1) if options.combiner_data == "valid" else data.train
    sampler = TripleSampler(pairs, known, data.num_items, generator)
    optimiser = adam(ensemble.combiner.parameters(), options.combiner_lr)
    for _ in range(options.combiner_epochs):
        loss = descend(
            ensemble, sampler.epoch(batch_size), lambda batch: ensemble.loss(batch).total, optimiser
        )
        report(ensemble, loss, len(sampler), sampler.num_batches(batch_size))
