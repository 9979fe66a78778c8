"""The plan of a sweep: each cell's keys, whether it is finished, which models are cached.

Everything that can be refused before training is refused here. No torch in here, but for
``rehearse``, which builds (and does not train) what a real run is about to train.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.cache.models import is_cached
from bench.config.schema import CellConfig
from bench.config.source import class_constant
from bench.config.tuned import tuned_remarks
from bench.disk.owned import claim
from bench.planning.dataset import read_checked, reader_of, summary_of
from bench.planning.keys import CellKeys, cell_keys, data_key, request_key, used_data_key
from bench.planning.request import Outline, outline, regime_of, request_checksum, stream_of
from bench.record.finished import Record, keeps_model, recorded
from bench.record.local import spool
from bench.record.local.faults import StoreAway
from datasets.errors import InputError
from datasets.validation import DataSummary
from unlearning import REFERENCE_METHODS
from unlearning.options import Forecast

if TYPE_CHECKING:
    from datasets.id_maps import IdMaps
    from datasets.interactions import InteractionData

T = TypeVar("T")
log = logging.getLogger(__name__)

ON_THIS_MACHINE = ("serial", "local")
"""Launchers whose cells run here, so that this machine must have their device."""


@dataclass(frozen=True)
class PlannedCell:
    """A checked cell with its keys.

    ``run_id`` is its finished MLflow run, if there is one; ``failure`` the cause of its latest run's
    failure, if it has none; ``remarks`` what has to be said about its tuned options (``bench.config.tuned``);
    ``stream`` the outline of its stream, if it serves one.
    """

    config: CellConfig
    keys: CellKeys
    summary: DataSummary
    run_id: str | None
    failure: str | None = None
    remarks: tuple[str, ...] = ()
    stream: Outline | None = None

    def is_due(self) -> bool:
        """Whether this cell has to run."""
        if self.config.run.mode == "always":
            return True
        return self.run_id is None and (self.failure is None or self.config.run.retry_failed)

    def model_keys(self) -> dict[str, str]:
        """Key by role of the models that this cell needs: of a stream one gold model per checkpoint."""
        golds = {f"gold-{number}": key for number, key in enumerate(self.keys.golds)}
        return {"original": self.keys.original, **(golds or {"gold": self.keys.gold})}

    def cached_models(self) -> dict[str, bool]:
        """By role, whether the model is in the cache."""
        root = self.config.cache.dir
        return {role: is_cached(root, key) for role, key in self.model_keys().items()}


class Planner:
    """Plans cells; asks each data set and each store only once.

    Args:
        one: the planner is for one cell; the store is asked for nothing else.
    """

    def __init__(self, one: bool = False) -> None:
        self._one = one
        self._data: dict[str, tuple[str, DataSummary, IdMaps | None]] = {}
        self._records: dict[str, Record] = {}
        self._outlines: dict[str, Outline] = {}

    def plan(self, config: CellConfig) -> PlannedCell:
        """Check one cell against its data and look it up. Raises ``InputError``."""
        key, summary, id_maps = self._dataset(config)
        check_forecast(config, summary)
        file = request_checksum(config)
        stream = None
        if config.stream.streams:
            check_in_stream(config)
            stream_of(config.stream).size(summary, id_maps)
            stream = self._outline(config, key, request_key(config, key, file))
        else:
            regime_of(config.regime).size(summary, id_maps)
        keys = cell_keys(config, key, file, device_type(config.device), stream)
        remarks = tuned_remarks(config, keys.data, keys.request)
        record = self._record(config, keys.cell)
        run_id = record.finished.get(keys.cell)
        if run_id and config.run.save_model and not keeps_model(config.tracking, run_id):
            run_id = None  # it is finished, but not with what is asked for now
        return PlannedCell(config, keys, summary, run_id, record.failed.get(keys.cell), remarks, stream)

    def _dataset(self, config: CellConfig) -> tuple[str, DataSummary, IdMaps | None]:
        claim(config.cache.dir, "cache.dir")
        label = repr((config.dataset, config.poison, config.data_root))
        reader = reader_of(config)
        check_content(config, reader.modalities())
        if label not in self._data:
            key = data_key(config, reader.identity())
            summary = summary_of(reader, key, config.cache.dir)
            self._data[label] = used_data_key(key, summary), summary, reader.id_maps()
        return self._data[label]

    def _outline(self, config: CellConfig, data: str, key: str) -> Outline:
        """The outline of a stream. Drawing it takes torch and the pairs of the data, once."""
        if key not in self._outlines:

            def read() -> InteractionData:
                from datasets.interactions import to_torch

                raw = read_checked(reader_of(config))
                return to_torch(replace(raw, features={}, item_graphs={}), data)

            self._outlines[key] = outline(config.stream, key, config.cache.dir, read)
        return self._outlines[key]

    def _record(self, config: CellConfig, cell: str) -> Record:
        if self._one:
            try:
                return recorded(config.tracking, cell)
            except StoreAway as error:  # it was due when the sweep began, and a second record is not sent
                log.warning("whether %s is finished elsewhere cannot be asked: %s", config.label, error)
                return Record(spool.waiting(config.tracking))
        label = f"{config.tracking.uri} {config.tracking.experiment}"
        if label not in self._records:
            self._records[label] = recorded(config.tracking)
        return self._records[label]


def forecast_of(config: CellConfig, summary: DataSummary) -> Forecast | None:
    """What serving the lists of a cell will take; None for a method that needs no outside help."""
    users = min(config.evaluate.users.count or summary.num_users, summary.num_users)
    found: Forecast | None = config.method.options.forecast(users)
    return found


def check_forecast(config: CellConfig, summary: DataSummary) -> None:
    """Refuse a cell whose lists will take more than its method's budget."""
    found = forecast_of(config, summary)
    if found is not None and found.refusal:
        raise InputError(found.refusal)


