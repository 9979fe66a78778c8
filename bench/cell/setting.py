"""The setting of a cell: data, request, item graphs, original and gold, made in this order and only here.

Whatever needs a setting comes through this door: cells, jobs that only train a model (``run.stage``), and
tuning trials. So that gold never sees what was forgotten holds for all of them or for none.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Literal

from bench.cache.item_graphs import ItemGraphCache
from bench.cache.models import CachedModel, ModelCache
from bench.cell.workshop import fresh_model
from bench.config.schema import as_json
from bench.machine.devices import resolve, share_threads
from bench.plan.dataset import in_words, read_checked, reader_of
from bench.plan.planner import PlannedCell
from bench.plan.request import draw
from bench.record.progress import phase, progress
from bench.train.loop import train
from bench.train.record import TrainingRecord
from datasets.interactions import InteractionData, to_torch
from datasets.requests import DeletionRequest
from models.base import Recommender

log = logging.getLogger(__name__)

Role = Literal["original", "gold"]


def without_test(data: InteractionData) -> InteractionData:
    """The data with an empty test split."""
    return dataclasses.replace(data, test=data.test[:, :0])


@dataclass(frozen=True)
class CellSetting:
    """What a method, its evaluation and its audits start from.

    ``full`` and ``retain`` are the data before and after ``request``, each with its own item graphs.
    """

    full: InteractionData
    retain: InteractionData
    request: DeletionRequest
    original: CachedModel
    gold: CachedModel

    def without_test(self) -> CellSetting:
        """The same as a method, and the selection of its options, may see it."""
        return dataclasses.replace(self, full=without_test(self.full), retain=without_test(self.retain))


class SettingStage:
    """Makes the setting of a planned cell; models come from the cache or are trained once."""

    def __init__(self, cell: PlannedCell) -> None:
        config = cell.config
        self._config, self._keys, self._summary = config, cell.keys, cell.summary
        share_threads(config.run.threads, config.launch.jobs)
        self.device = resolve(config.device)
        self.models = ModelCache(config.cache.dir, config.cache.training_seconds)
        self.graphs = ItemGraphCache(config.cache.dir, config.backbone, config.data_name)

    def data(self) -> tuple[InteractionData, InteractionData]:
        """The data before and after the request, each with its own item graphs."""
        read, request = self._read()
        return self._data_of("original", read, request), self._data_of("gold", read, request)

    def load(self) -> CellSetting:
        """The whole setting."""
        read, request = self._read()
        full, retain = self._data_of("original", read, request), self._data_of("gold", read, request)
        original, gold = self._trained("original", full), self._trained("gold", retain)
        return CellSetting(full, retain, request, original, gold)

    def train(self, role: Role) -> None:
        """Only see to it that one model is in the cache."""
        self._trained(role, self._data_of(role, *self._read()))

    def _read(self) -> tuple[InteractionData, DeletionRequest]:
        phase("reading data")
        log.info("%s", in_words(self._config.dataset.name, self._summary))
        read = to_torch(read_checked(reader_of(self._config)), self._keys.data).to(self.device)
        return read, draw(self._config.regime, read)

    def _data_of(self, role: Role, read: InteractionData, request: DeletionRequest) -> InteractionData:
        """What a model is trained on. A graph of the whole data must not come to the retain set, so graphs
        are attached only once the request was applied."""
        return self.graphs.attach(read if role == "original" else request.apply(read))

    def _trained(self, role: Role, data: InteractionData) -> CachedModel:
        config, key = self._config, self._keys.original if role == "original" else self._keys.gold

        def run(model: Recommender) -> TrainingRecord:
            with progress(f"training {role} {config.backbone.name} on {config.dataset.name}") as shown:
                spent = self.graphs.seconds(data)
                limit = config.evaluate.chunk_scores
                checkpoint = self.models.checkpoint(key)
                return train(model, data, config.train, config.seed, limit, shown, spent, checkpoint)

        about = {
            "role": role,
            "dataset": config.dataset.name,
            "backbone": config.backbone.identity(),
            "train": as_json(config.train),
            "regime": as_json(config.regime) if role == "gold" else None,
            "seed": config.seed,
        }
        model = fresh_model(config.backbone, data, config.seed)
        found = self.models.get_or_train(key, model, run, about)
        verb = "found in the cache" if found.found else f"trained in {found.record.seconds:.1f} s"
        log.info("%s %s: %s (valid recall@20 %.4f)", role, key, verb, found.record.best_recall)
        return found
