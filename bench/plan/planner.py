"""The plan of a sweep: each cell's keys, whether it is finished, which models are cached.

Everything that can be refused before training is refused here. No torch in here, but for
``rehearse``, which builds (and does not train) what a real run is about to train.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.config.schema import CellConfig
from bench.config.source import class_constant
from bench.plan.dataset import reader_of, summary_of
from bench.plan.keys import CellKeys, cell_keys, data_key, used_data_key
from bench.plan.request import regime_of, request_checksum
from bench.record.finished import Record, keeps_model, recorded
from datasets.errors import InputError
from datasets.validation import DataSummary
from unlearning.options import Forecast

if TYPE_CHECKING:
    from datasets.id_maps import IdMaps

T = TypeVar("T")

ON_THIS_MACHINE = ("serial", "local")
"""Launchers whose cells run here, so that this machine must have their device."""


@dataclass(frozen=True)
class PlannedCell:
    """A checked cell with its keys.

    ``run_id`` is its finished MLflow run, if there is one; ``failure`` the cause of its latest run's
    failure, if it has none.
    """

    config: CellConfig
    keys: CellKeys
    summary: DataSummary
    run_id: str | None
    failure: str | None = None

    def is_due(self) -> bool:
        """Whether this cell has to run."""
        if self.config.run.mode == "always":
            return True
        return self.run_id is None and (self.failure is None or self.config.run.retry_failed)

    def model_keys(self) -> dict[str, str]:
        """Key by role of the models that this cell needs."""
        return {"original": self.keys.original, "gold": self.keys.gold}

    def cached_models(self) -> tuple[bool, bool]:
        """Whether the original and the gold model are in the cache."""
        models = self.config.cache.dir / "models"
        return (models / self.keys.original).exists(), (models / self.keys.gold).exists()


class Planner:
    """Plans cells; asks each data set and each store only once.

    Args:
        one: the planner is for one cell; the store is asked for nothing else.
    """

    def __init__(self, one: bool = False) -> None:
        self._one = one
        self._data: dict[str, tuple[str, DataSummary, IdMaps | None]] = {}
        self._records: dict[str, Record] = {}

    def plan(self, config: CellConfig) -> PlannedCell:
        """Check one cell against its data and look it up. Raises ``InputError``."""
        key, summary, id_maps = self._dataset(config)
        regime_of(config.regime).size(summary, id_maps)
        check_forecast(config, summary)
        keys = cell_keys(config, key, request_checksum(config), device_type(config.device))
        record = self._record(config, keys.cell)
        run_id = record.finished.get(keys.cell)
        if run_id and config.run.save_model and not keeps_model(config.tracking, run_id):
            run_id = None  # it is finished, but not with what is asked for now
        return PlannedCell(config, keys, summary, run_id, record.failed.get(keys.cell))

    def _dataset(self, config: CellConfig) -> tuple[str, DataSummary, IdMaps | None]:
        label = repr((config.dataset, config.poison, config.data_root))
        reader = reader_of(config)
        check_content(config, reader.modalities())
        if label not in self._data:
            key = data_key(config, reader.identity())
            summary = summary_of(reader, key, config.cache.dir)
            self._data[label] = used_data_key(key, summary), summary, reader.id_maps()
        return self._data[label]

    def _record(self, config: CellConfig, cell: str) -> Record:
        if self._one:
            return recorded(config.tracking, cell)
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