def with_seed(cell: PlannedCell, seed: int) -> PlannedCell:
    """The same cell with another training seed, for what it takes to train its models; not looked up."""
    config = dataclasses.replace(cell.config, seed=seed)
    keys = cell_keys(config, cell.keys.data, request_checksum(config), device_type(config.device))
    return dataclasses.replace(cell, config=config, keys=keys, run_id=None, failure=None)


def check_in_stream(config: CellConfig) -> None:
    """Refuse a method that cannot go on from what it left. Raises ``InputError``."""
    method = config.method.name
    reason = class_constant("method", method, "no_stream", default="")
    if reason:
        raise InputError(
            f"method={method} does not work in a stream: {reason}: choose another method or stream=none."
        )
    if method not in REFERENCE_METHODS and config.method.options.graph_at_evaluation != "retain":
        raise InputError(
            "method.graph_at_evaluation=full serves from the graph that still has the forgotten pairs, which "
            "a stream does not: set it to retain."
        )


def check_content(config: CellConfig, offered: Sequence[str]) -> None:
    """Refuse a backbone that needs content (modalities) the data set does not offer."""
    wanted = list(getattr(config.backbone.options, "modalities", None) or ())
    unknown = [m for m in wanted if m not in offered]
    here = f"dataset={config.dataset.name} has " + (", ".join(offered) if offered else "no item content")
    if class_constant("backbone", config.backbone.name, "multimodal", default=False) and not offered:
        raise InputError(
            f"backbone={config.backbone.name} needs item content but {here}: "
            "choose backbone=lightgcn or add feature files to the data set."
        )
    if unknown:
        raise InputError(
            f"backbone.modalities={wanted} asks for {unknown[0]} but {here}: choose among these."
        )


def device_type(name: str) -> str:
    """Device type of a ``device`` value, without importing torch where that can be avoided."""
    if name != "auto":
        return name.partition(":")[0]
    spec = importlib.util.find_spec("torch")
    version = (
        Path(spec.origin).with_name("version.py").read_text(encoding="utf-8") if spec and spec.origin else ""
    )
    cpu_build = re.search(r"^cuda.*= None$", version, re.MULTILINE)
    no_driver = not Path("/proc/driver/nvidia").exists()
    if sys.platform == "linux" and (cpu_build or no_driver):
        return "cpu"
    from bench.machine.devices import auto_type

    return auto_type()
