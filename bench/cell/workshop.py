"""Backbones that an unlearning method trains for itself, such as shard models: built, cached and timed.

A model is cached by its content like any other: the interactions it saw, the backbone, the training,
the seed, its purpose. Its key also covers the machine, because its recorded time goes on the clock of
the cell, where it may only meet times of the same device and number of threads.
"""

from __future__ import annotations

import dataclasses
import hashlib

import torch
from torch import Tensor

from bench.cache.content import digest
from bench.cache.models import ModelCache
from bench.config.registry import load_class
from bench.config.schema import CellConfig, Choice, as_json
from bench.config.source import code_digest
from bench.machine.devices import describe
from bench.machine.seeding import derive, seed_everything
from bench.machine.timing import Stopwatch
from bench.planning.code import stage_digest
from bench.record.progress import progress
from bench.train.loop import train
from bench.train.options import TrainConfig
from bench.train.record import TrainingRecord
from datasets.interactions import InteractionData
from models.base import Recommender
from unlearning.base import Trained, Workshop


def fresh_model(backbone: Choice, data: InteractionData, seed: int) -> Recommender:
    """An untrained backbone on the device of ``data``; its initial weights follow from ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initial weights"))
        kind = load_class("backbone", backbone.name)
        model: Recommender = kind(data.to(torch.device("cpu")), backbone.options)
    model.to(data.train.device)
    model.bind(data)
    return model


class CellWorkshop(Workshop):
    """The workshop of one stage of a cell.

    Args:
        config: the cell's.
        data_key: key of the data set that all parts are cut from.
        cache: where trained models are kept; None: nowhere.
        watch: the stage's clock; it stands still in here and is given the recorded training time.
    """

    def __init__(self, config: CellConfig, data_key: str, cache: ModelCache | None, watch: Stopwatch) -> None:
        self._config = config
        self._data_key = data_key
        self._cache = cache
        self._watch = watch

    def trained(
        self,
        data: InteractionData,
        purpose: str,
        epochs: int | None = None,
        start: Recommender | None = None,
    ) -> Trained:
        """See ``Workshop``."""
        config, schedule = self._config, scheduled(self._config.train, epochs)
        seed = derive(config.seed, purpose)
        with self._watch.paused():
            key = self._key(data, purpose, schedule, start)

        def run(model: Recommender) -> TrainingRecord:
            with progress(f"training {purpose}, {config.backbone.name} on {config.dataset.name}") as shown:
                limit = config.evaluate.chunk_scores
                checkpoint = None if self._cache is None else self._cache.checkpoint(key)
                return train(model, data, schedule, seed, limit, shown, checkpoint=checkpoint)

        about = {
            "role": purpose,
            "dataset": config.dataset.name,
            "backbone": config.backbone.identity(),
            "train": as_json(schedule),
            "seed": config.seed,
        }
        with self._watch.paused():
            model = fresh_model(config.backbone, data, seed)
            if start is not None:
                model.load_state_dict(start.state_dict())
            if self._cache is None:
                record = run(model)
            else:
                record = self._cache.get_or_train(key, model, run, about).record
        self._watch.add(record.seconds, record.processor_share, record.propagations)
        # Training draws from the global generators and loading does not: what follows must not tell.
        seed_everything(config.seed, f"after {purpose}")
        return Trained(model, record.seconds, record.examples, record.steps)

    def _key(
        self, data: InteractionData, purpose: str, schedule: TrainConfig, start: Recommender | None
    ) -> str:
        config = self._config
        content = {
            "data": self._data_key,
            "part": content_of(data),
            "purpose": purpose,
            "backbone": config.backbone.identity(),
            "code": code_digest("backbone", config.backbone.name),
            "train": as_json(schedule),
            "train_code": stage_digest("train"),
            "seed": config.seed,
            "deterministic": config.run.deterministic,
            "device": dataclasses.asdict(describe(data.train.device)),
        }
        if start is not None:
            content["start"] = digest_of(*start.state_dict().values())
        return digest("model", content)


def scheduled(train_config: TrainConfig, epochs: int | None) -> TrainConfig:
    """The training of the cell's backbone, or the same for exactly ``epochs`` epochs without selection."""
    if epochs is None:
        return train_config
    return dataclasses.replace(
        train_config, stop="patience", fixed_epochs=None, max_epochs=epochs, eval_every=epochs
    )


def content_of(data: InteractionData) -> str:
    """Digest of the part of a data set that a model is trained on: pairs and withdrawn items."""
    return digest_of(data.train, data.valid, data.withdrawn_items)


def digest_of(*tensors: Tensor) -> str:
    """Digest of shapes and values."""
    content = hashlib.sha256()
    for tensor in tensors:
        content.update(f"|{tuple(tensor.shape)}|".encode())
        content.update(tensor.cpu().contiguous().numpy().tobytes())
    return content.hexdigest()
