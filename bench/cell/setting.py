"""The setting of a cell: data, request, item graphs, original and gold, made in this order and only here.

Whatever needs a setting comes through this door: cells, jobs that only train a model (``run.stage``), and
tuning trials. So that gold never sees what was forgotten holds for all of them or for none.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any, Literal, Self

from bench.cache.item_graphs import ItemGraphCache
from bench.cache.models import CachedModel, ModelCache
from bench.cell.workshop import fresh_model
from bench.config.schema import CellConfig, as_json
from bench.machine.devices import resolve, share_threads
from bench.planning.dataset import in_words, read_checked, reader_of
from bench.planning.keys import gold_key
from bench.planning.planner import PlannedCell
from bench.planning.request import content_of, draw
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
class RequestSetting:
    """What a method starts from: ``full`` and ``retain`` are the data before and after ``request``, each with
    its own item graphs, ``original`` the model to unlearn from. ``gold`` is None where no reference system
    asks for it: at a request of a stream."""

    full: InteractionData
    retain: InteractionData
    request: DeletionRequest
    original: CachedModel
    gold: CachedModel | None

    def without_test(self) -> Self:
        """The same as a method, and the selection of its options, may see it."""
        return dataclasses.replace(self, full=without_test(self.full), retain=without_test(self.retain))


@dataclass(frozen=True)
class CellSetting(RequestSetting):
    """The same with gold beside it: what evaluation and audits start from."""

    gold: CachedModel


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
        original, gold = self._trained("original", full), self._gold(retain, request)
        return CellSetting(full, retain, request, original, gold)

    def train(self, role: str) -> None:
        """Only see to it that one model is in the cache."""
        read, request = self._read()
        if role == "original":
            self._trained("original", self._data_of("original", read, request))
        else:
            self._gold(self._data_of("gold", read, request), request)

    def _gold(self, retain: InteractionData, request: DeletionRequest) -> CachedModel:
        """Gold under the request's key, or under that of whatever leaves the same data."""
        if not request.forget.numel() and not request.users.numel() and not request.items.numel():
            return self._trained("gold", retain)
        same = gold_key(self._config, self._keys.data, content_of(request), self.device.type)
        return self._trained("gold", retain, same=same)

    def _read_data(self) -> InteractionData:
        phase("reading data")
        log.info("%s", in_words(self._config.dataset.name, self._summary))
        return to_torch(read_checked(reader_of(self._config)), self._keys.data).to(self.device)

    def _read(self) -> tuple[InteractionData, DeletionRequest]:
        read = self._read_data()
        return read, draw(self._config.regime, read)

    def _data_of(self, role: Role, read: InteractionData, request: DeletionRequest) -> InteractionData:
        """What a model is trained on. A graph of the whole data must not come to the retain set, so graphs
        are attached only once the request was applied."""
        return self.graphs.attach(read if role == "original" else request.apply(read))

    def _trained(
        self, role: Role, data: InteractionData, key: str | None = None, same: str | None = None
    ) -> CachedModel:
        """The model of a role, under the role's own key or a given one; ``same`` is another key of it."""
        config = self._config
        key = key or (self._keys.original if role == "original" else self._keys.gold)

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
            "regime": _asked(config) if role == "gold" else None,
            "seed": config.seed,
        }
        model = fresh_model(config.backbone, data, config.seed)
        found = self.models.get_or_train(key, model, run, about, same)
        verb = "found in the cache" if found.found else f"trained in {found.record.seconds:.1f} s"
        log.info("%s %s: %s (valid recall@20 %.4f)", role, key, verb, found.record.best_recall)
        return found


def _asked(config: CellConfig) -> dict[str, Any]:
    return as_json(config.stream if config.stream.streams else config.regime)
