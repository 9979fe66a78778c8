"""Fitting a combiner over frozen shards, on training pairs or on validation pairs."""

from __future__ import annotations

from collections.abc import Callable

import torch

from datasets.interactions import InteractionData
from datasets.sampling import TripleSampler
from models.descent import descend
from models.optimiser import adam
from unlearning.base import Recorder
from unlearning.ensemble import ShardEnsemble
from unlearning.options import CombinerOptions

Report = Callable[[ShardEnsemble, float, int, int], None]
"""Is told the ensemble, the mean loss, the number of examples and of steps of every pass."""


def nobody(*_: object) -> None:
    """A ``Report`` that no one reads."""


def told(recorder: Recorder) -> Report:
    """A ``Report`` to the recorder of a method: cost, and the loss as a point of the trajectory."""

    def report(ensemble: ShardEnsemble, loss: float, examples: int, steps: int) -> None:
        recorder.examples(examples, steps)
        recorder.epoch(ensemble, {"loss/combiner": loss})

    return report


def fit(
    ensemble: ShardEnsemble,
    data: InteractionData,
    options: CombinerOptions,
    seed: int,
    batch_size: int,
    report: Report = nobody,
) -> None:
    """Train the combiner in place on the training or validation pairs of ``data``.

    Triples and dropout follow from ``seed`` alone, whatever was trained before: shards that are the same give
    a combiner that is the same. The global generator is left as it was.
    """
    device = data.train.device
    pairs = data.train if options.combiner_data == "train" else data.valid
    known = torch.cat([data.train, data.valid], dim=1) if options.combiner_data == "valid" else data.train
    sampler = TripleSampler(pairs, known, data.num_items, torch.Generator(device).manual_seed(seed))
    optimiser = adam(ensemble.combiner.parameters(), options.combiner_lr)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for _ in range(options.combiner_epochs):
            loss = descend(
                ensemble, sampler.epoch(batch_size), lambda batch: ensemble.loss(batch).total, optimiser
            )
            report(ensemble, loss, len(sampler), sampler.num_batches(batch_size))
